"""Which offers a workload may use: each rule alone, what it counts, and their order."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from costplan.planner.optimize.offers import candidates, matching
from costplan.planner.types import Market
from costplan.planner.workload import Machines, MarketRules, Where, Workload
from tests.worlds import Row, catalogue, shape, workload

FIRM = Row(instance_type="m.large")
SPOT = replace(FIRM, market=Market.SPOT, usd="0.04", hazard=0.01)
WEST = replace(FIRM, region="us-west-2", zone="us-west-2a")
GCP = Row(instance_type="n2-standard-2", provider="gcp", region="us-central1", zone="")


def used(rows: list[Row], **rules: object) -> tuple[list[int], dict[str, int]]:
    """The rows that a workload may use, and how many each rule took away."""
    chosen = candidates(catalogue(rows), workload(shape(), **rules))
    return chosen.rows.tolist(), dict(chosen.left_out)


def test_without_rules_everything_is_used() -> None:
    assert used([FIRM, SPOT, WEST, GCP]) == ([0, 1, 2, 3], {})


@pytest.mark.parametrize(
    ("where", "left"),
    [
        (Where(providers=("gcp",)), [3]),
        (Where(regions=MappingProxyType({"aws": ("us-west-2",)})), [2, 3]),
        (Where(providers=("aws",), regions=MappingProxyType({"aws": ("us-west-2",)})), [2]),
        (Where(regions=MappingProxyType({"azure": ("eastus",)})), [0, 1, 2, 3]),
        (Where(providers=("oracle",)), []),
    ],
)
def test_clouds_and_regions(where: Where, left: list[int]) -> None:
    """A cloud whose regions are not named may use all of them."""
    rows, why = used([FIRM, SPOT, WEST, GCP], where=where)
    assert rows == left
    assert sum(why.values()) == 4 - len(left)
    assert set(why) <= {"clouds and regions not asked for"}


def test_markets() -> None:
    term = replace(FIRM, market=Market.COMMITMENT_1Y)
    assert used([FIRM, SPOT, term]) == ([0, 1], {"markets not allowed": 1})
    spot = MarketRules(allow=(Market.SPOT,))
    assert used([FIRM, SPOT, term], market=spot) == ([1], {"markets not allowed": 2})


def test_architectures() -> None:
    arm = replace(FIRM, instance_type="m6g.large", arch="arm64")
    assert used([FIRM, arm]) == ([0], {"other CPU architectures": 1})
    assert used([FIRM, arm], machines=Machines(arch=("arm64", "x86_64")))[0] == [0, 1]


def test_exclude_wins_over_include() -> None:
    rows = [replace(FIRM, instance_type=name) for name in ("m5.large", "m5.metal", "c5.large")]
    rule = Machines(include=("m5.*",), exclude=("*.metal",))
    assert used(rows, machines=rule) == ([0], {"machine types not included or excluded": 2})
    assert used(rows, machines=Machines(exclude=("m5*",)))[0] == [2]


def test_patterns_match_whole_names_and_their_case() -> None:
    names = ("m5.large", "m5a.large", "M5.large", "xm5.large")
    assert matching(names, ("m5.*",)).tolist() == [True, False, False, False]
    assert matching(names, ()).tolist() == [False] * 4


@pytest.mark.parametrize(
    ("provider", "name", "burstable"),
    [
        ("aws", "t3.large", True),
        ("aws", "t3a.small", True),
        ("aws", "t4g.micro", True),
        ("aws", "trn1.2xlarge", False),
        ("azure", "Standard_B2s", True),
        ("azure", "Standard_D2s_v5", False),
        ("gcp", "e2-medium", True),
        ("gcp", "e2-standard-2", False),
        ("gcp", "t3.large", False),
    ],
)
def test_burstable_types_are_used_only_where_asked_for(
    provider: str, name: str, burstable: bool
) -> None:
    row = replace(FIRM, provider=provider, instance_type=name)
    expected = ([], {"burstable machine types": 1}) if burstable else ([0], {})
    assert used([row]) == expected
    assert used([row], machines=Machines(burstable=True)) == ([0], {})


def test_the_most_vcpu_is_allowed_itself() -> None:
    rows = [replace(FIRM, instance_type=f"m{n}", vcpu=n) for n in (2, 4, 4.5, 8)]
    assert used(rows, machines=Machines(max_vcpu=4)) == ([0, 1], {"above max_vcpu": 2})
    assert used(rows, machines=Machines(max_vcpu=4.5))[0] == [0, 1, 2]


def test_an_unknown_hazard_counts_as_its_prior() -> None:
    """The middle of AWS is 0.075 / 730 = 0.000103 an hour, of Azure 0.01, of others 0.01."""
    unknown = [
        replace(SPOT, provider=name, hazard=None) for name in ("aws", "gcp", "azure", "oracle")
    ]
    rule = MarketRules(max_hazard_per_hour=0.005)
    rows, why = used([SPOT, FIRM, *unknown], market=rule)
    assert rows == [1, 2, 3]
    assert why == {"above max_hazard_per_hour": 3}
    assert used([SPOT], market=MarketRules(max_hazard_per_hour=0.01))[0] == [0]


def test_on_demand_machines_have_no_hazard_whatever_the_list_says() -> None:
    row = replace(FIRM, hazard=0.5)
    assert used([row], market=MarketRules(max_hazard_per_hour=0.0))[0] == [0]


def prices(*usd: str, **more: object) -> list[Row]:
    """The same machine in as many regions, at these prices."""
    return [
        replace(FIRM, usd=each, region=f"r{n}", zone=f"r{n}a", **more)  # type: ignore[arg-type]
        for n, each in enumerate(usd)
    ]


def test_prices_too_low_to_be_true_are_left_out() -> None:
    """A fifth of the median of $0.10 is $0.02: $0.0199 is below it, $0.02 is not."""
    rows = prices("0.10", "0.11", "0.02", "0.10", "0.0199")
    assert used(rows) == ([0, 1, 2, 3], {"prices too low to be true": 1})
    assert used(rows, machines=Machines(suspect_share=0)) == ([0, 1, 2, 3, 4], {})


def test_prices_are_compared_within_a_market_and_a_cloud() -> None:
    """Spot at a tenth of on-demand is cheap, and not suspect."""
    rows = [
        *prices("0.10", "0.10"),
        *prices("0.01", "0.01", market=Market.SPOT),
        *prices("0.001", "0.001", provider="gcp"),
    ]
    assert used(rows)[0] == [0, 1, 2, 3, 4, 5]


def test_prices_are_compared_with_regions_that_are_not_asked_for() -> None:
    """What is usual is so everywhere: one wrong price is found where it stands alone."""
    rows = prices("0.10", "0.10", "0.001")
    here = Where(regions=MappingProxyType({"aws": ("r2",)}))
    assert used(rows, where=here) == (
        [],
        {"clouds and regions not asked for": 2, "prices too low to be true": 1},
    )


def test_a_row_is_counted_by_the_first_rule_that_takes_it() -> None:
    arm = replace(SPOT, provider="gcp", arch="arm64", instance_type="t2a-standard-2")
    wanted: Workload = workload(
        shape(), where=Where(providers=("aws",)), market=MarketRules(allow=(Market.ON_DEMAND,))
    )
    chosen = candidates(catalogue([FIRM, SPOT, arm]), wanted)
    assert chosen.rows.tolist() == [0]
    assert chosen.left_out == (
        ("clouds and regions not asked for", 1),
        ("markets not allowed", 1),
    )
