"""How long an idle worker is kept: never at more than twice what knowing the pauses would cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.holding import ENOUGH_GAPS, MARGIN, hold_seconds

SECONDS = st.integers(1, 5_000).map(lambda tenths: tenths / 10)
FEW = st.lists(SECONDS, max_size=ENOUGH_GAPS - 1)
MANY = st.lists(SECONDS, min_size=ENOUGH_GAPS, max_size=20)


def paid(hold: float, boot: float, gap: float) -> float:
    """Worker-seconds for a pause: the time that it is kept, and a boot where that was too short."""
    return gap if gap <= hold else hold + boot


def best(boot: float, gap: float) -> float:
    """The same for one who knows the pause beforehand."""
    return min(gap, boot)


@pytest.mark.parametrize(
    ("boot", "gaps", "hold"),
    [
        (6.0, (), 6.0),  # nothing is known: as long as a boot takes
        (6.0, (5.0, 5.0), 6.0),
        (6.0, (5.0, 5.0, 5.0), 5.0 * MARGIN),  # 15 s of keeping, or 18 s of boots
        (6.0, (10.0, 10.0, 10.0), 0.0),  # 30 s of keeping, or 18 s of boots
        (60.0, (4.0, 4.0, 4.0, 4.0, 3600.0), 4.0 * MARGIN),  # through bursts, not through nights
    ],
)
def test_the_cheapest_over_the_pauses_seen(
    boot: float, gaps: tuple[float, ...], hold: float
) -> None:
    assert hold_seconds(boot, gaps, 600.0) == pytest.approx(hold)


def test_no_longer_than_the_settings_say() -> None:
    assert hold_seconds(900.0, (), 600.0) == 600.0
    assert hold_seconds(900.0, (700.0,) * 5, 600.0) == 600.0
    assert hold_seconds(900.0, (), 0.0) == 0.0


@given(SECONDS, FEW, st.lists(SECONDS, min_size=1))
def test_without_knowledge_it_pays_at_most_twice_the_best(
    boot: float, seen: list[float], ahead: list[float]
) -> None:
    """Karlin's bound holds for every sequence of pauses, one by one."""
    hold = hold_seconds(boot, seen, 1e9)
    for gap in ahead:
        assert paid(hold, boot, gap) <= 2 * best(boot, gap) + 1e-9


@given(SECONDS, MANY)
def test_on_pauses_like_those_seen_it_is_no_worse_than_never_or_always_keeping(
    boot: float, gaps: list[float]
) -> None:
    """And so never worse than twice the best, but for the margin above the longest one kept."""
    hold = hold_seconds(boot, gaps, 1e9)
    told = sum(paid(hold, boot, gap) for gap in gaps)
    assert told <= boot * len(gaps) + 1e-9
    assert told <= sum(paid(boot, boot, gap) for gap in gaps) * MARGIN + 1e-9
    assert told <= 2 * MARGIN * sum(best(boot, gap) for gap in gaps) + 1e-9


@given(SECONDS, MANY)
def test_pauses_that_vary_by_a_fifth_are_kept_through_as_those_seen_were(
    boot: float, gaps: list[float]
) -> None:
    hold = hold_seconds(boot, gaps, 1e9)
    for gap in gaps:
        if gap * MARGIN <= hold:
            assert paid(hold, boot, gap * 1.2) == gap * 1.2


@given(SECONDS, MANY)
def test_the_order_of_the_pauses_does_not_matter(boot: float, gaps: list[float]) -> None:
    assert hold_seconds(boot, gaps, 600.0) == hold_seconds(boot, sorted(gaps), 600.0)
