"""What a scheduler's hooks count: kinds of tasks, what they took, and what was done twice.

A kind is a prefix and what its tasks need. Dask keeps counts by prefix; here only tasks with
restrictions are counted (by key, while they are pending), and the others are the rest. The hooks
look at one task each and never walk any; `Counters.transition` runs for every transition of every
task, so it is written for speed. Nothing here imports Dask: a scheduler is handed in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from costplan.adapters.dask.kinds import PENDING, Kind, Need, Pending, Tracker
from costplan.adapters.dask.work_book import WorkBook

ANCESTORS_PER_KEY = 20
KNOWN_GANGS = {
    "fn": "xgboost",  # from 3.0 on
    "dispatched_train": "xgboost",  # before
    "_train_part": "lightgbm",
    "dispatch_with_ddp": "pytorch-ddp",
}
"""Prefixes of tasks that train together, and the library that names them so."""


class Counters:
    """Kinds, pending restricted tasks and totals of one scheduler, kept by its hooks."""

    def __init__(self, scheduler: Any, now: float) -> None:
        self.scheduler = scheduler
        self.kinds: dict[tuple[str, Need], Kind] = {}
        self.plain: dict[str, Kind] = {}
        self.special: dict[str, dict[Kind, None]] = defaultdict(dict)  # kinds counted by hand
        self.active: set[Any] = set()  # Dask's prefixes that had work since the last sample
        self.pending: dict[Any, Pending] = {}
        self.pins: dict[str, dict[str, int]] = defaultdict(dict)  # prefix -> address -> tasks
        self.bound: dict[str, int] = {}  # address -> pending tasks that may run nowhere else
        self.on_pin: Callable[[str], None] = _nothing
        self.trackers: dict[str, Tracker] = {}
        self.finished = self.erred = self.recomputed = self.restarted = 0
        self.recomputed_seconds = self.busy_seconds = 0.0
        self.book = WorkBook(now)
        self._fresh = self.book.fresh
        for state in scheduler.workers.values():
            self.trackers[state.address] = Tracker(state, now)
        for key, task in scheduler.tasks.items():  # once, where a scheduler is at work already
            if task.state in PENDING:
                self.active.add(task.group.prefix)
                self.restricted(key, task, task.state)
        self.transition = self._hook()

    def _hook(self) -> Callable[..., None]:
        """The transition hook, with what it needs in local names."""
        tasks, pending, active_add = self.scheduler.tasks, self.pending, self.active.add
        restricted, completed, again = self.restricted, self._completed, self._again
        over, pending_states = self._over, frozenset(PENDING)

        def transition(
            key: Any,
            start: str,
            finish: str,
            *_: Any,
            stimulus_id: str = "",
            startstops: Any = None,
            worker: str = "",
            **__: Any,
        ) -> None:
            if finish in pending_states:
                task = tasks.get(key)
                if task is None:
                    return
                if finish == "waiting":
                    active_add(task.group.prefix)
                    if task.nbytes >= 0:
                        again(task, stimulus_id)
                if (
                    task.resource_restrictions
                    or task.worker_restrictions
                    or task.host_restrictions
                    or (pending and key in pending)
                ):
                    restricted(key, task, finish)
                return
            if finish == "memory":
                if startstops:
                    task = tasks.get(key)
                    if task is not None:
                        completed(key, task, worker, startstops)
            elif finish == "erred" and start == "processing":
                self.erred += 1
            # Only a task that was counted while it was pending has to be taken out again.
            if pending and key in pending:
                over(key)

        return transition

    def kind_of(self, task: Any) -> Kind:
        """The kind of a task, made where it is the first of it."""
        prefix, needs = task.group.prefix.name, task.resource_restrictions
        if not needs:
            kind = self.plain.get(prefix)
            if kind is None:
                kind = self.plain[prefix] = self.kinds[prefix, ()] = Kind(prefix, ())
            return kind
        need = tuple(needs.items())
        if len(need) > 1:
            need = tuple(sorted(need))
        kind = self.kinds.get((prefix, need))
        if kind is None:
            kind = self.kinds[prefix, need] = Kind(prefix, need)
            self.special[prefix][kind] = None
        return kind

    def mean_of(self, task: Any) -> float:
        """Mean seconds of a task's kind, 0 where none has finished."""
        return self.kind_of(task).mean

    def remaking_seconds(self, task: Any) -> tuple[float, int]:
        """Mean seconds to make a result again, with the inputs that are gone, and tasks looked at.

        Follows at most twenty inputs. Data that was put there by hand costs 0: no task makes it.
        """
        if not task.dependencies:
            return self.mean_of(task), 1
        seconds, looked_at, todo = 0.0, 0, [task]
        seen = {task}
        while todo and looked_at < ANCESTORS_PER_KEY:
            one = todo.pop()
            looked_at += 1
            seconds += self.mean_of(one)
            for other in one.dependencies:
                if other.state == "released" and other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seconds, looked_at

    def restricted(self, key: Any, task: Any, state: str) -> None:
        """Counts a task with restrictions where it is now; it may have got or lost some."""
        entry = self.pending.get(key)
        if entry is not None:
            if (
                state in PENDING
                and entry.needs is task.resource_restrictions
                and entry.workers is task.worker_restrictions
                and entry.hosts is task.host_restrictions
            ):
                was, entry.state = entry.state, state
                counts = entry.kind.counts
                counts[was] -= 1
                counts[state] += 1
                if entry.pinned:
                    pinned = entry.kind.pinned
                    pinned[was] -= 1
                    pinned[state] += 1
                return
            self._over(key)
        if state not in PENDING or not (
            task.resource_restrictions or task.worker_restrictions or task.host_restrictions
        ):
            return
        kind = self.kind_of(task)
        self.pending[key] = entry = Pending(kind, state, task)
        if not kind.is_restricted:
            self.special[kind.prefix][kind] = None
            kind.is_restricted = True
        kind.counts[state] += 1
        if entry.pinned:
            kind.pinned[state] += 1
        if entry.address is not None:
            self._pin(entry, entry.address, 1)

    def gangs(self) -> Mapping[str, str]:
        """Addresses of members of collectives that are under way or about to begin -> its name.

        A collective is known by its prefix, or by its form: at least two pending tasks of a
        prefix, each bound to a worker of its own.
        """
        members: dict[str, str] = {}
        for prefix, pins in self.pins.items():
            alone = len(pins) >= 2 and all(tasks == 1 for tasks in pins.values())
            if prefix in KNOWN_GANGS or (alone and not _shuffles(prefix)):
                members.update(dict.fromkeys(pins, KNOWN_GANGS.get(prefix, prefix)))
        return members

    def restart(self) -> None:
        """Forgets the tasks: the scheduler has dropped them all."""
        self.active.clear()
        self.pending.clear()
        self.pins.clear()
        self.bound.clear()
        for kind in self.kinds.values():
            kind.counts = dict.fromkeys(PENDING, 0)
            kind.pinned = dict.fromkeys(PENDING, 0)

    def _over(self, key: Any) -> None:
        """Takes a counted task out of the counts."""
        entry = self.pending.pop(key)
        entry.kind.counts[entry.state] -= 1
        if entry.pinned:
            entry.kind.pinned[entry.state] -= 1
        if entry.address is not None:
            self._pin(entry, entry.address, -1)

    def _pin(self, entry: Pending, address: str, tasks: int) -> None:
        pins = self.pins[entry.kind.prefix]
        _add(pins, address, tasks)
        if entry.pinned:
            _add(self.bound, address, tasks)
        if not pins:
            del self.pins[entry.kind.prefix]
        elif tasks > 0:
            self.on_pin(address)

    def _completed(self, key: Any, task: Any, worker: str, startstops: Any) -> None:
        """Takes a finished task's seconds into its kind and its worker."""
        seconds = 0.0
        stop = 0.0
        for step in startstops:
            if step["action"] == "compute":
                stop = step["stop"]
                seconds += stop - step["start"]
        seconds = max(seconds, 0.0)
        needs = task.resource_restrictions
        if needs:
            entry = self.pending.get(key)
            kind = entry.kind if entry is not None and entry.needs is needs else self.kind_of(task)
        else:
            kind = self.plain.get(task.group.prefix.name) or self.kind_of(task)
        kind.observed = observed = kind.observed + 1
        delta = seconds - kind.mean
        kind.mean = mean = kind.mean + delta / observed
        kind.m2 += delta * (seconds - mean)
        self.finished += 1
        self.busy_seconds += seconds
        tracker = self.trackers.get(worker)
        if tracker is not None:
            us = round(seconds * 1e6)
            tracker.busy_us += us
            tracker.last_busy = max(tracker.last_busy, stop)
            annotations = task.annotations
            cell = None if annotations else tracker.cells.get(kind)
            if cell is None:
                cell = self.book.cell(tracker, kind, annotations)
            if not cell.new_tasks:
                self._fresh.append(cell)
            cell.new_tasks += 1
            cell.new_us += us
            cell.new_squares += seconds * seconds

    def _again(self, task: Any, stimulus_id: str) -> None:
        """Counts a task that had a result and is to be computed again, though nobody asked anew."""
        if not stimulus_id.startswith("update-graph"):
            self.recomputed += 1
            self.recomputed_seconds += self.mean_of(task)


def _add(counts: dict[str, int], name: str, tasks: int) -> None:
    """Adds to a count, which is left out where it is zero."""
    count = counts.get(name, 0) + tasks
    if count > 0:
        counts[name] = count
    else:
        counts.pop(name, None)


def _nothing(_: str) -> None:
    """Nobody wants to know."""


def _shuffles(prefix: str) -> bool:
    return "p2p" in prefix or prefix.startswith(("shuffle", "hash-join", "rechunk"))
