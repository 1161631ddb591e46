"""`costplan simulate` over several scenarios and seeds."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.test_simulate import JOBS, run

POLICIES = ("--policy", "dask-adaptive", "--policy", "foresight")
ONE = ("--jobs", "1")


@pytest.fixture
def scenarios(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "jobs.csv").write_text(JOBS)
    text = "demand: {file: jobs.csv}\nregion: aws/us-east-1\ntypes: 1\ndays: 0.25\n"
    paths = tmp_path / "a.yaml", tmp_path / "b.yaml"
    for path, boot in zip(paths, ("2min", "5min"), strict=True):
        path.write_text(f"simulate: {path.stem}-case\n{text}boot: {boot}\nseed: 3\n")
    return paths


def test_each_run_of_a_sweep_is_what_it_is_by_itself(scenarios: tuple[Path, Path]) -> None:
    seeds = ("--seed", "4", "--seed", "9")
    answer = run(*scenarios, *seeds, *POLICIES, *ONE, "--format", "json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert list(found) == ["version", "sweep"]
    assert [one["simulate"] for one in found["sweep"]] == ["a-case", "b-case"]
    for path, one in zip(scenarios, found["sweep"], strict=True):
        assert one["seeds"] == [4, 9]
        for seed, each in zip(one["seeds"], one["runs"], strict=True):
            alone = run(path, "--seed", seed, *POLICIES, *ONE, "--format", "json").stdout
            assert json.dumps(each, indent=2, ensure_ascii=False) + "\n" == alone
    again = run(*scenarios, *seeds, *POLICIES, "--jobs", "2", "--format", "json")
    assert again.stdout == answer.stdout


def test_the_summary_is_over_the_seeds(scenarios: tuple[Path, Path]) -> None:
    slow = ("--boot", "8min", "--tick", "1min")  # so that seeds differ by whole ticks
    words = (scenarios[0], "--seed", "1", "--seed", "2", "--seed", "3", *slow, *POLICIES, *ONE)
    (one,) = json.loads(run(*words, "--format", "json").stdout)["sweep"]
    adaptive, bound = one["summary"]
    usd = [Decimal(each["policies"][0]["usd"]) for each in one["runs"]]
    assert len(set(usd)) == 3
    mean = Decimal(adaptive["usd"]["mean"])
    assert mean == (sum(usd) / 3).quantize(Decimal("1e-12"))
    assert (Decimal(adaptive["usd"]["least"]), Decimal(adaptive["usd"]["most"])) == (
        min(usd), max(usd),
    )  # fmt: skip
    waits = [each["policies"][0]["wait_p95_seconds"] for each in one["runs"]]
    assert adaptive["wait_p95_seconds"] == {
        "mean": pytest.approx(sum(waits) / 3, abs=1e-3), "least": min(waits), "most": max(waits),
    }  # fmt: skip
    assert set(bound["usd"].values()) == {bound["usd"]["mean"]}
    assert bound["regret"] == {"mean": 0.0, "least": 0.0, "most": 0.0}
    table = run(*words).stdout
    lines = [" ".join(line.split()) for line in table.splitlines()]
    assert lines[0] == "1 scenario, 3 runs, simulated"
    assert "a-case: 3 jobs, seeds 1, 2, 3" in lines
    row = f"dask-adaptive {mean:,.2f} {min(usd):,.2f} {max(usd):,.2f} +"
    assert any(line.startswith(row) for line in lines)


def test_a_narrow_terminal_cuts_no_name_and_no_figure_in_two(
    scenarios: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (scenarios[0], "--seed", "1", "--seed", "2", *ONE)
    policies = ("--policy", "dask-adaptive-spot", "--policy", "target-utilisation")
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(*words, *policies).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    grids = [line.split()[0] for line in lines[2:11] if line]
    assert grids == ["policy", "dask-adaptive-spot", "target-utilisation"] * 2


def test_scenarios_of_one_seed_each_stand_below_each_other(
    scenarios: tuple[Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "out.html"
    answer = run(*scenarios, *POLICIES, *ONE, "--html", page)
    assert answer.exit_code == 0, answer.output
    lines = answer.stdout.splitlines()
    assert lines[0] == "2 scenarios, 2 runs, simulated"
    assert sum("jobs, seed 3" in line for line in lines) == 2
    assert answer.stdout.count("the bound") == 2
    text = page.read_text()
    assert "a-case, seed 3: What each policy costs" in text
    assert "b-case: What it rests on" in text
    assert text.count("<polyline") == 8


def test_the_page_of_seeds_has_their_summary_and_draws_the_first(
    scenarios: tuple[Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "out.html"
    words = (scenarios[1], "--seed", "5", "--seed", "6", *POLICIES, *ONE, "--html", page)
    assert run(*words).exit_code == 0
    text = page.read_text()
    assert "b-case: over 2 seeds" in text
    assert text.count("What each policy costs") == 2
    assert text.count("b-case, seed 5: dask-adaptive: machines over time") == 1
    assert "b-case, seed 6: dask-adaptive: machines" not in text
    run(*words)
    assert page.read_text() == text


def test_a_sweep_as_markdown_has_each_scenario(scenarios: tuple[Path, Path]) -> None:
    answer = run(*scenarios, *POLICIES, *ONE, "--format", "md")
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.count("| dask-adaptive |") == 4


def test_two_scenarios_of_one_name_are_refused(scenarios: tuple[Path, Path]) -> None:
    answer = run(scenarios[0], scenarios[0], *POLICIES)
    assert answer.exit_code == 1
    assert "simulate: a-case: two scenarios have this name" in answer.stderr
    assert "seed: -1" in run(scenarios[0], "--seed", "-1").stderr


def test_a_seed_that_is_named_twice_runs_once(scenarios: tuple[Path, Path]) -> None:
    words = (scenarios[0], "--policy", "foresight", *ONE, "--format", "json")
    twice = run(*words, "--seed", "4", "--seed", "4").stdout
    assert twice == run(*words, "--seed", "4").stdout


def test_a_policy_that_is_given_up_is_said_with_its_seed(
    scenarios: tuple[Path, Path], tmp_path: Path
) -> None:
    traces = tmp_path / "traces.parquet"
    row = {"trace_id": "s/z/t", "kind": "availability", "gap_s": 300.0, "tick": 0}
    pq.write_table(pa.Table.from_pylist([row | {"run_ticks": 9999, "n_available": 0}]), traces)
    words = (scenarios[0], "--spot", traces, "--tick", "30min", "--policy", "dask-adaptive-spot")
    answer = run(*words, "--seed", "4", "--seed", "5", *ONE)
    assert answer.exit_code == 0, answer.output
    said = " ".join(answer.stdout.split())
    for seed in (4, 5):
        assert f"seed {seed}: dask-adaptive-spot was given up after" in said
    assert "dask-adaptive-spot 0.00 0.00 0.00 undone" in said
    (one,) = json.loads(run(*words, "--seed", "4", "--seed", "5", *ONE, "--format", "json").stdout)[
        "sweep"
    ]
    assert one["summary"][0]["regret"] is None
    assert one["summary"][0]["unfinished_jobs"] == {"mean": 3.0, "least": 3.0, "most": 3.0}
