"""The bill of the local machines: each machine's own record, times the prices in force.

It shares no code with the ledger, which watches from outside: the two must agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from costplan.adapters.local.records import MachineRecord
from costplan.planner.types import OfferKey, Quote

_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR = 3_600_000_000
_PICO = Decimal(1).scaleb(-12)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """What one machine cost in [start, end): dollars at 12 places."""

    provider_id: str
    node_id: str
    cluster: str
    key: OfferKey
    start: datetime
    end: datetime
    usd: Decimal


def bill(
    records: Iterable[MachineRecord], prices: Sequence[Quote], start: datetime, end: datetime
) -> tuple[BillLine, ...]:
    """A line for every machine that was there in [start, end), by launch.

    `prices` are those of `LocalPrices.history(start, end)`. Time is billed without a minimum:
    90 s of 0.10 USD/h and then 30 s of 0.20 USD/h are 0.004166666667 USD. A machine that has
    ended is billed up to a whole second, at its last price, as its offer says.
    """
    lines = []
    for record in records:
        machine = record.machine
        began = max(machine.launched_at, start)
        over = min(machine.ended_at or end, end)
        if began >= over:
            continue
        here = [quote for quote in prices if quote.key == machine.key]
        usd_microseconds = sum(
            (quote.usd_per_hour * _overlap(quote, began, over) for quote in here), Decimal(0)
        )
        if machine.ended_at == over:
            last = max((q for q in here if q.observed_at < over), key=lambda q: q.observed_at)
            usd_microseconds += last.usd_per_hour * _to_the_second(over - machine.launched_at)
        lines.append(
            BillLine(
                provider_id=machine.provider_id,
                node_id=machine.node_id or "",
                cluster=record.cluster,
                key=machine.key,
                start=began,
                end=over,
                usd=(usd_microseconds / _MICROSECONDS_PER_HOUR).quantize(_PICO),
            )
        )
    return tuple(lines)


def _to_the_second(lasted: timedelta) -> int:
    """Microseconds that a time lacks to whole seconds."""
    return -(lasted // _MICROSECOND) % 1_000_000


def _overlap(quote: Quote, start: datetime, end: datetime) -> int:
    """Microseconds of [start, end) in which a price was in force."""
    since = max(quote.observed_at, start)
    until = min(quote.valid_until or end, end)
    return max(0, (until - since) // _MICROSECOND)
