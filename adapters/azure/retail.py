"""Rates out of Azure's public price list: https://learn.microsoft.com/rest/api/cost-management/
retail-prices/azure-retail-prices

One row is one meter of one size in one location; the same size has rows for Linux and Windows,
for spot and for low priority (the older way to sell spare machines), and one for each
reservation. Savings plans stand in the row of what is paid by the hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.errors import calling
from costplan.adapters.azure.settings import AzureSettings
from costplan.planner.types import Market

HOURS = {"1 Year": 8760, "3 Years": 26280}
"""A reservation is priced for the whole of its term."""
TERMS = {"1 Year": Market.COMMITMENT_1Y, "3 Years": Market.COMMITMENT_3Y}

LIST, SAVINGS_PLAN, RESERVATION = "retail", "savings-plan", "reservation"
"""What a rate is of."""

_VERSION = "2023-01-01-preview"
"""The version that has savings plans."""
_SIZES_A_CALL = 30
Rate = tuple[str, Market, str]
"""Size, market, and what the rate is of."""


def rates(clients: Clients, settings: AzureSettings, sizes: Collection[str]) -> dict[Rate, Decimal]:
    """Dollars an hour of Linux machines of these sizes in the location.

    Of two rows for the same the dearer one counts: a plan may cost less than it says, not more.
    """
    found: dict[Rate, Decimal] = {}
    ordered = sorted(sizes)
    for first in range(0, len(ordered), _SIZES_A_CALL):
        for row in _rows(clients, settings, ordered[first : first + _SIZES_A_CALL]):
            for rate, usd in _rates_of(row, settings.location):
                found[rate] = max(usd, found.get(rate, usd))
    return found


def _rows(
    clients: Clients, settings: AzureSettings, sizes: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    named = " or ".join(f"armSkuName eq '{size}'" for size in sizes)
    query = {
        "api-version": _VERSION,
        "$filter": f"serviceName eq 'Virtual Machines' and armRegionName eq '{settings.location}'"
        f" and ({named})",
    }
    url = f"{settings.prices_endpoint}/api/retail/prices"
    while url:
        with calling("quotes", settings.location):
            page = clients.public(url, query)
        yield from page["Items"]
        url, query = page.get("NextPageLink") or "", {}


def _rates_of(row: Mapping[str, Any], location: str) -> Iterator[tuple[Rate, Decimal]]:
    is_linux = "Windows" not in row["productName"] and row["unitOfMeasure"] == "1 Hour"
    is_here = row["armRegionName"] == location and row["currencyCode"] == "USD"
    words = row["skuName"].split()
    if not (is_linux and is_here) or "Low" in words or float(row["tierMinimumUnits"]) > 0:
        return
    size, usd = row["armSkuName"], _dollars(row["retailPrice"])
    is_spot = "Spot" in words
    if row["type"] == "Reservation":
        term = row.get("reservationTerm")
        if usd is not None and term in HOURS:
            yield (size, TERMS[term], RESERVATION), usd / HOURS[term]
    elif row["type"] == "Consumption" and usd is not None:
        yield (size, Market.SPOT if is_spot else Market.ON_DEMAND, LIST), usd
        for plan in row.get("savingsPlan") or () if not is_spot else ():
            planned = _dollars(plan["retailPrice"])
            if planned is not None and plan["term"] in TERMS:
                yield (size, TERMS[plan["term"]], SAVINGS_PLAN), planned


def _dollars(value: Any) -> Decimal | None:
    """A price as it is written, None for what costs nothing or is none."""
    try:
        usd = Decimal(str(value))
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and usd > 0 else None
