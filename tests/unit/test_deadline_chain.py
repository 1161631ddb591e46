"""What a watcher learns of capacity that comes and goes as the test makes it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from costplan.planner.deadline.chain import (
    AGES,
    STATES,
    UP,
    Rates,
    Watcher,
    age_class,
    chain,
)
from costplan.planner.deadline.prior import LOST_PER_HOUR, mean_away_hours, mean_hours, one_pool

STEP_HOURS = 0.05
COUNTS = arrays(np.float64, (STATES, STATES), elements=st.floats(0, 50))
HOURS = arrays(np.float64, (STATES,), elements=st.floats(0, 500))
RATES = st.builds(Rates, HOURS, COUNTS, COUNTS)


def watched(capacity: NDArray[np.bool_]) -> Watcher:
    watcher = Watcher(capacity.shape[1], STEP_HOURS)
    for now in capacity:
        watcher.see(now)
    return watcher


def coming_and_going(steps: int, lost: float, back: float, seed: int) -> NDArray[np.bool_]:
    dice = np.random.default_rng(seed)
    bits = np.ones(steps, dtype=np.bool_)
    for step in range(1, steps):
        p = lost if bits[step - 1] else back
        bits[step] = bits[step - 1] ^ (dice.random() < p * STEP_HOURS)
    return bits


@given(RATES, RATES, st.floats(0.001, 12))
def test_a_chain_is_one_whatever_was_seen(seen: Rates, prior: Rates, hours: float) -> None:
    moves = chain(seen, prior, hours)
    assert (moves.kept >= 0).all()
    assert (moves.broken >= 0).all()
    assert (moves.kept + moves.broken).sum(axis=1) == pytest.approx(np.ones(STATES))


def test_constant_rates_are_learnt_at_every_age() -> None:
    rates = Rates.none()
    for seed in range(8):
        one = coming_and_going(6_000, lost=0.4, back=0.8, seed=seed)
        rates = rates.plus(watched(one[:, None]).rates)
    up = rates.hours[:AGES]
    assert rates.broken[:AGES].sum() / up.sum() == pytest.approx(0.4, rel=0.2)
    assert rates.kept[UP:, :UP].sum() / rates.hours[UP:].sum() == pytest.approx(0.8, rel=0.2)
    assert rates.hours[AGES:UP].sum() == 0  # there is no other zone
    learnt = chain(rates, one_pool(1.2, STEP_HOURS), STEP_HOURS)
    lost = learnt.broken[:AGES].sum(axis=1) / STEP_HOURS
    assert np.average(lost, weights=up) == pytest.approx(0.4, rel=0.2)


def test_what_was_never_seen_falls_with_age_as_the_prior_says() -> None:
    moves = chain(Rates.none(), one_pool(0.41, 0.001), 0.001)
    lost = moves.broken[:AGES].sum(axis=1) / 0.001
    assert lost / lost[0] == pytest.approx(np.array(LOST_PER_HOUR) / LOST_PER_HOUR[0], rel=0.01)


@pytest.mark.parametrize("step_hours", [0.001, 1 / 60, 0.25])
@pytest.mark.parametrize("hazard", [1e-5, 1e-3, 0.1, 0.4, 2.0])
def test_a_pool_is_lost_in_the_long_run_as_often_as_it_is_said_to(
    hazard: float, step_hours: float
) -> None:
    moves = chain(Rates.none(), one_pool(hazard, step_hours), step_hours)
    share = stationary(moves.kept + moves.broken)
    lost = share @ moves.broken.sum(axis=1)
    assert lost / (share[:UP].sum() * step_hours) == pytest.approx(hazard, rel=1e-6)
    away_hours = share[UP:].sum() * step_hours / lost
    assert away_hours == pytest.approx(mean_away_hours(), rel=1e-6)
    assert 1 < mean_away_hours() < 2


def stationary(every: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares (STATES,) of time that a chain spends in its states."""
    balance = np.vstack([every.T - np.eye(STATES), np.ones(STATES)])
    balance[AGES:UP] += np.eye(STATES)[AGES:UP] * 1e-3  # there is no other zone
    return np.linalg.lstsq(balance, np.eye(STATES + 1)[-1], rcond=None)[0]


def test_a_mean_time_at_one_rate_is_its_inverse_whatever_the_age() -> None:
    assert mean_hours([0.5] * AGES, 1e-4) == pytest.approx(2.0, rel=1e-3)
    assert mean_hours([0.5] * (AGES - 1) + [0.0], 1e-4) == np.inf


def test_a_pool_that_is_never_lost_has_no_losses() -> None:
    assert one_pool(0.0, STEP_HOURS).broken.sum() == 0


def test_a_watcher_stays_in_its_zone_and_moves_where_it_must() -> None:
    watcher = Watcher(2, STEP_HOURS)
    seen = []
    for now in ([1, 0], [1, 1], [0, 1], [0, 0], [1, 0], [1, 1]):
        watcher.see([bool(bit) for bit in now])
        seen.append((watcher.zone, watcher.state))
    assert seen == [(0, 0), (0, AGES), (1, 0), (-1, UP), (0, 0), (0, AGES)]
    broken = np.argwhere(watcher.rates.broken > 0).tolist()
    assert broken == [[0, UP], [AGES, 0]]  # once for another zone, once for none


def test_zones_that_go_together_are_not_taken_for_two_chances() -> None:
    one = coming_and_going(20_000, lost=0.5, back=1.0, seed=2)
    other = coming_and_going(20_000, lost=0.5, back=1.0, seed=3)
    together = watched(np.stack([one, one], axis=1)).rates
    apart = watched(np.stack([one, other], axis=1)).rates
    with_other = slice(AGES, UP)
    assert together.broken[with_other, :UP].sum() == 0
    assert together.broken[with_other, UP:].sum() > 10
    saved = apart.broken[with_other, :UP].sum()
    assert saved > 10 * apart.broken[with_other, UP:].sum()


def test_what_was_seen_long_ago_counts_less() -> None:
    bad, good = coming_and_going(3_000, 2.0, 2.0, seed=4), np.ones(3_000, dtype=np.bool_)
    hazard = [
        chain(watched(np.concatenate(order)[:, None]).rates, one_pool(0.4, STEP_HOURS), STEP_HOURS)
        .broken[AGES - 1]
        .sum()
        for order in ((bad, good), (good, bad))
    ]
    assert hazard[0] < 0.7 * hazard[1]  # the prior is the same in both


def test_ages_begin_a_new_class_at_their_bound() -> None:
    assert [age_class(hours) for hours in (0, 0.24, 0.25, 0.99, 1, 3.9, 4, 15.9, 16, 400)] == [
        0, 0, 1, 1, 2, 2, 3, 3, 4, 4,
    ]  # fmt: skip
