"""Advice on commitments: what covers what, the curves, the choice, the rules, and what ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest

from costplan.planner.advice import online
from costplan.planner.advice.advise import advise
from costplan.planner.advice.choose import tail_mean
from costplan.planner.advice.cover import book_of, parts_of
from costplan.planner.advice.file import parse_demand
from costplan.planner.advice.layers import World, best_purchases
from costplan.planner.advice.renewals import renewals
from costplan.planner.advice.scenarios import as_it_was, drawn
from costplan.planner.advice.tables import covered_at, curves_of, pools_of
from costplan.planner.advice.types import Line, Offer, Question, Settings
from costplan.planner.commitments.values import Commitment, Kind, Product
from costplan.planner.errors import InputError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLAT = np.full(24 * 28, 10.0)


def machine(instance_type: str = "m5.large", region: str = "us-east-1") -> Product:
    return Product(provider="aws", service="ec2", region=region, instance_type=instance_type)


def line(hours: np.ndarray = FLAT, name: str = "web", usd: str = "0.10", **more: object) -> Line:
    return Line(usage_id=name, product=machine(), hours=hours, usd_per_unit=Fraction(usd), **more)  # type: ignore[arg-type]


def reserved(usd: str = "0.06", **more: object) -> Offer:
    given = {"offer_id": "ri", "kind": Kind.REGIONAL_RI, "product": machine(), "term": "1y"}
    return Offer(**{**given, "usd_per_hour": Fraction(usd), **more})  # type: ignore[arg-type]


def asked(lines: tuple[Line, ...], offers: tuple[Offer, ...], **settings: object) -> Question:
    given = {"scenarios": 12, "horizon_hours": 8760, **settings}
    return Question(lines=lines, offers=offers, settings=Settings(**given), now=NOW)  # type: ignore[arg-type]


def test_flat_demand_is_bought_in_full_and_saves_the_discount() -> None:
    made = advise(asked((line(),), (reserved(),)))
    (use,) = made.uses
    assert use.purchase.amount == 10
    assert made.saving_usd == pytest.approx(8760 * 10 * 0.04)
    assert made.saving == pytest.approx((made.saving_usd,) * 3)
    assert (use.used_share, use.break_even_share) == pytest.approx((1.0, 0.6))
    # Half of it is used: 5 machines' saving less 5 machines' price.
    assert made.regret_usd == pytest.approx(8760 * (5 * 0.06 - 5 * 0.04))


def test_nothing_is_bought_where_nothing_pays() -> None:
    made = advise(asked((line(),), (reserved("0.11"),)))
    assert (made.purchases, made.saving_usd, made.regret_usd) == ((), 0.0, 0.0)


def test_the_newsvendor_level_is_bought() -> None:
    """A unit pays where it is used more than 60 % of the time: the third of three is not."""
    hours = np.tile(np.repeat([1.0, 2.0, 3.0], [6, 10, 8]), 28)
    made = advise(asked((line(hours),), (reserved(),), risk_weight=0.0))
    assert [each.amount for each in made.purchases] == [2]


def test_budgets_are_kept() -> None:
    upfront = reserved("0", upfront_usd=Fraction(500), payment="all_upfront")
    made = advise(asked((line(),), (upfront,), upfront_usd=Fraction(1700)))
    assert sum(each.upfront_usd for each in made.purchases) == 1500
    monthly = advise(asked((line(),), (reserved(),), usd_per_month=Fraction(100)))
    assert [each.amount for each in monthly.purchases] == [2]  # $43.80 each


def test_a_term_beyond_the_horizon_is_dearer() -> None:
    three = reserved("0.05", term="3y")
    ends = asked((line(),), (three,), after_horizon=0.0)
    goes_on = asked((line(),), (three,), after_horizon=1.0)
    assert ends.settings.usd_per_used_hour(three) == pytest.approx(0.15)
    assert advise(ends).purchases == ()
    assert advise(goes_on).purchases != ()


def test_what_is_held_is_used_first_until_it_ends() -> None:
    held = replace(
        reserved().bought(Fraction(10)), commitment_id="old", end=NOW + timedelta(hours=8760)
    )
    question = replace(asked((line(),), (reserved(),)), held=(held,))
    assert advise(question).purchases == ()
    soon = replace(held, end=NOW + timedelta(hours=100))
    assert [each.amount for each in advise(replace(question, held=(soon,))).purchases] == [10]


def test_spot_takes_its_share_where_it_is_cheaper() -> None:
    """Half may run at $0.03: a reservation at $0.06 is bought for the other half only."""
    mixed = line(spot_usd=Fraction("0.03"), spot_share=0.5)
    made = advise(asked((mixed,), (reserved(),), spot_spread=0.0))
    assert [each.amount for each in made.purchases] == [5]


def test_curves_are_those_of_the_hours() -> None:
    hours = np.random.default_rng(3).gamma(2.0, 3.0, 24 * 28)
    levels = np.linspace(0.0, 30.0, 7)
    expected = [np.minimum(hours, level).sum() for level in levels]
    assert covered_at(hours, levels) == pytest.approx(expected, rel=1e-6)


def test_the_curves_and_the_cover_agree_at_the_levels() -> None:
    hours = np.round(np.random.default_rng(3).gamma(2.0, 3.0, 24 * 28))
    question = asked((line(hours),), (reserved(),), horizon_hours=len(hours), after_horizon=1.0)
    parts = parts_of(question.lines)
    scenarios = as_it_was(parts, 0, len(hours))
    world = World(parts=parts, scenarios=scenarios, question=question)
    pools = pools_of(parts, question.offers)
    curves = curves_of(pools, world.book(()), scenarios)
    for place in (1, 5, 12):
        count = curves.levels[0, place]
        bought = reserved().bought(Fraction(count))
        left = book_of(parts, (bought,), NOW, len(hours)).cover(scenarios.demand(0))
        saved = curves.base[0] - 0.10 * left.sum()
        assert curves.value[0, place, 0] == pytest.approx(saved, rel=1e-6)


def test_the_bad_end_counts_a_scenario_at_its_edge_in_part() -> None:
    assert tail_mean(np.array([1.0, 2.0, 3.0, 4.0]), 0.5) == 3.5
    assert tail_mean(np.array([1.0, 2.0, 3.0, 4.0]), 0.625) == pytest.approx((4 + 0.5 * 3) / 1.5)


def test_the_break_even_rule_buys_when_it_has_paid_as_much_on_demand() -> None:
    """$0.10 on demand against $0.06 x 10 hours: after six hours it reserves, for ten."""
    hours = np.ones(16)
    usd = online.break_even_cost(hours, 0, 0.10, 0.06, 10)
    assert usd == pytest.approx(6 * 0.10 + 10 * 0.06)
    assert usd <= online.deterministic_ratio() * 16 * 0.06
    assert online.break_even_amount(hours, 0.10, 0.06, 10) == 1
    assert online.break_even_amount(hours[:5], 0.10, 0.06, 10) == 0


def test_the_ratios_of_the_rules() -> None:
    assert online.deterministic_ratio(0.25) == 1.75
    assert online.randomized_ratio() == pytest.approx(1.5819767)


def test_an_ending_commitment_is_renewed_as_far_as_it_is_used() -> None:
    held = Commitment(
        commitment_id="old", kind=Kind.REGIONAL_RI, product=machine(), count=Fraction(16),
        usd_per_hour=Fraction("0.06"), end=NOW + timedelta(days=10),
    )  # fmt: skip
    question = replace(asked((line(),), ()), held=(held,))
    (found,) = renewals(question, timedelta(days=90))
    hours = 8760 - 240
    assert found.used_share == pytest.approx(10 / 16)
    assert found.keep == Fraction(5, 8)
    assert found.saving_usd == pytest.approx(hours * 10 * 0.04)
    assert found.loss_usd == pytest.approx(hours * (10 * 0.10 - 16 * 0.06))
    assert renewals(question, timedelta(days=9)) == ()


def test_the_same_question_has_the_same_scenarios() -> None:
    question = asked((line(np.arange(24.0 * 28)),), (reserved(),))
    parts = parts_of(question.lines)
    one, two = (drawn(parts, question.settings) for _ in range(2))
    other = drawn(parts, replace(question.settings, seed=1))
    assert (one.demand(3) == two.demand(3)).all()
    assert (one.demand(3) != other.demand(3)).any()


def test_a_plan_is_bought_for_what_machines_leave() -> None:
    """The reservation is cheaper where it reaches; elsewhere there is only the plan."""
    far = replace(
        line(name="far"), product=machine(region="eu-west-1"),
        rates={"compute_sp_1y": Fraction("0.07")},
    )  # fmt: skip
    near = line(rates={"compute_sp_1y": Fraction("0.07")})
    plan = Offer(
        offer_id="sp", kind=Kind.COMPUTE_SP, product=Product(provider="aws"), term="1y",
        payment="all_upfront",
    )  # fmt: skip
    question = asked((near, far), (reserved(), plan))
    parts = parts_of(question.lines)
    world = World(parts=parts, scenarios=drawn(parts, question.settings), question=question)
    bought = {each.offer.offer_id: each for each in best_purchases(world)}
    assert (bought["ri"].amount, bought["sp"].amount) == (10, Fraction("0.7"))
    assert bought["sp"].upfront_usd == Fraction("0.7") * 8760


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("usage: []", "f: start: is missing; add start: 2026-05-04T12:00:00Z"),
        (
            "start: 2026-01-01T00:00:00Z\n"
            "usage: [{id: a, provider: aws, on_demand_usd: 1, hours: [1, -2]}]",
            "f: usage[0].hours: [1] -2 is not from 0 to 1e+09; "
            "write how much was used in each hour: hours: [3, 3.5, 4]",
        ),
        (
            "start: 2026-01-01T00:00:00Z\nusage: []",
            "f: has no usage; list what was used, with its hours",
        ),
        (
            "start: 2026-01-01T00:00:00Z\nusage: [{id: a, provider: aws, hours: [1, 2]}]",
            "f: usage[0]: has no price; add on_demand_usd, or give --prices FILE",
        ),
        (
            "start: 2026-01-01T00:00:00Z\n"
            "usage: [{id: a, provider: aws, on_demand_usd: 1, hours: [1]}]\n"
            "offers: [{kind: compute_sp, term: 1y, usd_per_hour: 2}]",
            "f: offers[0]: compute_sp has a price; "
            "a plan is sold by the dollar; give discount here, or rates with the usage",
        ),
    ],
)
def test_a_broken_file_is_answered_with(text: str, answer: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_demand(text, "f")
    assert str(caught.value).startswith(answer)
