"""Azure prices for the bundled snapshot, with the sizes that the names stand for.

libcloud names sizes in lower case without separators and by tier: 'standardd4sv3', and
'lowpriorityd4sv3' for the low-priority price, which was a fixed fifth of the on-demand price.
Azure has replaced low-priority machines by spot ones, whose price floats, so that price is taken
as an estimate of spot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from costplan.adapters.feeds.machine_sizes import azure_size
from costplan.adapters.feeds.snapshot_sources import PriceRow, Release, last_read

_SOURCE = "libcloud-pricing"
_SPOT = "estimate: libcloud-pricing low priority"
_MARKETS = (("standard", "on_demand"), ("lowpriority", "spot"))

# Clouds apart from the public one, which the same account cannot use, and the German one is shut.
_OTHER_CLOUDS = ("usgov", "usdod", "china", "germanycentral", "germanynortheast")


def azure_rows(releases: Sequence[Release], left_out: Counter[str]) -> Iterator[PriceRow]:
    """Every region's on-demand and estimated spot prices of the sizes whose names are known."""
    prices, observed_at = last_read(releases, "azure_linux")
    for listed in prices:
        if not listed.startswith("standard"):
            continue
        squeezed = listed.removeprefix("standard")
        found = azure_size(squeezed)
        if found is None:
            left_out["azure: size of the name not known (retired, promotion, part of a GPU)"] += 1
            continue
        name, size = found
        for tier, market in _MARKETS:
            for region, usd in prices.get(tier + squeezed, {}).items():
                if not usd or region.startswith(_OTHER_CLOUDS):
                    left_out["azure: no price, or another cloud"] += 1
                    continue
                yield PriceRow(
                    provider="azure",
                    region=region,
                    zone=None,
                    instance_type=name,
                    market=market,
                    size=size,
                    usd_per_hour=round(float(usd), 7),
                    hazard_per_hour=0.0 if market == "on_demand" else None,
                    observed_at=observed_at,
                    source=_SOURCE if market == "on_demand" else _SPOT,
                    is_estimate=market == "spot",
                )
