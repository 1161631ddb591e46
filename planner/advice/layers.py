"""What to buy, layer by layer: machines and resources, then plans of a family, then broad ones.

A layer is bought for what those before it leave, in the order in which providers apply them, so
that the whole is not the best by proof. How much of the narrow layers to leave to the broad ones
is tried out, on some of the scenarios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from costplan.planner.advice.choose import Budget, aim, budget_of, choose
from costplan.planner.advice.cover import Book, Part, book_of
from costplan.planner.advice.scenarios import Scenarios
from costplan.planner.advice.tables import Curves, Pool, curves_of, pools_of
from costplan.planner.advice.types import Floats, Mapper, Offer, Purchase, Question, Settings
from costplan.planner.commitments.values import Commitment, Kind

_LAYERS = (
    (Kind.REGIONAL_RI, Kind.RESOURCE_CUD, Kind.AZURE_RESERVATION),
    (Kind.EC2_INSTANCE_SP,),
    (Kind.COMPUTE_SP, Kind.FLEXIBLE_CUD, Kind.AZURE_SAVINGS_PLAN),
)
SOLD = tuple(kind for layer in _LAYERS for kind in layer)
"""Kinds that may be advised."""

Shares = tuple[float, float]

_SHARES = ((1.0, 1.0), (0.5, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0))
"""How much of the first and second layers is kept; the last is bought as it is."""

_TRIED_CELLS, _CHOSEN_CELLS = 2e7, 1e8
_LEAST_TRIED, _MOST_TRIED = 8, 32
_LEAST_CHOSEN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a purchase is judged in. `known` remembers what was worked out of it, which its
    settings do not change, but for the weight of the bad end and budgets."""

    parts: tuple[Part, ...]
    scenarios: Scenarios
    question: Question
    mapped: Mapper = map
    known: dict[Any, Any] = field(default_factory=dict, compare=False)

    @property
    def settings(self) -> Settings:
        """What is wanted."""
        return self.question.settings

    def some(self) -> World:
        """The same with so few scenarios that several purchases can be tried."""
        return self._first(_TRIED_CELLS, _LEAST_TRIED, _MOST_TRIED)

    def chosen_in(self) -> World:
        """The same with as many scenarios as a choice is made over: all but in large questions."""
        return self._first(_CHOSEN_CELLS, _LEAST_CHOSEN, self.scenarios.count)

    def _first(self, cells: float, least: int, most: int) -> World:
        size = len(self.parts) * self.scenarios.hours.shape[1]
        count = min(max(round(cells / size), least), most, self.scenarios.count)
        if count == self.scenarios.count:
            return self
        if count not in self.known:
            self.known[count] = {}
        return World(
            parts=self.parts,
            scenarios=self.scenarios.some(count),
            question=self.question,
            mapped=self.mapped,
            known=self.known[count],
        )

    def book(self, purchases: Sequence[Purchase]) -> Book:
        """What is held and what is bought; what is bought costs what `Settings` say."""
        held = self.question.held
        bought = [_named(each, place) for place, each in enumerate(purchases)]
        hours = self.scenarios.hours.shape[1]
        book = book_of(self.parts, (*held, *bought), self.question.now, hours)
        usd = book_of(self.parts, held, self.question.now, hours).usd
        for each in purchases:
            usd += float(each.amount) * self.settings.usd_per_used_hour(each.offer) * hours
        return Book(steps=book.steps, rooms=book.rooms, usd=usd)

    def costs(self, purchases: Sequence[Purchase]) -> Floats:
        """The cost of each scenario, covered in the providers' order."""
        return self.all_costs((tuple(purchases),))[0]

    def all_costs(self, choices: Sequence[tuple[Purchase, ...]]) -> list[Floats]:
        """The costs of several choices, for each of which the same demand is made once."""
        new = [each for each in dict.fromkeys(choices) if each not in self.known]
        if new:
            found = all_costs_of([self.book(each) for each in new], self.scenarios, self.mapped)
            self.known.update(zip(new, found, strict=True))
        return [self.known[each] for each in choices]

    def curves(self, pools: tuple[Pool, ...], purchases: Sequence[Purchase]) -> Curves:
        """The curves of pools, of what these purchases leave."""
        key = pools, tuple(purchases)
        if key not in self.known:
            book = self.book(purchases)
            self.known[key] = curves_of(pools, book, self.scenarios, self.mapped)
        curves: Curves = self.known[key]
        return curves


def costs_of(book: Book, scenarios: Scenarios, mapped: Mapper = map) -> Floats:
    """The cost of each scenario with the commitments of a book."""
    return all_costs_of([book], scenarios, mapped)[0]


def all_costs_of(
    books: Sequence[Book], scenarios: Scenarios, mapped: Mapper = map
) -> tuple[Floats, ...]:
    """The cost of each scenario with the commitments of each book."""
    costs = partial(_costs_of, tuple(books), scenarios)
    return tuple(np.array(list(mapped(costs, range(scenarios.count)))).T)


def _costs_of(books: Sequence[Book], scenarios: Scenarios, number: int) -> list[float]:
    demand, prices = scenarios.demand(number), scenarios.prices(number)
    found = []
    for place, book in enumerate(books):
        left = demand if place == len(books) - 1 else demand.copy()
        found.append(book.usd + float(prices @ book.cover(left).sum(axis=1)))
    return found


def _named(bought: Purchase, place: int) -> Commitment:
    # A name that no file can hold, so that it is not one of what is held.
    commitment = bought.offer.bought(bought.amount)
    return replace(commitment, commitment_id=f"{bought.offer.offer_id}\n{place}")


def best_purchases(
    world: World, shares: Shares | None = None, beside: tuple[Purchase, ...] = ()
) -> tuple[Purchase, ...]:
    """What to buy: never dearer on the average than nothing, and nothing where that is best.

    The costs of what else is bought `beside` are worked out on the way.
    """
    bought = _bought(world.chosen_in(), shares or best_shares(world))
    nothing, costs, _ = world.all_costs(((), bought, beside))
    better = aim(costs, world.settings) < aim(nothing, world.settings)
    return bought if better and costs.mean() <= nothing.mean() else ()


def best_shares(world: World) -> Shares:
    """How much of the first and second layers to keep."""
    layers = [bool(_of_layer(world.question.offers, layer)) for layer in range(len(_LAYERS))]
    if sum(layers) <= 1:
        return _SHARES[0]
    tried = world.some()
    shares = [each for each in _SHARES if _differs(each, layers)]
    worth = [aim(tried.costs(_bought(tried, each)), world.settings) for each in shares]
    return shares[int(np.argmin(worth))]


def _differs(share: Shares, layers: Sequence[bool]) -> bool:
    """Whether it is something of its own: what is not for sale is not left out."""
    return all(there or kept == 1 for kept, there in zip(share, layers, strict=False))


def _of_layer(offers: Sequence[Offer], layer: int) -> tuple[Offer, ...]:
    return tuple(offer for offer in offers if offer.kind in _LAYERS[layer])


def _bought(world: World, share: Shares) -> tuple[Purchase, ...]:
    purchases: tuple[Purchase, ...] = ()
    budget = budget_of(world.settings)
    for layer, kept in enumerate((*share, 1.0)):
        offers = _of_layer(world.question.offers, layer)
        if offers and kept:
            more = _layer(world, offers, purchases, budget.less(purchases))
            purchases += _part_of(more, kept)
    return purchases


def _layer(
    world: World, offers: Sequence[Offer], purchases: Sequence[Purchase], budget: Budget
) -> tuple[Purchase, ...]:
    """The best of a layer. Plans for the same usage differ in their rates: each stands alone, and
    the best one is taken, provider by provider."""
    plans = [offer for offer in offers if offer.is_plan]
    variants = max((_rivals(plans, plan) for plan in plans), default=0)
    groups = [_variant(plans, number) for number in range(variants)] or [list(offers)]
    if len(groups) == 1:
        return _chosen(world, groups[0], purchases, budget)
    tried, worth = world.some(), []
    for group in groups:
        bought = _chosen(tried, group, purchases, budget)
        worth.append(aim(tried.costs((*purchases, *bought)), world.settings))
    return _chosen(world, groups[int(np.argmin(worth))], purchases, budget)


def _rivals(plans: Sequence[Offer], plan: Offer) -> int:
    return sum(_scope(each) == _scope(plan) for each in plans)


def _variant(plans: Sequence[Offer], number: int) -> list[Offer]:
    """Of each scope one plan: the one of this number, or its last."""
    by_scope: dict[tuple[str, ...], list[Offer]] = {}
    for plan in plans:
        by_scope.setdefault(_scope(plan), []).append(plan)
    return [each[min(number, len(each) - 1)] for each in by_scope.values()]


def _scope(plan: Offer) -> tuple[str, ...]:
    return str(plan.kind), plan.product.family, plan.product.region, plan.product.service


def _chosen(
    world: World, offers: Sequence[Offer], purchases: Sequence[Purchase], budget: Budget
) -> tuple[Purchase, ...]:
    pools = pools_of(world.parts, offers)
    if not pools:
        return ()
    return choose(pools, world.curves(pools, purchases), world.settings, budget)


def _part_of(purchases: Sequence[Purchase], kept: float) -> tuple[Purchase, ...]:
    """That share of each, in whole units."""
    if kept == 1:
        return tuple(purchases)
    share = Fraction(kept)
    cut = []
    for each in purchases:
        step = Fraction(1, 1000) if each.offer.is_plan else Fraction(1)
        amount = each.amount * share // step * step
        if amount:
            cut.append(Purchase(offer=each.offer, amount=amount))
    return tuple(cut)
