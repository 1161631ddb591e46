"""`costplan commitments` as a person types it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from costplan.cli.commitments import app
from costplan.cli.commitments_view import held_view, is_in_force, until_text
from costplan.cli.render import plain_text
from costplan.planner.commitments.file import parse_bill, parse_commitments
from costplan.planner.commitments.values import Commitment, Kind, Product
from costplan.planner.errors import InputError

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/commitments"
BROKEN = yaml.safe_load((ROOT / "tests/unit/broken_bills.yaml").read_text())


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words], env={"COLUMNS": "80"})


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case["answer"].splitlines()[-1][:60])
def test_a_broken_file_is_answered_with(case: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_bill(case["file"], "f")
    assert str(caught.value).removeprefix("f: ") == case["answer"]


def test_the_bill_says_what_covers_what() -> None:
    result = run("bill", str(EXAMPLES / "hour.yaml"), "--format", "json")
    assert result.exit_code == 0, result.stderr
    (hour,) = json.loads(result.stdout)["hours"]
    lines = [(line["covered_by"], line["quantity"], line["usd"]) for line in hour["lines"]]
    assert lines == [
        ("ri", "2", "0.00"),
        ("fam", "1.666666666667", "1.00"),
        ("sp", "0.333333333333", "0.233333333333"),
    ]
    assert hour["commitments"] == [
        {
            "id": name, "kind": kind, "unit": unit, "used_usd": used_usd,
            "unused_usd": unused_usd, "used_quantity": used, "unused_quantity": unused,
        }
        for name, kind, unit, used_usd, unused_usd, used, unused in (
            ("ri", "regional_ri", "r5.4xlarge-hours", "0.00", "0.00", "2", "0"),
            ("fam", "ec2_instance_sp", "USD", "1.00", "0.00", "1", "0"),
            ("sp", "compute_sp", "USD", "0.233333333333", "1.766666666667",
             "0.233333333333", "1.766666666667"),
        )
    ]  # fmt: skip
    assert (hour["on_demand_usd"], hour["total_usd"]) == ("0.00", "3.00")


def test_what_is_written_adds_up() -> None:
    result = run("bill", str(EXAMPLES / "machines.yaml"), "--format", "json")
    document = json.loads(result.stdout)
    total = Decimal(0)
    for hour in document["hours"]:
        lines = sum(Decimal(line["usd"]) for line in hour["lines"])
        unused = sum(Decimal(each["unused_usd"]) for each in hour["commitments"])
        assert lines + unused == Decimal(hour["total_usd"])
        total += Decimal(hour["total_usd"])
    assert total == Decimal(document["totals"]["total_usd"])


@pytest.mark.parametrize("name", ["hour", "machines", "savings_plans"])
def test_the_table_fits_a_terminal(name: str) -> None:
    result = run("bill", str(EXAMPLES / f"{name}.yaml"))
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert (
        f"```text\n$ costplan commitments bill {name}.yaml\n{result.stdout}```"
        in (ROOT / "docs/commitments.md").read_text()
    )


def test_the_list_says_until_when() -> None:
    result = run("list", "--file", str(EXAMPLES / "commitments.yaml"), "--format", "json")
    assert result.exit_code == 0, result.stderr
    held = {each["id"]: each for each in json.loads(result.stdout)["commitments"]}
    assert list(held)[:2] == ["cores", "memory"]
    assert held["cores"]["end"] == "2027-01-15T00:00:00Z"
    assert held["ri-web"]["usd_per_hour"] == "0.48"
    assert held["d-series"]["usd_per_hour"] == "0.319634703196"
    table = run("list", "--file", str(EXAMPLES / "commitments.yaml"))
    assert max(map(len, table.stdout.splitlines())) <= 80


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for words in (("bill", str(tmp_path / "no.yaml")), ("list", "--file", str(tmp_path / "no"))):
        result = run(*words)
        assert result.exit_code == 1
        assert "there is no such file; see docs/commitments.md" in result.stderr


def test_a_word_that_is_no_format_is_refused() -> None:
    result = run("bill", "x.yaml", "--format", "xml")
    assert result.exit_code == 1
    assert "use one of table, json" in result.stderr


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (None, None, "not told"),
        (None, NOON + timedelta(days=92, hours=5), "2026-08-04, in 92 days"),
        (None, NOON + timedelta(days=1), "2026-05-05, in 1 day"),
        (None, NOON, "ended 2026-05-04"),
        (NOON + timedelta(hours=1), None, "from 2026-05-04"),
    ],
)
def test_a_term_is_told_from_now_on(
    start: datetime | None, end: datetime | None, text: str
) -> None:
    plan = Commitment(
        commitment_id="sp",
        kind=Kind.COMPUTE_SP,
        product=Product(provider="aws"),
        usd_per_hour=Fraction(2),
        start=start,
        end=end,
    )
    assert until_text(plan, NOON) == text
    in_force = not text.startswith(("ended", "from"))
    assert held_view([plan], NOON).title.startswith(f"{int(in_force)} commitment")
    assert is_in_force(plan, NOON) is in_force


def test_the_document_shows_the_list() -> None:
    held = parse_commitments((EXAMPLES / "commitments.yaml").read_text(), "commitments.yaml")
    text = plain_text(held_view(held, datetime(2026, 11, 29, 14, tzinfo=UTC)), 80)
    assert f"```text\n{text}```" in (ROOT / "docs/commitments.md").read_text()
