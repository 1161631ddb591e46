"""GCP prices for the bundled snapshot, put together from the prices of a vCPU and a GiB.

Google bills a predefined machine type as its vCPUs plus its memory, each at the rate of its
family and region, so libcloud's rates give every size. They carry no GPU rates: types with GPUs
are not in the snapshot. Spot is an estimate, see `SPOT_SHARE`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from costplan.adapters.feeds.machine_sizes import MachineSize, gcp_sizes
from costplan.adapters.feeds.snapshot_sources import PriceRow, Release, last_read
from costplan.planner.units import GIB

SPOT_SHARE = {"e2": 0.40, "m1": 0.22}
OTHER_SPOT_SHARE = 0.33
"""The estimated spot price as a share of the on-demand price, where the preemptible rate is lower.

Google sold preemptible machines at a fixed fifth to quarter of the on-demand price; spot, which
replaced them, floats between 9 and 60 % of it by family and region. The old rate alone would be
too good to be true in three regions of four.
"""

SAME_RATES = {"us-central1": ("us-central1", "us-east1", "us-west1")}
"""Regions that share one rate ('running in Americas'), which libcloud files under the first."""

_SOURCE = "libcloud-pricing"
_SPOT = "estimate: libcloud-pricing x spot share"


def gcp_rows(releases: Sequence[Release], left_out: Counter[str]) -> Iterator[PriceRow]:
    """Every region's on-demand and estimated spot prices of the sizes whose names are known."""
    rates, observed_at = last_read(releases, "gce_instances")
    for name, size in gcp_sizes().items():
        prefix = name.split("-", 1)[0]
        family, share = rates[prefix], SPOT_SHARE.get(prefix, OTHER_SPOT_SHARE)
        for listed in family["cpu"]["on_demand"]:
            on_demand = _hourly(family, "on_demand", listed, size)
            if on_demand is None:
                left_out["gcp: a rate is missing or zero"] += 1
                continue
            preemptible = _hourly(family, "preemptible", listed, size) or 0.0
            spot = max(preemptible, share * on_demand)
            for region in SAME_RATES.get(listed, (listed,)):
                for market, usd, source in (
                    ("on_demand", on_demand, _SOURCE),
                    ("spot", spot, _SPOT),
                ):
                    yield PriceRow(
                        provider="gcp",
                        region=region,
                        zone=None,
                        instance_type=name,
                        market=market,
                        size=size,
                        usd_per_hour=round(usd, 7),
                        hazard_per_hour=0.0 if market == "on_demand" else None,
                        observed_at=observed_at,
                        source=source,
                        is_estimate=market == "spot",
                    )


def _hourly(family: Mapping[str, Any], market: str, region: str, size: MachineSize) -> float | None:
    """What a size costs an hour, None where a rate is not known."""
    total = 0.0
    for part, amount in (("cpu", size.vcpu), ("ram", size.memory_bytes / GIB)):
        rate = family[part].get(market, {}).get(region, {}).get("price")
        if not rate:
            return None
        total += float(rate) * amount
    return total
