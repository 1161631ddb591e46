"""The contract of a provider as checks that any adapter can be held to.

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
    def test_the_provider_keeps_the_contract(check, tmp_path):
        with my_world(tmp_path) as world:
            check(world)

A check gets a fresh `World` in which nothing was launched yet, and raises ContractBroken, which
is an AssertionError, where the provider does not do what `planner/ports.py` says. It raises
NotPossible where the world cannot show it; a test skips then. No test framework is needed.
Time goes on only in `World.wait_until`, so that a virtual clock serves as well as a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from costplan.adapters import conformance_launch as launch
from costplan.adapters import conformance_life as life
from costplan.adapters.conformance_world import ContractBroken, NotPossible, World, expect
from costplan.planner.ports import PriceFeed
from costplan.planner.types import Market, OfferKey

__all__ = ["CHECKS", "ContractBroken", "NotPossible", "World", "quotes_are_of_what_was_asked"]

CHECKS: tuple[Callable[[World], None], ...] = (
    launch.offers_are_all_that_is_sold,
    launch.a_launch_is_answered_before_the_boot,
    launch.a_machine_boots_and_stays,
    launch.the_same_request_gives_the_same_machine,
    launch.the_same_request_at_once_gives_one_machine,
    launch.different_tokens_give_different_machines,
    launch.a_token_is_for_one_request,
    launch.what_nobody_sells_is_rejected,
    launch.a_lack_of_capacity_is_said,
    launch.the_next_offer_is_taken_after_a_refusal,
    launch.an_unclear_answer_stops_the_launch,
    launch.a_throttled_launch_can_be_sent_again,
    life.a_terminated_machine_ends,
    life.a_machine_that_boots_can_be_terminated,
    life.terminating_again_changes_nothing,
    life.only_what_was_named_is_terminated,
    life.an_ended_machine_is_not_launched_again,
    life.other_clusters_are_not_touched,
    life.a_notice_is_in_force_until_the_end,
    life.a_machine_may_be_reclaimed_without_notice,
    life.a_machine_that_breaks_down_is_seen,
    life.what_is_left_of_a_machine_can_be_ended,
    life.nothing_known_is_not_nothing_there,
    life.reading_changes_nothing,
    life.machines_outlive_the_provider,
    life.all_verbs_may_be_called_at_once,
)
"""The contract of a provider, check by check."""


def quotes_are_of_what_was_asked(feed: PriceFeed, keys: Sequence[OfferKey]) -> None:
    """Every one of these offers has a price, once; what nobody sells has none."""
    unknown = OfferKey(
        provider=keys[0].provider,
        region=keys[0].region,
        zone=keys[0].zone,
        instance_type="no.such.type",
        market=Market.ON_DEMAND,
    )
    quotes = feed.quotes([*keys, unknown])
    expect(sorted(q.key for q in quotes) == sorted(set(keys)), "other quotes than asked for")
    for quote in quotes:
        expect(quote.usd_per_hour > 0, f"{quote.key} is free")
        expect(bool(quote.source), f"{quote.key} has no source")
    expect(not feed.quotes([]), "quotes of nothing")
