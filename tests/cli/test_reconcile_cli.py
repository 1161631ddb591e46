"""`costplan reconcile` as a person uses it."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costplan.cli.main import app
from tests.finance.exports import DAY, cur, write_csv
from tests.finance.ledgers import HOUR, OCTOBER, entry, taken_back, write
from tests.finance.test_reconcile import LIVES, ledger_of

RUNNER = CliRunner()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return ledger_of(tmp_path / "s.db", LIVES)


@pytest.fixture
def bill(tmp_path: Path) -> Path:
    """An hour of a spot machine is a cent dearer than in the ledger."""
    rows = cur(LIVES)
    rows[31]["line_item_unblended_cost"] = "0.0831"
    return write_csv(tmp_path / "cur.csv", rows)


def told(path: Path, bill: Path, *words: str) -> tuple[int, str]:
    given = ["--actuals", str(bill), "--month", "2026-10", "--store", str(path)]
    done = RUNNER.invoke(app, ["reconcile", *given, *words])
    return done.exit_code, done.output


def test_every_format_has_the_same_figures(path: Path, bill: Path, tmp_path: Path) -> None:
    code, text = told(path, bill)
    assert code == 0
    assert "78 of 79 machine-hours of ours agree; the bill is $0.01 more than the ledger" in text
    assert "untied       $0.000000000000" in text
    form = json.loads(told(path, bill, "--format", "json")[1])
    assert form["causes"]["price_usd"] == "0.010000000000"
    assert Decimal(form["untied_usd"]) == 0
    rows = list(csv.DictReader(io.StringIO(told(path, bill, "--format", "csv")[1])))
    assert len(rows) == 79
    assert sum(Decimal(row["bill_usd"]) - Decimal(row["ledger_usd"]) for row in rows) == Decimal(
        form["causes"]["total_usd"]
    )
    page = tmp_path / "r.html"
    assert told(path, bill, "--format", "html", "--out", str(page))[0] == 0
    html = page.read_text()
    assert "78 of 79 machine-hours" in html
    assert "<script" not in html
    assert told(path, bill, "--format", "html", "--out", str(page))[0] == 0
    assert page.read_text() == html
    assert told(path, bill, "--detailed-exitcode")[0] == 2


def test_it_restates_when_told_to_and_says_what_changed_since(path: Path, bill: Path) -> None:
    issued = RUNNER.invoke(app, ["ledger", "issue", "2026-10", "--store", str(path)])
    assert (issued.exit_code, "issued: 2026-10, 312 lines, $" in issued.output) == (0, True)
    code, text = told(path, bill, "--restate", "--dry-run")
    assert (code, "1 time of machines, in all $0.01 more: 8 corrections" in text) == (0, True)
    code, text = told(path, bill, "--restate")
    assert (code, "--yes: is needed" in text) == (1, True)
    code, text = told(path, bill, "--restate", "--yes")
    assert (code, "billed +$0.01, amortised +$0.01" in text) == (0, True)
    code, text = told(path, bill, "--restate", "--yes", "--detailed-exitcode")
    assert (code, "the ledger agrees: nothing to restate" in text) == (0, True)
    words = ["--month", "2026-10", "--store", str(path), "--format", "json"]
    found = json.loads(RUNNER.invoke(app, ["report", *words]).stdout)["variance"]
    assert found["actual_usd"] == found["machines_usd"]
    table = RUNNER.invoke(app, ["report", *words[:4]]).stdout
    assert "for machines, after commitments: as in the ledger." in table


def test_what_is_wrong_is_said(path: Path, bill: Path) -> None:
    for words, said in (
        (("--month", "2026-13"), "is no month; write it like 2026-10"),
        (("--tolerance", "much"), "--tolerance much: is no number; write dollars: 0.01"),
        (("--tolerance", "-1"), "--tolerance -1: is no amount"),
        (("--format", "pdf"), "--format"),
        (("--actuals-format", "ibm"), "--actuals-format"),
        (("--actuals", "/nowhere.csv"), "/nowhere.csv: there is no such file"),
        (("--out", "/nowhere/x.html"), "there is no folder"),
    ):
        code, text = told(path, bill, *words)
        assert (code, said in text) == (1, True), text


def test_an_export_with_corrections_does_not_overlap_itself(path: Path, tmp_path: Path) -> None:
    late = entry("n-9", OCTOBER, lasts=HOUR)
    write(path, [late], OCTOBER + 33 * DAY)
    write(path, [taken_back(late, OCTOBER + HOUR / 4)], OCTOBER + 33 * DAY)
    file = tmp_path / "own.csv"
    words = ["--month", "2026-10", "--format", "focus-1.2", "--out", str(file)]
    assert RUNNER.invoke(app, ["report", "--store", str(path), *words]).exit_code == 0
    code, text = told(path, file, "--detailed-exitcode", "--tolerance", "0")
    assert (code, "all 80 machine-hours of ours agree" in text) == (0, True), text


@pytest.mark.parametrize("version", ["1.2", "1.4"])
def test_the_ledger_agrees_with_its_own_export(path: Path, tmp_path: Path, version: str) -> None:
    file = tmp_path / "own.csv"
    words = ["--month", "2026-10", "--format", f"focus-{version}", "--out", str(file)]
    assert RUNNER.invoke(app, ["report", "--store", str(path), *words]).exit_code == 0
    code, text = told(path, file, "--detailed-exitcode", "--tolerance", "0")
    assert (code, "all 79 machine-hours of ours agree" in text) == (0, True)
