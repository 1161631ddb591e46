"""What workers have computed, and for what: by worker, span and prefix, and by type of machine.

A finished task costs one look-up and some additions. What is new stands in a list of its own, so
that nobody walks what has not changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from costplan.adapters.dask.kinds import Kind, Tracker
from costplan.adapters.dask.machine_claim import Machine
from costplan.adapters.dask.names import shortened
from costplan.adapters.dask.span_marks import (
    ANNOTATION,
    NO_LABEL,
    OTHER_LABEL,
    ROWS_TOPIC,
    Label,
    label_of,
)
from costplan.planner.speed import cell_name
from costplan.planner.work import OTHERS

MOST_LABELS = 2_000
MOST_CELLS = 200_000
MOST_LANES = 5_000
MOST_OPEN_CELLS = 50_000
MOST_KEPT_WINDOWS = 240
MOST_KEPT_CELLS = 300_000
LEAST_WINDOW_SECONDS = 5.0
_LAST_ROWS = 2**53


class Lane:
    """Tasks of a kind on a type of machine: their number, seconds, and seconds squared."""

    __slots__ = ("instance_type", "observed", "prefix", "seconds", "squares")

    def __init__(self, prefix: str, instance_type: str) -> None:
        self.prefix, self.instance_type = prefix, instance_type
        self.observed, self.seconds, self.squares = 0, 0.0, 0.0

    def mean_and_variance(self) -> tuple[float, float]:
        """Of the seconds of a task."""
        mean = self.seconds / self.observed
        if self.observed < 2:
            return mean, 0.0
        return mean, max(0.0, self.squares - self.observed * mean * mean) / (self.observed - 1)


class Cell:
    """What a worker computes for a span and a prefix: microseconds and tasks that are new."""

    __slots__ = ("label", "lane", "new_squares", "new_tasks", "new_us", "prefix", "tracker")

    def __init__(self, tracker: Tracker, prefix: str, label: Label, lane: Lane) -> None:
        self.tracker, self.prefix, self.label, self.lane = tracker, prefix, label, lane
        self.new_us = self.new_tasks = 0
        self.new_squares = 0.0  # of seconds


@dataclass(frozen=True, slots=True)
class Window:
    """What was finished from `start` to `end` (epoch seconds): (worker, prefix, label,
    microseconds, tasks), and rows by label."""

    number: int
    start: float
    end: float
    cells: tuple[tuple[str, str, Label, int, int], ...]
    rows: Mapping[Label, int]


@dataclass(slots=True)
class _Open:
    """The window that is under way: microseconds and tasks by cell, and rows."""

    start: float
    cells: dict[Cell, tuple[int, int]] = field(default_factory=dict)
    rows: dict[Label, int] = field(default_factory=dict)


class WorkBook:
    """The books of one scheduler. `now` in epoch seconds."""

    def __init__(self, now: float) -> None:
        self.lanes: dict[tuple[Kind | str, str], Lane] = {}
        self.windows: deque[Window] = deque()
        self.rows: dict[Label, int] = {}
        self._numbers = count(1)
        self._labels: dict[Any, Label] = {}
        self.on_work: Callable[[Cell, int, int], None] = _nothing
        self.fresh: list[Cell] = []
        self._open = _Open(now)
        self._cells = 0

    def cell(self, tracker: Tracker, kind: Kind, annotations: Any) -> Cell:
        """Where a worker's finished task of a kind is booked, by what its annotations say.

        Who books adds to the cell's new microseconds, squares and tasks, and puts it among the
        fresh ones where it had no new tasks.
        """
        mark = annotations and (annotations.get(ANNOTATION) or annotations.get("span"))
        if mark:
            try:
                label = self._labels[mark]
            except (KeyError, TypeError):  # new, or Dask's own
                label = self.label(mark)
            key: Any = (kind, label)
        else:
            label, key = NO_LABEL, kind
        cell: Cell | None = tracker.cells.get(key)
        return self._new_cell(tracker, kind, label, key) if cell is None else cell

    def label(self, mark: Any) -> Label:
        """The span of a mark; one object a span, that of others where they are too many."""
        try:
            key = tuple(mark.get("name") or ()) if isinstance(mark, dict) else mark
            known = self._labels.get(key)
        except TypeError:  # no mark of ours
            return NO_LABEL
        if known is None:
            if len(self._labels) >= MOST_LABELS:
                return OTHER_LABEL
            known = self._labels[key] = label_of(mark) or NO_LABEL
        return known

    def report(self, topic: str, said: Any) -> None:
        """Books rows that somebody reported for a span."""
        if topic != ROWS_TOPIC or not isinstance(said, dict):
            return
        rows = said.get("rows")
        if type(rows) is int and 0 < rows <= _LAST_ROWS:
            label = self.label(said.get("span"))
            self._open.rows[label] = self._open.rows.get(label, 0) + rows
            self.rows[label] = self.rows.get(label, 0) + rows

    def left(self, tracker: Tracker, now: float) -> None:
        """A worker is gone: its cells are not counted any more, but what is new is still told.

        Where nobody asks for windows they are closed all the same, so that they can be let go of.
        """
        self.flush()
        self._cells -= len(tracker.cells)
        if len(self._open.cells) > MOST_OPEN_CELLS:
            self.close_window(now)

    def flush(self) -> None:
        """Hands on what is new: to its lane, the window that is under way, and who prices it."""
        cells, on_work = self._open.cells, self.on_work
        for cell in self.fresh:
            us, tasks = cell.new_us, cell.new_tasks
            lane = cell.lane
            lane.observed += tasks
            lane.seconds += us / 1e6
            lane.squares += cell.new_squares
            cell.new_us = cell.new_tasks = 0
            cell.new_squares = 0.0
            had = cells.get(cell)
            cells[cell] = (us, tasks) if had is None else (had[0] + us, had[1] + tasks)
            on_work(cell, us, tasks)
        self.fresh.clear()

    def close_window(self, now: float) -> None:
        """Ends the window that is under way, unless it has only just begun or is empty.

        One with more cells than an answer takes becomes several of the same time.
        """
        at = self._open
        if now - at.start < LEAST_WINDOW_SECONDS:
            return
        self.flush()
        if not (at.cells or at.rows):
            return
        cells = tuple(
            (shortened(cell.tracker.name), cell.prefix, cell.label, us, tasks)
            for cell, (us, tasks) in at.cells.items()
        )
        end, rows = max(now, at.start), at.rows
        for place in range(0, max(len(cells), 1), MOST_OPEN_CELLS):
            some = cells[place : place + MOST_OPEN_CELLS]
            self.windows.append(Window(next(self._numbers), at.start, end, some, rows))
            rows = {}
        self._open = _Open(now)
        kept = sum(len(each.cells) for each in self.windows)
        while len(self.windows) > 1 and (
            len(self.windows) > MOST_KEPT_WINDOWS or kept > MOST_KEPT_CELLS
        ):
            kept -= len(self.windows.popleft().cells)

    def _new_cell(self, tracker: Tracker, kind: Kind, label: Label, key: Any) -> Cell:
        machine: Machine = tracker.machine
        if self._cells >= MOST_CELLS:  # what cannot be told apart is still counted
            key, label, prefix = OTHERS, OTHER_LABEL, OTHERS
            known: Cell | None = tracker.cells.get(key)
            if known is not None:
                return known
            lane = Lane(OTHERS, "")  # of no kind: it takes in tasks of many
        else:
            prefix = kind.shown
            lane = self._lane(kind, machine.instance_type)
        cell = Cell(tracker, prefix, label, lane)
        tracker.cells[key] = cell
        self._cells += 1
        return cell

    def _lane(self, kind: Kind, instance_type: str) -> Lane:
        """The lane of a kind on a type; kinds that need something else are kinds apart."""
        lane = self.lanes.get((kind, instance_type))
        if lane is None:
            if len(self.lanes) >= MOST_LANES:
                return Lane(OTHERS, "")
            name = shortened(cell_name(kind.shown, kind.needs))
            lane = self.lanes[kind, instance_type] = Lane(name, instance_type)
        return lane


def _nothing(_cell: Cell, _us: int, _tasks: int) -> None:
    """Nobody prices work."""
