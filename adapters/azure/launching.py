"""One launch: found again by its name, begun, and waited for a little.

Azure answers a creation at once and says later, on the machine, that there is no place for it. So
a launch looks for `settle_seconds` whether that happens before it says that it was accepted; what
a refusal leaves is deleted, and the next offer is tried under the same name. After a crash there
is nothing to remember: the name says whether there is a machine, and its tags for which request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from threading import Condition
from typing import Any

from costplan.adapters.azure.body import machine_body
from costplan.adapters.azure.clients import Clients, sdk
from costplan.adapters.azure.errors import (
    calling,
    is_absent,
    is_there_already,
    refusal,
)
from costplan.adapters.azure.machines import (
    CREATING,
    NOTHING,
    Reading,
    failure_of,
    is_failed,
    machine_gone,
    machine_of,
    power_of,
    state_of,
)
from costplan.adapters.azure.names import (
    LONGEST_TAG,
    REQUEST_TAG,
    SOLD,
    architecture,
    is_ours,
    is_size,
    is_token,
    key_of,
    name_for,
    request_digest,
)
from costplan.adapters.azure.past import Past, changes_of, created, preempted
from costplan.adapters.azure.settings import PROVIDER, AzureSettings
from costplan.planner.errors import (
    CapacityUnavailable,
    InputError,
    OutcomeUnknown,
    ProviderError,
    RequestRejected,
)
from costplan.planner.nodes import LaunchRequest, ProviderNode
from costplan.planner.types import OfferKey

Startup = Callable[[LaunchRequest, OfferKey], str]
"""The script that a machine of a request boots with, where it is bought as an offer."""

MOST_CUSTOM_DATA_BYTES = 65_535
"""https://learn.microsoft.com/azure/virtual-machines/custom-data, before base64."""


class UnderWay:
    """The names that are being launched now.

    A name may stand for a machine of an offer that is refused in the end, and then for one of
    another offer. So one launch of a name goes on at a time, and nobody is shown its machine
    before it is decided which one that is.
    """

    def __init__(self) -> None:
        self._change = Condition()
        self._names: set[str] = set()
        self._lists: list[set[str]] = []

    @contextmanager
    def launching(self, name: str) -> Iterator[None]:
        """Waits until nobody else launches this name."""
        with self._change:
            while name in self._names:
                self._change.wait()
            self._names.add(name)
            for hidden in self._lists:
                hidden.add(name)
        try:
            yield
        finally:
            with self._change:
                self._names.remove(name)
                self._change.notify_all()

    @contextmanager
    def listing(self) -> Iterator[set[str]]:
        """The names that were being launched at any time during the block."""
        with self._change:
            hidden = set(self._names)
            self._lists.append(hidden)
        try:
            yield hidden
        finally:
            with self._change:
                self._lists = [one for one in self._lists if one is not hidden]


class Launching:
    """One request on its way."""

    def __init__(
        self,
        clients: Clients,
        settings: AzureSettings,
        request: LaunchRequest,
        startup: Startup,
        clock: Callable[[], datetime],
    ) -> None:
        self._clients, self._settings, self._request = clients, settings, request
        self._clock = clock
        self._check()
        self._name = name_for(request.cluster, request.token)
        self._bodies = {key: self._body(key, startup) for key in request.keys}

    def machine(self) -> ProviderNode:
        """The machine of the request: that of an earlier attempt, or of the first offer that is
        to be had."""
        keys = list(self._request.keys)
        there = self._looked_at()
        if there is None:
            gone = self._gone()
            if gone is not None:
                return gone
        else:
            found = self._settled(there)
            if found is not None:
                return found
            refused = key_of(there)
            keys = keys[keys.index(refused) + 1 :] if refused in keys else keys
        for key in keys:
            found = self._tried(key)
            if found is not None:
                return found
        subject = ", ".join(str(key) for key in self._request.keys)
        raise CapacityUnavailable(PROVIDER, "launch", subject)

    def _tried(self, key: OfferKey) -> ProviderNode | None:
        """The machine of an offer, None where there is no capacity for it."""
        try:
            with calling("launch", str(key), token=self._request.token):
                made = self._clients.compute.virtual_machines.begin_create_or_update(
                    self._settings.resource_group,
                    self._name,
                    self._bodies[key],
                    match_condition=sdk("azure.core").MatchConditions.IfMissing,
                    polling=False,
                ).result()
        except CapacityUnavailable:
            return None
        except RequestRejected as error:
            # It may be there already, and it is no change of it that is wanted.
            made = self._looked_at_again()
            if made is None and is_there_already(error):
                raise self._unknown() from error
            if made is None:
                raise
        return self._settled(made)

    def _settled(self, machine: Mapping[str, Any]) -> ProviderNode | None:
        """The machine once it can be taken for one, None where it was refused for want of
        capacity and nothing is left of it; raises what else it was refused for."""
        if not is_ours(machine, self._request.cluster):
            raise self._rejected(f"{self._name} is there and not of this cluster")
        if machine["tags"].get(REQUEST_TAG) != request_digest(self._request):
            raise self._rejected("the token was used for another request")
        until = time.monotonic() + self._settings.settle_seconds
        while state_of(machine) == CREATING and time.monotonic() < until:
            time.sleep(self._settings.poll_seconds)
            latest = self._looked_at_again()
            if latest is None:
                gone = self._gone()
                if gone is None:
                    raise self._unknown()
                return gone
            machine = latest
        if not is_failed(machine, power_of(machine)):
            return machine_of(self._name, machine, NOTHING, self._reading())
        error = refusal(*failure_of(machine), str(key_of(machine)))
        self._clean_up()
        if isinstance(error, CapacityUnavailable):
            return None
        raise error

    def _clean_up(self) -> None:
        """Deletes the machine that failed, with its disk and interface, and waits until its name is
        free; what cannot be cleaned up now is when the request is sent again."""
        try:
            with calling("launch", self._name):
                self._clients.compute.virtual_machines.begin_delete(
                    self._settings.resource_group, self._name, polling=False
                )
        except ProviderError as error:
            if not is_absent(error):
                raise self._unknown() from error
        until = time.monotonic() + self._settings.cleanup_seconds
        while self._looked_at_again() is not None:
            if time.monotonic() > until:
                raise self._unknown()
            time.sleep(self._settings.poll_seconds)

    def _looked_at_again(self) -> Mapping[str, Any] | None:
        """The machine of the name; what cannot be asked is not known."""
        try:
            return self._looked_at()
        except ProviderError as error:
            raise self._unknown() from error

    def _looked_at(self) -> Mapping[str, Any] | None:
        """The machine of the name with its view, None where there is none."""
        try:
            with calling("launch", self._name):
                found: Mapping[str, Any] = self._clients.compute.virtual_machines.get(
                    self._settings.resource_group, self._name, expand="instanceView"
                )
                return found
        except ProviderError as error:
            if is_absent(error):
                return None
            raise

    def _gone(self) -> ProviderNode | None:
        """The machine that the token led to and that is no more, None where there was none."""
        reading = self._reading()
        changes = changes_of(self._clients, self._settings, self._name, reading.now)
        machine = created(changes)
        if machine is None:
            return None
        taken = preempted(self._clients, self._settings)
        past = Past(changes={self._name: changes}, preempted=taken, power={})
        return machine_gone(self._name, machine, past, reading)

    def _reading(self) -> Reading:
        return Reading(now=self._clock(), notice_seconds=self._settings.notice_seconds)

    def _body(self, key: OfferKey, startup: Startup) -> dict[str, Any]:
        try:
            text = startup(self._request, key)
        except InputError as error:
            raise self._rejected(str(error)) from error
        if len(text.encode()) > MOST_CUSTOM_DATA_BYTES:
            raise self._rejected(f"the start script of {key} is above 64 KiB")
        return machine_body(self._settings, self._request, key, text)

    def _check(self) -> None:
        """Refuses what cannot be launched before anything is sent."""
        request, settings = self._request, self._settings
        if not is_token(request.token):
            raise self._rejected("a token is 1 to 32 small letters, digits and single hyphens")
        if len(request.node_id) > LONGEST_TAG:
            raise self._rejected(f"the node id {request.node_id!r} is too long for a tag")
        for key in request.keys:
            if key.provider != PROVIDER or key.zone not in settings.zones:
                raise self._rejected(f"{key} is in none of the zones {', '.join(settings.zones)}")
            if key.market not in SOLD or not is_size(key.instance_type):
                raise self._rejected(f"{key} cannot be bought machine by machine")
            if not request.image_ref and architecture(key.instance_type) not in settings.images:
                raise self._rejected(f"there is no image for the architecture of {key}")

    def _rejected(self, code: str) -> RequestRejected:
        return RequestRejected(PROVIDER, "launch", self._request.node_id, code)

    def _unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown(PROVIDER, "launch", self._request.node_id, self._request.token)
