"""A statement for programs: JSON and CSV with exact money, and the journal for an ERP."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from costplan.adapters.instants import zulu_text
from costplan.cli.report_document import spreadsheet_text
from costplan.planner.finance.budgets import Burn
from costplan.planner.finance.carbon import Footprint
from costplan.planner.finance.grid import SOURCES
from costplan.planner.finance.journal import Journal
from costplan.planner.finance.savings import Otherwise
from costplan.planner.finance.statement import Statement, Sums, Table
from costplan.planner.plan_document import money_or_none, money_text

SCHEMA_VERSION = 2
CURRENCY = "USD"

_SUMS = ("lines", "amortised_usd", "cash_usd", "list_usd", "estimated_usd", "node_hours",
         "vcpu_hours", "gpu_hours", "kg_co2e")  # fmt: skip
JOURNAL_HEADS = ("record", "cost_center", "gl_account", "period", "amount", "currency",
                 "description")  # fmt: skip


def document_text(statement: Statement) -> str:
    """The statement as JSON text, version 2: may gain fields, never loses one."""
    return json.dumps(document(statement), indent=2) + "\n"


def document(statement: Statement) -> dict[str, Any]:
    """The statement as JSON values. Money is exact decimal text, shares are 0 to 1, instants are
    ISO 8601 UTC with Z; what is not known is null."""
    period = statement.period
    return {
        "schema_version": SCHEMA_VERSION,
        "cluster": statement.cluster,
        "ledger_as_of": zulu_text(statement.as_of),
        "month": period.name,
        "start": zulu_text(period.start),
        "end": zulu_text(period.end),
        "until": zulu_text(period.until),
        "is_over": period.is_over,
        "currency": CURRENCY,
        "view": statement.view.value,
        "control_totals": _sums(statement.total),
        "nodes": statement.nodes,
        "tables": [
            {"by": list(table.dimensions), "rows": _rows(table)} for table in statement.tables
        ],
        **{
            f"by_{name}": _rows(table)
            for name, table in (
                ("purpose", statement.purposes), ("market", statement.markets),
                ("type", statement.types), ("charge", statement.charges), ("kind", statement.kinds),
            )
        },
        "series": {
            "bucket_seconds": statement.series.bucket_seconds,
            "buckets": [
                {"start": zulu_text(each.start),
                 "usd": {market or "commitments": money_text(usd)
                         for market, usd in each.by_market}}
                for each in statement.series.buckets
            ],
        },
        "corrections": {
            "lines": statement.corrections.lines,
            "of_earlier_months": statement.corrections.of_earlier,
            "cash_usd": money_text(statement.corrections.billed_usd),
            "amortised_usd": money_text(statement.corrections.effective_usd),
        },
        "savings": [_other(other) for other in statement.otherwise],
        "variance": _variance(statement),
        "commitments": _commitments(statement),
        "budgets": [burn_document(burn) for burn in statement.budgets],
        "forecast": None if statement.forecast is None else burn_document(statement.forecast),
        "anomalies": _anomalies(statement),
        "carbon": _carbon(statement.footprint),
        "unit_costs": [
            {"unit": cost.unit, "of": cost.of, "units": _number(cost.units),
             "usd": money_text(cost.usd), "usd_each": money_text(cost.usd_each)}
            for cost in statement.unit_costs
        ],
        "running_usd": money_text(statement.aside.running_usd),
        "gaps": list(statement.aside.gaps),
        "interruptions": list(statement.aside.interruptions),
    }  # fmt: skip


def _rows(table: Table) -> list[dict[str, Any]]:
    return [
        {"names": dict(zip(table.dimensions, row.names, strict=True)), **_sums(row.sums)}
        for row in table.rows
    ]


def _sums(sums: Sums) -> dict[str, Any]:
    return dict(zip(_SUMS, sums_texts(sums), strict=True)) | {"lines": sums.lines}


def sums_texts(sums: Sums) -> tuple[str | None, ...]:
    """What `_SUMS` names, exact: money as text, hours and kilograms to nine places."""
    grams = sums.grams_co2e
    return (
        str(sums.lines),
        money_text(sums.effective_usd),
        money_text(sums.billed_usd),
        money_text(sums.list_usd),
        money_text(sums.estimated_usd),
        _number(sums.node_hours),
        _number(sums.vcpu_hours),
        _number(sums.gpu_hours),
        None if grams is None else _number(grams / 1000),
    )


def _number(value: Decimal) -> str:
    """Decimal text to nine places, without zeros at its end."""
    text = f"{value:.9f}"
    return text.rstrip("0").rstrip(".")


def _other(other: Otherwise) -> dict[str, Any]:
    return {
        "against": other.name,
        "words": other.words,
        "paid_usd": money_text(other.paid_usd),
        "usd": money_or_none(other.usd),
        "low_usd": money_or_none(other.low_usd),
        "high_usd": money_or_none(other.high_usd),
        "saved_usd": money_or_none(other.saved_usd),
        "saved_low_usd": money_or_none(other.saved_low_usd),
        "saved_high_usd": money_or_none(other.saved_high_usd),
    }


def _variance(statement: Statement) -> dict[str, Any]:
    found = statement.variance
    return {
        "planned_since": None if found.since is None else zulu_text(found.since),
        "before_usd": money_text(found.before_usd),
        "planned_usd": money_or_none(found.planned_usd),
        "price_usd": money_or_none(found.price_usd),
        "quantity_usd": money_or_none(found.quantity_usd),
        "mix_usd": money_or_none(found.mix_usd),
        "commitment_usd": money_or_none(found.commitment_usd),
        "interruption_usd": money_or_none(found.interruption_usd),
        "metered_usd": money_text(found.metered_usd),
        "actual_usd": money_or_none(found.actual_usd),
        "machines_usd": money_or_none(found.machines_usd),
    }


def _commitments(statement: Statement) -> dict[str, Any]:
    found = statement.commitments
    return {
        "coverage": None if found.coverage is None else float(found.coverage),
        "covered_on_demand_usd": money_text(found.covered_usd),
        "uncovered_on_demand_usd": money_text(found.uncovered_usd),
        "held": [
            {
                "commitment_id": use.commitment_id,
                "kind": use.kind,
                "utilisation": None if use.utilisation is None else float(use.utilisation),
                "used_usd": money_text(use.used_usd),
                "unused_usd": money_text(use.unused_usd),
                "billed_usd": money_text(use.fee_usd),
                "on_demand_usd": money_text(use.on_demand_usd),
                "saved_usd": money_text(use.saved_usd),
            }
            for use in found.uses
        ],
    }


def burn_document(burn: Burn) -> dict[str, Any]:
    """A budget as JSON values."""
    return {
        "name": burn.name,
        "start": zulu_text(burn.start),
        "end": zulu_text(burn.end),
        "burnt_usd": money_text(burn.burnt_usd),
        "limit_usd": money_or_none(burn.limit_usd),
        "forecast_usd": money_or_none(burn.forecast_usd),
        "forecast_low_usd": money_or_none(burn.low_usd),
        "forecast_high_usd": money_or_none(burn.high_usd),
        "is_passed": burn.is_passed,
        "will_pass": burn.will_pass,
        "passed_on": None if burn.passed_on is None else burn.passed_on.isoformat(),
        "basis": burn.basis,
    }


def _anomalies(statement: Statement) -> list[dict[str, Any]]:
    return [
        {
            "day": odd.day.isoformat(),
            "usd": money_text(odd.usd),
            "usual_usd": money_text(odd.usual_usd),
            "low_usd": money_text(odd.low_usd),
            "high_usd": money_text(odd.high_usd),
            "likes": odd.likes,
            "cause": None
            if odd.cause is None
            else {
                "dimension": odd.cause.dimension,
                "name": odd.cause.name,
                "usd": money_text(odd.cause.usd),
                "usual_usd": money_text(odd.cause.usual_usd),
                "share": float(odd.cause.share),
            },
        }
        for odd in statement.anomalies
    ]


def _carbon(found: Footprint) -> dict[str, Any]:
    return {
        "kwh": _number(found.kwh),
        "kg_co2e": _number(found.grams / 1000),
        "kg_co2e_low": _number(found.grams_low / 1000),
        "kg_co2e_high": _number(found.grams_high / 1000),
        "regions": [
            {
                "provider": place.provider,
                "region": place.region,
                "kwh": _number(place.kwh),
                "kg_co2e": _number(place.grams / 1000),
                "grams_per_kwh": str(place.grid.grams_per_kwh),
                "year": place.grid.year,
                "source": SOURCES[place.grid.source],
            }
            for place in found.places
        ],
        "gaps": list(found.gaps),
        "gap_node_hours": _number(found.gap_node_hours),
    }


def rows_csv(table: Table, statement: Statement) -> str:
    """A table as CSV, exact. `record` is 'row', and 'total' in the last line, which is what the
    rows add up to."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("record", "month", *table.dimensions, "currency", *_SUMS))
    month = statement.period.name
    for row in table.rows:
        names = map(spreadsheet_text, row.names)
        writer.writerow(("row", month, *names, CURRENCY, *_cells(row.sums)))
    blank = ("",) * len(table.dimensions)
    writer.writerow(("total", month, *blank, CURRENCY, *_cells(statement.total)))
    return out.getvalue()


def _cells(sums: Sums) -> Iterable[str]:
    return ("" if text is None else text for text in sums_texts(sums))


def journal_csv(journal: Journal) -> str:
    """The journal as CSV in whole cents. `record` is 'entry', and 'total' in the last line, which
    the entries add up to."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(JOURNAL_HEADS)
    for entry in journal.entries:
        texts = (entry.cost_center, entry.account)
        writer.writerow(
            ("entry", *map(spreadsheet_text, texts), entry.period, f"{entry.amount_usd:.2f}",
             CURRENCY, spreadsheet_text(entry.description))
        )  # fmt: skip
    period = journal.entries[-1].period
    exact = money_text(journal.exact_usd)
    words = f"control total of {len(journal.entries)} entries, exact {exact}"
    total = f"{journal.total_usd:.2f}"
    writer.writerow(("total", "", "", period, total, CURRENCY, words))
    return out.getvalue()
