"""The published JSON: it keeps to its schema, its money is exact, and its bytes are its values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from costplan.planner.plan import Infeasible, Recommendation
from costplan.planner.plan_document import document, document_text, money_text
from costplan.planner.plan_schema import json_schema
from tests.cli import samples

ANSWERS: list[Recommendation | Infeasible] = [
    samples.plan(),
    samples.diffed(),
    samples.infeasible(),
]


def fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything in a document that is no container."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, f"{path}[]")
    else:
        yield path, value


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("answer", ANSWERS, ids=["plan", "diff", "infeasible"])
def test_documents_keep_to_the_schema(answer: Recommendation | Infeasible) -> None:
    validator = jsonschema.Draft202012Validator(
        json_schema(), format_checker=jsonschema.FormatChecker()
    )
    validator.validate(json.loads(document_text(answer)))


@pytest.mark.parametrize("name", ["fleet", "gap", "prices", "status", "usd_per_hour", "plan_id"])
def test_the_schema_asks_for_every_field(name: str) -> None:
    form = document(samples.plan())
    del form[name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(form, json_schema())


def test_the_schema_refuses_money_that_is_a_number() -> None:
    form = {**document(samples.plan()), "usd_per_hour": 10.8}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(form, json_schema())


@pytest.mark.parametrize("answer", ANSWERS, ids=["plan", "diff", "infeasible"])
def test_money_is_text_and_instants_end_in_z(answer: Recommendation | Infeasible) -> None:
    found = list(fields(document(answer)))
    money = [(path, value) for path, value in found if re.search(r"usd(_|$)", path)]
    assert money
    for path, value in money:
        assert value is None or re.fullmatch(r"-?\d+\.\d{2,12}", value), path
    for path, value in found:
        if path.endswith(("_at", "since")):
            assert value is None or re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value), path


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1E+4", "10000.00"),
        ("1E-12", "0.000000000001"),
        ("0E-12", "0.00"),
        ("123456789.123456789012", "123456789.123456789012"),
        ("-2.50", "-2.50"),
    ],
)
def test_money_has_no_exponent(amount: str, text: str) -> None:
    assert money_text(Decimal(amount)) == text


def test_a_zone_that_the_source_does_not_name_is_null() -> None:
    zones = {pool["instance_type"]: pool["zone"] for pool in document(samples.plan())["fleet"]}
    assert zones["m5.4xlarge"] is None
    assert zones["m5.24xlarge"] == "us-east-1a"


def test_the_fleet_adds_up() -> None:
    form = document(samples.plan())
    pools = sum(Decimal(pool["usd_per_hour"]) for pool in form["fleet"])
    assert pools == Decimal(form["usd_per_hour"]) == Decimal("10.80")
    for pool in form["fleet"]:
        assert pool["nodes"] == sum(packing["nodes"] for packing in pool["packings"])


def test_equal_answers_are_equal_bytes_in_whatever_order_they_come() -> None:
    plan = samples.diffed()
    assert plan.diff is not None
    turned = replace(
        plan,
        pools=tuple(
            replace(
                each,
                pool=replace(
                    each.pool,
                    packings=tuple(
                        replace(packing, workers=dict(reversed(packing.workers.items())))
                        for packing in reversed(each.pool.packings)
                    ),
                ),
            )
            for each in reversed(plan.pools)
        ),
        gaps=tuple(reversed(plan.gaps)),
        diff=replace(plan.diff, changes=tuple(reversed(plan.diff.changes))),
    )
    assert document_text(turned) == document_text(plan)


def test_a_gap_without_a_bound_is_null_and_a_share_keeps_its_range() -> None:
    plan = samples.plan()
    risk = replace(plan.risk, spot_share=1.0000000000000002)
    form = document(replace(plan, gap=float("inf"), risk=risk))
    assert form["gap"] is None
    assert form["risk"]["spot_share"] == 1
    json.loads(json.dumps(form), parse_constant=pytest.fail)
