"""`costplan recommend` as a person types it: what goes where, and every exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from costplan.cli.main import app
from costplan.planner.plan_schema import json_schema

WORKER = ("--worker", "name=features,vcpu=4,memory=14GiB,count=6")
HEAD = (
    "provider,region,zone,instance_type,market,arch,vcpu,memory_bytes,gpus,gpu_kind,"
    "usd_per_hour,hazard_per_hour,observed_at,source"
)
GIB = 2**30


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["recommend", *map(str, words)])


def write_prices(path: Path, *, seen: datetime, provider: str = "acme") -> Path:
    """Two sizes of machine in one zone, on-demand and spot at half the price."""
    rows = [
        f"{provider},north,north-a,{name},{market},x86_64,{vcpu},{vcpu * 4 * GIB},0,,"
        f"{price},{hazard},{seen.isoformat()},our list"
        for name, vcpu, dollars in (("small.4", 4, 0.2), ("big.8", 8, 0.36))
        for market, price, hazard in (("on_demand", dollars, 0), ("spot", dollars / 2, 0.001))
    ]
    path.write_text("\n".join((HEAD, *rows)) + "\n")
    return path


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    return write_prices(tmp_path / "prices.csv", seen=datetime.now(UTC) - timedelta(hours=1))


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    path = tmp_path / "w.yaml"
    path.write_text(
        "workload: tiny\n"
        "workers: [{name: features, count: 6, vcpu: 4, memory: 14 GiB}]\n"
        "duration: 2h\n"
        "market: {allow: [on_demand]}\n"
    )
    return path


def test_a_table_by_default(prices: Path, workload: Path) -> None:
    result = run(workload, "--prices", prices)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("tiny: 6 workers on 3 nodes in acme/north\n")
    assert "$1.08/h" in result.stdout
    assert "$2.16 over 2h" in result.stdout
    assert result.stderr == ""


def test_flags_are_enough(prices: Path) -> None:
    result = run(*WORKER, "--prices", prices)
    assert result.exit_code == 0, result.output
    assert "spot" in result.stdout


def test_json_is_all_of_standard_output_and_keeps_to_the_schema(prices: Path) -> None:
    result = run(*WORKER, "--prices", prices, "--format", "json")
    form = json.loads(result.stdout)
    jsonschema.validate(form, json_schema())
    assert form["status"] == "ok"
    assert form["prices"]["source"] == str(prices)
    assert sum(pool["nodes"] for pool in form["fleet"]) == 3


def test_csv_and_markdown(prices: Path) -> None:
    result = run(*WORKER, "--prices", prices, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert sum(int(row["nodes"]) for row in rows) == 3
    assert "\n| market |" in run(*WORKER, "--prices", prices, "--format", "md").stdout


def test_out_takes_the_json_and_the_terminal_the_table(prices: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    out.write_text("old")
    result = run(*WORKER, "--prices", prices, "--out", out)
    assert result.exit_code == 0
    assert result.stdout.startswith("command-line: 6 workers")
    assert result.stderr == f"written to {out}\n"
    jsonschema.validate(json.loads(out.read_text()), json_schema())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.json", "prices.csv"]


@pytest.mark.parametrize(
    ("output", "start"), [("table", "command-line: 6"), ("csv", "provider,"), ("md", "### ")]
)
def test_out_in_another_format(prices: Path, tmp_path: Path, output: str, start: str) -> None:
    out = tmp_path / "plan"
    assert run(*WORKER, "--prices", prices, "--out", out, "--format", output).exit_code == 0
    assert out.read_text().startswith(start)


def test_out_follows_links_and_leaves_devices_in_place(prices: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert run(*WORKER, "--prices", prices, "--out", tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").is_file()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert run(*WORKER, "--prices", prices, "--out", tmp_path / "pipe").exit_code == 0
        assert os.read(reader, 1) == b"{"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_missing_folder_is_noticed_before_the_work(tmp_path: Path) -> None:
    result = run(*WORKER, "--prices", "no such file", "--out", tmp_path / "none" / "plan.json")
    assert result.exit_code == 1
    assert f"there is no folder {tmp_path / 'none'}; make it first" in result.stderr


def test_a_diff_against_what_runs_now(prices: Path, tmp_path: Path) -> None:
    now = tmp_path / "now.json"
    row = {"provider": "acme", "region": "north", "zone": "north-a", "market": "on_demand"}
    now.write_text(json.dumps([{**row, "instance_type": "small.4", "nodes": 6}]))
    result = run(*WORKER, "--prices", prices, "--current", now, "--detailed-exitcode")
    assert result.exit_code == 2
    assert "Pools: 1 to add (+), 0 to change (~), 1 to drop (-); +3 and -6 nodes" in result.stdout
    assert "$1.20/h now, $0.54/h planned: -$0.66/h (-55 %)" in result.stdout
    assert run(*WORKER, "--prices", prices, "--current", now).exit_code == 0


def test_a_plan_that_runs_already_advises_nothing(prices: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert run(*WORKER, "--prices", prices, "--out", plan, "--detailed-exitcode").exit_code == 2
    result = run(*WORKER, "--prices", prices, "--current", plan, "--detailed-exitcode")
    assert result.exit_code == 0
    assert "No changes: this is what runs now" in result.stdout


def test_csv_says_that_it_leaves_out_what_is_beside_the_machines(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(
        "workload: w\nworkers: [{name: a, count: 1, vcpu: 1, memory: 1 GiB}]\n"
        "where: {providers: [aws]}\nmachines: {root_disk: 50 GiB}\n"
    )
    words = ("--prices", "bundled", "--max-price-age", "9999d", "--format", "csv")
    assert "note: CSV has machines only" in run(path, *words).stderr


def test_an_estimate_of_what_runs_now_is_marked_as_one(tmp_path: Path) -> None:
    """Spot prices of the bundled list are estimates, also of a machine that is to go."""
    now = tmp_path / "now.json"
    pool = {"provider": "aws", "region": "us-east-1", "zone": "us-east-1a"}
    pools = [{**pool, "instance_type": "m5.large", "market": "spot", "nodes": 2}]
    now.write_text(json.dumps(pools))
    words = ("--prices", "bundled", "--max-price-age", "9999d", "--current", str(now))
    lines = run(*WORKER, *words).stdout.splitlines()
    row = next(line.split() for line in lines if line.startswith("-  spot"))
    # The zone may be left out on a narrow terminal.
    assert row[:3] == ["-", "spot", "m5.large"]
    assert row[-4:] == ["2", "0", "~0.0403", "~0.0806"]
    assert any(line.split()[-2:-1] == ["~0.0806"] for line in lines if line.startswith("   "))


def test_no_fleet_is_exit_code_3_in_every_format(prices: Path, tmp_path: Path) -> None:
    words = ("--worker", "vcpu=64,memory=1GiB,count=1", "--prices", prices)
    result = run(*words)
    assert result.exit_code == 3
    assert "No fleet meets all of this:" in result.stdout
    form = run(*words, "--format", "json", "--detailed-exitcode")
    assert form.exit_code == 3
    jsonschema.validate(json.loads(form.stdout), json_schema())
    assert run(*words, "--format", "csv").stdout.startswith("limit,problem,remedy\n")
    out = tmp_path / "plan.json"
    assert run(*words, "--out", out).exit_code == 3
    assert json.loads(out.read_text())["status"] == "infeasible"


def test_a_named_list_that_is_too_old_stops(tmp_path: Path) -> None:
    old = write_prices(tmp_path / "old.csv", seen=datetime.now(UTC) - timedelta(days=40))
    result = run(*WORKER, "--prices", old)
    assert result.exit_code == 4
    assert result.stdout == ""
    assert f"error: {old}: the newest prices are older than 30d: acme 40 days (" in result.stderr
    assert "refresh the file, or raise --max-price-age" in result.stderr
    assert run(*WORKER, "--prices", old, "--max-price-age", "9999d").exit_code == 0


def test_age_is_that_of_the_clouds_that_may_be_used(tmp_path: Path, workload: Path) -> None:
    now = datetime.now(UTC)
    both = write_prices(tmp_path / "both.csv", seen=now)
    old = write_prices(tmp_path / "old.csv", seen=now - timedelta(days=40), provider="older")
    both.write_text(both.read_text() + "\n".join(old.read_text().splitlines()[1:]) + "\n")
    result = run(workload, "--prices", both)
    assert result.exit_code == 4
    assert "older 40 days" in result.stderr
    assert "acme" not in result.stderr.replace(str(both), "")
    workload.write_text(workload.read_text() + "where: {providers: [acme]}\n")
    assert run(workload, "--prices", both).exit_code == 0


def test_bundled_prices_that_are_too_old_say_so_and_serve() -> None:
    result = run(*WORKER, "--format", "json")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: bundled prices: the newest prices are older than")
    assert json.loads(result.stdout)["prices"]["source"] == "bundled prices"
    assert run(*WORKER, "--format", "json", "--max-price-age", "99999d").stderr == ""


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{providers: [amce]}", "where.providers: 'amce' is not in the price list; did you mean"),
        ("{regions: {acme: [nort]}}", "where.regions.acme: 'nort' is not in the price list; did"),
        ("{regions: {acme: [zz]}}", "'zz' is not in the price list; the price list has north"),
    ],
)
def test_a_place_that_is_not_in_the_list(
    prices: Path, workload: Path, where: str, message: str
) -> None:
    workload.write_text(workload.read_text() + f"where: {where}\n")
    result = run(workload, "--prices", prices)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "error: recommend: has nothing to plan for; name a file, or --worker vcpu=4"),
        (("w.yaml", *WORKER), "a workload file and --worker: say both what there is to run"),
        (("--scheduler", "tcp://h:1", *WORKER), "--worker and --scheduler: say both"),
        (("none.yaml",), "error: none.yaml: there is no such file"),
        (("/",), "error: /: is a folder; name a YAML file in it"),
        (("--worker", "vcpu=4"), "error: --worker vcpu=4: memory, count missing"),
        ((*WORKER, "--format", "xml"), "--format xml: is not known; use one of table, json"),
        ((*WORKER, "--max-price-age", "soon"), "--max-price-age: 'soon' is not a duration"),
        ((*WORKER, "--prices", "none.csv"), "error: none.csv: there is no such file"),
        ((*WORKER, "--current", "none.json"), "error: none.json: there is no such file"),
        ((*WORKER, "--out", "/"), "error: --out /: is a folder; name a file in it"),
        ((*WORKER, "--sample-seconds", "5"), "--sample-seconds: is for a scheduler; add"),
        ((*WORKER, "--tls-ca", "ca.pem"), "--tls-ca: is for a scheduler"),
        (
            ("--scheduler", "tls://h:1", "--tls-ca", "ca.pem"),
            "--tls-cert and --tls-key: missing; TLS needs a CA, a certificate, a key",
        ),
        (("--scheduler", "http://h:1"), "http://h:1: is not a tcp:// or tls:// address"),
        (("--scheduler", "tcp://127.0.0.1:1"), "tcp://127.0.0.1:1: nobody listens there"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_1(words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_wrong_command_line_is_exit_code_2_unless_2_means_changes() -> None:
    assert run(*WORKER, "--frmat", "json").exit_code == 2
    assert run(*WORKER, "--frmat", "json", "--detailed-exitcode").exit_code == 1
    assert "No such option" in run(*WORKER, "--frmat", "json").stderr
