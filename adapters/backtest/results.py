"""Results in the memory of a backtest's workers: who holds them, how they are copied, what is lost.

All results have the same bytes and none has a second holder: a copied result counts as its new
holder's. A cordoned worker copies what it holds, one result after the other, to those that take
tasks and hold least. How far it is follows from the time, so nothing is due while it copies.

Bytes are counted and not spilled: a worker keeps what its tasks leave up to 60 % of its memory,
from where Dask would begin to write results to disk, and takes copies up to 80 %, where Dask
pauses a worker. A result beyond the 60 % counts as written away: it is never copied nor lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from costplan.adapters.sim.clock import MICROS, VirtualClock
from costplan.adapters.sim.drains import Network

Job = TypeVar("Job", bound=Hashable)
KEEP_SHARE = 0.6
"""Dask's `distributed.worker.memory.target`."""
TAKE_SHARE = 0.8
"""Dask's `distributed.worker.memory.pause`."""
_ANY = 2**62


@dataclass(slots=True, eq=False)
class Shelf(Generic[Job]):
    """What one worker holds: `keys` results, of each job so many.

    It keeps at most `most_kept` of its own tasks and takes copies up to `most_taken`. While it is
    cordoned it takes none, and what it holds is copied from `copied_until` (microseconds) on.
    `is_changed` until somebody has looked at it.
    """

    name: str
    most_kept: int
    most_taken: int
    held: dict[Job, int] = field(default_factory=dict)
    keys: int = 0
    is_cordoned: bool = False
    copied_until: int = 0
    is_changed: bool = False

    def put(self, job: Job, keys: int) -> None:
        """So many results of the job more, or less."""
        left = self.held.get(job, 0) + keys
        if left:
            self.held[job] = left
        else:
            del self.held[job]
        self.keys += keys
        self.is_changed = True


class Results(Generic[Job]):
    """The results of all workers. `seconds` says what a result of a job takes to compute."""

    def __init__(
        self, clock: VirtualClock, result_bytes: int, seconds: Callable[[Job], float]
    ) -> None:
        self.result_bytes = result_bytes
        self._clock, self._seconds = clock, seconds
        self._shelves: dict[str, Shelf[Job]] = {}
        self._holders: dict[Job, dict[str, None]] = {}
        self._copying: dict[str, Shelf[Job]] = {}
        network = Network()
        each = result_bytes / network.bytes_per_second + network.seconds_per_key
        self._each = max(1, round(each * MICROS))

    def of(self, name: str) -> Shelf[Job]:
        """What a worker holds, as of the last `settle`."""
        return self._shelves[name]

    def recompute_seconds(self, name: str) -> float:
        """Task-time to compute again what a worker holds."""
        held = self._shelves[name].held
        return sum(keys * self._seconds(job) for job, keys in held.items())

    # Workers.

    def add(self, name: str, memory_bytes: int) -> None:
        """A worker with so much memory, 0 for no limit, takes results from now on."""
        self.settle()
        kept, taken = (
            round(memory_bytes * share) // self.result_bytes
            if memory_bytes and self.result_bytes
            else _ANY
            for share in (KEEP_SHARE, TAKE_SHARE)
        )
        self._shelves[name] = Shelf(name, kept, taken)

    def cordon(self, name: str) -> None:
        """It takes no results any more, and what it holds is copied from now on."""
        self.settle()
        shelf = self._shelves[name]
        shelf.is_cordoned = True
        self._begin(shelf)

    def uncordon(self, name: str) -> None:
        """It keeps what is not copied by now, and takes results again."""
        self.settle()
        self._shelves[name].is_cordoned = False
        self._copying.pop(name, None)

    def remove(self, name: str) -> dict[Job, int]:
        """The worker is gone; returns what went with it: results by job."""
        self.settle()
        shelf = self._shelves.pop(name)
        self._copying.pop(name, None)
        for job in shelf.held:
            self._let_go(job, name)
        return shelf.held

    # Results.

    def keep(self, name: str, job: Job) -> None:
        """A task of the job has left its result on the worker, if it has the memory."""
        shelf = self._shelves[name]
        if self.result_bytes and shelf.keys < shelf.most_kept:
            if shelf.is_cordoned:
                self.settle()
            self._put(shelf, job, 1)
            if shelf.is_cordoned:
                self._begin(shelf)

    def gather(self, job: Job) -> None:
        """The job is over: its results are with its client, and nobody holds them any more."""
        if job in self._holders:
            self.settle()
            for name in tuple(self._holders[job]):
                shelf = self._shelves[name]
                self._put(shelf, job, -shelf.held[job])
                if not shelf.keys:
                    self._copying.pop(name, None)

    # Copies.

    def settle(self) -> None:
        """Brings all copies up to this moment. Whatever changes who can take any asks for it
        before."""
        for shelf in tuple(self._copying.values()):
            due = min(shelf.keys, (self._clock.micros - shelf.copied_until) // self._each)
            if due <= 0:
                continue
            if self._deal(shelf, due):
                shelf.copied_until += due * self._each
            else:
                shelf.copied_until = self._clock.micros
            if not shelf.keys:
                del self._copying[shelf.name]

    def can_leave(self, name: str) -> bool:
        """True where others have the room to take all that the worker holds."""
        left = self._shelves[name].keys
        if not left:
            return True
        for other in self._shelves.values():
            if not other.is_cordoned:
                left -= max(0, other.most_taken - other.keys)
                if left <= 0:
                    return True
        return False

    def seconds_left(self, name: str) -> float:
        """Until all that a cordoned worker holds is copied, as of the last `settle`."""
        shelf = self._shelves[name]
        until = shelf.copied_until + shelf.keys * self._each
        return max(0, until - self._clock.micros) / MICROS if shelf.keys else 0.0

    def _begin(self, shelf: Shelf[Job]) -> None:
        if shelf.keys and shelf.name not in self._copying:
            shelf.copied_until = self._clock.micros
            self._copying[shelf.name] = shelf

    def _deal(self, shelf: Shelf[Job], keys: int) -> bool:
        """Gives so many results away, each to the one that holds least; False where somebody
        was needed and nobody had room."""
        takers = [
            (other.keys, other.name)
            for other in self._shelves.values()
            if not other.is_cordoned and other.keys < other.most_taken
        ]
        heapq.heapify(takers)
        for job in tuple(shelf.held):
            while keys and job in shelf.held:
                if not takers:
                    return False
                holds, name = takers[0]
                taker = self._shelves[name]
                self._put(shelf, job, -1)
                self._put(taker, job, 1)
                keys -= 1
                if taker.keys < taker.most_taken:
                    heapq.heapreplace(takers, (holds + 1, name))
                else:
                    heapq.heappop(takers)
        return True

    def _put(self, shelf: Shelf[Job], job: Job, keys: int) -> None:
        shelf.put(job, keys)
        if job in shelf.held:
            self._holders.setdefault(job, {})[shelf.name] = None
        else:
            self._let_go(job, shelf.name)

    def _let_go(self, job: Job, name: str) -> None:
        holders = self._holders[job]
        del holders[name]
        if not holders:
            del self._holders[job]
