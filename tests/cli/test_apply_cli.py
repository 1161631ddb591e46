"""`costplan apply`: plans that are handed to a daemon, and those that are refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from costplan.adapters.store.store import Store
from costplan.planner.tick import AppliedPlan
from tests.cli import plan_samples
from tests.cli.fleet_samples import NOW, SPOT
from tests.cli.test_cluster_cli import CONFIG, control_of, run


def write_plan(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan_samples.changed(**changes)))
    return path


@pytest.fixture
def rich(tmp_path: Path, store: Path) -> Path:
    """The file of a cluster whose budget allows the plan."""
    file = tmp_path / "costplan.yaml"
    file.write_text(CONFIG)
    return file


def test_a_plan_that_fits_is_handed_over(rich: Path, store: Path, tmp_path: Path) -> None:
    result = run("apply", write_plan(tmp_path), "--config", rich, "--hold", "1h")
    assert result.exit_code == 0, result.output
    assert "~ spot small.2 in local/here-a: 3 -> 4" in result.stdout
    assert "- on-demand small.2 in local/here-a: 1 -> 0" in result.stdout
    applied = control_of(store).applied
    assert isinstance(applied, AppliedPlan)
    assert applied.plan_id == "abcdef0123456789@20260301T115000Z"
    assert applied.hold_until == NOW + timedelta(hours=1)
    assert [(pool.key, pool.nodes) for pool in applied.pools] == [(SPOT, 4)]


def test_a_plan_is_executed_once(rich: Path, store: Path, tmp_path: Path) -> None:
    with Store.open(store, clock=lambda: NOW) as book:
        book.applied_done("abcdef0123456789@20260301T115000Z", NOW)
    result = run("apply", write_plan(tmp_path), "--config", rich)
    assert result.exit_code == 5
    assert "refused (once): plan abcdef0123456789@20260301T115000Z was executed" in result.stderr
    assert control_of(store).applied is None


def test_check_only_says_what_would_be(rich: Path, store: Path, tmp_path: Path) -> None:
    result = run("apply", write_plan(tmp_path), "--config", rich, "--check")
    assert result.exit_code == 0
    assert "could be applied now" in result.stdout
    assert control_of(store).applied is None


@pytest.mark.parametrize(
    ("changes", "exit_code", "words"),
    [
        ({"created_at": "2026-03-01T10:00:00Z"}, 4, "refused (age): the plan is 2h old"),
        ({"fleet__0__usd_per_hour_each": "0.03"}, 4, "refused (prices)"),
        ({"diff__changes": []}, 5, "refused (fleet): the plan was made for a fleet with 0 nodes"),
        ({"schema_version": 2}, 1, "is a plan of schema version 2; this costplan reads version 1"),
        ({"status": "fine"}, 1, "status: 'fine' is no status"),
        ({"fleet__0__nodes": 0}, 1, "fleet.0.nodes: 0"),
        ({"fleet__0__nodes": 7}, 1, "do not add up to its 7 nodes"),
        ({"created_at": "2026-03-01T11:55:00"}, 1, "created_at: says no time zone"),
        ({"created_at": "soon"}, 1, "created_at: 'soon'"),
        ({"fleet__0__usd_per_hour_each": "1e9"}, 1, "fleet.0.usd_per_hour_each"),
    ],
)
def test_a_plan_that_does_not_fit(
    rich: Path, store: Path, tmp_path: Path, changes: dict[str, object], exit_code: int, words: str
) -> None:
    result = run("apply", write_plan(tmp_path, **changes), "--config", rich)
    assert result.exit_code == exit_code, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert control_of(store).applied is None


def test_an_infeasible_answer_is_no_plan(rich: Path, tmp_path: Path) -> None:
    golden = Path(__file__).parent / "golden" / "infeasible.json"
    result = run("apply", golden, "--config", rich)
    assert result.exit_code == 3
    assert "says that no fleet does" in result.stderr


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"fleet": []}', "\x00", '"x"'])
def test_what_is_no_plan_is_one_line(rich: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    result = run("apply", path, "--config", rich)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {path}")
    assert len(result.stderr.splitlines()) == 1


def test_a_plan_is_not_left_for_a_daemon_that_does_not_run(dead: Path, tmp_path: Path) -> None:
    file = tmp_path / "costplan.yaml"
    file.write_text(CONFIG)
    result = run("apply", write_plan(tmp_path), "--config", file)
    assert result.exit_code == 5
    assert "no daemon runs" in result.stderr
    assert control_of(dead).applied is None
