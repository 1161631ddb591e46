"""A month's report has all that is issued in it, of however long ago it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costplan.adapters.finance.ledger_changes import close, reprice
from costplan.cli import cluster_store
from costplan.cli.main import app
from costplan.planner.reprice import BetterPrice
from tests.finance.ledgers import HOUR, KEY, OCTOBER, hours_of, write
from tests.finance.readers import csv_rows, pair

DECEMBER = datetime(2026, 12, 28, tzinfo=UTC)


@pytest.mark.parametrize("runs_then", [True, False])
def test_corrections_of_a_month_that_was_closed_long_ago_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, runs_then: bool
) -> None:
    """Four hours of October at $0.192 cost $0.10 each, as is learnt twelve weeks later."""
    path = tmp_path / "s.db"
    write(path, hours_of("n-1", OCTOBER, 4), OCTOBER + 4 * HOUR)
    close(path, "2026-10", DECEMBER)
    close(path, "2026-11", DECEMBER)
    better = BetterPrice(
        key=KEY, usd_per_hour=Decimal("0.1"), start=OCTOBER, end=OCTOBER + 4 * HOUR, source="bill"
    )  # fmt: skip
    assert reprice(path, [better], DECEMBER, is_dry=False).usd == Decimal("-0.368")
    if runs_then:
        write(path, hours_of("n-2", DECEMBER, 4), DECEMBER + 4 * HOUR)
    monkeypatch.setattr(cluster_store, "utc_now", lambda: DECEMBER + 5 * HOUR)

    def asked(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--store", str(path)])
        assert done.exit_code == 0, done.output
        return done.stdout

    months = json.loads(asked("ledger", "months", "--format", "json"))["months"]
    usd = Decimal(months[-1]["usd"])
    assert usd == Decimal("0.40" if runs_then else "-0.368")
    _, total = csv_rows(asked("report", "--month", "2026-12", "--format", "csv"))
    assert pair(total) == (usd, usd)
    lines = asked("report", "--month", "2026-12", "--format", "csv", "--by", "line")
    assert len(lines.splitlines()) == 1 + 32 + 16 * runs_then
    for output in ("table", "html", "json", "md", "journal"):
        asked("report", "--month", "2026-12", "--format", output)
