"""What machines cost on demand and under a savings plan: AWS's published rates."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.settings import AwsSettings
from costplan.planner.types import Market

_FEW_TYPES = 8
"""For so many types one question each is cheaper than a region's ten pages."""

_LINUX = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
_YEAR_SECONDS = 31_536_000
_TERMS = {_YEAR_SECONDS: Market.COMMITMENT_1Y, 3 * _YEAR_SECONDS: Market.COMMITMENT_3Y}


def on_demand_prices(
    clients: Clients, settings: AwsSettings, types: Collection[str]
) -> dict[str, Decimal]:
    """Dollars per hour of these types in the region, Linux on shared hardware; a type that is
    not in the price list is not in the answer."""
    wanted = set(types)
    if len(wanted) > _FEW_TYPES:
        asked: list[dict[str, str]] = [{}]
    else:
        asked = [{"instanceType": name} for name in sorted(wanted)]
    prices: dict[str, Decimal] = {}
    with mapped("prices", settings.region):
        for more in asked:
            for product in _products(clients, settings, more):
                name = product["product"]["attributes"]["instanceType"]
                price = _hourly(product)
                if name in wanted and price is not None:
                    prices[name] = price
    return prices


def _products(
    clients: Clients, settings: AwsSettings, more: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    fields = {**_LINUX, "regionCode": settings.region, **more}
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()
    ]
    pages = (
        clients.reading("pricing")
        .get_paginator("get_products")
        .paginate(ServiceCode="AmazonEC2", Filters=filters)
    )
    for page in pages:
        for text in page["PriceList"]:
            yield json.loads(text)


def _hourly(product: Mapping[str, Any]) -> Decimal | None:
    """The price per hour of a product's on-demand term, None where there is none above zero."""
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            usd = dollars(dimension["pricePerUnit"].get("USD", "0"))
            if dimension["unit"] == "Hrs" and usd is not None:
                return usd
    return None


def dollars(text: str) -> Decimal | None:
    """A price as it is written, None for what costs nothing or is none."""
    try:
        usd = Decimal(text)
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and usd > 0 else None


def savings_plan_rates(
    clients: Clients, settings: AwsSettings, types: Collection[str]
) -> dict[tuple[str, Market], Decimal]:
    """Dollars per hour by type and term under a Compute Savings Plan without upfront payment."""
    filters = {
        "region": [settings.region],
        "instanceType": sorted(types),
        "productDescription": ["Linux/UNIX"],
        "tenancy": ["shared"],
    }
    rates: dict[tuple[str, Market], Decimal] = {}
    for rate in _rates(clients, settings, filters):
        market = _TERMS.get(rate["savingsPlanOffering"]["durationSeconds"])
        properties = {one["name"]: one["value"] for one in rate["properties"]}
        usd = dollars(rate["rate"])
        if market is not None and rate["unit"] == "Hrs" and usd is not None:
            rates[properties["instanceType"], market] = usd
    return rates


def _rates(
    clients: Clients, settings: AwsSettings, filters: Mapping[str, list[str]]
) -> Iterator[dict[str, Any]]:
    # The SDK has no paginator for it.
    following = ""
    while True:
        with mapped("prices", settings.region):
            page = clients.reading("savingsplans").describe_savings_plans_offering_rates(
                savingsPlanTypes=["Compute"],
                savingsPlanPaymentOptions=["No Upfront"],
                products=["EC2"],
                serviceCodes=["AmazonEC2"],
                filters=[{"name": name, "values": values} for name, values in filters.items()],
                **({"nextToken": following} if following else {}),
            )
        yield from page["searchResults"]
        following = page.get("nextToken") or ""
        if not following:
            return
