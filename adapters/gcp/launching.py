"""One launch: found again by its operations, begun under an id, and waited for a little.

Google answers an insertion with an operation and says later, in that operation, that there is no
capacity. So a launch waits `settle_seconds` for such a word before it says that it was accepted,
and tries the next offer only after one. After a crash it does not begin anew: operations name
the machine, and carry the request id, which is derived from the whole request and the offer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from costplan.adapters.gcp.body import instance_body
from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import (
    NAME,
    NO_CAPACITY,
    calling,
    has_timed_out,
    is_not_found,
    refusal,
)
from costplan.adapters.gcp.gpus import architecture, hardware_of
from costplan.adapters.gcp.machines import (
    Reading,
    is_ours,
    machine_of,
    machine_of_operations,
    was_refused,
)
from costplan.adapters.gcp.names import (
    Place,
    cluster_mark,
    is_sellable,
    is_token,
    label_text,
    label_value,
    name_start,
    place_for,
    request_id,
)
from costplan.adapters.gcp.operations import Operation, of_token, operation_of
from costplan.adapters.gcp.settings import GcpSettings
from costplan.adapters.local.records import request_text
from costplan.planner.errors import (
    CapacityUnavailable,
    OutcomeUnknown,
    ProviderError,
    RequestRejected,
)
from costplan.planner.nodes import LaunchRequest, ProviderNode
from costplan.planner.types import OfferKey

_WITH_GPUS = ("a2-", "a3-", "a4-", "a4x-", "g2-", "g4-")
"""Families whose machines bring GPUs; they cannot be moved while they run."""


class Launching:
    """One request on its way. `startup` is the script that a machine boots with."""

    def __init__(
        self,
        clients: Clients,
        settings: GcpSettings,
        request: LaunchRequest,
        startup: Callable[[LaunchRequest, OfferKey], str],
        reading: Reading,
    ) -> None:
        self._clients, self._settings, self._request = clients, settings, request
        self._startup, self._reading = startup, reading
        self._text = request_text(request)

    def machine(self) -> ProviderNode:
        """The machine of the request: that of an earlier attempt, or of the first offer that is
        to be had."""
        self._check()
        done = self._known()
        inserts = [one for one in done if one.kind == "insert"]
        lives = [one for one in inserts if not was_refused(one, self._settings.settle_seconds)]
        if lives:
            found = self._settled(lives[-1], done)
            if found is not None:
                return found
            done = self._known()
        for key in self._request.keys:
            found = self._tried(key, done)
            if found is not None:
                return found
        subject = ", ".join(str(key) for key in self._request.keys)
        raise CapacityUnavailable(NAME, "launch", subject)

    def _tried(self, key: OfferKey, done: Sequence[Operation]) -> ProviderNode | None:
        """The machine of an offer, None where there is no capacity for it."""
        place = place_for(self._request.cluster, self._request.token, key)
        before = [one for one in done if one.place == place and one.failure is not None]
        if before:
            failure = before[-1].failure
            if failure is not None and failure.code in NO_CAPACITY:
                return None
            if failure is not None and not failure.may_pass:
                raise refusal(failure, str(key))
        try:
            operation = self._inserted(key, place, attempt=len(before))
        except CapacityUnavailable:
            return None
        if operation is None:
            return self._looked_up(place, [])
        return self._settled(operation, [operation])

    def _inserted(self, key: OfferKey, place: Place, attempt: int) -> Operation | None:
        """The operation that makes a machine; None where there is one of that name, which only
        this request can have made, longer ago than operations are kept."""
        clients, types = self._clients, self._clients.compute
        gpus = bool(hardware_of(key.instance_type).accelerator)
        gpus = gpus or key.instance_type.startswith(_WITH_GPUS)
        startup = self._startup(self._request, key)
        body = instance_body(clients, self._settings, self._request, place, startup, has_gpus=gpus)
        asked = types.InsertInstanceRequest(
            project=self._settings.project,
            zone=place.zone,
            instance_resource=body,
            request_id=self._id(key, attempt),
        )
        try:
            with calling("launch", str(key), token=self._request.token):
                found = clients.call(clients.instances.insert_unary, asked)
        except RequestRejected as error:
            if error.code.startswith("alreadyExists"):
                return None
            raise
        return operation_of(clients, found, cluster_mark(self._request.cluster))

    def _settled(self, operation: Operation, done: Sequence[Operation]) -> ProviderNode | None:
        """The machine of an insertion once it can be taken for one, None where it was refused for
        want of capacity; raises what else it was refused for."""
        latest = self._waited(operation) if operation.ended_at is None else operation
        if self._is_refusal(latest):
            return None
        rest = [one for one in done if one.name != latest.name]
        return self._looked_up(latest.place, [*rest, latest])

    def _waited(self, operation: Operation) -> Operation:
        """The operation after its end, or after `settle_seconds` without one.

        The server waits, and this process hangs up. What cannot be asked is not known.
        """
        clients, project = self._clients, self._settings.project
        asked = clients.compute.WaitZoneOperationRequest(
            project=project, zone=operation.place.zone, operation=operation.name
        )
        seconds = self._settings.settle_seconds
        try:
            with calling("launch", operation.place.provider_id):
                found = clients.call(clients.zone_operations.wait, asked, seconds)
        except ProviderError as error:
            if error.__cause__ is not None and has_timed_out(error.__cause__):
                return operation
            raise self._unknown() from error
        return operation_of(clients, found, cluster_mark(self._request.cluster)) or operation

    def _is_refusal(self, insert: Operation) -> bool:
        """True for an insertion that was refused for want of capacity; raises what else it was
        refused for, and is False for one that was not refused."""
        if not was_refused(insert, self._settings.settle_seconds):
            return False
        failure = insert.failure
        if failure is not None and failure.code not in NO_CAPACITY:
            raise refusal(failure, str(insert.place.key))
        return True

    def _looked_up(self, place: Place, done: Sequence[Operation]) -> ProviderNode | None:
        """The machine at a place, from its instance or from what was done to it; None where it
        was refused after all. What cannot be asked is not known."""
        clients = self._clients
        asked = clients.compute.GetInstanceRequest(
            project=self._settings.project, zone=place.zone, instance=place.name
        )
        try:
            with calling("launch", place.provider_id):
                instance = clients.call(clients.instances.get, asked)
        except ProviderError as error:
            if error.__cause__ is None or not is_not_found(error.__cause__):
                raise self._unknown() from error
            return self._gone(place)
        if not is_ours(instance, self._request.cluster):
            raise self._rejected(f"{place.provider_id} is there and not of this cluster")
        here = [one for one in done if one.place == place]
        return machine_of(place, instance, here, self._reading)

    def _gone(self, place: Place) -> ProviderNode | None:
        """The machine of a place without an instance, by its operations as they are now."""
        try:
            here = [one for one in self._known() if one.place == place]
        except RequestRejected:
            raise
        except ProviderError as error:
            raise self._unknown() from error
        inserts = [one for one in here if one.kind == "insert"]
        if inserts and self._is_refusal(inserts[-1]):
            return None
        gone = machine_of_operations(here, self._reading)
        if gone is None:
            raise self._unknown()
        return gone

    def _known(self) -> list[Operation]:
        """What was done for the token before; raises RequestRejected where that was for another
        request."""
        start = name_start(self._request.cluster, self._request.token)
        done = of_token(self._clients, self._settings.project, self._request.cluster, start)
        inserts = [one for one in done if one.kind == "insert"]
        ours = {
            self._id(key, attempt)
            for key in self._request.keys
            for attempt in range(len(inserts) + 1)
        }
        if any(one.request_id not in ours for one in inserts):
            raise self._rejected("the token was used for another request")
        return done

    def _check(self) -> None:
        """Refuses what cannot be launched before anything is sent."""
        request, settings = self._request, self._settings
        if not is_token(request.token):
            raise self._rejected("a token is 1 to 32 small letters, digits and single hyphens")
        label = label_value(request.node_id)
        if label_text(label) != request.node_id:
            raise self._rejected(f"the node id {request.node_id!r} is too long for a label")
        for key in request.keys:
            if key.provider != NAME or key.zone not in settings.zones:
                raise self._rejected(f"{key} is in none of the zones {', '.join(settings.zones)}")
            if not is_sellable(key.instance_type, key.market):
                raise self._rejected(f"{key} cannot be bought machine by machine")
            if not (request.image_ref or architecture(key.instance_type) in settings.images):
                raise self._rejected(f"there is no image for the architecture of {key}")

    def _id(self, key: OfferKey, attempt: int) -> str:
        return request_id(self._text, str(key), str(attempt))

    def _rejected(self, code: str) -> RequestRejected:
        return RequestRejected(NAME, "launch", self._request.node_id, code)

    def _unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown(NAME, "launch", self._request.node_id, self._request.token)
