"""How many workers a Dask cluster should have now, and which may leave: for a cluster object that
makes its own workers of one kind, as `costplan.adapters.dask.CostAwareAdaptive` adapts them.

What the work asks for is `sizing`'s answer and how long idle ones are kept is `holding`'s, as in
the daemon. A machine here is whatever ends as one: a worker, a job with several, or all workers of
a `worker_key`. It counts by the workers that it has or will have.

    floor   = minimum, or a gang's width where that is more
    limit   = maximum, and what the caps pay for where that is less
    wanted  = the work's workers, at least the floor and at most the limit
    short   = wanted - here, if positive; then nothing leaves
    else    idle machines leave when their time is over or what runs will outlast it, longest idle
            first, busy ones where more are here than the work can occupy, and never so that fewer
            than `wanted` stay
    here > limit: machines leave until it is kept, whatever they do, the cheapest to empty first

A machine that must not be emptied now (a collective, a shuffle, an actor, a seceded task) stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from costplan.planner.drain import binding, drain_usd, mean_running_seconds
from costplan.planner.holding import BOOT_FACTOR, hold_seconds, most_threads, share_of
from costplan.planner.learn import from_load, surplus_since
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.settings import Scaling, WorkerKind
from costplan.planner.sizing import Question, Staffing, sizes
from costplan.planner.tick import Waiting

STEPS = 2
"""Idle workers are let go in so many steps before any pause is known: each is a scaling event."""
DEADLINE_SHARE = 0.8
"""Of the time until a deadline work is planned for; the rest is for what nobody foresaw."""
NO_PRICE = Decimal(1)
"""Where no price is known all workers cost the same, and only their order is asked for."""
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
    """`wanted` workers should be here; `useful` could be occupied, and more than `limit` (None:
    any number) must not stay."""

    wanted: int
    useful: int
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
    return Asked(
        wanted=demand.wanted,
        useful=demand.useful,
        reason=demand.reason,
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


def decide(
    load: Load,
    machines: Sequence[Machine],
    learnt: Learnt,
    terms: Terms,
    aim: Aim,
    now: datetime,
) -> Decision:
    """What to do for an aim; see the head of this file."""
    here = sum(m.size for m in machines)
    if aim.wanted > here:
        return Decision(short=aim.wanted - here)
    view = _View(load, learnt, terms, now)
    why: dict[str, str] = {}
    over = 0 if aim.limit is None else here - aim.limit
    leaving = list(view.over_limit(machines, over))
    if not leaving:
        leaving = list(view.surplus(machines, aim, why))
    return Decision(
        leave=tuple(m for m in leaving if m.is_ready),
        cancel=tuple(m for m in leaving if not m.is_ready),
        hold_seconds=view.hold(),
        why=why,
    )


def soonest_end_seconds(load: Load) -> float:
    """Seconds until the first of the tasks that run ends, as far as can be told; 0 where none runs
    or some wait for a worker.

    Who waits for them all asks for nothing new before, so an idle worker has nothing to do until
    then. One of a mean m that has run for a still takes m - a; one of which no like has finished,
    or that has outlived the mean, as long again as it has run.

    Example: means of 30 s, the oldest runs for 10 s: 20 s.
    """
    found = []
    for group in load.groups:
        if group.queued - group.unrunnable > 0:
            return 0.0
        if group.running:
            age, mean = group.longest_running_seconds or 0.0, group.mean_task_seconds
            found.append(age if mean is None or mean <= age else mean - age)
    return min(found, default=0.0)


def to_shrink(
    load: Load,
    machines: Sequence[Machine],
    learnt: Learnt,
    terms: Terms,
    workers: int,
    now: datetime,
) -> tuple[Machine, ...]:
    """The machines that go where somebody wants so many workers fewer, whatever they do."""
    return tuple(_View(load, learnt, terms, now).over_limit(machines, workers))


class _View:
    """One moment of a cluster, asked for machines that may leave."""

    def __init__(self, load: Load, learnt: Learnt, terms: Terms, now: datetime) -> None:
        self._load, self._learnt, self._terms, self._now = load, learnt, terms, now
        self._boot = boot_seconds(learnt, terms)
        self._running = mean_running_seconds(load.groups)
        self._usd = terms.usd_per_hour or NO_PRICE
        self._soonest = soonest_end_seconds(load)

    def nobody_there(self) -> bool:
        """True where all who were connected have left."""
        load = self._load
        return load.clients == 0 and load.clients_gone_since is not None

    def hold(self, share: float = 1.0) -> float:
        """Seconds that an idle machine is kept."""
        if self.nobody_there():
            return 0.0
        most = float(self._terms.scaling.idle_seconds)
        found = hold_seconds(self._boot, self._learnt.idle_gaps, most, share)
        return max(found, self._terms.least_hold_seconds)

    def _hold_of(self, machine: Machine) -> float:
        return self.hold(math.ceil(share_of(machine.number) * STEPS) / STEPS)

    def _there(self, machine: Machine) -> list[WorkerLoad]:
        workers = self._load.workers
        return [workers[name] for name in machine.workers if name in workers]

    def _idle_seconds(self, machine: Machine) -> float | None:
        """For how long all workers of a machine have had nothing to do; None while one has."""
        since = [None if w.is_busy else w.idle_since for w in self._there(machine)]
        known = [at for at in since if at is not None]
        if not known or len(known) < len(since):
            return None
        return max(0.0, (self._now - max(known)).total_seconds())

    def _cost(self, machine: Machine) -> tuple[bool, Decimal, float, str]:
        """The order in which machines go: those to come, then the cheapest to empty, idle longest;
        names decide the rest."""
        there = self._there(machine)
        usd, _ = drain_usd(there, self._usd, self._running)
        again = Decimal(repr(sum(w.recompute_seconds for w in there))) * self._usd / 3600
        idle = self._idle_seconds(machine)
        return machine.is_ready, usd + again, -(idle or 0.0), machine.names[0]

    def _free(self, machines: Sequence[Machine]) -> list[Machine]:
        """Machines that may leave, in the order in which they go."""
        found = [m for m in machines if not m.stays and not binding(self._there(m))]
        return sorted(found, key=self._cost)

    def over_limit(self, machines: Sequence[Machine], workers: int) -> Iterator[Machine]:
        """The first to go, until so many workers fewer are here; one of several goes whole."""
        for machine in self._free(machines):
            if workers <= 0:
                return
            workers -= machine.size
            yield machine

    def surplus(
        self, machines: Sequence[Machine], aim: Aim, why: dict[str, str]
    ) -> Iterator[Machine]:
        """Machines whose time is over: idle ones, and where none is idle such as do something
        that others could do as well."""
        here = sum(m.size for m in machines)
        left = here - aim.wanted
        resting = sum(m.size for m in machines if self._idle_seconds(m) is not None)
        busy = here - max(aim.wanted, min(aim.useful, here)) - resting
        kept = self._kept_in_pause(machines)
        for machine in self._free(machines):
            if machine.size > left:
                continue
            reason = self._time_is_over(machine, is_kept=machine in kept, busy=busy)
            if reason:
                left -= machine.size
                if machine.is_ready and self._idle_seconds(machine) is None:
                    busy -= machine.size
                why[machine.names[0]] = reason
                yield machine

    def _time_is_over(self, machine: Machine, *, is_kept: bool, busy: int) -> str:
        """Why a machine may leave now, '' where it stays."""
        if not machine.is_ready:
            return "nobody is left to want it" if self.nobody_there() else ""
        seconds = self._idle_seconds(machine)
        if seconds is None:
            spare = busy >= machine.size and self._is_long_surplus(machine)
            return "others can do its work" if spare else ""
        own = self._hold_of(machine)
        if seconds >= own:
            return f"idle for {seconds:.1f} s, kept for {own:.1f} s"
        if seconds + self._soonest >= max(own, BOOT_FACTOR * self._boot):
            return f"idle for {seconds:.1f} s, and what runs still takes {self._soonest:.1f} s"
        return "" if is_kept else "fewer are enough for bursts like the last ones"

    def _is_long_surplus(self, machine: Machine) -> bool:
        since = self._learnt.surplus_since.get("worker")
        held = self._hold_of(machine)
        return since is not None and (self._now - since).total_seconds() >= max(held, self._boot)

    def _kept_in_pause(self, machines: Sequence[Machine]) -> set[Machine]:
        """Machines worth keeping through a pause: as many as bursts like the last ones occupy
        well, the last to go first."""
        most = math.inf
        if self._learnt.idle_since is not None:
            most = most_threads(self._learnt.bursts, self._learnt.idle_gaps)
        kept: set[Machine] = set()
        threads = 0.0
        for machine in reversed(self._free(machines)):
            ours = machine.size * self._terms.kind.threads
            if not kept or threads + ours <= most:
                kept.add(machine)
                threads += ours
        return kept


def demand_text(asked: Asked, limit: int | None, limited_by: str, wanted: int) -> str:
    """'4 workers: 20 s of work in 40 tasks within 5 s'."""
    text = f"{wanted} worker{'s' * (wanted != 1)}: {asked.reason}"
    if limit is not None and asked.wanted > limit:
        text += f"; {asked.wanted} would do, {limited_by} allows {limit}"
    return text
