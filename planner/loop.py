"""One function is the program: what was read and what is remembered in, what to do out.

The daemon calls it on a cadence and on events, the simulator on a virtual clock, `replay` on what
was stored. It has no clock, no dice and no I/O: the same inputs give the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from costplan.planner.accrual import accrue, is_settled
from costplan.planner.applied import applied_moves
from costplan.planner.asking import called_off, from_outcomes
from costplan.planner.capacity import from_answers
from costplan.planner.charges import whole_meters, whole_quotes, with_charges
from costplan.planner.due import by_deadline, with_deadline
from costplan.planner.fleet_view import Asset, assets
from costplan.planner.guard import GuardView, Policy, apply
from costplan.planner.held.account import paid_since
from costplan.planner.held.fleet import HeldNow, held_now, paid_assets
from costplan.planner.held.report import commitment_used
from costplan.planner.held.wants import wants_of
from costplan.planner.launching import order_drains, with_new_nodes
from costplan.planner.learn import (
    from_boots,
    from_exchanges,
    from_load,
    surplus_since,
)
from costplan.planner.learnt import Learnt
from costplan.planner.ledger import LedgerEntry, Meter
from costplan.planner.ledger_facts import with_facts
from costplan.planner.load import Load
from costplan.planner.market import buyable
from costplan.planner.moves import plan_moves
from costplan.planner.needs import Needs, briefly, needs, surplus
from costplan.planner.nodes import Node
from costplan.planner.price_trust import trusted
from costplan.planner.recall import keep_without_heirs, recalled
from costplan.planner.reconcile import (
    World,
    order_control,
    order_notices,
    step,
)
from costplan.planner.reflect import counted_anew, reflect
from costplan.planner.remains import clear_away
from costplan.planner.settings import Settings
from costplan.planner.snapshot import assemble, total, with_recent_list
from costplan.planner.spending import add_by_day
from costplan.planner.spot_risk import believed, from_exposure
from costplan.planner.standing import is_alive
from costplan.planner.tick import Action, Control, HeldUse, MovePlan, Readings, Snapshot, State
from costplan.planner.types import Mode, Phase

ACCRUE_EVERY_SECONDS = 900
KEEP_GONE_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """What a tick came to. `actions` are to be executed once `state` is on disk; `plan` is None
    where nothing asked for a new one. `ended` are nodes that the state no longer carries."""

    tick_id: str
    state: State
    snapshot: Snapshot
    plan: MovePlan | None
    needs: Needs
    actions: tuple[Action, ...]
    entries: tuple[LedgerEntry, ...]


def tick(
    readings: Readings,
    state: State,
    settings: Settings,
    policies: Sequence[Policy],
    *,
    replan: bool,
) -> Ticked:
    """One tick. A plan is made when asked for, and when the fleet is not what is needed."""
    readings = trusted(with_recent_list(readings, settings), state, settings)
    settings = by_deadline(_within_account(settings, readings), readings.at)
    now = readings.at
    nodes = reflect(counted_anew(state, readings), readings, settings)
    learnt = _learnt(state, nodes, readings, settings)
    meters = whole_meters(state.meters, state.nodes, settings.extras)
    state_now = replace(state, learnt=learnt, meters=meters)
    seen = replace(readings, quotes=whole_quotes(readings.quotes, settings.extras))
    held, use = _held(settings, readings, state, nodes.values())
    snapshot = assemble(seen, nodes, state_now, settings, held)
    learnt = from_load(learnt, snapshot.load, now)
    world = World(
        load=snapshot.load,
        outcomes=readings.outcomes,
        settings=settings,
        now=now,
        is_seen=_is_seen(snapshot.load, state.load),
        learnt=learnt,
    )
    nodes = order_notices(nodes, snapshot.notices, world)
    nodes = order_control(nodes, state.control, world)
    nodes = called_off(nodes, learnt, now, _why_held(snapshot.mode, state.control, now))
    nodes = keep_without_heirs(nodes)
    offers = buyable(snapshot.offers, learnt.refused, now)
    quotes = believed(snapshot.quotes, learnt)

    holding = briefly(settings, learnt) if readings.outlook else settings

    def look() -> tuple[tuple[Asset, ...], Needs]:
        fleet = assets(nodes.values(), snapshot.load, quotes, meters, settings, now)
        if held is not None:
            fleet = paid_assets(fleet, held)
        return fleet, with_deadline(
            needs(snapshot.load, fleet, offers, learnt, holding, now), settings.scaling, now
        )

    fleet, wanted = look()
    back = recalled(nodes, wanted.short, {kind.name: kind for kind in settings.kinds})
    if any(back[node_id] is not node for node_id, node in nodes.items()):
        nodes = back
        fleet, wanted = look()
    snapshot = replace(snapshot, nodes=tuple(nodes[n] for n in sorted(nodes)))
    learnt = surplus_since(learnt, surplus(wanted.demand), now)
    state_now = replace(state_now, learnt=learnt, nodes=MappingProxyType(nodes))
    key = _plan_key(wanted, state_now, readings)
    plan = None
    if (
        not state.control.down
        and snapshot.mode is not Mode.OBSERVE
        and (
            replan
            or state.control.applied is not None
            or (not wanted.is_met and key != state.plan_key)
        )
    ):
        made = applied_moves(snapshot, state_now, settings, fleet, wanted) or plan_moves(
            replace(snapshot, quotes=quotes), state_now, settings, fleet, wanted, held
        )
        use = _wanting(use, held, settings, fleet, wanted)
        made = replace(made, held=use)
        view = GuardView(snapshot=snapshot, state=state_now, settings=settings)
        plan = apply(policies, made, view)
        learnt = from_exchanges(learnt, plan, nodes, settings, now)
        nodes, launches = with_new_nodes(nodes, plan, snapshot, state.launches, settings)
        nodes = order_drains(nodes, plan, settings, now)
    else:
        launches = state.launches
    nodes, actions = step(nodes, world)
    actions = (*actions, *clear_away(readings.machines or (), nodes))
    entries, meters = accrue(
        nodes, state.meters, readings, last_load=state.load, every_seconds=ACCRUE_EVERY_SECONDS
    )
    entries = with_facts(
        with_charges(entries, settings.extras), nodes, readings.quotes, settings.account
    )
    after = replace(
        state,
        nodes=MappingProxyType(_remembered(nodes, meters, now)),
        meters=meters,
        learnt=learnt,
        load=readings.load or state.load,
        plan=plan or state.plan,
        launches=launches,
        spent_usd=state.spent_usd + total(entry.usd for entry in entries),
        spent_by_day=add_by_day(state.spent_by_day, entries, now),
        paid_by_day=paid_since(state, now),
        paid_usd_per_hour=total(snapshot.paid_usd.values()),
        held=use,
        at=now,
        plan_key=key if plan is not None or wanted.is_met else state.plan_key,
    )
    return Ticked(
        tick_id=f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}-{snapshot.digest[:8]}",
        state=after,
        snapshot=snapshot,
        plan=plan,
        needs=wanted,
        actions=() if snapshot.mode is Mode.OBSERVE else actions,
        entries=entries,
    )


def _learnt(
    state: State, nodes: Mapping[str, Node], readings: Readings, settings: Settings
) -> Learnt:
    """What is known after the outcomes, and after what the machines went through."""
    learnt = from_outcomes(state.learnt, readings.outcomes, settings, readings.at)
    learnt = from_boots(learnt, state.nodes, nodes)
    learnt = from_exposure(learnt, state.nodes, readings, state.at)
    return from_answers(learnt, readings.outcomes, state.nodes, readings)


def _held(
    settings: Settings, readings: Readings, state: State, nodes: Iterable[Node]
) -> tuple[HeldNow | None, HeldUse | None]:
    """What commitments pay of the nodes that are there or were asked for, and as it is told."""
    there = [node for node in nodes if is_alive(node)]
    held = held_now(
        settings.held, there, readings.offers, readings.quotes, readings.at, readings.leases
    )
    return held, _held_use(held, readings, state)


def _wanting(
    use: HeldUse | None,
    held: HeldNow | None,
    settings: Settings,
    fleet: Sequence[Asset],
    wanted: Needs,
) -> HeldUse | None:
    """What is used of commitments, with what more could be, where they are shared."""
    if use is None or held is None or not use.is_shared:
        return use
    return replace(use, wants=MappingProxyType(wants_of(held, settings, fleet, wanted.short)))


def _held_use(held: HeldNow | None, readings: Readings, state: State) -> HeldUse | None:
    if held is None:
        return None
    return HeldUse(
        pays_usd_per_hour=total(held.paid_usd.values()),
        uses=tuple(map(commitment_used, held.uses)),
        is_shared=readings.leases is not None,
        gaps=held.gaps,
        wants=MappingProxyType({}) if state.held is None else state.held.wants,
    )


def _within_account(settings: Settings, readings: Readings) -> Settings:
    """The settings, with what the account may have beside the limits of the file: both hold."""
    if not readings.quotas:
        return settings
    limits = settings.limits
    both = (*limits.quotas, *readings.quotas)
    return replace(settings, limits=replace(limits, quotas=both))


def _is_seen(load: Load | None, last: Load | None) -> bool:
    """True where a load is the one of the last tick, and says nothing of what came since."""
    return load is not None and last is not None and load.at == last.at


def _why_held(mode: Mode, control: Control, now: datetime) -> str:
    """Why nothing is asked for now that was intended before, '' where it is."""
    if control.paused_until is not None and now < control.paused_until:
        return "paused by the operator"
    return "nobody may act" if mode is Mode.OBSERVE else ""


def _plan_key(wanted: Needs, state: State, readings: Readings) -> str:
    """What a plan rests on: asked again with the same, it would say the same."""
    refused = tuple(sorted(state.learnt.refused))
    alive = "|".join(
        f"{node_id},{node.phase.value},{node.drain is None}"
        for node_id, node in sorted(state.nodes.items())
        if node.phase is not Phase.GONE
    )
    paused = state.control.paused_until
    text = repr((sorted(wanted.target.items()), sorted(wanted.here.items()), refused, paused,
                 alive, readings.market_digest, readings.quotas))  # fmt: skip
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remembered(
    nodes: Mapping[str, Node], meters: Mapping[str, Meter], now: datetime
) -> dict[str, Node]:
    """Nodes without those that are long gone and accounted for; the store keeps their history."""
    return {
        node_id: node
        for node_id, node in nodes.items()
        if node.phase is not Phase.GONE
        or not is_settled(node, meters)
        or (now - node.phase_since).total_seconds() < KEEP_GONE_SECONDS
    }
