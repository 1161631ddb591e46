"""The workers of a load sample: columns of numbers in the order in which the workers joined.

A sample reads some ten numbers of each worker. What Dask keeps in one object for as long as a
worker lives (its tasks, its results) is looked up once; what only a heartbeat changes is read when
one has come. Columns of zeros are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress, islice
from operator import attrgetter, is_not
from typing import Any

from costplan.adapters.dask.kinds import Tracker
from costplan.adapters.dask.names import shortened
from costplan.adapters.dask.plugin import CostplanPlugin

COPIES_LOOKED_AT = 100
LOOKED_AT_WORKERS = 40
AUDITED_KEYS = 60
AUDITED_KEYS_PER_WORKER = 6

_METRICS, _NBYTES = attrgetter("metrics"), attrgetter("nbytes")
_BUSY, _CORDONED_AT = attrgetter("busy_us"), attrgetter("cordoned_at")


class WorkerColumns:
    """Reads the workers of a scheduler. `executing` of a cordoned worker is exact or more.

    What can be worked out from the columns is left to who reads them: a worker runs no more than
    it has been given, holds alone what it has less what is `copied`, and so on.
    """

    def __init__(self, plugin: CostplanPlugin) -> None:
        self._plugin, self._counters, self._scheduler = plugin, plugin.counters, plugin.scheduler
        self._audited = 0
        self._stale: dict[int, None] = {}  # places with a heartbeat whose tasks are to be looked at
        self._was_at = 0.0  # the time of the last sample
        self.trackers: list[Tracker] = []
        self._arrange()

    def _arrange(self) -> None:
        """Takes over who is there: workers have joined or left."""
        self._arranged_of = self._plugin.workers_changed
        stale = [self.trackers[place].state.address for place in self._stale]
        self.trackers = trackers = list(self._counters.trackers.values())
        self._states = [at.state for at in trackers]
        self._tasks = [at.state.processing for at in trackers]
        self._held = [at.held for at in trackers]
        self._metrics = [at.metrics for at in trackers]
        self._executing = [at.executing for at in trackers]
        self._spilled = [at.spilled for at in trackers]
        self._long_running = [at.long_running for at in trackers]
        self._actors = [at.actors for at in trackers]
        self._us_per_key = [at.us_per_key for at in trackers]
        self._places = {at.state.address: place for place, at in enumerate(trackers)}
        self._stale = {self._places[at]: None for at in stale if at in self._places}
        self._busy: list[int] = []
        self._busy_of = -1
        self._had_tasks: list[int] = [0] * len(trackers)

    def read(self, now: float) -> dict[str, Any]:
        """The columns and marks that are not empty, by name; `now` in epoch seconds."""
        if self._arranged_of != self._plugin.workers_changed:
            self._saw_busy()
            self._arrange()
        trackers, counters = self.trackers, self._counters
        if not trackers:
            return {}
        self._audit()
        self._heartbeats()
        processing = list(map(len, self._tasks))
        executing = self._executing
        cordoned = list(map(_CORDONED_AT, trackers))
        if any(cordoned):
            executing = [*executing]
            for place in compress(range(len(trackers)), cordoned):
                at = trackers[place]
                self._refresh(place)
                at.look(counters.kind_of)
                executing[place] = _executing(at, processing[place])
        if self._busy_of != counters.finished:
            self._busy = list(map(_BUSY, trackers))
            self._busy_of = counters.finished
        columns: dict[str, Sequence[int]] = {
            "executing": executing,
            "processing": processing,
            "nbytes": list(map(_NBYTES, self._states)),
            "keys": list(map(len, self._held)),
            "us_per_key": self._us_per_key,
            "spilled": self._spilled,
            "long_running": self._long_running,
            "actors": self._actors,
            "busy_us": self._busy,
            "idle_ms": self._idle(processing, now),
        }
        self._look()
        return {name: of for name, of in columns.items() if any(of)} | self._marks()

    def _heartbeats(self) -> None:
        """Takes over the numbers of the heartbeats that are new since the last sample."""
        metrics = list(map(_METRICS, self._states))
        news = list(compress(range(len(metrics)), map(is_not, metrics, self._metrics)))
        for place in news:
            self._refresh(place)
        self._stale.update(dict.fromkeys(news))

    def _refresh(self, place: int) -> None:
        at = self.trackers[place]
        state = at.state
        self._metrics[place] = at.metrics = metrics = state.metrics
        spilled = metrics.get("spilled_bytes", 0)
        if type(spilled) is dict:
            spilled = spilled.get("disk", 0)
        self._spilled[place] = at.spilled = int(spilled)
        self._actors[place] = at.actors = len(state.actors)
        self._long_running[place] = at.long_running = long_running = len(state.long_running)
        executing = len(getattr(state, "executing", ())) - long_running
        self._executing[place] = at.executing = executing if executing > 0 else 0

    def _idle(self, processing: list[int], now: float) -> Sequence[int]:
        """Since when each worker has had nothing to do, in epoch milliseconds; 0 of a busy one.

        One that had tasks at the last sample and has none now was busy then at least. The end of a
        task is the worker's guess of the scheduler's clock, so it may lie ahead of it.
        """
        idle: Sequence[int] = ()
        if not all(processing):
            had = self._had_tasks
            idle = [0] * len(processing)
            for place, tasks in enumerate(processing):
                if not tasks:
                    at = self.trackers[place]
                    if had[place] and at.last_busy < self._was_at:
                        at.last_busy = self._was_at
                    at.last_busy = min(at.last_busy, now)
                    idle[place] = int(at.last_busy * 1000)
        self._had_tasks, self._was_at = processing, now
        return idle

    def _saw_busy(self) -> None:
        """Keeps when those who had tasks were last seen, before places change."""
        for at, tasks in zip(self.trackers, self._had_tasks, strict=True):
            if tasks and at.last_busy < self._was_at:
                at.last_busy = self._was_at

    def _look(self) -> None:
        """Looks at what some workers run whose heartbeat is new; the next sample goes on."""
        kind_of = self._counters.kind_of
        for place in list(islice(self._stale, LOOKED_AT_WORKERS)):
            del self._stale[place]
            at = self.trackers[place]
            at.look(kind_of)
            self._executing[place] = at.executing

    def _marks(self) -> dict[str, Any]:
        """What few workers have, by their place: copies, status, gang, warnings, shuffling."""
        gangs, shuffling = self._counters.gangs(), shuffling_workers(self._scheduler)
        copied = self._copies()
        marks: dict[str, Any] = {"copied": copied} if copied else {}
        if len(self._scheduler.running) != len(self.trackers):
            names = [(place, state.status.name) for place, state in enumerate(self._states)]
            marks["status"] = {
                str(place): "paused" if name == "paused" else "closing"
                for place, name in names
                if name not in ("running", "init")  # one that has just joined says so in a moment
            }
        if gangs:
            marks["gang"] = {
                str(place): shortened(gangs[address])
                for address, place in self._places.items()
                if address in gangs
            }
        warned = {str(place): at.warned for place, at in enumerate(self.trackers) if at.warned}
        if warned:
            marks["warned"] = {
                place: {kind: int(1000 * at) for kind, at in said.items()}
                for place, said in warned.items()
            }
        if shuffling:
            found = [place for address, place in self._places.items() if address in shuffling]
            marks["shuffling"] = found
        return marks

    def _copies(self) -> dict[str, tuple[int, int]]:
        """Keys and bytes of workers, by place, that one which stays holds too.

        Of some copied results. Those not looked at count as held alone: what is said to be alone
        is never too little.
        """
        found: dict[int, tuple[int, int]] = {}
        closing, places = self._closing(), self._places
        for task in islice(getattr(self._scheduler, "replicated_tasks", ()), COPIES_LOOKED_AT):
            nbytes = task.nbytes
            if nbytes < 0:
                nbytes = task.get_nbytes()  # Dask's guess
            addresses = [state.address for state in task.who_has or ()]
            if closing:
                staying = [at for at in addresses if at not in closing]
                if len(staying) < 2:  # the one that stays has the only copy that does
                    addresses = [at for at in addresses if at in closing] if staying else []
            elif len(addresses) < 2:
                continue
            for address in addresses:
                place = places.get(address)
                if place is not None:
                    keys, held = found.get(place, (0, 0))
                    found[place] = (keys + 1, held + nbytes)
        return {str(place): copied for place, copied in found.items()}

    def _closing(self) -> set[str]:
        """Workers that are about to leave, whoever drains them."""
        if len(self._scheduler.running) == len(self.trackers):
            return set()
        return {state.address for state in self._states if not stays(state)}

    def _audit(self) -> None:
        """Looks at some results of some workers: what making one again takes, on average.

        The next workers follow at the next sample; up to ten are looked at every time.
        """
        left, trackers = AUDITED_KEYS, self.trackers
        remaking_seconds: Callable[[Any], tuple[float, int]] = self._counters.remaking_seconds
        for _ in range(len(trackers)):
            if left <= 0:
                return
            self._audited = (self._audited + 1) % len(trackers)
            at = trackers[self._audited]
            seconds, keys = 0.0, 0
            for task in islice(reversed(at.held), AUDITED_KEYS_PER_WORKER):
                cost, looked_at = remaking_seconds(task)
                seconds, keys, left = seconds + cost, keys + 1, left - looked_at
            at.us_per_key = int(1e6 * seconds / keys) if keys else 0
            self._us_per_key[self._audited] = at.us_per_key
            left -= 1


def shuffling_workers(scheduler: Any) -> set[str]:
    """Addresses of workers that a running shuffle needs; empty where Dask does not say."""
    shuffle = scheduler.plugins.get("shuffle")
    found: set[str] = set()
    for one in list(getattr(shuffle, "active_shuffles", {}).values()):
        found |= getattr(one, "participating_workers", set())
    return found


def stays(state: Any) -> bool:
    """True of a worker that is here to stay, whether it takes tasks at the moment or not."""
    return state.status.name in ("running", "paused", "init")


def _executing(at: Tracker, processing: int) -> int:
    """Tasks that a worker runs: as of its last heartbeat, and for a cordoned one never too few."""
    if at.cordoned_at is not None and at.state.last_seen <= at.cordoned_at + 0.2:
        most = max(0, processing - len(at.state.long_running))
        return int(min(most, max(at.state.nthreads, at.executing)))
    return min(at.executing, processing)
