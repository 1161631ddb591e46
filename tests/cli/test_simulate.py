"""`costplan simulate` as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.backtest.prepare import prepare
from costplan.adapters.backtest.scenario import read_scenario
from costplan.adapters.backtest.spread import Run, spread
from costplan.adapters.clock import utc_now
from costplan.cli.main import app
from costplan.cli.price_source import read_prices
from tests.daemon_cluster import wait_until

JOBS = "submit_s,duration_s,num_gpus\n0,1800,2\n600,1200,1\n5000,900,4\n"
SHORT = ("--days", "0.25", "--region", "aws/us-east-1", "--types", "2", "--jobs", "1")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, words)])


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.csv"
    path.write_text(JOBS)
    return path


def test_policies_stand_side_by_side(jobs: Path) -> None:
    answer = run("--demand", jobs, "--policy", "costplan", "--policy", "foresight", *SHORT)
    assert answer.exit_code == 0, answer.output
    lines = answer.stdout.splitlines()
    assert lines[0] == "backtest: 3 jobs, simulated"
    assert [line.split()[0] for line in lines[2:4]] == ["costplan", "foresight"]
    assert "the bound" in lines[3]
    assert [line.split()[0] for line in lines[6:8]] == ["costplan", "foresight"]
    assert lines[1].split()[1:6] == ["$", "idle", "boot", "drain", "recompute"]
    assert " ".join(lines[5].split()) == "policy wait p50 p95 late interrupted launches and ends"
    assert "prices: bundled prices, aws/us-east-1" in answer.stdout


def test_json_has_every_figure_and_the_kinds_add_up(jobs: Path) -> None:
    words = ("--demand", jobs, "--format", "json", *SHORT)
    answer = run(*words)
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    names = [one["policy"] for one in found["policies"]]
    assert names == [
        "costplan",
        "costplan-no-forecast",
        "dask-adaptive",
        "dask-adaptive-spot",
        "target-utilisation",
        "on-demand-peak",
        "foresight",
    ]
    bound = Decimal(found["policies"][-1]["usd"])
    for one in found["policies"]:
        assert sum(map(Decimal, one["usd_by_kind"].values())) == Decimal(one["usd"])
        assert one["regret"] == pytest.approx(float(Decimal(one["usd"]) / bound) - 1, abs=1e-6)
        assert {"wait_p50_seconds", "wait_p95_seconds", "missed_deadlines"} <= set(one)
        assert {"interruptions", "scale_events"} <= set(one)
    assert run(*words).stdout == answer.stdout


def test_a_file_describes_it_and_flags_win(tmp_path: Path, jobs: Path) -> None:
    path = tmp_path / "week.yaml"
    path.write_text(
        "simulate: week\ndays: 0.2\npolicies: [foresight]\ndemand: {file: jobs.csv}\n"
        "region: aws/us-east-1\ntypes: 1\n"
    )
    found = json.loads(run(path, "--format", "json", "--days", "0.1").stdout)
    assert (found["simulate"], found["days"]) == ("week", 0.1)
    assert str(jobs) in found["notes"][0]


def test_tasks_may_leave_no_results(tmp_path: Path, jobs: Path) -> None:
    words = ("--policy", "foresight", "--days", "0.1", "--demand", jobs)
    assert "leaves 256 MiB" in run(*words).stdout
    assert "leaves 256 MiB" not in run(*words, "--result", "0").stdout


def test_the_deadline_of_a_file_is_said_and_checked(tmp_path: Path, jobs: Path) -> None:
    path = tmp_path / "week.yaml"
    text = "simulate: week\npolicies: [foresight]\ndemand: {file: jobs.csv}\ndays: 0.2\n"
    path.write_text(f"{text}deadline: {{times: 2, slack: 1h}}\n")
    found = json.loads(run(path, "--format", "json").stdout)
    assert "more than 2 times its duration and 1h after it came" in found["notes"][-1]
    path.write_text(f"{text}deadline: {{times: 0.5}}\n")
    assert "deadline.times: 0.5 is not from 1 to 1000" in run(path).stderr


def test_costplan_waits_for_machines_that_boot_long(jobs: Path) -> None:
    words = ("--demand", jobs, "--boot", "40min", "--policy", "costplan", *SHORT)
    (found,) = json.loads(run(*words, "--format", "json").stdout)["policies"]
    assert found["unfinished_jobs"] == 0
    # Seven tasks are on at most seven machines, each of which is asked for and ended once.
    assert found["scale_events"] <= 14


def test_regret_is_against_the_bound_that_was_not_asked_for(jobs: Path) -> None:
    words = ("--demand", jobs, "--policy", "on-demand-peak", *SHORT)
    (one,) = json.loads(run(*words, "--format", "json").stdout)["policies"]
    both = json.loads(run(*words, "--policy", "foresight", "--format", "json").stdout)
    assert one == both["policies"][0]
    assert one["regret"] > 0
    table = run(*words).stdout
    assert "over foresight" in table
    assert "the bound" not in table


def test_a_job_of_known_dollars_under_each_policy(tmp_path: Path) -> None:
    """Machines of $1.00 an hour, $0.40 on spot; jobs at 0 s for 60 s and at 1000 s for an hour.

    All look each 300 s. Stock ones launch at 300 s and 1200 s and end what is idle at 600 s and
    5100 s; an end takes 2 s.
    """
    head = (
        "provider,region,zone,instance_type,market,arch,vcpu,memory_bytes,gpus,gpu_kind,"
        "usd_per_hour,hazard_per_hour,observed_at,source"
    )
    row = "aws,r,ra,g4dn.xlarge,{},x86_64,4,17179869184,1,T4,{},0,2026-01-01T00:00:00Z,ours"
    prices, demand = tmp_path / "prices.csv", tmp_path / "jobs.csv"
    prices.write_text("\n".join([head, row.format("on_demand", 1), row.format("spot", 0.4)]) + "\n")
    demand.write_text("submit,duration,gpus\n0,60,1\n1000,3600,1\n")
    words = ("--demand", demand, "--prices", prices, "--days", "0.1", "--jobs", "1")
    answer = json.loads(run(*words, "--format", "json").stdout)
    found = {one["policy"]: one for one in answer["policies"]}
    seconds = {
        "dask-adaptive": 302 + 3902,
        "dask-adaptive-spot": 302 + 3902,
        # 70 % of busy slots: a second machine from 1500 s to 5102 s.
        "target-utilisation": 302 + 3902 + 3602,
        "on-demand-peak": 8702,
        "foresight": 3660,
    }
    for policy, spent in seconds.items():
        usd = Decimal("0.4") if policy in {"dask-adaptive-spot", "foresight"} else Decimal(1)
        work = Decimal(found[policy]["usd_by_kind"]["work"])
        assert float(found[policy]["usd"]) == pytest.approx(float(usd) * spent / 3600, abs=1e-11)
        assert float(work) == pytest.approx(float(usd) * 3660 / 3600, abs=1e-11)
        assert found[policy]["regret"] == pytest.approx(float(usd) * spent / 1464 - 1, abs=1e-6)
    for policy in ("costplan", "costplan-no-forecast"):
        assert 0.4 * 3660 / 3600 < float(found[policy]["usd"]) < 0.4 * 4500 / 3600
    for one in found.values():
        assert sum(map(Decimal, one["usd_by_kind"].values())) == Decimal(one["usd"])
        assert (one["interruptions"], one["missed_deadlines"]) == (0, 0)
    assert found["on-demand-peak"]["wait_p50_seconds"] < 120
    assert 300 < found["dask-adaptive"]["wait_p95_seconds"] < 600
    events = {policy: one["scale_events"] for policy, one in found.items()}
    assert events == {
        "costplan": 4,
        "costplan-no-forecast": 4,
        "dask-adaptive": 4,
        "dask-adaptive-spot": 4,
        "target-utilisation": 6,
        "on-demand-peak": 2,
        "foresight": 0,
    }


def test_the_clock_of_the_demand_is_said(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("submit_time,duration,gpus\n2017-10-03 05:12:00,60,1\n")
    answer = run("--demand", path, "--policy", "foresight", *SHORT)
    said = " ".join(answer.stdout.split())
    assert "2017-10-03 05:12:00 of the demand is laid on Monday 2026-01-05 00:00 UTC" in said


def test_a_shape_of_another_unit_is_said_to_be_unused(tmp_path: Path) -> None:
    path = tmp_path / "cpus.csv"
    path.write_text("submit_time,duration,cpus\n0,600,4\n")
    shapes = ("--gpu-shape", "vcpu=2,memory=4GiB,gpu=1", "--cpu-shape", "vcpu=1,memory=2GiB")
    words = ("--demand", path, "--policy", "foresight", *SHORT, "--format", "json")
    notes = json.loads(run(*words, *shapes).stdout)["notes"]
    said = "--gpu-shape, or shapes.gpu, is not used: this demand counts CPUs"
    assert [note for note in notes if "is not used" in note] == [said]
    assert not any("is not used" in n for n in json.loads(run(*words, *shapes[2:]).stdout)["notes"])


def test_a_policy_that_can_buy_nothing_is_said_before_the_others_run(
    tmp_path: Path, jobs: Path
) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text(
        "provider,region,zone,instance_type,market,arch,vcpu,memory_bytes,gpus,gpu_kind,"
        "usd_per_hour,hazard_per_hour,observed_at,source\n"
        "aws,r,ra,g4dn.xlarge,on_demand,x86_64,4,17179869184,1,T4,1,0,2026-01-01T00:00:00Z,ours\n"
    )
    answer = run("--demand", jobs, "--prices", prices, "--days", "0.1")
    assert answer.exit_code == 1
    assert "dask-adaptive-spot: its one type, g4dn.xlarge, is not sold on spot" in answer.stderr


@pytest.mark.parametrize("processes", [1, 2])
def test_a_policy_that_never_gets_spot_is_given_up_and_the_others_are_not(
    tmp_path: Path, jobs: Path, processes: int
) -> None:
    traces, page = tmp_path / "traces.parquet", tmp_path / "out.html"
    row = {"trace_id": "s/z/t", "kind": "availability", "gap_s": 300.0, "tick": 0}
    pq.write_table(pa.Table.from_pylist([row | {"run_ticks": 9999, "n_available": 0}]), traces)
    words = ("--policy", "dask-adaptive-spot", "--policy", "foresight", "--spot", traces)
    short = (*SHORT[:2], "--tick", "30min", *SHORT[2:-1], str(processes))
    answer = run("--demand", jobs, *words, *short, "--html", page)
    assert answer.exit_code == 0, answer.output
    said = (
        "dask-adaptive-spot was given up after 1.29 days, in the last 1.04 of which nothing went "
        "on, with 3 of 3 jobs"
    )
    assert said in " ".join(answer.stdout.split())
    assert answer.stdout.splitlines()[2].split()[-1] == "undone"
    assert said in page.read_text()
    found = json.loads(run("--demand", jobs, *words, *short, "--format", "json").stdout)
    assert any(said in note for note in found["notes"])
    spot, bound = found["policies"]
    assert (spot["unfinished_jobs"], spot["missed_deadlines"], spot["jobs"]) == (3, 3, 3)
    assert (spot["usd"], spot["regret"]) == ("0", None)
    assert spot["wait_p50_seconds"] == pytest.approx(1.29 * 86400 - 600, rel=0.01)
    assert (bound["unfinished_jobs"], bound["missed_deadlines"]) == (0, 0)


def test_the_page_has_a_chart_for_each_policy(tmp_path: Path, jobs: Path) -> None:
    page = tmp_path / "out.html"
    words = ("--demand", jobs, "--policy", "dask-adaptive", "--html", page, *SHORT)
    assert run(*words).exit_code == 0
    text = page.read_text()
    assert text.count("<polyline") == 2
    assert "dask-adaptive: machines over time" in text
    assert "<script" not in text
    run(*words)
    assert page.read_text() == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "demand: is missing; add demand: {file: jobs.parquet}"),
        (("--demand", "JOBS", "--policy", "magic"), "'magic' is not a policy"),
        (("--demand", "JOBS", "--days", "-1"), "days: -1"),
        (("--demand", "JOBS", "--columns", "t0"), "'t0' is not key=value"),
        (("--demand", "JOBS", "--gpu-shape", "vcpu=4"), "shapes.gpu.memory: is missing"),
        (("--jobs", "2", "--scheduler", "tcp://h:8786"), "both say where it runs; give one"),
        (("--demand", "JOBS", "--gpu-shape", "vcpu=4,ram=1GiB"), "'ram' is not a key"),
        (("--demand", "JOBS", "--gpu-shape", "vcpu=8,memory=60GiB"), "shapes.gpu.gpu: is missing"),
        (("--demand", "JOBS", "--tick", "soon"), "tick: 'soon'"),
        (("--demand", "JOBS", "--region", "us-east-1"), "is not a provider and a region"),
        (("--demand", "JOBS", "--region", "aws/us-est-1"), "is not in the price list"),
        (("--demand", "JOBS", "--one-type", "z9.huge"), "is not among the types"),
        (("--demand", "JOBS", "--spot", "none.parquet"), "there is no such file"),
        (("--demand", "JOBS", "--spot-set", "aws"), "there are no traces to choose from"),
        (("--demand", "JOBS", "--html", "none/out.html"), "--html none/out.html: there is no"),
        (("--demand", "JOBS", "--gpu-shape", "vcpu=-4,memory=1GiB"), "vcpu: -4 is not above 0"),
        (("examples/month.yaml", "--skip-days", "1"), "columns and skip_days are of a file"),
        (("--demand", "JOBS", "--spot-prices", "none.parquet"), "there is no such file"),
        (
            ("--demand", "JOBS", "--gpu-shape", "vcpu=9000,memory=1GiB,gpu=1"),
            "holds a worker of gpu",
        ),
        (("examples/month.yaml", "--tick", "soon"), "error: --tick: 'soon' is not a duration"),
        (("examples/month.yaml", "--policy", "magic"), "error: --policy: 'magic' is not a policy"),
        (("examples/month.yaml", "--gpu-shape", "vcpu=-4"), "\n  --gpu-shape: shapes.gpu.vcpu: -4"),
        (("none.yaml",), "there is no such file"),
        (("--demand", "JOBS", "--format", "xml"), "--format xml: is not known"),
    ],
)
def test_bad_input_is_one_line(jobs: Path, words: tuple[str, ...], said: str) -> None:
    answer = run(*(jobs if word == "JOBS" else word for word in words))
    assert answer.exit_code == 1, answer.output
    assert said in answer.stderr
    assert "Traceback" not in answer.output


def test_units_are_named_in_a_file_as_they_are_by_a_flag(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("simulate: own\ndemand: {file: jobs.csv, columns: {gpus: n, submit: t0}}\n")
    read = read_scenario(path, {})
    assert read.demand.columns == {"gpu": "n", "submit": "t0"}
    flagged = read_scenario(path, {"demand": {"columns": {"gpu": "m"}}})
    assert flagged.demand.columns == {"gpu": "m", "submit": "t0"}


def test_processes_tell_how_far_they_are(jobs: Path) -> None:
    flags = {"demand": {"file": str(jobs)}, "days": 0.1, "types": 1, "region": "aws/us-east-1"}
    made = prepare(read_scenario(None, flags), read_prices(None, now=utc_now()), ())
    told: dict[str, list[float]] = {"on-demand-peak": [], "dask-adaptive": []}

    def progress(place: int, policy: str, share: float) -> None:
        assert place == 0
        told[policy].append(share)

    only = Run(backtest=made.backtest, seed=0, policies=tuple(told))
    (found,) = spread([only], processes=2, scheduler=None, progress=progress)
    assert [one.policy for one in found] == list(told)
    for shares in told.values():
        assert shares == sorted(shares)
        assert 0 < shares[0] < 0.1
        assert shares[-1] == 1.0


def test_no_process_outlives_a_simulation_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("demand: {generate: {jobs_per_hour: 30}}\nregion: aws/us-east-1\n")
    words = ("-m", "costplan.cli", "simulate", str(path), "--jobs", "2", "--policy", "costplan",
             "--policy", "costplan-no-forecast")  # fmt: skip
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL) as command:
        found = psutil.Process(command.pid)
        try:
            wait_until(lambda: len(found.children()) >= 4, "a manager, its tracker and two workers")
            started = found.children()
        finally:
            command.kill()
    _, left = psutil.wait_procs(started, timeout=30)
    for process in left:
        process.kill()
    assert left == []


def test_the_example_runs() -> None:
    answer = run("examples/month.yaml", "--days", "0.5", "--policy", "foresight")
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.startswith("month: ")


def test_the_answer_does_not_take_the_place_of_the_page(jobs: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    (tmp_path / "link.html").symlink_to(page)
    for out in (page, tmp_path / "link.html"):
        answer = run("--demand", jobs, "--html", page, "--out", out, *SHORT)
        assert answer.exit_code == 1
        assert f"--out {out}: is where --html writes its page, too; name another" in answer.stderr
        assert not page.exists()


def test_days_without_any_job_are_told_of(jobs: Path) -> None:
    words = ("--demand", jobs, "--policy", "foresight", "--region", "aws/us-east-1", "--jobs", "1")
    said = "the last job could be done after 0.0683 days, and what runs without work until 30 days "
    answer = run(*words)
    assert said + "are over is paid for, too; --days 1 ends with" in " ".join(answer.stdout.split())
    assert "the last job could be done" not in run(*words, "--days", "1").stdout
