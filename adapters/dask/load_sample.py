"""The answer to `GET /costplan/v1/load`: counters and workers as columns of JSON.

It costs by workers, prefixes with work and copied results (a bounded number of them), never by
tasks. What does not change between two samples is encoded once: names, threads, resources and
departures. Columns that hold only zeros are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any
from uuid import uuid4

import orjson

from costplan.adapters.dask.endpoint_wire import VERSION
from costplan.adapters.dask.kinds import (
    PENDING,
    UNKNOWN,
    Durations,
    Kind,
    Tracker,
    durations_of,
)
from costplan.adapters.dask.names import bounded, shortened
from costplan.adapters.dask.plugin import CostplanPlugin
from costplan.adapters.dask.wire_types import MAX_NAME
from costplan.adapters.dask.worker_columns import WorkerColumns

MOST_GROUPS = 2_000
MOST_PACES = 2_000
_STATIC_SECONDS = 30.0
_PACES_SECONDS = 5.0
_NO_PACES = b'{"prefix":[],"type":[],"observed":[],"mean_seconds":[],"variance":[]}'


class LoadSampler:
    """Makes samples; each has a higher number.

    A sample is of one instant, so its window is 0 seconds long.
    """

    def __init__(self, plugin: CostplanPlugin, now: Callable[[], float]) -> None:
        self.plugin, self._counters, self._scheduler = plugin, plugin.counters, plugin.scheduler
        self._now = now
        self.scheduler_id = f"{getattr(plugin.scheduler, 'id', '')}-{uuid4().hex[:8]}"[:MAX_NAME]
        self._sample = 0
        self._static = b""
        self._static_of: tuple[int, float] = (-1, 0.0)
        self._departed = b""
        self._departed_of = -1
        self._paces = _NO_PACES
        self._paces_of, self._paces_at = 0, -_PACES_SECONDS
        self._workers = WorkerColumns(plugin)

    def sample(self) -> bytes:
        """One reading, encoded."""
        now = self._now()
        self._sample += 1
        workers = self._workers.read(now)
        groups, unread = self._groups(now)
        counters, plugin = self._counters, self.plugin
        head = {
            "version": VERSION,
            "scheduler_id": self.scheduler_id,
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
        static = self._static_columns(now)
        columns = b"," + orjson.dumps(workers)[1:] if workers else b"}"
        paces = b',"paces":' + self._paces_columns(now)
        parts = (orjson.dumps(head)[:-1], paces, b',"departed":', departed, b',"workers":', static)
        return b"".join((*parts, columns, b"}"))

    def _groups(self, now: float) -> tuple[dict[str, Any], int]:
        """Kinds with work as columns, the largest first where they are too many; and the rest."""
        rows = []
        counters = self._counters
        plain_of, special = counters.plain.get, counters.special
        for prefix in list(counters.active):
            left = _pending_of(prefix.states)
            if not any(left):
                counters.active.discard(prefix)
                continue
            name = prefix.name
            plain = plain_of(name)
            if plain is None:
                plain = counters.plain[name] = Kind(name, ())
                counters.kinds[name, ()] = plain
            if name not in special:
                rows.append(_group_row(plain, left, UNKNOWN, now))
                continue
            kinds = special[name]
            for kind in kinds:
                if kind.is_restricted:
                    counted = kind.counts.values()
                    left = tuple(all_ - n for all_, n in zip(left, counted, strict=True))
            found = [plain, *(kind for kind in kinds if kind is not plain)]
            pooled = UNKNOWN if all(kind.observed for kind in found) else _pooled(found)
            for kind in found:
                counts = kind.tasks()
                if kind is plain:
                    counts = [n + max(0, rest) for n, rest in zip(counts, left, strict=True)]
                if any(counts):
                    rows.append(_group_row(kind, counts, pooled, now))
        unread = 0
        if len(rows) > MOST_GROUPS:
            rows.sort(key=lambda row: -row[2] - row[3] - row[4])
            few = rows[MOST_GROUPS:]
            unread = sum(row[2] + row[3] for row in few)
            waiting = sum(row[4] for row in few)
            rows = [
                *rows[:MOST_GROUPS],
                ("(others)", {}, unread, 0, waiting, 0, 0, *UNKNOWN, None, 0, 0.0),
            ]
        columns: Iterable[Any] = zip(*rows, strict=True) if rows else ((),) * len(_GROUP_COLUMNS)
        return dict(zip(_GROUP_COLUMNS, columns, strict=True)), unread

    def _static_columns(self, now: float) -> bytes:
        made_of, made_at = self._static_of
        if made_of != self.plugin.workers_changed or now - made_at > _STATIC_SECONDS:
            trackers = self._workers.trackers
            columns = {
                "name": [shortened(at.name) for at in trackers],
                "threads": [at.state.nthreads for at in trackers],
                "memory": [at.state.memory_limit or None for at in trackers],
                "joined_ms": [int(at.joined * 1000) for at in trackers],
            }
            resources = [at.state.resources for at in trackers]
            if any(resources):
                columns["resources"] = [bounded(each) for each in resources]
            columns |= _machines(trackers)
            self._static = orjson.dumps(columns)[:-1]
            self._static_of = (self.plugin.workers_changed, now)
        return self._static

    def _paces_columns(self, now: float) -> bytes:
        """Tasks by prefix and type of machine, of those that are known; the most work first."""
        counters = self._counters
        is_new = self._paces_of != counters.finished
        if is_new and not 0 <= now - self._paces_at < _PACES_SECONDS:
            counters.book.flush()
            lanes = [
                lane
                for lane in counters.book.lanes.values()
                if lane.instance_type and lane.observed
            ]
            if len(lanes) > MOST_PACES:
                lanes = sorted(lanes, key=lambda lane: -lane.seconds)[:MOST_PACES]
            rows = [lane.mean_and_variance() for lane in lanes]
            self._paces = orjson.dumps(
                {
                    "prefix": [lane.prefix for lane in lanes],
                    "type": [lane.instance_type for lane in lanes],
                    "observed": [lane.observed for lane in lanes],
                    "mean_seconds": [max(0.0, round(mean, 9)) for mean, _ in rows],
                    "variance": [variance for _, variance in rows],
                }
            )
            self._paces_of, self._paces_at = counters.finished, now
        return self._paces

    def _departures(self, now: float) -> bytes:
        departures = self.plugin.departures
        departures.trim(now)
        if self._departed_of != departures.version:
            gone = departures.by_name.items()
            self._departed = orjson.dumps(
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


_pending_of = itemgetter(*PENDING)
_GROUP_COLUMNS = (
    "prefix", "need", "queued", "running", "waiting", "unrunnable", "pinned", "mean_seconds",
    "observed", "variance", "longest_seconds", "overdue", "overdue_seconds",
)  # fmt: skip


def _machines(trackers: Sequence[Tracker]) -> dict[str, Any]:
    """Types and markets of the workers' machines, each named once; nothing where none says."""
    names: dict[tuple[str, str], int] = {}
    places = [
        names.setdefault((at.machine.instance_type, at.machine.market), len(names))
        for at in trackers
    ]
    if not any(map(any, names)):
        return {}
    return {"machine": places, "machines": list(names)}


def _pooled(kinds: Iterable[Kind]) -> Durations:
    """Durations of all kinds of a prefix (Chan's formula)."""
    observed, mean, m2 = 0, 0.0, 0.0
    for kind in kinds:
        if kind.observed:
            total = observed + kind.observed
            delta = kind.mean - mean
            m2 += kind.m2 + delta * delta * observed * kind.observed / total
            mean += delta * kind.observed / total
            observed = total
    return durations_of(observed, mean, m2)


def _group_row(
    kind: Kind,
    counts: Sequence[int],
    pooled: Durations,
    now: float,
) -> tuple[Any, ...]:
    """One group: its own durations where it has any, and else those of its prefix."""
    waiting, queued, homeless, processing = counts  # in the order of PENDING
    running = kind.running
    if not 0 <= running <= processing:
        running = min(max(running, 0), processing)
    mean, observed, variance = kind.durations() if kind.observed else pooled
    since = kind.running_since() if running else None
    overdue = min(kind.overdue, running)
    return (
        kind.shown,
        kind.needs,
        queued + homeless + processing - running,
        running,
        waiting,
        homeless,
        sum(kind.pinned.values()) - kind.pinned["waiting"] if kind.is_restricted else 0,
        mean,
        observed,
        variance,
        None if since is None else round(max(0.0, now - since), 3),
        overdue,
        round(max(0.0, now - kind.overdue_began / kind.overdue), 3) if overdue else 0.0,
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
