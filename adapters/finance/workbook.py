"""A statement as an XLSX workbook: sheets with numbers as numbers, and every charge line.

A spreadsheet keeps floating-point numbers of some fifteen digits; exact figures are in the CSV and
Parquet files. The file is written row by row and says that it was made when the statement was, so
equal books give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costplan.adapters.finance.book import Book
from costplan.planner.finance.dimensions import DIMENSIONS, head, heads
from costplan.planner.finance.grid import SOURCES
from costplan.planner.finance.statement import Statement, Sums, Table
from costplan.planner.wording import plain

if TYPE_CHECKING:
    import xlsxwriter

MOST_ROWS = 1_048_576
"""Rows of a sheet, the head counted."""

_LINES = (
    "start_at", "kind", "charge", "purpose", "workload", "team", "cost_center", "run", "node_id",
    "region", "instance_type", "market", "effective_usd", "billed_usd",
)  # fmt: skip
"""Columns of the sheet of lines: those that people filter and pivot by. Each costs a million lines
several seconds; the exact file has all columns."""

_MONEY, _EXACT, _HOURS, _SHARE = "#,##0.00", "#,##0.00########", "#,##0.00", "0.0%"
_BAD_IN_NAMES = str.maketrans("", "", "[]:*?/\\'")
_NAME_LENGTH = 31
_BATCH_ROWS = 20_000

Told = Callable[[str], None]
Cell = str | int | float | Decimal | datetime | date | None


def write_workbook(
    path: Path, statement: Statement, book: Book, *, most_lines: int = MOST_ROWS - 1,
    told: Told = lambda _: None,
) -> None:  # fmt: skip
    """Writes the workbook to `path`. `told` hears how many lines are written."""
    import xlsxwriter

    options = {"constant_memory": True, "in_memory": False, "strings_to_formulas": False,
               "strings_to_urls": False, "nan_inf_to_errors": False}  # fmt: skip
    with xlsxwriter.Workbook(str(path), options) as workbook:
        workbook.set_properties(
            {
                "title": f"{statement.cluster or 'costplan'} {statement.period.name}",
                "created": statement.as_of.replace(tzinfo=None, microsecond=0),
            }
        )
        sheets = Sheets(workbook)
        _summary(sheets, statement, most_lines)
        tables = {table.dimensions: table for table in statement.tables}
        for dimensions, table in tables.items():
            _table(sheets, f"By {heads(dimensions)}", table, statement)
        _table(sheets, "By purpose", statement.purposes, statement)
        _table(sheets, "By type", statement.types, statement)
        _variance(sheets, statement)
        _savings(sheets, statement)
        _commitments(sheets, statement)
        _emissions(sheets, statement)
        _lines(sheets, statement, book, most_lines, told)


class Sheets:
    """The sheets of a workbook, and the formats of its cells."""

    def __init__(self, workbook: xlsxwriter.Workbook) -> None:
        self._book = workbook
        self._names: set[str] = set()
        self.bold = workbook.add_format({"bold": True})
        self.head = workbook.add_format({"bold": True, "bottom": 1, "text_wrap": True})
        self.words = workbook.add_format({"text_wrap": True, "valign": "top"})
        self.formats = {
            form: workbook.add_format({"num_format": form})
            for form in (_MONEY, _EXACT, _HOURS, _SHARE, "yyyy-mm-dd hh:mm:ss", "#,##0")
        }
        self.totals = {
            form: workbook.add_format({"num_format": form, "bold": True, "top": 1})
            for form in (_MONEY, _EXACT, _HOURS, _SHARE, "#,##0", "")
        }

    def add(self, name: str, columns: Sequence[tuple[str, float]]) -> Any:
        """A sheet with a head that stays, columns of these widths, that prints across the page."""
        base = name.translate(_BAD_IN_NAMES)[:_NAME_LENGTH]
        kept, number = base, 2
        while kept.lower() in self._names:
            kept, number = f"{base[: _NAME_LENGTH - 3]} {number}", number + 1
        self._names.add(kept.lower())
        sheet = self._book.add_worksheet(kept)
        for place, (_, width) in enumerate(columns):
            sheet.set_column(place, place, width)
        for place, (title, _) in enumerate(columns):
            sheet.write_string(0, place, title, self.head)
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        return sheet

    def row(
        self, sheet: Any, at: int, cells: Iterable[tuple[Cell, str]], *, total: bool = False
    ) -> None:
        """A row of values with their formats; what is not known is an empty cell."""
        known = self.totals if total else self.formats
        for place, (value, form) in enumerate(cells):
            style = known.get(form)
            match value:
                case None:
                    if total:
                        sheet.write_blank(at, place, None, style)
                case str():
                    sheet.write_string(at, place, plain(value), style)
                case datetime():
                    sheet.write_datetime(at, place, value.replace(tzinfo=None), style)
                case date():
                    sheet.write_string(at, place, value.isoformat(), style)
                case _:
                    sheet.write_number(at, place, float(value), style)


def _summary(sheets: Sheets, statement: Statement, most_lines: int) -> None:
    period, total = statement.period, statement.total
    sheet = sheets.add("Summary", (("what", 34), ("figure", 24), ("in words", 90)))
    facts: list[tuple[str, Cell, str, str]] = [
        ("cluster", statement.cluster, "", ""),
        ("month", period.name, "", "" if period.is_over else "so far"),
        ("until (UTC)", period.until, "yyyy-mm-dd hh:mm:ss", ""),
        ("ledger as of (UTC)", statement.as_of.replace(microsecond=0), "yyyy-mm-dd hh:mm:ss", ""),
        ("amortised USD", total.effective_usd, _EXACT, "fees of commitments spread over their use"),
        ("cash USD", total.billed_usd, _EXACT, "as billed; never to be added to amortised"),
        ("lines", total.lines, "#,##0", _lines_words(statement, most_lines)),
        ("nodes", statement.nodes, "#,##0", ""),
        ("node-hours", total.node_hours, _HOURS, ""),
        ("vCPU-hours", total.vcpu_hours, _HOURS, ""),
        ("GPU-hours", total.gpu_hours, _HOURS, ""),
        ("kg CO2e", statement.footprint.grams / 1000, _HOURS, "; ".join(statement.footprint.gaps)),
    ]
    if statement.forecast is not None and statement.forecast.forecast_usd is not None:
        ahead = statement.forecast
        band = f"{ahead.low_usd} to {ahead.high_usd} in four of five cases, from {ahead.basis}"
        facts.append(("expected at month end USD", ahead.forecast_usd, _MONEY, band))
    for burn in statement.budgets:
        facts.append((f"budget of the {burn.name} USD", burn.limit_usd, _MONEY, ""))
        word = "passed" if burn.is_passed else "expected to be passed"
        passed = "" if burn.passed_on is None else f"{word} on {burn.passed_on.isoformat()}"
        facts.append((f"burnt of the {burn.name} USD", burn.burnt_usd, _MONEY, passed))
    for odd in statement.anomalies:
        cause = odd.cause
        words = f"usually {odd.usual_usd:.2f}"
        if cause is not None:
            words += f"; {head(cause.dimension)} {cause.name or 'unattributed'} explains most"
        facts.append((f"unusual day {odd.day.isoformat()} USD", odd.usd, _MONEY, words))
    for cost in statement.unit_costs:
        of = f" of {cost.of}" if cost.of else ""
        words = f"{cost.units:,.2f} of them"
        facts.append((f"USD for one {cost.unit}{of}", cost.usd_each, _EXACT, words))
    for at, (name, value, form, words) in enumerate(facts, start=1):
        sheets.row(sheet, at, ((name, ""), (value, form), (words, "")))
    sheet.write_string(
        len(facts) + 2, 0,
        "Control totals: amortised, cash and lines above are those of every format of this report.",
        sheets.bold,
    )  # fmt: skip


def _lines_words(statement: Statement, most_lines: int) -> str:
    left = statement.total.lines - most_lines
    if left <= 0:
        return "all of them are in the sheet Lines"
    return f"the last {left:,} are not in the sheet Lines: `--format csv --by line` writes them all"


def _sum_cells(sums: Sums, whole: Sums) -> list[tuple[Cell, str]]:
    share = sums.effective_usd / whole.effective_usd if whole.effective_usd > 0 else None
    grams = sums.grams_co2e
    return [
        (sums.effective_usd, _EXACT), (sums.billed_usd, _EXACT), (share, _SHARE),
        (sums.node_hours, _HOURS), (sums.vcpu_hours, _HOURS), (sums.gpu_hours, _HOURS),
        (None if grams is None else grams / 1000, _HOURS), (sums.lines, "#,##0"),
    ]  # fmt: skip


_SUM_HEADS = (
    ("amortised USD", 20), ("cash USD", 20), ("share", 9), ("node-hours", 13), ("vCPU-hours", 13),
    ("GPU-hours", 12), ("kg CO2e", 12), ("lines", 12),
)  # fmt: skip


def _table(sheets: Sheets, name: str, table: Table, statement: Statement) -> None:
    names = [(head(dimension), 24.0) for dimension in table.dimensions]
    sheet = sheets.add(name, (*names, *_SUM_HEADS))
    at = 0
    for at, row in enumerate(table.rows[: MOST_ROWS - 2], start=1):
        shown = [(value or _nameless(d), "") for d, value in zip(
            table.dimensions, row.names, strict=True)]  # fmt: skip
        sheets.row(sheet, at, (*shown, *_sum_cells(row.sums, statement.total)))
    sheet.autofilter(0, 0, max(at, 1), len(names) + len(_SUM_HEADS) - 1)
    blanks: list[tuple[Cell, str]] = [("total", ""), *((None, "") for _ in names[1:])]
    sums = _sum_cells(statement.total, statement.total)
    sheets.row(sheet, at + 1, (*blanks, *sums), total=True)


def _nameless(dimension: str) -> str:
    owned = tuple(DIMENSIONS)[:9]
    return "unattributed" if dimension in owned or dimension not in DIMENSIONS else ""


def _variance(sheets: Sheets, statement: Statement) -> None:
    found = statement.variance
    sheet = sheets.add("Variance", (("step", 22), ("USD", 20), ("in words", 70)))
    rows: list[tuple[str, Decimal | None, str]] = []
    if found.planned_usd is None:
        rows.append(("planned", None, "no plan of this time is kept"))
    else:
        rows.append(("planned", found.planned_usd, f"what plans expected from {found.since} on"))
        rows += [(name, usd, words) for name, words, usd in found.causes]
    rows.append(("metered", found.metered_usd, "amortised, of the time that plans cover"))
    rows.append(("before the first plan", found.before_usd, "amortised"))
    rows.append(
        (
            "actual",
            found.actual_usd,
            "as the provider billed for machines, after commitments; empty until reconciled",
        )
    )
    rows.append(("machines", found.machines_usd, "what the ledger has for the same"))
    for at, (name, usd, words) in enumerate(rows, start=1):
        sheets.row(sheet, at, ((name, ""), (usd, _EXACT), (words, "")))


def _savings(sheets: Sheets, statement: Statement) -> None:
    columns = [("against", 26.0)]
    columns += [(name, 18.0) for name in ("would have cost USD", "at least USD", "at most USD",
                "paid USD", "saved USD", "saved at least USD", "saved at most USD")]  # fmt: skip
    sheet = sheets.add("Savings", (*columns, ("in words", 100)))
    for at, other in enumerate(statement.otherwise, start=1):
        amounts = (other.usd, other.low_usd, other.high_usd, other.paid_usd, other.saved_usd,
                   other.saved_low_usd, other.saved_high_usd)  # fmt: skip
        money = tuple((usd, _EXACT) for usd in amounts)
        sheets.row(sheet, at, ((other.name, ""), *money, (other.words, "")))


def _commitments(sheets: Sheets, statement: Statement) -> None:
    found = statement.commitments
    names = ("used USD", "unused USD", "billed USD", "on-demand USD", "saved USD")
    columns = (("commitment", 26.0), ("kind", 16.0), ("utilisation", 12.0))
    sheet = sheets.add("Commitments", (*columns, *((name, 18.0) for name in names)))
    at = 0
    for at, use in enumerate(found.uses, start=1):
        amounts = (use.used_usd, use.unused_usd, use.fee_usd, use.on_demand_usd, use.saved_usd)
        sheets.row(
            sheet, at,
            ((use.commitment_id, ""), (use.kind, ""), (use.utilisation, _SHARE),
             *((usd, _EXACT) for usd in amounts)),
        )  # fmt: skip
    sheets.row(sheet, at + 2, (("coverage", ""), (None, ""), (found.coverage, _SHARE)))


def _emissions(sheets: Sheets, statement: Statement) -> None:
    columns = (("provider", 12), ("region", 20), ("kWh", 14), ("g CO2e per kWh", 16), ("year", 8),
               ("kg CO2e", 14), ("source", 80))  # fmt: skip
    sheet = sheets.add("Emissions", columns)
    at = 0
    for at, place in enumerate(statement.footprint.places, start=1):
        grid = place.grid
        sheets.row(
            sheet, at,
            ((place.provider, ""), (place.region, ""), (place.kwh, _HOURS),
             (grid.grams_per_kwh, _HOURS), (grid.year, ""), (place.grams / 1000, _HOURS),
             (SOURCES[grid.source], "")),
        )  # fmt: skip
    for number, gap in enumerate(statement.footprint.gaps, start=2):
        sheet.write_string(at + number, 0, plain(f"not counted: {gap}"))


def _lines(sheets: Sheets, statement: Statement, book: Book, most_lines: int, told: Told) -> None:
    forms = {"effective_usd": _EXACT, "billed_usd": _EXACT, "usd_per_hour": _EXACT,
             "start_at": "yyyy-mm-dd hh:mm:ss", "end_at": "yyyy-mm-dd hh:mm:ss"}  # fmt: skip
    wide = {"start_at": 19, "end_at": 19, "node_id": 22, "effective_usd": 18, "billed_usd": 18}
    sheet = sheets.add("Lines", [(name, wide.get(name, 14)) for name in _LINES])
    styles = [sheets.formats.get(forms.get(name, "")) for name in _LINES]
    columns = ", ".join(f'"{name}"' for name in _LINES)
    at = 0
    batches = book.batches(
        f"""SELECT {columns} FROM lines WHERE month = ?
        ORDER BY start_at, line_id LIMIT {most_lines}""",  # noqa: S608 - ours
        statement.period.name,
        rows=_BATCH_ROWS,
    )
    for batch in batches:
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            at += 1
            for place, (value, style) in enumerate(zip(row, styles, strict=True)):
                if value is None or value == "":
                    continue
                if isinstance(value, str):
                    sheet.write_string(at, place, plain(value), style)
                elif isinstance(value, datetime):
                    sheet.write_datetime(at, place, value, style)
                else:
                    sheet.write_number(at, place, float(value), style)
        told(f"{at:,} of {min(statement.total.lines, most_lines):,} lines in the workbook")
    sheet.autofilter(0, 0, max(at, 1), len(_LINES) - 1)
