"""The answer to `GET /costplan/v1/load`: counters and workers as columns of JSON.

It costs by workers, prefixes with work and copied results (a bounded number of them), never by
tasks. What does not change between two samples is encoded once: names, threads, resources and
departures. Columns that hold only zeros are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any
from uuid import uuid4

from costplan.adapters.dask.counters import PENDING, Kind, Tracker
from costplan.adapters.dask.endpoint_wire import MAX_NAME, VERSION
from costplan.adapters.dask.plugin import CostplanPlugin

COPIES_LOOKED_AT = 150
LOOKED_AT_WORKERS = 100
AUDITED_KEYS = 100
AUDITED_KEYS_PER_WORKER = 10
MOST_GROUPS = 2_000
_STATIC_SECONDS = 30.0


class LoadSampler:
    """Makes samples; each has a higher number. `executing` of a cordoned worker is exact or more.

    A sample is of one instant, so its window is 0 seconds long.
    """

    def __init__(self, plugin: CostplanPlugin, now: Callable[[], float]) -> None:
        self._plugin, self._counters, self._scheduler = plugin, plugin.counters, plugin.scheduler
        self._now = now
        self._id = f"{getattr(plugin.scheduler, 'id', '')}-{uuid4().hex[:8]}"[:MAX_NAME]
        self._sample = 0
        self._static = ""
        self._static_of: tuple[int, float] = (-1, 0.0)
        self._departed = ""
        self._departed_of = -1
        self._audited = 0
        self._places: dict[str, int] = {}  # address -> place in the columns
        self._places_of = -1
        self._busy: list[int] = []
        self._busy_of = (-1, -1)
        self._texts: dict[str, tuple[list[int], str]] = {}  # columns as they were, and encoded
        self._stale: dict[Tracker, None] = {}  # heartbeats whose tasks are to be looked at

    def sample(self) -> bytes:
        """One reading, encoded."""
        now = self._now()
        self._sample += 1
        trackers = list(self._counters.trackers.values())
        self._audit(trackers)
        workers = self._workers(trackers, now)
        groups, unread = self._groups(now)
        counters, plugin = self._counters, self._plugin
        head = {
            "version": VERSION,
            "scheduler_id": self._id,
            "sample": self._sample,
            "at_ms": int(now * 1000),
            "unread_tasks": unread,
            "clients": plugin.clients(),
            "clients_gone_ms": _milliseconds(plugin.clients_gone_since),
            "groups": groups,
            "totals": {
                "finished": counters.finished,
                "erred": counters.erred,
                "recomputed": counters.recomputed,
                "restarted": counters.restarted,
                "recomputed_ms": int(counters.recomputed_seconds * 1000),
                "busy_ms": int(counters.busy_seconds * 1000),
            },
        }
        departed = self._departures(now)
        static = self._static_columns(trackers, now)
        text = f'{_json(head)[:-1]},"departed":{departed},"workers":{{{static}'
        return (text + "".join(f',"{name}":{of}' for name, of in workers) + "}}").encode()

    def _column(self, name: str, column: list[int]) -> str:
        """A column, encoded; one that is as it was is not encoded again."""
        last, text = self._texts.get(name, _NO_COLUMN)
        if last != column:
            if max(column) < len(_SMALL):
                text = f"[{','.join([_SMALL[number] for number in column])}]"
            else:
                text = _json(column)
            self._texts[name] = (column, text)
        return text

    def _workers(self, trackers: list[Tracker], now: float) -> list[tuple[str, str]]:
        """Columns that change, encoded, without those of zeros."""
        for at in trackers:
            if at.state.metrics is not at.metrics:
                at.refresh()
                self._stale[at] = None
        processing = [len(at.state.processing) for at in trackers]
        executing = [
            at.executing if at.executing < tasks else tasks
            for at, tasks in zip(trackers, processing, strict=True)
        ]
        for place, at in enumerate(trackers):
            if at.cordoned_at is not None:
                at.refresh()
                at.look(self._counters.kind_of)
                executing[place] = _executing(at, processing[place])
            if processing[place]:
                at.last_busy = now
        nbytes = [at.state.nbytes for at in trackers]
        keys = [len(at.held) for at in trackers]
        sole_bytes, sole_keys = self._alone(trackers, nbytes, keys)
        remade = [int(n * at.ms_per_key) for n, at in zip(sole_keys, trackers, strict=True)]
        idle = (
            [0]
            if all(processing)
            else [
                0 if tasks else int(at.last_busy * 1000)
                for at, tasks in zip(trackers, processing, strict=True)
            ]
        )
        made_of = (self._counters.finished, self._plugin.workers_changed)
        if self._busy_of != made_of:
            self._busy, self._busy_of = [int(at.busy * 1000) for at in trackers], made_of
        columns: list[tuple[str, Any]] = [
            ("executing", executing),
            ("processing", processing),
            ("nbytes", nbytes),
            ("sole_bytes", sole_bytes),
            ("sole_keys", sole_keys),
            ("recompute_ms", remade),
            ("spilled", [at.spilled for at in trackers]),
            ("long_running", [at.long_running for at in trackers]),
            ("actors", [at.actors for at in trackers]),
            ("busy_ms", self._busy),
            ("idle_ms", idle),
        ]
        found = [(name, self._column(name, column)) for name, column in columns if any(column)]
        self._look()
        return found + [(name, _json(marks)) for name, marks in self._marks(trackers)]

    def _alone(
        self, trackers: list[Tracker], nbytes: list[int], keys: list[int]
    ) -> tuple[list[int], list[int]]:
        """Bytes and keys of each worker that no worker which stays holds too."""
        copies = self._copies()
        if not copies:
            return nbytes, keys
        if self._places_of != self._plugin.workers_changed:
            self._places = {at.state.address: place for place, at in enumerate(trackers)}
            self._places_of = self._plugin.workers_changed
        nbytes, keys = nbytes.copy(), keys.copy()
        for address, (copied, held) in copies.items():
            place = self._places.get(address)
            if place is not None:
                keys[place] -= copied
                nbytes[place] = max(0, nbytes[place] - held)
        return nbytes, keys

    def _look(self) -> None:
        """Looks at what some workers run whose heartbeat is new; the next sample goes on."""
        for at in list(islice(self._stale, LOOKED_AT_WORKERS)):
            del self._stale[at]
            if at.state.address in self._counters.trackers:
                at.look(self._counters.kind_of)

    def _marks(self, trackers: list[Tracker]) -> list[tuple[str, Any]]:
        """What few workers have, by their place: status, gang, shuffling."""
        gangs, shuffling = self._counters.gangs(), shuffling_workers(self._scheduler)
        marks: list[tuple[str, Any]] = []
        addresses = [at.state.address for at in trackers] if gangs or shuffling else []
        if len(self._scheduler.running) != len(trackers):
            names = [(place, at.state.status.name) for place, at in enumerate(trackers)]
            status = {
                place: "paused" if name == "paused" else "closing"
                for place, name in names
                if name != "running"
            }
            marks.append(("status", status))
        if gangs:
            gang = {
                place: shortened(gangs[address])
                for place, address in enumerate(addresses)
                if address in gangs
            }
            marks.append(("gang", gang))
        if shuffling:
            places = [place for place, address in enumerate(addresses) if address in shuffling]
            marks.append(("shuffling", places))
        return marks

    def _copies(self) -> dict[str, tuple[int, int]]:
        """Keys and bytes of each worker that one which stays holds too, of the first few hundred.

        Those not looked at count as held alone: what is said to be alone is never too little.
        """
        found: dict[str, tuple[int, int]] = {}
        closing = self._closing()
        for task in islice(getattr(self._scheduler, "replicated_tasks", ()), COPIES_LOOKED_AT):
            nbytes = task.nbytes
            if nbytes < 0:
                nbytes = task.get_nbytes()  # Dask's guess
            addresses = [state.address for state in task.who_has or ()]
            staying = len(addresses)
            if closing:
                staying = sum(address not in closing for address in addresses)
            for address in addresses:
                if staying > (address not in closing):
                    keys, held = found.get(address, _NONE_HELD)
                    found[address] = (keys + 1, held + nbytes)
        return found

    def _closing(self) -> set[str]:
        """Workers that are about to leave, whoever drains them."""
        if len(self._scheduler.running) == len(self._counters.trackers):
            return set()
        states = [at.state for at in self._counters.trackers.values()]
        return {state.address for state in states if not stays(state)}

    def _audit(self, trackers: list[Tracker]) -> None:
        """Looks at some results of some workers: what making one again takes, on average.

        The next workers follow at the next sample; up to ten are looked at every time.
        """
        left = AUDITED_KEYS
        for _ in range(len(trackers)):
            if left <= 0:
                return
            self._audited = (self._audited + 1) % len(trackers)
            at = trackers[self._audited]
            seconds, keys = 0.0, 0
            for task in islice(reversed(at.held), AUDITED_KEYS_PER_WORKER):
                cost, looked_at = self._counters.remaking_seconds(task)
                seconds, keys, left = seconds + cost, keys + 1, left - looked_at
            at.ms_per_key = 1000 * seconds / keys if keys else 0.0
            left -= 1

    def _groups(self, now: float) -> tuple[dict[str, Any], int]:
        """Kinds with work as columns, the largest first where they are too many; and the rest."""
        rows = []
        counters = self._counters
        for prefix in list(counters.active):
            kinds = counters.special.get(prefix.name, ())
            all_counts = prefix.states
            rest = [all_counts.get(state, 0) for state in PENDING]
            if not any(rest):
                counters.active.discard(prefix)
                continue
            for kind in kinds:
                if kind.is_restricted:
                    rest = [left - n for left, n in zip(rest, kind.counts.values(), strict=True)]
            plain = counters.plain.get(prefix.name)
            if plain is None:
                plain = counters.plain[prefix.name] = Kind(prefix.name, ())
                counters.kinds[prefix.name, ()] = plain
            found = [plain, *(kind for kind in kinds if kind is not plain)]
            pooled = _pooled(found)
            for kind in found:
                counts = kind.tasks()
                if kind is plain:
                    counts = [n + max(0, left) for n, left in zip(counts, rest, strict=True)]
                if any(counts):
                    rows.append(_group_row(kind, counts, pooled, now))
        unread = 0
        if len(rows) > MOST_GROUPS:
            rows.sort(key=lambda row: -row[2] - row[3] - row[4])
            few = rows[MOST_GROUPS:]
            unread = sum(row[2] + row[3] for row in few)
            waiting = sum(row[4] for row in few)
            rows = [*rows[:MOST_GROUPS], ("(others)", {}, unread, 0, waiting, 0, 0, *_UNKNOWN)]
        columns: Iterable[Any] = zip(*rows, strict=True) if rows else ((),) * len(_GROUP_COLUMNS)
        return dict(zip(_GROUP_COLUMNS, columns, strict=True)), unread

    def _static_columns(self, trackers: list[Tracker], now: float) -> str:
        made_of, made_at = self._static_of
        if made_of != self._plugin.workers_changed or now - made_at > _STATIC_SECONDS:
            columns = {
                "name": [shortened(at.name) for at in trackers],
                "threads": [at.state.nthreads for at in trackers],
                "memory": [at.state.memory_limit or None for at in trackers],
                "joined_ms": [int(at.joined * 1000) for at in trackers],
            }
            resources = [at.state.resources for at in trackers]
            if any(resources):
                columns["resources"] = resources
            self._static = _json(columns)[1:-1]
            self._static_of = (self._plugin.workers_changed, now)
        return self._static

    def _departures(self, now: float) -> str:
        departures = self._plugin.departures
        departures.trim(now)
        if self._departed_of != departures.version:
            gone = departures.by_name.items()
            self._departed = _json(
                {
                    "name": [shortened(name) for name, _ in gone],
                    "at_ms": [int(left.at * 1000) for _, left in gone],
                    "expected": [left.expected for _, left in gone],
                    "lost_keys": [left.lost_keys for _, left in gone],
                    "restarted": [left.restarted_tasks for _, left in gone],
                }
            )
            self._departed_of = departures.version
        return self._departed


_GROUP_COLUMNS = (
    "prefix", "need", "queued", "running", "waiting", "unrunnable", "pinned", "mean_seconds",
    "observed", "variance", "longest_seconds",
)  # fmt: skip
_NONE_HELD = (0, 0)
_NO_COLUMN: tuple[list[int], str] = ([], "[]")
_SMALL = tuple(str(number) for number in range(1_000))
_UNKNOWN = (None, 0, None, None)


def shuffling_workers(scheduler: Any) -> set[str]:
    """Addresses of workers that a running shuffle needs; empty where Dask does not say."""
    shuffle = scheduler.plugins.get("shuffle")
    found: set[str] = set()
    for one in list(getattr(shuffle, "active_shuffles", {}).values()):
        found |= getattr(one, "participating_workers", set())
    return found


def stays(state: Any) -> bool:
    """True of a worker that is here to stay, whether it takes tasks at the moment or not."""
    return state.status.name in ("running", "paused")


def shortened(name: str) -> str:
    """A name of printable characters that fits on the wire; a long one keeps its start."""
    if len(name) > MAX_NAME or not name.isprintable():
        digest = hashlib.blake2s(name.encode(errors="replace"), digest_size=8).hexdigest()
        name = "".join(filter(str.isprintable, name[: MAX_NAME - 20])) + f"~{digest}"
    return name


def _executing(at: Tracker, processing: int) -> int:
    """Tasks that a worker runs: as of its last heartbeat, and for a cordoned one never too few."""
    if at.cordoned_at is not None and at.state.last_seen <= at.cordoned_at + 0.2:
        return int(
            min(processing - len(at.state.long_running), max(at.state.nthreads, at.executing))
        )
    return min(at.executing, processing)


def _pooled(kinds: Iterable[Kind]) -> tuple[int, float, float]:
    """Observed tasks, mean and sum of squares of all kinds of a prefix (Chan's formula)."""
    observed, mean, m2 = 0, 0.0, 0.0
    for kind in kinds:
        if kind.observed:
            total = observed + kind.observed
            delta = kind.mean - mean
            m2 += kind.m2 + delta * delta * observed * kind.observed / total
            mean += delta * kind.observed / total
            observed = total
    return observed, mean, m2


def _group_row(
    kind: Kind,
    counts: Sequence[int],
    pooled: tuple[int, float, float],
    now: float,
) -> tuple[Any, ...]:
    """One group: its own durations where it has any, and else those of its prefix."""
    waiting, queued, homeless, processing = counts  # in the order of PENDING
    ready = queued + homeless + processing
    running = min(max(kind.running, 0), processing)
    oldest = kind.running_since()
    observed, mean, m2 = (kind.observed, kind.mean, kind.m2) if kind.observed else pooled
    return (
        shortened(kind.prefix),
        kind.needs,
        ready - running,
        running,
        waiting,
        homeless,
        sum(kind.pinned.values()) - kind.pinned["waiting"] if kind.is_restricted else 0,
        round(mean, 9) if observed else None,
        observed,
        m2 / (observed - 1) if observed > 1 else None,
        round(max(0.0, now - oldest), 3) if running and oldest is not None else None,
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
