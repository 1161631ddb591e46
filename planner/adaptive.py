"""How many workers a Dask cluster should have now, and which may leave: for a cluster object that
makes its own workers of one kind, as `costplan.adapters.dask.CostAwareAdaptive` adapts them.

What the work asks for is `sizing`'s answer and how long idle ones are kept is `holding`'s, as in
the daemon. A machine here is whatever ends as one: a worker, a job with several, or all workers of
a `worker_key`. It counts by the workers that it has or will have.

    floor   = minimum, or a gang's width where that is more
    limit   = maximum, and what the caps pay for where that is less
    wanted  = the work's workers, at least the floor and at most the limit

What follows from that, and who leaves, is in `adaptive_leave.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from costplan.planner.drain import drain_usd, mean_running_seconds
from costplan.planner.learn import from_load, surplus_since
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.settings import Scaling, WorkerKind
from costplan.planner.sizing import Question, Staffing, grows_with_age, sizes
from costplan.planner.tick import Waiting

DEADLINE_SHARE = 0.8
"""Of the time until a deadline work is planned for; the rest is for what nobody foresaw."""
MOST_BOOTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What leaves as one. `names` are entries of the cluster's plan, `workers` those that have
    joined, by the scheduler's names, `size` how many there are when all have.

    `number` places it among others, as `holding.share_of` does. `stays` says why it may not be
    asked to leave, '' where it may.
    """

    names: tuple[str, ...]
    workers: tuple[str, ...]
    size: int
    asked_at: datetime
    number: int
    stays: str = ""

    @property
    def is_ready(self) -> bool:
        """True once a worker of it has joined."""
        return bool(self.workers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a person wants of one cluster. Dollars are of one worker for an hour; None is unknown.

    `gang` workers are to be there where any work is. Idle ones stay for `least_hold_seconds` at
    least. Of `usd_left` (None: no cap) the machines that are here are paid too.
    """

    kind: WorkerKind
    scaling: Scaling
    boot_guess_seconds: float
    least_hold_seconds: float = 0.0
    deadline: datetime | None = None
    gang: int = 0
    usd_per_hour: Decimal | None = None
    cap_usd_per_hour: Decimal | None = None
    usd_left: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Workers that the work asks for, how many it can occupy, and why; tasks that no worker of
    this cluster will ever run are in `waiting`, and nothing is bought for them."""

    wanted: int
    useful: int
    reason: str
    waiting: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """`wanted` workers should be here; `useful` could be occupied now and `recently` at most, while
    there was work all the time; more than `limit` (None: any number) must not stay."""

    wanted: int
    useful: int
    recently: int
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`short` workers are to be asked for, or the machines of `leave` are to be emptied and those
    of `cancel`, which have not joined, given up; each in the order in which they go."""

    short: int = 0
    leave: tuple[Machine, ...] = ()
    cancel: tuple[Machine, ...] = ()
    hold_seconds: float = 0.0
    why: Mapping[str, str] = field(default_factory=dict[str, str])


def boot_seconds(learnt: Learnt, terms: Terms) -> float:
    """The median of the boots that were seen, the guess before any."""
    seen = sorted(learnt.boot_seconds)
    return seen[len(seen) // 2] if seen else terms.boot_guess_seconds


def with_boots(learnt: Learnt, seconds: Sequence[float]) -> Learnt:
    """What is learnt, with boots that have just ended."""
    if not seconds:
        return learnt
    return replace(learnt, boot_seconds=(*learnt.boot_seconds, *seconds)[-MOST_BOOTS:])


def with_load(learnt: Learnt, load: Load, asked: Asked, ready: int, now: datetime) -> Learnt:
    """What is learnt, with the pauses and durations of a load, and since when there are too
    many workers."""
    learnt = from_load(learnt, load, now)
    return surplus_since(learnt, {"worker": ready > max(asked.wanted, asked.useful)}, now)


def target_seconds(terms: Terms, boot: float, now: datetime) -> float:
    """Seconds that the work may take: the target, or until a deadline where that is later.

    Example: a deadline in 1,000 s and boots of 50 s: 0.8 x 1,000 - 50 = 750 s.
    """
    target = float(terms.scaling.target_seconds)
    if terms.deadline is None:
        return target
    left = DEADLINE_SHARE * (terms.deadline - now).total_seconds() - boot
    return max(target, left)


def asked_by_work(
    load: Load, machines: Sequence[Machine], learnt: Learnt, terms: Terms, now: datetime
) -> Asked:
    """What the tasks of a load ask for, without floors and limits."""
    boot = boot_seconds(learnt, terms)
    ready = sum(len(m.workers) for m in machines)
    coming = [(m.size - len(m.workers), m) for m in machines if m.size > len(m.workers)]
    count = sum(workers for workers, _ in coming)
    left = sum(n * max(0.0, boot - (now - m.asked_at).total_seconds()) for n, m in coming)
    staff = Staffing(ready=ready, coming=count, coming_seconds=left / count if count else 0.0)
    seconds = math.ceil(target_seconds(terms, boot, now))
    found = sizes(
        Question(
            load=load,
            kinds=(replace(terms.kind, name="worker", minimum=0, maximum=None),),
            scaling=replace(terms.scaling, target_seconds=seconds),
            learnt=learnt,
            staff={"worker": staff},
            boot_seconds=boot,
            missing={},
        )
    )
    (demand,) = found.demand
    wanted, reason = demand.wanted, demand.reason
    here = ready + count
    # Else each look would ask for some more, while a guess of durations grows with their age.
    if here < wanted < min(2 * here, demand.useful) and grows_with_age(load, learnt, terms.scaling):
        most = min(2 * here, demand.useful)
        wanted, reason = here, f"{reason}; more are asked for once that makes {most} workers"
    if not wanted and any(worker.managed_bytes for worker in load.workers.values()):
        wanted, reason = 1, "results are held"
    return Asked(
        wanted=wanted,
        useful=demand.useful,
        reason=reason,
        waiting=_never_run(found.waiting, load, terms.kind),
    )


def _never_run(waiting: Sequence[Waiting], load: Load, kind: WorkerKind) -> tuple[Waiting, ...]:
    """Tasks that wait for what no worker has. What workers that are here already can run, though
    no new one could, does not wait."""
    stuck = {(g.prefix, *sorted(g.need.items())) for g in load.groups if g.unrunnable}
    return tuple(
        replace(w, reason=_lacking(w.need, kind) or w.reason)
        for w in waiting
        if (w.prefix, *sorted(w.need.items())) in stuck
    )


def _lacking(need: Mapping[str, float], kind: WorkerKind) -> str:
    """What a new worker lacks of a need, '' where it lacks nothing."""
    lacking = [
        f"{name}={amount:g}"
        for name, amount in sorted(need.items())
        if kind.resources.get(name, 0.0) < amount
    ]
    if not lacking:
        return ""
    what = " and ".join(lacking)
    return f"new workers of this cluster have no {what} (if they have, say so in worker_resources)"


def limit_of(here: int, terms: Terms, learnt: Learnt, load: Load | None) -> tuple[int | None, str]:
    """The most workers that may be here, and what says so; None is no limit.

    `here` are those that are paid for now, the leaving ones included. A total is spent by those
    that are here first: new ones are asked for only where it pays them for a boot and the target
    too, and all leave when no more is left than emptying them costs.

    Example: $0.10 an hour each and a cap of $0.35 an hour: 3.
    """
    limit, reason = terms.kind.maximum, f"the maximum of {terms.kind.maximum}"
    usd = terms.usd_per_hour
    if usd is None or usd <= 0:
        return limit, reason
    if terms.cap_usd_per_hour is not None:
        affordable = int(terms.cap_usd_per_hour / usd)
        if limit is None or affordable < limit:
            limit, reason = affordable, f"the cap of {terms.cap_usd_per_hour} USD/h"
    if terms.usd_left is not None:
        boot = boot_seconds(learnt, terms)
        total = _for_total(here, usd, terms.usd_left, boot + terms.scaling.target_seconds, load)
        if limit is None or total < limit:
            limit, reason = total, "the cap on all that is spent"
    return limit, reason


def _for_total(here: int, usd: Decimal, left: Decimal, seconds: float, load: Load | None) -> int:
    """Workers that a rest of money pays for; none where it pays only for emptying those here."""
    emptying = Decimal(0)
    if load is not None:
        running = mean_running_seconds(load.groups)
        emptying = sum(
            (drain_usd((w,), usd, running)[0] for w in load.workers.values()), Decimal(0)
        )
    if left <= emptying:
        return 0
    affordable = int(left / (usd * Decimal(repr(seconds)) / 3600))
    return max(affordable, here)


def wanted_workers(asked: int, terms: Terms, limit: int | None) -> int:
    """Workers that should be here: what is asked for, within floor and limit. A gang is wanted
    whole, as soon as anything is."""
    floor = max(terms.kind.minimum, terms.gang if asked else 0)
    wanted = max(asked, floor)
    return wanted if limit is None else min(wanted, limit)


def demand_text(asked: Asked, limit: int | None, limited_by: str, wanted: int) -> str:
    """'4 workers: 20 s of work in 40 tasks within 5 s'."""
    text = f"{wanted} worker{'s' * (wanted != 1)}: {asked.reason}"
    if limit is not None and asked.wanted > limit:
        text += f"; {asked.wanted} would do, {limited_by} allows {limit}"
    return text
