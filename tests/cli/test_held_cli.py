"""`costplan recommend` with commitments: from where they come, and what a person reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.store.commitment_leases import CommitmentLedger
from costplan.cli.config_file import read_config
from costplan.cli.main import app
from costplan.planner.daemon_config import parse_daemon_config
from costplan.planner.plan_schema import json_schema
from tests.cli.test_recommend_cli import write_prices

ROOT = Path(__file__).parents[2]
HELD = """commitments:
  - {id: ri, kind: regional_ri, region: north, instance_type: big.8, count: 2, usd_per_hour: 0.2}
"""
WORKLOAD = """workload: tiny
workers: [{name: features, count: 6, vcpu: 4, memory: 14 GiB}]
"""


def run(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(
        app, ["recommend", *map(str, words), "--prices", str(folder / "prices.csv")]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Prices of AWS, a workload, and a file of what is held."""
    seen = datetime.now(UTC) - timedelta(hours=1)
    write_prices(tmp_path / "prices.csv", seen=seen, provider="aws")
    (tmp_path / "w.yaml").write_text(WORKLOAD)
    (tmp_path / "held.yaml").write_text(HELD)
    return tmp_path


def plan(result: Result) -> dict[str, Any]:
    """The JSON answer, which keeps to the schema."""
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(document, json_schema())
    return document


def test_what_a_flag_names_is_used_first(folder: Path) -> None:
    words = (folder / "w.yaml", "--commitments", folder / "held.yaml")
    found = plan(run(folder, *words, "--format", "json"))
    held = found["commitments"]
    assert held["uses"] == [
        {
            "id": "ri", "kind": "regional_ri", "unit": "big.8-hours", "used": "2.00",
            "idle": "0.00", "used_usd_per_hour": "0.40", "idle_usd_per_hour": "0.00",
        }
    ]  # fmt: skip
    assert (held["saved_usd_per_hour"], found["usd_per_hour"]) == ("0.72", "0.18")
    without = plan(run(folder, folder / "w.yaml", "--format", "json"))
    assert "commitments" not in without
    assert without["plan_id"] != found["plan_id"]
    named = {each["name"]: each["usd_per_hour"] for each in found["baselines"]}
    assert float(named["without commitments"]) == pytest.approx(
        float(without["expected_usd_per_hour"])
    )
    table = run(folder, *words).stdout
    assert "on-demand (paid by ri)" in table
    assert "commitments  pay $0.72/h of these machines; all of what is held is used" in table
    csv = run(folder, *words, "--format", "csv")
    assert "CSV has prices without commitments" in csv.stderr


def test_what_others_cost_is_as_billed_too(folder: Path) -> None:
    """Six workers on big machines that are all paid for, or else on small ones that are: both cost
    nothing, and no small part of a cent that the solver counts for a machine that is paid for."""
    small = "  - {id: more, kind: regional_ri, region: north, instance_type: small.4, count: 6}\n"
    (folder / "held.yaml").write_text(HELD.replace("count: 2", "count: 3") + small)
    words = (folder / "w.yaml", "--commitments", folder / "held.yaml")
    found = plan(run(folder, *words, "--format", "json"))
    assert float(found["expected_usd_per_hour"]) == 0
    named = {each["name"]: each["usd_per_hour"] for each in found["baselines"]}
    assert float(named["everything on-demand"]) == 0
    assert float(found["runner_up"]["expected_usd_per_hour"]) == 0
    table = run(folder, *words).stdout
    assert "the same as everything on-demand, $0.00/h" in table
    assert "$0.00/h expected: costs the same" in table


def test_the_file_that_a_workload_names_lies_beside_it(folder: Path) -> None:
    named = folder / "deep" / "w.yaml"
    named.parent.mkdir()
    named.write_text(f"{WORKLOAD}commitments_file: ../held.yaml\ncommitments_used: {{ri: 1}}\n")
    assert plan(run(folder, named, "--format", "json"))["commitments"]["uses"][0]["used"] == "1.00"


def test_what_clusters_have_leased_is_not_counted_on(folder: Path) -> None:
    ledger = CommitmentLedger(folder / "shared.db", "other")
    ledger.enter()
    ledger.take({"ri": Fraction(1)}, {"ri": Fraction(2)}, datetime.now(UTC), 3600)
    (folder / "w.yaml").write_text(f"{WORKLOAD}{HELD}commitments_ledger: shared.db\n")
    found = plan(run(folder, folder / "w.yaml", "--format", "json"))
    assert found["commitments"]["uses"][0]["used"] == "1.00"


def test_what_is_not_counted_on_is_said(folder: Path) -> None:
    (folder / "held.yaml").write_text(
        "commitments:\n"
        "  - {id: old, kind: compute_sp, usd_per_hour: 1, end: 2020-01-01T00:00:00Z}\n"
        "  - {id: theirs, kind: compute_sp, usd_per_hour: 1, account: '1', scope: account}\n"
        "  - {id: sp, kind: compute_sp, usd_per_hour: 1}\n"
    )
    words = (folder / "w.yaml", "--commitments", folder / "held.yaml")
    gaps = plan(run(folder, *words, "--format", "json"))["gaps"]
    said = {gap["subject"]: gap["assumed"] for gap in gaps if gap["kind"] == "commitment"}
    assert said["old"] == "not counted on: it ended on 2020-01-01 00:00 UTC"
    assert "commitments_owner does not say" in said["theirs"]
    assert said["sp"] == (
        "its rate for 2 machine types is not known, which count as not paid for; "
        "add commitment_rates"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("commitments: [{id: a, kind: compute_sp}]", "usd_per_hour: is missing"),
        (HELD + HELD.split("\n", 1)[1], "'ri' is also commitments[0]"),
        ("commitments: []\nrates: []", "'rates' is not a key"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_1(folder: Path, text: str, said: str) -> None:
    (folder / "held.yaml").write_text(text)
    result = run(folder, folder / "w.yaml", "--commitments", folder / "held.yaml")
    assert result.exit_code == 1
    assert "held.yaml" in result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_one_id_in_two_places_is_refused(folder: Path) -> None:
    (folder / "w.yaml").write_text(WORKLOAD + HELD)
    result = run(folder, folder / "w.yaml", "--commitments", folder / "held.yaml")
    assert result.exit_code == 1
    assert "'ri' is held already; give each its own id, or drop one" in result.stderr


def test_a_daemon_reads_the_file_that_its_own_names(folder: Path) -> None:
    text = (ROOT / "docs/autoscaler-config.md").read_text().split("```yaml\n")[1].split("```")[0]
    config = folder / "costplan.yaml"
    config.write_text(f"{text}\ncommitments_file: held.yaml\ncommitments_ledger: shared.db\n")
    held = read_config(config).settings.held
    assert [each.commitment_id for each in held.commitments] == ["ri"]
    assert held.ledger == str(folder / "shared.db")
    bare = parse_daemon_config(config.read_text(), "c", str(folder)).settings.held
    assert bare.file == str(folder / "held.yaml")
