"""`costplan focus check`, and the files of `costplan report`, as a person types them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.finance.book import Book
from costplan.cli.main import app
from costplan.cli.report_focus import Exported, check_out, write_report
from costplan.planner.errors import InputError
from costplan.planner.finance.focus_columns import Version
from tests.finance.focus_books import COMMITMENTS, all_kinds
from tests.finance.focus_defects import COVERED, put, read, save, written


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["focus", *words])


def test_right_files_end_with_0(tmp_path: Path) -> None:
    one = written(tmp_path / "a", Version.V1_2)
    two = written(tmp_path / "b", Version.V1_4, "parquet")
    result = run("check", str(one), str(two))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"{one}: FOCUS 1.2 CostAndUsage, 22 rows, nothing is wrong",
        f"{two}: FOCUS 1.4 CostAndUsage, 22 rows, nothing is wrong",
    ]


def test_a_wrong_file_ends_with_1_and_says_where(tmp_path: Path) -> None:
    rows = put(COVERED, BilledCost="0.048")(read(written(tmp_path, Version.V1_2)))
    path = save(tmp_path / "wrong.csv", rows)
    result = run("check", str(path))
    assert result.exit_code == 1
    head, line = result.output.splitlines()
    assert head == f"{path}: FOCUS 1.2 CostAndUsage, 22 rows, 1 rule is broken"
    assert line == (
        '  row 6, BilledCost: "0.048" is not 0, though a commitment covers the use'
        " [covered-is-not-billed]"
    )
    [made] = json.loads(run("check", str(path), "--format", "json").output)
    assert (made["rows"], made["findings"][0]["row"]) == (22, 6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.csv",), "nothing.csv: there is no such file"),
        (("a.xlsx",), "neither .parquet nor .csv"),
        (("a.csv", "--version", "1.3"), "--version 1.3: is not known; use one of 1.2, 1.4"),
        (("a.csv", "--format", "xml"), "--format xml: is not known"),
    ],
)
def test_bad_words_are_answered_with_the_way_out(words: tuple[str, ...], said: str) -> None:
    result = run("check", *words)
    assert result.exit_code == 1
    assert said in result.output


@pytest.mark.parametrize("name", ["folder", "charges.csv", "charges.parquet"])
def test_the_report_says_what_the_files_add_up_to(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / name
    check_out("focus-1.4", out)
    with Book() as book:
        book.add(all_kinds())
        asked = Exported(output="focus-1.4", month="2026-10", commitments=COMMITMENTS)
        write_report(book, asked, out)
    charges = out / "cost-and-usage.parquet" if name == "folder" else out
    said = capsys.readouterr().err
    assert f"written to {charges}, and what belongs to it beside" in said
    assert "22 rows; billed $877.269876867704, effective $1.369876867704" in said
    assert re.search(r"the account of 1 rows? is not known", said)
    assert run("check", str(charges)).exit_code == 0


def test_where_files_cannot_go_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out, said in (
        (None, "name a folder or a file"),
        (tmp_path / "file", "is a file; name a folder"),
        (tmp_path / "no" / "where", "there is no folder"),
        (tmp_path / "no" / "a.csv", "there is no folder"),
    ):
        with pytest.raises(InputError, match=re.escape(said)):
            check_out("focus-1.2", out)
