"""Advice on commitments on demand that really came, and how fast it is.

    python -m tests.bench.commitments [--speed] [--scenarios N]

Hourly demand of three traces at Google's prices of December 2025 in us-central1: GPUs of Philly
on a2-highgpu-1g, CPUs of Alibaba PAI and of Azure's machines on e2-standard-4. The first half is
learnt from; then is bought, and the second half is billed to the cent. A term is taken to be as
long as the second half, at the price an hour of one year or three. Every figure is the bill over
that of who buys nothing: `ours`, the look-back advice (`30 days`, whatever it risks), the online
break-even rule (it looks on in the first half as well) and the best that could have been bought
with the second half known (`foreseen`). `--speed` is 100 workloads on each of three clouds, 200
scenarios of 8,760 hours. Exits with the number of rows in which ours is behind one of the first
three, or, where demand is stationary, more than 5 % behind the last.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pyarrow.parquet as pq

from costplan.planner.advice import online
from costplan.planner.advice.advise import advise, provider_purchases
from costplan.planner.advice.cover import parts_of
from costplan.planner.advice.layers import World, best_purchases
from costplan.planner.advice.scenarios import as_it_was, drawn
from costplan.planner.advice.types import Floats, Line, Offer, Purchase, Question, Settings
from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.values import Hour, Kind, Product, Rules
from tests.bench.forecast import series
from tests.bench.instances import DATA, DataAbsent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REGION = "us-central1"
TRACES = {
    "Philly, GPUs of jobs": ("a2-highgpu-1g", 1),
    "Alibaba PAI, CPUs": ("e2-standard-4", 4),
    "Azure VMs, CPUs": ("e2-standard-4", 4),
}
STEPS_PER_HOUR = 12
STATIONARY = 0.1
"""Demand counts as stationary where the halves' means differ by less."""

RULES = Rules(sustained_use=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The bills of a trace and a term, each over that of who buys nothing."""

    name: str
    term: str
    level: float
    ours: float
    provider: float
    rule: float
    foreseen: float


def prices(instance_type: str) -> dict[str, Fraction]:
    """The newest prices of a machine: on demand, and for a year or three."""
    path = DATA / "gcp_price_history_dev.parquet"
    if not path.is_file():
        raise DataAbsent(f"{path} is not there")
    table = pq.read_table(path).to_pandas()
    mine = table[(table["instance_type"] == instance_type) & (table["region"] == REGION)]
    newest = mine.sort_values("valid_from").iloc[-1]
    columns = {"od": "on_demand_usd_h", "1y": "cud_1y_usd_h", "3y": "cud_3y_usd_h"}
    return {key: Fraction(str(round(newest[column], 6))) for key, column in columns.items()}


def hourly(values: Floats) -> Floats:
    """Means of whole hours."""
    whole = len(values) // STEPS_PER_HOUR * STEPS_PER_HOUR
    filled = np.nan_to_num(values[:whole])
    return np.asarray(filled.reshape(-1, STEPS_PER_HOUR).mean(axis=1))


def question_of(
    name: str, instance_type: str, hours: Floats, term: str, settings: Settings
) -> Question:
    """What would have been asked after these hours."""
    usd = prices(instance_type)
    product = Product(
        provider="gcp",
        service="compute",
        region=REGION,
        instance_type=instance_type,
        machine_series=instance_type.partition("-")[0],
        resource=instance_type,
    )
    offer = Offer(
        offer_id=f"{instance_type}-{term}",
        kind=Kind.RESOURCE_CUD,
        product=product,
        term=term,
        usd_per_hour=usd[term],
    )
    line = Line(usage_id=name, product=product, hours=hours, usd_per_unit=usd["od"])
    return Question(lines=(line,), offers=(offer,), settings=settings, now=NOW)


def billed(question: Question, hours: Floats, bought: tuple[Purchase, ...]) -> float:
    """The exact bill of hours with what is bought."""
    (line,) = question.lines
    held = tuple(each.offer.bought(each.amount) for each in bought)
    made = bill(
        (Hour(usage=(line.usage(Fraction(units)),), commitments=held) for units in hours.tolist()),
        RULES,
    )
    return float(sum((hour.total_usd for hour in made), Fraction(0)))


def backtest(name: str, hours: Floats, instance_type: str, term: str, scenarios: int) -> Row:
    """What each would have paid for the second half."""
    half = len(hours) // 2
    past, came = hours[:half], hours[half:]
    settings = Settings(
        horizon_hours=len(came), scenarios=scenarios, after_horizon=1.0, risk_weight=0.0
    )
    question = question_of(name, instance_type, past, term, settings)
    parts = parts_of(question.lines)
    world = World(parts=parts, scenarios=drawn(parts, settings), question=question)
    later = question_of(name, instance_type, came, term, replace(settings, scenarios=1))
    after = parts_of(later.lines)
    known = World(parts=after, scenarios=as_it_was(after, 0, len(came)), question=later)
    on_demand = billed(question, came, ())
    usd = prices(instance_type)
    rule = online.break_even_cost(hours, half, float(usd["od"]), float(usd[term]), len(came))
    return Row(
        name=name,
        term=term,
        level=float(came.mean() / past.mean()),
        ours=billed(question, came, best_purchases(world)) / on_demand,
        provider=billed(question, came, provider_purchases(world)) / on_demand,
        rule=rule / on_demand,
        foreseen=billed(question, came, best_purchases(known)) / on_demand,
    )


def backtests(scenarios: int) -> list[Row]:
    """A row for each trace and term."""
    rows = []
    for name, _, values in series():
        if name in TRACES:
            instance_type, cpus = TRACES[name]
            hours = hourly(values) / cpus
            for term in ("1y", "3y"):
                rows.append(backtest(name, hours, instance_type, term, scenarios))
    return rows


def is_behind(row: Row) -> bool:
    """Whether a goal is missed."""
    slack = 1e-9
    stationary = abs(row.level - 1) < STATIONARY
    return row.ours > min(1.0, row.provider, row.rule) + slack or (
        stationary and row.ours > 1.05 * row.foreseen
    )


def large(workloads: int, scenarios: int) -> Question:
    """Workloads on three clouds, a year of hours of each, with offers of the kinds of each."""
    dice = np.random.default_rng(1)
    hour = np.arange(8760)
    lines: list[Line] = []
    offers: list[Offer] = []
    for provider, plan in (
        ("aws", Kind.COMPUTE_SP),
        ("gcp", Kind.FLEXIBLE_CUD),
        ("azure", Kind.AZURE_SAVINGS_PLAN),
    ):
        offers.append(
            Offer(offer_id=f"{provider}-plan", kind=plan, product=Product(provider=provider),
                  term="1y")
        )  # fmt: skip
        for number in range(workloads):
            wave = 1 + 0.5 * np.sin(2 * np.pi * (hour / 24 + dice.random()))
            noise = np.exp(0.4 * np.repeat(dice.standard_normal(365), 24))
            usd = Fraction(int(dice.integers(50, 500)), 1000)
            name = f"{provider}{number}"
            product = Product(provider=provider, service="ec2" if provider == "aws" else "",
                              region="r", instance_type=f"{name}.large", machine_series=name,
                              resource=name)  # fmt: skip
            lines.append(
                Line(usage_id=name, product=product, usd_per_unit=usd,
                     hours=np.round(dice.integers(2, 60) * wave * noise, 2),
                     rates={f"{plan}_1y": usd * Fraction(72 + number % 8, 100)})
            )  # fmt: skip
            kind = {"aws": Kind.REGIONAL_RI, "gcp": Kind.RESOURCE_CUD}.get(
                provider, Kind.AZURE_RESERVATION
            )
            offers.append(
                Offer(offer_id=f"{name}-1y", kind=kind, product=product, term="1y",
                      usd_per_hour=usd * Fraction(62, 100))
            )  # fmt: skip
    settings = Settings(scenarios=scenarios, upfront_usd=Fraction(0))
    return Question(lines=tuple(lines), offers=tuple(offers), settings=settings, now=NOW)


def speed(scenarios: int) -> float:
    """Seconds of the whole advice, with two threads."""
    question = large(100, scenarios)
    begin = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        made = advise(question, pool.map)
    seconds = time.perf_counter() - begin
    share = made.saving_usd / made.nothing_usd
    print(f"300 lines, {scenarios} scenarios of 8,760 hours: {seconds:.1f} s, "
          f"{len(made.uses)} purchases, saves {share:.1%}")  # fmt: skip
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speed", action="store_true", help="only how fast it is")
    parser.add_argument("--scenarios", type=int, default=200)
    options = parser.parse_args()
    if options.speed:
        return int(speed(options.scenarios) > 60)
    try:
        rows = backtests(options.scenarios)
    except (DataAbsent, FileNotFoundError) as absent:
        print(f"left out: {absent}")
        return 0
    print("| demand | term | after/before | ours | 30 days | break-even | foreseen | ours/best |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        ratios = (row.ours, row.provider, row.rule, row.foreseen, row.ours / row.foreseen)
        cells = " | ".join(f"{ratio:.4f}" for ratio in ratios)
        print(f"| {row.name} | {row.term} | {row.level:.2f} | {cells} |")
    return sum(map(is_behind, rows)) + int(speed(options.scenarios) > 60)


if __name__ == "__main__":
    sys.exit(main())
