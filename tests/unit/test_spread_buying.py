"""What is bought where spot machines of one zone, family or pool may only be a share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from costplan.planner.loop import tick
from costplan.planner.settings import Safety, Settings
from costplan.planner.tick import NewNode, State
from costplan.planner.types import OfferKey
from costplan.planner.workload import MarketRules
from costplan.policies.default import default_policies
from tests.fleets import key, load, offers, quote, readings, rules, spot, tasks

NEAR, FAR = spot(), replace(spot(), zone="us-b")
OTHER = spot("a")
WORK = tasks(queued=4800)
"""Five workers' work."""


def bought(settings: Settings, *pools: OfferKey) -> Counter[OfferKey]:
    """The first offers of what is asked for, where spot costs 0.4 and on demand 1."""
    sold = [(pool, "0.4") for pool in pools] + [(key(), "1")]
    (like,) = offers(["m.large"])[:1]
    seen = readings(
        load=load(WORK),
        machines=(),
        offers=tuple(replace(like, key=name) for name, _ in sold),
        quotes=tuple(quote(name, usd) for name, usd in sold),
    )
    ticked = tick(seen, State(), settings, default_policies(), replan=True)
    assert ticked.plan is not None
    return Counter(move.keys[0] for move in ticked.plan.moves if isinstance(move, NewNode))


def test_without_a_share_all_are_of_the_first() -> None:
    assert bought(rules(), NEAR, FAR) == {NEAR: 5}


@pytest.mark.parametrize(
    ("settings", "pools"),
    [
        (rules(safety=Safety(max_zone_spot_share=0.4)), (NEAR, FAR)),
        (rules(safety=Safety(max_family_spot_share=0.4)), (NEAR, OTHER)),
        (rules(market=MarketRules(pool_max_share=0.4)), (NEAR, FAR)),
    ],
)
def test_pools_at_one_price_share_the_fleet(
    settings: Settings, pools: tuple[OfferKey, OfferKey]
) -> None:
    """2 of 5 are 0.4 of it, and what is left of it is on demand."""
    assert bought(settings, *pools) == {pools[0]: 2, pools[1]: 2, key(): 1}
