"""What a scheduler's workers cost, and for what: rates that somebody told, time, and the books.

The rate of a worker is its part of its machine's price. A daemon tells it (`POST
/costplan/v1/rates`), or the worker's own start did, or who adapts the cluster in a session knows
what a worker costs; of a worker without one nobody knows it, which is counted and not taken for
nothing. Dollars are whole pico-dollars.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from costplan.adapters.dask.counters import Counters
from costplan.adapters.dask.kinds import Tracker
from costplan.adapters.dask.span_marks import OTHER_LABEL, Label
from costplan.adapters.dask.work_book import Cell
from costplan.planner.units import usd_from_pico
from costplan.planner.work import OTHERS
from costplan.planner.work_cost import Line, shared_out, span_text

MOST_PARTS = 20_000
_MS_PER_HOUR = 3_600_000
_KEPT_SECONDS = 5.0
"""For so long figures are not worked out anew: pages and scrapes ask often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Workers on machines of a type and market; `usd_per_hour` is of those whose rate is known."""

    instance_type: str
    market: str
    workers: int
    unpriced: int
    threads: int
    usd_per_hour: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Dollars since the scheduler started, of the workers whose rate is known, and what they were
    spent for; what a running task has cost so far is idle until it ends. `told_usd` is the daemon's
    own sum, machines that boot included; None: no daemon."""

    usd: Decimal
    idle_usd: Decimal
    usd_per_hour: Decimal
    workers: int
    unpriced: int
    by_span: tuple[Line, ...]
    by_prefix: tuple[Line, ...]
    by_run: tuple[Line, ...]
    pools: tuple[Pool, ...]
    told_usd: Decimal | None


@dataclass(slots=True)
class _Sum:
    pico: int = 0
    us: int = 0
    tasks: int = 0


class Costs:
    """The purse of one scheduler. `now` gives epoch seconds.

    What a worker has cost since its work was priced last is shared out when it has finished more,
    and time that was idle then goes to a task that ends later and ran in it: a long task so gets
    the time that it ran in, however often anybody looks.
    """

    def __init__(self, counters: Counters, now: Callable[[], float]) -> None:
        self._counters, self._now = counters, now
        self._parts: dict[tuple[Label, str], _Sum] = defaultdict(_Sum)
        self._pico = self._idle = 0  # of what is shared out
        self._worked: dict[Tracker, None] = {}
        self._told: Mapping[str, int] = {}
        self._supposed: int | None = None
        self._told_pico: int | None = None
        self._kept: tuple[float, Figures] | None = None
        counters.book.on_work = self._note

    def tell(self, pico_per_hour: Mapping[str, int], spent_pico: int | None = None) -> None:
        """Takes rates by worker from now on; what was accrued before stays. Workers that are not
        named go on at what they had."""
        now = self._now()
        self._told, self._told_pico = dict(pico_per_hour), spent_pico
        for tracker in self._counters.trackers.values():
            rate = self._told.get(tracker.name)
            if rate is not None and rate != tracker.pico_per_hour:
                _accrue(tracker, now)
                tracker.pico_per_hour = rate
        self._kept = None

    def suppose(self, pico_per_hour: int) -> None:
        """Takes a rate for workers that nobody has told one of, those that are here included."""
        now = self._now()
        self._supposed = pico_per_hour
        for tracker in self._counters.trackers.values():
            if tracker.machine.pico_per_hour is None and tracker.name not in self._told:
                _accrue(tracker, now)
                tracker.pico_per_hour = pico_per_hour
        self._kept = None

    def joined(self, tracker: Tracker) -> None:
        """A worker is there, whose rate may be known already."""
        rate = self._told.get(tracker.name)
        if rate is not None:
            tracker.pico_per_hour = rate
        elif tracker.pico_per_hour is None:
            tracker.pico_per_hour = self._supposed

    def left(self, tracker: Tracker) -> None:
        """A worker is gone, and the book has handed on what was new of it."""
        self._worked.pop(tracker, None)
        self._price(tracker, self._now())

    def figures(self) -> Figures:
        """Everything as of now, or of a moment ago."""
        if self._kept is not None and 0 <= self._now() - self._kept[0] < _KEPT_SECONDS:
            return self._kept[1]
        return self.figures_now()

    def figures_now(self) -> Figures:
        """Everything as of now, for who asks once."""
        now = self._now()
        self._counters.book.flush()
        for tracker in [each for each in self._worked if each.pico_per_hour is not None]:
            del self._worked[tracker]
            self._price(tracker, now)
        found = self._made(now)
        self._kept = now, found
        return found

    def _note(self, cell: Cell, us: int, tasks: int) -> None:
        """Takes work in that was finished."""
        tracker, part = cell.tracker, self._part(cell)
        part.us += us
        part.tasks += tasks
        tracker.due_us[cell] = tracker.due_us.get(cell, 0) + us
        self._worked[tracker] = None

    def _part(self, cell: Cell) -> _Sum:
        """The sum that a cell belongs to; that of others where there are too many."""
        key = cell.label, cell.prefix
        if len(self._parts) >= MOST_PARTS and key not in self._parts:
            key = OTHER_LABEL, OTHERS
        return self._parts[key]

    def _price(self, tracker: Tracker, now: float) -> None:
        """Shares out what a worker has cost, by what it has finished.

        Other threads may have finished much since a task began. So what was finished beyond the
        time since the last sharing ran in time that was taken for idle, and that is taken back.
        """
        _accrue(tracker, now)
        thread_us = round(max(0.0, now - tracker.priced_at) * 1e6) * tracker.state.nthreads
        busy_us = sum(tracker.due_us.values())
        before_us, before_pico = tracker.take_idle(max(0, busy_us - thread_us))
        thread_us += before_us
        shares, idle = shared_out(tracker.accrued_pico + before_pico, thread_us, tracker.due_us)
        for cell, pico in shares.items():
            self._part(cell).pico += pico
        self._pico += tracker.accrued_pico
        self._idle += idle - before_pico
        tracker.idle_us += max(0, thread_us - busy_us)
        tracker.idle_pico += idle
        tracker.accrued_pico, tracker.priced_at = 0, max(now, tracker.priced_at)
        tracker.due_us.clear()

    def _made(self, now: float) -> Figures:
        trackers = list(self._counters.trackers.values())
        for tracker in trackers:
            _accrue(tracker, now)
        waiting = sum(tracker.accrued_pico for tracker in trackers)
        spans: dict[str, _Sum] = defaultdict(_Sum)
        prefixes: dict[str, _Sum] = defaultdict(_Sum)
        runs: dict[str, _Sum] = defaultdict(_Sum)
        for (label, prefix), each in self._parts.items():
            _add(spans[span_text(label.path)], each)
            _add(prefixes[prefix], each)
            if "run" in label.tags:
                _add(runs[label.tags["run"]], each)
        rows: dict[str, int] = defaultdict(int)
        for label, count in self._counters.book.rows.items():
            rows[span_text(label.path)] += count
        return Figures(
            usd=usd_from_pico(self._pico + waiting),
            idle_usd=usd_from_pico(self._idle + waiting),
            usd_per_hour=usd_from_pico(sum(each.pico_per_hour or 0 for each in trackers)),
            workers=len(trackers),
            unpriced=sum(tracker.pico_per_hour is None for tracker in trackers),
            by_span=_lines(spans, rows),
            by_prefix=_lines(prefixes, {}),
            by_run=_lines(runs, {}),
            pools=_pools(trackers),
            told_usd=None if self._told_pico is None else usd_from_pico(self._told_pico),
        )


def _accrue(tracker: Tracker, now: float) -> None:
    """Brings what a worker has cost up to now, at the rate that it had. The first rate that is
    known counts from when the worker joined."""
    if tracker.pico_per_hour is None:
        return
    if tracker.pico_per_hour and now > tracker.accrued_at:
        milliseconds = round((now - tracker.accrued_at) * 1000)
        tracker.accrued_pico += tracker.pico_per_hour * milliseconds // _MS_PER_HOUR
    tracker.accrued_at = max(now, tracker.accrued_at)


def _add(into: _Sum, more: _Sum) -> None:
    into.pico += more.pico
    into.us += more.us
    into.tasks += more.tasks


def _lines(sums: Mapping[str, _Sum], rows: Mapping[str, int]) -> tuple[Line, ...]:
    lines = (
        Line(
            name=name,
            usd=usd_from_pico(each.pico),
            busy_seconds=each.us / 1e6,
            tasks=each.tasks,
            rows=rows.get(name, 0),
        )
        for name, each in sums.items()
    )
    return tuple(sorted(lines, key=lambda line: (-line.usd, -line.busy_seconds, line.name)))


def _pools(trackers: list[Tracker]) -> tuple[Pool, ...]:
    found: dict[tuple[str, str], list[Tracker]] = defaultdict(list)
    for tracker in trackers:
        found[tracker.machine.instance_type, tracker.machine.market].append(tracker)
    return tuple(
        Pool(
            instance_type=instance_type,
            market=market,
            workers=len(those),
            unpriced=sum(each.pico_per_hour is None for each in those),
            threads=sum(each.state.nthreads for each in those),
            usd_per_hour=usd_from_pico(sum(each.pico_per_hour or 0 for each in those)),
        )
        for (instance_type, market), those in sorted(found.items())
    )
