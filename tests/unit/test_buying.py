"""What could be bought: what is remembered of a price list, and what of it must not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from costplan.planner.buying import Shop
from costplan.planner.settings import Settings
from costplan.planner.types import Quote
from costplan.planner.workload import Machines, MarketRules
from tests import fleets

OFFERS = fleets.offers(["a", "b"])
QUOTES = (fleets.quote(fleets.key("a"), "1.00"), fleets.quote(fleets.key("b"), "2.00"))
RULES = fleets.rules()


def cheapest(quotes: Sequence[Quote] = QUOTES, rules: Settings = RULES) -> tuple[str, Decimal]:
    """The first machine for one worker, and its dollars an hour."""
    column = Shop(OFFERS, quotes, rules).shelf({"w": 1}, {"w": 1}).columns[0]
    return column.keys[0].instance_type, column.usd_per_hour


def test_a_list_that_says_the_same_gives_the_same() -> None:
    assert cheapest() == cheapest() == ("a", Decimal(1))


def test_a_price_that_changes_is_seen() -> None:
    dearer = (fleets.quote(fleets.key("a"), "3.00"), QUOTES[1])
    assert [cheapest(), cheapest(dearer), cheapest()] == [
        ("a", Decimal(1)), ("b", Decimal(2)), ("a", Decimal(1))
    ]  # fmt: skip


def test_a_rule_that_changes_is_seen() -> None:
    without = replace(RULES, machines=Machines(exclude=("a",)))
    assert [cheapest(), cheapest(rules=without)[0]] == [("a", Decimal(1)), "b"]


def test_a_hazard_that_changes_is_seen_at_the_same_prices() -> None:

    def first(a_per_hour: float, most: float | None = None) -> tuple[str, float]:
        quotes = [
            replace(fleets.quote(fleets.spot(name), usd), hazard_per_hour=hazard)
            for name, usd, hazard in (("a", "1.00", a_per_hour), ("b", "2.00", 0.0))
        ]
        rules = replace(RULES, market=MarketRules(max_hazard_per_hour=most))
        column = Shop(OFFERS, quotes, rules).shelf({"w": 1}, {"w": 1}).columns[0]
        return column.keys[0].instance_type, column.expected_usd_per_hour

    hours = (RULES.interruption.lost_work_seconds + RULES.interruption.restart_seconds) / 3600
    assert first(0.5) == ("a", 1.0 + 0.5 * hours)
    assert first(0.0) == ("a", 1.0)
    # Twice a day is too often where one a day is allowed.
    assert [first(2 / 24, 1 / 24)[0], first(0.5 / 24, 1 / 24)[0]] == ["b", "a"]
