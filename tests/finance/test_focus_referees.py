"""FOCUS files of a book with all kinds of rows, before two programs that are not ours."""

from pathlib import Path

import pytest

from costplan.adapters.finance.book import Book
from costplan.adapters.finance.focus import Wanted, write_focus
from costplan.planner.finance.focus_columns import Version
from tests.finance.focus_books import COMMITMENTS, all_kinds, random_lines
from tests.finance.referees import CONTRADICTING, judge, official, toolkit
from tests.side_venv import Unavailable

SUPPORTS = ("--supports", "SupportsUnitPricing", "--supports", "SupportsMultiplePricingCategories")


def _write(out: Path, version: Version, kind: str) -> None:
    wanted = Wanted(version=version, kind=kind, commitments=COMMITMENTS)
    with Book() as book:
        book.add(all_kinds())
        book.add(random_lines(7, rows=500))
        write_focus(book, wanted, out)


def test_the_official_validator_finds_nothing_in_1_2(tmp_path: Path) -> None:
    """Nothing but the rules that contradict each other."""
    try:
        program = official()
    except Unavailable as reason:
        pytest.skip(f"the official FOCUS validator cannot be had here: {reason}")
    _write(tmp_path / "charges.parquet", Version.V1_2, "parquet")
    judged = judge(program, tmp_path / "charges.parquet")
    assert judged.total.startswith("Total: 578 ")
    assert judged.failed - CONTRADICTING == set()
    assert judged.failed, "a validator that lets contradictions pass was not asked"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_linter_finds_nothing_in_1_4(kind: str, tmp_path: Path) -> None:
    _write(tmp_path, Version.V1_4, kind)
    for name, words in (
        ("cost-and-usage", SUPPORTS),
        ("contract-commitment", ()),
        ("billing-period", ()),
    ):
        done = toolkit("validate", "--dataset", name, *words, str(tmp_path / f"{name}.{kind}"))
        assert "lint OK" in done.stdout, done.stdout
        assert done.returncode == 0
    done = toolkit("validate-bundle", "--directory", str(tmp_path))
    assert "validated: Billing Period, Contract Commitment, Cost and Usage" in done.stdout
    assert "bundle validation: OK" in done.stdout, done.stdout
    assert done.returncode == 0


def test_the_linter_judges(tmp_path: Path) -> None:
    """It finds a defect where there is one."""
    _write(tmp_path, Version.V1_4, "csv")
    file = tmp_path / "cost-and-usage.csv"
    file.write_text(file.read_text().replace('"Usage-Based"', '"Hourly"', 1))
    done = toolkit("validate", "--dataset", "cost-and-usage", str(file))
    assert done.returncode != 0
    assert "ChargeFrequency" in done.stdout
