"""`costplan ledger` as a person uses it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costplan.cli.main import app
from tests.finance.ledgers import OCTOBER, hours_of, write

RUNNER = CliRunner()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "s.db"
    past = OCTOBER.replace(year=2024)
    write(path, hours_of("n-1", past, 2, usd_per_hour="0.1"), past + timedelta(hours=2))
    return path


def told(path: Path, *words: str) -> tuple[int, str]:
    done = RUNNER.invoke(app, ["ledger", *words, "--store", str(path)])
    return done.exit_code, done.output


def test_a_month_is_closed_and_archived(path: Path) -> None:
    assert told(path, "archive")[0] == 1
    code, text = told(path, "close", "2024-10", "--yes")
    assert (code, "2024-10, 8 entries, $0.200000000000" in text) == (0, True)
    code, text = told(path, "archive")
    assert (code, "archived: 2024-10, 8 entries" in text) == (0, True)
    [row] = json.loads(told(path, "months", "--format", "json")[1])["months"]
    assert row["usd"] == "0.200000000000"
    assert row["is_archived"]
    assert "archive" in told(path, "months")[1]
    code, text = told(path, "archive")
    assert (code, "nothing to archive" in text) == (1, True)


def test_prices_get_better(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "better.csv"
    file.write_text(
        "provider,region,instance_type,market,usd_per_hour,from,to\n"
        "aws,us-east-1,m5.xlarge,on_demand,0.09,2024-10-01T00:00Z,2024-10-01T01:00Z\n"
    )
    code, text = told(path, "reprice", "--prices", str(file), "--dry-run")
    assert (code, "4 charges at another price, in all $0.010000000000 less" in text) == (0, True)
    assert '"usd": "0.200000000000"' in told(path, "months", "--format", "json")[1]
    code, text = told(path, "reprice", "--prices", str(file))
    assert (code, "--yes: is needed" in text) == (1, True)
    assert told(path, "reprice", "--prices", str(file), "--yes")[0] == 0
    assert '"usd": "0.190000000000"' in told(path, "months", "--format", "json")[1]
    code, text = told(path, "reprice", "--prices", str(file), "--yes")
    assert (code, "nothing was charged at another price" in text) == (0, True)


def test_prices_that_are_of_no_charge_are_said(path: Path, tmp_path: Path) -> None:
    """A region that is written wrongly, and another month."""
    file, row = tmp_path / "better.csv", "aws,{},m5.xlarge,on_demand,0.09,{}-01T00:00Z,{}-01T01:00Z"
    head = "provider,region,instance_type,market,usd_per_hour,from,to\n"
    wrong = [
        row.format("us-est-1", "2024-10", "2024-10"),
        row.format("us-east-1", "2024-09", "2024-09"),
    ]
    file.write_text(head + "\n".join(wrong))
    code, text = told(path, "reprice", "--prices", str(file), "--yes")
    said = " ".join(text.split())
    assert code == 0
    assert "the ledger has no charge of aws us-est-1 m5.xlarge on_demand from 2024-10-01" in said
    assert "and 1 other price" in said
    assert "nothing was charged" not in said
    file.write_text(head + "\n".join([*wrong[:1], row.format("us-east-1", "2024-10", "2024-10")]))
    said = " ".join(told(path, "reprice", "--prices", str(file), "--dry-run")[1].split())
    assert "no charge of aws us-est-1" in said
    assert "4 charges at another price" in said
    file.write_text(head)
    code, text = told(path, "reprice", "--prices", str(file), "--yes")
    assert (code, "has no prices" in text) == (1, True)


def test_what_is_wrong_is_said(path: Path) -> None:
    for words, said in (
        (("close", "2024-13", "--yes"), "is no month; write it like 2026-10"),
        (("close", "2099-01", "--yes"), "has not ended"),
        (("archive", "2024-10"), "is not closed; close it first: costplan ledger close 2024-10"),
        (("reprice", "--prices", "/nowhere.csv"), "/nowhere.csv"),
    ):
        code, text = told(path, *words)
        assert (code, said in text) == (1, True), text
