"""Any value of the classes that are stored: made by their fields' types, for property tests."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any

from hypothesis import strategies as st

from costplan.planner.commitments.values import Commitment, Kind
from costplan.planner.load import TaskGroup
from costplan.planner.outlook import Outlook
from costplan.planner.types import Packing, PoolPlan

COUNTS = st.integers(1, 10**15)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=8)
DOLLARS = st.decimals(Decimal("0.000000001"), 10**9, allow_nan=False, allow_infinity=False)
BEFORE, AFTER = (datetime(2026, 1, day) for day in (1, 2))  # noqa: DTZ001 - as hypothesis asks
INSTANTS = st.datetimes(timezones=st.just(UTC))
BY_FIELD: Mapping[str, st.SearchStrategy[Any]] = {
    "token": st.text(min_size=1, max_size=64),
    "hazard_per_hour": st.none() | st.floats(0, 100),
    "start": st.datetimes(max_value=BEFORE, timezones=st.just(UTC)),
    "end": st.datetimes(min_value=AFTER, timezones=st.just(UTC)),
}
"""What a field may be where its type says too little."""


@cache
def values(form: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - a return a kind of type
    """Values of a type."""
    plain = {str: TEXTS, int: COUNTS, float: FLOATS, bool: st.booleans(), type(None): st.none(),
             Decimal: DOLLARS, datetime: INSTANTS,
             Fraction: st.fractions(min_value=0)}  # fmt: skip
    origin, parts = typing.get_origin(form), typing.get_args(form)
    if form in plain:
        return plain[form]
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(values, parts))
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return st.lists(values(parts[0]), min_size=1, max_size=1).map(tuple)
        return st.tuples(*map(values, parts))
    if origin is Mapping or origin is dict:
        return st.dictionaries(*map(values, parts), max_size=1).map(types.MappingProxyType)
    if isinstance(form, type) and issubclass(form, Enum):
        return st.sampled_from(form)
    return BY_CLASS[form]() if form in BY_CLASS else st.deferred(lambda: by_fields(form))


def by_fields(form: Any, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of a dataclass, some fields as given. `ended_at` is there where a machine needs it."""
    hints = typing.get_type_hints(form)
    made = {}
    for field in dataclasses.fields(form):
        known = given.get(field.name, BY_FIELD.get(field.name))
        made[field.name] = values(hints[field.name]) if known is None else known
    if form.__name__ == "ProviderNode":
        made["ended_at"] = INSTANTS
    return st.builds(form, **made)


def _groups() -> st.SearchStrategy[TaskGroup]:
    late = {"running": st.integers(9, 10**15), "overdue": st.integers(0, 9)}
    known = by_fields(TaskGroup, mean_task_seconds=FLOATS, **late)
    none = by_fields(TaskGroup, mean_task_seconds=st.none(), observed_tasks=st.just(0), **late)
    return known | none


def _pools() -> st.SearchStrategy[PoolPlan]:
    def summed(packings: tuple[Packing, ...]) -> st.SearchStrategy[PoolPlan]:
        nodes = sum(packing.nodes for packing in packings)
        return by_fields(PoolPlan, packings=st.just(packings), nodes=st.just(nodes))

    return values(tuple[Packing, ...]).flatmap(summed)


def _outlooks() -> st.SearchStrategy[Outlook]:
    def of(ends: tuple[int, ...], shares: tuple[float, ...]) -> st.SearchStrategy[Outlook]:
        row = st.tuples(*[FLOATS] * len(ends))
        rows = st.dictionaries(TEXTS, st.tuples(*[row] * len(shares)), max_size=1)
        axes = {"ends_seconds": st.just(ends), "shares": st.just(shares)}
        return by_fields(Outlook, **axes, workers=rows.map(types.MappingProxyType))

    def rising(each: st.SearchStrategy[Any], least: int) -> st.SearchStrategy[tuple[Any, ...]]:
        few = st.lists(each, min_size=least, max_size=3, unique=True)
        return few.map(lambda found: tuple(sorted(found)))

    axes = st.tuples(rising(COUNTS, 0), rising(st.floats(0, 1), 1))
    return axes.flatmap(lambda both: of(*both))


def _commitments() -> st.SearchStrategy[Commitment]:
    dates = {"start": BY_FIELD["start"], "end": BY_FIELD["end"], "term": st.just("3y")}
    amounts = {"usd_per_hour": values(Fraction), "count": values(Fraction)}
    plans = by_fields(
        Commitment, **{**dates, **amounts, "count": st.none()}, kind=st.just(Kind.COMPUTE_SP)
    )
    return plans | by_fields(Commitment, **dates, **amounts, kind=st.just(Kind.REGIONAL_RI))


BY_CLASS: Mapping[Any, Callable[[], st.SearchStrategy[Any]]] = {
    TaskGroup: _groups,
    Outlook: _outlooks,
    PoolPlan: _pools,
    Commitment: _commitments,
}
