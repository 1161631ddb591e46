"""The advice: what to buy, what that saves and risks, and what others would buy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from costplan.planner.advice import online
from costplan.planner.advice.choose import tail_mean
from costplan.planner.advice.cover import parts_of
from costplan.planner.advice.layers import Shares, World, best_purchases, best_shares, costs_of
from costplan.planner.advice.scenarios import Scenarios, as_it_was, drawn
from costplan.planner.advice.steps import Steps, Tell, silent
from costplan.planner.advice.types import Floats, Mapper, Purchase, Question

LOOK_BACK_HOURS = 30 * 24
"""What providers look back on for their own advice."""

WEIGHTS = (0.0, 0.25, 1.0, 4.0, 16.0)
_POINTS = (None, *WEIGHTS)
_RULE_SCENARIOS = 8
_RULE_BANDS, _LEAST_BANDS = 600, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A purchase, how much of it is expected to be used, and from which use on it pays."""

    purchase: Purchase
    used_share: float
    break_even_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of the frontier: what is bought at a weight of the bad end; None buys nothing."""

    risk_weight: float | None
    purchases: tuple[Purchase, ...]
    mean_usd: float
    tail_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What somebody else would buy, and what it would cost in the same scenarios."""

    name: str
    purchases: tuple[Purchase, ...] | None
    units: tuple[tuple[str, str, float], ...]
    mean_usd: float
    tail_usd: float
    scenarios: int
    advised_usd: float
    """What the advice costs in these scenarios."""

    ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to buy and what is to be expected over the horizon, in dollars.

    `saving` are the 10 %, 50 % and 90 % quantiles over the scenarios. `regret_usd` is what the
    purchase costs more than nothing would where demand is half in every scenario; below zero it
    still saves.
    """

    question: Question
    uses: tuple[Use, ...]
    nothing_usd: float
    nothing_tail_usd: float
    mean_usd: float
    tail_usd: float
    saving_usd: float
    saving: tuple[float, float, float]
    regret_usd: float
    frontier: tuple[Point, ...]
    frontier_scenarios: int
    chosen_scenarios: int
    """Over how many the amounts were chosen: fewer than all in large questions."""

    others: tuple[Choice, ...]

    @property
    def purchases(self) -> tuple[Purchase, ...]:
        """What to buy; nothing is an answer."""
        return tuple(use.purchase for use in self.uses)


def advise(question: Question, mapped: Mapper = map, tell: Tell = silent) -> Advice:
    """The advice; the same question has the same answer. `tell` hears which step begins."""
    steps = Steps(tell, 5 + len(_POINTS))
    steps.begin("drawing futures")
    parts = parts_of(question.lines)
    scenarios = drawn(parts, question.settings)
    world = World(parts=parts, scenarios=scenarios, question=question, mapped=mapped)
    steps.begin("trying kinds of commitments")
    shares = best_shares(world)
    provider = provider_purchases(world)
    steps.begin("choosing amounts")
    bought = best_purchases(world, shares, provider)
    nothing, costs = world.costs(()), world.costs(bought)
    steps.begin("half the demand")
    saving = nothing - costs
    low, middle, high = (float(each) for each in np.quantile(saving, (0.1, 0.5, 0.9)))
    few = world.some()
    halved = replace(few, scenarios=few.scenarios.halved(), known={})
    regret = float((halved.costs(bought) - halved.costs(())).mean()) if bought else 0.0
    risk = question.settings.risk
    frontier = _frontier(few, shares, steps)
    steps.begin("what others would buy")
    return Advice(
        question=question,
        uses=_uses(world, bought),
        nothing_usd=float(nothing.mean()),
        nothing_tail_usd=tail_mean(nothing, risk),
        mean_usd=float(costs.mean()),
        tail_usd=tail_mean(costs, risk),
        saving_usd=float(saving.mean()),
        saving=(low, middle, high),
        regret_usd=regret,
        frontier=frontier,
        frontier_scenarios=few.scenarios.count,
        chosen_scenarios=world.chosen_in().scenarios.count,
        others=(_provider_style(world, provider, costs), *_break_even(world, bought)),
    )


def provider_purchases(world: World) -> tuple[Purchase, ...]:
    """What providers' own advice comes to: the most saved had the last 30 days been so covered,
    whatever it costs and risks."""
    length = world.scenarios.past.shape[1]
    question = replace(
        world.question,
        settings=replace(
            world.settings, risk_weight=0.0, after_horizon=1.0, upfront_usd=None, usd_per_month=None
        ),
    )
    back = min(length, LOOK_BACK_HOURS)
    question = replace(question, settings=replace(question.settings, horizon_hours=back))
    past = as_it_was(world.parts, length - back, length)
    return best_purchases(
        World(parts=world.parts, scenarios=past, question=question, mapped=world.mapped)
    )


def _provider_style(world: World, bought: tuple[Purchase, ...], costs: Floats) -> Choice:
    theirs = world.costs(bought)
    return Choice(
        name="provider",
        purchases=bought,
        units=(),
        mean_usd=float(theirs.mean()),
        tail_usd=tail_mean(theirs, world.settings.risk),
        scenarios=world.scenarios.count,
        advised_usd=float(costs.mean()),
    )


def _break_even(world: World, bought: Sequence[Purchase]) -> tuple[Choice, ...]:
    """The rule over the past and each of a few scenarios, unit by unit of each line; it knows of
    nothing that is held, so it is left out where something is."""
    if world.question.held:
        return ()
    few = world.scenarios.some(_RULE_SCENARIOS)
    ways = [online.cheapest_of(part, world.question.offers, world.settings) for part in world.parts]
    bands = min(max(_RULE_BANDS // len(ways), _LEAST_BANDS), online.MOST_BANDS)
    cost = partial(_rule_cost, tuple(ways), bands, few)
    costs = np.array(list(world.mapped(cost, range(few.count))))
    now = tuple(
        (part.line.usage_id, way.offer.offer_id, amount)
        for place, (part, way) in enumerate(zip(world.parts, ways, strict=True))
        if way is not None
        and (amount := online.break_even_amount(
            few.past[place], part.usd_per_unit, way.usd_per_hour, way.offer.term_hours
        ))
    )  # fmt: skip
    advised = costs_of(world.book(bought), few)
    return (
        Choice(
            name="break-even rule",
            purchases=None,
            units=now,
            mean_usd=float(costs.mean()),
            tail_usd=tail_mean(costs, world.settings.risk),
            scenarios=few.count,
            advised_usd=float(advised.mean()),
            ratio=online.deterministic_ratio(),
        ),
    )


def _rule_cost(
    ways: Sequence[online.Cheapest | None], bands: int, scenarios: Scenarios, number: int
) -> float:
    demand, prices = scenarios.demand(number), scenarios.prices(number)
    usd = 0.0
    for place, way in enumerate(ways):
        if way is None:
            usd += float(prices[place] * demand[place].sum())
            continue
        past = scenarios.past[place]
        usd += online.break_even_cost(
            np.concatenate([past, demand[place]]),
            len(past),
            float(prices[place]),
            way.usd_per_hour,
            way.offer.term_hours,
            bands,
        )
    return usd


def _frontier(world: World, shares: Shares, steps: Steps) -> tuple[Point, ...]:
    found = []
    for weight in _POINTS:
        steps.begin("cost and risk")
        bought: tuple[Purchase, ...] = ()
        if weight is not None:
            settings = replace(world.settings, risk_weight=weight)
            question = replace(world.question, settings=settings)
            bought = best_purchases(replace(world, question=question), shares)
        costs = world.costs(bought)
        found.append(
            Point(
                risk_weight=weight,
                purchases=bought,
                mean_usd=float(costs.mean()),
                tail_usd=tail_mean(costs, world.settings.risk),
            )
        )
    return tuple(found)


def _uses(world: World, bought: Sequence[Purchase]) -> tuple[Use, ...]:
    """How much of each is used, over a few scenarios; the use that pays for it is its price over
    the mean of what its covered usage would cost without it."""
    if not bought:
        return ()
    few = world.scenarios.some(_RULE_SCENARIOS)
    book = world.book(bought)
    used = np.zeros(len(book.rooms))
    worth = np.zeros(len(book.rooms))
    for number in range(few.count):
        book.cover(few.demand(number), used, few.prices(number), worth)
    first = len(book.rooms) - len(bought)
    found = []
    for place, each in enumerate(bought, first):
        room = float(book.rooms[place].sum()) * few.count
        price = world.settings.usd_per_used_hour(each.offer)
        found.append(
            Use(
                purchase=each,
                used_share=float(used[place]) / room,
                break_even_share=price * float(used[place]) / float(worth[place])
                if worth[place]
                else 1.0,
            )
        )
    return tuple(found)
