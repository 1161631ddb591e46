"""Azure virtual machines behind the provider port."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.errors import calling, is_absent
from costplan.adapters.azure.launching import Launching, Startup, UnderWay
from costplan.adapters.azure.machines import (
    Reading,
    listed,
    machine_gone,
    machine_of,
)
from costplan.adapters.azure.names import (
    LONGEST_TAG,
    cluster_mark,
    is_ours,
    name_for,
    token_of,
)
from costplan.adapters.azure.offers import offers
from costplan.adapters.azure.past import (
    ENDED_WITHIN,
    Past,
    changes_of,
    created,
    read_past,
    was_refused,
)
from costplan.adapters.azure.settings import PROVIDER, AzureSettings
from costplan.planner.errors import (
    CredentialsRejected,
    InputError,
    ProviderError,
    RequestRejected,
)
from costplan.planner.nodes import LaunchRequest, Notice, ProviderNode
from costplan.planner.types import Offer

_OVERDUE = timedelta(minutes=5)
"""A machine that is there so long after it was to be taken is not taken after all."""


class AzureProvider:
    """The provider port over the machines of one cluster in one resource group.

    Thread-safe as the SDK's client is. It remembers what the machines are that it has seen, since
    of one that is gone Azure only says that; what it has not seen it looks up in the log once.
    `past` reads what is known of machines besides their list; several verbs need it, so it may be
    remembered for some seconds outside.
    """

    name = PROVIDER

    def __init__(
        self,
        clients: Clients,
        settings: AzureSettings,
        cluster: str,
        startup: Startup,
        clock: Callable[[], datetime],
        past: Callable[[], Past] | None = None,
    ) -> None:
        if len(cluster) > LONGEST_TAG:
            raise InputError("cluster", f"{cluster!r} is too long for a tag", "shorten it")
        self._clients, self._settings, self._cluster = clients, settings, cluster
        self._startup, self._clock = startup, clock
        self._mark = cluster_mark(cluster)
        self._under_way = UnderWay()
        self._lock = Lock()
        self._seen: dict[str, Mapping[str, Any] | None] = {}
        self._past = past or (lambda: read_past(clients, settings, clock()))

    def offers(self) -> Sequence[Offer]:
        """All that the zones sell of architectures that there is an image for."""
        with self._credentials():
            return offers(self._clients, self._settings)

    def nodes(self) -> Sequence[ProviderNode]:
        """Every machine of the cluster whose launch is decided, those that ended within the last
        hour as far as Azure's log has them, and those that are switched off: they are paid for,
        or their disks are, until they are terminated."""
        with self._credentials():
            with self._under_way.listing() as hidden:
                there = self._listed()
            past, reading = self._past(), self._reading()
            gone = self._ended_lately(past, reading) - set(there) - hidden
            known = self._known(there, gone, past)
        found = [
            machine_of(name, machine, past, reading)
            for name, machine in there.items()
            if name not in hidden
        ]
        ended = (machine_gone(name, one, past, reading) for name, one in known.items())
        found += [one for one in ended if one is not None]
        return tuple(sorted(found, key=lambda one: one.provider_id))

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """The machine of this request, accepted, or begun and not refused within a while."""
        if request.cluster != self._cluster:
            code = f"it is for the cluster {request.cluster!r}"
            raise RequestRejected(PROVIDER, "launch", request.node_id, code)
        one = Launching(self._clients, self._settings, request, self._startup, self._clock)
        name = name_for(request.cluster, request.token)
        with self._credentials(), self._under_way.launching(name):
            return one.machine()

    def terminate(self, provider_ids: Collection[str]) -> None:
        """Deletes these machines with their disks and interfaces; ids that name none of ours are
        left alone."""
        with self._credentials():
            for name in sorted({one.lower() for one in provider_ids}):
                if token_of(name, self._mark) is not None:
                    self._terminate(name)

    def notices(self) -> Sequence[Notice]:
        """Preemptions of machines that are still there, as Resource Health notes them. Azure warns
        on the machine, by Scheduled Events, and nobody says that this is as soon."""
        with self._credentials():
            past, now = self._past(), self._clock()
        found = [
            Notice(
                provider_id=name,
                kind="reclaim",
                effective_at=at + timedelta(seconds=self._settings.notice_seconds),
                observed_at=at,
            )
            for name, at in past.preempted.items()
            if name in past.power and token_of(name, self._mark) is not None and now - at < _OVERDUE
        ]
        return tuple(sorted(found, key=lambda one: (one.effective_at, one.provider_id)))

    def _listed(self) -> Mapping[str, Any]:
        return listed(self._clients, self._settings, self._cluster, self._mark)

    def _ended_lately(self, past: Past, reading: Reading) -> set[str]:
        """Names of machines of ours that something is known to have been done to lately."""
        taken = {n for n, at in past.preempted.items() if reading.now - at < ENDED_WITHIN}
        return {name for name in {*past.changes, *taken} if token_of(name, self._mark) is not None}

    def _known(
        self, there: Mapping[str, Any], gone: Collection[str], past: Past
    ) -> Mapping[str, Any]:
        """What the machines that are gone were, as far as it can be known."""
        with self._lock:
            seen = {name: self._seen.get(name) for name in gone if name in self._seen}
        for name in gone:
            changes = past.changes.get(name, ())
            if was_refused(changes):
                seen[name] = None
            elif seen.get(name) is None and (made := created(changes)) is not None:
                seen[name] = made
            elif name not in seen:
                now = self._clock()
                seen[name] = created(changes_of(self._clients, self._settings, name, now))
        with self._lock:
            self._seen = {**seen, **there}
        return {name: one for name, one in seen.items() if one is not None}

    def _terminate(self, name: str) -> None:
        machine = self._machine(name)
        if machine is None or not is_ours(machine, self._cluster):
            return
        try:
            with calling("terminate", name, token=name):
                self._clients.compute.virtual_machines.begin_delete(
                    self._settings.resource_group, name, polling=False
                )
        except ProviderError as error:
            if not is_absent(error):
                raise

    def _machine(self, name: str) -> Mapping[str, Any] | None:
        """The machine of a name, None where there is none."""
        try:
            with calling("terminate", name):
                found: Mapping[str, Any] = self._clients.compute.virtual_machines.get(
                    self._settings.resource_group, name
                )
                return found
        except ProviderError as error:
            if is_absent(error):
                return None
            raise

    def _reading(self) -> Reading:
        return Reading(now=self._clock(), notice_seconds=self._settings.notice_seconds)

    @contextmanager
    def _credentials(self) -> Iterator[None]:
        """Has credentials looked for anew after they were refused."""
        try:
            yield
        except CredentialsRejected:
            self._clients.forget()
            raise
