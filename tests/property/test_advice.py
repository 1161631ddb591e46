"""Advice on commitments in made-up worlds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.advice.advise import advise
from costplan.planner.advice.choose import aim
from costplan.planner.advice.cover import book_of, parts_of
from costplan.planner.advice.layers import World, best_purchases
from costplan.planner.advice.scenarios import as_it_was, drawn
from costplan.planner.advice.types import Line, Offer, Question, Settings
from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.values import Commitment, Hour, Kind, Product, Rules

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AWS = [("m5.large", "us-east-1"), ("m5.xlarge", "us-east-1"), ("c5.large", "eu-west-1")]


def _cents(least: int, most: int) -> st.SearchStrategy[Fraction]:
    return st.integers(least, most).map(lambda cents: Fraction(cents, 100))


@st.composite
def lines(draw: st.DrawFn, hours: int) -> tuple[Line, ...]:
    made = []
    for place in range(draw(st.integers(1, 3))):
        instance_type, region = AWS[place]
        usd = draw(_cents(5, 60))
        seen = draw(st.lists(st.integers(0, 12), min_size=24, max_size=24))
        made.append(
            Line(
                usage_id=f"l{place}",
                product=Product(provider="aws", service="ec2", region=region,
                                instance_type=instance_type),
                hours=np.resize(np.array(seen, dtype=np.float64), hours),
                usd_per_unit=usd,
                rates={"compute_sp": usd * Fraction(draw(st.integers(50, 95)), 100),
                       "ec2_instance_sp": usd * Fraction(draw(st.integers(40, 90)), 100)},
            )
        )  # fmt: skip
    return tuple(made)


@st.composite
def held(draw: st.DrawFn) -> tuple[Commitment, ...]:
    """One of each kind, or none of it."""
    us, plain = Product(provider="aws", region="us-east-1"), Product(provider="aws")
    kinds = {
        "ri": (Kind.REGIONAL_RI, replace(us, service="ec2", instance_type="m5.large")),
        "fam": (Kind.EC2_INSTANCE_SP, replace(us, family="m5")),
        "sp": (Kind.COMPUTE_SP, plain),
    }
    made = []
    for name in draw(st.sets(st.sampled_from(sorted(kinds)))):
        kind, product = kinds[name]
        amount = draw(_cents(10, 900))
        count = amount if kind is Kind.REGIONAL_RI else None
        usd = Fraction(3, 100) if count is not None else amount
        made.append(Commitment(commitment_id=name, kind=kind, product=product, count=count,
                               usd_per_hour=usd))  # fmt: skip
    return tuple(made)


@settings(max_examples=60, deadline=None)
@given(lines(hours=24), held())
def test_the_fast_path_is_the_exact_bill(
    used: tuple[Line, ...], bought: tuple[Commitment, ...]
) -> None:
    parts = parts_of(used)
    book = book_of(parts, bought, NOW, 24)
    left = book.cover(as_it_was(parts, 0, 24).demand(0))
    fast = book.usd + float(np.array([part.usd_per_unit for part in parts]) @ left.sum(axis=1))
    made = bill(
        (
            Hour(
                usage=tuple(line.usage(Fraction(float(line.hours[hour]))) for line in used),
                commitments=bought,
            )
            for hour in range(24)
        ),
        Rules(),
    )
    assert fast == pytest.approx(float(sum(hour.total_usd for hour in made)), rel=1e-12, abs=1e-12)


def _offers(share: int) -> tuple[Offer, ...]:
    us = Product(provider="aws", service="ec2", region="us-east-1", instance_type="m5.large")
    return (
        Offer(offer_id="ri", kind=Kind.REGIONAL_RI, product=us, term="1y", payment="all_upfront",
              upfront_usd=Fraction(share * 40)),
        Offer(offer_id="sp", kind=Kind.COMPUTE_SP, product=Product(provider="aws"), term="1y"),
    )  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(lines(hours=24 * 28), st.integers(1, 60), st.integers(0, 3000), st.sampled_from([0.0, 2.0]))
def test_advice_is_never_dearer_than_nothing_and_keeps_its_budgets(
    used: tuple[Line, ...], share: int, budget: int, weight: float
) -> None:
    wanted = Settings(
        horizon_hours=24 * 28, scenarios=6, risk_weight=weight, after_horizon=1.0,
        upfront_usd=Fraction(budget), usd_per_month=Fraction(budget),
    )  # fmt: skip
    question = Question(lines=used, offers=_offers(share), settings=wanted, now=NOW)
    made = advise(question)
    assert made.mean_usd <= made.nothing_usd + 1e-9
    assert sum(each.upfront_usd for each in made.purchases) <= budget
    assert sum(each.usd_per_month for each in made.purchases) <= budget
    assert made == advise(question)


@settings(max_examples=12, deadline=None)
@given(lines(hours=24 * 28), st.integers(1, 60), st.integers(0, 3000), st.integers(0, 3000))
def test_more_budget_never_costs_more(
    used: tuple[Line, ...], share: int, budget: int, more: int
) -> None:
    worth = []
    for usd in (budget, budget + more):
        wanted = Settings(horizon_hours=24 * 28, scenarios=6, after_horizon=1.0,
                          upfront_usd=Fraction(usd))  # fmt: skip
        question = Question(lines=used, offers=_offers(share)[:1], settings=wanted, now=NOW)
        parts = parts_of(used)
        world = World(parts=parts, scenarios=drawn(parts, wanted), question=question)
        worth.append(aim(world.costs(best_purchases(world)), wanted))
    assert worth[1] <= worth[0] * (1 + 1e-9)


def _gcp(resource: str) -> Product:
    return Product(
        provider="gcp", service="compute", region="r", machine_series="e2", resource=resource
    )


def _azure(size: int) -> Product:
    return Product(
        provider="azure", service="virtual-machines", region="r", instance_type=f"D{size}",
        size_group="D", size_ratio=Fraction(size),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=4, max_size=4),
    st.lists(_cents(10, 900), min_size=4, max_size=4),
    st.lists(_cents(5, 60), min_size=4, max_size=4),
)
def test_the_fast_path_is_the_exact_bill_of_the_other_clouds(
    units: list[int], amounts: list[Fraction], usd: list[Fraction]
) -> None:
    products = (_gcp("vcpu"), _gcp("memory"), _azure(2), _azure(4))
    used = tuple(
        Line(
            usage_id=f"l{place}",
            product=product,
            hours=np.array([float(units[place])]),
            usd_per_unit=usd[place],
            rates={"azure_savings_plan_1y": usd[place] * Fraction(7, 10)},
        )
        for place, product in enumerate(products)
    )
    bought = (
        Commitment(commitment_id="cud", kind=Kind.RESOURCE_CUD, product=_gcp("vcpu"),
                   count=amounts[0], usd_per_hour=Fraction(2, 100)),
        Commitment(commitment_id="flex", kind=Kind.FLEXIBLE_CUD, product=Product(provider="gcp"),
                   usd_per_hour=amounts[1], discount=Fraction(28, 100)),
        Commitment(commitment_id="ri", kind=Kind.AZURE_RESERVATION, product=_azure(4),
                   count=amounts[2], usd_per_hour=Fraction(5, 100)),
        Commitment(commitment_id="sp", kind=Kind.AZURE_SAVINGS_PLAN, term="1y",
                   product=Product(provider="azure"), usd_per_hour=amounts[3]),
    )  # fmt: skip
    parts = parts_of(used)
    book = book_of(parts, bought, NOW, 1)
    left = book.cover(as_it_was(parts, 0, 1).demand(0))
    fast = book.usd + float(np.array([part.usd_per_unit for part in parts]) @ left.sum(axis=1))
    hour = Hour(
        usage=tuple(line.usage(Fraction(units[place])) for place, line in enumerate(used)),
        commitments=bought,
    )
    (made,) = bill((hour,), Rules(sustained_use=False))
    assert fast == pytest.approx(float(made.total_usd), rel=1e-12, abs=1e-12)
