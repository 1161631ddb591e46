"""`costplan recommend --deadline` as a person types it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from costplan.planner.plan_schema import json_schema
from tests.cli.test_recommend_cli import run, write_prices

WORKLOAD = """\
workload: training
workers: [{name: features, count: 6, vcpu: 4, memory: 14 GiB}]
duration: 6h
"""


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """On-demand and spot at half the price, where spot is lost every 1,000 hours."""
    return write_prices(tmp_path / "prices.csv", seen=datetime.now(UTC) - timedelta(hours=1))


def written(folder: Path, text: str) -> Path:
    path = folder / "train.yaml"
    path.write_text(text)
    return path


def test_it_says_when_to_leave_spot_and_what_the_deadline_costs(
    tmp_path: Path, prices: Path
) -> None:
    told = run(written(tmp_path, WORKLOAD), "--prices", prices, "--deadline", "7h")
    assert told.exit_code == 0, told.output
    text = " ".join(told.stdout.split())
    assert "within 7h: $3.2" in text
    assert "50 % below on demand from the start, $6.53" in text
    assert (
        "begin on spot on spot, go on demand ($1.08/h) at the latest when 13min more are left than "
        "the work left takes (3min and the work done, while that is less than 10min): 47min may "
        "pass without work while waiting, at the latest when 3min more are left: 57min may pass "
        "without work" in text
    )
    assert "57min may pass without work; where spot never comes, on demand 57min after" in text
    assert "in acme/north-a: $1.08/h what the deadline costs: " in text
    assert "lost every 42 days" in text
    assert "in simulated runs: uniform-progress $3." in text


def test_the_document_has_it_and_fits_the_schema(tmp_path: Path, prices: Path) -> None:
    workload = written(tmp_path, WORKLOAD)
    told = run(workload, "--prices", prices, "--deadline", "7h", "--format", "json")
    plan = json.loads(told.stdout)
    jsonschema.validate(plan, json_schema())
    deadline = plan["deadline"]
    assert deadline["rules"] == {
        "wait_spare_seconds": 180,
        "wait_slack_seconds": 3420,
        "spot_spare_seconds": 780,
        "spot_slack_seconds": 2820,
        "at_risk_seconds": 600,
    }
    assert (deadline["begin"], deadline["on_demand_usd"]) == ("spot", "6.534")
    assert float(deadline["median_usd"]) <= float(deadline["expected_usd"]) < 3.3
    assert [each["nodes"] for each in deadline["on_demand_fleet"]] == [3]
    assert {each["market"] for each in deadline["on_demand_fleet"]} == {"on_demand"}
    assert [each["deadline_seconds"] for each in deadline["looser"]] == [31500, 37800, 50400]
    without = run(workload, "--prices", prices, "--format", "json")
    assert json.loads(without.stdout)["deadline"] is None
    again = run(workload, "--prices", prices, "--deadline", "7h", "--format", "json")
    assert json.loads(again.stdout)["deadline"] == deadline


def test_without_time_for_spot_it_begins_on_demand(tmp_path: Path, prices: Path) -> None:
    told = run(written(tmp_path, WORKLOAD), "--prices", prices, "--deadline", "6h 3min")
    text = " ".join(told.stdout.split())
    assert "begin on demand, $1.08/h: 0s may pass without work" in text
    # All on demand, and still it is said what more time would save: $6.534 on demand, 6.05 h of
    # spot at half of that.
    assert "what the deadline costs: $3.2" in text


def test_time_for_less_than_a_loss_takes_is_not_laid_on_the_losses(
    tmp_path: Path, prices: Path
) -> None:
    told = run(written(tmp_path, WORKLOAD), "--prices", prices, "--deadline", "6h 7min")
    text = " ".join(told.stdout.split())
    assert "too little for spot that takes up to 10min of work along when it goes" in text
    assert "lost too often" not in text


def test_a_fleet_without_spot_is_told_its_slack(tmp_path: Path, prices: Path) -> None:
    workload = written(tmp_path, WORKLOAD + "market: {allow: [on_demand]}\n")
    told = run(workload, "--prices", prices, "--deadline", "8h")
    assert "nothing of the fleet is spot: 1h 57min may pass" in " ".join(told.stdout.split())


@pytest.mark.parametrize(
    ("text", "deadline", "complaint"),
    [
        (WORKLOAD, "6h", "6h is too short: training takes 6h, and its machines 3min to begin"),
        (WORKLOAD, "soon", "--deadline soon: 'soon' is not a duration"),
        (WORKLOAD.replace("duration: 6h\n", ""), "8h", "training does not say how long it runs"),
        (WORKLOAD, "4000d", "deadline: 4000d is more than 10 years; write it like 8h"),
        (WORKLOAD + "market: {allow: [spot]}\n", "8h", "add on_demand to market.allow"),
        (
            WORKLOAD.replace("GiB}", "GiB, markets: [spot]}"),
            "8h",
            "'features' workers may run on spot only, which can promise no time; add on_demand to",
        ),
        (WORKLOAD + "budget: {usd_per_hour: 0.9}\n", "8h", "no fleet without spot keeps the rules"),
    ],
)
def test_what_cannot_be_promised_is_refused_with_a_way_out(
    tmp_path: Path, prices: Path, text: str, deadline: str, complaint: str
) -> None:
    out = tmp_path / "plan.json"
    told = run(written(tmp_path, text), "--prices", prices, "--deadline", deadline, "--out", out)
    assert told.exit_code == 1
    assert complaint in told.stderr
    assert "Traceback" not in told.output
    assert told.stdout == ""
    assert not out.exists()


def with_hazard(prices: Path, hazard: str) -> Path:
    """The price list with another hazard of its spot offers."""
    prices.write_text(prices.read_text().replace(",0.001,", f",{hazard},"))
    return prices


@pytest.mark.parametrize("form", ["table", "md"])
def test_spot_that_is_never_lost_is_said_to_be(tmp_path: Path, prices: Path, form: str) -> None:
    never, out = with_hazard(prices, "0"), tmp_path / "plan.md"
    told = run(written(tmp_path, WORKLOAD), "--prices", never, "--deadline", "7h",
               "--format", form, "--out", out)  # fmt: skip
    assert told.exit_code == 0, told.output
    for text in (told.stdout, out.read_text()):
        assert "what the deadline costs: less than a cent; with 14h it is" in " ".join(text.split())
        assert "greedy $3.27 (the same)" in " ".join(text.split())
        assert "spot is never lost, as the price list says" in " ".join(text.split())


def test_it_says_to_wait_where_only_steady_spot_is_worth_it(tmp_path: Path, prices: Path) -> None:
    slow = f"{WORKLOAD}interruption: {{restart: 2h, lost_work: 3h}}\n"
    lost_often, workload = with_hazard(prices, "0.1"), written(tmp_path, slow)
    told = run(workload, "--prices", lost_often, "--deadline", "30d")
    text = " ".join(told.stdout.split())
    assert "begin on nothing, and wait until there has been spot for 4h: younger" in text
    assert "begin on demand" not in text
    told = run(workload, "--prices", lost_often, "--deadline", "30d", "--format", "json")
    plan = json.loads(told.stdout)
    jsonschema.validate(plan, json_schema())
    assert (plan["deadline"]["begin"], plan["deadline"]["steady_hours"]) == ("wait", 4.0)


def test_prices_without_on_demand_are_named_as_the_cause(tmp_path: Path, prices: Path) -> None:
    rows = prices.read_text().splitlines(keepends=True)
    prices.write_text("".join(row for row in rows if ",on_demand," not in row))
    told = run(written(tmp_path, WORKLOAD), "--prices", prices, "--deadline", "8h")
    assert told.exit_code == 1
    assert "the prices have no on-demand machine that the rules allow" in told.stderr
    assert "give a list with on-demand prices (--prices)" in told.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("--worker", "vcpu=4,memory=14GiB,count=6"), ("--scheduler", "tcp://127.0.0.1:1")],
)
def test_work_of_unknown_length_is_refused_before_anything_is_looked_at(
    prices: Path, option: str, value: str
) -> None:
    told = run(option, value, "--prices", prices, "--deadline", "8h")
    assert told.exit_code == 1
    assert f"--deadline: needs to know how long the work takes, which {option} does" in told.stderr
    assert "name a workload file with `duration: 6h`" in told.stderr


def test_csv_says_that_it_has_no_deadline(tmp_path: Path, prices: Path) -> None:
    workload = written(tmp_path, WORKLOAD)
    told = run(workload, "--prices", prices, "--deadline", "8h", "--format", "csv")
    assert told.exit_code == 0
    assert told.stderr == "note: CSV has the fleet only; --format json has the deadline, too\n"
    assert run(workload, "--prices", prices, "--format", "csv").stdout == told.stdout


def test_spot_may_move_to_zones_where_it_costs_little_more(tmp_path: Path, prices: Path) -> None:
    head, *rows = prices.read_text().splitlines()
    for zone, times in (("north-b", 1.2), ("north-c", 1.3)):
        for row in rows[:4]:
            cells = row.split(",")
            cells[2], cells[10] = zone, str(float(cells[10]) * times)
            rows.append(",".join(cells))
    prices.write_text("\n".join((head, *rows)) + "\n")
    workload = written(tmp_path, WORKLOAD)
    told = run(workload, "--prices", prices, "--deadline", "7h")
    text = " ".join(told.stdout.split())
    assert "spot moves as one between 2 zones (north-a, north-b), each lost every 42 days" in text
    plan = json.loads(
        run(workload, "--prices", prices, "--deadline", "7h", "--format", "json").stdout
    )
    assert plan["deadline"]["zones"] == ["north-a", "north-b"]


def test_a_fleet_that_commitments_pay_in_full_costs_nothing(tmp_path: Path) -> None:
    rows = write_prices(tmp_path / "p.csv", seen=datetime.now(UTC), provider="aws").read_text()
    for name, real in (("north-a", "us-east-1a"), ("north", "us-east-1"), ("small.4", "m5.xlarge")):
        rows = rows.replace(name, real)
    (tmp_path / "p.csv").write_text(rows.replace("big.8", "m5.2xlarge"))
    (tmp_path / "held.yaml").write_text(
        "commitments: [{id: ri, kind: regional_ri, region: us-east-1, instance_type: m5.xlarge,"
        " count: 60}]\n"
    )
    told = run(written(tmp_path, WORKLOAD), "--prices", tmp_path / "p.csv", "--deadline", "8h",
               "--commitments", tmp_path / "held.yaml")  # fmt: skip
    assert told.exit_code == 0, told.output
    text = " ".join(told.stdout.split())
    assert "within 8h: $0.00 expected; the same as on demand from the start, $0.00" in text
    assert "nothing of the fleet is spot: 1h 57min may pass without work" in text
