"""Names, amounts and sentences of a statement as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from costplan.cli.report_wording import share_text
from costplan.planner.amounts import digits_for, dollars, rounded_parts
from costplan.planner.finance.anomalies import Anomaly
from costplan.planner.finance.budgets import Burn
from costplan.planner.finance.carbon import COEFFICIENTS, COEFFICIENTS_YEAR, Footprint
from costplan.planner.finance.dimensions import TAG, head
from costplan.planner.finance.grid import SOURCES
from costplan.planner.finance.savings import Otherwise
from costplan.planner.finance.statement import Row, Statement, Table
from costplan.planner.finance.units_of_work import UnitCost
from costplan.planner.finance.variance import Variance
from costplan.planner.plan_document import money_text
from costplan.planner.wording import counted, percent, plain, usd

UNATTRIBUTED = "unattributed"
PURPOSES = {
    "work": "tasks that were useful",
    "recompute": "tasks run again after interruptions",
    "idle": "ready threads without a task",
    "boot": "machines that were not ready yet",
    "drain": "machines being emptied or ended",
    "stranded": "committed to, and used by nobody",
    "fee": "commitments paid for: cash alone",
}
CASH, AMORTISED = "cash $", "amortised $"
_OWNED = ("workload", "team", "project", "cost_center", "environment", "user", "run", "span",
          "prefix")  # fmt: skip
_NONE = "–"


def month_text(name: str) -> str:
    """'2026-10' as 'October 2026'."""
    from datetime import date

    return f"{date.fromisoformat(f'{name}-01'):%B %Y}"


def title_text(statement: Statement) -> str:
    """'trainer: $823.75 in October 2026 so far'."""
    name = plain(statement.cluster) or "the cluster"
    so_far = "" if statement.period.is_over else " so far"
    return f"{name}: {total_text(statement)} in {month_text(statement.period.name)}{so_far}"


def total_text(statement: Statement) -> str:
    """The total in the statement's view; '~' marks prices that were derived."""
    return _mark(statement) + dollars(statement.usd, digits(statement))


def views_text(statement: Statement) -> str:
    """Both views, and that they are not to be added."""
    shown = digits(statement)
    total = statement.total
    return (
        f"amortised {dollars(total.effective_usd, shown)}, cash "
        f"{dollars(total.billed_usd, shown)}: two views of the same money, not to be added"
    )


def digits(statement: Statement) -> int:
    """Places of dollars that all of a statement is shown with."""
    return digits_for(max(abs(statement.total.effective_usd), abs(statement.total.billed_usd)))


def _mark(statement: Statement) -> str:
    return "~" if statement.total.estimated_usd else ""


def name_text(dimension: str, name: str) -> str:
    """A name in a table; of what nobody said anything it is 'unattributed'."""
    if name == "":
        if dimension in _OWNED or dimension.startswith(TAG):
            return UNATTRIBUTED
        return "commitments" if dimension in ("market", "instance_type", "region") else _NONE
    if dimension == "market":
        return name.replace("_", "-")
    return plain(name)


def shown_table(table: Table, most: int) -> tuple[list[Row], int]:
    """The first rows of a table, and how many are left."""
    rows = [row for row in table.rows if row.sums.billed_usd or row.sums.effective_usd]
    rows = rows or list(table.rows)
    if len(rows) <= most:
        return rows, 0
    return rows[: most - 1], len(rows) - most + 1


def columns_of(
    rows: Sequence[Row], statement: Statement, left: int
) -> list[tuple[Decimal, Decimal]]:
    """Amortised and cash dollars of the rows and, where some are `left`, of those together; what
    is shown adds up to the shown total."""
    found = []
    total, shown = statement.total, digits(statement)
    for of_row, whole in (
        ([row.sums.effective_usd for row in rows], total.effective_usd),
        ([row.sums.billed_usd for row in rows], total.billed_usd),
    ):
        parts = [*of_row, whole - sum(of_row, Decimal(0))] if left else of_row
        found.append(rounded_parts(parts, shown))
    return list(zip(*found, strict=True))


def heads_of(table: Table) -> tuple[str, ...]:
    """What the columns of names are called."""
    return tuple(head(name) for name in table.dimensions)


def saved_text(other: Otherwise, shown: int) -> str:
    """'$12.30 (30 %) saved, between $10.00 and $15.00'."""
    if other.usd is None or other.saved_usd is None:
        return "not known"
    saved = other.saved_usd
    share = f" ({share_text(abs(saved), other.usd)})" if other.usd > 0 else ""
    word = "saved" if saved >= 0 else "more paid"
    text = f"{dollars(abs(saved), shown)}{share} {word}"
    low, high = other.saved_low_usd, other.saved_high_usd
    if low is None or high is None or low == high:
        return text
    return f"{text}; between {dollars(low, shown)} and {dollars(high, shown)} saved"


def verdict_text(statement: Statement) -> str:
    """The first saving that is known, in a sentence."""
    shown = digits(statement)
    for other in statement.otherwise:
        saved = other.saved_usd
        if saved is None or other.usd is None or other.usd <= 0:
            continue
        amount = f"{dollars(abs(saved), shown)} ({share_text(abs(saved), other.usd)})"
        word = "less" if saved >= 0 else "more"
        return f"{amount} {word} than {other.name}"
    return "What it would have cost otherwise is not known"


def burn_text(of: Burn, shown: int) -> str:
    """'$823.75 of $1,200.00 (68.6 %); $1,150.00 expected at its end ($1,100.00 to $1,200.00)'."""
    limit = of.limit_usd
    text = dollars(of.burnt_usd, shown)
    if limit is not None:
        share = f" ({percent(of.burnt_usd / limit)})" if limit > 0 else ""
        text += f" of {dollars(limit, 2)}{share}"
    if of.forecast_usd is None:
        return f"{text}; no forecast: {of.basis}" if of.basis else text
    if of.basis:
        text += f"; {dollars(of.forecast_usd, 2)} expected at its end"
    if of.low_usd is not None and of.high_usd is not None and of.low_usd != of.high_usd:
        text += f" ({dollars(of.low_usd, 2)} to {dollars(of.high_usd, 2)} in four of five cases)"
    return text


def burn_verdict(of: Burn) -> str:
    """What becomes of a budget: '' where it is kept."""
    if of.passed_on is None:
        return "passed" if of.is_passed else ""
    if of.is_passed:
        return f"passed on {of.passed_on:%d %B}"
    return f"will be passed on {of.passed_on:%d %B}, as days go"


def actual_text(found: Variance, shown: int) -> str:
    """What the provider billed, against the ledger; empty where that is not known."""
    if found.actual_usd is None:
        return ""
    off = round(found.actual_usd - found.machines_usd, shown)
    words = "as in the ledger"
    if off:
        words = f"{dollars(abs(off), shown)} {'more' if off > 0 else 'less'} than in the ledger"
    billed = dollars(found.actual_usd, shown)
    return f"The provider billed {billed} for machines, after commitments: {words}."


def anomaly_text(odd: Anomaly, shown: int) -> str:
    """What was odd about a day, and what explains it."""
    word = "more" if odd.off_usd > 0 else "less"
    band = f"{dollars(max(odd.low_usd, Decimal(0)), shown)} to {dollars(odd.high_usd, shown)}"
    text = (
        f"{dollars(odd.usd, shown)}: {dollars(abs(odd.off_usd), shown)} {word} than usual "
        f"({band}, by {odd.likes})"
    )
    if odd.cause is None:
        return text
    cause = odd.cause
    name = name_text(cause.dimension, cause.name)
    return (
        f"{text}; {head(cause.dimension)} {name} explains {percent(min(cause.share, Decimal(1)))} "
        f"of it ({dollars(cause.usd, shown)}, usually {dollars(cause.usual_usd, shown)})"
    )


def mass_text(grams: Decimal) -> str:
    """Grams of CO2e as kilograms or tonnes: '56.0 kg', '1.23 t'."""
    kilograms = grams / 1000
    if abs(kilograms) >= 1000:
        return f"{kilograms / 1000:,.2f} t"
    return f"{kilograms:,.1f} kg" if abs(kilograms) >= 1 else f"{kilograms * 1000:,.0f} g"


def carbon_sources(footprint: Footprint) -> str:
    """Whose figures the emissions rest on, and of which year."""
    grids = sorted({(p.grid.source, p.grid.year) for p in footprint.places})
    named = [f"{COEFFICIENTS} ({COEFFICIENTS_YEAR})"]
    named += [f"{SOURCES[source]} ({year})" for source, year in grids]
    return "; ".join(named)


def unit_text(cost: UnitCost) -> tuple[str, str, str]:
    """What one is, how many there were, and what one cost."""
    of = f" of {plain(cost.of)}" if cost.of else ""
    return f"{cost.unit}{of}", f"{cost.units:,.2f}".removesuffix(".00"), usd(cost.usd_each)


def control_lines(statement: Statement) -> list[tuple[str, str]]:
    """The control totals that every format states, exact."""
    total, shown = statement.total, digits(statement)
    rounded = total.usd(statement.view).quantize(Decimal(1).scaleb(-shown))
    rest = rounded - statement.usd
    return [
        ("lines", f"{total.lines:,}"),
        ("amortised", f"${money_text(total.effective_usd)}"),
        ("cash", f"${money_text(total.billed_usd)}"),
        ("rounding", f"{'-' if rest < 0 else ''}${money_text(abs(rest))} in the total as shown"),
    ]


def notes(statement: Statement) -> list[str]:
    """What a reader must know besides, a sentence each."""
    shown, total, aside = digits(statement), statement.total, statement.aside
    found = []
    if aside.running_usd:
        found.append(
            f"{dollars(aside.running_usd, shown)} have run up since the last entries, and are in "
            "no figure here"
        )
    found += list(aside.gaps)
    fixed = statement.corrections
    if fixed.lines:
        earlier = f", {fixed.of_earlier:,} of them for time before it" if fixed.of_earlier else ""
        found.append(
            f"The totals have {counted(fixed.lines, 'correction')} of "
            f"{dollars(fixed.effective_usd, shown)}{earlier}"
        )
    if total.estimated_usd:
        share = share_text(total.estimated_usd, total.effective_usd)
        found.append(f"~ marks estimates: {share} of the dollars are at prices derived, not read")
    return found
