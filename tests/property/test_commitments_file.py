"""What is written of commitments is read as the same values, whatever they are called."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.commitments.file import parse_commitments
from costplan.planner.commitments.holdings import Holdings, merged
from costplan.planner.commitments.written import commitments_text

NAMES = st.one_of(
    st.sampled_from(("1e5", "no", "007", "0.5", "a: b", "#x", "-", "2026-01-01", "~", "é", "{a}")),
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12),
)
AMOUNTS = st.decimals(Decimal("1e-12"), Decimal("1e7"), places=12).map(str)
INSTANTS = st.integers(0, 10**15).map(
    lambda micros: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros // 3)
)
NEEDS: dict[str, dict[str, Any]] = {
    "zonal_ri": {"zone": "us-east-1a", "instance_type": "m5.large", "count": AMOUNTS},
    "regional_ri": {"region": NAMES, "instance_type": NAMES, "count": AMOUNTS},
    "capacity_reservation": {
        "zone": "us-east-1a", "instance_type": "m5.large", "count": AMOUNTS,
        "on_demand_usd": AMOUNTS,
    },
    "ec2_instance_sp": {"family": "m5", "region": NAMES, "usd_per_hour": AMOUNTS},
    "compute_sp": {"usd_per_hour": AMOUNTS},
    "resource_cud": {
        "region": "us-central1", "machine_series": "n2", "resource": "vcpu", "amount": AMOUNTS,
    },
    "flexible_cud": {"usd_per_hour": AMOUNTS},
    "azure_reservation": {"region": "eastus", "instance_type": NAMES, "count": AMOUNTS},
    "azure_savings_plan": {"usd_per_hour": AMOUNTS},
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "zonal_ri": {"os": st.sampled_from(("windows", "Linux/UNIX", "rhel")), "upfront_usd": AMOUNTS,
                 "offering_class": "convertible", "tenancy": "dedicated"},
    "regional_ri": {"usd_per_hour": AMOUNTS, "offering_class": "standard"},
    "capacity_reservation": {"rates": st.fixed_dictionaries({"compute_sp_1y": AMOUNTS})},
    "resource_cud": {"usd_per_hour": AMOUNTS},
    "flexible_cud": {"discount": "0.28", "service": "compute"},
    "azure_reservation": {"size_flexible": False, "usd_per_hour": AMOUNTS, "service": "batch"},
}  # fmt: skip


@st.composite
def sections(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(tuple(NEEDS)))
    found = {"id": name, "kind": kind, "term": "3y"}

    def given_of(keys: dict[str, Any]) -> dict[str, Any]:
        return {
            key: draw(value) if isinstance(value, st.SearchStrategy) else value
            for key, value in keys.items()
        }

    found |= given_of(NEEDS[kind])
    if draw(st.booleans()):
        found |= given_of(MORE.get(kind, {}))
        start = draw(INSTANTS)
        found |= {"start": start.isoformat(), "payment": "no_upfront", "account": draw(NAMES)}
        found["end"] = (start + timedelta(days=365)).isoformat()
        found["scope"] = draw(st.sampled_from(("shared", "account")))
    if kind == "azure_reservation" and draw(st.booleans()):
        found |= {"size_group": draw(NAMES), "size_ratio": draw(AMOUNTS)}
    return found


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(NAMES, max_size=4, unique=True))
def test_what_is_written_is_read_as_the_same(data: st.DataObject, names: list[str]) -> None:
    file = {"commitments": [data.draw(sections(name)) for name in names]}
    held = parse_commitments(json.dumps(file), "first")
    text = commitments_text(held, ["a comment: {}\nof two lines"])
    again = parse_commitments(text, "second")
    assert {each.commitment_id: each for each in again} == {
        each.commitment_id: each for each in held
    }
    assert commitments_text(again, ["a comment: {}\nof two lines"]) == text
    # The same reading changes nothing.
    done = merged(
        again, Holdings(provider="aws", account="1", held=held), datetime(2026, 11, 1, tzinfo=UTC)
    )
    assert (done.added, done.changed, done.dropped, done.kept) == ((), (), (), ())


def test_what_stands_beside_the_commitments_is_kept() -> None:
    beside = {"rates": [{"instance_type": "m5.large", "usd": 0.07}], "owner": "é: 007"}
    assert yaml.safe_load(commitments_text((), (), beside)) == {"commitments": [], **beside}
