"""The rig's prices, placement scores and quotas, from the tables of the cloud."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.emulators.aws.cloud import AwsCloud
from tests.emulators.aws.wire import AwsRefusal


def page_of(rows: Sequence[Any], values: dict[str, Any], most: int) -> tuple[Sequence[Any], str]:
    """A page of a list, and the token of the next, an empty text for none."""
    start = int(values.get("NextToken") or values.get("nextToken") or 0)
    asked = int(values.get("MaxResults") or values.get("maxResults") or most)
    end = start + min(asked, most)
    return rows[start:end], str(end) if end < len(rows) else ""


def spot_price_history(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """DescribeSpotPriceHistory: the changes in [StartTime, EndTime], and of each pool the one
    in force at StartTime; the newest first."""
    start, end = values.get("StartTime"), values.get("EndTime") or cloud.clock()
    zones = {values["AvailabilityZone"]} if values.get("AvailabilityZone") else None
    for one in values.get("Filters", ()):
        if one["Name"] == "availability-zone":
            zones = set(one["Values"])
    names = set(values.get("InstanceTypes", ()))
    rows = []
    for (name, zone), changes in cloud.spot_prices.items():
        if (names and name not in names) or (zones is not None and zone not in zones):
            continue
        before = [at for at, _ in changes if start is not None and at <= start]
        first = max(before, default=start)
        for at, price in changes:
            if (first is None or at >= first) and at <= end:
                rows.append((at, name, zone, price))
    rows.sort(key=lambda row: (row[0], row[1], row[2]), reverse=True)
    page, following = page_of(rows, values, cloud.page_size)
    return {
        "SpotPriceHistory": [
            {
                "Timestamp": at,
                "InstanceType": name,
                "AvailabilityZone": zone,
                "SpotPrice": price,
                "ProductDescription": "Linux/UNIX",
            }
            for at, name, zone, price in page
        ],
        "NextToken": following,
    }


def placement_scores(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """GetSpotPlacementScores of single zones."""
    if not values.get("SingleAvailabilityZone"):
        raise AwsRefusal("InvalidParameterValue", "the rig scores single zones only")
    if int(values["TargetCapacity"]) < 1 or not values.get("InstanceTypes"):
        raise AwsRefusal("InvalidParameterValue", "no target or no types")
    rows = [
        {"Region": cloud.region, "AvailabilityZoneId": zone_id, "Score": score}
        for zone_id, score in sorted(cloud.placement_scores.items())
    ]
    page, following = page_of(rows, values, cloud.page_size)
    return {"SpotPlacementScores": page, "NextToken": following}


def get_products(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """GetProducts of AmazonEC2: each product is a JSON text, as AWS gives it."""
    asked = {one["Field"]: one["Value"] for one in values.get("Filters", ())}
    if values.get("ServiceCode") != "AmazonEC2" or asked.get("regionCode") != cloud.region:
        return {"FormatVersion": "aws_v1", "PriceList": [], "NextToken": ""}
    texts = []
    for name, price in sorted(cloud.on_demand_prices.items()):
        attributes = {
            "instanceType": name,
            "regionCode": cloud.region,
            "operatingSystem": "Linux",
            "tenancy": "Shared",
            "preInstalledSw": "NA",
            "capacitystatus": "Used",
            "marketoption": "OnDemand",
        }
        if any(attributes.get(field, value) != value for field, value in asked.items()):
            continue
        term = f"{name}.JRTCKXETXF"
        dimension = {
            "unit": "Hrs",
            "beginRange": "0",
            "endRange": "Inf",
            "pricePerUnit": {"USD": price},
        }
        texts.append(
            json.dumps(
                {
                    "product": {"productFamily": "Compute Instance", "attributes": attributes},
                    "serviceCode": "AmazonEC2",
                    "terms": {
                        "OnDemand": {
                            term: {
                                "priceDimensions": {f"{term}.6YS6EN2CT7": dimension},
                                "effectiveDate": "2026-11-01T00:00:00Z",
                            }
                        }
                    },
                    "version": "20261101",
                }
            )
        )
    page, following = page_of(texts, values, min(100, cloud.page_size))
    return {"FormatVersion": "aws_v1", "PriceList": list(page), "NextToken": following}


def savings_plan_rates(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """DescribeSavingsPlansOfferingRates of Compute Savings Plans."""
    asked = {one["name"]: set(one["values"]) for one in values.get("filters", ())}
    rows = [
        {
            "savingsPlanOffering": {
                "offeringId": "rig",
                "paymentOption": "No Upfront",
                "planType": "Compute",
                "durationSeconds": seconds,
                "currency": "USD",
            },
            "rate": rate,
            "unit": "Hrs",
            "productType": "EC2",
            "serviceCode": "AmazonEC2",
            "properties": [
                {"name": "instanceType", "value": name},
                {"name": "productDescription", "value": "Linux/UNIX"},
                {"name": "region", "value": cloud.region},
                {"name": "tenancy", "value": "shared"},
            ],
        }
        for (name, seconds), rate in sorted(cloud.savings_rates.items())
        if name in asked.get("instanceType", {name}) and cloud.region in asked["region"]
    ]
    page, following = page_of(rows, values, min(100, cloud.page_size))
    return {"searchResults": page, "nextToken": following}


def service_quota(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """GetServiceQuota of EC2."""
    code = values["QuotaCode"]
    if values["ServiceCode"] != "ec2" or code not in cloud.quotas:
        raise AwsRefusal("NoSuchResourceException", "The request failed: no such quota")
    return {"Quota": {"ServiceCode": "ec2", "QuotaCode": code, "Value": cloud.quotas[code]}}
