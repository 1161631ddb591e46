"""What goes wrong on Google Cloud, and what the provider makes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from costplan.adapters.gcp.body import SHUTDOWN
from costplan.adapters.gcp.clients import Clients, sdk
from costplan.adapters.gcp.provider import GcpProvider
from costplan.planner.errors import (
    CapacityUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import MachineState, ProviderNode
from costplan.planner.types import Market
from tests.emulators.gcp.faults import Fault
from tests.emulators.gcp.world import (
    INSERT,
    SETTINGS,
    GcpWorld,
    anonymous,
    gcp_world,
    key,
    request,
    startup,
)

LIST = "compute.instances.aggregatedList"
OPERATIONS = "compute.globalOperations.aggregatedList"
WAIT = "compute.zoneOperations.wait"
SPOT = Market.SPOT


@pytest.fixture
def world() -> Iterator[GcpWorld]:
    with gcp_world() as found:
        yield found


class Died(BaseException):
    """The process ends here."""


class Dying(Clients):
    """Clients of a process that dies at its `nth` call of a method, before or after it."""

    method, nth, is_after = "", 1, True

    def call(self, method: Callable[..., Any], request: Any, seconds: float | None = None) -> Any:
        is_due = method.__name__ == self.method
        self.nth -= is_due
        if is_due and self.nth == 0 and not self.is_after:
            raise Died
        answer = super().call(method, request, seconds)
        if is_due and self.nth == 0:
            raise Died
        return answer


def dying(world: GcpWorld, method: str, nth: int = 1, *, is_after: bool = True) -> GcpProvider:
    clients = Dying(timeout_seconds=30, credentials=anonymous(), endpoint=world.rig.endpoint)
    clients.method, clients.nth, clients.is_after = method, nth, is_after
    return GcpProvider(clients, SETTINGS, world.cluster, startup, world.now)


class Hasty(Clients):
    """Clients that wait for the answer to an insertion no longer than a third of a second."""

    def call(self, method: Callable[..., Any], request: Any, seconds: float | None = None) -> Any:
        is_insert = method.__name__ == "insert_unary"
        return super().call(method, request, 0.3 if is_insert else seconds)


def let_go(world: GcpWorld) -> None:
    """What is on its way to its end is there now."""
    now = world.now()
    with world.rig.lock:
        for machine in world.rig.project.machines.values():
            machine.placed_at = min(machine.placed_at, now)
            machine.gone_at = None if machine.gone_at is None else min(machine.gone_at, now)
            machine.insert.ends = min(machine.insert.ends, now)


def state_of(provider: GcpProvider, token: str) -> list[tuple[MachineState, str | None]]:
    return [(node.state, node.end_cause) for node in provider.nodes() if node.token == token]


def ended(world: GcpWorld, provider: GcpProvider, token: str) -> ProviderNode:
    """The machine of a token once it has ended."""

    def is_over() -> bool:
        return [state for state, _ in state_of(provider, token)] == [MachineState.ENDED]

    world.wait_until(is_over, f"{token} ends")
    return next(node for node in provider.nodes() if node.token == token)


# Lists that are not whole.


def test_a_list_is_whole_over_its_pages_or_raises(world: GcpWorld) -> None:
    world.rig.largest_page = 2
    provider = world.make_provider()
    for n in range(5):
        provider.launch(request(f"t{n}", key(zone=f"us-central1-{'ab'[n % 2]}")))
    assert len(provider.nodes()) == 5
    for method in (LIST, OPERATIONS):
        world.rig.faults.add(Fault(method=method, where="pageToken", status=503))
        with pytest.raises(Unreachable):
            provider.nodes()
    assert len(provider.nodes()) == 5


@pytest.mark.parametrize("read", ["nodes", "notices"])
def test_a_list_that_misses_a_zone_raises(world: GcpWorld, read: str) -> None:
    provider = world.make_provider()
    provider.launch(request("t", key(zone="us-central1-b")))
    world.rig.compute.hidden_scopes.add("us-central1-b")
    with pytest.raises(Unreachable, match="us-central1-b"):
        getattr(provider, read)()
    world.rig.compute.hidden_scopes.clear()
    assert len(provider.nodes()) == 1


def test_a_machine_that_the_list_does_not_show_yet_is_known(world: GcpWorld) -> None:
    world.rig.project.delays.boot = 30.0
    world.rig.project.hides_new = True
    provider = world.provider(settings=replace(SETTINGS, settle_seconds=0.2))
    launched = provider.launch(request())
    (found,) = provider.nodes()
    assert (found.provider_id, found.state) == (launched.provider_id, MachineState.PENDING)


# Launches that are refused.


def test_a_quota_is_said_with_its_name_and_limit(world: GcpWorld) -> None:
    world.rig.project.quotas["us-central1", "N2_CPUS"] = 2.0
    provider = world.make_provider()
    with pytest.raises(QuotaExceeded) as caught:
        provider.launch(request("t", key(), key("e2-standard-4")))
    assert (caught.value.quota, caught.value.limit) == ("n2_cpus", 2.0)
    assert provider.nodes() == ()


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (429, "rateLimitExceeded", Throttled),
        (403, "rateLimitExceeded", Throttled),
        (403, "userRateLimitExceeded", Throttled),
        (400, "resourceNotReady", Throttled),
        (403, "quotaExceeded", QuotaExceeded),
        (403, "forbidden", CredentialsRejected),
        (400, "invalid", RequestRejected),
        (409, "conflict", RequestRejected),
        (500, "internalError", OutcomeUnknown),
        (502, "badGateway", OutcomeUnknown),
        (503, "backendError", OutcomeUnknown),
    ],
)
def test_a_refused_insertion(
    world: GcpWorld, status: int, reason: str, error: type[Exception]
) -> None:
    world.rig.faults.add(Fault(method=INSERT, status=status, reason=reason))
    provider = world.make_provider()
    with pytest.raises(error) as caught:
        provider.launch(request())
    assert type(caught.value) is error
    assert provider.nodes() == ()
    assert world.rig.calls[INSERT] == 1, "sent again behind our back"
    provider.launch(request())
    assert len(provider.nodes()) == 1


@pytest.mark.parametrize(("status", "reason"), [(503, "backendError"), (429, "rateLimitExceeded")])
@pytest.mark.parametrize("read", ["nodes", "offers", "notices"])
def test_a_read_that_fails(world: GcpWorld, read: str, status: int, reason: str) -> None:
    world.rig.faults.add(Fault(method="*", status=status, reason=reason))
    with pytest.raises(Throttled if status == 429 else Unreachable) as caught:
        getattr(world.make_provider(), read)()
    assert getattr(caught.value, "retry_after_seconds", 7) == 7
    assert sum(world.rig.calls.values()) == 1, "sent again behind our back"


def test_a_pool_without_capacity_is_asked_once_a_launch(world: GcpWorld) -> None:
    provider = world.make_provider()
    for n in range(3):
        node = provider.launch(request(f"t{n}", world.sold_out(), key()))
        assert node.key == key()
    sent = [one.target for one in world.rig.project.operations.values() if one.kind == "insert"]
    assert len([one for one in sent if one.endswith("sc2-standard-4")]) == 3
    assert len(provider.nodes()) == 3


def test_a_refusal_that_comes_late_is_a_machine_that_failed(world: GcpWorld) -> None:
    """What a launch has accepted is not launched elsewhere behind the planner's back."""
    world.rig.project.delays.placing = 60.0
    hasty = replace(SETTINGS, settle_seconds=0.2)
    provider, wanted = world.provider(settings=hasty), request("t", world.sold_out(), key())
    launched = provider.launch(wanted)
    assert (launched.state, launched.key) == (MachineState.PENDING, world.sold_out())
    let_go(world)
    found = ended(world, provider, "t")
    assert (found.end_cause, found.key) == ("failed", world.sold_out())
    assert world.provider(settings=hasty).nodes() == (found,)
    assert provider.launch(wanted) == found
    assert world.rig.calls[INSERT] == 1


def test_a_failure_that_may_pass_is_tried_again_with_the_same_request(world: GcpWorld) -> None:
    world.rig.project.failing += ["INTERNAL_ERROR", "RESOURCE_OPERATION_RATE_EXCEEDED"]
    provider = world.make_provider()
    with pytest.raises(Unreachable):
        provider.launch(request())
    with pytest.raises(Throttled):
        provider.launch(request())
    assert provider.nodes() == ()
    launched = provider.launch(request())
    assert [node.provider_id for node in provider.nodes()] == [launched.provider_id]


def test_a_wrong_request_stays_wrong(world: GcpWorld) -> None:
    world.rig.project.failing += ["INVALID_USAGE"]
    provider = world.make_provider()
    for _ in range(2):
        with pytest.raises(RequestRejected, match="INVALID_USAGE"):
            provider.launch(request())
    assert world.rig.calls[INSERT] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        request("Not_A_Token"),
        request("t" * 33),
        request("a--b"),
        request("t", node_id="n" * 64),
        request("t", key(zone="us-central1-f")),
        request("t", key("n9-standard-4")),
        request("t", key(market=Market.COMMITMENT_1Y)),
        request("t", key("c3d-standard-360-lssd2")),
        request("t", cluster="theirs"),
    ],
)
def test_what_cannot_be_launched_is_refused(world: GcpWorld, wrong: Any) -> None:
    with pytest.raises(RequestRejected):
        world.make_provider().launch(wrong)
    assert world.rig.project.machines == {}


# Answers that are lost, and processes that die.


@pytest.mark.parametrize("fault", ["cut off", "done and 503", "too late"])
def test_a_lost_answer_makes_no_second_machine(world: GcpWorld, fault: str) -> None:
    world.rig.faults.add(
        {
            "cut off": Fault(method=INSERT, is_lost=True),
            "done and 503": Fault(method=INSERT, status=503, does_it=True),
            "too late": Fault(method=INSERT, latency_seconds=1.0),
        }[fault]
    )
    clients = Hasty(timeout_seconds=30, credentials=anonymous(), endpoint=world.rig.endpoint)
    provider = GcpProvider(clients, SETTINGS, world.cluster, startup, world.now)
    with pytest.raises(OutcomeUnknown) as caught:
        provider.launch(request("t", key(), key("e2-standard-4")))
    assert caught.value.token == "t"  # noqa: S105
    patient = world.make_provider()
    world.wait_until(lambda: bool(state_of(patient, "t")), "the machine is found")
    assert patient.launch(request("t", key(), key("e2-standard-4"))).key == key()
    assert len(world.rig.project.machines) == 1


@pytest.mark.parametrize(
    ("method", "is_after"),
    [("insert_unary", True), ("insert_unary", False), ("wait", False), ("wait", True),
     ("get", False), ("aggregated_list", True)],
)  # fmt: skip
def test_a_launch_is_resumed_after_a_death(world: GcpWorld, method: str, is_after: bool) -> None:
    with pytest.raises(Died):
        dying(world, method, is_after=is_after).launch(request())
    node = world.make_provider().launch(request())
    assert [one.provider_id for one in world.make_provider().nodes()] == [node.provider_id]
    assert world.rig.calls[INSERT] == 1


def test_a_death_after_a_refusal_does_not_try_the_first_offer_again(world: GcpWorld) -> None:
    """The first offer has capacity again when the daemon is back; the second was launched."""
    wanted = request("t", world.sold_out(), key())
    with pytest.raises(Died):
        dying(world, "insert_unary", nth=2).launch(wanted)
    world.rig.project.room.clear()
    assert world.make_provider().launch(wanted).key == key()
    assert len(world.rig.project.machines) == 1


def test_a_refusal_over_http_and_a_death_do_not_make_two(world: GcpWorld) -> None:
    """A refusal that left no operation behind cannot be found again; the machine can."""
    fault = Fault(method=INSERT, status=503, reason="ZONE_RESOURCE_POOL_EXHAUSTED")
    world.rig.faults.add(fault)
    wanted = request("t", key(), key("e2-standard-4"))
    with pytest.raises(Died):
        dying(world, "wait").launch(wanted)
    assert world.make_provider().launch(wanted).key == key("e2-standard-4")
    assert len(world.rig.project.machines) == 1


def test_an_operation_that_cannot_be_asked_is_not_known(world: GcpWorld) -> None:
    world.rig.faults.add(Fault(method=WAIT, status=503))
    with pytest.raises(OutcomeUnknown):
        world.make_provider().launch(request())
    assert len(world.make_provider().nodes()) == 1
    world.make_provider().launch(request())
    assert world.rig.calls[INSERT] == 1


def test_a_refusal_that_the_wait_missed_is_one(world: GcpWorld) -> None:
    """The server's wait breaks off late, and the operation has failed in time."""
    world.rig.faults.add(Fault(method=WAIT, latency_seconds=1.0))
    slow = world.provider(settings=replace(SETTINGS, settle_seconds=0.4))
    assert slow.launch(request("t", world.sold_out(), key())).key == key()
    assert len(slow.nodes()) == 1


def test_what_is_asked_in_vain_after_an_insertion_is_not_known(world: GcpWorld) -> None:
    """Nothing was sent, would be wrong to say."""
    world.rig.project.delays.placing = 60.0
    world.rig.faults.add(Fault(method="compute.instances.get", status=404, reason="notFound"))
    hasty = world.provider(settings=replace(SETTINGS, settle_seconds=0.2))
    world.rig.faults.add(Fault(method=OPERATIONS, status=503, passes=1))
    with pytest.raises(OutcomeUnknown):
        hasty.launch(request())
    assert len(world.make_provider().nodes()) == 1


def test_a_machine_older_than_all_operations_is_found_by_its_name(world: GcpWorld) -> None:
    provider = world.make_provider()
    launched = provider.launch(request())
    world.rig.project.operations.clear()
    assert provider.launch(request()).provider_id == launched.provider_id
    assert len(provider.nodes()) == 1


def test_a_terminate_whose_answer_is_lost_is_not_known(world: GcpWorld) -> None:
    provider = world.make_provider()
    launched = provider.launch(request())
    world.rig.faults.add(Fault(method="compute.instances.delete", is_lost=True))
    with pytest.raises(OutcomeUnknown):
        provider.terminate([launched.provider_id])
    provider.terminate([launched.provider_id])
    assert ended(world, provider, "token-a").end_cause == "terminated"


# Credentials.


def test_credentials_that_are_refused_and_come_back(world: GcpWorld) -> None:
    world.rig.tokens_accepted = {"good"}
    credentials = sdk("google.oauth2.credentials").Credentials(token="expired")  # noqa: S106
    provider = world.provider(credentials=credentials)
    verbs: list[Callable[[], object]] = [
        provider.offers,
        provider.nodes,
        provider.notices,
        lambda: provider.launch(request()),
        lambda: provider.terminate([f"us-central1-a/{'cae0bec'}t--dn2-standard-4"]),
    ]
    for verb in verbs:
        with pytest.raises(CredentialsRejected):
            verb()
    credentials.token = "good"  # noqa: S105
    provider.launch(request())
    assert len(provider.nodes()) == 1


def test_where_no_token_can_be_fetched_nothing_was_sent(world: GcpWorld) -> None:
    credentials = sdk("google.oauth2.credentials").Credentials(
        token=None,
        refresh_token="r",  # noqa: S106
        token_uri="http://127.0.0.1:1/token",  # noqa: S106
        client_id="c",
        client_secret="s",  # noqa: S106
    )
    with pytest.raises(Unreachable):
        world.provider(credentials=credentials).launch(request())
    assert world.rig.calls == {}


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
