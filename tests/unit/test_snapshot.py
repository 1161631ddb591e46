"""The bundled snapshot is fit to plan with: the planner finds every wrong price."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
import pytest

from costplan.adapters.feeds.bundled import bundled_prices
from costplan.adapters.feeds.price_file import PriceList
from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.types import Market
from costplan.planner.units import GIB

NOW = datetime(2026, 8, 2, tzinfo=UTC)
ON_DEMAND, SPOT = MARKETS.index(Market.ON_DEMAND), MARKETS.index(Market.SPOT)


@pytest.fixture(scope="module")
def prices() -> PriceList:
    return bundled_prices(now=NOW)


@pytest.fixture(scope="module")
def catalogue(prices: PriceList) -> Catalogue:
    return prices.catalogue


def rows_of(catalogue: Catalogue, region: str, instance_type: str, market: int) -> list[int]:
    chosen = (
        (catalogue.region.codes == catalogue.region.code_of(region))
        & (catalogue.instance_type.codes == catalogue.instance_type.code_of(instance_type))
        & (catalogue.market == market)
    )
    return [int(row) for row in np.flatnonzero(chosen)]


def test_all_three_clouds_are_there_without_gaps(prices: PriceList) -> None:
    assert prices.gaps == ()
    assert len(prices.catalogue) > 80_000
    assert prices.catalogue.provider.names == ("aws", "azure", "gcp")


# Public on-demand list prices, vCPU and GiB.
WELL_KNOWN = [
    ("us-east-1", "m5.large", 0.096, 2, 8),
    ("us-east-1", "c5.xlarge", 0.17, 4, 8),
    ("us-east-1", "r5.2xlarge", 0.504, 8, 64),
    ("us-east-1", "m7g.xlarge", 0.1632, 4, 16),
    ("us-east-1", "c7i.4xlarge", 0.714, 16, 32),
    ("us-west-2", "m6i.4xlarge", 0.768, 16, 64),
    ("eu-west-1", "m5.xlarge", 0.214, 4, 16),
    ("us-east-1", "g4dn.xlarge", 0.526, 4, 16),
    ("us-east-1", "g5.xlarge", 1.006, 4, 16),
    ("us-east-1", "g6.12xlarge", 4.6016, 48, 192),
    ("us-central1", "n2-standard-4", 0.194236, 4, 16),
    ("us-east1", "n2-standard-4", 0.194236, 4, 16),
    ("us-central1", "e2-standard-4", 0.134023, 4, 16),
    ("us-central1", "n1-standard-1", 0.0475, 1, 3.75),
    ("us-central1", "c2-standard-8", 0.417616, 8, 32),
    ("eastus", "Standard_D4s_v3", 0.192, 4, 16),
    ("eastus", "Standard_F8s_v2", 0.338, 8, 16),
    ("eastus", "Standard_E8s_v4", 0.504, 8, 64),
    ("westus2", "Standard_NC4as_T4_v3", 0.526, 4, 28),
]


@pytest.mark.parametrize(("region", "name", "usd", "vcpu", "gib"), WELL_KNOWN)
def test_well_known_prices(
    catalogue: Catalogue, region: str, name: str, usd: float, vcpu: int, gib: float
) -> None:
    rows = rows_of(catalogue, region, name, ON_DEMAND)
    assert rows
    for row in rows:
        assert float(catalogue.quote(row).usd_per_hour) == pytest.approx(usd, rel=1e-3)
        assert catalogue.vcpu_milli[row] == vcpu * 1000
        assert catalogue.memory_bytes[row] == pytest.approx(gib * GIB)


@pytest.mark.parametrize(
    ("region", "name", "gpus", "kind"),
    [
        ("us-east-1", "g4dn.xlarge", 1, "T4"),
        ("us-east-1", "g5.48xlarge", 8, "A10G"),
        ("us-east-1", "p4d.24xlarge", 8, "A100"),
        ("us-east-1", "p4de.24xlarge", 8, "A100-80GB"),
        ("westus2", "Standard_NC64as_T4_v3", 4, "T4"),
    ],
)
def test_well_known_gpus(
    catalogue: Catalogue, region: str, name: str, gpus: int, kind: str
) -> None:
    resources = catalogue.offer(rows_of(catalogue, region, name, ON_DEMAND)[0]).resources
    assert (resources.gpus, resources.gpu_kind) == (gpus, kind)


def test_prices_are_in_a_sensible_range_per_vcpu(catalogue: Catalogue) -> None:
    per_vcpu = catalogue.price_pico / 1e12 / (catalogue.vcpu_milli / 1000)
    plain = (catalogue.market == ON_DEMAND) & (catalogue.gpus == 0)
    assert per_vcpu[catalogue.market == ON_DEMAND].min() > 0.001
    assert per_vcpu[plain].max() < 0.7
    assert 0.03 < np.median(per_vcpu[plain]) < 0.08
    assert per_vcpu.min() > 0.0004


def test_spot_is_cheaper_than_on_demand_and_always_an_estimate(catalogue: Catalogue) -> None:
    spot = catalogue.market == SPOT
    assert catalogue.is_estimate[spot].all()
    assert np.isnan(catalogue.hazard_per_hour[spot]).all()
    assert (catalogue.hazard_per_hour[~spot] == 0).all()
    places = np.column_stack(
        [c.codes for c in (catalogue.provider, catalogue.region, catalogue.zone)]
        + [catalogue.instance_type.codes]
    )
    on_demand = {
        tuple(place): int(pico)
        for place, pico in zip(
            places[~spot].tolist(), catalogue.price_pico[~spot].tolist(), strict=True
        )
    }
    pairs = [
        (int(pico), on_demand[tuple(place)])
        for place, pico in zip(
            places[spot].tolist(), catalogue.price_pico[spot].tolist(), strict=True
        )
        if tuple(place) in on_demand
    ]
    assert len(pairs) > 0.99 * spot.sum()
    assert all(0.05 * whole < part <= whole for part, whole in pairs)


def test_a_type_is_the_same_machine_everywhere(catalogue: Catalogue) -> None:
    machines: dict[str, set[tuple[int, int, int, int, int]]] = defaultdict(set)
    columns = (
        catalogue.vcpu_milli,
        catalogue.memory_bytes,
        catalogue.gpus,
        catalogue.gpu_kind.codes,
        catalogue.arch.codes,
    )
    for code, machine in zip(
        catalogue.instance_type.codes.tolist(),
        zip(*(column.tolist() for column in columns), strict=True),
        strict=True,
    ):
        machines[catalogue.instance_type.names[code]].add(machine)
    assert {name for name, seen in machines.items() if len(seen) > 1} == set()


def test_gpus_and_kinds_stand_together(catalogue: Catalogue) -> None:
    assert ((catalogue.gpus > 0) == (catalogue.gpu_kind.codes >= 0)).all()
    assert set(catalogue.gpus[catalogue.gpus > 0].tolist()) <= {1, 2, 4, 8, 16}


def test_a_price_agrees_between_regions(catalogue: Catalogue) -> None:
    by_type: dict[int, list[int]] = defaultdict(list)
    chosen = catalogue.market == ON_DEMAND
    for code, pico in zip(
        catalogue.instance_type.codes[chosen].tolist(),
        catalogue.price_pico[chosen].tolist(),
        strict=True,
    ):
        by_type[code].append(pico)
    for code, picos in by_type.items():
        middle = np.median(picos)
        assert min(picos) > 0.5 * middle, catalogue.instance_type.names[code]
        assert max(picos) < 3 * middle, catalogue.instance_type.names[code]


def test_zones_belong_to_their_regions_and_only_aws_has_them(catalogue: Catalogue) -> None:
    aws = catalogue.provider.codes == catalogue.provider.code_of("aws")
    assert (catalogue.zone.codes[~aws] == -1).all()
    pairs = set(
        zip(catalogue.region.codes[aws].tolist(), catalogue.zone.codes[aws].tolist(), strict=True)
    )
    for region, zone in pairs:
        name = catalogue.zone.names[zone]
        assert re.fullmatch(re.escape(catalogue.region.names[region]) + "[a-f]", name)


def test_ages_are_those_of_the_data(catalogue: Catalogue) -> None:
    newest = datetime.fromtimestamp(int(catalogue.observed_at.max()), UTC)
    oldest = datetime.fromtimestamp(int(catalogue.observed_at.min()), UTC)
    assert (newest.year, oldest.year) == (2025, 2020)
