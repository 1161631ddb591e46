"""The rules of a fleet as sums over its nodes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from costplan.planner.fleet_limits import Sized, fleet_rows
from costplan.planner.settings import Safety, Settings
from costplan.planner.spread import family_of
from costplan.planner.types import Market
from costplan.planner.workload import Limits, MarketRules, Quota
from tests.fleets import key, rules, spot

FIRM = Sized(key=key("a"), vcpu=4.0, usd_per_hour=Decimal(2))
SPOT = Sized(key=spot("b"), vcpu=8.0, usd_per_hour=Decimal(1))


def quotas(*of: Quota) -> Settings:
    """Under these quotas."""
    return rules(limits=Limits(quotas=of))


@pytest.mark.parametrize(
    ("settings", "most", "firm", "spot_takes"),
    [
        (rules(limits=Limits(max_nodes=7)), 7, 1.0, 1.0),
        (quotas(Quota(market=Market.SPOT, nodes=3)), 3, 0.0, 1.0),
        (quotas(Quota(market=Market.SPOT, vcpu_milli=16_000)), 16.0, 0.0, 8.0),
        (quotas(Quota(instance_types=("a*",), nodes=2)), 2, 1.0, 0.0),
        (quotas(Quota(provider="gcp", nodes=2)), 2, 0.0, 0.0),
        (quotas(Quota(region="us", vcpu_milli=4_000)), 4.0, 4.0, 8.0),
        # spot - 3/4 of all <= 0: three of four vCPU may be spot.
        (rules(market=MarketRules(spot_max_share=0.75)), 0.0, -3.0, 2.0),
        (rules(market=MarketRules(on_demand_base_vcpu_milli=6_000)), -6.0, -4.0, 0.0),
        (rules(market=MarketRules(pool_max_share=0.5)), 0.0, -2.0, 4.0),
    ],
)
def test_what_a_node_takes_of_a_rule(
    settings: Settings, most: float, firm: float, spot_takes: float
) -> None:
    (row,) = fleet_rows(settings, [FIRM.key, SPOT.key])
    assert (row.most, row.take(FIRM), row.take(SPOT)) == (most, firm, spot_takes)


def test_without_rules_there_are_no_rows_and_each_spot_pool_has_its_own() -> None:
    assert fleet_rows(rules(), [SPOT.key]) == ()
    pools = [spot("b"), spot("c"), spot("b"), key("a")]
    rows = fleet_rows(rules(market=MarketRules(pool_max_share=0.5)), pools)
    assert [set(row.members) for row in rows] == [{spot("b")}, {spot("c")}]


def test_zones_and_families_of_spot_have_rows_of_their_own() -> None:
    near, like, far = spot("m5.large"), spot("m5.xlarge"), replace(spot("r5.large"), zone="us-b")
    safety = Safety(max_zone_spot_share=0.5, max_family_spot_share=0.75)
    rows = fleet_rows(rules(safety=safety), [near, like, far, key("m5.large")])
    assert {row.name: (row.share, set(row.members)) for row in rows} == {
        "safety.max_zone_spot_share of aws/us-a": (0.5, {near, like}),
        "safety.max_zone_spot_share of aws/us-b": (0.5, {far}),
        "safety.max_family_spot_share of aws/m5": (0.75, {near, like}),
        "safety.max_family_spot_share of aws/r5": (0.75, {far}),
    }


@pytest.mark.parametrize(
    ("provider", "instance_type", "family"),
    [
        ("aws", "m5.large", "aws/m5"),
        ("aws", "u-12tb1.112xlarge", "aws/u-12tb1"),
        ("gcp", "n2-standard-8", "gcp/n2"),
        ("azure", "Standard_D4s_v5", "azure/Ds_v5"),
        ("azure", "Standard_NC24ads_A100_v4", "azure/NCads_v4"),
        ("azure", "Standard_E64-16s_v3", "azure/Es_v3"),
        ("local", "small.2", "local/small"),
    ],
)
def test_families(provider: str, instance_type: str, family: str) -> None:
    assert family_of(replace(key(instance_type), provider=provider)) == family
