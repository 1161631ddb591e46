"""EC2 through the port: the five verbs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import RejectedByCode, mapped
from costplan.adapters.aws.launches import Launcher
from costplan.adapters.aws.machines import is_instance_id, listed, node_of, of_cluster
from costplan.adapters.aws.notices import notices
from costplan.adapters.aws.offers import offers
from costplan.adapters.aws.requests import Startup
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.errors import CredentialsRejected, Unreachable
from costplan.planner.nodes import LaunchRequest, MachineState, Notice, ProviderNode
from costplan.planner.types import Offer

_LAG = timedelta(seconds=60)
"""So long a machine that was launched may be missing from EC2's lists, which are consistent
only in the end."""

_TERMINATE_BATCH = 500
_NO_SUCH = "InvalidInstanceID.NotFound"


class AwsProvider:
    """The provider port over the instances of one cluster in a region.

    It remembers what it has launched until EC2 lists it, since a list may be behind a launch.
    """

    name = PROVIDER

    def __init__(
        self,
        settings: AwsSettings,
        startup: Startup,
        clock: Callable[[], datetime],
        clients: Clients | None = None,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._clients = clients or Clients(settings)
        self._launcher = Launcher(self._clients, settings, startup, self._node)
        self._lock, self._noticing = Lock(), Lock()
        self._accepted: dict[str, tuple[ProviderNode, datetime]] = {}
        self._seen_ended: dict[str, datetime] = {}

    def offers(self) -> Sequence[Offer]:
        """Every type and market in the configured zones."""
        with self._credentials():
            return offers(self._clients, self._settings)

    def nodes(self) -> Sequence[ProviderNode]:
        """Every instance of the cluster, those that EC2 has not yet forgotten included."""
        began = self._clock()
        with self._credentials(), mapped("nodes", "all"):
            found = [
                self._node(instance)
                for instance in listed(self._clients.reading("ec2"), of_cluster(self._settings))
            ]
        return (*found, *self._not_listed_yet({node.provider_id for node in found}, began))

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """The machine of this request, as EC2 has accepted it."""
        with self._credentials():
            node = self._launcher.launch(request)
        if node.state is not MachineState.ENDED:
            with self._lock:
                self._accepted[node.provider_id] = (node, self._clock())
        return node

    def terminate(self, provider_ids: Collection[str]) -> None:
        """Ends those of these instances that carry the cluster's tag."""
        wanted = sorted({one for one in provider_ids if is_instance_id(one)})
        with self._credentials():
            for start in range(0, max(len(wanted), 1), _TERMINATE_BATCH):
                self._terminate(wanted[start : start + _TERMINATE_BATCH])

    def notices(self) -> Sequence[Notice]:
        """Warnings to machines that still live. Who asks while another does waits for it, since
        what the other took out of the queue is not written on the machine yet."""
        with self._noticing, self._credentials():
            return notices(self._clients, self._settings)

    def _terminate(self, batch: Sequence[str]) -> None:
        if not batch:
            return
        filters = of_cluster(self._settings, ("instance-id", batch))
        with mapped("terminate", batch[0]):
            ours = {one["InstanceId"] for one in listed(self._clients.reading("ec2"), filters)}
        with self._lock:
            ours |= {one for one in batch if one in self._accepted}
        if not ours:
            return
        token = ",".join(sorted(ours))[:64]
        try:
            with mapped("terminate", min(ours), token):
                self._clients.changing("ec2").terminate_instances(InstanceIds=sorted(ours))
        except RejectedByCode as error:
            if error.code != _NO_SUCH:
                raise
            # One of them is not known yet, or not any more, and so none was ended. What is
            # forgotten is not listed the next time.
            raise Unreachable(PROVIDER, "terminate", min(ours), str(error)) from error

    def _node(self, instance: Any) -> ProviderNode:
        now, instance_id = self._clock(), instance["InstanceId"]
        with self._lock:
            seen = now
            if instance["State"]["Name"] == "terminated":
                seen = self._seen_ended.setdefault(instance_id, now)
        return node_of(instance, self._settings.region, seen)

    def _not_listed_yet(self, there: Collection[str], began: datetime) -> list[ProviderNode]:
        """Machines launched before the list was asked for that it does not have; what it has
        once is not remembered any more."""
        with self._lock:
            missing = {
                one: (node, at)
                for one, (node, at) in self._accepted.items()
                if one not in there and self._clock() - at < _LAG
            }
            self._accepted = missing
            return [node for node, at in missing.values() if at <= began]

    @contextmanager
    def _credentials(self) -> Iterator[None]:
        """Has credentials read anew after they were refused."""
        try:
            yield
        except CredentialsRejected:
            self._clients.forget()
            raise
