"""Reconcile, second half: a step of every node towards what is wanted of it, as actions.

Level-triggered: an action is said again at every tick until the world shows that it happened, and
every action may be said again without harm. A node's phase changes with the tick that first
issues the action, so that what is on disk is never behind what was done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from costplan.planner.asking import may_be_asked
from costplan.planner.drain import binding, loads_of, node_drain_seconds
from costplan.planner.learn import REJOIN_SECONDS, is_reborn
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.nodes import Cause, DrainOrder, Node, Notice
from costplan.planner.phases import enter
from costplan.planner.recall import is_heirless
from costplan.planner.settings import Settings
from costplan.planner.tick import (
    Action,
    ActionOutcome,
    Control,
    Cordon,
    Launch,
    Outcome,
    Retire,
    Terminate,
    Uncordon,
)
from costplan.planner.types import Phase

REFUSED_SECONDS = 300
RESERVE_FACTOR = 1.5
"""An estimate of a drain may be off by so much before a notice's deadline is missed."""
_REBORN = "its scheduler was born again, knows nothing of the drain and gives it tasks"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a step looks at besides the nodes. `load` is None where it is too old to rest on.

    A load that `is_seen` is the one of the tick before. What is `learnt` says how many launches
    may be under way to a pool, and whether the scheduler has just been born again.
    """

    load: Load | None
    outcomes: tuple[ActionOutcome, ...]
    settings: Settings
    now: datetime
    is_seen: bool = False
    learnt: Learnt = Learnt()


def order_notices(
    nodes: Mapping[str, Node], notices: Sequence[Notice], world: World
) -> dict[str, Node]:
    """Nodes that a cloud will take get a drain order with its deadline, the earliest that is known
    of each; a rebalance hint none."""
    found = dict(nodes)
    by_id = {n.provider_id: n for n in nodes.values() if n.provider_id is not None}
    for notice in sorted(notices, key=lambda n: (n.effective_at, n.provider_id)):
        node = by_id.get(notice.provider_id)
        if node is None or notice.kind == "rebalance" or node.phase not in _DRAINABLE:
            continue
        known = None if node.drain is None else node.drain.must_end_by
        if known is not None and known <= notice.effective_at:
            continue
        reserve = RESERVE_FACTOR * node_drain_seconds(loads_of(node, world.load))
        token = node.drain.token if node.drain else f"{node.node_id}-notice"
        order = DrainOrder(
            token=token,
            cause=Cause.NOTICE,
            ordered_at=world.now,
            wait_until=max(world.now, notice.effective_at - timedelta(seconds=reserve)),
            must_end_by=notice.effective_at,
            discard=node.drain is not None and node.drain.discard,
        )
        found[node.node_id] = replace(node, drain=order)
    return found


_INSISTENT = (Cause.OPERATOR, Cause.DOWN, Cause.BOOT_FAILED)
"""What an operator wants is not called off: it stays cordoned, and is asked again. So is what lets
a machine go that will never be whole."""
_DRAINABLE = (Phase.BOOTING, Phase.READY, Phase.CORDONED, Phase.RETIRING)


def order_control(nodes: Mapping[str, Node], control: Control, world: World) -> dict[str, Node]:
    """Nodes that the operator wants gone get an order; their running tasks are waited for."""
    found = dict(nodes)
    if not control.down and not control.drains:
        return found
    asked = {request.node_id: request for request in control.drains}
    for node_id, node in nodes.items():
        if node.phase is Phase.GONE or not (control.down or node_id in asked):
            continue
        discard = (control.down_discard if control.down else asked[node_id].discard) or (
            node.drain is not None and node.drain.discard
        )
        cause = Cause.DOWN if control.down else Cause.OPERATOR
        order = node.drain
        if order is not None and order.cause is cause and order.discard == discard:
            continue
        if order is not None and order.must_end_by is not None and not discard:
            continue
        wait = timedelta(seconds=0 if discard else world.settings.scaling.drain_wait_seconds)
        found[node_id] = replace(
            node,
            drain=DrainOrder(
                token=f"{node_id}-{cause}",
                cause=cause,
                ordered_at=world.now,
                wait_until=world.now + wait,
                must_end_by=None if order is None else order.must_end_by,
                discard=discard,
            ),
        )
    return found


def step(nodes: Mapping[str, Node], world: World) -> tuple[dict[str, Node], tuple[Action, ...]]:
    """Every node one step on, and what is to be done for it, in the order of node ids.

    Nodes that are cordoned in the same tick for the same cause go in one call, so that none is
    copied to another that goes too.
    """
    found: dict[str, Node] = {}
    actions: list[Action] = []
    cordon: list[Node] = []
    asked = may_be_asked(nodes, world.learnt, world.now)
    for node_id in sorted(nodes):
        node = nodes[node_id]
        if node.phase is Phase.INTENDED and node.drain is None and node_id not in asked:
            found[node_id] = node
            continue
        node, action = _step(node, nodes, world)
        found[node_id] = node
        if isinstance(action, Cordon):
            cordon.append(node)
        elif action is not None:
            actions.append(action)
    if cordon:
        actions.append(_cordon(cordon))
    return found, tuple(actions)


def _cordon(nodes: Sequence[Node]) -> Cordon:
    return Cordon(
        node_ids=tuple(node.node_id for node in nodes),
        workers=tuple(name for node in nodes for name in node.workers),
        token=min(node.drain.token for node in nodes if node.drain is not None),
    )


def _step(  # noqa: PLR0911 - a return a phase
    node: Node, nodes: Mapping[str, Node], world: World
) -> tuple[Node, Action | None]:
    match node.phase:
        case Phase.INTENDED:
            if node.drain is not None:
                return enter(
                    node, Phase.GONE, world.now, "called off before it was asked for"
                ), None
            node = enter(node, Phase.REQUESTED, world.now, "asked for")
            return _asked(node)
        case Phase.REQUESTED | Phase.UNCERTAIN:
            return _asked(node)
        case Phase.BOOTING:
            return _booting(node, world)
        case Phase.READY:
            return _ready(node, nodes, world)
        case Phase.CORDONED:
            return _cordoned(node, world)
        case Phase.RETIRING:
            return _retiring(node, world)
        case Phase.TERMINATING:
            return node, _terminate(node)
        case _:
            return node, None


def _asked(node: Node) -> tuple[Node, Action]:
    return (
        replace(node, attempts=node.attempts + 1),
        Launch(node_id=node.node_id, request=node.request),
    )


def _terminate(node: Node) -> Action | None:
    if node.provider_id is None:
        return None
    return Terminate(node_id=node.node_id, provider_id=node.provider_id)


def _ending(node: Node, now: datetime, cause: str) -> tuple[Node, Action | None]:
    node = enter(node, Phase.TERMINATING, now, cause)
    return node, _terminate(node)


def _booting(node: Node, world: World) -> tuple[Node, Action | None]:
    """A machine that never joins is given up, emptied first where some of its workers did; one
    that is ordered away and holds nothing ends."""
    order = node.drain
    if world.load is None and (order is None or not (node.workers or order.discard)):
        # Of an adopted one without workers nobody knows yet what it does.
        return node, None
    if order is not None:
        return _emptied(node, world, _why(node))
    limit = world.settings.scaling.boot_timeout_seconds
    if not node.workers:
        if (world.now - node.phase_since).total_seconds() < limit:
            return node, None  # `strangers` say so: it may boot, or be another daemon's
        return _ending(node, world.now, f"adopted, and none of its workers came in {limit} s")
    age = (world.now - (node.launched_at or node.phase_since)).total_seconds()
    if age >= limit and not is_reborn(world.learnt, world.now):
        there, names = loads_of(node, world.load), node.workers
        what = f"{len(names) - len(there)} of its {len(names)}" if there else "its"
        return _emptied(_given_up(node, world), world, f"{what} workers did not join in {limit} s")
    return node, None


def _emptied(node: Node, world: World, cause: str) -> tuple[Node, Action | None]:
    """Cordoned where the scheduler knows workers of it, which may hold results; ended otherwise."""
    if not loads_of(node, world.load):
        return _ending(node, world.now, cause)
    node = enter(node, Phase.CORDONED, world.now, cause)
    return node, _cordon([node])


def _given_up(node: Node, world: World) -> Node:
    wait = timedelta(seconds=world.settings.scaling.drain_wait_seconds)
    order = DrainOrder(
        token=f"{node.node_id}-boot",
        cause=Cause.BOOT_FAILED,
        ordered_at=world.now,
        wait_until=world.now + wait,
    )
    return replace(node, drain=order)


def _ready(node: Node, nodes: Mapping[str, Node], world: World) -> tuple[Node, Action | None]:
    order = node.drain
    if order is None:
        return _called_back(node, world)
    if is_heirless(order, nodes):
        return replace(node, drain=None), None
    if any(nodes[heir].phase is not Phase.READY for heir in order.after):
        return node, None
    if order.is_voluntary:
        if world.load is None:
            return node, None
        if binding(loads_of(node, world.load)):
            # What binds it came after the order was given; the next plan looks again.
            return replace(node, drain=None), None
    node = enter(replace(node, is_called_back=False), Phase.CORDONED, world.now, _why(node))
    return node, _cordon([node])


def _called_back(node: Node, world: World) -> tuple[Node, Action | None]:
    """Says again that the workers take tasks, until the scheduler has heard it."""
    if not node.is_called_back:
        return node, None
    heard = any(
        isinstance(ended.action, Uncordon)
        and node.node_id in ended.action.node_ids
        and ended.outcome is Outcome.DONE
        for ended in world.outcomes
    )
    if heard:
        return replace(node, is_called_back=False), None
    return node, Uncordon(node_ids=(node.node_id,), workers=node.workers)


def _cordoned(node: Node, world: World) -> tuple[Node, Action | None]:  # noqa: PLR0911 - a return a way out
    """Waits for what runs, then lets the workers go; by choice never breaks off what runs."""
    order = node.drain
    if order is None:
        return _take_back(node, world, "called off: the work came back")
    if world.load is None:
        if order.discard:
            return _ending(node, world.now, "ended by the operator's word, unseen")
        return node, None
    there = loads_of(node, world.load)
    if not there:
        return _left(node, world)
    if order.is_voluntary and _had_another_scheduler(node, world):
        return _call_off(node, world, _REBORN, REJOIN_SECONDS)
    runs = sum(w.executing + w.long_running for w in there)
    bound = binding(there)
    if order.is_voluntary and world.is_seen:
        # It may be from before the cordon, and tasks have come meanwhile.
        return node, None
    if not runs and not bound:
        return _retire(enter(node, Phase.RETIRING, world.now, "nothing runs on it"))
    if order.discard or (order.must_end_by is not None and world.now >= order.wait_until):
        cause = "the wait is over" if not order.discard else "the operator lets results go"
        return _retire(enter(node, Phase.RETIRING, world.now, cause))
    if world.now >= order.wait_until and order.cause not in _INSISTENT:
        what = bound or ("a task still runs" if runs == 1 else f"{runs} tasks still run")
        return _call_off(node, world, f"{what} after the wait; asked again later")
    if any(worker.status == "running" for worker in there):
        return node, _cordon([node])
    return node, None


def _had_another_scheduler(node: Node, world: World) -> bool:
    """True while workers may only not be back yet, as their scheduler is younger than they are."""
    at = world.learnt.reborn_at
    is_older = at is not None and (node.ready_at is None or node.ready_at < at)
    return is_older and is_reborn(world.learnt, world.now)


def _call_off(
    node: Node, world: World, cause: str, seconds: float = REFUSED_SECONDS
) -> tuple[Node, Action]:
    """A drain that cannot be done is not asked for again for a while."""
    later = world.now + timedelta(seconds=seconds)
    return _take_back(replace(node, refused_until=later), world, cause)


def _take_back(node: Node, world: World, cause: str) -> tuple[Node, Action]:
    node = enter(replace(node, drain=None, is_called_back=True), Phase.READY, world.now, cause)
    return node, Uncordon(node_ids=(node.node_id,), workers=node.workers)


def _retire(node: Node) -> tuple[Node, Action]:
    order = node.drain
    token = order.token if order is not None else f"{node.node_id}-drain"
    forced = order is not None and (order.discard or order.must_end_by is not None)
    return node, Retire(
        node_ids=(node.node_id,), workers=node.workers, token=token, is_forced=forced
    )


def _retiring(node: Node, world: World) -> tuple[Node, Action | None]:  # noqa: PLR0911 - a return a way out
    """Ends the machine once every worker left with nothing lost; a refusal stands unless forced."""
    order = node.drain
    if order is None:
        return _call_off(node, world, "called off")
    last = _last_retired(node, world.outcomes)
    if last is not None and last.retired is not None:
        left = set(last.retired.done) | set(last.retired.lost)
        if left >= set(node.workers):
            lost = f", {len(last.retired.lost)} lost on the way" if last.retired.lost else ""
            return _ending(node, world.now, f"its workers have left{lost}")
        refused = sorted(set(last.retired.refused) & set(node.workers))
        if refused:
            reason = last.retired.refused[refused[0]]
            if order.discard:
                return _ending(node, world.now, f"the operator lets results go: {reason}")
            if order.must_end_by is None and order.cause not in _INSISTENT:
                return _call_off(node, world, f"refused: {reason}")
    if world.load is None:
        if order.discard:
            return _ending(node, world.now, "ended by the operator's word, unseen")
        return node, None
    if not loads_of(node, world.load):
        return _left(node, world)
    if order.is_voluntary and _had_another_scheduler(node, world):
        return _call_off(node, world, _REBORN, REJOIN_SECONDS)
    return _retire(node)


def _left(node: Node, world: World) -> tuple[Node, Action | None]:
    """Ends a machine whose workers the scheduler does not know any more."""
    if _had_another_scheduler(node, world) and not (node.drain and node.drain.discard):
        return node, None
    return _ending(node, world.now, "its workers have left")


def _last_retired(node: Node, outcomes: Sequence[ActionOutcome]) -> ActionOutcome | None:
    return next(
        (
            ended
            for ended in reversed(outcomes)
            if isinstance(ended.action, Retire)
            and node.node_id in ended.action.node_ids
            and ended.outcome is Outcome.DONE
        ),
        None,
    )


def _why(node: Node) -> str:
    order = node.drain
    if order is None:
        return "no order"
    if order.must_end_by is not None:
        return f"{order.cause}: it ends at {order.must_end_by:%H:%M:%S}"
    return str(order.cause)
