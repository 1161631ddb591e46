"""Dollars an hour over time, by market: what the chart of a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from costplan.planner.ledger import MACHINE, LedgerEntry
from costplan.planner.ledger_cuts import pieces
from costplan.planner.types import Market
from costplan.planner.units import SECONDS_PER_HOUR

MOST_BUCKETS = 96
_BUCKETS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Buckets of equal length from `start` on; `usd` and mean `nodes` by market and bucket."""

    start: datetime
    bucket_seconds: int
    markets: tuple[Market, ...]
    usd: tuple[tuple[Decimal, ...], ...]
    nodes: tuple[tuple[float, ...], ...]

    def usd_per_hour(self, market: int, bucket: int) -> Decimal:
        """What a market cost an hour in a bucket, on average."""
        return self.usd[market][bucket] * SECONDS_PER_HOUR / self.bucket_seconds


def timeline(entries: Sequence[LedgerEntry], start: datetime, end: datetime) -> Timeline:
    """The entries of [start, end) in at most about a hundred buckets of a round length.

    The dollars of all buckets add up to those of the entries exactly.
    """
    length = (end - start).total_seconds()
    day = _BUCKETS[-1]
    bucket = next(
        (size for size in _BUCKETS if length <= size * MOST_BUCKETS),
        -(-int(length) // (day * MOST_BUCKETS)) * day,
    )
    first = int((start - _EPOCH).total_seconds()) // bucket
    edges = [_EPOCH + timedelta(seconds=first * bucket)]
    while edges[-1] < end:
        edges.append(edges[-1] + timedelta(seconds=bucket))
    markets = tuple(m for m in Market if any(entry.key.market is m for entry in entries))
    usd = [[_ZERO] * (len(edges) - 1) for _ in markets]
    nodes = [[0.0] * (len(edges) - 1) for _ in markets]
    for entry in entries:
        row = markets.index(entry.key.market)
        place = int((entry.start - edges[0]).total_seconds()) // bucket
        last = int((entry.end - edges[0]).total_seconds()) // bucket
        for piece in pieces(entry, edges[place : last + 1]):
            here = int((piece.start - edges[0]).total_seconds()) // bucket
            usd[row][here] += piece.usd
            if entry.charge != MACHINE:
                continue  # of the same time as its machine's entry
            seconds = (piece.end - piece.start).total_seconds()
            nodes[row][here] += (seconds if piece.usd >= 0 else -seconds) / bucket
    return Timeline(
        start=edges[0],
        bucket_seconds=bucket,
        markets=markets,
        usd=tuple(map(tuple, usd)),
        nodes=tuple(map(tuple, nodes)),
    )
