"""Disks, addresses and bytes in a plan: figures that a reader can check by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.errors import InputError
from costplan.planner.place import node_extras, rate
from costplan.planner.place_rates import DISK_KINDS, LIST_RATES, Charge, PlaceRate
from costplan.planner.plan import Infeasible, Recommendation
from costplan.planner.recommend import recommend
from costplan.planner.types import Market
from costplan.planner.units import GIB, pico_from_usd
from costplan.planner.where import check_place
from costplan.planner.workload import DataSource, Extras, Where, Workload
from tests.worlds import Row, catalogue, shape, workload

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Row(instance_type="m5.large", usd="0.10")
NEXT_ZONE = replace(HERE, zone="us-east-1b", usd="0.09")
OHIO = replace(HERE, region="us-east-2", zone="us-east-2a", usd="0.08")
IOWA = replace(HERE, provider="gcp", region="us-central1", zone="us-central1-a", usd="0.02")
DATA = DataSource(provider="aws", region="us-east-1", zone="", read_bytes=100 * GIB)
TEN_HOURS = 36_000


def ask(rows: list[Row], count: int = 20, **rules: Any) -> Recommendation | Infeasible:
    """What is said of `count` workers of 1 vCPU, two of which fill a machine."""
    wanted = workload(shape(count=count), **rules)
    return recommend(
        catalogue(rows), wanted, price_name="made up", price_digest="0", price_gaps=(),
        created_at=NOW,
    )  # fmt: skip


def plan(rows: list[Row], count: int = 20, **rules: Any) -> Recommendation:
    """The plan where there has to be one."""
    found = ask(rows, count, **rules)
    assert isinstance(found, Recommendation)
    return found


@pytest.mark.parametrize(
    ("provider", "region", "market", "disk", "address"),
    [
        ("aws", "us-east-1", Market.SPOT, "0.005479452055", "0.005"),  # 50 x 0.08 / 730
        ("aws", "eu-central-1", Market.SPOT, "0.006520547945", "0.005"),
        ("gcp", "us-central1", Market.ON_DEMAND, "0.006849315068", "0.005"),
        ("gcp", "us-central1", Market.SPOT, "0.006849315068", "0.0025"),
        ("azure", "eastus", Market.SPOT, "0.006575342466", "0.005"),  # billed as 64 GiB
    ],
)
def test_what_a_node_has_beside_its_machine(
    provider: str, region: str, market: Market, disk: str, address: str
) -> None:
    extras = Extras(root_disk_bytes=50 * GIB, public_ip=True)
    found = node_extras(extras, provider, region, market)
    assert found.disk_pico == pico_from_usd(disk)
    assert found.address_pico == pico_from_usd(address)


def test_every_cloud_has_every_rate_in_every_region() -> None:
    """The last row of each cloud and charge is of all places, so nothing is free by omission."""
    for provider in DISK_KINDS:
        for charge in Charge:
            last = [r for r in LIST_RATES if (r.provider, r.charge) == (provider, charge)][-1]
            assert (last.regions, last.to, last.market) == ("*", "*", None)
            assert last.source.startswith("https://")


def test_bytes_between_regions_are_charged_by_where_they_leave_and_go() -> None:
    def usd(provider: str, region: str, to: str) -> str:
        found = rate((), provider, Charge.BETWEEN_REGIONS, region, to=to)
        assert found is not None
        return str(found.usd)

    assert usd("aws", "us-east-1", "us-east-2") == "0.01"
    assert usd("aws", "us-east-1", "eu-west-1") == "0.02"
    assert usd("aws", "sa-east-1", "us-east-1") == "0.138"
    assert usd("gcp", "us-central1", "us-east1") == "0.02"
    assert usd("gcp", "us-central1", "europe-west1") == "0.05"
    assert usd("gcp", "us-central1", "southamerica-east1") == "0.14"
    assert usd("azure", "eastus", "westus2") == "0.02"
    assert usd("azure", "eastus", "westeurope") == "0.05"
    assert usd("azure", "brazilsouth", "eastus") == "0.16"


def test_disks_and_addresses_are_billed_with_the_machines_and_the_budget_counts_them() -> None:
    extras = Extras(root_disk_bytes=50 * GIB, public_ip=True)
    found = plan([HERE], extras=extras)
    assert found.place is not None
    assert found.place.disks_usd_per_hour == Decimal("0.054794520550")
    assert found.place.addresses_usd_per_hour == Decimal("0.05")
    assert found.usd_per_hour == Decimal("1.104794520550")
    enough = {"budget_pico_per_hour": pico_from_usd("1.104794520550")}
    assert isinstance(ask([HERE], extras=extras, **enough), Recommendation)
    short = {"budget_pico_per_hour": pico_from_usd("1.1047")}
    assert isinstance(ask([HERE], extras=extras, **short), Infeasible)


def test_a_machine_with_a_disk_each_makes_fewer_larger_ones_worth_it() -> None:
    """Ten of $0.10 or five of $0.202: with $0.02 of disk each, five cost $1.11 and ten $1.20."""
    large = replace(HERE, instance_type="m5.xlarge", vcpu=4, gib=16, usd="0.202")
    own = PlaceRate(provider="aws", charge=Charge.ROOT_DISK, usd=Decimal("0.292"), source="ours")
    extras = Extras(root_disk_bytes=50 * GIB, rates=(own,))
    assert plan([HERE, large]).pools[0].pool.key == HERE.key
    found = plan([HERE, large], extras=extras)
    assert found.pools[0].pool.key == large.key
    assert found.usd_per_hour == Decimal("1.11")


def test_data_keeps_the_fleet_where_it_lies_until_machines_elsewhere_are_cheap_enough() -> None:
    """100 GiB to Ohio cost $1 once, $0.10 an hour for ten; Ohio's machines save $0.20 or $0.08."""
    where, read = Where(data=DATA), {"duration_seconds": TEN_HOURS}
    away = plan([HERE, OHIO], where=where, **read)
    assert away.site == "aws/us-east-2"
    assert away.usd_per_hour == Decimal("0.80")
    assert away.expected_usd_per_hour == Decimal("0.90")
    assert away.total_usd == Decimal("9.00")
    assert away.place is not None
    assert (away.place.read_usd, away.place.read_usd_per_hour) == (1, Decimal("0.1"))
    assert away.termination == "optimal"
    home = plan([HERE, replace(OHIO, usd="0.092")], where=where, **read)
    assert home.site == "aws/us-east-1"
    assert home.expected_usd_per_hour == home.usd_per_hour == Decimal("1.00")
    assert home.runner_up is not None
    assert home.runner_up.expected_usd_per_hour == Decimal("1.02")
    assert home.place is not None
    assert [(each.place, each.least_usd) for each in home.place.elsewhere] == [
        ("aws/us-east-1", 0), ("another region of aws", 1),
    ]  # fmt: skip


def test_another_cloud_pays_what_leaves_the_datas_cloud_for_the_internet() -> None:
    """100 GiB x $0.09 over ten hours is $0.90 an hour: more than a cheaper cloud saves."""
    found = plan([HERE, IOWA], where=Where(data=DATA), duration_seconds=TEN_HOURS)
    assert found.site == "aws/us-east-1"
    assert found.runner_up is not None
    assert found.runner_up.expected_usd_per_hour == Decimal("1.10")


def test_workers_that_talk_stay_in_a_zone_where_a_spread_saves_less() -> None:
    """A base on demand is in zone a, spot in zone b: halves that send 10 GiB an hour pay half of
    it at $0.02, $0.10 an hour; all in zone a is $0.09 dearer."""
    spot = replace(NEXT_ZONE, usd="0.05", market=Market.SPOT)
    near = replace(HERE, usd="0.068", market=Market.SPOT)
    rows = [HERE, spot, near]
    half = {"market": replace(workload(shape()).market, spot_max_share=0.5)}
    quiet = plan(rows, where=Where(), **half)
    assert {pool.pool.key.zone for pool in quiet.pools} == {"us-east-1a", "us-east-1b"}
    talk = Where(traffic_bytes_per_hour=10 * GIB)
    found = plan(rows, where=talk, **half)
    assert {pool.pool.key.zone for pool in found.pools} == {"us-east-1a"}
    assert found.usd_per_hour == Decimal("0.84")
    assert found.lower_bound_usd_per_hour == Decimal("0.75")
    assert found.termination == "steps"
    assert found.runner_up is not None
    assert found.runner_up.expected_usd_per_hour == Decimal("0.85")
    assert found.place is not None
    assert found.place.traffic_usd_per_hour == 0
    little = plan(rows, where=replace(talk, traffic_bytes_per_hour=GIB), **half)
    assert little.usd_per_hour == Decimal("0.76")
    assert little.place is not None
    assert little.place.traffic_usd_per_hour == Decimal("0.01")


def test_a_budget_is_not_passed_by_traffic_alone() -> None:
    half = {"market": replace(workload(shape()).market, spot_max_share=0.5)}
    rows = [HERE, replace(NEXT_ZONE, usd="0.05", market=Market.SPOT)]
    talk = Where(traffic_bytes_per_hour=10 * GIB)
    budget = {"budget_pico_per_hour": pico_from_usd("0.80")}
    found = ask(rows, where=talk, **half, **budget)
    assert isinstance(found, Infeasible)
    (conflict,) = found.conflicts
    assert conflict.limit == "budget.usd_per_hour"
    assert "raise budget.usd_per_hour to 0.85" in conflict.remedy


def test_a_zone_that_nobody_names_is_said() -> None:
    anywhere = replace(HERE, zone="", usd="0.05", market=Market.SPOT)
    half = {"market": replace(workload(shape()).market, spot_max_share=0.5)}
    found = plan([HERE, anywhere], where=Where(traffic_bytes_per_hour=GIB), **half)
    assert [gap.subject for gap in found.gaps if gap.kind == "traffic"] == [
        "workers in aws/us-east-1"
    ]
    assert found.usd_per_hour == Decimal("0.75")


def wanted(**rules: Any) -> Workload:
    """A workload for a list of machines that no cloud in the list of rates has."""
    return workload(shape(), **rules)


def test_what_nobody_lists_a_rate_of_is_refused() -> None:
    rows = catalogue([replace(HERE, provider="ours")])
    check_place(rows, wanted(), "w.yaml")
    with pytest.raises(InputError) as caught:
        check_place(rows, wanted(extras=Extras(public_ip=True)), "w.yaml")
    assert str(caught.value) == (
        "w.yaml: place_rates: no rate of public_ip is known of ours; "
        "add {provider: ours, public_ip: DOLLARS}, or leave ours out"
    )
    own = PlaceRate(provider="ours", charge=Charge.PUBLIC_IP, usd=Decimal(0), source="ours")
    check_place(rows, wanted(extras=Extras(public_ip=True, rates=(own,))), "w.yaml")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (replace(DATA, region="us-east1"), "us-east1"),
        (replace(DATA, zone="us-east-1x"), "us-east-1x"),
    ],
)
def test_a_misspelt_place_of_the_data_is_refused(data: DataSource, word: str) -> None:
    rows = catalogue([HERE])
    check_place(rows, wanted(where=Where(data=replace(DATA, zone="us-east-1a"))), "w.yaml")
    with pytest.raises(InputError, match=f"'{word}' is not in the price list; did you mean"):
        check_place(rows, wanted(where=Where(data=data)), "w.yaml")


def test_data_of_no_cloud_needs_one_rate() -> None:
    """A data centre of one's own pays what it pays to send a GiB out, say nothing."""
    where = Where(data=replace(DATA, provider="ours", region="cellar"))
    rows = catalogue([HERE])
    with pytest.raises(InputError, match="no rate of internet is known of ours"):
        check_place(rows, wanted(where=where), "w.yaml")
    own = PlaceRate(provider="ours", charge=Charge.INTERNET, usd=Decimal(0), source="ours")
    check_place(rows, wanted(where=where, extras=Extras(rates=(own,))), "w.yaml")
