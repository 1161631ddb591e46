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

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from costplan.planner.work import OTHERS

Key = TypeVar("Key", bound=Hashable)
NO_SPAN = "(no span)"
IDLE = "idle"


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


def dearest(lines: Sequence[Line], most: int) -> Sequence[Line]:
    """The first of lines, which are in order, and those beyond `most` as one: they still add up."""
    if len(lines) <= most:
        return lines
    named = [line for line in lines if line.name != OTHERS][: most - 1]
    rest = [line for line in lines if line not in named]
    others = Line(
        name=OTHERS,
        usd=sum((line.usd for line in rest), Decimal(0)),
        busy_seconds=sum(line.busy_seconds for line in rest),
        tasks=sum(line.tasks for line in rest),
        rows=sum(line.rows for line in rest),
    )
    return [*named, others]


def span_text(span: Sequence[str]) -> str:
    """'train / folds', or that there was none."""
    return " / ".join(span) or NO_SPAN
