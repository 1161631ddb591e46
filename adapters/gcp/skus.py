"""Rates out of Google's price list: what a vCPU, a GiB and a GPU cost an hour, by region.

The list has no price of a machine type. It has SKUs, told apart by their description, such as
'N2 Instance Core running in Americas', and a predefined machine costs its vCPU plus its memory
plus its GPUs. Descriptions that are not among those below (custom machines, sole tenancy, DWS,
reservations, licences) are of other things and left alone: a machine without a rate has no price.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import calling
from costplan.planner.types import Market

COMPUTE_ENGINE = "services/6F81-5844-456A"
"""https://cloud.google.com/skus: the service id of Compute Engine."""
VCPU, GIB = "vcpu", "gib"

_FAMILIES = {
    "N1 Predefined Instance": "n1",
    "N2 Instance": "n2",
    "N2D AMD Instance": "n2d",
    "N4 Instance": "n4",
    "N4D Instance": "n4d",
    "E2 Instance": "e2",
    "T2D AMD Instance": "t2d",
    "T2A Arm Instance": "t2a",
    "Compute optimized": "c2",
    "Compute optimized Instance": "c2",
    "C2D AMD Instance": "c2d",
    "C3 Instance": "c3",
    "C3D Instance": "c3d",
    "C4 Instance": "c4",
    "C4A Arm Instance": "c4a",
    "C4D Instance": "c4d",
    "H3 Instance": "h3",
    "A2 Instance": "a2",
    "G2 Instance": "g2",
    "Memory-optimized Instance": "m1",
    "M3 Memory-optimized Instance": "m3",
}
_COMMITTED = {name.removesuffix(" Instance"): family for name, family in _FAMILIES.items()} | {
    "N1 Predefined": "",
    "": "n1",
}
_GPUS = {
    "Nvidia Tesla P4": "P4",
    "Nvidia Tesla P100": "P100",
    "Nvidia Tesla V100": "V100",
    "Nvidia Tesla T4": "T4",
    "Nvidia Tesla A100": "A100",
    "Nvidia Tesla A100 80GB": "A100-80GB",
    "Nvidia L4": "L4",
}
_MARKETS = {
    "OnDemand": Market.ON_DEMAND,
    "Preemptible": Market.SPOT,
    "Commit1Yr": Market.COMMITMENT_1Y,
    "Commit3Yr": Market.COMMITMENT_3Y,
}
_PLACE = r"(?: (?:running )?in [^,]+?)"
_INSTANCE = re.compile(rf"(?:(?:Spot )?Preemptible )?(.+?) (Core|Ram){_PLACE}")
_COMMITMENT = re.compile(rf"Commitment v1: ?(.*?) ?(Cpu|Ram){_PLACE} for [13] Years?")
_GPU = re.compile(
    rf"(?:Commitment v1: )?(.+?) GPU(?: attached to (?:Spot )?Preemptible VMs)?{_PLACE}"
    r"(?: for [13] Years?)?"
)
_NANO = Decimal("1e-9")
_LARGEST_PAGE = 5000


class Rate(NamedTuple):
    """What is paid for: `part` is VCPU or GIB of a family, or the kind of a GPU."""

    part: str
    family: str
    region: str
    market: Market


def rates(clients: Clients) -> dict[Rate, Decimal]:
    """Dollars an hour of everything that machines are made of, as they are now.

    Of two SKUs for the same the dearer one counts: a plan may cost less than it says, not more.
    """
    found: dict[Rate, Decimal] = {}
    for sku in _skus(clients):
        for rate, usd in _rates_of(sku):
            found[rate] = max(usd, found.get(rate, usd))
    return found


def _skus(clients: Clients) -> Iterator[Any]:
    types = clients.billing
    asked = types.ListSkusRequest(
        parent=COMPUTE_ENGINE, currency_code="USD", page_size=_LARGEST_PAGE
    )
    while True:
        with calling("quotes", COMPUTE_ENGINE):
            page = next(iter(clients.call(clients.catalogue.list_skus, asked).pages))
        yield from page.skus
        if not page.next_page_token:
            return
        asked.page_token = page.next_page_token


def _rates_of(sku: Any) -> Iterable[tuple[Rate, Decimal]]:
    market = _MARKETS.get(sku.category.usage_type)
    if market is None or sku.category.resource_family != "Compute":
        return
    what = part_of(sku.description, market)
    usd = _usd_per_hour(sku)
    if what is not None and usd is not None:
        for region in sku.service_regions:
            yield Rate(*what, region, market), usd


def part_of(description: str, market: Market) -> tuple[str, str] | None:
    """Part and family that a description is of, None for what no machine here is made of."""
    is_committed = market in (Market.COMMITMENT_1Y, Market.COMMITMENT_3Y)
    found = _GPU.fullmatch(description)
    if found is not None:
        kind = _GPUS.get(found[1])
        return None if kind is None else (kind, "")
    found = (_COMMITMENT if is_committed else _INSTANCE).fullmatch(description)
    if found is None or " with " in description:
        return None
    family = (_COMMITTED if is_committed else _FAMILIES).get(found[1])
    if not family:
        return None
    return (GIB if found[2] == "Ram" else VCPU), family


def _usd_per_hour(sku: Any) -> Decimal | None:
    """The price of an hour, None where the SKU is not billed by the hour or costs nothing."""
    if not sku.pricing_info:
        return None
    expression = sku.pricing_info[-1].pricing_expression
    if expression.usage_unit not in ("h", "GiBy.h") or not expression.tiered_rates:
        return None
    price = expression.tiered_rates[-1].unit_price
    usd = Decimal(price.units) + Decimal(price.nanos) * _NANO
    return usd if usd > 0 else None
