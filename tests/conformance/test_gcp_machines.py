"""The life of a machine of Compute Engine over HTTP: clocks, strangers, preemptions, settings."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from costplan.adapters.gcp.body import SHUTDOWN
from costplan.planner.errors import CapacityUnavailable
from costplan.planner.nodes import MachineState
from tests.conformance.gcp_lives import OPERATIONS, WAIT, ended, let_go, world
from tests.emulators.gcp.world import INSERT, SETTINGS, GcpWorld, key, request

__all__ = ["world"]

# Clocks, strangers, preemptions.


@pytest.mark.parametrize("minutes", [-20, 20])
def test_our_clock_may_be_wrong(world: GcpWorld, minutes: int) -> None:
    """Instants are Google's; ours only says how far back to look."""
    provider = world.provider(clock=lambda: world.now() + timedelta(minutes=minutes))
    before = world.now()
    first, second = (provider.launch(request(token)) for token in ("a", "b"))
    world.reclaim(second.provider_id, 60.0)
    (notice,) = provider.notices()
    assert before <= first.launched_at <= notice.observed_at <= world.now()
    assert notice.effective_at == notice.observed_at + timedelta(seconds=2)
    provider.terminate([first.provider_id])
    found = ended(world, provider, "a")
    assert found.ended_at is not None
    assert first.launched_at < found.ended_at <= world.now()


def test_machines_of_others_are_never_ours(world: GcpWorld) -> None:
    """Neither a name like ours without the label, nor our label on another name."""
    provider = world.make_provider()
    ours = provider.launch(request())
    project = world.rig.project
    with world.rig.lock:
        (known,) = project.machines.values()
        lookalike = {**known.resource, "name": known.resource["name"].replace("token-a", "b")}
        project.insert("us-central1-a", {**lookalike, "labels": {"costplan-cluster": "other"}}, "")
        project.insert("us-central1-a", {**known.resource, "name": "web"}, "")
    names = [name for _, name in project.machines]
    provider.terminate([f"us-central1-a/{name}" for name in names if name not in ours.provider_id])
    assert world.rig.calls["compute.instances.delete"] == 0
    listed = [
        node.provider_id for node in provider.nodes() if node.state is not MachineState.PENDING
    ]
    assert listed == [ours.provider_id]


def test_a_spot_machine_that_is_preempted_is_warned_of(world: GcpWorld) -> None:
    patient = replace(SETTINGS, stop_seconds=30.0, preemption_notice_seconds=90)
    provider = world.provider(settings=patient)
    node = provider.launch(request())
    (machine,) = world.rig.project.machines.values()
    assert machine.resource["scheduling"] == {
        "provisioningModel": "SPOT",
        "instanceTerminationAction": "DELETE",
        "automaticRestart": False,
        "onHostMaintenance": "TERMINATE",
        "preemptionNoticeDuration": {"seconds": "90"},
    }
    world.reclaim(node.provider_id, 120.0)
    (notice,) = provider.notices()
    assert notice.effective_at - notice.observed_at == timedelta(seconds=120)
    let_go(world)
    found = ended(world, provider, "token-a")
    assert found.end_cause == "reclaimed"
    assert found.ended_at is not None
    assert found.ended_at <= world.now(), "ended in the future"
    assert provider.notices() == ()


def test_a_machine_deleted_during_its_notice_was_reclaimed_and_ends_then(world: GcpWorld) -> None:
    provider = world.provider(settings=replace(SETTINGS, stop_seconds=30.0))
    node = provider.launch(request())
    world.reclaim(node.provider_id, 30.0)
    provider.terminate([node.provider_id])
    found = ended(world, provider, "token-a")
    delete = next(one for one in world.rig.project.operations.values() if one.kind == "delete")
    assert (found.end_cause, found.ended_at) == ("reclaimed", delete.ends)


def test_a_machine_that_stopped_by_itself_is_there_until_it_is_deleted(world: GcpWorld) -> None:
    provider = world.make_provider()
    node = provider.launch(request())

    def remaining() -> list[str]:
        return [one.provider_id for one in provider.nodes() if one.remains]

    assert remaining() == []
    world.break_down(node.provider_id)
    assert remaining() == [node.provider_id]
    assert ended(world, provider, "token-a").end_cause == "failed"
    provider.terminate(remaining())
    world.wait_until(lambda: not (remaining() or world.rig.project.machines), "it is deleted")


# What a machine is made of.


def test_a_machine_is_set_up_as_the_settings_say(world: GcpWorld) -> None:
    wanted = request("t", key("n1-standard-4-t4x2"), image_ref="projects/p/global/images/i",
                     tags={"Owner": "Ann B.", "team": "ml"})  # fmt: skip
    world.provider(settings=replace(SETTINGS, external_ip=True)).launch(wanted)
    (machine,) = world.rig.project.machines.values()
    found = machine.resource
    assert found["labels"] == {
        "costplan-cluster": "ours",
        "costplan-node": "node-t",
        "costplan-token": "t",
        "owner": "_41nn_20_42_2e",
        "team": "ml",
    }
    script = "#!/bin/sh\necho node-t n1-standard-4-t4x2\n"
    assert found["metadata"]["items"] == [
        {"key": "startup-script", "value": script},
        {"key": "shutdown-script", "value": SHUTDOWN},
    ]
    assert found["machineType"].endswith("zones/us-central1-a/machineTypes/n1-standard-4")
    accelerator = found["guestAccelerators"][0]
    assert accelerator["acceleratorCount"] == 2
    assert accelerator["acceleratorType"].endswith("acceleratorTypes/nvidia-tesla-t4")
    assert found["scheduling"]["onHostMaintenance"] == "TERMINATE"
    disk = found["disks"][0]
    assert disk["autoDelete"] is True
    assert disk["initializeParams"] == {
        "sourceImage": "projects/p/global/images/i",
        "diskSizeGb": "30",
        "diskType": "zones/us-central1-a/diskTypes/pd-balanced",
    }
    network = found["networkInterfaces"][0]
    assert network["subnetwork"] == "regions/us-central1/subnetworks/ours"
    assert network["accessConfigs"] == [{"name": "External NAT", "type": "ONE_TO_ONE_NAT"}]
    assert found["serviceAccounts"][0]["email"] == SETTINGS.service_account
    assert found["tags"] == {"items": ["dask"]}


def test_a_machine_has_no_address_outside_unless_it_is_asked_for(world: GcpWorld) -> None:
    world.make_provider().launch(request())
    (machine,) = world.rig.project.machines.values()
    assert "accessConfigs" not in machine.resource["networkInterfaces"][0]


# What a tick costs, and what is imported.


def test_calls_of_a_launch_and_an_end(world: GcpWorld) -> None:
    provider = world.make_provider()
    node = provider.launch(request())
    assert world.rig.calls == {OPERATIONS: 1, INSERT: 1, WAIT: 1, "compute.instances.get": 1}
    world.rig.calls.clear()
    provider.terminate([node.provider_id])
    assert world.rig.calls == {"compute.instances.get": 1, "compute.instances.delete": 1}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_nothing_of_the_sdk_is_imported_before_it_is_configured() -> None:
    """Not by the adapter's own modules either."""
    code = (
        "import sys, pkgutil, importlib, costplan.adapters.gcp as gcp, costplan.cli.main\n"
        "for one in pkgutil.iter_modules(gcp.__path__, gcp.__name__ + '.'):\n"
        "    importlib.import_module(one.name)\n"
        "print(sorted({m for m in sys.modules if m.split('.')[0] in ('google', 'grpc')}))"
    )
    assert run(code) == "[]"


def test_a_missing_package_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['google.cloud.compute_v1'] = None\n"
        "from costplan.adapters.gcp.clients import Clients\n"
        "from costplan.planner.errors import InputError\n"
        "try: Clients(timeout_seconds=1.0)\n"
        "except InputError as error: print(error)\n"
    )
    assert run(code).endswith("pip install 'costplan[gcp]'")


def test_everything_sold_out_is_a_lack_of_capacity(world: GcpWorld) -> None:
    wanted = request("t", world.sold_out())
    with pytest.raises(CapacityUnavailable):
        world.make_provider().launch(wanted)
    with pytest.raises(CapacityUnavailable):
        world.make_provider().launch(wanted)
    assert world.rig.calls[INSERT] == 1
