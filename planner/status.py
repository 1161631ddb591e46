"""What runs and why, at a moment, from what the store has: the same for a terminal and a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from costplan.planner.accrual import running_usd
from costplan.planner.charges import whole_meters, whole_quotes
from costplan.planner.delivered import Deliveries
from costplan.planner.held.account import paid_since
from costplan.planner.load import Load
from costplan.planner.nodes import Node
from costplan.planner.settings import Settings
from costplan.planner.spending import spent_in_month, spent_on_day
from costplan.planner.standing import COMING, EMPTYING, is_alive
from costplan.planner.tick import Control, HeldUse, MovePlan, State, Waiting
from costplan.planner.types import Gap, Mode, OfferKey, Phase, Quote

_RUNNING = frozenset({Phase.BOOTING, Phase.READY, Phase.CORDONED, Phase.RETIRING})
"""Phases of a machine that is certainly there and stays for now."""

PAID = _RUNNING | {Phase.TERMINATING}
"""Phases of a machine that is certainly there, and so is paid for."""

_DRAINING = frozenset({*EMPTYING, Phase.TERMINATING})
_ORDER = tuple(Phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTick:
    """The newest tick of the store: when, what it could do, and what it did not know."""

    tick_id: str
    at: datetime
    mode: Mode
    gaps: tuple[Gap, ...]
    quotes: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may act on the cluster, and until when without saying so again."""

    holder: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """Nodes of one offer in one phase. `usd_per_hour` is of all, None where a price is unknown."""

    key: OfferKey
    phase: Phase
    nodes: int
    workers: int
    usd_per_hour: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One node that is not gone; `why` is the cause of its phase."""

    node_id: str
    key: OfferKey
    phase: Phase
    since: datetime
    workers: int
    usd_per_hour: Decimal | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """Tasks of one prefix over all their needs; seconds are None where nobody knows."""

    prefix: str
    queued: int
    running: int
    waiting: int
    unrunnable: int
    mean_task_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """Dollars used of a limit; `limit_usd` is None where there is none."""

    name: str
    used_usd: Decimal
    limit_usd: Decimal | None

    @property
    def left_usd(self) -> Decimal | None:
        """What may still be spent; below zero where it is overdrawn."""
        return None if self.limit_usd is None else self.limit_usd - self.used_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything that `costplan status` shows.

    `is_alive` is true while somebody holds the lease. `workers_joined` are those that the
    scheduler knew at `load_at`. `next_look_at` and `next_plan_at` are None where nobody will.
    """

    at: datetime
    cluster: str
    lease: Lease | None
    is_alive: bool
    last: LastTick | None
    fleet: tuple[FleetRow, ...]
    machines: tuple[NodeRow, ...]
    usd_per_hour: Decimal
    unpriced_nodes: int
    nodes: int
    coming: int
    draining: int
    workers_expected: int
    workers_joined: int | None
    load_at: datetime | None
    clients: int | None
    tasks: tuple[TaskRow, ...]
    waiting: tuple[Waiting, ...]
    budget: tuple[BudgetRow, ...]
    spent_usd: Decimal
    plan: MovePlan | None
    next_look_at: datetime | None
    next_plan_at: datetime | None
    control: Control
    held: HeldUse | None = None
    deliveries: Deliveries = Deliveries()


def status_of(
    state: State,
    settings: Settings | None,
    *,
    lease: Lease | None,
    last: LastTick | None,
    now: datetime,
) -> Status:
    """The status at `now`; without settings limits and cadence are not known and left out."""
    quotes = () if last is None else last.quotes
    if settings is not None:
        quotes = whole_quotes(quotes, settings.extras)
        meters = whole_meters(state.meters, state.nodes, settings.extras)
        state = replace(state, meters=meters)
    nodes = [node for node in state.nodes.values() if is_alive(node)]
    prices = _prices(state, quotes)
    fleet = _fleet(nodes, prices)
    priced = [
        prices[node.node_id] for node in nodes if node.node_id in prices and node.phase in PAID
    ]
    holds = lease is not None and lease.expires_at > now
    ahead: tuple[datetime | None, datetime | None] = (None, None)
    if settings is not None and holds and last is not None:
        ahead = (_next_look(last, settings), _next_plan(state.plan, settings, now))
    load = state.load
    return Status(
        at=now,
        cluster="" if settings is None else settings.cluster,
        lease=lease,
        is_alive=holds,
        last=last,
        fleet=fleet,
        machines=tuple(_row(node, prices) for node in sorted(nodes, key=lambda n: n.node_id)),
        usd_per_hour=sum(priced, Decimal(0)),
        unpriced_nodes=sum(n.phase in PAID and n.node_id not in prices for n in nodes),
        nodes=len(nodes),
        coming=sum(node.phase in COMING for node in nodes),
        draining=sum(node.phase in _DRAINING for node in nodes),
        workers_expected=sum(len(node.workers) for node in nodes if node.phase in _RUNNING),
        workers_joined=None if load is None else len(load.workers),
        load_at=None if load is None else load.at,
        clients=None if load is None else load.clients,
        tasks=task_rows(load),
        waiting=() if state.plan is None else state.plan.waiting,
        budget=_budget(state, settings, sum(priced, Decimal(0)) - state.paid_usd_per_hour, now),
        spent_usd=state.spent_usd + running_usd(state.nodes, state.meters, now),
        plan=state.plan,
        next_look_at=ahead[0],
        next_plan_at=ahead[1],
        control=state.control,
        held=state.held,
    )


def _prices(state: State, quotes: Iterable[Quote]) -> Mapping[str, Decimal]:
    """Dollars an hour by node: of its meter, else the quote of its offer, else not there."""
    quoted = {quote.key: quote.usd_per_hour for quote in quotes}
    prices = {
        node_id: quoted[node.key] for node_id, node in state.nodes.items() if node.key in quoted
    }
    return prices | {node_id: meter.usd_per_hour for node_id, meter in state.meters.items()}


def _fleet(nodes: Iterable[Node], prices: Mapping[str, Decimal]) -> tuple[FleetRow, ...]:
    groups: dict[tuple[OfferKey, Phase], list[Node]] = {}
    for node in nodes:
        groups.setdefault((node.key, node.phase), []).append(node)
    rows = []
    for (key, phase), alike in groups.items():
        known = [prices.get(node.node_id) for node in alike]
        dollars = [price for price in known if price is not None]
        row = FleetRow(
            key=key,
            phase=phase,
            nodes=len(alike),
            workers=sum(len(node.workers) for node in alike),
            usd_per_hour=sum(dollars, Decimal(0)) if len(dollars) == len(known) else None,
        )
        rows.append(row)
    return tuple(sorted(rows, key=lambda row: (row.key, _ORDER.index(row.phase))))


def _row(node: Node, prices: Mapping[str, Decimal]) -> NodeRow:
    return NodeRow(
        node_id=node.node_id,
        key=node.key,
        phase=node.phase,
        since=node.phase_since,
        workers=len(node.workers),
        usd_per_hour=prices.get(node.node_id),
        why=node.history[-1][2] if node.history else "",
    )


def task_rows(load: Load | None) -> tuple[TaskRow, ...]:
    """Tasks by prefix, those with most to do first; prefixes with nothing to do are left out."""
    if load is None:
        return ()
    groups: dict[str, list[int]] = {}
    seconds: dict[str, list[tuple[int, float]]] = {}
    for group in load.groups:
        counts = groups.setdefault(group.prefix, [0, 0, 0, 0])
        of_group = (group.queued, group.running, group.waiting, group.unrunnable)
        for place, count in enumerate(of_group):
            counts[place] += count
        if group.mean_task_seconds is not None:
            means = seconds.setdefault(group.prefix, [])
            means.append((group.observed_tasks, group.mean_task_seconds))
    rows = [
        TaskRow(
            prefix=prefix,
            queued=counts[0],
            running=counts[1],
            waiting=counts[2],
            unrunnable=counts[3],
            mean_task_seconds=_mean(seconds.get(prefix, ())),
        )
        for prefix, counts in groups.items()
        if any(counts)
    ]
    return tuple(sorted(rows, key=lambda r: (-(r.queued + r.running), -r.waiting, r.prefix)))


def _mean(observed: Sequence[tuple[int, float]]) -> float | None:
    tasks = sum(count for count, _ in observed)
    return sum(count * mean for count, mean in observed) / tasks if tasks else None


def _budget(
    state: State, settings: Settings | None, usd_per_hour: Decimal, now: datetime
) -> tuple[BudgetRow, ...]:
    """Rate, today and this month in UTC: the ledger's own days, and what runs since its last
    entries, less what commitments paid."""
    limits = None if settings is None else settings.budget
    running = running_usd(state.nodes, state.meters, now)
    paid = paid_since(state, now)
    day = spent_on_day(state.spent_by_day, now) + running - spent_on_day(paid, now)
    month = spent_in_month(state.spent_by_day, now) + running - spent_in_month(paid, now)
    of_hour, of_day, of_month = (
        (None, None, None)
        if limits is None
        else (limits.usd_per_hour, limits.usd_per_day, limits.usd_per_month)
    )
    return (
        BudgetRow(name="hour", used_usd=usd_per_hour, limit_usd=of_hour),
        BudgetRow(name="day", used_usd=day, limit_usd=of_day),
        BudgetRow(name="month", used_usd=month, limit_usd=of_month),
    )


def _next_look(last: LastTick, settings: Settings) -> datetime:
    return last.at + timedelta(seconds=settings.cadence.observe_seconds)


def _next_plan(plan: MovePlan | None, settings: Settings, now: datetime) -> datetime:
    """When the cadence asks for a plan; an event asks earlier."""
    every = timedelta(seconds=settings.cadence.plan_seconds)
    return now if plan is None else plan.created_at + every
