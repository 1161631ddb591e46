"""The program of a deadline against what can be worked out by hand or by trying everything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from costplan.planner.deadline.chain import STATES, UP, Chain, FloatArray
from costplan.planner.deadline.policies import (
    Greedy,
    Job,
    Planned,
    Policy,
    Situation,
    UniformProgress,
    caught,
)
from costplan.planner.deadline.program import WAIT_PRICE, Program, Seat, solve

ALWAYS, GONE = 0, UP
"""Two of the states: capacity that is there, and none."""


def two_states(lost: float, back: float) -> Chain:
    """Capacity goes with probability `lost` a step, and comes back with `back`."""
    kept, broken = np.eye(STATES), np.zeros((STATES, STATES))
    kept[ALWAYS, ALWAYS], broken[ALWAYS, GONE] = 1 - lost, lost
    kept[GONE, GONE], kept[GONE, ALWAYS] = 1 - back, back
    return Chain(kept, broken)


def cost(program: Program, seat: Seat, work: int, state: int) -> float:
    return float(program.cost[seat, work, state])


def test_where_spot_never_goes_the_job_stays_on_it() -> None:
    program = solve(two_states(0, 0), steps=20, work=10, changeover=2, spot_price=0.3)
    assert cost(program, Seat.NOTHING, 10, ALWAYS) == pytest.approx(0.3 * 12)
    assert cost(program, Seat.SPOT, 10, ALWAYS) == pytest.approx(0.3 * 10)
    assert program.best(20, 10, Seat.NOTHING, ALWAYS) is Seat.SPOT


def test_without_slack_it_begins_on_demand_and_without_time_it_cannot() -> None:
    chain = two_states(0.1, 0.1)
    program = solve(chain, steps=12, work=10, changeover=2, spot_price=0.3)
    assert program.best(12, 10, Seat.NOTHING, ALWAYS) is Seat.ON_DEMAND
    assert cost(program, Seat.NOTHING, 10, ALWAYS) == pytest.approx(12.0)
    late = solve(chain, steps=11, work=10, changeover=2, spot_price=0.3)
    assert cost(late, Seat.NOTHING, 10, ALWAYS) == np.inf
    assert cost(late, Seat.ON_DEMAND, 10, ALWAYS) == pytest.approx(10.0)


def test_a_step_without_work_costs_what_it_is_said_to() -> None:
    chain = two_states(0, 1)  # back after a step, for good
    program = solve(chain, steps=30, work=10, changeover=2, spot_price=0.3, wait_price=0.02)
    assert cost(program, Seat.NOTHING, 10, GONE) == pytest.approx(0.02 + 0.3 * 12)
    assert cost(program, Seat.NOTHING, 10, ALWAYS) == pytest.approx(0.3 * 12)


def test_it_waits_for_older_capacity_only_where_that_is_worth_the_wait() -> None:
    young, old = ALWAYS, ALWAYS + 1
    chain = two_states(0.01, 0.5)
    chain.kept[young, [young, old]] = 0.94, 0.05  # old after 20 steps in the mean, and never lost

    def begins(wait_price: float) -> Seat:
        program = solve(
            chain, steps=400, work=50, changeover=2, spot_price=0.3, wait_price=wait_price
        )
        return program.best(400, 50, Seat.NOTHING, young)

    # One start in six is lost before it is old, for 0.6 steps: less than 20 steps of waiting cost.
    assert begins(0.0) is Seat.NOTHING
    assert begins(WAIT_PRICE) is Seat.SPOT


def by_hand(chain: Chain, steps: int, work: int, price: float, lost_work: int) -> float:
    """The cost without changeover, by the recursion as it is written in books."""
    both = (ALWAYS, GONE)
    every = chain.kept + chain.broken
    value = {(w, s): 0.0 if w == 0 else np.inf for w in range(work + 1) for s in both}
    for _ in range(steps):
        new = {(0, s): 0.0 for s in both}
        for w, s in itertools.product(range(1, work + 1), both):
            idle = sum(every[s, t] * value[w, t] for t in both if every[s, t])
            demand = 1 + sum(every[s, t] * value[w - 1, t] for t in both if every[s, t])
            spot = np.inf
            if s == ALWAYS:
                after = min(w - 1 + lost_work, work)
                stays = chain.kept[s, s] * value[w - 1, s] if chain.kept[s, s] else 0.0
                spot = price + stays + chain.broken[s, GONE] * value[after, GONE]
            new[w, s] = min(idle, demand, spot)
        value = new
    return value[work, ALWAYS]


@pytest.mark.parametrize("lost_work", [0, 3])
@pytest.mark.parametrize(("lost", "back"), [(0.1, 0.3), (0.5, 0.5), (0.02, 0.05)])
def test_without_a_changeover_it_is_the_recursion_of_books(
    lost: float, back: float, lost_work: int
) -> None:
    chain = two_states(lost, back)
    program = solve(chain, steps=14, work=6, changeover=0, spot_price=0.4, lost_work=lost_work,
                    at_risk=lost_work)  # fmt: skip
    expected = by_hand(chain, 14, 6, 0.4, lost_work)
    assert cost(program, Seat.NOTHING, 6, ALWAYS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("lost", [1e-12, 1e-6, 0.1])
@pytest.mark.parametrize(("changeover", "at_risk"), [(0, 0), (0, 1), (2, 0), (3, 4), (5, 30)])
def test_however_rare_losses_are_none_makes_it_late(
    lost: float, changeover: int, at_risk: int
) -> None:
    work, steps = 12, 30
    program = solve(two_states(lost, 0.1), steps=steps, work=work, changeover=changeover,
                    spot_price=0.01, lost_work=at_risk / 2, at_risk=at_risk)  # fmt: skip
    took_spot = False
    for left, sits, todo in itertools.product(range(1, steps + 1), Seat, range(1, work + 1)):
        start = 0 if sits is Seat.ON_DEMAND else changeover
        if left < todo + start:
            continue  # nothing is sure from there
        chosen = program.best(left, todo, sits, ALWAYS)
        if chosen is Seat.NOTHING:
            assert left - 1 >= todo + changeover
        if chosen is not Seat.SPOT:
            continue
        took_spot = True
        if sits is Seat.SPOT or not changeover:
            again = min(todo - 1 + at_risk, work)
            assert again == 0 or left - 1 >= again + changeover
        else:
            assert left - changeover >= todo + changeover
    assert took_spot


def simulated(program: Program, chain: Chain, job: Job, price: float, runs: int) -> FloatArray:
    """Costs of runs (runs,) played step by step, with the changeover counted as it happens."""
    dice = np.random.default_rng(5)
    costs = np.zeros(runs)
    for run in range(runs):
        work, sits, starting, state = job.work, Seat.NOTHING, 0, ALWAYS
        for left in range(job.steps, 0, -1):
            if not work:
                break
            at = Situation(left=left, work=work, sits=sits, starting=starting, state=state,
                           has_spot=state == ALWAYS)  # fmt: skip
            chosen = Seat(int(Planned(program).choose(job, at)))
            assert caught(job, at, np.asarray(chosen)) == chosen  # the program needs no net
            starting = job.changeover if chosen is not sits else starting
            sits = chosen
            costs[run] += {Seat.SPOT: price, Seat.ON_DEMAND: 1.0, Seat.NOTHING: 0.0}[sits]
            if sits is not Seat.NOTHING:
                work -= starting == 0
                starting = max(starting - 1, 0)
            outcome = dice.random()
            if state == ALWAYS and outcome < chain.broken[ALWAYS, GONE]:
                state = GONE
                if sits is Seat.SPOT:
                    sits, starting = Seat.NOTHING, 0
            elif state == GONE and outcome < chain.kept[GONE, ALWAYS]:
                state = ALWAYS
        assert work == 0
    return costs


def test_what_it_expects_is_what_comes_of_its_choices() -> None:
    chain, job = two_states(0.08, 0.15), Job(work=20, steps=40, changeover=3)
    program = solve(chain, steps=40, work=20, changeover=3, spot_price=0.3)
    costs = simulated(program, chain, job, 0.3, 3_000)
    error = costs.std() / np.sqrt(len(costs))
    assert abs(costs.mean() - cost(program, Seat.NOTHING, 20, ALWAYS)) < 4 * error
    assert cost(program, Seat.NOTHING, 20, ALWAYS) < 23  # on demand throughout


def test_more_time_costs_no_more_and_the_shorter_deadlines_are_in_the_longer_one() -> None:
    chain = two_states(0.1, 0.1)
    program = solve(chain, steps=60, work=20, changeover=2, spot_price=0.3)
    whole = program.first[:, :, ALWAYS].min(axis=1)
    assert np.isinf(whole[:22]).all()
    assert (np.diff(whole[22:]) <= 1e-12).all()
    shorter = solve(chain, steps=35, work=20, changeover=2, spot_price=0.3)
    assert whole[35] == pytest.approx(cost(shorter, Seat.NOTHING, 20, ALWAYS))


def test_a_job_that_is_under_way_finds_what_it_may_have_left() -> None:
    chain = two_states(0.1, 0.1)
    whole = solve(chain, steps=40, work=20, changeover=1, spot_price=0.3)
    later = solve(chain, steps=30, work=20, changeover=1, spot_price=0.3, since=10)
    for work in range(11, 21):
        for seat in Seat:
            assert later.best(30, work, seat, ALWAYS) is whole.best(30, work, seat, ALWAYS)


def courses(policy: Policy, job: Job, capacity: list[bool]) -> tuple[list[Seat], int]:
    """The seats of a job, and the work that is left at the deadline."""
    work, sits, starting, seats = job.work, Seat.NOTHING, 0, []
    begun = job.work  # what was left when it last sat down
    for step in range(job.steps):
        if not work:
            break
        if sits is Seat.SPOT and not capacity[step]:
            work += min(job.lost_work, begun - work)
            sits, starting = Seat.NOTHING, 0
        state = ALWAYS if capacity[step] else GONE
        at = Situation(left=job.steps - step, work=work, sits=sits, starting=starting,
                       state=state, has_spot=capacity[step])  # fmt: skip
        chosen = Seat(int(caught(job, at, policy.choose(job, at))))
        if chosen is not sits:
            sits, starting, begun = chosen, job.changeover, work
        seats.append(sits)
        if sits is not Seat.NOTHING:
            work -= starting == 0
            starting = max(starting - 1, 0)
    return seats, work


@pytest.mark.parametrize("seed", range(40))
def test_no_policy_misses_a_deadline_that_on_demand_could_keep(seed: int) -> None:
    dice = np.random.default_rng(seed)
    job = Job(work=int(dice.integers(1, 30)), steps=0, changeover=int(dice.integers(0, 5)))
    job = Job(
        work=job.work,
        steps=job.work + job.changeover + int(dice.integers(0, 30)),
        changeover=job.changeover,
        lost_work=int(dice.integers(0, 4)),
    )
    capacity = [bool(bit) for bit in dice.random(job.steps) < dice.random()]
    rosy = solve(two_states(0.0, 1.0), steps=job.steps, work=job.work,
                 changeover=job.changeover, spot_price=0.1)  # fmt: skip
    for policy in (Greedy(), UniformProgress(), Planned(rosy)):
        seats, left = courses(policy, job, capacity)
        assert left == 0, policy
        for step, seat in enumerate(seats):
            assert seat is not Seat.SPOT or capacity[step]


def test_uniform_progress_goes_on_demand_when_behind_and_back_when_well_ahead() -> None:
    job, policy = Job(work=100, steps=200, changeover=5), UniformProgress()
    behind = Situation(left=100, work=60, sits=Seat.NOTHING, starting=0, state=GONE, has_spot=False)
    assert policy.choose(job, behind) == Seat.ON_DEMAND
    ahead = Situation(left=100, work=45, sits=Seat.NOTHING, starting=0, state=GONE, has_spot=False)
    assert policy.choose(job, ahead) == Seat.NOTHING
    back = Situation(left=100, work=41, sits=Seat.ON_DEMAND, starting=0, state=0, has_spot=True)
    assert policy.choose(job, back) == Seat.ON_DEMAND
    well = Situation(left=100, work=40, sits=Seat.ON_DEMAND, starting=0, state=0, has_spot=True)
    assert policy.choose(job, well) == Seat.SPOT
