"""What the rig's tenant holds: reservations, savings plans, and the catalogue of sizes.

Members are those of Azure's own specification of 2022-11-01; a row that a test prepares with
another fails there, and so does a query that the specification does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.emulators.azure.answers import error

if TYPE_CHECKING:
    from tests.emulators.azure.server import AzureRig

_VERSION = "2022-11-01"
_LIST = {
    "api-version",
    "$filter",
    "$orderby",
    "refreshSummary",
    "$skiptoken",
    "selectedState",
    "take",
}
_CATALOG = {"api-version", "reservedResourceType", "location", "$skiptoken"}

HELD_ROUTES = [
    ("GET", "/providers/Microsoft.Capacity/reservations", "reservations.list"),
    ("GET", "/providers/Microsoft.BillingBenefits/savingsPlans", "savingsPlans.list"),
    ("GET", "/subscriptions/{subscription}/providers/Microsoft.Capacity/catalogs", "catalogs.list"),
]
_COMMON = {
    "appliedScopeProperties", "appliedScopeType", "benefitStartTime", "billingPlan",
    "billingScopeId", "displayName", "displayProvisioningState", "effectiveDateTime",
    "expiryDateTime", "extendedStatusInfo", "provisioningState", "purchaseDateTime", "renew",
    "renewDestination", "renewProperties", "renewSource", "term", "userFriendlyAppliedScopeType",
    "utilization",
}  # fmt: skip
_RESERVATION = _COMMON | {
    "appliedScopes", "archived", "capabilities", "expiryDate", "instanceFlexibility",
    "lastUpdatedDateTime", "mergeProperties", "provisioningSubState", "purchaseDate", "quantity",
    "reservedResourceType", "reviewDateTime", "skuDescription", "splitProperties", "swapProperties",
    "userFriendlyRenewState",
}  # fmt: skip
_PLAN = _COMMON | {"billingAccountId", "billingProfileId", "commitment", "customerId"}
_STATES = {
    "BillingFailed", "Cancelled", "ConfirmedBilling", "ConfirmedResourceHold", "Created",
    "Creating", "Expired", "Failed", "Merged", "PendingBilling", "PendingResourceHold", "Split",
    "Succeeded",
}  # fmt: skip


def _page(rig: AzureRig, request: Request, rows: list[dict[str, Any]], known: set[str]) -> Response:
    query = dict(request.query_params)
    if query["api-version"] != _VERSION or not set(query) <= known:
        rig.violations.append(f"{request.url.path}?{request.url.query}")
        return error(400, "InvalidApiVersionParameter", "the query is not understood")
    first = int(query.get("$skiptoken", 0))
    last = first + rig.largest_page
    found: dict[str, Any] = {"value": rows[first:last], "nextLink": None}
    if last < len(rows):
        again = urlencode({**query, "$skiptoken": last})
        found["nextLink"] = f"{rig.endpoint}{request.url.path}?{again}"
    return JSONResponse(found)


def _checked(rig: AzureRig, rows: list[dict[str, Any]], known: set[str]) -> None:
    for row in rows:
        properties = row["properties"]
        strange = sorted(set(properties) - known)
        if strange or properties["provisioningState"] not in _STATES:
            rig.violations.append(f"{row['name']} has {strange or properties}")


def _reservations(rig: AzureRig, request: Request) -> Response:
    _checked(rig, rig.reservations, _RESERVATION)
    return _page(rig, request, rig.reservations, _LIST)


def _savings_plans(rig: AzureRig, request: Request) -> Response:
    _checked(rig, rig.savings_plans, _PLAN)
    return _page(rig, request, rig.savings_plans, _LIST)


def _catalogs(rig: AzureRig, request: Request) -> Response:
    where = request.query_params.get("location")
    rows = [
        {
            "resourceType": "virtualMachines",
            "name": size,
            "terms": ["P1Y", "P3Y"],
            "locations": [where],
            "skuProperties": [
                {"name": "vCPUs", "value": "2"},
                {"name": "ReservationsAutofitGroup", "value": group},
                {"name": "ReservationsAutofitRatio", "value": ratio},
            ],
        }
        for size, (group, ratio) in sorted(rig.ratios.items())
        if request.query_params.get("reservedResourceType") == "VirtualMachines"
    ]
    rows.append({"resourceType": "virtualMachines", "name": "Standard_M8ms", "skuProperties": []})
    return _page(rig, request, rows, _CATALOG)


HELD: dict[str, Callable[[AzureRig, Request], Response]] = {
    "reservations.list": _reservations,
    "savingsPlans.list": _savings_plans,
    "catalogs.list": _catalogs,
}
"""The answers, by call."""
