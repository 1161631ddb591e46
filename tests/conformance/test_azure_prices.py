"""Azure's price list, eviction rates, sizes and quotas, read with the real SDK over TLS."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from costplan.adapters import conformance
from costplan.adapters.azure.hazards import hazard_of
from costplan.adapters.azure.names import architecture
from costplan.adapters.azure.offers import families
from costplan.adapters.azure.prices import AzurePrices
from costplan.adapters.azure.quotas import as_limits, usages
from costplan.planner.errors import InputError, Unreachable
from costplan.planner.types import Market, OfferKey, Quote
from costplan.planner.workload import Quota
from tests.emulators.azure.machines import SIZES
from tests.emulators.azure.world import SETTINGS, AzureWorld, azure_world, key, request
from tests.emulators.gcp.faults import Fault

SPOT, ON_DEMAND = Market.SPOT, Market.ON_DEMAND
ONE_YEAR, THREE_YEARS = Market.COMMITMENT_1Y, Market.COMMITMENT_3Y


@pytest.fixture
def world() -> Iterator[AzureWorld]:
    with azure_world() as found:
        found.rig.prices += [*D4, *D8]
        yield found


def row(size: str, usd: str, sku: str = "", **more: Any) -> dict[str, Any]:
    """A row of the price list, as Azure documents one."""
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": float(usd),
        "unitPrice": float(usd),
        "armRegionName": "eastus",
        "location": "US East",
        "effectiveStartDate": "2026-10-01T00:00:00Z",
        "meterName": size,
        "productName": "Virtual Machines Dsv5 Series",
        "skuName": f"{size} {sku}".strip(),
        "serviceName": "Virtual Machines",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": size,
        **more,
    }


def plan(usd: str, term: str) -> dict[str, Any]:
    return {"unitPrice": float(usd), "retailPrice": float(usd), "term": term}


D4 = [
    row("Standard_D4s_v5", "0.192",
        savingsPlan=[plan("0.1306", "1 Year"), plan("0.0886", "3 Years")]),
    row("Standard_D4s_v5", "0.376", productName="Virtual Machines Dsv5 Series Windows"),
    row("Standard_D4s_v5", "0.0384", "Low Priority"),
    row("Standard_D4s_v5", "0.0462", "Spot"),
    row("Standard_D4s_v5", "0.05", "Spot", productName="Virtual Machines Dsv5 Series Windows"),
    row("Standard_D4s_v5", "990", type="Reservation", reservationTerm="1 Year"),
    row("Standard_D4s_v5", "0.1", type="DevTestConsumption"),
    row("Standard_D4s_v5", "0.2", armRegionName="westus2"),
]  # fmt: skip
D8 = [
    row("Standard_D8s_v5", "0.384"),
    row("Standard_D8s_v5", "0.09", "Spot"),
    row("Standard_D8s_v5", "1980.0852", type="Reservation", reservationTerm="1 Year"),
    row("Standard_D8s_v5", "0", type="Reservation", reservationTerm="3 Years"),
]


def quotes(world: AzureWorld, *keys: OfferKey) -> dict[OfferKey, Quote]:
    feed = AzurePrices(world.clients(), world.settings(), world.now)
    return {quote.key: quote for quote in feed.quotes(keys)}


def test_contract(world: AzureWorld) -> None:
    feed = AzurePrices(world.clients(), world.settings(), world.now)
    conformance.quotes_are_of_what_was_asked(feed, world.keys)


@pytest.mark.parametrize(
    ("size", "market", "usd", "source"),
    [
        ("Standard_D4s_v5", ON_DEMAND, "0.192", "azure-retail"),
        ("Standard_D4s_v5", SPOT, "0.0462", "azure-retail"),
        ("Standard_D4s_v5", ONE_YEAR, "0.1306", "azure-savings-plan"),
        ("Standard_D4s_v5", THREE_YEARS, "0.0886", "azure-savings-plan"),
        # 1980.0852 / 8760
        ("Standard_D8s_v5", ONE_YEAR, "0.22603712328767123288", "azure-reservation"),
    ],
)
def test_a_rate_is_that_of_linux_in_the_location(
    world: AzureWorld, size: str, market: Market, usd: str, source: str
) -> None:
    world.rig.largest_page = 3
    wanted = key(size, market=market)
    found = quotes(world, wanted)[wanted]
    assert (round(found.usd_per_hour, 20), found.source) == (Decimal(usd), source)


def test_what_is_not_sold_has_no_price(world: AzureWorld) -> None:
    free = key("Standard_D8s_v5", market=THREE_YEARS)
    elsewhere = replace(key(), region="westus2", zone="westus2-1")
    assert quotes(world, free, elsewhere, key("Standard_E4s_v5")) == {}


def test_a_page_that_fails_leaves_no_half_of_a_list(world: AzureWorld) -> None:
    world.rig.largest_page = 3
    world.rig.faults.add(Fault(method="retailPrices.list", where="skip", status=500))
    with pytest.raises(Unreachable):
        quotes(world, key())


def test_many_sizes_are_asked_for_some_at_a_time_without_a_token(world: AzureWorld) -> None:
    sizes = [f"Standard_D{n}s_v9" for n in range(40)]
    world.rig.prices += [row(size, "0.1") for size in sizes]
    world.rig.tokens_accepted = {"none"}
    assert len(quotes(world, *(key(size) for size in sizes))) == 40
    assert world.rig.calls == {"retailPrices.list": 2}


def test_the_hazard_of_spot_is_its_eviction_rate(world: AzureWorld) -> None:
    world.rig.eviction_rates |= {"Standard_D4s_v5": "5-10", "Standard_D8s_v5": "0-5"}
    found = quotes(world, key(market=SPOT), key("Standard_D8s_v5", market=SPOT), key())
    hazards = {(one.key.instance_type, one.key.market): one.hazard_per_hour
               for one in found.values()}  # fmt: skip
    assert hazards["Standard_D4s_v5", SPOT] == pytest.approx(-math.log(0.925))
    assert hazards["Standard_D8s_v5", SPOT] is None
    assert hazards["Standard_D4s_v5", ON_DEMAND] == 0.0


def test_prices_do_without_eviction_rates(world: AzureWorld) -> None:
    fault = Fault(method="resourceGraph.resources", status=403, reason="AuthorizationFailed")
    world.rig.faults.add(fault)
    spot = key(market=SPOT)
    assert quotes(world, spot)[spot].hazard_per_hour is None


@pytest.mark.parametrize(
    ("band", "hazard"),
    [("0-5", None), ("10-15", 0.1335), ("20+", 0.2549), ("", None), ("unknown", None)],
)
def test_a_band_is_its_middle(band: str, hazard: float | None) -> None:
    assert hazard_of(band) == (None if hazard is None else pytest.approx(hazard, abs=1e-4))


# Sizes and quotas.


def test_sizes_are_offered_as_far_as_they_can_be_planned_with(world: AzureWorld) -> None:
    found = {offer.key: offer for offer in world.make_provider().offers()}
    assert len(found) == 7 * 2 * 2  # without the size that has a sixth of a GPU
    gpu = found[key("Standard_NC4as_T4_v3", market=SPOT)].resources
    assert (gpu.vcpu_milli, gpu.gpus, gpu.gpu_kind) == (4000, 1, "T4")
    assert found[key("Standard_D4ps_v5")].arch == "arm64"
    intel = world.provider(images={"x86_64": SETTINGS.images["x86_64"]}, sizes=("*_D4*", "*_F*"))
    assert {one.key.instance_type for one in intel.offers()} == {
        "Standard_D4s_v5", "Standard_F4s_v2",
    }  # fmt: skip


def test_what_the_subscription_may_not_have_is_marked(world: AzureWorld) -> None:
    reason = {"reasonCode": "NotAvailableForSubscription"}
    world.rig.restrictions = {
        "Standard_D4s_v5": [{"type": "Zone", "restrictionInfo": {"zones": ["1"]}, **reason}],
        "Standard_E4s_v5": [{"type": "Location", "values": ["eastus"], **reason}],
    }
    barred = {one.key for one in world.make_provider().offers() if not one.available}
    assert barred == {
        key(market=SPOT), key(),
        *(key("Standard_E4s_v5", zone, market) for zone in SETTINGS.zones
          for market in (SPOT, ON_DEMAND)),
    }  # fmt: skip


def test_quotas_are_headroom_and_limits_without_what_others_use(world: AzureWorld) -> None:
    world.group.quotas |= {
        "cores": 20, "standardDSv5Family": 10, "lowPriorityCores": 30, "virtualMachines": 9,
    }  # fmt: skip
    provider = world.make_provider()
    provider.launch(request("ours", key()))
    world.provider("theirs").launch(request("t", key(market=SPOT), cluster="theirs"))
    offers = {one.key: one for one in provider.offers()}
    headroom = {
        (size, market): offers[key(size, market=market)].headroom
        for size in ("Standard_D2s_v5", "Standard_E4s_v5")
        for market in (ON_DEMAND, SPOT)
    }
    assert headroom == {
        ("Standard_D2s_v5", ON_DEMAND): 3,
        ("Standard_D2s_v5", SPOT): 7,
        ("Standard_E4s_v5", ON_DEMAND): 4,
        ("Standard_E4s_v5", SPOT): 6,
    }
    clients, settings = world.clients(), world.settings()
    limits = as_limits(
        list(offers.values()),
        families(clients, settings),
        usages(clients, settings),
        provider.nodes(),
    )
    where = {"provider": "azure", "region": "eastus"}
    assert [replace(limit, name="") for limit in limits] == [
        Quota(**where, market=ON_DEMAND, vcpu_milli=20_000),
        Quota(**where, market=SPOT, vcpu_milli=26_000),
        Quota(
            **where, market=ON_DEMAND, vcpu_milli=10_000,
            instance_types=("Standard_D2s_v5", "Standard_D4s_v5", "Standard_D8s_v5"),
        ),
        Quota(**where, nodes=8),
    ]  # fmt: skip
    assert limits[0].name == "the subscription's quota cores of 20 vCPU in eastus"


def test_a_size_says_what_it_runs_on() -> None:
    """The name agrees with what Azure lists, which a launch does not ask for."""
    known = {"x64": "x86_64", "Arm64": "arm64"}
    assert {name: architecture(name) for name in SIZES} == {
        name: known[size.arch] for name, size in SIZES.items()
    }
    assert architecture("Standard_E96-48ads_v5") == "x86_64"
    assert architecture("Standard_E2pds_v6") == "arm64"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"zones": ()}, "azure.zones: names no zone; write one, such as eastus-1"),
        ({"zones": ("eastus2-1",)}, "'eastus2-1' is no zone of eastus; write it as eastus-1"),
        ({"images": {"x86_64": "ubuntu"}}, "'ubuntu' is neither an id nor publisher:offer:sku"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        replace(SETTINGS, **changes)
