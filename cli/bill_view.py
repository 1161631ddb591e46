"""The bill of commitments in words and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

from costplan.cli.bill_document import WrittenHour, WrittenUse, quantity_text, written
from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View
from costplan.cli.wording import usd_column
from costplan.planner.commitments.values import HourBill
from costplan.planner.units import PICO_PER_USD, usd_from_pico
from costplan.planner.wording import counted, percent, plain

_MOST_IN_FULL = 3
"""Hours that are shown line by line; of more, each is a row."""

_SHOWN_DIGITS = 4
_PLAIN: Style = "plain"


def bill_view(bills: Sequence[HourBill], notes: Sequence[str]) -> View:
    """Each hour's lines and commitments, or an hour a row where there are many."""
    hours = [written(bill) for bill in bills]
    blocks: list[Block] = []
    if len(hours) > _MOST_IN_FULL:
        blocks += [_totals(hours), _hours_grid(hours), _uses_grid(_summed(hours))]
    else:
        for number, hour in enumerate(hours, start=1):
            if len(hours) > 1:
                blocks.append(Line(_hour_name(number, hour), "strong"))
            blocks.append(_totals([hour]))
            blocks += [_lines_grid(hour)] if hour.lines else []
            blocks += [_uses_grid(_summed([hour]))] if hour.uses else []
    blocks += [Line(note, "quiet") for note in notes]
    total = sum(hour.total_pico for hour in hours)
    return View(
        title=f"{counted(len(hours), 'hour')}: {_dollars(total)} in all", blocks=tuple(blocks)
    )


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


def _totals(hours: Sequence[WrittenHour]) -> Facts:
    unused = sum(hour.unused_pico for hour in hours)
    total = sum(hour.total_pico for hour in hours)
    on_demand = sum(hour.on_demand_pico for hour in hours)
    waste = f" ({percent(Decimal(unused) / total)} of it all)" if unused else ""
    return Facts(
        (
            ("on demand", (f"{_dollars(on_demand)} that no commitment covers",)),
            ("committed", (f"{_dollars(total - on_demand - unused)} used",)),
            ("unused", (f"{_dollars(unused)} of commitments{waste}",)),
        )
    )


def _lines_grid(hour: WrittenHour) -> Grid:
    heads = ("usage", "covered by", "quantity", "$ each", "$")
    usd = _column(line.usd_pico for line in hour.lines)
    rows = tuple(
        (
            plain(line.line.usage_id) + (" (idle)" if line.line.is_idle else ""),
            plain(line.line.covered_by or "-"),
            _short(line.quantity_pico),
            _price(line.line.usd_per_unit),
            usd[place],
        )
        for place, line in enumerate(hour.lines)
    )
    return _grid(heads, 2, rows)


def _hours_grid(hours: Sequence[WrittenHour]) -> Grid:
    heads = ("hour", "on demand", "committed", "unused", "total")
    rows = tuple(
        (
            _hour_name(number, hour),
            _amount(hour.on_demand_pico),
            _amount(hour.total_pico - hour.on_demand_pico - hour.unused_pico),
            _amount(hour.unused_pico),
            _amount(hour.total_pico),
        )
        for number, hour in enumerate(hours, start=1)
    )
    return _grid(heads, 1, rows)


def _uses_grid(uses: Sequence[tuple[WrittenUse, tuple[int, ...]]]) -> Grid:
    heads = ("commitment", "kind", "used", "unused", "unit", "$ used", "$ unused")
    used = _column(figures[2] for _, figures in uses)
    unused = _column(figures[3] for _, figures in uses)
    rows = tuple(
        (
            plain(each.use.commitment_id),
            each.use.kind,
            _short(figures[0]),
            _short(figures[1]),
            plain(each.use.unit),
            used[place] if each.use.is_price_known else "?",
            unused[place] if each.use.is_price_known else "?",
        )
        for place, (each, figures) in enumerate(uses)
    )
    columns = tuple(
        Column(head=head, is_number=head not in heads[:2] + heads[4:5], optional=head == "kind")
        for head in heads
    )
    return _plain_grid(columns, rows)


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


def _grid(heads: Sequence[str], words: int, rows: tuple[tuple[str, ...], ...]) -> Grid:
    columns = (Column(head=head, is_number=place >= words) for place, head in enumerate(heads))
    return _plain_grid(tuple(columns), rows)


def _plain_grid(columns: tuple[Column, ...], rows: tuple[tuple[str, ...], ...]) -> Grid:
    return Grid(columns=columns, rows=rows, styles=tuple(_PLAIN for _ in rows))


def _column(amounts: Iterable[int]) -> list[str]:
    return usd_column([usd_from_pico(amount) for amount in amounts])


def _amount(pico: int) -> str:
    return f"{usd_from_pico(pico):,.{_SHOWN_DIGITS}f}"


def _dollars(pico: int) -> str:
    return f"${_amount(pico)}"


def _price(usd: Fraction) -> str:
    """A price to five significant digits, and to cents at least: '0.70', '0.00001275'."""
    amount = usd_from_pico(round(usd * PICO_PER_USD))
    text = f"{amount:.{min(max(_SHOWN_DIGITS, _SHOWN_DIGITS - amount.adjusted()), 12)}f}"
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits.rstrip('0').ljust(2, '0')}"


def _short(pico: int) -> str:
    """A quantity to four digits after the point, for a table."""
    return quantity_text(round(pico, _SHOWN_DIGITS - 12))
