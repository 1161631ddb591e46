"""Statements of small books, with dollars that a reader can check by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from costplan.adapters.finance.ask import Question, ask
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.planned import add_plans
from costplan.planner.errors import InputError
from costplan.planner.finance.anomalies import anomalies
from costplan.planner.finance.budgets import burn
from costplan.planner.finance.carbon import Machine, Rates, rates_of
from costplan.planner.finance.expected import Expected, Stretch
from costplan.planner.finance.grid import grid_of
from costplan.planner.finance.journal import AccountRule, Cost, journal
from costplan.planner.finance.lines import Charge, ChargeLine, LineKind, Owner, Purpose
from costplan.planner.finance.savings import Before
from costplan.planner.finance.statement import Period, Statement, Table, View
from costplan.planner.finance.variance import Amount, Apart, variance
from costplan.planner.settings import Budget
from tests.finance.books import START, month_lines, pico

END = datetime(2026, 11, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
USD = Decimal


def period(until: datetime = END) -> Period:
    return Period(name="2026-10", start=START, end=END, until=until)


def asked(lines: Iterable[ChargeLine], until: datetime = END, **more: object) -> Statement:
    with Book(threads=1) as book:
        book.add(lines)
        return ask(book, Question(period=period(until), **more))  # type: ignore[arg-type]


def base() -> ChargeLine:
    """An hour of an m5.xlarge in us-east-1 on demand, $0.192 of work, without a disk or a plan."""
    (found,) = [x for x in month_lines(nodes=1, hours=1) if x.charge is Charge.MACHINE][:1]
    return replace(
        found, micros=3_600_000_000, billed_usd=USD("0.192"), effective_usd=USD("0.192"),
        list_usd=USD("0.192"), on_demand_usd=USD("0.192"), purpose=Purpose.WORK, covered=None,
        owner=Owner(workload="fraud"),
    )  # fmt: skip


def line(number: int, at: datetime, *, usd: str = "0.192", **more: object) -> ChargeLine:
    amount, kind = USD(usd), str(more.pop("type", "m5.xlarge"))
    cell = replace(base().cell, instance_type=kind, vcpu=USD(str(more.pop("vcpu", 4))))
    made = replace(
        base(), line_id=number, entry_id=number, start=at, end=at + HOUR, recorded_at=at + HOUR,
        cell=cell, billed_usd=amount, effective_usd=amount, list_usd=amount, usd_per_hour=amount,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def summed(table: Table) -> tuple[int, Decimal, Decimal]:
    return (
        sum(row.sums.lines for row in table.rows),
        sum((row.sums.billed_usd for row in table.rows), USD(0)),
        sum((row.sums.effective_usd for row in table.rows), USD(0)),
    )


@pytest.mark.parametrize("view", tuple(View))
def test_every_table_adds_up_to_the_lines_to_the_last_place(view: View) -> None:
    lines = list(month_lines(nodes=6, hours=5 * 24))
    made = asked(lines, view=view, tables=(("team", "workload"), ("tag:cluster", "day")))
    billed = sum((each.billed_usd for each in lines), USD(0))
    effective = sum((each.effective_usd for each in lines), USD(0))
    whole = (len(lines), billed, effective)
    assert (made.total.lines, made.total.billed_usd, made.total.effective_usd) == whole
    for table in (*made.tables, made.purposes, made.markets, made.charges, made.kinds, made.types):
        assert summed(table) == whole
    assert sum((bucket.usd for bucket in made.series.buckets), USD(0)) == made.usd
    assert made.usd == (billed if view is View.CASH else effective)
    amounts = [row.sums.usd(view) for row in made.tables[0].rows]
    assert amounts == sorted(amounts, reverse=True)


def test_lines_of_other_months_are_in_no_sum_but_in_the_band() -> None:
    """Five weeks of $4.608 a day before it; the month has one day, of $46.08."""
    days = [line(n, START - n * DAY, usd="4.608", month="2026-09") for n in range(1, 36)]
    lines = [replace(x, month=f"{x.start:%Y-%m}") for x in days] + [line(99, START, usd="46.08")]
    made = asked(lines, until=START + 2 * DAY)
    assert made.total.effective_usd == USD("46.08")
    (odd,) = made.anomalies
    assert (odd.day, odd.usual_usd, odd.usd) == (date(2026, 10, 1), USD("4.608"), USD("46.08"))
    with Book(threads=1) as book:
        book.add(days)
        with pytest.raises(InputError, match="nothing was spent in this month"):
            ask(book, Question(period=period()))


def test_a_correction_of_an_earlier_month_counts_for_the_first_day() -> None:
    late = line(2, START - DAY, usd="-0.100", kind=LineKind.CORRECTION, micros=1_800_000_000)
    made = asked([line(1, START), replace(late, on_demand_usd=USD("-0.1"))])
    assert made.corrections.of_earlier == 1
    assert made.total.effective_usd == USD("0.092")
    assert made.first == START.date()
    assert made.total.node_hours == USD("0.5")


def test_unknown_is_not_zero_in_emissions() -> None:
    """14 W of vCPU, 16 GiB × 0.4209 W, times 1.135: 23.53 W, at 379.069 g/kWh 8.92 g an hour."""
    there = replace(line(2, START).cell, region="mars-1")
    made = asked([line(1, START), line(2, START, cell=there, node_id="n-2")], tables=(("region",),))
    assert round(made.footprint.grams, 2) == USD("8.92")
    assert made.footprint.gaps == ("no grid intensity is known of aws mars-1",)
    assert made.footprint.gap_node_hours == 1
    by_region = {row.names[0]: row.sums.grams_co2e for row in made.tables[0].rows}
    assert by_region["mars-1"] is None
    assert made.total.grams_co2e is None


def test_emissions_have_a_source_and_no_power_is_made_up() -> None:
    size = {"vcpu": USD(4), "memory_gib": USD(16)}
    gpu = Machine(provider="aws", region="us-east-1", instance_type="p5.48xlarge", gpus=8, **size)
    assert rates_of(gpu) == "no power is known of the GPUs of p5.48xlarge"
    card = replace(gpu, instance_type="g5.xlarge", gpus=1)
    rates, bare = rates_of(card), rates_of(replace(card, gpus=0))
    assert isinstance(rates, Rates)
    assert isinstance(bare, Rates)
    assert rates.full_watts - bare.full_watts == USD("153") * USD("1.135")
    grid = grid_of("azure", "East US")
    assert grid is not None
    assert (grid.year, grid.grams_per_kwh) == (2022, USD("379.069"))


def test_everything_on_demand_is_priced_from_the_lines() -> None:
    """Spot at a third: 3 hours of work, 1 ran again, 1 booted. On demand 4 × $0.192 without what
    ran again: $0.768; without the boot $0.576; with all of it $0.96. $0.32 were paid."""
    purposes = (Purpose.WORK, Purpose.WORK, Purpose.WORK, Purpose.RECOMPUTE, Purpose.BOOT)
    lines = [line(n, START + n * HOUR, usd="0.064", purpose=p) for n, p in enumerate(purposes)]
    made = asked(lines, before=Before(instance_type="m5.xlarge", count=2), until=START + 10 * HOUR)
    spot, before, adaptive = made.otherwise
    assert (spot.usd, spot.low_usd, spot.high_usd) == (USD("0.768"), USD("0.576"), USD("0.960"))
    assert spot.saved_usd == USD("0.448")
    assert before.usd == 2 * 10 * USD("0.192")
    assert before.low_usd == 2 * 5 * USD("0.192")
    assert adaptive.usd == 3 * USD("0.192")
    assert adaptive.high_usd == 5 * USD("0.192")


def test_a_type_without_an_on_demand_price_is_on_neither_side() -> None:
    unknown = line(2, START, usd="0.1", type="x9.large", on_demand_usd=None,
                   on_demand_usd_per_hour=None)  # fmt: skip
    made = asked([line(1, START, usd="0.150"), unknown])
    assert made.otherwise[0].paid_usd == USD("0.150")
    assert "without x9.large, of which no on-demand price is known" in made.otherwise[0].words
    mostly = asked([line(1, START, usd="0.05"), unknown])
    assert mostly.otherwise[0].usd is None


def test_what_a_commitment_covers_and_what_nobody_used() -> None:
    """$0.60 an hour is committed to; what is used and what is not are its fee in every hour."""
    made = asked(month_lines(nodes=6, hours=24))
    (use,) = made.commitments.uses
    assert use.fee_usd == use.committed_usd == 24 * USD("0.60")
    assert use.utilisation == use.used_usd / use.fee_usd
    assert use.saved_usd == use.on_demand_usd - use.fee_usd
    covered = made.commitments
    assert covered.coverage == covered.covered_usd / (covered.covered_usd + covered.uncovered_usd)


def test_the_five_causes_of_a_plan_that_came_otherwise() -> None:
    """Planned: 2 m5.xlarge (4 vCPU) at $0.20 for 10 h: 80 vCPU-hours for $4, $0.05 each. Metered:
    one of them at $0.25, a c5.2xlarge (8 vCPU) at $0.48, and an hour that ran again for $0.25.

        quantity (120 − 80) × 0.05 = 2.00      mix 80 × (0.06 − 0.05) = 0.80
        price 40 × (0.0625 − 0.05) = 0.50      interruption 0.25
    """
    lines = [line(n, START + n * HOUR, usd="0.25") for n in range(10)]
    lines += [
        line(50 + n, START + n * HOUR, usd="0.48", type="c5.2xlarge", vcpu=8) for n in range(10)
    ]
    lines.append(line(90, START, usd="0.25", purpose=Purpose.RECOMPUTE))
    before = line(91, START - HOUR, usd="0.1", kind=LineKind.CORRECTION)
    plan = Expected(
        provider="aws", region="us-east-1", instance_type="m5.xlarge", market="on_demand",
        vcpu=USD(4), nodes=2, usd_per_hour=USD("0.20"),
    )  # fmt: skip
    stretches = [
        Stretch(start=START - DAY, plan_id="p1", fleet=(replace(plan, nodes=0),)),
        Stretch(start=START, plan_id="p2", fleet=(plan,)),
        Stretch(start=START + 10 * HOUR, plan_id="p3", fleet=()),
    ]
    with Book(threads=1) as book:
        book.add([*lines, before])
        add_plans(book, stretches[1:], END)
        found = ask(book, Question(period=period())).variance
    assert found.planned_usd == USD(4)
    assert {name: usd for name, _, usd in found.causes} == {
        "price": USD("0.5"), "quantity": USD(2), "mix": USD("0.8"), "commitment": 0,
        "interruption": USD("0.25"),
    }  # fmt: skip
    assert found.metered_usd == USD("7.55")
    assert found.before_usd == USD("0.1")


AMOUNTS = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")),
    st.builds(
        lambda h, u: Amount(vcpu_hours=Decimal(h) / 7, usd=pico(Decimal(u) / 13)),
        st.integers(0, 10**6), st.integers(-100, 10**9),
    ),
)  # fmt: skip


@hypothesis_settings(max_examples=60, deadline=None)
@given(planned=AMOUNTS, metered=AMOUNTS, commitment=st.integers(-99, 99))
def test_causes_add_up_whatever_happened(
    planned: dict[tuple[str, str], Amount], metered: dict[tuple[str, str], Amount], commitment: int
) -> None:
    whole = sum((each.usd for each in metered.values()), USD(commitment) / 8)
    apart = Apart(metered_usd=whole, commitment_usd=USD(commitment) / 8, interruption_usd=USD(0))
    found = variance(planned, metered, told_apart=apart, since=START)  # type: ignore[arg-type]
    assert found.planned_usd is not None
    causes = sum((usd for _, _, usd in found.causes), found.planned_usd)
    assert causes == whole
    assert all(usd == pico(usd) for _, _, usd in found.causes)


def test_a_budget_is_foretold_by_weekdays() -> None:
    """$10 on each working day and none on weekends from 31 August on; by noon of the 15th $105
    of the month's are burnt; half of that day and 11 more working days are left."""
    days = {
        day: USD(0 if day.weekday() > 4 else 10)
        for n in range(45)
        if (day := date(2026, 8, 31) + n * DAY)
    }
    now = datetime(2026, 10, 15, 12, tzinfo=UTC)
    days[date(2026, 10, 15)] = USD(5)
    found = burn("month", days, (START, END), now, USD(200))
    assert found.burnt_usd == USD(105)
    assert found.forecast_usd == USD(105) + 5 + 11 * USD(10)
    assert found.passed_on == date(2026, 10, 29)
    assert (found.is_passed, found.will_pass) == (False, True)
    assert found.low_usd is not None
    assert found.high_usd is not None
    assert found.low_usd < found.forecast_usd < found.high_usd
    over = burn("month", days, (START, END), now, USD(60))
    assert (over.is_passed, over.passed_on) == (True, date(2026, 10, 9))


def test_no_day_seen_is_no_forecast() -> None:
    found = burn("month", {}, (START, END), START + HOUR, USD(200))
    assert (found.forecast_usd, found.passed_on, found.basis) == (
        None, None, "no whole day was seen yet",
    )  # fmt: skip


def test_fees_before_anything_ran_are_no_usual_days() -> None:
    """$24 a day from the 5th on, and $1 a day of a commitment for weeks before: no day is odd."""
    first, fee = START + 4 * DAY, replace(base(), charge=Charge.COMMITMENT, kind=LineKind.PURCHASE)
    fees = [
        replace(fee, line_id=1000 + n, start=at, end=at + HOUR, billed_usd=USD(1),
                effective_usd=USD(1), month=f"{at:%Y-%m}", covered=None)
        for n in range(60) if (at := first - n * DAY)
    ]  # fmt: skip
    made = asked([*(line(n, first + n * DAY, usd="24") for n in range(20)), *fees])
    assert made.anomalies == ()
    late = asked(
        [line(n, first + n * DAY, usd="48" if n == 17 else "24") for n in range(20)] + fees
    )
    assert [odd.day for odd in late.anomalies] == [(first + 17 * DAY).date()]


def test_an_odd_day_is_found_with_what_explains_it() -> None:
    """$100 a day, half of it on each type; one Tuesday $300, all of the rise on GPUs. Weekends
    at $20 are as they always are."""
    days, cpu, gpu = {}, {}, {}
    for number in range(42):
        day = date(2026, 9, 1) + number * DAY
        base_usd = USD(10) if day.weekday() > 4 else USD(50)
        cpu[day], gpu[day] = base_usd + number % 3, base_usd
        if day == date(2026, 10, 6):
            gpu[day] += 200
        days[day] = cpu[day] + gpu[day]
    parts = {"instance_type": {"m5": cpu, "g5": gpu}, "region": {"us-east-1": days}}
    (odd,) = anomalies(days, parts, days)
    assert odd.day == date(2026, 10, 6)
    assert odd.likes == "5 other Tuesdays"
    assert odd.cause is not None
    assert (odd.cause.dimension, odd.cause.name, odd.cause.usd) == ("instance_type", "g5", USD(250))


def test_a_day_that_is_not_over_is_not_judged() -> None:
    lines = [line(n, START + n * DAY, usd="24") for n in range(12)]
    lines.append(line(99, START + 12 * DAY, usd="1"))
    assert asked(lines, until=START + 12 * DAY + HOUR).anomalies == ()
    assert len(asked(lines, until=START + 13 * DAY).anomalies) == 1


def test_a_journal_ties_to_the_cent_by_a_line_of_its_own() -> None:
    """Three thirds of a cent each round to nothing; together they are one cent."""
    third = USD("0.003333333333")
    costs = [Cost(cost_center=c, charge="machine", purpose="work", usd=third) for c in "abc"]
    rules = (
        AccountRule(account="6999", charge="rounding"),
        AccountRule(account="6200", cost_center="b"),
        AccountRule(account="6100"),
    )
    made = journal(costs, rules, period="2026-10", what="costplan")
    assert [(e.cost_center, e.account, e.amount_usd) for e in made.entries] == [
        ("a", "6100", 0), ("b", "6200", 0), ("c", "6100", 0), ("", "6999", USD("0.01")),
    ]  # fmt: skip
    assert made.total_usd == sum(entry.amount_usd for entry in made.entries) == USD("0.01")
    assert made.exact_usd == 3 * third


def test_runs_and_hours_of_machines_have_a_price() -> None:
    lines = [
        line(n, START + n * HOUR, usd="0.5", owner=Owner(run=f"r-{n % 2}", prefix="fit"))
        for n in range(4)
    ]
    made = asked(lines, budget=Budget(usd_per_month=USD(1)))
    assert {(c.unit, c.of): c.usd_each for c in made.unit_costs} == {
        ("run", ""): USD(1), ("vCPU-hour", ""): USD("0.125"),
    }  # fmt: skip
    assert made.budgets[0].is_passed


def test_the_day_in_which_the_ledger_began_says_nothing_of_others() -> None:
    """$24 a day from noon of the first on: $12 on it, which is no less than usual."""
    lines = [line(0, START + 12 * HOUR, usd="12")]
    lines += [line(n, START + n * DAY, usd="24") for n in range(1, 12)]
    until = START + 12 * DAY
    made = asked(lines, until=until)
    assert made.anomalies == ()
    assert made.forecast is not None
    assert made.forecast.forecast_usd == 12 + 30 * USD(24)
    assert made.forecast.low_usd == made.forecast.high_usd == made.forecast.forecast_usd
