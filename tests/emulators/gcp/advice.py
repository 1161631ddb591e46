"""What the rig advises of spot capacity: set by the test, in the shapes of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

History = Mapping[str, Sequence[tuple[str, str, float]]]
"""Machine type -> (start, end, value) in order of time."""


def capacity_advice(
    body: Mapping[str, Any], region: str, uptimes: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """One recommendation with the obtainability and uptime set for the first machine type."""
    selections = body["instanceFlexibilityPolicy"]["instanceSelections"]
    names = [name for one in selections.values() for name in one["machineTypes"]]
    known = next((name for name in names if name in uptimes), None)
    if known is None:
        return {"recommendations": []}
    obtainability, seconds = uptimes[known]
    zones = body.get("distributionPolicy", {}).get("zones") or [{"zone": f"zones/{region}-a"}]
    return {
        "recommendations": [
            {
                "scores": {"obtainability": obtainability, "estimatedUptime": f"{seconds:g}s"},
                "shards": [
                    {
                        "instanceCount": body["size"],
                        "machineType": known,
                        "provisioningModel": "SPOT",
                        "zone": zones[0]["zone"],
                    }
                ],
            }
        ]
    }


def capacity_history(
    body: Mapping[str, Any], region: str, prices: History, preemptions: History
) -> dict[str, Any]:
    """The histories asked for of one machine type."""
    name = body["instanceProperties"]["machineType"]
    answer: dict[str, Any] = {
        "machineType": name,
        "location": body.get("locationPolicy", {}).get("location", f"regions/{region}"),
    }
    if "PRICE" in body["types"]:
        answer["priceHistory"] = [
            {"interval": _interval(start, end), "listPrice": money(usd)}
            for start, end, usd in prices.get(name, ())
        ]
    if "PREEMPTION" in body["types"]:
        answer["preemptionHistory"] = [
            {"interval": _interval(start, end), "preemptionRate": rate}
            for start, end, rate in preemptions.get(name, ())
        ]
    return answer


def money(usd: float) -> dict[str, Any]:
    """Dollars as Google writes them: whole ones as text, and billionths."""
    nanos = round(usd * 1e9)
    return {"currencyCode": "USD", "units": str(nanos // 10**9), "nanos": nanos % 10**9}


def _interval(start: str, end: str) -> dict[str, str]:
    return {"startTime": start, "endTime": end}
