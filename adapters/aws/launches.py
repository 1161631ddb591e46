"""One machine for a request: which calls are made, in which order, and when to stop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import RejectedByCode, mapped
from costplan.adapters.aws.fleet import launch_one
from costplan.adapters.aws.machines import REQUEST_TAG, TOKEN_TAG, listed, of_cluster, tags_of
from costplan.adapters.aws.requests import (
    Group,
    Startup,
    groups_of,
    request_digest,
    run_parameters,
)
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.errors import (
    CapacityUnavailable,
    OutcomeUnknown,
    ProviderError,
    QuotaExceeded,
    RequestRejected,
)
from costplan.planner.nodes import LaunchRequest, MachineState, ProviderNode

_USED_TOKEN = frozenset({"IdempotentInstanceTerminated", "IdempotentParameterMismatch"})
"""EC2 has launched something under this token: ours, or for another request."""

AsNode = Callable[[Any], ProviderNode]


class Launcher:
    """Launches for one cluster. It remembers at which call a request's answer was lost, so that
    the same call, and none before it, is sent again."""

    def __init__(
        self, clients: Clients, settings: AwsSettings, startup: Startup, as_node: AsNode
    ) -> None:
        self._clients, self._settings, self._startup = clients, settings, startup
        self._as_node = as_node
        self._lock = Lock()
        self._unclear: dict[str, int] = {}

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """The machine of a request; see `planner/ports.py`."""
        if request.cluster != self._settings.cluster:
            problem = f"it is for the cluster {request.cluster!r}"
            raise RequestRejected(PROVIDER, "launch", request.node_id, problem)
        groups = groups_of(self._settings, request, self._startup)
        with self._lock:
            begun = self._unclear.get(request.token, 0)
        if len(request.keys) > 1:
            # An earlier offer may have room again: whether a later one was launched is asked
            # first. One offer needs no look, its client token does that.
            known = self._known(request)
            if known is not None:
                return known
        try:
            return self._first_that_can_be_had(request, groups[begun:])
        except (CapacityUnavailable, QuotaExceeded, RequestRejected):
            self._forget(request)
            raise

    def _first_that_can_be_had(self, request: LaunchRequest, groups: list[Group]) -> ProviderNode:
        for group in groups:
            try:
                node = self._launch_group(request, group)
            except CapacityUnavailable:
                continue
            except OutcomeUnknown:
                with self._lock:
                    self._unclear[request.token] = group.number
                raise
            self._forget(request)
            return node
        subject = ", ".join(str(key) for key in request.keys)
        raise CapacityUnavailable(PROVIDER, "launch", subject)

    def _forget(self, request: LaunchRequest) -> None:
        with self._lock:
            self._unclear.pop(request.token, None)

    def _launch_group(self, request: LaunchRequest, group: Group) -> ProviderNode:
        try:
            if len(group.keys) == 1:
                return self._run(request, group)
            return self._fleet(request, group)
        except RejectedByCode as error:
            known = self._known(request) if error.code in _USED_TOKEN else None
            if known is None:
                raise
            return known

    def _run(self, request: LaunchRequest, group: Group) -> ProviderNode:
        parameters = run_parameters(self._settings, request, group)
        with mapped("launch", request.node_id, request.token):
            answer = self._clients.changing("ec2").run_instances(**parameters)
        return self._as_node(answer["Instances"][0])

    def _fleet(self, request: LaunchRequest, group: Group) -> ProviderNode:
        instance_id, key = launch_one(self._clients, self._settings, request, group)
        filters = of_cluster(self._settings, ("instance-id", (instance_id,)))
        # A fleet's answer has no launch time. Where the list cannot be had or is not so far yet,
        # the machine is there all the same, and its token will find it.
        with suppress(ProviderError), mapped("launch", request.node_id):
            for instance in listed(self._clients.reading("ec2"), filters):
                return self._as_node(instance)
        raise OutcomeUnknown(PROVIDER, "launch", f"{instance_id} as {key}", request.token)

    def _known(self, request: LaunchRequest) -> ProviderNode | None:
        """The machine that a request has led to; raises RequestRejected where the token was
        used for another request. One that lives comes before one that has ended."""
        filters = of_cluster(self._settings, (f"tag:{TOKEN_TAG}", (request.token,)))
        with mapped("launch", request.node_id):
            found = list(listed(self._clients.reading("ec2"), filters))
        if not found:
            return None
        if any(tags_of(one).get(REQUEST_TAG) != request_digest(request) for one in found):
            problem = "the token was used for another request"
            raise RequestRejected(PROVIDER, "launch", request.node_id, problem)
        nodes = [self._as_node(one) for one in found]
        living = [node for node in nodes if node.state is not MachineState.ENDED]
        return min(living or nodes, key=lambda node: (node.launched_at, node.provider_id))
