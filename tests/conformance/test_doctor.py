"""`costplan doctor` over HTTP against the rigs: what it finds, and that it changes nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from costplan.adapters.aws.quotas import QUOTAS
from costplan.adapters.clock import utc_now
from costplan.adapters.gcp.doctor import PERMISSIONS
from costplan.cli.main import app
from costplan.planner.types import Market
from tests.conformance.test_gcp_permissions import ROLE
from tests.conformance.test_price_sync import file_of
from tests.emulators.aws.account import TYPES, ZONES, Account
from tests.emulators.aws.cloud import Fault
from tests.emulators.aws.documents import needed, permitted
from tests.emulators.aws.fixtures import account, served
from tests.emulators.gcp.server import GcpRig
from tests.emulators.gcp.world import GcpWorld, gcp_world, key
from tests.emulators.gcp.world import request as launch_of

__all__ = ["account", "served"]

NEEDS = {"name": "worker", "vcpu": 2, "memory": "1 GiB", "minimum": 4, "maximum": 40}


def doctor(path: Path) -> dict[str, list[tuple[str, str, str]]]:
    """What is found, by check: health, sentence, way out."""
    done = CliRunner().invoke(app, ["doctor", "--config", str(path), "--format", "json"])
    document = json.loads(done.stdout)
    found: dict[str, list[tuple[str, str, str]]] = {}
    for one in document["findings"]:
        found.setdefault(one["check"], []).append((one["health"], one["text"], one["remedy"]))
    counts = Counter(health for rows in found.values() for health, _, _ in rows)
    assert document["counts"] == {
        name: counts[name] for name in ("ok", "warning", "problem", "not_checked")
    }
    assert done.exit_code == (1 if counts["problem"] else 0)
    return found


@pytest.fixture
def config(account: Account, tmp_path: Path) -> Path:
    """A file of a cluster on the rig, with prices, a queue and quotas."""
    cloud = account.rig.cloud
    cloud.on_demand_prices = dict.fromkeys(TYPES, "0.0900")
    cloud.spot_prices = {
        (name, zone): [(utc_now() - timedelta(days=1), "0.0300")]
        for name in TYPES
        for zone in ZONES
    }
    cloud.quotas = {quota.code: 64.0 for quota in QUOTAS}
    file = file_of(account, workers=[NEEDS])
    file["provider"]["queue"] = account.make_queue("ours")
    return written(tmp_path, file)


def written(folder: Path, file: dict[str, Any]) -> Path:
    path = folder / "costplan.yaml"
    path.write_text(yaml.safe_dump(file))
    return path


def machines(account: Account) -> list[str]:
    return [one.id for one in account.rig.cloud.instances()]


def test_an_account_that_has_all_that_is_needed(account: Account, config: Path) -> None:
    ours = account.foreign_machine({"costplan:cluster": "ours"})
    before = machines(account)
    found = doctor(config)
    assert machines(account) == before == [ours]
    assert not (config.parent / "costplan.db").exists()
    (identity,) = found["credentials"]
    assert re.fullmatch(r"account \d{12}, as arn:aws:.*", identity[1])
    assert found["clock"] == [("ok", "within 2 s of that of AWS", "")]
    reads, changes, unclear = found["permissions"]
    assert reads[:2] == ("ok", "reads: all 9 granted")
    assert changes[:2] == ("ok", "changes: all 5 granted")
    assert unclear[0] == "not_checked"
    quotas = found["quotas"]
    assert quotas == [
        ("ok", "vCPU used: 2 of 64 on-demand standard (L-1216C47A); 0 of 64 spot standard "
         "(L-34B43A08)", "")
    ]  # fmt: skip
    assert found["notices"] == [("ok", "the queue ours is there, 0 messages in it", "")]
    assert found["leftovers"][0][0] == "ok"
    assert found["prices"] == [("ok", "16 of 16 offers have one, at most 0s old", "")]
    health, text, way_out = found["machines"][0]
    assert (health, way_out[:30]) == ("problem", "`costplan run` takes them in, ")
    assert ours in text
    assert "$0.0900/h" in text
    assert [health for health, _, _ in found["scheduler"]] == ["problem", "problem"]
    calls = needed(account.rig.made())
    assert calls - permitted() == permitted("policy for doctor only")


def test_what_the_account_may_not_do_is_named(account: Account, config: Path) -> None:
    cloud = account.rig.cloud
    cloud.denied = {"RunInstances", "DescribeSpotPriceHistory", "GetSpotPlacementScores"}
    cloud.quotas = {**cloud.quotas, "L-1216C47A": 4.0, "L-34B43A08": 0.0}
    found = doctor(config)
    texts = [(health, text) for health, text, _ in found["permissions"]]
    assert ("problem", "reads refused: DescribeSpotPriceHistory") in texts
    assert (
        "warning", "reads refused, without which less is known: GetSpotPlacementScores"
    ) in texts  # fmt: skip
    assert ("problem", "changes refused: RunInstances") in texts
    (quota,) = found["quotas"]
    assert quota[0] == "problem"
    assert quota[1].startswith("the fleet's minimum needs 8 vCPU, and there is room for 4 (")


def test_a_zone_that_is_not_there_is_named(account: Account, config: Path) -> None:
    file = yaml.safe_load(config.read_text())
    file["provider"]["zones"] = ["us-east-1a", "us-east-1z"]
    found = doctor(written(config.parent, file))
    ((health, text, way_out),) = found["zones"]
    assert (health, text[:11]) == ("problem", "us-east-1z ")
    assert "us-east-1b" in way_out


def test_a_region_that_is_none_is_told_once(account: Account, config: Path) -> None:
    file = yaml.safe_load(config.read_text())
    del file["provider"]["endpoint"]
    file["provider"] |= {"region": "us-eest-1", "zones": ["us-eest-1a"]}
    found = doctor(written(config.parent, file))
    assert set(found) == {"configuration", "extras", "provider", "scheduler", "store"}
    assert found["provider"] == [
        ("problem", "provider.region us-eest-1: is no region of AWS", "did you mean 'us-west-1'?")
    ]


def test_reads_without_an_answer_are_told_together(account: Account, config: Path) -> None:
    silent = ("DescribeSpotPriceHistory", "GetSpotPlacementScores")
    cloud = account.rig.cloud
    # The check of prices, beside this one, reads spot prices too.
    cloud.faults += [Fault(operation=name, code="Down", status=503, times=99) for name in silent]
    found = doctor(config)["permissions"]
    assert ("not_checked", f"reads: {', '.join(silent)} (no answer)", "") in found


def test_a_launch_that_would_be_refused_says_why(account: Account, config: Path) -> None:
    fault = Fault(operation="RunInstances", code="InvalidSubnetID.NotFound", status=400)
    account.rig.cloud.faults.append(fault)
    found = doctor(config)["permissions"]
    assert any(
        health == "problem" and "would be refused" in text and "InvalidSubnetID.NotFound" in text
        for health, text, _ in found
    )


def test_credentials_that_are_refused_hide_no_other_check(account: Account, config: Path) -> None:
    account.rig.cloud.access_keys = {"AKIASETUP"}
    found = doctor(config)
    assert found["credentials"][0][:2] == (
        "problem", "aws credentials GetCallerIdentity: InvalidClientTokenId"
    )  # fmt: skip
    assert found["store"][0][0] == "ok"
    refused = ("not_checked", "the credentials are refused", "")
    for area in ("zones", "permissions", "quotas", "notices", "leftovers", "machines", "prices"):
        assert found[area] == [refused]


@pytest.fixture
def world() -> Iterator[GcpWorld]:
    with gcp_world() as found:
        yield found


def gcp_config(rig: GcpRig, account: Account, folder: Path) -> Path:
    file = file_of(account, workers=[{**NEEDS, "maximum": 400}])
    file["provider"] = {
        "kind": "gcp",
        "project": rig.project.name,
        "zones": ["us-central1-a", "us-central1-b"],
        "image": "projects/p/global/images/family/f",
        "machine_types": ["n2-standard-4"],
        "endpoint": rig.endpoint,
    }
    return written(folder, file)


def test_a_project_is_asked_what_it_lets_us_do(
    account: Account, world: GcpWorld, tmp_path: Path
) -> None:
    provider = world.make_provider()
    node = provider.launch(launch_of("t1", key(market=Market.ON_DEMAND)))
    world.rig.project.quotas["us-central1", "N2_CPUS"] = 24.0
    provider_before = set(world.rig.project.machines)
    world.rig.denied = {"compute.instances.delete", "compute.advice.capacity"}
    found = doctor(gcp_config(world.rig, account, tmp_path))
    assert set(world.rig.project.machines) == provider_before
    assert found["credentials"][0][1].startswith("project our-project, as ")
    assert found["clock"] == [("ok", "within 2 s of that of Google", "")]
    texts = [(health, text) for health, text, _ in found["permissions"]]
    assert ("problem", "role refused: compute.instances.delete") in texts
    assert (
        "warning",
        "role refused, without which less is known: compute.advice.capacity",
    ) in texts
    (quota,) = found["quotas"]
    assert quota[:2] == (
        "warning",
        "the fleet may grow to 800 vCPU, and there is room for 24 (4 of 24 N2_CPUS in us-central1)",
    )
    assert found["leftovers"] == [("ok", "no stopped machine of the cluster", "")]
    assert node.provider_id in found["machines"][0][1]


def test_a_machine_that_has_stopped_is_left_over(
    account: Account, world: GcpWorld, tmp_path: Path
) -> None:
    node = world.make_provider().launch(launch_of("t1", key(market=Market.ON_DEMAND)))
    world.break_down(node.provider_id)
    ((health, text, _),) = doctor(gcp_config(world.rig, account, tmp_path))["leftovers"]
    assert health == "warning"
    assert text == f"1 stopped machine whose disk is paid for: {node.provider_id}"


def test_the_permissions_that_are_asked_for_are_those_of_the_role() -> None:
    assert list(PERMISSIONS) == ROLE["includedPermissions"]
