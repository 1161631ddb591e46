"""What `costplan ledger` says."""

from __future__ import annotations

import json
from collections.abc import Sequence

from costplan.adapters.store.months import MonthRow
from costplan.adapters.store.reconciled import IssuedRow
from costplan.cli.view import Column, Grid, Line, Style, View
from costplan.planner.reprice import Repriced
from costplan.planner.units import usd_from_pico
from costplan.planner.wording import counted, plain


def months_view(rows: Sequence[MonthRow]) -> View:
    """The months as a table."""
    if not rows:
        return View(title="the ledger", blocks=(Line("it has no entries", "quiet"),))
    plain: Style = "plain"
    grid = Grid(
        columns=(
            Column(head="month"),
            Column(head="entries", is_number=True),
            Column(head="$", is_number=True),
            Column(head="closed"),
            Column(head="kept in"),
        ),
        rows=tuple(
            (
                row.month,
                f"{row.rows:,}",
                f"{usd_from_pico(row.pico):,.2f}",
                "open" if row.closed_at is None else f"{row.closed_at:%Y-%m-%d %H:%M}",
                "archive" if row.is_archived else "store",
            )
            for row in rows
        ),
        styles=tuple(plain for _ in rows),
    )
    return View(title="the ledger by month", blocks=(grid,))


def months_document(rows: Sequence[MonthRow]) -> str:
    """The months as JSON; dollars are exact, as text."""
    found = [
        {
            "month": row.month,
            "entries": row.rows,
            "usd": str(usd_from_pico(row.pico)),
            "closed_at": None if row.closed_at is None else row.closed_at.isoformat(),
            "is_archived": row.is_archived,
        }
        for row in rows
    ]
    return json.dumps({"months": found}, indent=2) + "\n"


def _entries(rows: int) -> str:
    return "1 entry" if rows == 1 else f"{rows:,} entries"


def month_text(row: MonthRow) -> str:
    """A month in a line, with its control totals."""
    return f"{row.month}, {_entries(row.rows)}, ${usd_from_pico(row.pico)}"


def issued_text(row: IssuedRow) -> str:
    """An issued report in a line, with its control totals."""
    return (
        f"{row.month}, {counted(row.lines, 'line')}, ${row.billed_usd} billed, "
        f"${row.effective_usd} amortised, sha256 {row.sha256}"
    )


def unmet_text(made: Repriced) -> str:
    """Prices that no charge is for, by the first of them; '' where there are none."""
    if not made.unmet:
        return ""
    first = made.unmet[0]
    times = f"{first.start:%Y-%m-%d %H:%M} to {first.end:%Y-%m-%d %H:%M} UTC"
    more = f", and {counted(len(made.unmet) - 1, 'other price')}" if made.unmet[1:] else ""
    key = first.key
    place = f"{key.provider} {key.region}{f' {key.zone}' if key.zone else ''}"
    return (
        f"the ledger has no charge of {plain(place)} {plain(key.instance_type)} {key.market} from "
        f"{times}{more}: see that provider, region, zone and type are written as in the reports"
    )


def repriced_text(made: Repriced) -> str:
    """What better prices change."""
    if not made.entries:
        return "nothing was charged at another price"
    more = "more" if made.usd >= 0 else "less"
    return (
        f"{counted(made.pieces, 'charge')} at another price, in all ${abs(made.usd)} {more}: "
        f"{len(made.entries):,} corrections"
    )
