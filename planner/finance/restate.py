"""Restating the ledger by a provider's actuals: corrections that take back and charge anew.

No entry is changed. Time stays as it was metered, so that attribution stays; its dollars become
the provider's. Time that the ledger had nothing of is charged as time without work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from costplan.planner.finance.actuals import Wanted, WantedByKey, resource_key
from costplan.planner.ledger import MACHINE, LedgerEntry, Recorded, Use
from costplan.planner.ledger_net import Standing, standing
from costplan.planner.spans import amount_usd
from costplan.planner.types import Market
from costplan.planner.units import pico_from_usd, rounded_usd, usd_from_pico

_MICROSECOND = timedelta(microseconds=1)
_MICROS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """Entries to be added and what they change; `left` are hours that could not be restated: the
    ledger has no entry of the machine to go by, or the actuals say no time."""

    entries: tuple[LedgerEntry, ...]
    changed: int
    usd: Decimal
    left: int


def restated(entries: Iterable[Recorded], wanted: WantedByKey, source: str) -> Restated:
    """What makes the ledger's machines cost what is wanted; `source` names where that is from."""
    of_key: dict[str, list[Standing]] = defaultdict(list)
    template: dict[str, LedgerEntry] = {}
    ours = (
        each
        for each in entries
        if each.entry.charge == MACHINE and ledger_key(each.entry) in wanted
    )
    for piece in standing(ours):
        key = ledger_key(piece.of.entry)
        of_key[key].append(piece)
        template[key] = piece.of.entry
    found: list[LedgerEntry] = []
    changed = left = 0
    for key in sorted(wanted):
        for want in wanted[key]:
            if want.is_missed:
                made = _added(template.get(key), want, source)
            else:
                made = _changed(of_key[key], want, source)
            found += made
            changed += bool(made)
            left += not made
    usd = sum((entry.usd for entry in found), Decimal(0))
    return Restated(entries=tuple(found), changed=changed, usd=usd, left=left)


def ledger_key(entry: LedgerEntry) -> str:
    """The key of an entry's machine: what the cloud calls it, or else our own name."""
    return resource_key(entry.resource_id or entry.node_id)


def _changed(pieces: Iterable[Standing], want: Wanted, source: str) -> list[LedgerEntry]:
    """Takes back what stands in the time and charges it anew, in parts that add up exactly."""
    inside = [
        (piece, max(piece.start, want.start), min(piece.end, want.end))
        for piece in pieces
        if piece.start < want.end and want.start < piece.end
    ]
    whole = sum((end - start) // _MICROSECOND for _, start, end in inside)
    if not whole:
        return []
    total = pico_from_usd(want.usd)
    rate = rounded_usd(want.usd * _MICROS_PER_HOUR / whole)
    found, done = [], 0
    for piece, start, end in inside:
        after = done + (end - start) // _MICROSECOND
        usd = usd_from_pico(total * after // whole - total * done // whole)
        done = after
        entry = piece.of.entry
        is_whole = (start, end) == (entry.start, entry.end)
        charged = entry.usd if is_whole else amount_usd(entry.usd_per_hour, start, end)
        back = replace(
            entry,
            start=start,
            end=end,
            usd=-charged,
            kind="correction",
            busy_seconds=0.0,
            thread_seconds=0.0,
            rate_source=f"correction of {entry.rate_source}",
        )
        found += [back, _anew(back, usd, rate, source)]
    return found


def _anew(entry: LedgerEntry, usd: Decimal, rate: Decimal, source: str) -> LedgerEntry:
    is_firm = entry.key.market is Market.ON_DEMAND
    return replace(
        entry,
        usd=usd,
        usd_per_hour=rate,
        kind="usage",
        rate_source=source,
        is_estimate=False,
        on_demand_usd_per_hour=rate if is_firm else entry.on_demand_usd_per_hour,
    )


def _added(like: LedgerEntry | None, want: Wanted, source: str) -> list[LedgerEntry]:
    """Charges time that the ledger has nothing of; nobody worked in it."""
    micros = min(
        int((want.hours * _MICROS_PER_HOUR).to_integral_value(ROUND_HALF_EVEN)),
        (want.end - want.start) // _MICROSECOND,
    )
    if like is None or micros <= 0:
        return []
    rate = rounded_usd(want.usd * _MICROS_PER_HOUR / micros)
    idle = replace(
        like,
        start=want.start,
        end=want.start + micros * _MICROSECOND,
        use=Use.END,
        busy_seconds=0.0,
        thread_seconds=0.0,
    )
    return [_anew(idle, want.usd, rate, source)]
