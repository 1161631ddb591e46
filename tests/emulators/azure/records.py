"""What Azure says apart from its machines: the Activity Log, Resource Graph and the price list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from tests.emulators.azure.server import AzureRig

_LOG_FILTER = re.compile(
    r"eventTimestamp ge '([^']+)' and eventTimestamp le '([^']+)'"
    r" and (resourceGroupName|resourceUri) eq '([^']+)'"
)
_LOG_FIELDS = {
    "caller", "category", "correlationId", "eventTimestamp", "operationId", "operationName",
    "properties", "resourceGroupName", "resourceId", "status",
}  # fmt: skip
_PRICE_FILTER = re.compile(
    r"serviceName eq 'Virtual Machines' and armRegionName eq '([^']+)'"
    r" and \((armSkuName eq '[^']+'(?: or armSkuName eq '[^']+')*)\)"
)
_VALUE = r"(?:tostring\(([\w.]+)\)|([\w.]+))"
_WHERE = re.compile(rf"where {_VALUE} =~ '([^']*)'")
_COLUMN = re.compile(rf"(?:(\w+) = )?{_VALUE}")
_ORDER = re.compile(r"order by \w+ asc(?:, \w+ asc)*")


def refused(code: str, message: str) -> Response:
    """A refusal as Azure writes it."""
    return JSONResponse({"error": {"code": code, "message": message}}, 400)


def log_page(rig: AzureRig, request: Request) -> Response:
    """A page of the Activity Log, the newest lines first."""
    query = request.query_params
    found = _LOG_FILTER.fullmatch(query.get("$filter", ""))
    chosen = set(query.get("$select", "eventTimestamp").split(","))
    if query["api-version"] != "2015-04-01" or found is None or not chosen <= _LOG_FIELDS:
        rig.violations.append(f"activityLogs.list: {request.url.query}")
        return refused("BadRequest", "the query is not understood")
    since, until = (datetime.fromisoformat(found[n]) for n in (1, 2))
    shown_until = rig.group.clock() - timedelta(seconds=rig.group.delays.log)
    field = "resourceId" if found[3] == "resourceUri" else found[3]
    lines = [
        {name: value for name, value in one.items() if name in chosen}
        for one in reversed(rig.group.events)
        if since <= (at := datetime.fromisoformat(one["eventTimestamp"])) <= until
        and at <= shown_until
        and one[field].lower() == found[4].lower()
    ]
    return _page(rig, request, lines)


def graph_page(rig: AzureRig, request: Request, body: Mapping[str, Any]) -> Response:
    """The rows of a query, as far as this understands the language; another one is remembered as
    not implemented."""
    if request.query_params["api-version"] != "2022-10-01" or body.get("subscriptions") != [
        rig.group.subscription
    ]:
        rig.violations.append(f"resourceGraph: {body}")
        return refused("BadRequest", "another version or subscription")
    table, *steps = [one.strip() for one in body["query"].split("|")]
    rows = _tables(rig).get(table)
    for step in steps:
        rows = None if rows is None else _step(rows, step)
    if rows is None:
        rig.unimplemented.append(f"resourceGraph: {body['query']}")
        return refused("BadRequest", "Query is invalid")
    options = body.get("options", {})
    first, most = int(options.get("$skipToken", 0)), int(options.get("$top", 100))
    last = first + min(most, 1000)
    answer: dict[str, Any] = {"data": rows[first:last], "totalRecords": len(rows)}
    if last < len(rows):
        answer["$skipToken"] = str(last)
    return JSONResponse({"count": len(answer["data"]), "resultTruncated": "false", **answer})


def prices_page(rig: AzureRig, query: Mapping[str, str]) -> Response:
    """A page of the price list."""
    items, wanted = rig.prices, query.get("$filter")
    if wanted is not None:
        found = _PRICE_FILTER.fullmatch(wanted)
        if found is None:
            rig.violations.append(f"retailPrices.list: {wanted}")
            return refused("BadRequest", "Invalid OData parameters supplied")
        sizes = set(re.findall(r"'([^']+)'", found[2]))
        items = [
            one for one in items
            if one["armRegionName"] == found[1] and one["armSkuName"] in sizes
        ]  # fmt: skip
    first = int(query.get("$skip", 0))
    last = first + rig.largest_page
    again = urlencode({**query, "$skip": last})
    return JSONResponse(
        {
            "BillingCurrency": "USD",
            "Items": items[first:last],
            "Count": len(items[first:last]),
            "NextPageLink": f"{rig.endpoint}/api/retail/prices?{again}"
            if last < len(items)
            else None,
        }
    )


def _page(rig: AzureRig, request: Request, lines: list[Any]) -> Response:
    query = request.query_params
    first = int(query.get("$skipToken", 0))
    last = first + rig.largest_page
    found: dict[str, Any] = {"value": lines[first:last]}
    if last < len(lines):
        again = urlencode({**query, "$skipToken": last})
        found["nextLink"] = f"{rig.endpoint}{request.url.path}?{again}"
    return JSONResponse(found)


def _tables(rig: AzureRig) -> dict[str, list[dict[str, Any]]]:
    group = rig.group
    kind = f"{group.path}/virtualMachines"
    return {
        "resources": [
            {
                "type": "Microsoft.Compute/virtualMachines",
                "id": f"{kind}/{name}",
                "resourceGroup": group.name.lower(),
                "properties": {
                    "extended": {
                        "instanceView": {"powerState": {"code": f"PowerState/{one.power}"}}
                    }
                },
            }
            for name, one in group.machines.items()
            if one.resource["properties"]["provisioningState"] != "Failed"
        ],
        "healthresources": [
            {
                "type": "microsoft.resourcehealth/resourceannotations",
                "resourceGroup": group.name.lower(),
                "properties": {
                    "annotationName": "VirtualMachinePreempted",
                    "targetResourceId": f"{kind}/{name}".lower(),
                    "occurredTime": at.isoformat(),
                },
            }
            for name, at in group.preempted.items()
        ],
        "spotresources": [
            {
                "type": "microsoft.compute/skuspotevictionrate/location",
                "location": group.location,
                "sku": {"name": size.lower()},
                "properties": {"evictionRate": rate},
            }
            for size, rate in rig.eviction_rates.items()
        ],
    }


def _step(rows: list[dict[str, Any]], step: str) -> list[dict[str, Any]] | None:
    """What a step of a query makes of rows, None where it is not understood."""
    if (found := _WHERE.fullmatch(step)) is not None:
        path = found[1] or found[2]
        return [row for row in rows if str(_at(row, path)).lower() == found[3].lower()]
    if step.startswith("project "):
        columns = [_COLUMN.fullmatch(one.strip()) for one in step[8:].split(",")]
        if None in columns:
            return None
        return [
            {(one[1] or one[3]): _at(row, one[2] or one[3]) for one in columns if one}
            for row in rows
        ]
    if _ORDER.fullmatch(step):
        return sorted(rows, key=lambda row: [str(row[name]) for name in _ordered(step)])
    return None


def _ordered(step: str) -> list[str]:
    return [one.removesuffix(" asc") for one in step.removeprefix("order by ").split(", ")]


def _at(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        value = value.get(name, "") if isinstance(value, Mapping) else ""
    return value
