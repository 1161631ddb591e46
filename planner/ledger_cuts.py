"""Ledger entries cut at instants, so that days and periods add up to the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from costplan.planner.ledger import LedgerEntry
from costplan.planner.spans import amount_usd

_ONE_DAY = timedelta(days=1)


def pieces(entry: LedgerEntry, cuts: Sequence[datetime]) -> list[LedgerEntry]:
    """The entry cut at those of the instants, in order, that lie inside it.

    Task-time and thread-time go by time; dollars add up to the entry's exactly, as the last
    piece takes what is left.
    """
    inside = [cut for cut in cuts if entry.start < cut < entry.end]
    if not inside:
        return [entry]
    sign = -1 if entry.usd < 0 else 1
    left, whole, found = entry.usd, entry.end - entry.start, []
    for start, end in pairwise((entry.start, *inside, entry.end)):
        usd = left if end == entry.end else sign * amount_usd(entry.usd_per_hour, start, end)
        left -= usd
        share = (end - start) / whole
        found.append(
            replace(
                entry,
                start=start,
                end=end,
                usd=usd,
                busy_seconds=entry.busy_seconds * share,
                thread_seconds=entry.thread_seconds * share,
            )
        )
    return found


def within(
    entries: Iterable[LedgerEntry], start: datetime | None, end: datetime | None
) -> tuple[LedgerEntry, ...]:
    """What lies in [start, end), entries over its borders cut there; None is no border."""
    cuts = [border for border in (start, end) if border is not None]
    return tuple(
        piece
        for entry in entries
        for piece in pieces(entry, cuts)
        if (start is None or piece.start >= start) and (end is None or piece.end <= end)
    )


def by_day(entries: Iterable[LedgerEntry]) -> Iterator[tuple[str, LedgerEntry]]:
    """Each entry with its UTC day ('2026-05-04'), cut at midnight."""
    for entry in entries:
        midnight = datetime.combine(entry.start.date(), datetime.min.time(), UTC) + _ONE_DAY
        cuts = []
        while midnight < entry.end:
            cuts.append(midnight)
            midnight += _ONE_DAY
        for piece in pieces(entry, cuts):
            yield f"{piece.start:%Y-%m-%d}", piece
