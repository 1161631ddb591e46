"""Dollars of work: what machines cost, shared out by what was computed on them; idle time apart.

A node that costs C and had T thread-seconds, of which b_i were spent on span i, gives span i

    C b_i / max(T, sum b)

and what is left of C was idle. Where more was finished than there was time for (a task that began
before the time that is looked at ends in it), nothing was idle and all is shared by b_i. Shares are
whole pico-dollars, by largest remainder, so that they and the idle part add up to C exactly.

Example: a node of $1 with 4 threads for an hour (14,400 thread-seconds), 3,600 s of which went to
'train' and 7,200 s to 'etl': $0.25, $0.50, and $0.25 idle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TypeVar

from costplan.planner.units import pico_from_usd, usd_from_pico
from costplan.planner.work import WorkRow

Key = TypeVar("Key", bound=Hashable)
NO_SPAN = "(no span)"
NO_VALUE = "(none)"
_MICRO = 1_000_000


def shared_out(pico: int, thread_us: int, busy_us: Mapping[Key, int]) -> tuple[dict[Key, int], int]:
    """The part of each of `busy_us` (microseconds) in `pico` dollars, and what was idle."""
    busy = sum(busy_us.values())
    whole = max(thread_us, busy)
    if not whole or not pico:
        return dict.fromkeys(busy_us, 0), pico
    parts = [(key, *divmod(pico * us, whole)) for key, us in busy_us.items()]
    idle, idle_rest = divmod(pico * (whole - busy), whole)
    found = {key: part for key, part, _ in parts}
    missing = pico - idle - sum(found.values())
    # The idle part is one among the others; equal remainders go by the order that is given.
    rests = [(-rest, place) for place, (_, _, rest) in enumerate(parts)]
    for _, place in sorted([*rests, (-idle_rest, len(parts))])[:missing]:
        if place == len(parts):
            idle += 1
        else:
            found[parts[place][0]] += 1
    return found, idle


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCost:
    """What a node cost in [start, end) with so many threads."""

    node_id: str
    start: datetime
    end: datetime
    usd: Decimal
    threads: int

    @property
    def thread_us(self) -> int:
        """Its threads' time."""
        return round((self.end - self.start).total_seconds() * _MICRO) * self.threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one span, prefix or run has cost. `rows` is what was reported of it."""

    name: str
    usd: Decimal
    busy_seconds: float
    tasks: int
    rows: int = 0

    @property
    def usd_per_million_rows(self) -> Decimal | None:
        """Dollars for a million of its rows, None where none were reported."""
        return None if not self.rows else self.usd * 1_000_000 / self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCost:
    """Dollars by span, by prefix and by the values of each tag, dearest first. Each list and
    `idle_usd` add up to `usd`; work without a tag is under '(none)' there."""

    usd: Decimal
    idle_usd: Decimal
    by_span: tuple[Line, ...]
    by_prefix: tuple[Line, ...]
    by_tag: Mapping[str, tuple[Line, ...]]


@dataclass(slots=True)
class _Sum:
    pico: int = 0
    us: int = 0
    tasks: int = 0
    rows: int = 0


def span_text(span: Sequence[str]) -> str:
    """'train / folds', or that there was none."""
    return " / ".join(span) or NO_SPAN


def cost_of_work(costs: Iterable[NodeCost], rows: Iterable[WorkRow]) -> WorkCost:
    """What was spent for what. Each node is looked at over all of its costs together; work on
    nodes without one is free."""
    worked: dict[str, list[WorkRow]] = defaultdict(list)
    for row in rows:
        worked[row.node_id].append(row)
    pico: dict[str, int] = defaultdict(int)
    threads: dict[str, int] = defaultdict(int)
    for cost in costs:
        pico[cost.node_id] += pico_from_usd(str(cost.usd))
        threads[cost.node_id] += cost.thread_us
    tags = sorted({tag for mine in worked.values() for row in mine for tag in row.tags})
    sums = _Sums(tags)
    idle = 0
    for node_id in sorted(pico.keys() | worked.keys()):
        mine = worked.get(node_id, [])
        busy = {place: round(row.busy_seconds * _MICRO) for place, row in enumerate(mine)}
        parts, left = shared_out(pico.get(node_id, 0), threads.get(node_id, 0), busy)
        idle += left
        for place, row in enumerate(mine):
            sums.add(row, parts[place], busy[place])
    return WorkCost(
        usd=usd_from_pico(sum(pico.values())),
        idle_usd=usd_from_pico(idle),
        by_span=_lines(sums.span),
        by_prefix=_lines(sums.prefix),
        by_tag=MappingProxyType({tag: _lines(sums.tag[tag]) for tag in tags}),
    )


class _Sums:
    """Sums by span, prefix and value of each tag."""

    def __init__(self, tags: Iterable[str]) -> None:
        self.span: dict[str, _Sum] = defaultdict(_Sum)
        self.prefix: dict[str, _Sum] = defaultdict(_Sum)
        self.tag: dict[str, dict[str, _Sum]] = {tag: defaultdict(_Sum) for tag in tags}

    def add(self, row: WorkRow, pico: int, us: int) -> None:
        """Takes a row in, with what it cost."""
        where = [self.span[span_text(row.span)]]
        where += [values[row.tags.get(tag, NO_VALUE)] for tag, values in self.tag.items()]
        if row.prefix:
            where.append(self.prefix[row.prefix])
        for each in where:
            each.pico += pico
            each.us += us
            each.tasks += row.tasks
            each.rows += row.rows


def _lines(sums: Mapping[str, _Sum]) -> tuple[Line, ...]:
    lines = (
        Line(
            name=name,
            usd=usd_from_pico(each.pico),
            busy_seconds=each.us / _MICRO,
            tasks=each.tasks,
            rows=each.rows,
        )
        for name, each in sums.items()
    )
    return tuple(sorted(lines, key=lambda line: (-line.usd, line.name)))
