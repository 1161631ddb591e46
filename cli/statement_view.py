"""A statement in sections of words and tables: for a terminal, Markdown and paper."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from costplan.cli.report_wording import share_text
from costplan.cli.statement_text import (
    AMORTISED,
    CASH,
    PURPOSES,
    actual_text,
    anomaly_text,
    burn_text,
    burn_verdict,
    carbon_sources,
    columns_of,
    control_lines,
    digits,
    heads_of,
    mass_text,
    name_text,
    notes,
    saved_text,
    shown_table,
    title_text,
    unit_text,
    verdict_text,
    views_text,
)
from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View
from costplan.planner.amounts import dollars, rounded_parts
from costplan.planner.finance.dimensions import heads
from costplan.planner.finance.statement import Row, Statement, Table
from costplan.planner.wording import counted, percent, plain

TERMINAL_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


def statement_view(statement: Statement) -> View:
    """All of it for a terminal or Markdown."""
    blocks: list[Block] = [Facts(tuple(_facts(statement))), Line(verdict_text(statement), "strong")]
    for section in sections(statement, TERMINAL_ROWS):
        # A table says in the head of its first column what it is by.
        says_itself = isinstance(section.blocks[0], Grid) and len(section.blocks) == 1
        head = () if says_itself else (Line(f"{section.title}:"),)
        blocks += [*head, *section.blocks]
    blocks += [Line(note, "quiet") for note in notes(statement)]
    return View(title=title_text(statement), blocks=tuple(blocks))


def _facts(statement: Statement) -> Iterable[tuple[str, tuple[str, ...]]]:
    total = statement.total
    yield "views", (views_text(statement),)
    yield (
        "machines",
        (f"{counted(statement.nodes, 'node')}, {total.node_hours:,.1f} node-hours",),
    )
    if statement.forecast is not None:
        yield "month", (burn_text(statement.forecast, digits(statement)),)
    for burn in statement.budgets:
        verdict = burn_verdict(burn)
        lines = (burn_text(burn, digits(statement)), *((verdict,) if verdict else ()))
        yield f"budget/{burn.name}", lines
    if statement.aside.interruptions:
        yield "interrupted", statement.aside.interruptions
    gaps = statement.footprint.gaps
    mass = mass_text(statement.footprint.grams)
    yield "CO2e", (mass + (f", without {counted(len(gaps), 'gap')}" if gaps else ""),)


def sections(statement: Statement, most: int) -> list[Section]:
    """What follows the head, section by section; tables have at most `most` rows."""
    found = [Section(title="What the dollars did", blocks=(_purposes(statement),))]
    for table in statement.tables:
        title = f"By {heads(table.dimensions)}"
        found.append(Section(title=title, blocks=(table_grid(table, statement, most),)))
    found += [
        Section(title="By market", blocks=(table_grid(statement.markets, statement, most),)),
        Section(title="By type", blocks=(table_grid(statement.types, statement, most),)),
    ]
    if len(statement.charges.rows) > 1:
        charges = table_grid(statement.charges, statement, most)
        found.append(Section(title="By what was paid for", blocks=(charges,)))
    found.append(Section(title="What it would have cost otherwise", blocks=(_others(statement),)))
    found.append(Section(title="Plan, metered, actual", blocks=tuple(_variance(statement))))
    if statement.commitments.uses:
        found.append(Section(title="Commitments", blocks=tuple(_commitments(statement))))
    if statement.anomalies:
        odd = tuple(
            (f"{each.day:%a %d %b}", (anomaly_text(each, digits(statement)),))
            for each in statement.anomalies
        )
        found.append(Section(title="Unusual days", blocks=(Facts(odd),)))
    if statement.unit_costs:
        found.append(Section(title="What one cost", blocks=(_units(statement),)))
    if carbon := tuple(_carbon(statement)):
        found.append(Section(title="Emissions", blocks=carbon))
    control = tuple((name, (text,)) for name, text in control_lines(statement))
    found.append(Section(title="Control totals", blocks=(Facts(control),)))
    return found


def _purposes(statement: Statement) -> Grid:
    rows, _ = shown_table(statement.purposes, 99)
    columns = columns_of(rows, statement, 0)
    cells = [
        (
            row.names[0],
            PURPOSES.get(row.names[0], ""),
            share_text(row.sums.usd(statement.view), statement.usd),
            *(f"{usd:,.{digits(statement)}f}" for usd in amounts),
        )
        for row, amounts in zip(rows, columns, strict=True)
    ]
    return _with_total(
        (Column(head="dollars for"), Column(head="", optional=True)),
        cells, ("total", "", "100 %", *_totals(statement)),
    )  # fmt: skip


def _totals(statement: Statement) -> tuple[str, str]:
    total, shown = statement.total, digits(statement)
    return tuple(  # type: ignore[return-value]
        f"{rounded_parts([usd], shown)[0]:,.{shown}f}"
        for usd in (total.effective_usd, total.billed_usd)
    )


def _with_total(
    left: tuple[Column, ...], cells: list[tuple[str, ...]], total: tuple[str, ...]
) -> Grid:
    return Grid(
        columns=(
            *left,
            Column(head="share", is_number=True, optional=True),
            Column(head=AMORTISED, is_number=True),
            Column(head=CASH, is_number=True),
        ),
        rows=(*cells, total),
        styles=(*_plain(len(cells)), "strong"),
    )


def table_grid(table: Table, statement: Statement, most: int) -> Grid:
    """Rows by one way to split the total; what is shown adds up to the total as shown."""
    rows, left = shown_table(table, most)
    columns = columns_of(rows, statement, left)
    shown = digits(statement)
    cells = []
    for row, amounts in zip(rows, columns[: len(rows)], strict=True):
        names = _names(table, row)
        share = share_text(row.sums.usd(statement.view), statement.usd)
        cells.append((*names, share, *(f"{usd:,.{shown}f}" for usd in amounts)))
    blank = ("",) * (len(table.dimensions) - 1)
    if left:
        rest = (f"{usd:,.{shown}f}" for usd in columns[-1])
        cells.append((f"{left:,} others", *blank, "", *rest))
    left_columns = tuple(Column(head=head) for head in heads_of(table))
    return _with_total(left_columns, cells, ("total", *blank, "100 %", *_totals(statement)))


def _names(table: Table, row: Row) -> tuple[str, ...]:
    return tuple(name_text(d, n) for d, n in zip(table.dimensions, row.names, strict=True))


def _others(statement: Statement) -> Facts:
    shown = digits(statement)
    pairs = []
    for other in statement.otherwise:
        lines = [saved_text(other, shown), f"{other.words}."]
        if other.usd is not None:
            lines.insert(
                0, f"{dollars(other.usd, shown)} instead of {dollars(other.paid_usd, shown)}"
            )
        pairs.append((other.name, tuple(lines)))
    return Facts(tuple(pairs))


def _variance(statement: Statement) -> Iterable[Block]:
    found, shown = statement.variance, digits(statement)
    if found.planned_usd is None:
        yield Line("No plan of this time is kept, so there is nothing to hold it against.", "quiet")
    else:
        names = [("planned", "what the plans expected", found.planned_usd), *found.causes]
        parts = rounded_parts([usd for _, _, usd in names], shown)
        cells = [
            (name, words, f"{part:+,.{shown}f}" if place else f"{part:,.{shown}f}")
            for place, ((name, words, _), part) in enumerate(zip(names, parts, strict=True))
        ]
        cells.append(("metered", "amortised, as the ledger has it", f"{sum(parts):,.{shown}f}"))
        yield Grid(
            columns=(Column(head="step"), Column(head=""), Column(head="$", is_number=True)),
            rows=tuple(cells),
            styles=(*_plain(len(cells) - 1), "strong"),
        )
        if found.before_usd and found.since is not None:
            before = dollars(found.before_usd, shown)
            since = f"{found.since:%Y-%m-%d %H:%M} UTC"
            yield Line(f"Plans are known from {since} on; {before} were before.", "quiet")
    unknown = "What the provider billed is not known yet: `costplan reconcile --restate` notes it."
    yield Line(actual_text(found, shown) or unknown, "quiet")


def _commitments(statement: Statement) -> Iterable[Block]:
    shown, found = digits(statement), statement.commitments
    cells = [
        (
            plain(use.commitment_id),
            use.kind,
            "" if use.utilisation is None else percent(use.utilisation),
            *(f"{usd:,.{shown}f}" for usd in
              (use.used_usd, use.unused_usd, use.fee_usd, use.saved_usd)),
        )
        for use in found.uses
    ]  # fmt: skip
    numbers = ("used", "used $", "unused $", "billed $", "saved $")
    yield Grid(
        columns=(
            Column(head="commitment"), Column(head="kind", optional=True),
            *(Column(head=name, is_number=True) for name in numbers),
        ),
        rows=tuple(cells),
        styles=_plain(len(cells)),
    )  # fmt: skip
    if found.coverage is not None:
        covered = percent(found.coverage)
        yield Line(f"{covered} of what could be covered was, by its on-demand price.", "quiet")


def _units(statement: Statement) -> Grid:
    rows = tuple(unit_text(cost) for cost in statement.unit_costs)
    return Grid(
        columns=(
            Column(head="one"), Column(head="of them", is_number=True),
            Column(head="$ each", is_number=True),
        ),
        rows=rows, styles=_plain(len(rows)),
    )  # fmt: skip


def _carbon(statement: Statement) -> Iterable[Block]:
    found = statement.footprint
    rows = [
        (
            f"{place.provider} {place.region}".strip(), f"{place.kwh:,.1f}",
            f"{place.grid.grams_per_kwh:,.0f}", str(place.grid.year), mass_text(place.grams),
        )
        for place in found.places
    ]  # fmt: skip
    if rows:
        band = f"{mass_text(found.grams_low)} to {mass_text(found.grams_high)}"
        numbers = ("kWh", "g/kWh", "year", "CO2e")
        yield Grid(
            columns=(Column(head="region"), *(Column(head=n, is_number=True) for n in numbers)),
            rows=(*rows, ("total", f"{found.kwh:,.1f}", "", "", mass_text(found.grams))),
            styles=(*_plain(len(rows)), "strong"),
        )
        yield Line(f"From {band}. {carbon_sources(found)}.", "quiet")
    if found.gaps:
        share = percent(found.gap_node_hours / found.node_hours) if found.node_hours else "all"
        yield Line(f"Not counted, {share} of node-hours: {'; '.join(found.gaps)}.", "quiet")


def _plain(rows: int) -> tuple[Style, ...]:
    styles: list[Style] = ["plain"] * rows
    return tuple(styles)
