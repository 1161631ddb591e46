"""What goes wrong on Google Cloud, and what the provider makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from costplan.adapters.gcp.clients import Clients, sdk
from costplan.adapters.gcp.provider import GcpProvider
from costplan.planner.errors import (
    CredentialsRejected,
    OutcomeUnknown,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import MachineState
from costplan.planner.types import Market
from tests.conformance.gcp_lives import LIST, OPERATIONS, WAIT, ended, let_go, state_of, world
from tests.emulators.gcp.faults import Fault
from tests.emulators.gcp.world import INSERT, SETTINGS, GcpWorld, anonymous, key, request, startup

__all__ = ["world"]


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
