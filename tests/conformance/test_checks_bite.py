"""A provider that breaks its contract is found out: every check fails somebody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from costplan.adapters import conformance
from costplan.planner.errors import (
    CapacityUnavailable,
    OutcomeUnknown,
    ProviderError,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import LaunchRequest, MachineState, Notice, ProviderNode, WorkerSpec
from costplan.planner.types import Market, Offer, OfferKey, Resources

START = datetime(2026, 11, 1, tzinfo=UTC)


def _key(name: str) -> OfferKey:
    return OfferKey(
        provider="toy", region="r", zone="", instance_type=name, market=Market.ON_DEMAND
    )


FIRST, SECOND, SOLD_OUT, LOSING, THROTTLING = map(
    _key, ("first", "second", "sold-out", "losing", "throttling")
)


class Toy:
    """A cloud in a dictionary, which keeps the contract; a fault by name makes it break that."""

    cluster = "ours"
    keys = (FIRST, SECOND)

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.clock, self.lock = START, threading.Lock()
        self.machines: dict[str, tuple[LaunchRequest, ProviderNode]] = {}
        self.told: dict[str, Notice] = {}
        self.reclaimed: dict[str, datetime] = {}
        self.due = {LOSING: "lost", THROTTLING: "throttled"}

    def make_provider(self) -> ToyProvider:
        return ToyProvider(self, self.cluster)

    def make_unreachable(self) -> ToyProvider:
        return ToyProvider(self, self.cluster, unreachable=self.fault != "an empty answer")

    def make_stranger(self) -> tuple[ToyProvider, str]:
        return ToyProvider(self, "theirs"), "theirs"

    def workers(self, node_id: str) -> tuple[WorkerSpec, ...]:  # noqa: ARG002
        return ()

    def now(self) -> datetime:
        return self.clock

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(20):
            if condition():
                return
            self.clock += timedelta(seconds=1)
            self._go_on()
        raise conformance.ContractBroken(f"never: {what}")

    def sold_out(self) -> OfferKey:
        return SOLD_OUT

    def losing_answer(self) -> OfferKey:
        return LOSING

    def throttling(self) -> OfferKey:
        return THROTTLING

    def reclaim(self, provider_id: str, notice_seconds: float | None) -> None:
        at = self.clock + timedelta(seconds=notice_seconds or 0)
        self.reclaimed[provider_id] = at
        if notice_seconds is not None and self.fault != "no warning":
            self.told[provider_id] = Notice(
                provider_id=provider_id,
                kind="reclaim",
                effective_at=at,
                observed_at=self.clock,
            )

    def break_down(self, provider_id: str) -> None:
        if self.fault == "a death unseen":
            return
        self.end(provider_id, "failed")
        request, node = self.machines[provider_id]
        self.machines[provider_id] = (request, replace(node, remains=True))

    def end(self, provider_id: str, cause: str) -> None:
        request, node = self.machines[provider_id]
        if node.state is not MachineState.ENDED:
            ended = replace(node, state=MachineState.ENDED, ended_at=self.clock, end_cause=cause)
            self.machines[provider_id] = (request, ended)
            if self.fault != "warned for ever":
                self.told.pop(provider_id, None)

    def _go_on(self) -> None:
        for provider_id, (request, node) in list(self.machines.items()):
            if self.reclaimed.get(provider_id, self.clock + timedelta(1)) <= self.clock:
                self.end(provider_id, "failed" if self.fault == "a wrong cause" else "reclaimed")
            elif node.state is MachineState.STOPPING and self.fault != "no end":
                self.end(provider_id, "terminated")
            elif node.state is MachineState.PENDING:
                moves = self.fault == "billing moves"
                began = self.clock if moves else node.launched_at
                running = replace(node, state=MachineState.RUNNING, launched_at=began)
                self.machines[provider_id] = (request, running)


class ToyProvider:
    """The provider port over a toy cloud."""

    name = "toy"

    def __init__(self, toy: Toy, cluster: str, *, unreachable: bool = False) -> None:
        self._toy, self._cluster, self._unreachable = toy, cluster, unreachable

    def _answer(self, operation: str) -> None:
        if self._unreachable:
            raise Unreachable(self.name, operation, "all")

    def offers(self) -> Sequence[Offer]:
        self._answer("offers")
        size = Resources(vcpu_milli=1000, memory_bytes=2**30)
        sold = [FIRST, SECOND, LOSING, THROTTLING]
        left_out = self._toy.fault == "sold out is left out"
        return [
            *(Offer(key=key, resources=size, arch="x86_64") for key in sold),
            *(
                Offer(key=key, resources=size, arch="x86_64", available=False)
                for key in ([] if left_out else [SOLD_OUT])
            ),
        ]

    def nodes(self) -> Sequence[ProviderNode]:
        self._answer("nodes")
        toy = self._toy
        found = [
            node
            for request, node in list(toy.machines.values())
            if request.cluster == self._cluster or toy.fault == "strangers are listed"
        ]
        match toy.fault:
            case "half a list":
                return found[:-1] if len(found) > 1 else found
            case "the ended are forgotten":
                return [node for node in found if node.state is not MachineState.ENDED]
            case "names are lost":
                return [replace(node, node_id=None) for node in found]
            case "reading ages":
                toy.clock += timedelta(seconds=1)
                return [replace(node, private_address=str(toy.clock)) for node in found]
        return found

    def launch(self, request: LaunchRequest) -> ProviderNode:
        self._answer("launch")
        with self._toy.lock:
            return self._launched(request)

    def _launched(self, request: LaunchRequest) -> ProviderNode:
        toy = self._toy
        provider_id = f"{request.cluster}-{request.token}"
        if toy.fault in ("a machine a call", "a machine a provider"):
            place = len(toy.machines) if toy.fault == "a machine a call" else id(self)
            provider_id += f"-{place}"
        if provider_id in toy.machines:
            before, node = toy.machines[provider_id]
            if before != request and toy.fault != "a token for everything":
                raise RequestRejected(self.name, "launch", request.node_id, "token")
            if node.state is not MachineState.ENDED or toy.fault != "the dead rise":
                return node
        sold = {offer.key for offer in self.offers()} | {SOLD_OUT}
        for key in request.keys:
            if key not in sold:
                if toy.fault == "the unknown is sold out":
                    break
                raise RequestRejected(self.name, "launch", request.node_id, "unknown offer")
            if key == SOLD_OUT:
                if toy.fault == "only the first offer":
                    break
                continue
            return self._started(request, key, provider_id)
        if toy.fault == "no word of capacity":
            raise RequestRejected(self.name, "launch", request.node_id, "capacity")
        raise CapacityUnavailable(self.name, "launch", request.node_id)

    def _started(self, request: LaunchRequest, key: OfferKey, provider_id: str) -> ProviderNode:
        toy = self._toy
        due = toy.due.pop(key, "")
        if due == "lost" and toy.fault == "on after no answer":
            key = FIRST
        node = ProviderNode(
            provider_id=provider_id,
            key=key,
            state=MachineState.PENDING,
            launched_at=toy.clock + timedelta(days=toy.fault == "billed from tomorrow"),
            node_id=request.node_id,
            token=request.token,
        )
        if due == "throttled" and toy.fault != "throttled and started":
            raise Throttled(self.name, "launch", request.node_id)
        toy.machines[provider_id] = (request, node)
        if due == "throttled":
            raise Throttled(self.name, "launch", request.node_id)
        if due == "lost":
            raise OutcomeUnknown(self.name, "launch", request.node_id, request.token)
        return node

    def terminate(self, provider_ids: Collection[str]) -> None:
        self._answer("terminate")
        toy = self._toy
        for provider_id in self._meant(provider_ids):
            request, node = toy.machines[provider_id]
            if toy.fault == "booting cannot end" and node.state is MachineState.PENDING:
                continue
            if node.state is not MachineState.ENDED:
                stopping = replace(node, state=MachineState.STOPPING)
                toy.machines[provider_id] = (request, stopping)
            elif toy.fault == "another end":
                ended = replace(node, ended_at=toy.clock + timedelta(seconds=1))
                toy.machines[provider_id] = (request, ended)
            elif toy.fault != "remains for ever":
                toy.machines[provider_id] = (request, replace(node, remains=False))

    def _meant(self, provider_ids: Collection[str]) -> Iterable[str]:
        toy = self._toy
        if toy.fault == "all are ended" and provider_ids:
            return list(toy.machines)
        unknown = [one for one in provider_ids if one not in toy.machines]
        if unknown and toy.fault == "the unknown is an error":
            raise RequestRejected(self.name, "terminate", unknown[0], "unknown")
        return [
            one
            for one in provider_ids
            if one in toy.machines
            and (toy.machines[one][0].cluster == self._cluster or toy.fault == "strangers end")
        ]

    def notices(self) -> Sequence[Notice]:
        self._answer("notices")
        toy = self._toy
        return tuple(
            notice
            for provider_id, notice in sorted(toy.told.items())
            if toy.machines[provider_id][0].cluster == self._cluster
            or toy.fault == "strangers are warned of"
        )


def _broken(fault: str) -> set[str]:
    """Names of the checks that find a fault."""
    found = set()
    for check in conformance.CHECKS:
        try:
            check(Toy(fault))
        except (conformance.ContractBroken, ProviderError, ValueError):
            found.add(check.__name__)
    return found


def test_a_good_provider_passes_every_check() -> None:
    for check in conformance.CHECKS:
        check(Toy())


FAULTS = {
    "sold out is left out": "offers_are_all_that_is_sold",
    "billed from tomorrow": "a_launch_is_answered_before_the_boot",
    "billing moves": "a_machine_boots_and_stays",
    "a machine a provider": "the_same_request_gives_the_same_machine",
    "a machine a call": "the_same_request_at_once_gives_one_machine",
    "names are lost": "different_tokens_give_different_machines",
    "a token for everything": "a_token_is_for_one_request",
    "the unknown is sold out": "what_nobody_sells_is_rejected",
    "no word of capacity": "a_lack_of_capacity_is_said",
    "only the first offer": "the_next_offer_is_taken_after_a_refusal",
    "on after no answer": "an_unclear_answer_stops_the_launch",
    "throttled and started": "a_throttled_launch_can_be_sent_again",
    "the ended are forgotten": "a_terminated_machine_ends",
    "booting cannot end": "a_machine_that_boots_can_be_terminated",
    "the unknown is an error": "terminating_again_changes_nothing",
    "another end": "terminating_again_changes_nothing",
    "no end": "a_terminated_machine_ends",
    "all are ended": "only_what_was_named_is_terminated",
    "the dead rise": "an_ended_machine_is_not_launched_again",
    "strangers are listed": "other_clusters_are_not_touched",
    "strangers end": "other_clusters_are_not_touched",
    "strangers are warned of": "other_clusters_are_not_touched",
    "no warning": "a_notice_is_in_force_until_the_end",
    "warned for ever": "a_notice_is_in_force_until_the_end",
    "a wrong cause": "a_machine_may_be_reclaimed_without_notice",
    "a death unseen": "a_machine_that_breaks_down_is_seen",
    "remains for ever": "what_is_left_of_a_machine_can_be_ended",
    "an empty answer": "nothing_known_is_not_nothing_there",
    "reading ages": "reading_changes_nothing",
    "half a list": "all_verbs_may_be_called_at_once",
}


@pytest.mark.parametrize(("fault", "check"), FAULTS.items())
def test_a_fault_is_found_by_the_check_that_is_meant_for_it(fault: str, check: str) -> None:
    assert check in _broken(fault)


def test_every_check_finds_something() -> None:
    unproven = {check.__name__ for check in conformance.CHECKS} - set(FAULTS.values())
    assert unproven <= {"machines_outlive_the_provider"}
    assert "machines_outlive_the_provider" in _broken("half a list")
