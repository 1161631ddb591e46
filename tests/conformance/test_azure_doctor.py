"""What doctor finds of a resource group, and what is kept of Azure's prices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costplan.adapters.azure.doctor import checks
from costplan.adapters.azure.region import source
from costplan.adapters.checks import run_checks
from costplan.adapters.feeds.price_store import PriceStore
from costplan.adapters.feeds.sync import sync
from costplan.cli.main import app
from costplan.planner.doctor import Finding, Wanted
from costplan.planner.types import Market
from tests.conformance.test_azure_prices import D4, D8
from tests.conformance.test_doctor import doctor, written
from tests.emulators.azure.world import (
    AzureWorld,
    azure_world,
    identity_of_a_machine,
    key,
    provider_section,
    request,
)
from tests.emulators.gcp.faults import Fault


@pytest.fixture
def world() -> Iterator[AzureWorld]:
    with azure_world() as found:
        found.rig.prices += [*D4, *D8]
        yield found


def found_in(world: AzureWorld, floor: float) -> list[Finding]:
    settings, clients, provider = world.settings(), world.clients(), world.make_provider()
    wanted = [Wanted(unit="vCPU", floor=floor, ceiling=None)]
    own = checks(clients, settings, provider, provider.offers, wanted, world.now)
    return list(run_checks(own, 30))


def test_a_role_that_lacks_something_is_told(world: AzureWorld) -> None:
    world.rig.roles = [
        {
            "actions": ["microsoft.compute/*", "*/read", "Microsoft.Network/networkInterfaces/*"],
            "notActions": ["Microsoft.Compute/disks/delete"],
        }
    ]
    texts = [(one.area, str(one.health), one.text) for one in found_in(world, 1)]
    assert ("permissions", "problem", "role refused: Microsoft.Compute/disks/delete") in texts
    assert ("clock", "ok", "within 2 s of that of Azure") in texts
    world.rig.roles.append({"actions": ["*"], "notActions": []})
    texts = [(one.area, str(one.health), one.text) for one in found_in(world, 1)]
    assert ("permissions", "ok", "role: all 12 granted") in texts


def test_a_role_that_may_not_be_asked_for_is_not_checked(world: AzureWorld) -> None:
    fault = Fault(method="permissions.list", status=403, reason="AuthorizationFailed")
    world.rig.faults.add(fault)
    (found,) = [one for one in found_in(world, 1) if one.area != "quotas"]
    assert (found.area, str(found.health)) == ("permissions", "not checked")
    assert found.remedy == "grant Microsoft.Authorization/permissions/read"


def test_cores_and_families_are_not_counted_twice(world: AzureWorld) -> None:
    world.make_provider().launch(request("t1", key(market=Market.ON_DEMAND)))
    quotas = world.rig.group.quotas
    quotas.clear()
    quotas.update({"cores": 100, "standardDSv5Family": 20, "lowPriorityCores": 10})
    (quota,) = [one for one in found_in(world, 31) if one.area == "quotas"]
    assert (str(quota.health), "there is room for 30 (" in quota.text) == ("problem", True)
    quotas["cores"] = 15
    (quota,) = [one for one in found_in(world, 31) if one.area == "quotas"]
    assert "there is room for 25 (" in quota.text


def test_the_public_list_is_read_once_for_both_markets(world: AzureWorld, tmp_path: Path) -> None:
    store, settings = PriceStore(tmp_path), world.settings()
    feeds = source(world.clients(), settings, world.now)
    done = sync(
        feeds, store, patterns=("Standard_D4s_v5",), history_seconds=60, now=world.now,
        tell=lambda *_: None,
    )  # fmt: skip
    assert (done.failures, done.changes, dict(done.prices)) == (
        (), 0, {Market.ON_DEMAND: 2, Market.SPOT: 2},
    )  # fmt: skip
    assert world.rig.calls["retailPrices.list"] == 1
    kept = store.region("azure", "eastus", world.now())
    assert kept is not None
    assert {offer.key.zone for offer, _ in kept.rows()} == {"eastus-1", "eastus-2"}


@pytest.fixture
def config(world: AzureWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a cluster on the rig, on a machine with an identity."""
    for name, value in identity_of_a_machine(world.rig).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    file = {
        "cluster": "ours",
        "workload": "ours",
        "scheduler": {
            "endpoint": "http://127.0.0.1:9",
            "token_file": "token",
            "address": "tcp://127.0.0.1:9",
        },
        "provider": provider_section(world.rig),
        "store": {"path": "costplan.db"},
        "workers": [{"name": "worker", "vcpu": 2, "memory": "1 GiB", "minimum": 2}],
    }
    return written(tmp_path, file)


def test_doctor_changes_nothing_of_the_file_s_resource_group(
    world: AzureWorld, config: Path
) -> None:
    node = world.make_provider().launch(request("t1", key(market=Market.ON_DEMAND)))
    world.rig.group.quotas.update({"cores": 100, "lowPriorityCores": 10})
    before = world.rig.calls.copy()
    found = doctor(config)
    assert set(world.rig.calls - before) == {
        "activityLogs.list", "identity.token", "permissions.list", "resourceGraph.resources",
        "resourceSkus.list", "retailPrices.list", "usage.list", "virtualMachines.list",
    }  # fmt: skip
    assert found["credentials"][0][1].endswith("resource group ours")
    assert found["permissions"][0][:2] == ("ok", "role: all 12 granted")
    assert found["quotas"][0][0] == "ok"
    assert found["prices"][0][:2] == ("ok", "4 of 4 offers have one, at most 0s old")
    assert node.provider_id in found["machines"][0][1]


def test_the_file_says_whose_prices_are_read(world: AzureWorld, config: Path) -> None:
    words = ["prices", "sync", "--config", str(config), "--instance-type", "Standard_D4s_v5"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "azure eastus: 1 machine type, prices: " in done.stdout
    assert world.rig.calls["retailPrices.list"] == 1
