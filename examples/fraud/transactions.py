"""Synthetic card transactions with fraud in them: the same seed gives the same rows, anywhere.

A world has cards, merchants and days, and `day(world, index)` makes the rows of one day. A day
depends on the world and its number alone, so days can be made in any order, on any worker, and
again where one was lost.

A card has habits: a home country, a usual hour, a usual amount and how often it is used. A
merchant has a country, a category (which scales amounts) and a popularity. An honest payment
follows the card's habits: mostly at home, near the usual hour, log-normal around the usual
amount; one in fifty is out of habit (a journey, a large purchase), so that being unusual is not
yet fraud.

Fraud comes in cases. A case is a card, the second at which a thief gets it, and the hours it
lasts (half a day to two days). First come a few small payments that test the card, then larger
ones, in bursts of minutes, at any hour, and more often than not at the few merchants, of any
country, where goods turn into money. No single column gives a case away; the card's own past does.

    columns   time           datetime64[s], UTC, within the day
              card           int32
              merchant       int32
              amount         float32, dollars
              category       int8, of the merchant
              abroad         bool, the merchant is not in the card's home country
              remote         bool, the card was not there (paid by its number)
              fraud          bool, what is to be learnt
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

CATEGORIES = 12
COUNTRIES = 10
DAY_SECONDS = 86_400
PAYMENTS_OF_A_CASE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is made: how many rows over how many days, of how many cards, how much of it fraud."""

    rows: int = 600_000
    days: int = 48
    cards: int = 12_000
    merchants: int = 1_500
    fraud_share: float = 0.007
    first_day: date = date(2026, 3, 1)
    seed: int = 7

    def __post_init__(self) -> None:
        if min(self.rows, self.days, self.cards) < 1 or self.merchants < COUNTRIES:
            raise ValueError(f"at least a row, a day, a card and {COUNTRIES} merchants: {self}")
        if not 0 <= self.fraud_share <= 0.1:
            raise ValueError(f"fraud_share is 0 to 0.1, not {self.fraud_share}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """Habits of all cards and merchants, and the cases of fraud, as arrays."""

    card_home: np.ndarray
    card_hour: np.ndarray
    card_log_amount: np.ndarray
    card_share: np.ndarray
    merchant_country: np.ndarray
    merchant_category: np.ndarray
    merchant_share: np.ndarray
    local_merchants: tuple[np.ndarray, ...]
    risky_merchants: np.ndarray
    category_scale: np.ndarray
    case_card: np.ndarray
    case_start: np.ndarray
    case_seconds: np.ndarray


@lru_cache(maxsize=2)
def people(world: World) -> People:
    """The cards, merchants and cases of a world; made once a process."""
    dice = np.random.default_rng([world.seed, 0])
    cards, merchants = world.cards, world.merchants
    use = dice.gamma(0.8, size=cards)
    popularity = 1.0 / np.arange(1, merchants + 1) ** 0.7
    country = dice.integers(0, COUNTRIES, merchants)
    country[:COUNTRIES] = np.arange(COUNTRIES)[:merchants]  # none is without a merchant
    cases = round(world.rows * world.fraud_share / PAYMENTS_OF_A_CASE)
    return People(
        card_home=dice.integers(0, COUNTRIES, cards),
        card_hour=dice.normal(14.0, 3.0, cards),
        card_log_amount=dice.normal(3.2, 0.5, cards),
        card_share=use / use.sum(),
        merchant_country=country,
        merchant_category=dice.integers(0, CATEGORIES, merchants),
        merchant_share=popularity / popularity.sum(),
        local_merchants=tuple(np.flatnonzero(country == each) for each in range(COUNTRIES)),
        risky_merchants=dice.choice(merchants, max(1, merchants // 15), replace=False),
        category_scale=dice.normal(0.0, 0.5, CATEGORIES),
        case_card=dice.integers(0, cards, cases),
        case_start=dice.uniform(-DAY_SECONDS, world.days * DAY_SECONDS, cases),
        case_seconds=dice.uniform(0.5, 2.0, cases) * DAY_SECONDS,
    )


def day(index: int, world: World) -> pd.DataFrame:
    """The transactions of day `index` (0 is the first), in order of time."""
    dice = np.random.default_rng([world.seed, 1, index])
    habits = people(world)
    stolen = _stolen(index, habits, dice)
    rows = world.rows // world.days + (index < world.rows % world.days)
    honest = _honest(max(0, rows - len(stolen)), habits, dice)
    frame = pd.concat([honest, stolen], ignore_index=True)
    frame = frame.sort_values(["time", "card"], ignore_index=True)
    start = np.datetime64(world.first_day, "s") + np.timedelta64(index * DAY_SECONDS, "s")
    frame["time"] = start + frame["time"].to_numpy().astype("timedelta64[s]")
    return frame


def no_day() -> pd.DataFrame:
    """An empty day: the columns and their types."""
    nobody = np.empty(0, int)
    habits = people(World(rows=1, days=1, cards=1, merchants=COUNTRIES))
    empty = _frame(habits, nobody, nobody, nobody, nobody)
    return empty.assign(remote=False, fraud=False).astype({"time": "datetime64[s]"})


def _honest(rows: int, habits: People, dice: np.random.Generator) -> pd.DataFrame:
    """Payments that follow their card's habits, one in fifty of them out of habit."""
    card = dice.choice(len(habits.card_share), rows, p=habits.card_share)
    unusual = dice.random(rows) < 0.02
    merchant = dice.choice(len(habits.merchant_share), rows, p=habits.merchant_share)
    at_home = dice.random(rows) < np.where(unusual, 0.2, 0.9)
    for home, local in enumerate(habits.local_merchants):
        stays = np.flatnonzero(at_home & (habits.card_home[card] == home))
        share = habits.merchant_share[local]
        merchant[stays] = dice.choice(local, len(stays), p=share / share.sum())
    hour = np.mod(dice.normal(habits.card_hour[card], np.where(unusual, 6.0, 3.0)), 24.0)
    spread = dice.normal(np.where(unusual, 1.0, 0.0), 0.6)
    frame = _frame(habits, card, merchant, (hour * 3600).astype(int), spread)
    return frame.assign(remote=dice.random(rows) < 0.25, fraud=False)


def _stolen(index: int, habits: People, dice: np.random.Generator) -> pd.DataFrame:
    """What thieves pay on a day: of each case the share that falls on it."""
    start = np.maximum(habits.case_start, index * DAY_SECONDS)
    end = np.minimum(habits.case_start + habits.case_seconds, (index + 1) * DAY_SECONDS)
    share = np.clip(end - start, 0, None) / habits.case_seconds
    case = np.repeat(np.arange(len(share)), dice.poisson(share * PAYMENTS_OF_A_CASE))
    rows = len(case)
    burst = dice.integers(0, 3, rows) / 3  # a case pays at up to three times of a day
    second = start[case] - index * DAY_SECONDS + burst * (end - start)[case]
    second = np.minimum(second + dice.exponential(400.0, rows), DAY_SECONDS - 1)
    risky = dice.choice(habits.risky_merchants, rows)
    card = habits.case_card[case]
    nearby = np.array(
        [dice.choice(habits.local_merchants[home]) for home in habits.card_home[card]], int
    )
    merchant = np.where(dice.random(rows) < 0.55, risky, nearby)
    tests = dice.random(rows) < 0.3
    spread = np.where(tests, dice.normal(-2.2, 0.4, rows), dice.normal(0.9, 0.8, rows))
    frame = _frame(habits, card, merchant, second.astype(int), spread)
    return frame.assign(remote=dice.random(rows) < 0.7, fraud=True)


def _frame(
    habits: People,
    card: np.ndarray,
    merchant: np.ndarray,
    second: np.ndarray,
    spread: np.ndarray,
) -> pd.DataFrame:
    """Payments without `remote` and `fraud`; `spread` is how far the log of the amount is off the
    habit, `second` is of the day."""
    category = habits.merchant_category[merchant]
    amount = np.exp(habits.card_log_amount[card] + habits.category_scale[category] + spread)
    return pd.DataFrame(
        {
            "time": second.astype(np.int64),
            "card": card.astype(np.int32),
            "merchant": merchant.astype(np.int32),
            "amount": np.clip(amount, 0.5, 20_000).round(2).astype(np.float32),
            "category": category.astype(np.int8),
            "abroad": habits.merchant_country[merchant] != habits.card_home[card],
        }
    )
