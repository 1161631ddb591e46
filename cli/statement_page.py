"""A statement as one HTML file: no scripts, nothing fetched, fit for a screen, paper and a mail."""

from __future__ import annotations

from decimal import Decimal
from importlib import resources
from typing import Any

import jinja2

from costplan.cli.report_wording import share_text
from costplan.cli.statement_chart import chart, waterfall
from costplan.cli.statement_text import (
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
    month_text,
    name_text,
    notes,
    saved_text,
    shown_table,
    total_text,
    unit_text,
    verdict_text,
)
from costplan.planner.amounts import dollars, rounded_parts
from costplan.planner.finance.dimensions import heads
from costplan.planner.finance.savings import Otherwise
from costplan.planner.finance.statement import Row, Statement, Table, View
from costplan.planner.wording import percent, plain

PAGE_ROWS = 40


def page_text(statement: Statement) -> str:
    """The page; equal statements give equal bytes."""
    source = resources.files("costplan.cli").joinpath("statement.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(**_shown(statement)) + "\n"


def _shown(statement: Statement) -> dict[str, Any]:
    period, shown, total = statement.period, digits(statement), statement.total
    tables = [*statement.tables, statement.markets, statement.types]
    if len(statement.charges.rows) > 1:
        tables.append(statement.charges)
    return {
        "name": plain(statement.cluster) or "cluster",
        "month": month_text(period.name),
        "so_far": "" if period.is_over else f"so far, until {period.until:%d %B %H:%M} UTC",
        "as_of": f"{statement.as_of:%Y-%m-%d %H:%M} UTC",
        "total": total_text(statement),
        "view": statement.view.value,
        "other_view": "cash" if statement.view is View.AMORTISED else "amortised",
        "other_total": dollars(
            total.billed_usd if statement.view is View.AMORTISED else total.effective_usd, shown
        ),
        "verdict": verdict_text(statement),
        "cards": _cards(statement),
        "chart": chart(statement.series),
        "purposes": _purposes(statement),
        "tables": [_table(table, statement) for table in tables],
        "others": [_other(other, statement) for other in statement.otherwise],
        "variance": _variance(statement),
        "budgets": _budgets(statement),
        "anomalies": [
            (f"{odd.day:%A %d %B}", anomaly_text(odd, shown), odd.off_usd > 0)
            for odd in statement.anomalies
        ],
        "commitments": _commitments(statement),
        "carbon": _carbon(statement),
        "units": [unit_text(cost) for cost in statement.unit_costs],
        "interruptions": statement.aside.interruptions,
        "notes": notes(statement),
        "controls": control_lines(statement),
    }


def _cards(statement: Statement) -> list[tuple[str, str, str]]:
    """Figures at a glance: what, how much, and of what."""
    shown, total, cards = digits(statement), statement.total, []
    known = [o for o in statement.otherwise if o.usd is not None and o.usd > 0]
    if known:
        other = known[0]
        saved = other.saved_usd or Decimal(0)
        word = "saved" if saved >= 0 else "paid more"
        whole = dollars(other.usd or Decimal(0), shown)
        share = share_text(abs(saved), other.usd or Decimal(0))
        cards.append((f"{word} against {other.name}", share, f"of {whole}"))
    useful = sum(
        (r.sums.usd(statement.view) for r in statement.purposes.rows if r.names == ("work",)),
        Decimal(0),
    )
    cards.append(
        ("did useful work", share_text(useful, statement.usd), f"{dollars(useful, shown)}")
    )
    if statement.forecast is not None and statement.forecast.forecast_usd is not None:
        ahead = statement.forecast
        low, high = ahead.low_usd or Decimal(0), ahead.high_usd or Decimal(0)
        band = f"{dollars(low, 2)} to {dollars(high, 2)}"
        cards.append(("expected at month end", dollars(ahead.forecast_usd or low, 2), band))
    month = next((b for b in statement.budgets if b.name == "month"), None)
    if month is not None and month.limit_usd:
        share = percent(month.burnt_usd / month.limit_usd)
        cards.append(("of the month's budget", share, f"of {dollars(month.limit_usd, 2)}"))
    cards.append(("machines", f"{statement.nodes:,}", f"{total.node_hours:,.1f} node-hours"))
    if statement.footprint.places:
        kwh = f"{statement.footprint.kwh:,.0f} kWh"
        cards.append(("CO2e", mass_text(statement.footprint.grams), kwh))
    return cards


def _purposes(statement: Statement) -> list[dict[str, str]]:
    rows, _ = shown_table(statement.purposes, 99)
    columns = columns_of(rows, statement, 0)
    shown, positive = digits(statement), max(statement.usd, Decimal(0))
    return [
        {
            "name": row.names[0],
            "words": PURPOSES.get(row.names[0], ""),
            "share": share_text(row.sums.usd(statement.view), statement.usd),
            "percent": _percent(max(row.sums.usd(statement.view), Decimal(0)), positive),
            "amortised": dollars(amortised, shown),
            "cash": dollars(cash, shown),
        }
        for row, (amortised, cash) in zip(rows, columns, strict=True)
    ]


def _percent(part: Decimal, whole: Decimal) -> str:
    return f"{float(min(part / whole, Decimal(1))) * 100:.3f}" if whole > 0 else "0"


def _table(table: Table, statement: Statement) -> dict[str, Any]:
    rows, left = shown_table(table, PAGE_ROWS)
    columns = columns_of(rows, statement, left)
    cells = [
        _cells(table, row, statement, amounts)
        for row, amounts in zip(rows, columns[: len(rows)], strict=True)
    ]
    shown, total = digits(statement), statement.total
    rest = [dollars(usd, shown) for usd in columns[-1]] if left else []
    return {
        "title": f"By {heads(table.dimensions)}",
        "heads": heads_of(table),
        "rows": cells,
        "left": left,
        "rest": rest,
        "has_gpus": total.gpu_micros > 0,
        "total": {
            "vcpu": f"{total.vcpu_hours:,.0f}",
            "gpu": f"{total.gpu_hours:,.0f}",
            "carbon": _mass(total.grams_co2e),
            "amortised": _total(total.effective_usd, shown),
            "cash": _total(total.billed_usd, shown),
        },
    }


def _total(usd: Decimal, shown: int) -> str:
    return dollars(rounded_parts([usd], shown)[0], shown)


def _mass(grams: Decimal | None) -> str:
    return "?" if grams is None else mass_text(grams)


def _cells(
    table: Table, row: Row, statement: Statement, amounts: tuple[Decimal, Decimal]
) -> dict[str, Any]:
    shown, sums = digits(statement), row.sums
    names = zip(table.dimensions, row.names, strict=True)
    return {
        "names": [name_text(dimension, name) for dimension, name in names],
        "vcpu": f"{sums.vcpu_hours:,.0f}" if sums.vcpu_micros else "",
        "gpu": f"{sums.gpu_hours:,.0f}" if sums.gpu_micros else "",
        "carbon": _mass(sums.grams_co2e) if sums.node_micros or sums.grams_co2e is None else "",
        "share": share_text(sums.usd(statement.view), statement.usd),
        "amortised": dollars(amounts[0], shown),
        "cash": dollars(amounts[1], shown),
    }


def _other(other: Otherwise, statement: Statement) -> dict[str, str]:
    """An alternative with its band, and beside it what was paid for the same."""
    shown = digits(statement)
    largest = max(
        [other.paid_usd, *(usd for usd in (other.usd, other.high_usd) if usd is not None)]
    )
    low = other.low_usd if other.low_usd is not None else Decimal(0)
    high = other.high_usd if other.high_usd is not None else Decimal(0)
    return {
        "name": other.name,
        "words": other.words,
        "usd": "not known" if other.usd is None else dollars(other.usd, shown),
        "saved": saved_text(other, shown),
        "paid": dollars(other.paid_usd, shown),
        "wide": _percent(other.usd or Decimal(0), largest),
        "paid_wide": _percent(other.paid_usd, largest),
        "band_left": _percent(low, largest),
        "band_wide": _percent(max(high - low, Decimal(0)), largest),
    }


def _variance(statement: Statement) -> dict[str, Any]:
    found, shown = statement.variance, digits(statement)
    actual = actual_text(found, shown)
    if found.planned_usd is None:
        return {"steps": (), "words": (), "before": "", "actual": actual}
    steps = [("planned", found.planned_usd, "drain")]
    steps += [(name, usd, "more" if usd > 0 else "less") for name, _, usd in found.causes]
    steps.append(("metered", found.metered_usd, "work"))
    before = ""
    if found.before_usd and found.since is not None:
        before = (
            f"Plans are known from {found.since:%Y-%m-%d %H:%M} UTC on; "
            f"{dollars(found.before_usd, shown)} were spent before."
        )
    words = [(name, text) for name, text, _ in found.causes]
    return {"steps": waterfall(steps, shown), "words": words, "before": before, "actual": actual}


def _budgets(statement: Statement) -> list[dict[str, str]]:
    found = []
    for burn in statement.budgets:
        limit = burn.limit_usd or Decimal(0)
        ahead = burn.forecast_usd if burn.forecast_usd is not None else burn.burnt_usd
        widest = max(limit, burn.burnt_usd, ahead, burn.high_usd or Decimal(0))
        found.append(
            {
                "name": f"{burn.name} ({burn.start:%d %b})" if burn.name == "day" else burn.name,
                "text": burn_text(burn, digits(statement)),
                "verdict": burn_verdict(burn),
                "burnt": _percent(burn.burnt_usd, widest),
                "ahead": _percent(max(ahead - burn.burnt_usd, Decimal(0)), widest),
                "limit": _percent(limit, widest),
            }
        )
    return found


def _commitments(statement: Statement) -> dict[str, Any]:
    found, shown = statement.commitments, digits(statement)
    return {
        "rows": [
            {
                "name": plain(use.commitment_id),
                "kind": use.kind.replace("_", " "),
                "share": "" if use.utilisation is None else percent(use.utilisation),
                "used": dollars(use.used_usd, shown),
                "unused": dollars(use.unused_usd, shown),
                "fee": dollars(use.fee_usd, shown),
                "saved": dollars(use.saved_usd, shown),
            }
            for use in found.uses
        ],
        "coverage": "" if found.coverage is None else percent(found.coverage),
    }


def _carbon(statement: Statement) -> dict[str, Any]:
    found = statement.footprint
    return {
        "rows": [
            {
                "name": plain(f"{place.provider} {place.region}".strip()),
                "kwh": f"{place.kwh:,.1f}",
                "grid": f"{place.grid.grams_per_kwh:,.0f}",
                "year": str(place.grid.year),
                "mass": mass_text(place.grams),
            }
            for place in found.places
        ],
        "kwh": f"{found.kwh:,.1f}",
        "mass": mass_text(found.grams),
        "band": f"{mass_text(found.grams_low)} to {mass_text(found.grams_high)}",
        "sources": carbon_sources(found),
        "gaps": [plain(gap) for gap in found.gaps],
        "gap_share": percent(found.gap_node_hours / found.node_hours) if found.node_hours else "",
    }
