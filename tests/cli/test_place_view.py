"""Disks, addresses and bytes as a person and a program see them."""

from __future__ import annotations

from dataclasses import replace

from costplan.cli.plan_view import view_of
from costplan.cli.render import plain_text
from costplan.planner.plan_document import document
from costplan.planner.plan_schema import PlanDocument
from costplan.planner.units import GIB
from costplan.planner.workload import Extras, Where
from tests.unit.test_place import DATA, HERE, IOWA, OHIO, TEN_HOURS, plan

ASKED = {
    "extras": Extras(root_disk_bytes=50 * GIB, public_ip=True),
    "duration_seconds": TEN_HOURS,
}
WHERE = Where(data=DATA, traffic_bytes_per_hour=100 * GIB)


def test_what_is_billed_beside_machines_is_in_the_table_and_why_the_region_is_said() -> None:
    shown = plain_text(view_of(plan([HERE, IOWA], where=WHERE, **ASKED), explain=True), 120)
    lines = " ".join(shown.split())
    assert "root disks 0.05" in lines
    assert "addresses 0.05" in lines
    assert "100 GiB an hour between workers: none of it pays at a border" in lines
    assert "reading 100 GiB from aws/us-east-1 costs nothing here" in lines
    assert "reading it once costs in aws/us-east-1 $0.00; gcp $9.00" in lines
    assert "aws root disk (gp3): 0.08 USD/GiB-month (https://aws.amazon.com/ebs/" in lines
    assert "not priced further disks" in lines


def test_reading_from_afar_is_shown_once_and_by_the_hour() -> None:
    shown = plain_text(view_of(plan([HERE, OHIO], where=Where(data=DATA), **ASKED)), 120)
    lines = " ".join(shown.split())
    assert "expected with interruptions and the data read" in lines
    assert "reading 100 GiB from aws/us-east-1: $1.00 once, $0.10/h over 10h" in lines


def test_without_any_of_it_the_keys_that_would_have_it_priced_are_named() -> None:
    lines = " ".join(plain_text(view_of(plan([HERE])), 120).split())
    for key in ("machines.root_disk", "machines.public_ip", "where.data", "where.traffic_per_hour"):
        assert f"({key})" in lines


def test_the_document_has_each_cost_and_the_rates_behind_it() -> None:
    made = document(plan([HERE, replace(OHIO, usd="0.05")], where=WHERE, **ASKED))
    PlanDocument.model_validate(made)
    place = made["place"]
    assert place["disks_usd_per_hour"] == "0.05479452055"
    assert place["addresses_usd_per_hour"] == "0.05"
    assert (place["read_usd"], place["read_usd_per_hour"]) == ("1.00", "0.10")
    assert made["usd_per_hour"] == "0.60479452055"
    assert [(rate["charge"], rate["usd"], rate["unit"]) for rate in place["rates"]] == [
        ("root_disk", "0.08", "USD/GiB-month"),
        ("public_ip", "0.005", "USD/h"),
        ("between_zones", "0.02", "USD/GiB"),
        ("between_regions", "0.01", "USD/GiB"),
    ]
    assert made["workload"]["where"]["data"] == {
        "provider": "aws", "region": "us-east-1", "zone": None, "read_bytes": 100 * GIB,
    }  # fmt: skip
