"""Which numbers the snapshot believes, on prices small enough to check by hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from costplan.adapters.feeds.build_snapshot import to_table
from costplan.adapters.feeds.machine_sizes import MachineSize
from costplan.adapters.feeds.snapshot_aws import (
    SPOT_SHARE,
    Price,
    aws_rows,
    drop_outliers,
    lowest_prices,
    machine_size,
    put_on_family_line,
    spot_share,
)
from costplan.adapters.feeds.snapshot_azure import azure_rows
from costplan.adapters.feeds.snapshot_gcp import gcp_rows
from costplan.adapters.feeds.snapshot_sources import Ec2, Release, last_read
from costplan.planner.units import GIB

OLD, NEW = datetime(2022, 5, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)
REGIONS = ("east", "west", "north", "south")


def release(updated: datetime, **sections: Any) -> Release:
    return Release(version=str(updated.year), updated=updated, compute=sections)


def machine(vcpu: float) -> MachineSize:
    return MachineSize(vcpu=vcpu, memory_bytes=int(vcpu * 4 * GIB))


SIZES = {"m9.large": machine(2), "m9.xlarge": machine(4), "m9.2xlarge": machine(8)}


def prices(**by_type: float) -> dict[tuple[str, str], Price]:
    """The same prices in all regions."""
    return {
        (f"m9.{name.strip('_')}", region): Price(usd, NEW, is_read=True)
        for name, usd in by_type.items()
        for region in REGIONS
    }


def test_the_lowest_price_above_zero_wins_with_the_last_date_that_shows_it() -> None:
    releases = [
        release(OLD, ec2_linux={"m9.large": {"east": 0.10, "west": 0.11}}),
        release(NEW, ec2_linux={"m9.large": {"east": 0.11, "west": 0.11, "north": 0.0}}),
    ]
    assert lowest_prices(releases) == {
        ("m9.large", "east"): Price(0.10, OLD, is_read=True),
        ("m9.large", "west"): Price(0.11, NEW, is_read=True),
    }


def test_a_dedicated_price_is_put_back_on_its_family_line() -> None:
    given = prices(large=0.1, xlarge=0.2, _2xlarge=0.4)
    given["m9.xlarge", "east"] = Price(0.22, NEW, is_read=True)
    fixed = put_on_family_line(given, SIZES)
    assert fixed["m9.xlarge", "east"] == Price(0.2, NEW, is_read=False)
    assert {key for key in given if fixed[key] != given[key]} == {("m9.xlarge", "east")}


def test_a_type_that_costs_more_everywhere_stays_as_it_is() -> None:
    given = prices(large=0.1, xlarge=0.215, _2xlarge=0.4)
    assert put_on_family_line(given, SIZES) == given


def test_a_price_far_from_other_regions_is_dropped() -> None:
    given = prices(large=0.1, xlarge=0.2, _2xlarge=0.4)
    given["m9.large", "west"] = Price(0.04, NEW, is_read=True)
    kept, dropped = drop_outliers(given, SIZES)
    assert dropped == 1
    assert ("m9.large", "west") not in kept


def description(**changes: Any) -> dict[str, Any]:
    """What EC2 says of a machine with 2 vCPU and 8 GiB."""
    base = {
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "VCpuInfo": {"DefaultVCpus": 2},
        "MemoryInfo": {"SizeInMiB": 8192},
        "SupportedUsageClasses": ["on-demand", "spot"],
    }
    return base | changes


def gpus(name: str, memory_mib: int, count: int) -> dict[str, Any]:
    gpu = {"Name": name, "Count": count, "MemoryInfo": {"SizeInMiB": memory_mib}}
    return {"GpuInfo": {"Gpus": [gpu]}}


def test_ec2_sizes() -> None:
    assert machine_size(description()) == MachineSize(vcpu=2, memory_bytes=8 * GIB)
    big = machine_size(description(**gpus("A100", 81920, 8)))
    assert big is not None
    assert (big.gpus, big.gpu_kind) == (8, "A100-80GB")


@pytest.mark.parametrize(
    "changes",
    [
        {"BareMetal": True},
        {"ProcessorInfo": {"SupportedArchitectures": ["arm64_mac"]}},
        gpus("L4", 2861, 0),
    ],
)
def test_machines_that_cannot_be_planned_with_have_no_size(changes: dict[str, Any]) -> None:
    assert machine_size(description(**changes)) is None


def test_aws_rows_stand_per_zone_and_spot_is_an_estimate() -> None:
    releases = [release(NEW, ec2_linux={"m9.large": {"east": 0.1}, "m9.metal": {"east": 9.0}})]
    ec2 = Ec2(
        types={"m9.large": description(), "m9.metal": description(BareMetal=True)},
        offerings={"east": [("east-a", "m9.large"), ("east-b", "m9.large"), ("east-b", "x")]},
    )
    left_out: Counter[str] = Counter()
    rows = list(aws_rows(releases, ec2, left_out))
    assert [(row.zone, row.market, row.usd_per_hour, row.is_estimate) for row in rows] == [
        ("east-a", "on_demand", 0.1, False),
        ("east-a", "spot", 0.042, True),
        ("east-b", "on_demand", 0.1, False),
        ("east-b", "spot", 0.042, True),
    ]
    assert sum(left_out.values()) == 2
    assert to_table(rows).num_rows == 4


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("m5.large", "x86_64"),
        ("t3.large", "burstable"),
        ("trn1.2xlarge", "accelerated"),
        ("i4i.large", "storage"),
        ("inf2.xlarge", "accelerated"),
    ],
)
def test_spot_shares_by_class(name: str, kind: str) -> None:
    assert spot_share(name, machine(2)) == SPOT_SHARE[kind]


def test_an_unchanged_section_is_as_old_as_the_first_release_that_has_it() -> None:
    releases = [release(OLD, azure_linux={"a": 1}), release(NEW, azure_linux={"a": 1})]
    assert last_read(releases, "azure_linux") == ({"a": 1}, OLD)
    releases[0] = release(OLD, azure_linux={"a": 2})
    assert last_read(releases, "azure_linux")[1] == NEW


def test_azure_rows_leave_out_other_clouds_and_unknown_sizes() -> None:
    section = {
        "standardd4sv3": {"eastus": 0.2, "usgovtexas": 0.3},
        "lowpriorityd4sv3": {"eastus": 0.04},
        "standardnc6promo": {"eastus": 0.4},
    }
    left_out: Counter[str] = Counter()
    rows = list(azure_rows([release(OLD, azure_linux=section)], left_out))
    assert [(row.instance_type, row.market, row.usd_per_hour) for row in rows] == [
        ("Standard_D4s_v3", "on_demand", 0.2),
        ("Standard_D4s_v3", "spot", 0.04),
    ]
    assert sum(left_out.values()) == 2


def test_gcp_rows_add_up_cpu_and_memory() -> None:
    part = {
        market: {"us-central1": {"price": price}, "asia-east1": {"price": 0.0}}
        for market, price in (("on_demand", 0.02), ("preemptible", 0.004))
    }
    families = ("e2", "n1", "n2", "n2d", "c2", "m1")
    section = {family: {"cpu": part, "ram": part} for family in families}
    rows = list(gcp_rows([release(OLD, gce_instances=section)], Counter()))
    n2 = [row for row in rows if row.instance_type == "n2-standard-4"]
    assert {row.region for row in n2} == {"us-central1", "us-east1", "us-west1"}
    assert {row.usd_per_hour for row in n2 if row.market == "on_demand"} == {0.4}
    assert {row.usd_per_hour for row in n2 if row.market == "spot"} == {0.132}
