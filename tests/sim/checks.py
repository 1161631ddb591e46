"""What must hold in every world, whatever goes wrong: each check returns what is broken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from costplan.adapters.sim.clock import MICROS
from costplan.adapters.sim.drive import Driver, Ticked
from costplan.adapters.sim.machines import Machine
from costplan.adapters.sim.scheduler import Loss
from costplan.adapters.sim.world import World
from costplan.planner.ledger import LedgerEntry
from costplan.planner.nodes import Cause, DrainOrder, Node
from costplan.planner.settings import Settings
from costplan.planner.standing import is_staying
from costplan.planner.tick import NewNode
from costplan.planner.types import Phase

ENTRY_USD = Decimal("1e-12")
"""An entry of the ledger is rounded to this."""


@dataclass(slots=True)
class Safety:
    """Looks after every tick, and keeps what was broken. `drains` are all orders ever given."""

    settings: Settings
    broken: list[str] = field(default_factory=list)
    drains: dict[str, DrainOrder] = field(default_factory=dict)
    was_full: Counter[str] = field(default_factory=Counter)
    _losses_seen: int = 0

    def __call__(self, driver: Driver, ticked: Ticked) -> None:
        """One look."""
        nodes = ticked.state.nodes
        for node in nodes.values():
            if node.drain is not None:
                self.drains[node.node_id] = node.drain
        self.broken += double_launches(driver.world.cloud.machines())
        if driver.world.provider.strangers:
            self.broken.append(f"not ours: {driver.world.provider.strangers}")
        self.broken += self._over_budget(driver.world)
        self.broken += self._under_floor(ticked)
        self.broken += self._lost_by_choice(driver.world)
        self.broken += _in_a_pause(ticked)

    def _over_budget(self, world: World) -> Iterable[str]:
        limit = self.settings.budget.usd_per_hour
        if limit is None:
            return
        ours = world.provider.cluster
        alive = [m for m in world.cloud.machines() if m.ended is None and m.request.cluster == ours]
        rate = sum((m.pool.usd_per_hour.at(world.clock.micros) for m in alive), Decimal(0))
        if rate > limit:
            yield f"{world.clock()}: {rate} $/h of {limit} with {len(alive)} machines"

    def _under_floor(self, ticked: Ticked) -> Iterable[str]:
        """A worker that is drained by choice leaves as many as must be kept, ready or coming."""
        nodes = ticked.state.nodes.values()
        for kind in self.settings.kinds:
            staying = sum(
                worker.shape == kind.name
                for node in nodes
                if is_staying(node)
                for worker in node.request.workers
            )
            chosen = [
                node.node_id
                for node in nodes
                if node.phase is Phase.CORDONED
                and node.phase_since == ticked.snapshot.at
                and node.drain is not None
                and node.drain.is_voluntary
            ]
            if chosen and staying < kind.minimum:
                yield f"{ticked.snapshot.at}: {staying} of {kind.name}, and {chosen} go by choice"

    def _lost_by_choice(self, world: World) -> Iterable[str]:
        """Workers that we ended or retired, and results or running tasks that went with them."""
        machines = {machine.machine_id: machine for machine in world.cloud.machines()}
        losses = world.cluster.losses
        new = list(losses)[self._losses_seen :]
        self._losses_seen = len(losses)
        for loss in new:
            node_id = machines[loss.machine_id].request.node_id
            if loss.cause in ("terminated", "retired") and self._was_choice(node_id, loss):
                yield f"{loss} of {node_id}, drained as {self.drains.get(node_id)}"

    def _was_choice(self, node_id: str, loss: Loss) -> bool:
        order = self.drains.get(node_id)
        if order is None:
            return True
        if order.must_end_by is not None or order.discard:
            return False
        # What still runs when the wait is over starts again; results are never given up.
        return loss.keys > 0 or order.is_voluntary


def _in_a_pause(ticked: Ticked) -> Iterable[str]:
    """What is decided although an operator has said that nothing is."""
    until, plan = ticked.state.control.paused_until, ticked.plan
    if until is None or ticked.snapshot.at >= until or plan is None:
        return
    for move in plan.moves:
        if isinstance(move, NewNode) or move.cause in (Cause.SURPLUS, Cause.DEARER):
            yield f"{ticked.snapshot.at}: {move} in a pause until {until}"


def double_launches(machines: Iterable[Machine]) -> list[str]:
    """Nodes and tokens that have more than one machine."""
    found = list(machines)
    nodes = Counter(f"node {machine.request.node_id}" for machine in found)
    tokens = Counter(f"token {machine.request.token}" for machine in found)
    return [f"{name} has {count} machines" for name, count in (nodes + tokens).items() if count > 1]


def orphans(world: World, nodes: Iterable[Node]) -> list[str]:
    """Machines that run and that no node alive knows of."""
    known = {node.provider_id for node in nodes if node.phase is not Phase.GONE}
    return [
        machine.machine_id
        for machine in world.cloud.machines()
        if machine.ended is None and machine.machine_id not in known
    ]


def unwritten(world: World, nodes: Iterable[Node]) -> list[str]:
    """Machines of ours that run although no launch of theirs is on disk: what was in memory is
    lost, and nothing that was done before it was written may be."""
    tokens = {node.token for node in nodes}
    return [
        f"{machine.machine_id} of {machine.request.node_id} was launched before it was written"
        for machine in world.cloud.machines()
        if machine.ended is None
        and machine.request.cluster == world.provider.cluster
        and machine.request.token not in tokens
    ]


def left_cordoned(world: World, nodes: Iterable[Node]) -> list[str]:
    """Workers that nobody wants to leave, and that take no tasks."""
    workers = world.cluster.scheduler.workers
    return [
        f"{name} takes no tasks, and {node.node_id} is to stay"
        for node in nodes
        if is_staying(node)
        for name in node.workers
        if name in workers and not workers[name].takes_tasks
    ]


def ledger_against_bill(
    world: World, entries: Iterable[LedgerEntry], *, allowed_usd: Decimal = Decimal(0)
) -> list[str]:
    """Nodes whose entries overlap, or do not add up to the cloud's bill.

    Each entry may be off by its rounding, and each node by `allowed_usd` besides.
    """
    by_node: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        # A machine that came after a refusal is one of its own to us, and not to the cloud.
        by_node[entry.node_id.removesuffix("-late")].append(entry)
    broken = []
    for line in world.cloud.bill():
        mine = by_node.pop(line.node_id, [])
        usd = sum((entry.usd for entry in mine), Decimal(0))
        if abs(usd - line.usd) > ENTRY_USD * (len(mine) + 1) + allowed_usd:
            seconds = (line.end - line.start) / MICROS
            broken.append(f"{line.node_id}: ledger {usd}, bill {line.usd} for {seconds} s")
        ordered = sorted((entry for entry in mine if entry.usd > 0), key=lambda e: e.start)
        overlaps = [b for a, b in pairwise(ordered) if b.start < a.end]
        broken += [f"{line.node_id}: overlaps at {entry.start}" for entry in overlaps]
    broken += [f"{node_id}: in the ledger, and never billed" for node_id in by_node]
    return broken
