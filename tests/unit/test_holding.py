"""How long idle workers are kept, against one who knows the pauses beforehand."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.holding import (
    BOOT_FACTOR,
    LEAST_BUSY,
    MARGIN,
    NO_FEW,
    Few,
    few,
    hold_seconds,
    is_within,
    most_threads,
    share_of,
)
from costplan.planner.sizing import new_worker_seconds

SECONDS = st.integers(1, 5_000).map(lambda tenths: tenths / 10)
SEEN = st.lists(SECONDS, min_size=1, max_size=20)
RATIO = math.e / (math.e - 1.0)


def paid(hold: float, boot: float, gap: float) -> float:
    """Worker-seconds for a pause: the time that it is kept; where that was too short, a boot and
    the delay of the work."""
    return gap if gap <= hold else hold + BOOT_FACTOR * boot


def best(boot: float, gap: float) -> float:
    """The same for one who knows the pause beforehand."""
    return min(gap, BOOT_FACTOR * boot)


@pytest.mark.parametrize(
    ("boot", "gaps", "hold"),
    [
        (6.0, (), 9.0),  # nothing is known: the last one as long as a boot and its delay cost
        (6.0, (8.0,), 8.0 * MARGIN),  # 8 s of keeping, or 9 s
        (60.0, (0.2, 0.5), 90.0),  # nothing is known of pauses longer than these
        (6.0, (10.0, 10.0, 10.0), 0.0),  # 30 s of keeping, or 27 s
        (60.0, (4.0, 4.0, 4.0, 4.0, 3600.0), 4.0 * MARGIN),  # through bursts, not through nights
    ],
)
def test_the_cheapest_over_the_pauses_seen(
    boot: float, gaps: tuple[float, ...], hold: float
) -> None:
    assert hold_seconds(boot, gaps, 600.0) == pytest.approx(hold)


def test_before_any_pause_workers_go_one_after_the_other() -> None:
    """Half of a fleet with boots of 6 s is gone after 9 ln(1 + 0.859) = 5.58 s."""
    assert hold_seconds(6.0, (), 600.0, 0.5) == pytest.approx(5.581, abs=1e-3)
    holds = [hold_seconds(6.0, (), 600.0, place / 10) for place in range(1, 11)]
    assert holds == sorted(holds)
    assert holds[-1] == pytest.approx(9.0)


def test_no_longer_than_the_settings_say() -> None:
    assert hold_seconds(900.0, (), 600.0) == 600.0
    assert hold_seconds(900.0, (700.0,) * 5, 600.0) == 600.0
    assert hold_seconds(900.0, (), 0.0) == 0.0


@given(SECONDS, SECONDS)
def test_without_knowledge_a_fleet_pays_at_most_e_over_e_minus_1_times_the_best(
    boot: float, gap: float
) -> None:
    """The bound is for a fleet that can be divided at will; this one is of 200 workers."""
    many = 200
    shares = [(place + 0.5) / many for place in range(many)]
    told = sum(paid(hold_seconds(boot, (), 1e9, share), boot, gap) for share in shares) / many
    one = BOOT_FACTOR * boot / many
    assert told <= RATIO * best(boot, gap) + one + 1e-9


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_shares_of_workers_in_a_row_are_spread_evenly(first: int, many: int) -> None:
    """No gap between neighbours is larger than three times the even one."""
    shares = sorted(share_of(first + place) for place in range(many))
    edges = [0.0, *shares, 1.0]
    assert max(b - a for a, b in pairwise(edges)) <= 3.0 / (many + 1)
    assert all(0.0 < share <= 1.0 for share in shares)


@given(SECONDS, SEEN)
def test_on_pauses_like_those_seen_it_is_no_worse_than_never_or_always_keeping(
    boot: float, gaps: list[float]
) -> None:
    hold = hold_seconds(boot, gaps, 1e9)
    told = sum(paid(hold, boot, gap) for gap in gaps)
    assert told <= BOOT_FACTOR * boot * len(gaps) + 1e-9
    assert told <= 2 * MARGIN * sum(best(boot, gap) for gap in gaps) + 1e-9


@given(SECONDS, SEEN)
def test_pauses_that_vary_by_a_fifth_are_kept_through_as_those_seen_were(
    boot: float, gaps: list[float]
) -> None:
    hold = hold_seconds(boot, gaps, 1e9)
    for gap in gaps:
        if gap * MARGIN <= hold:
            assert paid(hold, boot, gap * 1.2) == gap * 1.2


@given(SECONDS, SEEN)
def test_the_order_of_the_pauses_does_not_matter(boot: float, gaps: list[float]) -> None:
    assert hold_seconds(boot, gaps, 600.0) == hold_seconds(boot, sorted(gaps), 600.0)


def test_as_many_as_would_be_busy_enough() -> None:
    """20 s of work and pauses of 5 s: two are busy for 20 of 30 s, three for 20 of 35."""
    assert math.floor(most_threads((20.0,) * 3, (5.0,) * 3)) == 2
    assert math.floor(most_threads((20.0,), (2.0,))) == 5
    assert most_threads((), (5.0,)) == most_threads((20.0,), ()) == math.inf
    assert most_threads((20.0,), (0.0,)) == math.inf


@given(SEEN, SEEN)
def test_who_is_kept_is_busy_enough(bursts: list[float], gaps: list[float]) -> None:
    work, pause = sorted(bursts)[len(bursts) // 2], sorted(gaps)[len(gaps) // 2]
    threads = most_threads(bursts, gaps)
    assert work / (work + threads * pause) == pytest.approx(LEAST_BUSY)


@pytest.mark.parametrize(
    ("boot", "target", "worth"),
    [
        (6.0, 5.0, Few(threads=2.0, boots=2.0)),  # 4 new ones are done after 11 s, 2 after 10 s
        (6.0, 60.0, Few(threads=1.0, boots=BOOT_FACTOR)),  # 1 new one takes 26 s
        (2.0, 5.0, Few(threads=4.0, boots=7 / 4)),  # 7 new ones for 3 s each after a boot
    ],
)
def test_a_few_that_stay_are_as_quick_as_more_that_boot(
    boot: float, target: float, worth: Few
) -> None:
    assert few((20.0, 19.0, 20.0), boot, target) == worth
    assert few((), boot, target) == NO_FEW


@given(SEEN, SECONDS, SECONDS)
def test_the_few_are_done_when_new_ones_would_be_and_are_worth_no_more_than_those(
    bursts: list[float], boot: float, target: float
) -> None:
    """Both counts are rounded to the nearest, but to 1 at least: so by a half at most."""
    found, work = few(bursts, boot, target), sorted(bursts)[len(bursts) // 2]
    each = new_worker_seconds(work, boot, target)
    assert found.threads >= work / (boot + each) - 0.5
    fresh = max(1.0, work / each + 0.5)
    assert found.boots * found.threads <= max(fresh, BOOT_FACTOR * found.threads) + 1e-9


def test_who_is_within_the_threads_that_are_kept() -> None:
    """The first always is, where any are kept: half a machine cannot stay."""
    assert is_within(0.0, 4.0, 1.0)
    assert not is_within(0.0, 4.0, 0.0)
    assert is_within(1.0, 1.0, 2.0)
    assert not is_within(2.0, 1.0, 2.0)
