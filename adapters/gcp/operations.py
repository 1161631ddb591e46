"""What was done to our machines, by us or by the cloud: operations as values.

Google keeps them for days after the machine is gone, so they are how a launch finds itself after
a crash, and how an ended machine is still known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import NAME, Failure, calling
from costplan.adapters.gcp.names import Place, cluster_mark, place_of_link
from costplan.adapters.instants import utc_of
from costplan.planner.errors import Unreachable

PREEMPTED = "compute.instances.preempted"
ENDS = frozenset(
    {
        "delete",
        PREEMPTED,
        "compute.instances.guestTerminate",
        "compute.instances.hostError",
        "compute.instances.terminateOnHostMaintenance",
    }
)
"""Kinds of operation that end a machine."""
_LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One change of one of our machines. `request_id` is what we asked for it under, '' for none.

    `ended_at` is None while it is under way; `failure` says why nothing came of it.
    """

    name: str
    kind: str
    place: Place
    request_id: str
    inserted_at: datetime
    ended_at: datetime | None
    failure: Failure | None

    @property
    def order(self) -> tuple[datetime, str]:
        """By time, then by name."""
        return (self.inserted_at, self.name)


def operation_of(clients: Clients, found: Any, mark: str) -> Operation | None:
    """An operation of the SDK as a value, None where it is of nothing of ours."""
    place = place_of_link(found.target_link, mark)
    if place is None:
        return None
    is_done = found.status == clients.compute.Operation.Status.DONE
    ended = utc_of(found.end_time or found.insert_time) if is_done else None
    return Operation(
        name=found.name,
        kind=found.operation_type,
        place=place,
        request_id=found.client_operation_id,
        inserted_at=utc_of(found.insert_time),
        ended_at=ended,
        failure=_failure(found) if is_done else None,
    )


def of_token(clients: Clients, project: str, cluster: str, start: str) -> list[Operation]:
    """Everything done to the machines whose names begin with `start`, oldest first."""
    text = f'targetLink : "/instances/{start}"'
    return _listed(clients, project, cluster, text, "launch")


def since(
    clients: Clients, project: str, cluster: str, at: datetime, *, kind: str = ""
) -> list[Operation]:
    """Everything done to the cluster's machines since an instant, oldest first."""
    text = f'(targetLink : "/instances/{cluster_mark(cluster)}") (insertTime > "{at.isoformat()}")'
    if kind:
        text += f' (operationType = "{kind}")'
    found = _listed(clients, project, cluster, text, "nodes")
    return [one for one in found if one.inserted_at > at and kind in ("", one.kind)]


def refuse_parts(scope: str, warning: Any, unreachables: Iterable[str] = ()) -> None:
    """Raises Unreachable where an aggregated list says that it is not whole."""
    missing = sorted(unreachables) or ([scope] if warning.code == "UNREACHABLE" else [])
    if missing:
        detail = f"the list lacks {', '.join(missing)}"
        raise Unreachable(NAME, "list", scope or "all zones", detail)


def pages(clients: Clients, method: Any, request: Any, operation: str) -> Iterable[Any]:
    """Each page of a list, whole or not at all; the SDK's own way tries parts of it again."""
    while True:
        with calling(operation, request.project):
            page = next(iter(clients.call(method, request).pages))
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _listed(
    clients: Clients, project: str, cluster: str, text: str, operation: str
) -> list[Operation]:
    kind = clients.compute.AggregatedListGlobalOperationsRequest
    request = kind(project=project, filter=text, max_results=_LARGEST_PAGE)
    mark, found = cluster_mark(cluster), []
    for page in pages(clients, clients.operations.aggregated_list, request, operation):
        refuse_parts("", page.warning, page.unreachables)
        for scope, listed in page.items.items():
            refuse_parts(scope, listed.warning)
            known = (operation_of(clients, one, mark) for one in listed.operations)
            found += [one for one in known if one is not None]
    return sorted(found, key=lambda one: one.order)


def _failure(found: Any) -> Failure | None:
    errors: Sequence[Any] = found.error.errors
    if not errors:
        if found.http_error_status_code:
            message = found.http_error_message
            return Failure(code=f"HTTP_{found.http_error_status_code}", message=message)
        return None
    first = errors[0]
    quota, limit = "", None
    for detail in first.error_details:
        info = detail.quota_info
        if info.metric_name:
            quota, limit = info.metric_name.rpartition("/")[2], float(info.limit)
    return Failure(code=first.code, message=first.message, quota=quota, limit=limit)
