"""A reconciliation as JSON, and its machine hours as CSV; money is exact, as text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from costplan.planner.finance.actuals import Pair, Reconciliation

_CSV = ("machine", "account", "node_id", "from", "state", "ledger_hours", "bill_hours",
        "ledger_usd", "bill_usd")  # fmt: skip


def json_text(made: Reconciliation) -> str:
    """All of it but single hours, of which the largest differences are in it."""
    form = _plain(made)
    form["causes"]["total_usd"] = _plain(made.causes.total_usd)
    form["untied_usd"] = _plain(made.untied_usd)
    form["differs"] = made.differs
    return json.dumps(form, indent=2) + "\n"


def csv_text(pairs: Iterable[Pair]) -> str:
    """Every machine and hour (or day), in the order of machine and time."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_CSV)
    for pair in pairs:
        values = (pair.ours_hours, pair.theirs_hours, pair.ours_usd, pair.theirs_usd)
        rows.writerow((
            pair.key, pair.account, pair.node_id, f"{pair.start:%Y-%m-%dT%H:%M:%SZ}",
            pair.state.value, *("" if value is None else f"{value:f}" for value in values),
        ))  # fmt: skip
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value
