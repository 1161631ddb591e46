"""Recorded spot prices over time, laid over the pools of a backtest.

Recorded prices are of other days, and mostly of other types than those that are sold. A pool
keeps the price of the list in the mean, and moves around it as a recorded series did: one of its
own type where the file has it, else the one that its place among types and zones says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from costplan.adapters.backtest.recorded_file import read_columns
from costplan.adapters.sim.clock import MICROS
from costplan.adapters.sim.steps import Steps
from costplan.planner.errors import InputError

_COLUMNS = ("timestamp", "zone", "instance_type", "spot_usd_h")
_PRICE = Decimal("0.000001")
"""Prices are whole times this, and at least once: nothing is for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The price of one type in one zone: its ratio to its own mean over time, from each second on.

    It lasts `seconds` and is repeated after that. The first instant is 0.
    """

    instance_type: str
    zone: str
    from_seconds: tuple[float, ...]
    ratios: tuple[float, ...]
    seconds: float

    def around(self, usd_per_hour: Decimal) -> Steps[Decimal]:
        """A price that is `usd_per_hour` in the mean and moves as this course did, repeated."""
        return Steps(
            tuple(round(second * MICROS) for second in self.from_seconds),
            tuple(_priced(usd_per_hour, ratio) for ratio in self.ratios),
            period=round(self.seconds * MICROS),
        )


def _priced(usd_per_hour: Decimal, ratio: float) -> Decimal:
    return max((usd_per_hour * Decimal(repr(ratio))).quantize(_PRICE), _PRICE)


def read_courses(path: Path) -> tuple[Course, ...]:
    """The series of a file of price changes, in order of type and zone.

    The file is Parquet with the columns `timestamp`, `zone`, `instance_type` and `spot_usd_h`, a
    row a change. A series of one price says nothing of how prices move and is left out. Raises
    InputError.
    """
    table = read_columns(path, _COLUMNS, "a file of spot prices")
    changes: dict[tuple[str, str], dict[datetime, float]] = {}
    for row, (at, zone, kind, usd) in enumerate(zip(*table.values(), strict=True), start=1):
        if not isinstance(at, datetime) or not zone or not kind or not _is_price(usd):
            raise InputError(
                f"{path}: row {row}",
                f"has {at!s}, {zone}, {kind}, {usd}",
                "give an instant, a zone, a type and a price above 0 in each row",
            )
        changes.setdefault((kind, zone), {})[at] = float(usd)
    found = [_course(kind, zone, changes[kind, zone]) for kind, zone in sorted(changes)]
    courses = tuple(course for course in found if course is not None)
    if not courses:
        raise InputError(str(path), "has no price that changes", "leave --spot-prices out")
    return courses


def _is_price(usd: object) -> bool:
    return isinstance(usd, (int, float, Decimal)) and 0 < usd < math.inf


def _course(kind: str, zone: str, changes: dict[datetime, float]) -> Course | None:
    """The series from its first change to its last, None where the price never moved."""
    rows = sorted(changes.items())
    if len({usd for _, usd in rows}) == 1:
        return None
    begin = rows[0][0]
    seconds = [(at - begin).total_seconds() for at, _ in rows]
    whole = seconds[-1]
    # The last change ends the series: how long its price lasted is not in the file.
    held = [later - at for at, later in pairwise(seconds)]
    mean = sum(usd * wide for (_, usd), wide in zip(rows, held, strict=False)) / whole
    return Course(
        instance_type=kind,
        zone=zone,
        from_seconds=tuple(seconds[:-1]),
        ratios=tuple(round(usd / mean, 6) for _, usd in rows[:-1]),
        seconds=whole,
    )


def course_of(
    courses: Sequence[Course], instance_type: str, type_number: int, zone_number: int
) -> Course:
    """The course that a pool follows: of its own type, else (z + t) modulo their number."""
    own = [course for course in courses if course.instance_type == instance_type]
    if own:
        return own[zone_number % len(own)]
    return courses[(zone_number + type_number) % len(courses)]
