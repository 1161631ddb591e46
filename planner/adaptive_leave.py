"""Who leaves a Dask cluster that is adapted, and who stays though it is idle.

    short   = wanted - here, if positive; then nothing leaves
    else    idle machines leave when their time is over, when what runs will outlast it, or where
            fewer were enough for a while of steady work, as each of many is never idle for long
            then; the longest idle first. Busy ones leave where more are here than the work can
            occupy. Never so that fewer than `wanted` stay
    here > limit: machines leave until it is kept, whatever they do, the cheapest to empty first

A machine that must not be emptied now (a collective, a shuffle, an actor, a seceded task) stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from costplan.planner.adaptive import Aim, Decision, Machine, Terms, boot_seconds
from costplan.planner.drain import binding, drain_usd, mean_running_seconds
from costplan.planner.holding import (
    BOOT_FACTOR,
    NO_FEW,
    few,
    hold_seconds,
    is_within,
    most_threads,
    share_of,
)
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, WorkerLoad

STEPS = 2
"""Idle workers are let go in so many steps before any pause is known: each is a scaling event."""
SETTLED = 1.25
"""The most that could be occupied of late is at most so many times what can be now, and one more,
where it has stopped falling fast."""
NO_PRICE = Decimal(1)
"""Where no price is known all workers cost the same, and only their order is asked for."""


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


def window_seconds(terms: Terms) -> float:
    """For how long of uninterrupted work fewer workers must have been enough before the others
    leave: the target, in which all work is to be done anyway."""
    return max(float(terms.scaling.target_seconds), terms.least_hold_seconds)


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
        self._few = NO_FEW
        if learnt.idle_since is not None:
            self._few = few(learnt.bursts, self._boot, float(terms.scaling.target_seconds))

    def nobody_there(self) -> bool:
        """True where all who were connected have left."""
        load = self._load
        return load.clients == 0 and load.clients_gone_since is not None

    def hold(self, share: float = 1.0, boots: float = BOOT_FACTOR) -> float:
        """Seconds that an idle machine is kept."""
        if self.nobody_there():
            return 0.0
        most = float(self._terms.scaling.idle_seconds)
        found = hold_seconds(self._boot, self._learnt.idle_gaps, most, share, boots)
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
        # While the most that could be occupied still falls fast, each look would find some more.
        has_settled = aim.recently <= SETTLED * aim.useful + 1
        spare = here - max(aim.wanted, aim.recently) if has_settled else 0
        few_of_them = self._last_to_go(machines, self._few.threads)
        kept = self._last_to_go(machines, self._most_in_pause())
        for machine in self._free(machines):
            if machine.size > left:
                continue
            own = (
                self.hold(boots=self._few.boots)
                if machine in few_of_them
                else self._hold_of(machine)
            )
            reason = self._time_is_over(machine, own, is_kept=machine in kept, busy=busy)
            if not reason and machine.size <= spare and self._idle_seconds(machine) is not None:
                reason = "fewer have been enough for a while of steady work"
            if reason:
                left -= machine.size
                spare -= machine.size
                if machine.is_ready and self._idle_seconds(machine) is None:
                    busy -= machine.size
                why[machine.names[0]] = reason
                yield machine

    def _most_in_pause(self) -> float:
        """Threads that bursts like the last ones occupy well, or that are worth new ones."""
        if self._learnt.idle_since is None:
            return math.inf
        return max(self._few.threads, most_threads(self._learnt.bursts, self._learnt.idle_gaps))

    def _time_is_over(self, machine: Machine, own: float, *, is_kept: bool, busy: int) -> str:
        """Why a machine may leave now, '' where it stays."""
        if not machine.is_ready:
            return "nobody is left to want it" if self.nobody_there() else ""
        seconds = self._idle_seconds(machine)
        if seconds is None:
            spare = busy >= machine.size and self._is_long_surplus(machine)
            return "others can do its work" if spare else ""
        if seconds >= own:
            return f"idle for {seconds:.1f} s, kept for {own:.1f} s"
        if seconds + self._soonest >= max(own, BOOT_FACTOR * self._boot):
            return f"idle for {seconds:.1f} s, and what runs still takes {self._soonest:.1f} s"
        return "" if is_kept else "fewer are enough for bursts like the last ones"

    def _is_long_surplus(self, machine: Machine) -> bool:
        since = self._learnt.surplus_since.get("worker")
        held = self._hold_of(machine)
        return since is not None and (self._now - since).total_seconds() >= max(held, self._boot)

    def _last_to_go(self, machines: Sequence[Machine], most: float) -> set[Machine]:
        """The machines that go after all others, with so many threads at most, or the last one."""
        found: set[Machine] = set()
        threads = 0.0
        for machine in reversed(self._free(machines)):
            ours = float(machine.size * self._terms.kind.threads)
            if is_within(threads, ours, most):
                found.add(machine)
                threads += ours
        return found
