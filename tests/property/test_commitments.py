"""What holds for the bill of any hour, whatever is used and held."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.cli.bill_document import written
from costplan.planner.commitments.bill import bill, bill_hour
from costplan.planner.commitments.metering import Run, hours_of
from costplan.planner.commitments.values import (
    SPEND_KINDS,
    Commitment,
    Hour,
    HourBill,
    Kind,
    Metering,
    Owner,
    Product,
    Rules,
    Scope,
    Usage,
)
from costplan.planner.units import PICO_PER_USD

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
BY_THE_SECOND = Rules(
    metering=dict.fromkeys(("aws", "gcp", "azure"), Metering(minimum_seconds=0, step_seconds=1))
)
FEW = settings(max_examples=60, deadline=None)
ACCOUNTS = st.sampled_from(("", "a", "b"))
PRICES = st.sampled_from([Fraction(n, 7) for n in (0, 1, 2, 5, 7, 21)])
AMOUNTS = st.sampled_from([Fraction(n, 6) for n in (1, 2, 3, 6, 8, 15, 30)])
PARTS = st.sampled_from([Fraction(n, 9) for n in (0, 1, 4, 9)])
PRODUCTS = {
    "aws": [
        Product(
            provider="aws", service=service, region="r", zone=zone, instance_type=kind, os=os
        )
        for service, os in (("ec2", "linux"), ("ec2", "windows"), ("fargate", "linux"))
        for zone in ("ra", "rb")
        for kind in ("m5.large", "m5.2xlarge", "m5.metal", "g5.xlarge")
    ],
    "gcp": [
        Product(provider="gcp", region="r", machine_series=series, resource=resource)
        for series in ("n1", "n2", "e2")
        for resource in ("vcpu", "memory", "t4")
    ],
    "azure": [
        Product(
            provider="azure", region="r", instance_type=f"d{size}", size_group=group,
            size_ratio=Fraction(size),
        )
        for size in (2, 4)
        for group in ("", "d")
    ],
}  # fmt: skip
ALL_PRODUCTS = st.sampled_from([product for each in PRODUCTS.values() for product in each])
SELLERS = {
    Kind.ZONAL_RI: "aws",
    Kind.REGIONAL_RI: "aws",
    Kind.CAPACITY_RESERVATION: "aws",
    Kind.EC2_INSTANCE_SP: "aws",
    Kind.COMPUTE_SP: "aws",
    Kind.RESOURCE_CUD: "gcp",
    Kind.FLEXIBLE_CUD: "gcp",
    Kind.AZURE_RESERVATION: "azure",
    Kind.AZURE_SAVINGS_PLAN: "azure",
}


@st.composite
def usages(draw: st.DrawFn, name: str) -> Usage:
    price = draw(PRICES)
    cheap, dear = price / 2, price * 2 / 3
    rates = draw(
        st.sampled_from(
            (
                {},
                {str(kind): cheap for kind in SPEND_KINDS},
                {"compute_sp": price, "compute_sp_3y": dear, "ec2_instance_sp": cheap},
                {"azure_savings_plan_1y": dear, "azure_savings_plan_3y": cheap},
            )
        )
    )
    return Usage(
        usage_id=name,
        product=draw(ALL_PRODUCTS),
        quantity=draw(AMOUNTS),
        usd_per_unit=price,
        rates=rates,
        owner=Owner(account=draw(ACCOUNTS)),
        is_spot=draw(st.integers(0, 9)) == 0,
    )


@st.composite
def bought(draw: st.DrawFn, name: str) -> Commitment:
    kind = draw(st.sampled_from(tuple(Kind)))
    product = draw(st.sampled_from(PRODUCTS[SELLERS[kind]]))
    if kind in SPEND_KINDS:
        family = "m5" if kind is Kind.EC2_INSTANCE_SP else ""
        product = Product(provider=product.provider, region="r" if family else "", family=family)
    flexible = kind is Kind.FLEXIBLE_CUD
    return Commitment(
        commitment_id=name,
        kind=kind,
        product=product,
        count=None if kind in SPEND_KINDS else draw(AMOUNTS),
        usd_per_hour=draw(AMOUNTS),
        owner=Owner(account=draw(ACCOUNTS)),
        scope=draw(st.sampled_from((Scope.SHARED, Scope.ACCOUNT))),
        term=draw(st.sampled_from(("", "1y", "3y"))),
        discount=draw(st.sampled_from((None, Fraction(1, 4)))) if flexible else None,
        idle_rates={"compute_sp": Fraction(1, 5)},
    )


@st.composite
def hours(draw: st.DrawFn) -> Hour:
    return Hour(
        usage=tuple(draw(usages(name)) for name in "uvwxyz"[: draw(st.integers(0, 6))]),
        commitments=tuple(draw(bought(name)) for name in "abcde"[: draw(st.integers(0, 5))]),
    )


def billed(hour: Hour) -> HourBill:
    return bill_hour(hour)[0]


@FEW
@given(hours())
def test_cover_is_never_more_than_what_is_used_or_held(hour: Hour) -> None:
    made = billed(hour)
    for usage in hour.usage:
        own = [line for line in made.lines if line.usage_id == usage.usage_id and not line.is_idle]
        assert sum(line.quantity for line in own) == usage.quantity
        assert not usage.is_spot or {line.covered_by for line in own} == {None}
    assert all(line.quantity >= 0 for line in made.lines)
    for held, use in zip(
        sorted(hour.commitments, key=lambda each: each.commitment_id),
        sorted(made.commitments, key=lambda each: each.commitment_id),
        strict=True,
    ):
        assert min(use.used_quantity, use.unused_quantity) >= 0
        assert use.used_quantity + use.unused_quantity == held.capacity
        covered = [line for line in made.lines if line.covered_by == held.commitment_id]
        assert sum(line.usd for line in covered) == use.used_usd


@FEW
@given(hours())
def test_it_never_costs_more_than_without_commitments_and_their_price(hour: Hour) -> None:
    without = billed(replace(hour, commitments=()))
    reserved = [each for each in hour.commitments if each.kind is Kind.CAPACITY_RESERVATION]
    idle = sum((each.capacity * (each.usd_per_hour or 0) for each in reserved), Fraction(0))
    price = sum((each.hourly_usd for each in hour.commitments), Fraction(0)) + idle
    assert billed(hour).total_usd <= without.total_usd + price


@FEW
@given(hours(), st.randoms(use_true_random=False))
def test_the_order_of_lines_and_commitments_makes_no_difference(hour: Hour, dice: object) -> None:
    usage, held = list(hour.usage), list(hour.commitments)
    dice.shuffle(usage)  # type: ignore[attr-defined]
    dice.shuffle(held)  # type: ignore[attr-defined]
    assert billed(Hour(usage=tuple(usage), commitments=tuple(held))) == billed(hour)


@FEW
@given(hours(), PARTS)
def test_a_line_in_two_parts_costs_what_it_costs_whole(hour: Hour, share: Fraction) -> None:
    halves = [
        replace(usage, usage_id=usage.usage_id + part, quantity=usage.quantity * size)
        for usage in hour.usage
        for part, size in (("1", share), ("2", 1 - share))
    ]
    whole, cut = billed(hour), billed(replace(hour, usage=tuple(halves)))
    assert cut.commitments == whole.commitments
    assert (cut.on_demand_usd, cut.total_usd) == (whole.on_demand_usd, whole.total_usd)


@FEW
@given(hours())
def test_what_is_written_adds_up_to_the_last_place(hour: Hour) -> None:
    made = billed(hour)
    text = written(made)
    for use in text.uses:
        own = [each for each in text.lines if each.line.covered_by == use.use.commitment_id]
        assert sum(each.usd_pico for each in own) == use.used_pico
        assert use.unused_pico >= 0
    figures = [each.usd_pico for each in text.lines] + [use.unused_pico for use in text.uses]
    assert sum(figures) == text.total_pico
    assert abs(Fraction(text.total_pico, PICO_PER_USD) - made.total_usd) < Fraction(7, 10**12)
    for usage in hour.usage:
        own = [each for each in text.lines if each.line.usage_id == usage.usage_id]
        assert sum(each.quantity_pico for each in own) == round(usage.quantity * PICO_PER_USD)


@FEW
@given(st.lists(st.tuples(PRICES, AMOUNTS, PRICES), min_size=1, max_size=6), AMOUNTS)
def test_a_plan_covers_no_line_while_one_with_more_saving_is_not_covered(
    drawn: list[tuple[Fraction, Fraction, Fraction]], usd_per_hour: Fraction
) -> None:
    usage = tuple(
        Usage(
            usage_id=f"u{place}",
            product=Product(provider="aws", service="lambda"),
            quantity=quantity,
            usd_per_unit=rate + more,
            rates={"compute_sp": rate},
        )
        for place, (rate, quantity, more) in enumerate(drawn)
        if rate
    )
    plan = Commitment(
        commitment_id="sp",
        kind=Kind.COMPUTE_SP,
        product=Product(provider="aws"),
        usd_per_hour=usd_per_hour,
    )
    made = billed(Hour(usage=usage, commitments=(plan,)))
    savings = {each.usage_id: 1 - each.rates["compute_sp"] / each.usd_per_unit for each in usage}
    covered = [savings[line.usage_id] for line in made.lines if line.covered_by]
    left = [savings[line.usage_id] for line in made.lines if not line.covered_by]
    assert not covered or not left or min(covered) >= max(left)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Run], list[Run]]:
    """Runs, and the same cut into pieces that follow one another."""
    whole, cut = [], []
    for name in "uvw"[: draw(st.integers(1, 3))]:
        lengths = draw(st.lists(st.integers(1, 5000), min_size=1, max_size=4))
        start = NOON + timedelta(seconds=draw(st.integers(0, 4000)))
        edges = [start + timedelta(seconds=each) for each in accumulate([0, *lengths])]
        run = Run(
            run_id=name,
            product=draw(ALL_PRODUCTS),
            start=start,
            end=edges[-1],
            usd_per_hour=draw(PRICES),
            count=Fraction(draw(st.integers(1, 3))),
            rates={"compute_sp": Fraction(1, 10), "azure_savings_plan": Fraction(1, 10)},
        )
        whole.append(run)
        for place, (begin, end) in enumerate(pairwise(edges)):
            cut.append(replace(run, run_id=f"{name}{place}", start=begin, end=end))
    return whole, cut


@FEW
@given(runs(), st.lists(st.integers(0, 4), max_size=3))
def test_a_run_in_pieces_costs_what_it_costs_whole(
    drawn: tuple[list[Run], list[Run]], kinds: list[int]
) -> None:
    held = [
        (Kind.COMPUTE_SP, Product(provider="aws"), None),
        (Kind.REGIONAL_RI, Product(provider="aws", region="r", instance_type="m5.large"), 2),
        (
            Kind.CAPACITY_RESERVATION,
            Product(provider="aws", region="r", zone="ra", instance_type="m5.large"),
            2,
        ),
        (
            Kind.RESOURCE_CUD,
            Product(provider="gcp", region="r", machine_series="n1", resource="vcpu"),
            1,
        ),
        (Kind.AZURE_SAVINGS_PLAN, Product(provider="azure"), None),
    ]
    commitments = [
        Commitment(
            commitment_id=f"c{place}",
            kind=held[number][0],
            product=held[number][1],
            count=None if held[number][2] is None else Fraction(held[number][2]),
            usd_per_hour=Fraction(1, 3),
        )
        for place, number in enumerate(kinds)
    ]
    whole, cut = (bill(hours_of(each, commitments, BY_THE_SECOND)) for each in drawn)
    assert [each.commitments for each in cut] == [each.commitments for each in whole]
    assert [each.on_demand_usd for each in cut] == [each.on_demand_usd for each in whole]
    assert [each.total_usd for each in cut] == [each.total_usd for each in whole]
