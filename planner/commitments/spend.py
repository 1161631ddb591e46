"""Commitments of dollars an hour: the usage with the highest saving takes them first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from costplan.planner.commitments.open import OpenLine, Pool, Round
from costplan.planner.commitments.values import Commitment, Usage

RateOf = Callable[[Usage, Commitment], Fraction | None]
"""Dollars of the commitment that a unit of usage takes; None where it is not eligible."""


def listed_rate(usage: Usage, plan: Commitment) -> Fraction | None:
    """The rate of the usage line for a plan of this kind and term, else of this kind."""
    return usage.rates.get(f"{plan.kind}_{plan.term}", usage.rates.get(plan.kind))


def apply_plans(
    lines: Sequence[OpenLine], pools: Sequence[Pool], rate_of: RateOf, rounds: Sequence[Round]
) -> None:
    """Covers lines from plans that are used together, round by round.

    In a round every pair of a plan and a line is ranked: instances before the unused part of a
    capacity reservation, then the highest saving against the price without a commitment, then the
    lowest rate, then names. Usage without a saving takes the plan too, after all the rest: AWS
    counts Lambda requests, whose two rates are equal, as covered (sp-applying.html, scenario 1).
    """
    for in_round in rounds:
        pairs = []
        for place, pool in enumerate(pools):
            for line in lines:
                if line.left and pool.left and in_round(line, pool):
                    rate = rate_of(line.usage, pool.commitment)
                    if rate is not None:
                        pairs.append((_rank(line.usage, rate), place, pool, line, rate))
        pairs.sort(key=lambda pair: pair[:2])
        for _, _, pool, line, rate in pairs:
            pool.cover(line, rate)


def _rank(usage: Usage, rate: Fraction) -> tuple[bool, Fraction, Fraction, str]:
    price = usage.usd_per_unit
    saving = 1 - rate / price if price else Fraction(0)
    return usage.is_idle, -saving, rate, usage.usage_id
