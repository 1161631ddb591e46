"""`costplan commitments import` from Azure, over HTTP, with the real SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.held_clouds import (
    DAY,
    NOW,
    YEAR,
    documented_calls,
    left_out,
    plain_file,
    run,
    text_of,
)
from tests.conformance.test_azure_prices import row
from tests.emulators.azure.server import SUBSCRIPTION
from tests.emulators.azure.world import (
    AzureWorld,
    azure_world,
    identity_of_a_machine,
    provider_section,
)
from tests.emulators.gcp.faults import Fault


def reservation(name: str, **changes: Any) -> dict[str, Any]:
    """A reservation as Azure documents one; `sku` and `location` are not among its properties."""
    order = "00000000-0000-0000-0000-000000000001"
    properties = {
        "appliedScopeType": "Shared",
        "benefitStartTime": "2026-09-01T10:00:00.1234567Z",
        "billingPlan": "Monthly",
        "displayName": name,
        "displayProvisioningState": "Succeeded",
        "expiryDateTime": text_of(NOW + 200 * DAY),
        "instanceFlexibility": "On",
        "provisioningState": "Succeeded",
        "quantity": 4,
        "reservedResourceType": "VirtualMachines",
        "term": "P1Y",
        **{key: value for key, value in changes.items() if key not in ("sku", "location")},
    }
    return {
        "id": f"/providers/microsoft.capacity/reservationOrders/{order}/reservations/{name}",
        "name": f"{order}/abcdef01-0000-0000-0000-000000000000",
        "type": "Microsoft.Capacity/reservationOrders/reservations",
        "location": changes.get("location", "eastus"),
        "sku": {"name": changes.get("sku", "Standard_D4s_v5")},
        "properties": properties,
    }


def azure_plan(name: str, sku: str = "Compute_Savings_Plan", **changes: Any) -> dict[str, Any]:
    """A savings plan as Azure documents one."""
    return {
        "id": f"/providers/microsoft.billingbenefits/savingsPlanOrders/o/savingsPlans/{name}",
        "name": f"o/{name}",
        "type": "Microsoft.BillingBenefits/savingsPlanOrders/savingsPlans",
        "sku": {"name": sku},
        "properties": {
            "appliedScopeType": "Single",
            "appliedScopeProperties": {"subscriptionId": f"/subscriptions/{SUBSCRIPTION}"},
            "billingPlan": "P1M",
            "commitment": {"amount": 0.5, "currencyCode": "USD", "grain": "Hourly"},
            "expiryDateTime": text_of(NOW + 2 * YEAR),
            "provisioningState": "Succeeded",
            "purchaseDateTime": "2025-12-01T00:00:00Z",
            "term": "P3Y",
            **changes,
        },
    }


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[AzureWorld, Path]]:
    """A rig of Azure that lets in a machine with an identity, and a file that says where it is."""
    with azure_world() as world:
        for name, value in identity_of_a_machine(world.rig).items():
            monkeypatch.setenv(name, value)
        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/dask"
        world.rig.reservations = [
            reservation("web"),
            reservation("fixed", instanceFlexibility="Off", sku="Standard_D8s_v5", term="P3Y",
                        appliedScopeType="Single", billingPlan="Upfront",
                        appliedScopeProperties={"resourceGroupId": group}),
            reservation("elsewhere", location="WestUS"),
            reservation("ended", provisioningState="Expired"),
            reservation("over", expiryDateTime="2026-01-01T00:00:00Z"),
            reservation("unpaid", provisioningState="BillingFailed"),
            reservation("disks", reservedResourceType="ManagedDisk"),
        ]  # fmt: skip
        world.rig.savings_plans = [
            azure_plan("plan"),
            azure_plan("returned", provisioningState="Cancelled"),
            azure_plan("databases", sku="Database_Savings_Plan"),
            azure_plan("euros", commitment={"amount": 1, "currencyCode": "EUR",
                                            "grain": "Hourly"}),
        ]  # fmt: skip
        world.rig.ratios = {"Standard_D4s_v5": ("DSv5 Series", "2")}
        world.rig.prices += [
            row("Standard_D4s_v5", "876", type="Reservation", reservationTerm="1 Year"),
        ]
        path = tmp_path / "costplan.yaml"
        path.write_text(yaml.safe_dump(plain_file() | {"provider": provider_section(world.rig)}))
        yield world, path


def test_what_azure_says_is_held(azure: tuple[AzureWorld, Path]) -> None:
    world, config = azure
    world.rig.largest_page = 3
    out = config.parent / "held.yaml"
    done = run("import", "--config", str(config), "--region", "eastus", "--out", str(out),
               "--format", "json")  # fmt: skip
    reasons = sorted(left_out(done).values())
    assert reasons == [
        "billingfailed", "cancelled", "expired", "expired",
        "is a Database_Savings_Plan, and covers no machines",
        "is not in dollars an hour, but in EUR", "is of ManagedDisk, and covers no machines",
    ]  # fmt: skip
    written = {one.pop("id"): one for one in yaml.safe_load(out.read_text())["commitments"]}
    same = {
        "kind": "azure_reservation", "region": "eastus", "count": 4,
        "start": "2026-09-01T10:00:00.123456Z", "end": text_of(NOW + 200 * DAY),
    }  # fmt: skip
    assert written == {
        # $876 are a tenth of a dollar for each of the 8,760 hours.
        "web-abcdef01": same | {
            "instance_type": "Standard_D4s_v5", "size_group": "DSv5 Series", "size_ratio": 2,
            "usd_per_hour": 0.1, "term": "1y", "payment": "no_upfront",
        },
        "fixed-abcdef01": same | {
            "instance_type": "Standard_D8s_v5", "size_flexible": False, "term": "3y",
            "payment": "all_upfront", "scope": "resource_group", "account": SUBSCRIPTION,
            "resource_group": "dask",
        },
        "plan": {
            "kind": "azure_savings_plan", "usd_per_hour": 0.5, "term": "3y",
            "payment": "no_upfront", "scope": "account", "account": SUBSCRIPTION,
            "start": "2025-12-01T00:00:00Z", "end": text_of(NOW + 2 * YEAR),
        },
    }  # fmt: skip
    assert "the price list has no price of fixed-abcdef01" in json.loads(done.stdout)["notes"]


def test_what_azure_refuses_is_written_nowhere(azure: tuple[AzureWorld, Path]) -> None:
    world, config = azure
    words = ("import", "--config", str(config), "--out", str(config.parent / "held.yaml"))
    world.rig.faults.add(Fault(method="savingsPlans.list", status=403,
                               reason="AuthorizationFailed"))  # fmt: skip
    refused = run(*words)
    assert (refused.exit_code, "'What commitments need'" in refused.stderr) == (1, True)
    assert [path.name for path in config.parent.iterdir()] == ["costplan.yaml"]
    # Without the catalogue a reservation covers its own size, and that is said.
    world.rig.faults.add(Fault(method="catalogs.list", status=403, reason="AuthorizationFailed"))
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "ratios of sizes could not be read, so each covers its own" in done.stderr


def test_the_guide_names_the_permission_of_every_call(azure: tuple[AzureWorld, Path]) -> None:
    place, config = azure
    out = config.parent / "held.yaml"
    assert run("import", "--config", str(config), "--out", str(out)).exit_code == 0
    assert documented_calls("azure") == set(place.rig.calls) - {"identity.token"}
