"""What a worker of a cluster object costs an hour: as given, or by the machine type that the object
says, at the prices that come with the package or were synced from the clouds.

The names are those of dask-cloudprovider: `instance_type` and `region` of EC2, `vm_size` and
`location` of Azure, `machine_type` and `zone` of Google Cloud, whose GPUs beside it are not in any
price of a type: such a machine has none. Where a region has several prices the dearest counts,
because nobody knows the zone of the next machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from costplan.adapters.dask import adaptive_shim as shim
from costplan.adapters.feeds.bundled import bundled_prices
from costplan.adapters.feeds.price_store import PriceStore, default_folder, with_synced
from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.types import Market
from costplan.planner.units import usd_from_pico

FIELDS = {
    "aws": ("instance_type", ("region", "availability_zone")),
    "azure": ("vm_size", ("location",)),
    "gcp": ("machine_type", ("zone", "region")),
}
"""By provider: what names the machine type, and what names the place."""
SPOT = ("spot", "use_spot", "use_spot_instances", "preemptible")
"""Options that are true where machines are interruptible ones."""
_SPOT_MODELS = ("SPOT", "PREEMPTIBLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineType:
    """What a cluster object says of the machines of its workers."""

    provider: str
    name: str
    region: str
    market: Market

    def __str__(self) -> str:
        return f"{self.provider} {self.name} in {self.region}, {self.market.value}"


def machine_type(cluster: Any) -> MachineType | None:
    """The machine type of a cluster's new workers, None where it says none."""
    options = shim.template(cluster)
    for provider, (type_field, place_fields) in FIELDS.items():
        name = _said(options, cluster, type_field)
        places = [_said(options, cluster, field) for field in place_fields]
        place = next((place for place in places if place), "")
        has_more = provider == "gcp" and bool(options.get("ngpus") or getattr(cluster, "ngpus", 0))
        if name and place and not has_more:
            return MachineType(
                provider=provider,
                name=_typed(provider, name),
                region=_region(provider, place),
                market=_market(options, cluster),
            )
    return None


def price_of(machine: MachineType, now: datetime) -> Decimal | None:
    """Dollars an hour of a machine type, None where no price list has it."""
    prices = bundled_prices(now=now)
    folder = default_folder()
    if folder is not None:
        prices = with_synced(prices, PriceStore(folder).regions(now))
    return _dearest(prices.catalogue, machine)


def _dearest(catalogue: Catalogue, machine: MachineType) -> Decimal | None:
    here = catalogue.provider.codes == catalogue.provider.code_of(machine.provider)
    here &= catalogue.region.codes == catalogue.region.code_of(machine.region)
    here &= catalogue.instance_type.codes == catalogue.instance_type.code_of(machine.name)
    here &= catalogue.market == MARKETS.index(machine.market)
    found = catalogue.price_pico[np.flatnonzero(here)]
    return usd_from_pico(int(found.max())) if len(found) else None


def _said(options: Mapping[str, Any], cluster: Any, field: str) -> str:
    """A field as new workers are made with it, else as the cluster says it for all."""
    for value in (
        options.get(f"worker_{field}"),
        options.get(field),
        getattr(cluster, f"worker_{field}", None),
        getattr(cluster, field, None),
    ):
        if isinstance(value, str) and value:
            return value
    return ""


def _typed(provider: str, name: str) -> str:
    """A machine type as price lists write it: Google's may be a path, Azure's has a prefix."""
    name = name.rsplit("/", 1)[-1]
    return name if provider != "azure" or name.startswith("Standard_") else f"Standard_{name}"


def _region(provider: str, place: str) -> str:
    """'us-east1' of the zone 'us-east1-c', 'us-east-1' of 'us-east-1a', 'westeurope' of
    'West Europe'."""
    if provider == "azure":
        return place.replace(" ", "").lower()
    if provider == "gcp" and place.count("-") == 2:
        return place.rsplit("-", 1)[0]
    if provider == "aws" and place[-1:].isalpha():
        return place[:-1]
    return place


def _market(options: Mapping[str, Any], cluster: Any) -> Market:
    said = [options.get(name, getattr(cluster, name, None)) for name in SPOT]
    model = options.get("provisioning_model", getattr(cluster, "provisioning_model", None))
    if any(value is True for value in said) or model in _SPOT_MODELS:
        return Market.SPOT
    return Market.ON_DEMAND
