"""The Cloud Billing catalogue of the rig: SKUs in the shape and the words of the real ones.

Descriptions, groups and regions are as the public catalogue writes them; prices are of its order
of size and set so that sums can be checked by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.emulators.gcp.advice import money

_US = ["us-central1", "us-east1", "us-west1"]


def sku(
    number: int,
    description: str,
    group: str,
    usage_type: str,
    usd: float,
    *,
    regions: list[str] | None = None,
    unit: str = "h",
    family: str = "Compute",
    free: float = 0.0,
) -> dict[str, Any]:
    """One SKU; `free` units come before the price where it is above zero."""
    tiers = [{"startUsageAmount": free, "unitPrice": money(usd)}]
    if free:
        tiers.insert(0, {"startUsageAmount": 0.0, "unitPrice": money(0.0)})
    sku_id = f"{number:04X}-ABCD-EF01"
    return {
        "name": f"services/6F81-5844-456A/skus/{sku_id}",
        "skuId": sku_id,
        "description": description,
        "category": {"serviceDisplayName": "Compute Engine", "resourceFamily": family,
                     "resourceGroup": group, "usageType": usage_type},
        "serviceRegions": regions or _US,
        "pricingInfo": [
            {"summary": "", "effectiveTime": "2026-11-28T08:00:00.000Z",
             "currencyConversionRate": 1.0,
             "pricingExpression": {"usageUnit": unit, "usageUnitDescription": "hour",
                                   "baseUnit": "s", "baseUnitDescription": "second",
                                   "baseUnitConversionFactor": 3600.0, "displayQuantity": 1.0,
                                   "tieredRates": tiers}}
        ],
        "serviceProviderName": "Google",
        "geoTaxonomy": {"type": "REGIONAL", "regions": regions or _US},
    }  # fmt: skip


def _family(
    first: int, name: str, group: tuple[str, str], core: float, ram: float
) -> list[dict[str, Any]]:
    """On-demand, spot at three tenths, and commitments of a family's vCPU and GiB."""
    cpu, memory = group
    found = []
    for n, (usage, share, words) in enumerate([
        ("OnDemand", 1.0, "{name} Instance {part} running in Americas"),
        ("Preemptible", 0.3, "Spot Preemptible {name} Instance {part} running in Americas"),
        ("Commit1Yr", 0.63, "Commitment v1: {name} {part} in Americas for 1 Year"),
        ("Commit3Yr", 0.45, "Commitment v1: {name} {part} in Americas for 3 Year"),
    ]):  # fmt: skip
        part = "Cpu" if words.startswith("Commitment") else "Core"
        found.append(sku(first + 2 * n, words.format(name=name, part=part), cpu, usage,
                         core * share))  # fmt: skip
        found.append(sku(first + 2 * n + 1, words.format(name=name, part="Ram"), memory, usage,
                         ram * share, unit="GiBy.h"))  # fmt: skip
    return found


def catalogue() -> list[dict[str, Any]]:
    """Compute Engine's SKUs."""
    return [
        *_family(0x100, "N2", ("CPU", "RAM"), 0.03, 0.004),
        *_family(0x110, "E2", ("CPU", "RAM"), 0.02, 0.003),
        *_family(0x120, "N2D AMD", ("CPU", "RAM"), 0.0275, 0.0037),
        *_family(0x130, "C3", ("CPU", "RAM"), 0.034, 0.0045),
        *_family(0x140, "A2", ("CPU", "RAM"), 0.0316, 0.0042),
        *_family(0x150, "G2", ("CPU", "RAM"), 0.025, 0.0029),
        *_family(0x160, "T2A Arm", ("CPU", "RAM"), 0.0252, 0.0033),
        # Compute-optimized C2 and N1 have names of their own.
        sku(0x170, "Compute optimized Core running in Americas", "CPU", "OnDemand", 0.034),
        sku(0x171, "Compute optimized Ram running in Americas", "RAM", "OnDemand", 0.0045,
            unit="GiBy.h"),
        sku(0x172, "Spot Preemptible Compute optimized Core running in Americas", "CPU",
            "Preemptible", 0.0102),
        sku(0x173, "Spot Preemptible Compute optimized Ram running in Americas", "RAM",
            "Preemptible", 0.00135, unit="GiBy.h"),
        sku(0x180, "N1 Predefined Instance Core running in Americas", "N1Standard", "OnDemand",
            0.0316),
        sku(0x181, "N1 Predefined Instance Ram running in Americas", "N1Standard", "OnDemand",
            0.0042, unit="GiBy.h"),
        sku(0x182, "Spot Preemptible N1 Predefined Instance Core running in Americas",
            "N1Standard", "Preemptible", 0.0067),
        sku(0x183, "Spot Preemptible N1 Predefined Instance Ram running in Americas",
            "N1Standard", "Preemptible", 0.0009, unit="GiBy.h"),
        sku(0x190, "Nvidia Tesla T4 GPU running in Americas", "GPU", "OnDemand", 0.35),
        sku(0x191, "Nvidia Tesla T4 GPU attached to Spot Preemptible VMs running in Americas",
            "GPU", "Preemptible", 0.11),
        sku(0x192, "Nvidia Tesla A100 GPU running in Americas", "GPU", "OnDemand", 2.934),
        sku(0x193, "Nvidia Tesla A100 GPU attached to Spot Preemptible VMs running in Americas",
            "GPU", "Preemptible", 0.88),
        sku(0x194, "Nvidia L4 GPU running in Americas", "GPU", "OnDemand", 0.56),
        sku(0x195, "Nvidia Tesla A100 80GB GPU running in Americas", "GPU", "OnDemand", 3.93),
        # Traps: what is like a price of a machine and is none of it.
        sku(0x1A0, "N2 Custom Instance Core running in Americas", "CPU", "OnDemand", 0.0315),
        sku(0x1A1, "N2 Custom Extended Instance Ram running in Americas", "RAM", "OnDemand",
            0.0095, unit="GiBy.h"),
        sku(0x1A2, "N2 Sole Tenancy Instance Core running in Americas", "CPU", "OnDemand", 0.03),
        sku(0x1A3, "Sole Tenancy Premium for N2 Sole Tenancy Instance Core running in Americas",
            "CPU", "OnDemand", 0.003),
        sku(0x1A4, "Reserved N2 Instance Core in Americas", "CPU", "OnDemand", 0.03),
        sku(0x1A5, "DWS Defined Duration N2 Instance Core running in Americas", "CPU", "OnDemand",
            0.0159),
        sku(0x1A6, "N2 Instance Core running in Netherlands", "CPU", "OnDemand", 0.033,
            regions=["europe-west4"]),
        sku(0x1A7, "N2 Instance Ram running in Netherlands", "RAM", "OnDemand", 0.0044,
            regions=["europe-west4"], unit="GiBy.h"),
        sku(0x1A8, "SSD backed PD Capacity", "SSD", "OnDemand", 0.17, unit="GiBy.mo",
            family="Storage"),
        sku(0x1A9, "Network Inter Zone Data Transfer Out", "InterzoneEgress", "OnDemand", 0.01,
            unit="GiBy", family="Network", free=1.0),
        sku(0x1AA, "C3 Instance Core running in Americas with Local SSD", "CPU", "OnDemand",
            0.0393),
    ]  # fmt: skip


def list_skus(
    rows: list[dict[str, Any]], path: Mapping[str, str], query: Mapping[str, str]
) -> dict[str, Any]:
    """A page of the SKUs of a service."""
    if path["servicesId"] != "6F81-5844-456A":
        return {"skus": [], "nextPageToken": ""}
    size = int(query.get("pageSize", 5000)) or 5000
    first = int(query.get("pageToken") or 0)
    last = first + size
    token = str(last) if last < len(rows) else ""
    return {"skus": rows[first:last], "nextPageToken": token}
