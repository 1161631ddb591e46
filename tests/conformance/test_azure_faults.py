"""What goes wrong on Azure, and what the provider makes of it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.machines import listed
from costplan.adapters.azure.provider import AzureProvider
from costplan.planner.errors import (
    CapacityUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    ProviderError,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import MachineState, ProviderNode
from costplan.planner.types import Market
from tests.emulators.azure.world import (
    CREATE,
    SETTINGS,
    AzureWorld,
    Token,
    azure_world,
    key,
    request,
)
from tests.emulators.gcp.faults import Fault

LIST, GET, DELETE = "virtualMachines.list", "virtualMachines.get", "virtualMachines.delete"
LOG, GRAPH = "activityLogs.list", "resourceGraph.resources"
SPOT = Market.SPOT


@pytest.fixture
def world() -> Iterator[AzureWorld]:
    with azure_world() as found:
        yield found


def ended(world: AzureWorld, provider: AzureProvider, token: str) -> ProviderNode:
    """The machine of a token once it has ended."""

    def found() -> list[ProviderNode]:
        return [one for one in provider.nodes() if one.token == token]

    world.wait_until(lambda: [o.state for o in found()] == [MachineState.ENDED], f"{token} ends")
    return found()[0]


def emptied(world: AzureWorld) -> None:
    """Returns once every machine that was deleted is gone."""

    def is_empty() -> bool:
        with world.rig.lock:
            world.group.advance()
            return not world.group.machines

    world.wait_until(is_empty, "all machines are gone")


def resource(world: AzureWorld, node: ProviderNode) -> dict[str, Any]:
    return world.group.machines[node.provider_id].resource


# What a machine is.


def test_a_spot_machine_is_asked_for_with_all_that_goes_with_it(world: AzureWorld) -> None:
    provider = world.provider(scale_set="workers")
    made = resource(world, provider.launch(request()))
    properties = made["properties"]
    assert (properties["priority"], properties["evictionPolicy"]) == ("Spot", "Delete")
    assert properties["billingProfile"] == {"maxPrice": -1.0}
    assert made["zones"] == ["1"]
    assert properties["virtualMachineScaleSet"]["id"].endswith("/virtualMachineScaleSets/workers")
    assert made["tags"].items() >= {"costplan-market": "spot", "owner": "tests"}.items()


def test_an_arm_machine_gets_the_image_of_arm_and_a_request_its_own(world: AzureWorld) -> None:
    provider = world.make_provider()
    arm = provider.launch(request("arm", key("Standard_D4ps_v5")))
    own = provider.launch(request("own", key(), image_ref="/subscriptions/s/images/own"))
    images = [
        resource(world, node)["properties"]["storageProfile"]["imageReference"]
        for node in (arm, own)
    ]
    assert images == [
        {"communityGalleryImageId": SETTINGS.images["arm64"]},
        {"id": "/subscriptions/s/images/own"},
    ]


def test_disk_and_interface_go_with_their_machine(world: AzureWorld) -> None:
    provider = world.make_provider()
    nodes = [provider.launch(request(f"t{n}")) for n in range(2)]
    assert len(world.group.parts) == 4
    provider.terminate([nodes[0].provider_id])
    ended(world, provider, "t0")
    assert {part.partition("/")[0] for part in world.group.parts} == {nodes[1].provider_id}


# Launches that are refused.


@pytest.mark.parametrize("is_at_once", [True, False])
def test_the_next_offer_is_taken_and_nothing_is_left(world: AzureWorld, is_at_once: bool) -> None:
    pool = ("1", "Standard_D4s_v5", "Spot")
    if is_at_once:
        world.group.barred.add(pool)
    else:
        world.group.room[pool] = 0
    node = world.make_provider().launch(request("t", *AzureWorld.keys))
    assert node.key == AzureWorld.keys[1]
    assert list(world.group.machines) == [node.provider_id]
    assert len(world.group.parts) == 2
    assert world.rig.calls[DELETE] == (0 if is_at_once else 1)


def test_a_quota_is_said_with_its_name_and_limit(world: AzureWorld) -> None:
    world.group.quotas["standardDSv5Family"] = 2
    with pytest.raises(QuotaExceeded) as caught:
        world.make_provider().launch(request("t", key(), key(zone="eastus-2")))
    assert (caught.value.quota, caught.value.limit) == ("standardDSv5Family", 2)
    assert world.rig.calls[CREATE] == 1


def test_what_is_refused_late_has_ended_and_cost_nothing(world: AzureWorld) -> None:
    world.group.room["1", "Standard_D4s_v5", "Spot"] = 0
    world.group.delays.refusal = 0.6
    provider = world.provider(settle_seconds=0.1)
    launched = provider.launch(request())
    assert launched.state is MachineState.PENDING
    late = ended(world, provider, "token-a")
    assert (late.ended_at, late.end_cause, late.remains) == (late.launched_at, "failed", True)
    provider.terminate([late.provider_id])
    emptied(world)
    assert provider.nodes() == ()


def test_a_launch_that_died_with_a_refusal_goes_on_with_the_next_offer(world: AzureWorld) -> None:
    """The machine that failed is still there, and the name is in its way."""
    world.group.room["1", "Standard_D4s_v5", "Spot"] = 0
    wanted = request("t", *AzureWorld.keys)
    world.rig.faults.add(Fault(method=DELETE, status=503))
    with pytest.raises(OutcomeUnknown):
        world.make_provider().launch(wanted)
    assert len(world.group.machines) == 1
    again = world.make_provider().launch(wanted)
    assert again.key == AzureWorld.keys[1]
    assert world.rig.calls[CREATE] == 2


def test_a_machine_of_a_launch_under_way_is_not_shown(world: AzureWorld) -> None:
    """It may be refused, and the next one under the same name be another offer's."""
    world.group.room["1", "Standard_D4s_v5", "Spot"] = 0
    world.group.delays.refusal = world.group.delays.delete = 0.4
    provider = world.make_provider()
    launching = threading.Thread(target=provider.launch, args=[request("t", *AzureWorld.keys)])
    launching.start()
    seen = set()
    while launching.is_alive():
        seen |= {node.key for node in provider.nodes()}
    assert world.rig.calls[CREATE] == 2
    assert seen <= {AzureWorld.keys[1]}
    assert [node.key for node in provider.nodes()] == [AzureWorld.keys[1]]


def test_a_foreign_machine_of_our_name_is_left_alone(world: AzureWorld) -> None:
    provider = world.make_provider()
    node = provider.launch(request())
    resource(world, node)["tags"] = {"costplan-cluster": "theirs"}
    with pytest.raises(RequestRejected, match="not of this cluster"):
        provider.launch(request())
    provider.terminate([node.provider_id])
    assert (world.rig.calls[DELETE], provider.nodes()) == (0, ())


def test_a_refusal_to_change_a_machine_that_is_there_finds_it(world: AzureWorld) -> None:
    """As where Azure does not heed that only a new one is wanted."""
    fault = Fault(method=CREATE, status=409, reason="PropertyChangeNotAllowed", does_it=True)
    world.rig.faults.add(fault)
    assert world.make_provider().launch(request()).key == AzureWorld.keys[0]
    assert world.rig.calls[CREATE] == 1


# Answers that do not come, or say no.


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(method=CREATE, is_lost=True), OutcomeUnknown),
        (Fault(method=CREATE, status=500, reason="InternalServerError"), OutcomeUnknown),
        (Fault(method=CREATE, status=503, does_it=True), OutcomeUnknown),
        (Fault(method=GET, passes=1, status=503), OutcomeUnknown),
        (Fault(method=GET, status=503), Unreachable),
        (Fault(method=LOG, status=500), Unreachable),
        (Fault(method=CREATE, status=429, reason="TooManyRequests"), Throttled),
        (Fault(method=CREATE, status=409, reason="AnotherOperationInProgress"), Throttled),
        (Fault(method=CREATE, status=401, reason="ExpiredAuthenticationToken"),
         CredentialsRejected),
        (Fault(method=CREATE, status=403, reason="AuthorizationFailed"), CredentialsRejected),
        (Fault(method=CREATE, status=403, reason="RequestDisallowedByPolicy"), RequestRejected),
        (Fault(method=CREATE, status=409, reason="QuotaExceeded"), QuotaExceeded),
        (Fault(method=CREATE, status=409, reason="OverconstrainedAllocationRequest"),
         CapacityUnavailable),
    ],
)  # fmt: skip
def test_every_answer_is_one_of_the_ports_and_is_asked_for_once(
    world: AzureWorld, fault: Fault, error: type[ProviderError]
) -> None:
    world.rig.faults.add(fault)
    with pytest.raises(error) as caught:
        world.make_provider().launch(request())
    assert type(caught.value) is error
    assert world.rig.calls[CREATE] <= 1
    assert world.rig.faults.due == []
    again = world.make_provider().launch(request())
    assert [one.provider_id for one in world.make_provider().nodes()] == [again.provider_id]


def test_how_long_to_wait_is_passed_on(world: AzureWorld) -> None:
    world.rig.faults.add(Fault(method=LIST, status=429, reason="TooManyRequests"))
    with pytest.raises(Throttled) as caught:
        world.make_provider().nodes()
    assert caught.value.retry_after_seconds == 7
    assert world.rig.calls[LIST] == 1


def test_a_lost_answer_to_an_end_is_not_known(world: AzureWorld) -> None:
    provider = world.make_provider()
    node = provider.launch(request())
    world.rig.faults.add(Fault(method=DELETE, is_lost=True))
    with pytest.raises(OutcomeUnknown):
        provider.terminate([node.provider_id])
    provider.terminate([node.provider_id])
    assert ended(world, provider, "token-a").end_cause == "terminated"


def test_credentials_are_looked_for_anew_once_they_were_refused(world: AzureWorld) -> None:
    world.rig.tokens_accepted = {"new"}
    known = Token("old")
    provider = world.provider(credential=known)
    for verb in (provider.nodes, provider.offers, provider.notices):
        with pytest.raises(CredentialsRejected):
            verb()
    known.__init__("new")  # type: ignore[misc]
    assert provider.nodes() == ()


# Lists that are not whole.


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method=LIST, where="skiptoken", status=503),
        Fault(method=LOG, where="skipToken", is_lost=True),
        Fault(method=GRAPH, status=500),
    ],
    ids=["list", "log", "graph"],
)
def test_a_list_is_whole_over_its_pages_or_raises(world: AzureWorld, fault: Fault) -> None:
    world.rig.largest_page = 2
    provider = world.make_provider()
    for n in range(5):
        provider.launch(request(f"t{n}"))
    assert len(provider.nodes()) == 5
    world.rig.faults.add(fault)
    with pytest.raises(Unreachable):
        provider.nodes()
    assert len(provider.nodes()) == 5


# Ends.


def test_a_machine_that_switched_itself_off_is_paid_for_until_it_is_deleted(
    world: AzureWorld,
) -> None:
    provider = world.make_provider()
    node = provider.launch(request())
    world.group.switch_off(node.provider_id)
    (off,) = provider.nodes()
    assert (off.state, off.ended_at, off.remains) == (MachineState.STOPPING, None, True)
    provider.terminate([node.provider_id])
    assert ended(world, provider, "token-a").end_cause == "terminated"


def test_what_was_given_back_ended_then_whatever_is_done_to_it_after(world: AzureWorld) -> None:
    provider = world.make_provider()
    node = provider.launch(request())
    world.break_down(node.provider_id)
    before = ended(world, provider, "token-a")
    assert before.remains
    provider.terminate([node.provider_id])
    emptied(world)
    after = ended(world, provider, "token-a")
    assert (after.ended_at, after.end_cause) == (before.ended_at, "failed")
    assert not after.remains


@pytest.mark.parametrize("has_seen_it", [True, False])
def test_a_machine_of_long_ago_is_known_when_it_ends(world: AzureWorld, has_seen_it: bool) -> None:
    """Its creation is not among what was done in the last hour, and is looked up once."""
    provider = world.make_provider()
    node = provider.launch(request())
    provider.nodes()
    began = world.group.clock
    world.group.clock = lambda: began() + timedelta(hours=2)
    provider.terminate([node.provider_id])
    emptied(world)
    asked = world.rig.calls[LOG]
    looking = provider if has_seen_it else world.make_provider()
    for _ in range(3):
        (last,) = looking.nodes()
        assert (last.key, last.launched_at) == (node.key, node.launched_at)
        assert last.end_cause == "terminated"
    assert world.rig.calls[LOG] - asked == (3 if has_seen_it else 4)


def test_a_log_that_is_late_leaves_a_machine_out_until_it_has_it(world: AzureWorld) -> None:
    provider = world.make_provider()
    node = provider.launch(request())
    world.group.delays.log = 3600.0
    provider.terminate([node.provider_id])
    world.wait_until(lambda: provider.nodes() == (), "it is in no list")
    world.group.delays.log = 0.0
    assert ended(world, provider, "token-a").end_cause == "terminated"


def test_clocks_may_differ(world: AzureWorld) -> None:
    for minutes in (-4, 4):
        provider = world.provider(clock=lambda m=minutes: world.now() + timedelta(minutes=m))
        node = provider.launch(request(f"t{minutes % 10}"))
        assert node.launched_at <= world.now()
        provider.terminate([node.provider_id])
        last = ended(world, provider, f"t{minutes % 10}")
        assert last.ended_at is not None
        assert node.launched_at <= last.ended_at <= world.now()


# What is imported, and when.


def test_nothing_of_azure_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, costplan.adapters.azure.provider, costplan.adapters.azure.prices;"
        "print([m for m in sys.modules if m == 'azure' or m.startswith('azure.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_who_gives_tokens_is_not_waited_for_by_the_sdks_own_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are five minutes a try, and ten tries: a tick would wait as long."""
    asked: list[dict[str, Any]] = []

    class Credential(Token):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            asked.append(options)

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Credential)
    with azure_world() as world:
        clients = Clients(world.settings(), ca_file=str(world.rig.ca_file))
        assert listed(clients, world.settings(), world.cluster, "") == {}
    assert asked == [{"connection_timeout": 5.0, "read_timeout": 10.0, "retry_total": 2}]
