"""Machines by the second: when each is charged, and cut into hours of the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.commitments.values import (
    Commitment,
    Hour,
    Metering,
    Owner,
    Product,
    Rules,
    Span,
    Usage,
)
from costplan.planner.types import require, require_utc

_HOUR = timedelta(hours=1)
_MICROSECOND = timedelta(microseconds=1)
_BY_THE_HOUR = ("suse",)
"""Systems that AWS charges by the hour from each start.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-for-interrupted-spot-instances.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`count` machines, or resources of machines, that ran from one instant to another.

    `is_interrupted` is true where the provider took spot machines away, and not the user.
    """

    run_id: str
    product: Product
    start: datetime
    end: datetime
    usd_per_hour: Fraction
    count: Fraction = Fraction(1)
    rates: Mapping[str, Fraction] = field(default_factory=lambda: MappingProxyType({}))
    owner: Owner = Owner()
    is_spot: bool = False
    is_interrupted: bool = False

    def __post_init__(self) -> None:
        require_utc(self.start, "start")
        require_utc(self.end, "end")
        require(self.start < self.end, self.run_id, "ends before it starts")


def hours_of(
    runs: Sequence[Run],
    commitments: Sequence[Commitment],
    rules: Rules,
    start: datetime | None = None,
    end: datetime | None = None,
) -> tuple[Hour, ...]:
    """The hours from the first start to the end of the last charge, and from `start` to `end`;
    those without use as well."""
    lots = [_charged(run, rules) for run in runs]
    starts = [lot.start for lot in lots] + ([] if start is None else [start])
    ends = [lot.end for lot in lots] + ([] if end is None else [end])
    if not starts or not ends:
        return ()
    first = hour_start(min(starts))
    usage: dict[int, list[Usage]] = {}
    for lot in lots:
        for number, span in _cut(lot, first):
            usage.setdefault(number, []).append(_usage(lot.run, span, is_free=lot.is_free))
    return tuple(
        Hour(
            usage=tuple(usage.get(number, ())),
            commitments=tuple(commitments),
            start=first + number * _HOUR,
        )
        for number in range(-((first - max(ends)) // _HOUR))
    )


def hour_start(instant: datetime) -> datetime:
    """When the hour of the clock began."""
    return instant.replace(minute=0, second=0, microsecond=0)


def charged(run: Run, rules: Rules) -> tuple[datetime, datetime]:
    """From when to when a run is charged, its minimum and the last step with it."""
    lot = _charged(run, rules)
    return lot.start, lot.end


def span_usage(run: Run, hour: datetime, start: datetime, end: datetime) -> Usage:
    """A part of a run, which lies in the hour that begins at `hour`, as usage of it."""
    span = Span(
        start_seconds=_seconds(start - hour), end_seconds=_seconds(end - hour), count=run.count
    )
    return _usage(run, span, is_free=False)


def usage_of(run: Run, hour: datetime, rules: Rules) -> Usage:
    """A run as usage of the hour that it starts in; a minimum that reaches over the hour's end is
    charged in it as well."""
    lot = _charged(run, rules)
    span = Span(
        start_seconds=_seconds(lot.start - hour),
        end_seconds=_seconds(lot.end - hour),
        count=run.count,
    )
    return _usage(run, span, is_free=lot.is_free)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lot:
    """A run, and the time of it that is charged."""

    run: Run
    start: datetime
    end: datetime
    is_free: bool


def _charged(run: Run, rules: Rules) -> _Lot:
    metering = rules.metering.get(run.product.provider, Metering(minimum_seconds=0))
    seconds = _seconds(run.end - run.start)
    taken = run.is_spot and run.is_interrupted
    is_free = taken and seconds < metering.free_seconds
    step, drop = metering.step_seconds, metering.drop_partial_step
    if run.product.provider == "aws" and run.product.os in _BY_THE_HOUR:
        step, drop = 3600, drop or taken
    steps = max(seconds, Fraction(metering.minimum_seconds)) / step
    whole = steps.__floor__() if drop else steps.__ceil__()
    # What is free is shown for as long as it ran.
    end = run.end if is_free else run.start + timedelta(seconds=whole * step)
    return _Lot(run=run, start=run.start, end=end, is_free=is_free)


def _cut(lot: _Lot, first: datetime) -> Iterator[tuple[int, Span]]:
    """The lot hour by hour: the hour's number from the first on, and when in it."""
    start = lot.start
    while start < lot.end:
        number = (start - first) // _HOUR
        begin = first + number * _HOUR
        end = min(lot.end, begin + _HOUR)
        yield (
            number,
            Span(
                start_seconds=_seconds(start - begin),
                end_seconds=_seconds(end - begin),
                count=lot.run.count,
            ),
        )
        start = end


def _usage(run: Run, span: Span, *, is_free: bool) -> Usage:
    return Usage(
        usage_id=run.run_id,
        product=run.product,
        quantity=span.hours,
        usd_per_unit=Fraction(0) if is_free else run.usd_per_hour,
        unit="hours",
        rates=run.rates,
        owner=run.owner,
        is_spot=run.is_spot,
        spans=(span,),
    )


def _seconds(duration: timedelta) -> Fraction:
    return Fraction(duration // _MICROSECOND, 10**6)
