"""An answer as CSV: one row a packing, with exact money."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from costplan.planner.plan import Infeasible, Recommendation
from costplan.planner.plan_document import document, money_text

_HEADS = (
    "provider",
    "region",
    "zone",
    "instance_type",
    "market",
    "nodes",
    "workers",
    "usd_per_hour_each",
    "usd_per_hour",
    "price_is_estimate",
    "price_observed_at",
    "price_source",
)


def csv_text(answer: Recommendation | Infeasible) -> str:
    """The planned fleet a packing a row; conflicts where there is no fleet.

    `workers` is written like 'features=8;train=1', per node; `usd_per_hour` is of all nodes of
    the row.
    """
    form = document(answer)
    out = io.StringIO()
    if isinstance(answer, Infeasible):
        _write(out, ("limit", "problem", "remedy"), form["conflicts"])
        return out.getvalue()
    rows = []
    for pool in form["fleet"]:
        each = Decimal(pool["usd_per_hour_each"])
        for packing in pool["packings"]:
            workers = ";".join(f"{name}={count}" for name, count in packing["workers"].items())
            together = money_text(each * packing["nodes"])
            row = {**pool, **packing, "workers": workers, "usd_per_hour": together}
            rows.append({**row, "price_is_estimate": str(pool["price_is_estimate"]).lower()})
    _write(out, _HEADS, rows)
    return out.getvalue()


def _write(out: io.StringIO, heads: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.DictWriter(out, heads, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
