"""Better prices for time that is over, from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from costplan.adapters.text_file import read_text
from costplan.planner.errors import InputError
from costplan.planner.reprice import BetterPrice
from costplan.planner.types import Market, OfferKey

COLUMNS = (
    "provider", "region", "zone", "instance_type", "market", "usd_per_hour", "from", "to", "source",
)  # fmt: skip
_MAY_BE_EMPTY = ("zone", "source")
_MOST_BYTES = 256 * 2**20
_MARKETS = (Market.ON_DEMAND, Market.SPOT)


def read_better_prices(file: Path) -> tuple[BetterPrice, ...]:
    """The prices of a file, in its order; raises InputError that names line, column and value."""
    text = read_text(file, absent="see docs/ledger.md", most_bytes=_MOST_BYTES)
    rows = csv.DictReader(text.splitlines())
    names = rows.fieldnames or ()
    missing = [name for name in COLUMNS if name not in names and name not in _MAY_BE_EMPTY]
    if missing:
        way_out = f"its first line names the columns: {','.join(COLUMNS)}"
        raise InputError(str(file), f"has no column {missing[0]}", way_out)
    prices = tuple(_price(file, line, row) for line, row in enumerate(rows, start=2))
    if not prices:
        raise InputError(str(file), "has no prices", "see docs/ledger.md")
    return prices


def _price(file: Path, line: int, row: Mapping[str, str | None]) -> BetterPrice:
    def said(name: str) -> str:
        value = (row.get(name) or "").strip()
        if not value and name not in _MAY_BE_EMPTY:
            raise _wrong(file, line, name, value, "is empty", "fill it in")
        return value

    market = said("market")
    if market not in {each.value for each in _MARKETS}:
        words = " or ".join(each.value for each in _MARKETS)
        raise _wrong(file, line, "market", market, "is no market", f"write {words}")
    try:
        usd = Decimal(said("usd_per_hour"))
    except InvalidOperation as error:
        raise _wrong(
            file, line, "usd_per_hour", said("usd_per_hour"), "is no number", "like 0.096"
        ) from error
    if not usd.is_finite() or not 0 < usd < 10**6:
        raise _wrong(file, line, "usd_per_hour", str(usd), "is no price", "like 0.096")
    start, end = (_instant(file, line, name, said(name)) for name in ("from", "to"))
    if start >= end:
        raise _wrong(file, line, "to", said("to"), "is not after from", "correct one of them")
    return BetterPrice(
        key=OfferKey(
            provider=said("provider"),
            region=said("region"),
            zone=said("zone"),
            instance_type=said("instance_type"),
            market=Market(market),
        ),
        usd_per_hour=usd,
        start=start,
        end=end,
        source=said("source") or file.name,
    )


def _instant(file: Path, line: int, name: str, text: str) -> datetime:
    way_out = "write it like 2026-10-05T12:00:00Z"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise _wrong(file, line, name, text, "is no time", way_out) from error
    if instant.tzinfo is None:
        raise _wrong(file, line, name, text, "says no time zone", way_out)
    return instant.astimezone(UTC)


def _wrong(file: Path, line: int, name: str, value: str, what: str, way_out: str) -> InputError:
    return InputError(f"{file}: line {line}: {name}", f"{value!r} {what}", way_out)
