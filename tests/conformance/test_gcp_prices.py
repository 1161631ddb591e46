"""Google's price list, advice and quotas, read with the real SDK over HTTP."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from costplan.adapters import conformance
from costplan.adapters.gcp.advice import quotes_of, spot_history, uptime_hours
from costplan.adapters.gcp.offers import offers
from costplan.adapters.gcp.prices import GcpPrices, advised_hazards
from costplan.adapters.gcp.quotas import as_limits, region_quotas
from costplan.adapters.gcp.skus import part_of
from costplan.planner.errors import InputError, Unreachable
from costplan.planner.types import Market, OfferKey
from costplan.planner.workload import Quota
from tests.emulators.gcp.billing import sku
from tests.emulators.gcp.faults import Fault
from tests.emulators.gcp.world import SETTINGS, GcpWorld, gcp_world, key, request

SPOT, ON_DEMAND = Market.SPOT, Market.ON_DEMAND
DAYS = [(f"2026-11-{day}T00:00:00Z", f"2026-11-{day + 1}T00:00:00Z") for day in (20, 21)]


@pytest.fixture
def world() -> Iterator[GcpWorld]:
    with gcp_world() as found:
        yield found


def prices(world: GcpWorld, *keys: OfferKey) -> dict[OfferKey, Decimal]:
    feed = GcpPrices(world.clients(), SETTINGS, world.now)
    return {quote.key: quote.usd_per_hour for quote in feed.quotes(keys)}


def test_contract(world: GcpWorld) -> None:
    feed = GcpPrices(world.clients(), SETTINGS, world.now)
    conformance.quotes_are_of_what_was_asked(feed, world.keys)


@pytest.mark.parametrize(
    ("name", "market", "usd"),
    [
        # 4 x 0.03 + 16 x 0.004
        ("n2-standard-4", ON_DEMAND, "0.184"),
        ("n2-standard-4", SPOT, "0.0552"),
        ("n2-standard-4", Market.COMMITMENT_1Y, "0.11592"),
        ("n2-standard-4", Market.COMMITMENT_3Y, "0.0828"),
        # 4 x 0.0316 + 15 x 0.0042, and with a T4
        ("n1-standard-4", ON_DEMAND, "0.1894"),
        ("n1-standard-4-t4x1", ON_DEMAND, "0.5394"),
        ("n1-standard-4-t4x4", SPOT, "0.4803"),
        # 12 x 0.0316 + 85 x 0.0042 + 2.934
        ("a2-highgpu-1g", ON_DEMAND, "3.6702"),
        # 4 x 0.034 + 16 x 0.0045
        ("c2-standard-4", ON_DEMAND, "0.208"),
        # a quarter of a vCPU and a GiB of E2
        ("e2-micro", ON_DEMAND, "0.008"),
    ],
)
def test_a_machine_costs_its_parts(world: GcpWorld, name: str, market: Market, usd: str) -> None:
    wanted = key(name, market=market)
    assert prices(world, wanted) == {wanted: Decimal(usd)}


def test_a_machine_with_a_part_of_unknown_price_has_none(world: GcpWorld) -> None:
    """There is no spot rate of an L4, no rate of a V100 at all, and no such zone."""
    wanted = [
        key("g2-standard-8", market=SPOT),
        key("n1-standard-4-v100x1"),
        key("n2-standard-4", "us-central1-f"),
    ]
    assert prices(world, *wanted) == {}


def test_the_price_list_has_pages_and_the_dearer_of_two_counts(world: GcpWorld) -> None:
    again = "N2 Instance Core running in Americas"
    world.rig.skus.append(sku(0x999, again, "CPU", "OnDemand", 0.05))
    world.rig.skus += [sku(n, f"Licence {n}", "CPU", "OnDemand", 1.0) for n in range(6000)]
    assert prices(world, key()) == {key(): Decimal("0.264")}
    assert world.rig.calls["cloudbilling.services.skus.list"] == 2


def test_a_price_list_that_breaks_off_is_none(world: GcpWorld) -> None:
    world.rig.skus += [sku(n, f"Licence {n}", "CPU", "OnDemand", 1.0) for n in range(6000)]
    page = Fault(method="cloudbilling.services.skus.list", where="pageToken", status=503)
    world.rig.faults.add(page)
    with pytest.raises(Unreachable):
        prices(world, key())


@pytest.mark.parametrize(
    ("description", "market", "part"),
    [
        ("N2 Instance Core running in Americas", ON_DEMAND, ("vcpu", "n2")),
        ("N2D AMD Instance Ram running in Sao Paulo", ON_DEMAND, ("gib", "n2d")),
        ("Spot Preemptible E2 Instance Core running in Virginia", SPOT, ("vcpu", "e2")),
        ("Preemptible N1 Predefined Instance Ram running in EMEA", SPOT, ("gib", "n1")),
        ("Compute optimized Core running in Americas", ON_DEMAND, ("vcpu", "c2")),
        ("Commitment v1: Cpu in Americas for 1 Year", Market.COMMITMENT_1Y, ("vcpu", "n1")),
        ("Commitment v1: E2 Ram in Tokyo for 3 Year", Market.COMMITMENT_3Y, ("gib", "e2")),
        ("Commitment v1: Nvidia L4 GPU running in Iowa for 1 Year", Market.COMMITMENT_1Y,
         ("L4", "")),
        ("Nvidia Tesla A100 80GB GPU running in Americas", ON_DEMAND, ("A100-80GB", "")),
        ("Nvidia Tesla T4 GPU attached to Spot Preemptible VMs running in Iowa", SPOT, ("T4", "")),
        ("N2 Custom Instance Core running in Americas", ON_DEMAND, None),
        ("N2 Custom Extended Instance Ram running in Americas", ON_DEMAND, None),
        ("N2 Sole Tenancy Instance Core running in Americas", ON_DEMAND, None),
        ("Reserved N2 Instance Core in Americas", ON_DEMAND, None),
        ("DWS Defined Duration N2 Instance Core running in Americas", ON_DEMAND, None),
        ("C3 Instance Core running in Americas with Local SSD", ON_DEMAND, None),
        ("Licensing Fee for Windows Server on N2", ON_DEMAND, None),
        ("Micro Instance with burstable CPU running in Americas", ON_DEMAND, None),
    ],
)  # fmt: skip
def test_which_part_a_description_is_of(
    description: str, market: Market, part: tuple[str, str] | None
) -> None:
    assert part_of(description, market) == part


def test_the_hazard_of_spot_is_that_of_the_uptime_or_of_the_history(world: GcpWorld) -> None:
    compute = world.rig.compute
    compute.uptimes["n2-standard-4"] = (0.9, 8 * 3600.0)
    compute.preemptions["n2-standard-8"] = [(*DAYS[0], 0.1), (*DAYS[1], 0.0)]
    hazards = advised_hazards(world.clients(), SETTINGS.project)
    feed = GcpPrices(world.clients(), SETTINGS, world.now, hazards)
    names = ("n2-standard-4", "n2-standard-8", "e2-standard-4")
    wanted = [*(key(name, market=SPOT) for name in names), key()]
    found = {quote.key: quote.hazard_per_hour for quote in feed.quotes(wanted)}
    assert found[wanted[0]] == pytest.approx(math.log(2) / 8)
    assert found[wanted[1]] == pytest.approx(-math.log(0.9) / 48)
    assert (found[wanted[2]], found[wanted[3]]) == (None, 0.0)


def test_the_history_of_a_spot_price(world: GcpWorld) -> None:
    wanted = key(market=SPOT)
    compute = world.rig.compute
    compute.prices["n2-standard-4"] = [(*DAYS[0], 0.05), (*DAYS[1], 0.0615)]
    history = spot_history(world.clients(), SETTINGS.project, wanted)
    assert history is not None
    found = quotes_of(history, wanted)
    assert [quote.usd_per_hour for quote in found] == [Decimal("0.05"), Decimal("0.0615")]
    assert found[0].observed_at == datetime(2026, 11, 20, tzinfo=UTC)
    assert found[0].valid_until == found[1].observed_at


def test_advice_that_is_not_to_be_had_is_no_advice(world: GcpWorld) -> None:
    for method in ("compute.advice.capacity", "compute.advice.capacityHistory"):
        world.rig.faults.add(Fault(method=method, status=400, reason="invalid", times=2))
    clients, wanted = world.clients(), key(market=SPOT)
    assert uptime_hours(clients, SETTINGS.project, wanted) is None
    assert spot_history(clients, SETTINGS.project, wanted) is None
    assert advised_hazards(clients, SETTINGS.project)([wanted]) == {}


def test_advice_that_may_not_be_asked_for_leaves_the_prices(world: GcpWorld) -> None:
    """One refusal is enough: of a hundred offers not each one is asked in vain."""
    world.rig.faults.add(Fault(method="compute.advice.capacity", status=403, times=1000))
    wanted = [key(name, zone, SPOT) for name in ("n2-standard-4", "n2-standard-8", "e2-standard-4",
              "n2d-standard-4", "c2-standard-4", "n2-highmem-4")
              for zone in SETTINGS.zones]  # fmt: skip
    feed = GcpPrices(
        world.clients(), SETTINGS, world.now, advised_hazards(world.clients(), SETTINGS.project)
    )
    found = feed.quotes(wanted)
    assert {quote.hazard_per_hour for quote in found} == {None}
    assert len(found) > 4
    assert world.rig.calls["compute.advice.capacity"] < len(wanted)


def test_quotas_leave_headroom_and_become_limits(world: GcpWorld) -> None:
    quotas = world.rig.project.quotas
    for metric, limit in {"CPUS": 72.0, "N2_CPUS": 20.0, "PREEMPTIBLE_CPUS": 16.0,
                          "INSTANCES": 24.0, "NVIDIA_T4_GPUS": 2.0}.items():  # fmt: skip
        quotas["us-central1", metric] = limit
    stranger, cluster = world.make_stranger()
    stranger.launch(request("theirs", key(), cluster=cluster))
    ours = world.make_provider()
    ours.launch(request("a", key("n2-standard-8")))
    ours.launch(request("b", key(market=SPOT)))
    found = {offer.key: offer.headroom for offer in ours.offers()}
    assert found[key()] == 2  # 20 - 4 - 8 of 4 vCPU
    assert found[key(market=SPOT)] == 3  # 16 - 4
    assert found[key("e2-standard-4")] == 18
    assert found[key("n1-standard-4-t4x2")] == 1
    clients = world.clients()
    known = {"us-central1": region_quotas(clients, SETTINGS.project, "us-central1")}
    limits = as_limits(offers(clients, SETTINGS), known, ours.nodes())
    of_n2 = [one for one in limits if one.instance_types == ("n2-*",)]
    assert of_n2 == [
        # What the others use of the 20 vCPU is taken off, and our 8 are not.
        Quota(provider="gcp", region="us-central1", market=ON_DEMAND, instance_types=("n2-*",),
              vcpu_milli=16_000, name="the project's quota N2_CPUS of 20 vCPU in us-central1"
              " less 4 of other machines")
    ]  # fmt: skip
    spot = [one for one in limits if one.market is SPOT]
    assert [(one.instance_types, one.vcpu_milli) for one in spot] == [((), 16_000)]
    assert [one.nodes for one in limits if one.nodes is not None] == [23]


def test_without_a_spot_quota_spot_counts_against_the_other(world: GcpWorld) -> None:
    world.rig.project.quotas |= {
        ("us-central1", "N2_CPUS"): 9.0, ("us-central1", "PREEMPTIBLE_CPUS"): 0.0,
    }  # fmt: skip
    found = {offer.key: offer.headroom for offer in world.make_provider().offers()}
    assert (found[key(market=SPOT)], found[key("e2-standard-4")]) == (2, None)


def test_without_a_spot_quota_both_are_held_to_one_limit(world: GcpWorld) -> None:
    """Of 20 vCPU 8 are ours: 12 more of either market, not 12 of each."""
    world.rig.project.quotas |= {
        ("us-central1", "N2_CPUS"): 20.0, ("us-central1", "PREEMPTIBLE_CPUS"): 0.0,
    }  # fmt: skip
    ours, clients = world.make_provider(), world.clients()
    ours.launch(request("a", key()))
    ours.launch(request("b", key(market=SPOT)))
    known = {"us-central1": region_quotas(clients, SETTINGS.project, "us-central1")}
    limits = as_limits(offers(clients, SETTINGS), known, ours.nodes())
    assert [one for one in limits if one.instance_types == ("n2-*",)] == [
        Quota(provider="gcp", region="us-central1", instance_types=("n2-*",), vcpu_milli=20_000,
              name="the project's quota N2_CPUS of 20 vCPU in us-central1")
    ]  # fmt: skip


def test_zones_that_are_down_and_types_given_up_are_not_available(world: GcpWorld) -> None:
    world.rig.project.down.add("us-central1-b")
    found = {offer.key: offer for offer in world.make_provider().offers()}
    assert found[key()].available
    assert not found[key(zone="us-central1-b")].available
    assert not found[key("n1-standard-96")].available
    assert found[key("t2a-standard-4")].arch == "arm64"
    assert found[key("a2-highgpu-1g")].resources.gpu_kind == "A100"
    assert not any("metal" in one.instance_type for one in found)
    assert {one.zone for one in found} == set(SETTINGS.zones)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"project": ""}, "gcp.project"), ({"zones": ()}, "no zone"), ({"zones": ("a",)}, "'a' is")],
)
def test_wrong_settings_are_said(changes: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(SETTINGS, **changes)
