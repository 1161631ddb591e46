"""Compute Engine behind the provider port."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from costplan.adapters.gcp import operations
from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import NAME, calling, is_not_found
from costplan.adapters.gcp.launching import Launching
from costplan.adapters.gcp.machines import Reading, all_machines, is_ours, is_stopped, listed
from costplan.adapters.gcp.names import (
    Place,
    cluster_mark,
    label_text,
    label_value,
    place_of_id,
    request_id,
)
from costplan.adapters.gcp.offers import offers
from costplan.adapters.gcp.settings import GcpSettings
from costplan.planner.errors import InputError, ProviderError, RequestRejected
from costplan.planner.nodes import LaunchRequest, Notice, ProviderNode
from costplan.planner.types import Offer, OfferKey

ENDED_WITHIN = timedelta(hours=1)
"""Machines that ended longer ago are listed no more. Clocks may differ by a good part of it."""

Startup = Callable[[LaunchRequest, OfferKey], str]
"""The script that a machine of a request boots with, where it is bought as an offer."""


class GcpProvider:
    """The provider port over the machines of one cluster in one project.

    Thread-safe as the SDK's clients are. Nothing is kept: what there is, Google knows.
    """

    name = NAME

    def __init__(
        self,
        clients: Clients,
        settings: GcpSettings,
        cluster: str,
        startup: Startup,
        clock: Callable[[], datetime],
    ) -> None:
        if label_text(label_value(cluster)) != cluster:
            raise InputError("cluster", f"{cluster!r} is too long for a label", "shorten it")
        self._clients, self._settings, self._cluster = clients, settings, cluster
        self._startup, self._clock = startup, clock
        self._mark = cluster_mark(cluster)

    def offers(self) -> Sequence[Offer]:
        """All that the zones sell and a machine's name has room for."""
        return offers(self._clients, self._settings)

    def nodes(self) -> Sequence[ProviderNode]:
        """Every machine of the cluster, those that ended within the last hour too, and those that
        are stopped: their disks are paid for until they are terminated."""
        project = self._settings.project
        there = listed(self._clients, project, self._cluster)
        since = self._clock() - ENDED_WITHIN
        done = operations.since(self._clients, project, self._cluster, since)
        return all_machines(there, done, self._reading())

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """The machine of this request, accepted, or begun and not refused within a while."""
        if request.cluster != self._cluster:
            code = f"it is for the cluster {request.cluster!r}"
            raise RequestRejected(NAME, "launch", request.node_id, code)
        reading = self._reading()
        return Launching(self._clients, self._settings, request, self._startup, reading).machine()

    def terminate(self, provider_ids: Collection[str]) -> None:
        """Deletes these machines with their disks; ids that name none of ours are left alone."""
        for provider_id in sorted(set(provider_ids)):
            place = place_of_id(provider_id, self._mark)
            if place is not None:
                self._terminate(place)

    def notices(self) -> Sequence[Notice]:
        """Preemptions of machines that are still there."""
        project, since = self._settings.project, self._clock() - ENDED_WITHIN
        found = []
        for one in operations.since(
            self._clients, project, self._cluster, since, kind=operations.PREEMPTED
        ):
            instance = self._instance(one.place, "notices")
            if instance is None or is_stopped(instance):
                continue
            if is_ours(instance, self._cluster):
                found.append(
                    Notice(
                        provider_id=one.place.provider_id,
                        kind="reclaim",
                        effective_at=one.inserted_at + timedelta(seconds=self._notice_seconds),
                        observed_at=one.inserted_at,
                    )
                )
        return tuple(sorted(found, key=lambda one: (one.effective_at, one.provider_id)))

    @property
    def _notice_seconds(self) -> float:
        return self._settings.stop_seconds + self._settings.preemption_notice_seconds

    def _reading(self) -> Reading:
        return Reading(
            now=self._clock(),
            stop_seconds=self._notice_seconds,
            settle_seconds=self._settings.settle_seconds,
        )

    def _terminate(self, place: Place) -> None:
        instance = self._instance(place, "terminate")
        if instance is None or not is_ours(instance, self._cluster):
            return
        asked = self._clients.compute.DeleteInstanceRequest(
            project=self._settings.project,
            zone=place.zone,
            instance=place.name,
            request_id=request_id("delete", place.provider_id, str(instance.id)),
        )
        try:
            with calling("terminate", place.provider_id, token=place.provider_id):
                self._clients.call(self._clients.instances.delete_unary, asked)
        except ProviderError as error:
            if error.__cause__ is None or not is_not_found(error.__cause__):
                raise

    def _instance(self, place: Place, operation: str) -> Any:
        """The instance at a place, None where there is none."""
        asked = self._clients.compute.GetInstanceRequest(
            project=self._settings.project, zone=place.zone, instance=place.name
        )
        try:
            with calling(operation, place.provider_id):
                return self._clients.call(self._clients.instances.get, asked)
        except ProviderError as error:
            if error.__cause__ is None or not is_not_found(error.__cause__):
                raise
            return None
