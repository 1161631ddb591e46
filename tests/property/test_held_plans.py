"""Plans with commitments: never dearer than what was proven, and as the provider bills them.

The oracle tries every fleet and has each billed by `commitments/bill.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.catalogue import Catalogue
from costplan.planner.commitments.values import (
    PROVIDERS,
    SPEND_KINDS,
    Commitment,
    Kind,
    Product,
)
from costplan.planner.held.machines import SERVICES, Machine, Tariff, machine_at
from costplan.planner.held.price import fleet_cover
from costplan.planner.held.values import Held, MachineRate
from costplan.planner.plan import Infeasible, Recommendation
from costplan.planner.types import Market
from costplan.planner.workload import Where, Workload
from tests.property.test_solve import answer
from tests.worlds import Row, catalogue, shape, workload

CLOSE = Decimal("1e-6")
MOST_NODES = 4
REGION, ZONE = "us-east-1", "us-east-1a"
AWS = (("m5.large", 2, 8), ("m5.xlarge", 4, 16), ("m5.2xlarge", 8, 32), ("c5.xlarge", 4, 8))
GCP = (("n2-standard-2", 2, 8), ("n2-highmem-2", 2, 16), ("n2-standard-4", 4, 16))
AZURE = (("Standard_D2s_v3", 2, 8), ("Standard_D4s_v3", 4, 16), ("Standard_E2s_v3", 2, 16))
some = settings(max_examples=40, deadline=None, derandomize=True)
few = settings(max_examples=15, deadline=None, derandomize=True)


def price_list(provider: str, usd: Sequence[int], spot: Sequence[int]) -> Catalogue:
    """Three or four types of a cloud, on demand and some of them on spot, in thousandths of a
    dollar; those of Google Cloud are the sum of their parts."""
    types = {"aws": AWS, "gcp": GCP, "azure": AZURE}[provider]
    rows = []
    for place, (name, vcpu, gib) in enumerate(types):
        price = usd[place] * vcpu if provider != "gcp" else usd[0] * vcpu + usd[1] * gib
        for market, each in ((Market.ON_DEMAND, price), (Market.SPOT, spot[place] * vcpu)):
            if each:
                rows.append(
                    Row(
                        instance_type=name, vcpu=vcpu, gib=gib, usd=f"{each / 1000:.3f}",
                        market=market, provider=provider, region=REGION, zone=ZONE, hazard=0,
                    )
                )  # fmt: skip
    return catalogue(rows)


def committed(
    draw: st.DrawFn, provider: str
) -> tuple[tuple[Commitment, ...], tuple[MachineRate, ...]]:
    """One to three commitments of a cloud and rates of its plans."""
    count = st.integers(1, 6).map(lambda n: Fraction(n, 2))
    found = []
    names = [name for name, _, _ in {"aws": AWS, "gcp": GCP, "azure": AZURE}[provider]]
    for place in range(draw(st.integers(1, 3))):
        kind = draw(
            st.sampled_from(
                {
                    "aws": (
                        Kind.REGIONAL_RI, Kind.ZONAL_RI, Kind.EC2_INSTANCE_SP, Kind.COMPUTE_SP,
                        Kind.CAPACITY_RESERVATION,
                    ),
                    "gcp": (Kind.RESOURCE_CUD, Kind.FLEXIBLE_CUD),
                    "azure": (Kind.AZURE_RESERVATION, Kind.AZURE_SAVINGS_PLAN),
                }[provider]
            )
        )  # fmt: skip
        found.append(commitment(kind, f"c{place}", draw(st.sampled_from(names)), draw(count)))
    rates = tuple(
        MachineRate(
            provider=provider,
            instance_type=name,
            region="",
            rates={
                kind: Fraction(draw(st.integers(1, 40)), 100)
                for kind in ("compute_sp", "ec2_instance_sp", "azure_savings_plan")
            },
        )
        for name in names
        if draw(st.booleans())
    )
    return tuple(found), rates


def commitment(kind: Kind, name: str, instance_type: str, amount: Fraction) -> Commitment:
    """So much of a kind, for machines like one of a type."""
    provider = PROVIDERS.get(kind, "aws")
    family = instance_type.partition(".")[0]
    part = "memory" if "highmem" in instance_type else "vcpu"
    machines = Product(
        provider=provider,
        service=SERVICES[provider],
        region=REGION,
        zone=ZONE if kind in (Kind.ZONAL_RI, Kind.CAPACITY_RESERVATION) else "",
        instance_type=instance_type,
    )
    of = {
        Kind.EC2_INSTANCE_SP: Product(provider="aws", region=REGION, family=family),
        Kind.RESOURCE_CUD: Product(
            provider="gcp", region=REGION, machine_series="n2", resource=part
        ),
    }
    if kind in SPEND_KINDS:
        return Commitment(
            commitment_id=name,
            kind=kind,
            product=of.get(kind, Product(provider=provider)),
            usd_per_hour=amount / 4,
            discount=Fraction(28, 100) if kind is Kind.FLEXIBLE_CUD else None,
        )
    return Commitment(
        commitment_id=name,
        kind=kind,
        product=of.get(kind, machines),
        count=amount * 4 if kind is Kind.RESOURCE_CUD else amount,
        usd_per_hour=Fraction(1, 50),
    )


@st.composite
def held_worlds(draw: st.DrawFn) -> tuple[Catalogue, Workload]:
    """A price list of one cloud, workers of one or two shapes, and commitments."""
    provider = draw(st.sampled_from(("aws", "aws", "gcp", "azure")))
    cents = st.integers(20, 90)
    prices = price_list(
        provider,
        [draw(cents) for _ in range(4)],
        [draw(st.sampled_from((0, 0, 15, 30, 60))) for _ in range(4)],
    )
    commitments, rates = committed(draw, provider)
    wanted = workload(
        shape("a", draw(st.integers(1, 4)), 2, 4),
        where=Where(single_region=draw(st.booleans())),
        held=Held(commitments=commitments, rates=rates),
    )
    return prices, wanted


def holds(machine: Machine) -> int:
    """Workers of 2 vCPU and 4 GiB that a machine holds."""
    return int(min(machine.vcpu_milli // 2000, machine.memory_bytes // 2**32))


def cheapest_as_billed(prices: Catalogue, wanted: Workload) -> Fraction | None:
    """The least that any fleet of a few nodes adds to the bill."""
    machines = [machine_at(prices, row) for row in range(len(prices))]
    tariff, best = Tariff(prices, wanted.held), None
    for counts in itertools.product(range(MOST_NODES + 1), repeat=len(machines)):
        if sum(counts) > MOST_NODES:
            continue
        places = sum(n * holds(m) for n, m in zip(counts, machines, strict=True))
        if places < wanted.shapes[0].count:
            continue
        fleet = [(m, n) for m, n in zip(machines, counts, strict=True) if n]
        listed = sum((n * m.usd_per_hour for m, n in fleet), Fraction(0))
        usd = listed - fleet_cover(fleet, tariff).saved_usd
        best = usd if best is None else min(best, usd)
    return best


@some
@given(held_worlds())
def test_no_fleet_is_billed_less_than_the_plan(world: tuple[Catalogue, Workload]) -> None:
    prices, wanted = world
    best = cheapest_as_billed(prices, wanted)
    found = answer(prices, wanted)
    assert isinstance(found, Recommendation)
    assert best is not None
    least = Decimal(best.numerator) / best.denominator
    assert found.lower_bound_usd_per_hour <= least + CLOSE
    assert abs(found.expected_usd_per_hour - least) <= CLOSE
    assert found.held is not None
    paid = sum((each.nodes * each.usd_per_hour_each for each in found.held.nodes), Decimal(0))
    assert abs(paid - found.usd_per_hour) < Decimal("1e-9")


@some
@given(held_worlds(), st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_cover_is_no_more_than_use_and_commitment_and_its_order_is_nothing(
    world: tuple[Catalogue, Workload], counts: list[int]
) -> None:
    prices, wanted = world
    pairs = zip(range(len(prices)), counts, strict=False)
    fleet = [(machine_at(prices, row), nodes) for row, nodes in pairs if nodes]
    cover = fleet_cover(fleet, Tariff(prices, wanted.held))
    listed = sum((nodes * machine.usd_per_hour for machine, nodes in fleet), Fraction(0))
    assert 0 <= cover.saved_usd <= listed
    left = sum((each.nodes * each.usd_per_hour_each for each in cover.nodes), Fraction(0))
    assert left == listed - cover.saved_usd
    for machine, nodes in fleet:
        parts = cover.of(machine.key)
        assert sum(part.nodes for part in parts) == nodes
        assert all(0 <= part.usd_per_hour_each <= machine.usd_per_hour for part in parts)
        is_spot = machine.key.market is Market.SPOT
        assert not is_spot or not any(part.commitments for part in parts)
    amounts = {each.commitment_id: each.capacity for each in wanted.held.commitments}
    assert all(0 <= use.used_quantity <= amounts[use.commitment_id] for use in cover.uses)
    back = replace(wanted.held, commitments=wanted.held.commitments[::-1])
    assert fleet_cover(fleet[::-1], Tariff(prices, back)).saved_usd == cover.saved_usd


@few
@given(held_worlds(), st.integers(1, 100))
def test_a_budget_counts_what_commitments_leave_to_be_paid(
    world: tuple[Catalogue, Workload], cents: int
) -> None:
    prices, wanted = world
    limited = replace(wanted, budget_pico_per_hour=cents * 10**9)
    best = cheapest_as_billed(prices, wanted)
    found = answer(prices, limited)
    assert best is not None
    if isinstance(found, Infeasible):
        assert best * 1000 > cents
    else:
        assert found.usd_per_hour * 1000 <= cents
