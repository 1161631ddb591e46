"""Budgets in words and a table, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal

from costplan.cli.statement_document import burn_document
from costplan.cli.statement_text import burn_text, burn_verdict
from costplan.cli.view import Column, Grid, Line, Style, View
from costplan.planner.finance.budgets import Burn
from costplan.planner.plan_document import money_text
from costplan.planner.status import BudgetRow
from costplan.planner.wording import percent, usd

SCHEMA_VERSION = 1


def is_over(rate: BudgetRow | None) -> bool:
    """True where the fleet costs more an hour than it may."""
    return rate is not None and rate.limit_usd is not None and rate.used_usd > rate.limit_usd


def budget_view(burns: Sequence[Burn], rate: BudgetRow | None) -> View:
    """Budgets a row each, and a sentence on each that is not kept."""
    rows = [_row(burn) for burn in burns]
    styles: list[Style] = [
        "drop" if burn.is_passed else "change" if burn.will_pass else "plain" for burn in burns
    ]
    if rate is not None and rate.limit_usd is not None:
        share = percent(rate.used_usd / rate.limit_usd)
        rows.insert(0, ("an hour", usd(rate.used_usd), usd(rate.limit_usd), share, "", "", ""))
        styles.insert(0, "drop" if is_over(rate) else "plain")
    names = ("used", "limit", "share", "expected at end", "in four of five cases", "passed")
    grid = Grid(
        columns=(Column(head="budget"), *(Column(head=name, is_number=True) for name in names)),
        rows=tuple(rows),
        styles=tuple(styles),
    )
    return View(title=_title(burns, rate), blocks=(grid, *_sentences(burns)))


def _title(burns: Sequence[Burn], rate: BudgetRow | None) -> str:
    if is_over(rate) or any(burn.is_passed for burn in burns):
        return "Over budget"
    return "Will pass" if any(burn.will_pass for burn in burns) else "Within budget"


def _row(burn: Burn) -> tuple[str, ...]:
    limit = burn.limit_usd or Decimal(0)
    name = f"{burn.start:%B}" if burn.name == "month" else f"{burn.start:%d %B}"
    ahead = "" if burn.forecast_usd is None else usd(burn.forecast_usd)
    band = ""
    if burn.low_usd is not None and burn.high_usd is not None and burn.low_usd != burn.high_usd:
        band = f"{usd(burn.low_usd)} to {usd(burn.high_usd)}"
    on = "" if burn.passed_on is None else f"{burn.passed_on:%d %b}"
    return (name, usd(burn.burnt_usd), usd(limit), percent(burn.burnt_usd / limit), ahead, band, on)


def _sentences(burns: Sequence[Burn]) -> Iterable[Line]:
    for burn in burns:
        verdict = burn_verdict(burn)
        if verdict:
            yield Line(f"The {burn.name}'s budget: {burn_text(burn, 2)}; {verdict}.")
    basis = next((burn.basis for burn in burns if burn.basis), "")
    if basis:
        yield Line(f"Foretold from {basis}. Dollars are amortised; days are of UTC.", "quiet")


def budget_text(burns: Sequence[Burn], rate: BudgetRow | None) -> str:
    """The budgets as JSON text, version 1."""
    hour = None
    if rate is not None and rate.limit_usd is not None:
        hour = {
            "usd_per_hour": money_text(rate.used_usd),
            "limit_usd_per_hour": money_text(rate.limit_usd),
            "is_passed": is_over(rate),
        }
    document = {
        "schema_version": SCHEMA_VERSION,
        "hour": hour,
        "budgets": [burn_document(burn) for burn in burns],
    }
    return json.dumps(document, indent=2) + "\n"
