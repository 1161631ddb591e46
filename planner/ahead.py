"""Demand to come over steps of time, and what a plan for it asks of the fleet now.

The first step is as long as a boot, so that what is launched now works from the second one on;
that lasts as long as the next plan is away, and the others grow evenly to the end of the look.
What an outlook says of its own steps is spread over these as a mean.

A worker that is not there when demand comes costs f times what the cheapest one does, for as long
as it is missing. Having one more than is needed costs 1, having one too few f - 1, so the demand
that pays for itself is the quantile 1 - 1/f (the newsvendor's): of f = 3, what is not exceeded in
two cases of three. Demand of the moment is another matter; it has its full price elsewhere.

Money over time: what is left of a day's and a month's budget is spread evenly over the time left
of it, as the guard of the budget has it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from statistics import median

import numpy as np

from costplan.planner.buying import Column
from costplan.planner.holding import most_threads
from costplan.planner.horizon.model import Horizon, Memory, Running, Window, sizes_of
from costplan.planner.known_work import task_seconds_left
from costplan.planner.learn import boots_of_offer
from costplan.planner.learnt import Learnt
from costplan.planner.needs import nobody_there
from costplan.planner.optimize.problem import Floats, Ints, Limit, Problem
from costplan.planner.optimize.transition import Item
from costplan.planner.outlook import Outlook
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.spending import day_end, month_end
from costplan.planner.tick import Snapshot
from costplan.planner.transition_question import TransitionQuestion, refusal_usd
from costplan.planner.types import Market, OfferKey
from costplan.planner.units import SECONDS_PER_HOUR

MOST_STEPS = 24
STEP_SECONDS = 300.0
"""Pauses that are longer are seen by an outlook."""
LONG_BURST = 4.0
"""Work that goes on for so many of the longest burst seen does not come in bursts any more."""
LEAST_STEP_SECONDS = 60.0
MOST_WORKERS = 1_000_000
LEAST_USD = 1e-9
_SHARE_ROWS = ("firm", "pool")
"""Rows that the steps do not have: a base is one of the fleet that works, pools are their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked at of an outlook: steps of `seconds` [T], and `workers` [T, S] of the kinds,
    whole, at the quantile `share`."""

    seconds: Floats
    workers: Ints
    share: float

    @property
    def most(self) -> Ints:
        """The most workers of each kind [S] in any step that new machines can work in."""
        most: Ints = self.workers[1:].max(axis=0)
        return most


def look(
    outlook: Outlook, boot: float, snapshot: Snapshot, learnt: Learnt, settings: Settings
) -> Look | None:
    """The steps from the snapshot on, None where the outlook does not reach beyond a boot."""
    now = snapshot.at
    past = max(0.0, (now - outlook.at).total_seconds())
    ends = outlook.ends_seconds[-1] if outlook.ends_seconds else 0
    span = min(float(settings.scaling.ahead_seconds), ends - past)
    first = max(boot, 1.0)
    if span < first + LEAST_STEP_SECONDS:
        return None
    second = max(LEAST_STEP_SECONDS, settings.cadence.plan_seconds)
    seconds = np.array([first, *steps_of(span - first, second)])
    share = quantile(settings)
    edges = past + np.concatenate([[0.0], np.cumsum(seconds)])
    worth = worth_threads(snapshot, learnt, settings)
    rows = [
        at_worth(_workers(outlook, kind, share, edges), worth / kind.threads, kind.minimum)
        for kind in settings.kinds
    ]
    return Look(seconds=seconds, workers=np.stack(rows, axis=1), share=share)


def worth_threads(snapshot: Snapshot, learnt: Learnt, settings: Settings) -> float:
    """Threads worth having all the time of those that work wants at the moment.

    None once nobody is there who could want them. Where work comes in bursts with pauses that are
    shorter than a step, which an outlook of means does not see, as many as those seen would keep
    busy; without a limit otherwise.
    """
    load = snapshot.load
    if load is None or nobody_there(load, settings, snapshot.at):
        return 0.0
    gaps, bursts = learnt.idle_gaps, learnt.bursts
    if not gaps or not bursts or median(gaps) >= STEP_SECONDS:
        return math.inf
    if learnt.idle_since is None:
        done = load.totals.busy_seconds - learnt.busy_before
        if done + task_seconds_left(load, learnt, settings) > LONG_BURST * max(bursts):
            return math.inf
    return most_threads(bursts, gaps)


def at_worth(workers: Ints, worth: float, least: int) -> Ints:
    """The demand [T] with no more than `worth` (and `least`) of what is like the first step's:
    that much comes and goes, and only what rises above it is there for longer.

    Example: 4, 4, 9, 1 with a worth of 2: 2, 2, 2 + 5, 1.
    """
    if math.isinf(worth):
        return workers
    like_now = int(workers[0])
    most = max(least, 1 if 0 < worth < 1 else math.floor(worth))
    found: Ints = np.minimum(workers, most) + np.maximum(workers - like_now, 0)
    return np.minimum(found, workers)


def quantile(settings: Settings) -> float:
    """The share of cases in which the demand that is planned for is not exceeded."""
    return 1.0 - 1.0 / settings.scaling.ahead_shortage


def steps_of(span: float, first: float) -> list[float]:
    """Lengths of the steps that fill `span`, the first so long and each longer by the same.

    Example: 600 s from steps of 100 s: six of 100 s, or as few as there is room for.
    """
    many = max(1, min(MOST_STEPS - 1, int(span // first)))
    if many == 1:
        return [span]
    more = max(0.0, 2 * (span - many * first) / (many * (many - 1)))
    lengths = [first + number * more for number in range(many)]
    scale = span / sum(lengths)
    return [length * scale for length in lengths]


def _workers(outlook: Outlook, kind: WorkerKind, share: float, edges: Floats) -> Ints:
    """Workers of a kind in the steps between `edges`, seconds after the outlook was made.

    What is no number, or below zero, is nothing that one could buy for.
    """
    most = MOST_WORKERS if kind.maximum is None else kind.maximum
    rows = outlook.workers.get(kind.name, ())
    if not rows or not rows[0]:
        return np.full(len(edges) - 1, min(kind.minimum, most), dtype=np.int64)
    ends = (0.0, *outlook.ends_seconds)
    summed = _worker_seconds(rows, outlook.shares, ends, share, float(most))
    mean = np.diff(np.interp(edges, ends, summed)) / np.diff(edges)
    whole: Ints = np.clip(np.floor(mean + 0.5).astype(np.int64), min(kind.minimum, most), most)
    return whole


@lru_cache(maxsize=64)  # plans look at an outlook several times until there is a new one
def _worker_seconds(
    rows: tuple[tuple[float, ...], ...],
    shares: tuple[float, ...],
    ends: tuple[float, ...],
    share: float,
    most: float,
) -> tuple[float, ...]:
    """Worker-seconds up to each of `ends` at a share between those of the rows, of which none is
    above `most`."""
    found = np.array(rows, dtype=np.float64)
    found = np.clip(np.where(np.isfinite(found), found, 0.0), 0.0, most)
    wanted = _at_share(share, shares, found)
    return (0.0, *np.cumsum(wanted * np.diff(ends)).tolist())


def _at_share(share: float, shares: Sequence[float], rows: Floats) -> Floats:
    """The row of quantiles between those of `shares` [Q]: np.interp for all columns at once."""
    place = bisect_right(shares, share) - 1
    if place < 0 or place + 1 >= len(shares) or shares[place] == share:
        found: Floats = rows[max(place, 0)]
        return found
    slope = (rows[place + 1] - rows[place]) / (shares[place + 1] - shares[place])
    between: Floats = slope * (share - shares[place]) + rows[place]
    return between


def lead_seconds(question: TransitionQuestion, learnt: Learnt, settings: Settings) -> float:
    """What a boot takes of the offers that are the cheapest for a worker of each kind: of several
    kinds the longest, of no offers at all that of any."""
    found = [0.0]
    for place in range(len(question.kinds)):
        cheapest = _cheapest(question.columns, question.kinds[place])
        if cheapest is not None:
            found.append(boots_of_offer(learnt, settings, str(cheapest.keys[0])))
    return max(found) or question.boot_hours * SECONDS_PER_HOUR


def _cheapest(columns: Sequence[Column], kind: str) -> Column | None:
    able = [column for column in columns if column.workers.get(kind)]
    # A worker that is missing is bought for money, once commitments are used up.
    able = [column for column in able if not column.paid_by] or able
    return min(able, key=_usd_per_worker, default=None)


def _usd_per_worker(column: Column) -> float:
    return column.expected_usd_per_hour / sum(column.workers.values())


def horizon_of(
    question: TransitionQuestion,
    items: Sequence[Item],
    seen: Look,
    snapshot: Snapshot,
    learnt: Learnt,
    settings: Settings,
) -> Horizon:
    """The groups of the fleet, and then the columns, over the steps; `items` are theirs.

    The demand of the moment is wanted for the first two steps. Nodes of a group are not had again
    once they are gone: what comes is a column.
    """
    hours, lead = seen.seconds / SECONDS_PER_HOUR, seen.seconds[0] / SECONDS_PER_HOUR
    demand = seen.workers.copy()
    demand[:2] = np.maximum(demand[:2], np.array(question.demand, dtype=np.int64))
    short = _shortage_usd(question, settings)
    problem = _problem(question, items, settings)
    groups = len(question.groups)
    covers = np.array([item.covers for item in items], dtype=np.float64)
    never = (1.0 + hours.sum()) * (covers @ short) + problem.price
    start = np.concatenate(
        [never[:groups], _start_usd(question, covers[groups:] @ short, snapshot, learnt, settings,
                                    seen)]
    )  # fmt: skip
    fleet = [len(group.assets) for group in question.groups]
    drains = [
        sum(float(asset.drain_usd) for asset in group.assets) / len(group.assets)
        for group in question.groups
    ]
    none = [0] * len(question.columns)
    return Horizon(
        problem=problem,
        hours=hours,
        demand=demand,
        shortage_usd=short,
        fleet=np.array([*fleet, *none], dtype=np.int64),
        start_usd=start,
        stop_usd=np.array([*drains, *none], dtype=np.float64),
        boot_hours=float(lead),
        windows=tuple(_windows(hours, snapshot, settings)),
        running=Running(
            classes=problem.klass, patterns=np.array([i.covers for i in items], dtype=np.int64)
        ),
    )


def everything(horizon: Horizon) -> Memory:
    """All offers with all they run, for a search that starts from the whole of a small problem."""
    running = horizon.running
    shapes = len(horizon.problem.needs)
    return Memory(
        classes=np.zeros(0, dtype=np.int64) if running is None else running.classes,
        patterns=np.zeros((0, shapes), dtype=np.int64) if running is None else running.patterns,
        used=0 if running is None else len(running.classes),
        offers=np.arange(horizon.problem.offers),
        scales=np.zeros((0, shapes)),
        earned=np.zeros((0, len(horizon.problem.capacity))),
        sizes=sizes_of(horizon.problem),
    )


def _shortage_usd(question: TransitionQuestion, settings: Settings) -> Floats:
    """Dollars an hour for a worker of each kind [S] that is not there for demand to come."""
    found = []
    for kind in question.kinds:
        column = _cheapest(question.columns, kind)
        running = [
            (group.assets[0].expected_usd_per_hour or 0.0) / sum(n for _, n in packing)
            for group in question.groups
            if (packing := group.assets[0].workers) and kind in dict(packing)
        ]
        usd = min(running, default=0.0) if column is None else _usd_per_worker(column)
        found.append(settings.scaling.ahead_shortage * max(usd, LEAST_USD))
    return np.array(found)


def _problem(question: TransitionQuestion, items: Sequence[Item], settings: Settings) -> Problem:
    """The groups and columns as offers; those that run the same workers are of one class, which
    has room for just these."""
    needs = np.array(
        [(k.need.vcpu_milli, k.need.memory_bytes, k.need.gpus) for k in settings.kinds],
        dtype=np.int64,
    )
    packings = sorted({item.covers for item in items})
    runs = np.array(packings, dtype=np.int64)
    place = {packing: number for number, packing in enumerate(packings)}
    assets = [group.assets[0] for group in question.groups]
    keys = [asset.node.key for asset in assets] + [c.keys[0] for c in question.columns]
    price = [float(asset.usd_per_hour or 0) for asset in assets]
    cost = [(asset.expected_usd_per_hour or 0.0) * question.stay_share for asset in assets]
    vcpu = [asset.node.resources.vcpu_milli / 1000 for asset in assets]
    vcpu += [column.resources.vcpu_milli / 1000 for column in question.columns]
    cost += [column.expected_usd_per_hour for column in question.columns]
    price += [float(column.usd_per_hour) for column in question.columns]
    many = len(items)
    return Problem(
        shape_names=question.kinds,
        needs=needs,
        count=np.zeros(len(needs), dtype=np.int64),
        capacity=runs @ needs,
        admits=runs > 0,
        row=np.arange(many),
        site=np.zeros(many, dtype=np.int64),
        sites=("",),
        klass=np.array([place[item.covers] for item in items], dtype=np.int64),
        cost=np.maximum(np.array(cost), LEAST_USD),
        price=np.maximum(np.array(price), LEAST_USD),
        site_usd=np.zeros(1),
        vcpu=np.maximum(np.array(vcpu), 1e-3),
        is_spot=np.array([key.market is Market.SPOT for key in keys], dtype=bool),
        limits=tuple(_limits(question, items)),
        pool_share=settings.market.pool_max_share,
    )


def _limits(question: TransitionQuestion, items: Sequence[Item]) -> Iterator[Limit]:
    for number, row in enumerate(question.rows):
        if row.kind not in _SHARE_ROWS:
            taken = np.array([item.rows.get(number, 0.0) for item in items])
            yield Limit(name=row.name, per_node=taken, most=row.most, unit=row.kind)


def _start_usd(
    question: TransitionQuestion,
    worth: Floats,
    snapshot: Snapshot,
    learnt: Learnt,
    settings: Settings,
    seen: Look,
) -> Floats:
    """What a launch of each column costs beside its boot: the rest of the least time that is
    billed or that a node lives, and being late where it boots longer than others; `worth` is an
    hour of its workers."""
    least = _least_seconds(question.columns, snapshot, settings)
    lead, shortest = float(seen.seconds[0]), float(seen.seconds.min())
    found = []
    for place, column in enumerate(question.columns):
        usd = float(column.usd_per_hour)
        unused = max(0.0, least[column.keys[0]] - lead - shortest)
        late = max(0.0, boots_of_offer(learnt, settings, str(column.keys[0])) - lead)
        beside = (usd * unused + (usd + float(worth[place])) * late) / SECONDS_PER_HOUR
        found.append(beside + refusal_usd(column, question))
    return np.array(found)


def _least_seconds(
    columns: Sequence[Column], snapshot: Snapshot, settings: Settings
) -> Mapping[OfferKey, float]:
    wanted = {column.keys[0] for column in columns}
    lives = float(settings.safety.min_node_seconds)
    return {
        offer.key: max(lives, float(offer.billing.minimum_seconds))
        for offer in snapshot.offers
        if offer.key in wanted
    }


def _windows(hours: Floats, snapshot: Snapshot, settings: Settings) -> Iterator[Window]:
    """What may be billed of each budget over the steps until it ends, and in its next term."""
    budget, now = settings.budget, snapshot.at
    begins = np.cumsum(hours) - hours
    for limit, spent, end in (
        (budget.usd_per_day, snapshot.spent_today_usd, day_end),
        (budget.usd_per_month, snapshot.spent_month_usd, month_end),
    ):
        if limit is None:
            continue
        left_hours = (end(now) - now) / timedelta(hours=1)
        stop = max(1, int(np.searchsorted(begins, left_hours - 1e-9)))
        left = float(max(Decimal(0), limit - spent))
        yield Window(first=0, stop=stop, usd=left * min(1.0, hours[:stop].sum() / left_hours))
        if stop < len(hours):
            term = (end(end(now)) - end(now)) / timedelta(hours=1)
            yield Window(first=stop, stop=len(hours), usd=float(limit) * hours[stop:].sum() / term)
