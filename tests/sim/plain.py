"""A plain controller in the place of `planner.loop`: it tries the harness out, not the planner.

It buys one kind of machine by the number of tasks, drains what has been idle for two minutes, and
may be told to be careless, so that tests can show that the checks see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.guard import Policy
from costplan.planner.ledger import LedgerEntry, Meter, Use
from costplan.planner.load import Load
from costplan.planner.needs import Needs
from costplan.planner.nodes import (
    Cause,
    DrainOrder,
    LaunchRequest,
    MachineState,
    Node,
    ProviderNode,
    WorkerSpec,
)
from costplan.planner.settings import Settings
from costplan.planner.tick import (
    Action,
    Cordon,
    Launch,
    MovePlan,
    Readings,
    Retire,
    Snapshot,
    State,
    Terminate,
)
from costplan.planner.types import Mode, OfferKey, Phase

_IDLE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class PlainTicked:
    """What a tick hands back."""

    state: State
    snapshot: Snapshot
    actions: tuple[Action, ...]
    entries: tuple[LedgerEntry, ...]
    plan: MovePlan | None = None
    needs: Needs = Needs(demand=(), waiting=(), target={}, here={}, kept={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The controller: the offer it buys, at most how many, and what it is careless about."""

    key: OfferKey
    most: int = 20
    asks_anew: bool = False
    ends_without_drain: bool = False
    forgets_to_charge: bool = False

    def __call__(
        self,
        readings: Readings,
        state: State,
        settings: Settings,
        policies: Sequence[Policy],
        *,
        replan: bool,
    ) -> PlainTicked:
        """One tick."""
        del policies, replan
        now, load = readings.at, readings.load
        nodes = dict(state.nodes)
        launches, actions = state.launches, list[Action]()
        if readings.machines is not None:
            nodes = {n.node_id: _listed(n, readings.machines, now) for n in nodes.values()}
        if load is not None:
            nodes = {n.node_id: self._drained(n, load, now) for n in nodes.values()}
            wanted = min(self.most, -(-sum(g.queued + g.running for g in load.groups) // 4))
            for _ in range(wanted - sum(node.phase is not Phase.GONE for node in nodes.values())):
                launches += 1
                node = self._intended(launches, settings, now)
                nodes[node.node_id] = node
        for node in nodes.values():
            if self.asks_anew and node.phase is Phase.REQUESTED and now > node.phase_since:
                launches += 1
                again = replace(node.request, token=f"again-{launches}")
                actions.append(Launch(node_id=node.node_id, request=again))
            else:
                actions.extend(_actions(node))
        entries, meters = self._charged(readings, state)
        return PlainTicked(
            state=replace(
                state,
                nodes=MappingProxyType(nodes),
                launches=launches,
                meters=MappingProxyType(meters),
            ),
            snapshot=_snapshot(readings, nodes),
            actions=tuple(actions),
            entries=tuple(entries),
        )

    def _intended(self, number: int, settings: Settings, now: datetime) -> Node:
        kind = settings.kinds[0]
        worker = WorkerSpec(
            name=f"p{number}-0",
            shape=kind.name,
            threads=kind.threads,
            memory_bytes=kind.need.memory_bytes,
            resources={},
        )
        request = LaunchRequest(
            token=f"plain-{number}",
            node_id=f"p{number}",
            cluster=settings.cluster,
            keys=(self.key,),
            workers=(worker,),
            tags={},
        )
        return Node(
            node_id=request.node_id,
            key=self.key,
            resources=kind.need,
            phase=Phase.REQUESTED,
            phase_since=now,
            workload=settings.workload,
            request=request,
        )

    def _drained(self, node: Node, load: Load, now: datetime) -> Node:
        there = [load.workers[name] for name in node.workers if name in load.workers]
        busy = any(worker.is_busy for worker in there)
        idle = [worker.idle_since for worker in there if worker.idle_since is not None]
        phase, changed = node.phase, dict[str, object]()
        match phase:
            case Phase.BOOTING if there:
                changed = {"phase": Phase.READY, "ready_at": now}
            case Phase.READY if not there or (self.ends_without_drain and now.minute % 10 == 0):
                changed = {"phase": Phase.TERMINATING}
            case Phase.READY if not busy and (now - max(idle)).total_seconds() > _IDLE_SECONDS:
                order = DrainOrder(
                    token=f"drain-{node.node_id}",
                    cause=Cause.SURPLUS,
                    ordered_at=now,
                    wait_until=now + timedelta(hours=1),
                )
                changed = {"phase": Phase.CORDONED, "drain": order}
            case Phase.CORDONED if not busy:
                changed = {"phase": Phase.RETIRING}
            case Phase.RETIRING if not there:
                changed = {"phase": Phase.TERMINATING}
        return replace(node, **changed)  # type: ignore[arg-type]

    def _charged(
        self, readings: Readings, state: State
    ) -> tuple[list[LedgerEntry], dict[str, Meter]]:
        meters, entries = dict(state.meters), list[LedgerEntry]()
        if readings.machines is None:
            return entries, meters
        rates = {quote.key: quote.usd_per_hour for quote in readings.quotes}
        for machine in readings.machines:
            name = machine.node_id or machine.provider_id
            rate = rates.get(machine.key)
            meter = meters.get(name)
            if meter is None and rate is not None:
                meter = Meter(
                    until=machine.launched_at,
                    busy_seconds=0.0,
                    usd_per_hour=rate,
                    rate_source="sim",
                )
            if meter is not None:
                end = machine.ended_at or readings.at
                entries += list(_entries(machine, meter, end)) * (not self.forgets_to_charge)
                latest = meter.usd_per_hour if rate is None else rate
                meters[name] = replace(meter, until=max(end, meter.until), usd_per_hour=latest)
        return entries, meters


def _entries(machine: ProviderNode, meter: Meter, end: datetime) -> Iterator[LedgerEntry]:
    if end > meter.until:
        seconds = Decimal((end - meter.until) // timedelta(microseconds=1)) / 1_000_000
        yield LedgerEntry(
            node_id=machine.node_id or machine.provider_id,
            key=machine.key,
            start=meter.until,
            end=end,
            usd=(meter.usd_per_hour * seconds / 3600).quantize(Decimal("1e-12")),
            usd_per_hour=meter.usd_per_hour,
            kind="usage",
            use=Use.READY,
            busy_seconds=0.0,
            thread_seconds=0.0,
            rate_source=meter.rate_source,
            workload="",
        )


def _listed(node: Node, machines: Sequence[ProviderNode], now: datetime) -> Node:
    machine = next((m for m in machines if m.token == node.token), None)
    if machine is None:
        is_out = node.phase not in (Phase.REQUESTED, Phase.GONE)
        return replace(node, phase=Phase.GONE) if is_out else node
    if machine.state is MachineState.ENDED:
        return replace(node, phase=Phase.GONE, ended_at=machine.ended_at)
    if node.phase is Phase.REQUESTED:
        return replace(node, phase=Phase.BOOTING, provider_id=machine.provider_id)
    return node


def _actions(node: Node) -> Iterator[Action]:
    match node.phase:
        case Phase.REQUESTED:
            yield Launch(node_id=node.node_id, request=node.request)
        case Phase.CORDONED:
            yield Cordon(node_ids=(node.node_id,), workers=node.workers, token="t")  # noqa: S106
        case Phase.RETIRING:
            yield Retire(node_ids=(node.node_id,), workers=node.workers, token="t")  # noqa: S106
        case Phase.TERMINATING if node.provider_id is not None:
            yield Terminate(node_id=node.node_id, provider_id=node.provider_id)


def _snapshot(readings: Readings, nodes: dict[str, Node]) -> Snapshot:
    return Snapshot(
        at=readings.at,
        nodes=tuple(nodes.values()),
        load=readings.load,
        offers=readings.offers,
        quotes=readings.quotes,
        notices=readings.notices or (),
        gaps=readings.gaps,
        mode=Mode.FULL,
        spent_usd=Decimal(0),
        digest="",
    )
