"""The rig of Azure speaks with Azure's own client, and refuses what its models do not allow."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core import MatchConditions
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.mgmt.compute import ComputeManagementClient

from tests.emulators.azure.models import wrong
from tests.emulators.azure.server import SUBSCRIPTION, AzureRig, serving
from tests.emulators.gcp.faults import Fault


class Token:
    """A credential whose token is 't'."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ARG002
        return AccessToken("t", int(time.time()) + 3600)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[AzureRig]:
    with serving(AzureRig(), tmp_path) as served:
        yield served


@pytest.fixture
def client(rig: AzureRig) -> Iterator[ComputeManagementClient]:
    with ComputeManagementClient(
        Token(),
        SUBSCRIPTION,
        base_url=rig.endpoint,
        connection_verify=str(rig.ca_file),
        credential_scopes=["https://localhost/.default"],
        polling_interval=0.02,
        retry_total=0,
    ) as made:
        yield made


def body(size: str = "Standard_D4s_v5", **properties: Any) -> dict[str, Any]:
    """A spot machine that is allowed, but for the changes."""
    return {
        "location": "eastus",
        "zones": ["1"],
        "tags": {"costplan-cluster": "ours"},
        "properties": {
            "hardwareProfile": {"vmSize": size},
            "priority": "Spot",
            "evictionPolicy": "Delete",
            "billingProfile": {"maxPrice": -1},
            "storageProfile": {
                "osDisk": {"createOption": "FromImage", "deleteOption": "Delete", "diskSizeGB": 30}
            },
            "osProfile": {"computerName": "one", "adminUsername": "nobody"},
            "networkProfile": {"networkInterfaceConfigurations": []},
            "userData": "aGk=",
            **properties,
        },
    }


def create(client: ComputeManagementClient, name: str, value: Any = None) -> Any:
    return client.virtual_machines.begin_create_or_update(
        "ours",
        name,
        value or body(),
        match_condition=MatchConditions.IfMissing,
    )


def test_a_machine_is_made_listed_tagged_and_deleted(
    rig: AzureRig, client: ComputeManagementClient
) -> None:
    made = create(client, "one").result()
    assert (made.name, made.properties.provisioning_state) == ("one", "Succeeded")
    assert made.properties.user_data is None
    found = client.virtual_machines.get("ours", "one", expand="instanceView")
    codes = [one.code for one in found.properties.instance_view.statuses]
    assert codes == ["ProvisioningState/succeeded", "PowerState/running"]
    client.virtual_machines.begin_update("ours", "one", {"tags": {"a": "b"}}).result()
    assert [one.tags for one in client.virtual_machines.list("ours")] == [{"a": "b"}]
    client.virtual_machines.begin_delete("ours", "one").result()
    client.virtual_machines.begin_delete("ours", "one").result()
    with pytest.raises(ResourceNotFoundError):
        client.virtual_machines.get("ours", "one")
    rig.check()


def test_a_name_is_one_machine(rig: AzureRig, client: ComputeManagementClient) -> None:
    create(client, "one").result()
    with pytest.raises(ResourceExistsError):
        create(client, "one")
    assert len(rig.group.machines) == 1


def test_lists_have_pages(rig: AzureRig, client: ComputeManagementClient) -> None:
    rig.largest_page = 2
    for name in ("a", "b", "c"):
        create(client, name).result()
    assert [one.name for one in client.virtual_machines.list("ours")] == ["a", "b", "c"]
    rig.faults.add(Fault(method="virtualMachines.list", where="skiptoken", status=503))
    with pytest.raises(HttpResponseError):
        list(client.virtual_machines.list("ours"))
    rig.check()


def test_a_lack_of_capacity_leaves_a_machine_that_failed(
    rig: AzureRig, client: ComputeManagementClient
) -> None:
    rig.group.room["1", "Standard_D4s_v5", "Spot"] = 0
    with pytest.raises(HttpResponseError) as caught:
        create(client, "one").result()
    assert caught.value.error is not None
    assert caught.value.error.code == "ZonalAllocationFailed"
    (left,) = client.virtual_machines.list("ours")
    assert left.properties.provisioning_state == "Failed"
    rig.check()


def test_a_quota_is_said_at_once(rig: AzureRig, client: ComputeManagementClient) -> None:
    rig.group.quotas |= {"lowPriorityCores": 6, "cores": 10}
    create(client, "one").result()
    with pytest.raises(ResourceExistsError, match="lowPriorityCores"):
        create(client, "two")
    usages = {one.name.value: (one.current_value, one.limit) for one in client.usage.list("eastus")}
    assert usages == {"cores": (0, 10), "lowPriorityCores": (4, 6)}
    rig.check()


def test_a_spot_machine_is_evicted(rig: AzureRig, client: ComputeManagementClient) -> None:
    create(client, "one").result()
    client.virtual_machines.simulate_eviction("ours", "one")
    deadline = time.monotonic() + 20
    while list(client.virtual_machines.list("ours")):
        assert time.monotonic() < deadline
    rig.check()


def test_who_is_not_known_is_not_let_in(rig: AzureRig, client: ComputeManagementClient) -> None:
    rig.tokens_accepted = {"another"}
    with pytest.raises(ClientAuthenticationError):
        client.virtual_machines.get("ours", "one")


def test_sizes_and_prices(rig: AzureRig, client: ComputeManagementClient) -> None:
    found = {sku.name: sku for sku in client.resource_skus.list(filter="location eq 'eastus'")}
    capabilities = {one.name: one.value for one in found["Standard_NC4as_T4_v3"].capabilities}
    assert (capabilities["vCPUs"], capabilities["GPUs"]) == ("4", "1")
    rig.prices += [{"armSkuName": f"s{n}", "retailPrice": n / 10} for n in range(3)]
    rig.largest_page = 2
    link, seen = f"{rig.endpoint}/api/retail/prices", []
    context = ssl.create_default_context(cafile=str(rig.ca_file))
    while link:
        page = httpx.get(link, verify=context).json()
        seen += [one["armSkuName"] for one in page["Items"]]
        link = page["NextPageLink"]
    assert seen == ["s0", "s1", "s2"]
    rig.check()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda b: b.update(size=1), "body: unknown member 'size'"),
        (lambda b: b.update(zones="1"), "body.zones: '1' is no list"),
        (lambda b: b["properties"].update(priority="Spotty"), "'Spotty' is none of"),
        (lambda b: b["properties"].update(vmId="x"), "body.properties.vmId: is read-only"),
        (
            lambda b: b["properties"]["billingProfile"].update(maxPrice="1"),
            "maxPrice: '1' is no float",
        ),
        (
            lambda b: b["properties"]["storageProfile"]["osDisk"].update(diskSizeGB="30"),
            "diskSizeGB: '30' is no int",
        ),
    ],
)
def test_a_wrong_body_is_refused_and_remembered(
    rig: AzureRig,
    client: ComputeManagementClient,
    change: Callable[[dict[str, Any]], None],
    complaint: str,
) -> None:
    wanted = body()
    change(wanted)
    with pytest.raises(HttpResponseError):
        create(client, "one", wanted)
    assert complaint in rig.violations[0]
    with pytest.raises(AssertionError):
        rig.check()


def test_a_wrong_answer_is_found() -> None:
    answer = {**body(), "properties": {"timeCreated": "yesterday"}}
    assert wrong("VirtualMachine", answer, "response", is_request=False) == [
        "response.properties.timeCreated: 'yesterday' is no datetime"
    ]


def test_a_call_that_the_rig_does_not_have_is_remembered(
    rig: AzureRig, client: ComputeManagementClient
) -> None:
    with pytest.raises(ResourceNotFoundError):
        list(client.disks.list())
    assert rig.unimplemented == [
        f"GET /subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/disks"
    ]
