"""The bill of commitments in words and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from costplan.cli.bill_document import WrittenHour, WrittenUse, quantity_text, written
from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View
from costplan.planner.amounts import digits_for, dollars
from costplan.planner.commitments.values import HourBill
from costplan.planner.units import PICO_PER_USD, usd_from_pico
from costplan.planner.wording import counted, percent, plain

_MOST_IN_FULL = 3
"""Hours that are shown line by line; of more, each is a row."""

_SHOWN_DIGITS = 4
_PLAIN: Style = "plain"
_T = TypeVar("_T")


def bill_view(bills: Sequence[HourBill], notes: Sequence[str]) -> View:
    """Each hour's lines and commitments, or an hour a row where there are many."""
    hours = [written(bill) for bill in bills]
    total = sum(hour.total_pico for hour in hours)
    digits = digits_for(usd_from_pico(total))
    blocks: list[Block] = []
    if len(hours) > _MOST_IN_FULL:
        blocks += [_totals(hours, digits), _hours_grid(hours, digits), _uses_grid(hours, digits)]
        blocks.append(Line("`--format json` has the lines of each hour", "quiet"))
    else:
        for number, hour in enumerate(hours, start=1):
            if len(hours) > 1:
                blocks.append(Line(_hour_name(number, hour), "strong"))
            blocks.append(_totals([hour], digits))
            blocks += [_lines_grid(hour, digits)] if hour.lines else []
            blocks += [_uses_grid([hour], digits)] if hour.uses else []
    blocks += [Line(note, "quiet") for note in notes]
    title = f"{counted(len(hours), 'hour')}: {_dollars(total, digits)} in all"
    return View(title=title, blocks=tuple(blocks))


def notes_of(bills: Sequence[HourBill]) -> tuple[str, ...]:
    """What a reader must know besides, a sentence each."""
    unpriced = dict.fromkeys(
        use.commitment_id for bill in bills for use in bill.commitments if not use.is_price_known
    )
    if not unpriced:
        return ()
    names = ", ".join(map(plain, unpriced))
    return (f"No price is given for {names}: what it costs is in no figure here",)


def _hour_name(number: int, hour: WrittenHour) -> str:
    start = hour.bill.start
    return f"hour {number}" if start is None else f"{start:%Y-%m-%d %H:%M} UTC"


def _totals(hours: Sequence[WrittenHour], digits: int) -> Facts:
    unused = sum(hour.unused_pico for hour in hours)
    total = sum(hour.total_pico for hour in hours)
    on_demand = sum(hour.on_demand_pico for hour in hours)
    used = total - on_demand - unused
    waste = f" ({percent(Decimal(unused) / total)} of it all)" if unused else ""
    return Facts(
        (
            ("on demand", (f"{_dollars(on_demand, digits)} that no commitment covers",)),
            ("committed", (f"{_dollars(used, digits)} used",)),
            ("unused", (f"{_dollars(unused, digits)} of commitments{waste}",)),
        )
    )


def _lines_grid(hour: WrittenHour, digits: int) -> Grid:
    columns: tuple[Column, ...] = (
        Column(head="usage"),
        Column(head="covered by"),
        Column(head="quantity", is_number=True),
        Column(head="unit", optional=True),
        Column(head="$ each", is_number=True),
        Column(head="$", is_number=True),
    )
    unpriced = {use.use.commitment_id for use in hour.uses if not use.use.is_price_known}
    rows: list[tuple[str, ...]] = []
    for each in hour.lines:
        line = each.line
        usd = (_price(line.usd_per_unit), _amount(each.usd_pico, digits))
        name = plain(line.usage_id) + (" (idle)" if line.is_idle else "")
        shown = ("?", "?") if line.covered_by in unpriced else usd
        by, unit = plain(line.covered_by or "-"), plain(line.unit)
        rows.append((name, by, _short(each.quantity_pico), unit, *shown))
    if not any(row[3] for row in rows):
        columns, rows = _without(3, columns), [_without(3, row) for row in rows]
    return _grid(columns, rows)


def _without(place: int, cells: tuple[_T, ...]) -> tuple[_T, ...]:
    return (*cells[:place], *cells[place + 1 :])


def _hours_grid(hours: Sequence[WrittenHour], digits: int) -> Grid:
    heads = ("hour", "on demand", "committed", "unused", "total")
    columns = tuple(Column(head=head, is_number=place > 0) for place, head in enumerate(heads))
    rows = []
    for number, hour in enumerate(hours, start=1):
        on_demand, unused, total = hour.on_demand_pico, hour.unused_pico, hour.total_pico
        amounts = (on_demand, total - on_demand - unused, unused, total)
        rows.append((_hour_name(number, hour), *(_amount(each, digits) for each in amounts)))
    return _grid(columns, rows)


def _uses_grid(hours: Sequence[WrittenHour], digits: int) -> Grid:
    heads = ("commitment", "kind", "used", "unused", "unit", "$ used", "$ unused")
    rows = []
    for first, (used, unused, used_usd, unused_usd) in _summed(hours):
        use = first.use
        usd = (_amount(each, digits) for each in (used_usd, unused_usd))
        name, unit = plain(use.commitment_id), plain(use.unit)
        shown = usd if use.is_price_known else ("?", "?")
        rows.append((name, str(use.kind), _short(used), _short(unused), unit, *shown))
    columns = tuple(
        Column(head=head, is_number=head not in heads[:2] + heads[4:5], optional=head == "kind")
        for head in heads
    )
    return _grid(columns, rows)


def _summed(hours: Iterable[WrittenHour]) -> list[tuple[WrittenUse, tuple[int, ...]]]:
    """Each commitment with used and unused quantity, used and unused dollars over the hours."""
    found: dict[str, tuple[WrittenUse, tuple[int, ...]]] = {}
    for hour in hours:
        for each in hour.uses:
            figures = (
                each.used_quantity_pico,
                each.unused_quantity_pico,
                each.used_pico,
                each.unused_pico,
            )
            first, before = found.get(each.use.commitment_id, (each, (0,) * len(figures)))
            summed = tuple(a + b for a, b in zip(before, figures, strict=True))
            found[each.use.commitment_id] = (first, summed)
    return list(found.values())


def _grid(columns: tuple[Column, ...], rows: Sequence[tuple[str, ...]]) -> Grid:
    return Grid(columns=columns, rows=tuple(rows), styles=tuple(_PLAIN for _ in rows))


def _amount(pico: int, digits: int) -> str:
    return f"{usd_from_pico(pico):,.{digits}f}"


def _dollars(pico: int, digits: int) -> str:
    return dollars(usd_from_pico(pico), digits)


def _price(usd: Fraction) -> str:
    """A price to five significant digits, and to cents at least: '0.70', '0.00001275'."""
    amount = usd_from_pico(round(usd * PICO_PER_USD))
    text = f"{amount:.{min(max(_SHOWN_DIGITS, _SHOWN_DIGITS - amount.adjusted()), 12)}f}"
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits.rstrip('0').ljust(2, '0')}"


def _short(pico: int) -> str:
    """A quantity to four digits after the point, for a table."""
    return quantity_text(round(pico, _SHOWN_DIGITS - 12))
