"""`costplan prices sync` over HTTP, against the rig of AWS: what is kept, and who uses it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner, Result

from costplan.adapters.backtest.courses import read_courses
from costplan.cli.main import app
from tests.cli.test_main import COSTPLAN
from tests.emulators.aws.account import TYPES, ZONES, Account
from tests.emulators.aws.cloud import Fault
from tests.emulators.aws.fixtures import account, served
from tests.emulators.gcp.server import GcpRig, serving

__all__ = ["account", "served"]

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
RECOMMEND = ("recommend", "--worker", "vcpu=2,memory=6GiB,count=4", "--format", "json")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's prices are kept."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "data/costplan/prices/aws"


@pytest.fixture
def config(account: Account, tmp_path: Path) -> Path:
    """A file that says where the rig is."""
    account.rig.cloud.on_demand_prices = {"m5.large": "0.0960000000", "c5.large": "0.0850000000"}
    account.rig.cloud.spot_prices = {
        ("m5.large", ZONES[0]): [(NOW - 30 * HOUR, "0.0300"), (NOW - 10 * HOUR, "0.0150")],
        ("c5.large", ZONES[1]): [(NOW - 20 * HOUR, "0.0350")],
    }
    path = tmp_path / "costplan.yaml"
    path.write_text(yaml.safe_dump(file_of(account)))
    return path


def file_of(account: Account, **more: Any) -> dict[str, Any]:
    return {
        "cluster": "ours",
        "workload": "ours",
        "scheduler": {
            "endpoint": "http://127.0.0.1:9",
            "token_file": "token",
            "address": "tcp://127.0.0.1:9",
        },
        "provider": {
            "kind": "aws",
            "region": "us-east-1",
            "zones": list(ZONES),
            "image": account.settings.images["x86_64"],
            "instance_types": list(TYPES),
            "advisor": "http://127.0.0.1:9/advisor.json",
            "endpoint": account.rig.url,
        },
        "store": {"path": "costplan.db"},
        "workers": [{"name": "worker", "vcpu": 1, "memory": "1 GiB"}],
        **more,
    }


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def sync(config: Path, *words: str) -> Result:
    return run("prices", "sync", "--config", str(config), *words)


def rows(*words: str) -> list[dict[str, Any]]:
    shown = run(
        "prices", "show", "--provider", "aws", "--region", "us-east-1", "--limit", "0",
        "--format", "json", *words,
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output
    found: list[dict[str, Any]] = json.loads(shown.stdout)["rows"]
    return found


def test_what_was_read_stands_in_the_place_of_what_is_bundled(home: Path, config: Path) -> None:
    done = sync(config, "--instance-type", "m5.large", "--instance-type", "c5.large")
    assert done.exit_code == 0, done.output
    assert "aws us-east-1: 2 machine types, prices: " in done.stdout
    assert "3 new past spot prices" in done.stdout
    spot = rows("--type", "m5.large", "--market", "spot")
    assert [(one["zones"], one["usd_per_hour"], one["source"]) for one in spot] == [
        (["us-east-1a"], "0.015", "aws-spot-price-history")
    ]
    seen = datetime.fromisoformat(spot[0]["observed_at"])
    assert NOW <= seen < NOW + HOUR
    assert not any(one["is_estimate"] for one in rows("--type", "m5.large"))
    assert all(one["is_estimate"] for one in rows("--type", "m5.xlarge", "--market", "spot"))
    answer = json.loads(run(*RECOMMEND).stdout)
    assert answer["prices"]["source"] == "synced prices of aws us-east-1, bundled prices elsewhere"
    assert {pool["instance_type"] for pool in answer["fleet"]} == {"m5.large"}
    plain = json.loads(run(*RECOMMEND, "--prices", "bundled").stdout)
    assert plain["prices"]["source"] == "bundled prices"


def test_the_environment_chooses_where_no_flag_does(
    home: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sync(config, "--instance-type", "m5.large").exit_code == 0
    monkeypatch.setenv("COSTPLAN_PRICES", "bundled")
    assert json.loads(run(*RECOMMEND).stdout)["prices"]["source"] == "bundled prices"
    kept = str(home / "us-east-1.parquet")
    own = json.loads(run(*RECOMMEND, "--prices", kept).stdout)
    assert own["prices"]["source"] == kept


def test_of_a_market_that_was_read_as_a_whole_nothing_bundled_stays(
    account: Account, home: Path, config: Path
) -> None:
    """And of one that could not be read all of it does."""
    both = {"m5.large", "c5.large"}
    fault = Fault(operation="GetProducts", code="AccessDeniedException", status=403, times=1)
    account.rig.cloud.faults.append(fault)
    assert sync(config, "--history", "0").exit_code == 1
    assert {one["instance_type"] for one in rows("--market", "spot")} == both
    on_demand = rows("--market", "on_demand")
    assert len(on_demand) > 500
    assert all(one["source"].startswith("libcloud-pricing") for one in on_demand)
    assert sync(config, "--history", "0").exit_code == 0
    assert sync(config, "--instance-type", "m5.large").exit_code == 0
    assert {one["instance_type"] for one in rows()} == both


def test_the_past_is_read_once_and_simulate_takes_it(
    account: Account, home: Path, config: Path
) -> None:
    words = ("--instance-type", "m5.large")
    assert "2 new past spot prices" in sync(config, *words).stdout
    account.rig.cloud.spot_prices["m5.large", ZONES[0]].append((datetime.now(UTC), "0.0400"))
    assert "1 new past spot price\n" in sync(config, *words).stdout
    assert "0 new past spot prices" in sync(config, *words).stdout
    (course,) = read_courses(home / "us-east-1.spot.parquet")
    assert (course.instance_type, course.zone) == ("m5.large", "us-east-1a")
    assert len(pq.read_table(home / "us-east-1.spot.parquet")) == 3


def test_what_cannot_be_read_stays_as_it_was_and_is_named(
    account: Account, home: Path, config: Path
) -> None:
    words = ("--instance-type", "m5.large", "--region", "us-east-1", "--region", "eu-west-1")
    assert sync(config, "--instance-type", "m5.large").exit_code == 0
    cloud = account.rig.cloud
    cloud.on_demand_prices["m5.large"] = "0.0500000000"
    cloud.faults.append(
        Fault(
            operation="DescribeSpotPriceHistory",
            code="UnauthorizedOperation",
            status=403,
            times=9,
        )
    )
    done = sync(config, *words)
    assert done.exit_code == 1
    assert re.search(
        r"error: not read, and as it was before: aws us-east-1: spot prices: .*Unauthorized.*; "
        r".*; aws eu-west-1: no machine type like m5.large is sold there",
        done.stderr,
    )
    assert [(one["market"], one["usd_per_hour"]) for one in rows("--type", "m5.large")] == [
        ("spot", "0.015"),
        ("on_demand", "0.05"),
    ]


def test_google_s_rates_are_kept_by_machine_type(
    home: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(GcpRig()) as rig:
        rig.compute.prices["n2-standard-4"] = [
            ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", 0.05),
            ("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", 0.06),
        ]
        file = yaml.safe_load(config.read_text())
        file["provider"] = {
            "kind": "gcp",
            "project": rig.project.name,
            "zones": ["us-central1-a"],
            "image": "projects/p/global/images/family/f",
            "endpoint": rig.endpoint,
        }
        config.write_text(yaml.safe_dump(file))
        done = sync(config, "--instance-type", "n2-standard-4", "--history", "3650d")
        assert done.exit_code == 0, done.output
        assert "3 on-demand, 3 spot; 6 new past spot prices" in done.stdout
        wrong = sync(config, "--region", "us-central9")
        assert (
            "us-central9: is no region of this project; did you mean 'us-central1'" in wrong.stderr
        )
        rig.check()
    words = ("--provider", "gcp", "--region", "us-central1", "--type", "n2-standard-4")
    shown = run("prices", "show", *words, "--format", "json")
    found = [
        (one["market"], one["zones"], one["source"]) for one in json.loads(shown.stdout)["rows"]
    ]
    zones = ["us-central1-a", "us-central1-b", "us-central1-f"]
    source = "gcp-billing-catalogue"
    assert found == [("spot", zones, source), ("on_demand", zones, source)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--region", "us-eas-1"),
            "us-eas-1: is no region of AWS; did you mean 'us-east-1'",
        ),
        (("--provider", "asw"), "--provider asw: has no prices to read; did you mean 'aws'?"),
        (("--provider", "azure"), "--project: is not given; name the subscription"),
        (("--provider", "azure", "--project", "s"), "--region: is not given; name one"),
        (("--history", "long"), "--history long: 'long' is not a duration"),
        (("--history", "99999999d"), "--history 99999999d: is more than ten years"),
    ],
)
def test_what_does_not_exist_is_named(
    home: Path, config: Path, words: tuple[str, ...], message: str
) -> None:
    done = sync(config, *words)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not home.exists()


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_read(
    account: Account, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("a file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    before = account.rig.made()
    done = sync(config)
    assert done.exit_code == 1
    assert "data is no folder that we may write to; set XDG_DATA_HOME" in done.stderr
    assert account.rig.made() == before


def test_a_terminal_shows_progress_and_ctrl_c_leaves_the_old_file(
    account: Account, home: Path, config: Path
) -> None:
    assert sync(config, "--instance-type", "m5.large").exit_code == 0
    before = (home / "us-east-1.parquet").read_bytes()
    hangs = Fault(operation="GetProducts", latency_seconds=5.0)
    account.rig.cloud.faults.append(hangs)
    ours, theirs = pty.openpty()
    command = [
        *COSTPLAN, "prices", "sync", "--config", str(config),
        "--instance-type", "m5.large",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = ""
        while "on-demand prices" not in text:
            ready, _, _ = select.select([ours], [], [], 60)
            assert ready, text
            text += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)
        while True:
            try:
                more = os.read(ours, 4096).decode()
            except OSError:  # the other side is closed
                break
            if not more:
                break
            text += more
        assert process.wait(60) == 130
    os.close(ours)
    assert "━" in text
    assert "stopped; read: nothing; as it was before: aws us-east-1" in " ".join(text.split())
    assert (home / "us-east-1.parquet").read_bytes() == before
    assert not list(home.glob(".*"))
