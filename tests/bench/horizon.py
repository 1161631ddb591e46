"""A plan over many steps: how close to its proven bound, how fast, and beside what.

    python -m tests.bench.horizon [--quick | --prices]

`--prices` compares with the others only, at flat, real and walking spot prices.

Instances are cut by seed from the real price list (see instances.py): 20,000 offers, 20 shapes,
10,000 workers at the peak, with steps of 5 minutes, then of a quarter, then of an hour. Each
shape's demand is a daily wave with a phase and a walk of its own, times its share. The fleet that
is there is the one-shot solver's for the first step, running what that solver put on it.

Spot prices stay as they are ('flat'), follow a real pool each ('real': its price over that of the
first step, pool and hour drawn by seed from two months of one region), or walk by chance ('walk':
3 % in the root of an hour, which is invented: some ten times what the real ones do).

Beside each plan, as what it costs more: *myopic*, the one-shot solver anew in every step at that
step's prices, its starts, stops and boots billed as the plan's are; *hold*, one fleet for the most
that each shape ever needs, bought once. Seconds are CPU time and wall time of `plan_horizon`, cold;
and CPU time of the next plan, one step of demand later, that starts from the memory of this one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from costplan.planner.horizon.evaluate import evaluate_plan
from costplan.planner.horizon.model import Horizon, Plan, Running
from costplan.planner.horizon.plan import plan_horizon
from costplan.planner.optimize.offers import candidates
from costplan.planner.optimize.problem import Problem, build
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.optimize.solve import solve
from tests.bench.instances import CAPPED, DATA, FREE, DataAbsent, instance, price_list

OFFERS, SHAPES, WORKERS = 20_000, 20, 10_000
BOOT_HOURS = 0.05
STOP_USD = 0.01
SHORTAGE_USD = 50.0
WALK = 0.03
"""Standard deviation of a walking price's logarithm after an hour."""
HOURS = {24: ((6, 1 / 12), (6, 0.25), (12, 1.0)), 48: ((12, 1 / 12), (12, 0.25), (24, 1.0))}
EVENTS = DATA / "aws_spot_price_events_broad.parquet"
SECONDS_GOAL = {24: 2.0, 48: 6.0}
GAP_GOAL = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One instance: steps, what limits there are, hours of price that a start wastes, seed."""

    steps: int
    caps: bool
    start_hours: float
    seed: int = 1
    kind: str = "synthetic"
    prices: str = "real"

    def __str__(self) -> str:
        caps = "caps" if self.caps else "free"
        start = f"start {self.start_hours:.2f} h {self.prices} prices"
        return f"{self.steps} steps {caps} {start} {self.kind} {self.seed}"


CASES = (
    *(
        Case(steps=steps, caps=caps, start_hours=start)
        for steps in (24, 48)
        for caps in (True, False)
        for start in (0.05, 0.15, 0.5)
    ),
    Case(steps=24, caps=True, start_hours=0.15, seed=2, kind="real"),
    Case(steps=48, caps=True, start_hours=0.15, seed=2, kind="real"),
    Case(steps=24, caps=True, start_hours=0.15, seed=3),
    Case(steps=48, caps=True, start_hours=0.15, seed=3),
)
PRICE_CASES = tuple(
    Case(steps=24, caps=caps, start_hours=start, prices=prices)
    for caps in (True, False)
    for start in (0.05, 0.15, 0.5)
    for prices in ("flat", "walk")
)


def demand_of(problem: Problem, hours: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Workers by step and shape: waves of a day with phases and walks of their own."""
    dice = np.random.default_rng([seed, len(hours)])
    middle = np.cumsum(hours) - hours / 2
    phase = dice.normal(0, 1.5, len(problem.count))
    wave = 0.6 + 0.4 * np.sin(2 * np.pi * (middle[:, None] + 6 + phase) / 24)
    walk = np.exp(np.cumsum(dice.normal(0, 0.03, wave.shape), axis=0))
    wanted = np.rint(problem.count * np.clip(wave * walk, 0.05, 1.5))
    peak = wanted.sum(axis=1).max()
    return np.rint(wanted * WORKERS / peak).astype(np.int64)


@cache
def spot_histories() -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
    """Hours and dollars of the price changes of each real pool that had some in 14 days or more."""
    table = pq.read_table(EVENTS)
    hours = table["timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64) / 3600
    usd = table["spot_usd_h"].to_numpy()
    rows: dict[tuple[str, str], list[int]] = {}
    pools = zip(table["zone"].to_pylist(), table["instance_type"].to_pylist(), strict=True)
    for row, pool in enumerate(pools):
        rows.setdefault(pool, []).append(row)
    found = []
    for _, mine in sorted(rows.items()):
        order = np.array(mine)[np.argsort(hours[mine], kind="stable")]
        if hours[order[-1]] - hours[order[0]] >= 14 * 24 and np.ptp(usd[order]):
            found.append((hours[order], usd[order]))
    return tuple(found)


def price_factor(
    case: Case, problem: Problem, hours: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Prices of each step over those of the first [T, O], None where they stay as they are."""
    if case.prices == "flat":
        return None
    begins = np.cumsum(hours) - hours
    dice = np.random.default_rng([case.seed, case.steps, 7])
    factor = np.ones((len(hours), problem.offers))
    spot = np.flatnonzero(problem.is_spot)
    if case.prices == "walk":
        moves = dice.normal(0, 1, (len(hours) - 1, len(spot))) * np.sqrt(np.diff(begins))[:, None]
        factor[1:, spot] = np.exp(np.cumsum(WALK * moves, axis=0))
        return factor
    histories = spot_histories()
    for offer, pool in zip(spot.tolist(), dice.integers(len(histories), size=len(spot)).tolist(),
                           strict=True):  # fmt: skip
        at, usd = histories[pool]
        now = dice.uniform(at[0], at[-1] - begins[-1])
        paid = usd[np.searchsorted(at, now + begins, side="right") - 1]
        factor[:, offer] = paid / paid[0]
    return factor


def horizon_of(case: Case) -> Horizon:
    """The horizon of a case, with the fleet that the one-shot solver buys for the first step."""
    market = CAPPED if case.caps else FREE
    prices, workload = instance(
        OFFERS, SHAPES, WORKERS, case.seed, case.kind, single_region=False, market=market
    )
    problem = build(prices, candidates(prices, workload), workload)
    hours = np.repeat([h for _, h in HOURS[case.steps]], [n for n, _ in HOURS[case.steps]])
    demand = demand_of(problem, hours, case.seed)
    fleet = one_shot(problem, demand[0])
    used = fleet.configured > 0
    return Horizon(
        problem=problem,
        hours=hours,
        demand=demand,
        shortage_usd=np.full(len(problem.count), SHORTAGE_USD),
        fleet=fleet.bought,
        start_usd=0.01 + problem.price * (case.start_hours - BOOT_HOURS),
        stop_usd=np.full(problem.offers, STOP_USD),
        boot_hours=BOOT_HOURS,
        price_factor=price_factor(case, problem, hours),
        running=Running(classes=fleet.classes[used], patterns=fleet.patterns[used]),
    )


def one_shot(problem: Problem, count: NDArray[np.int64]) -> Fleet:
    """The one-shot solver's fleet; raises RuntimeError where it finds none."""
    solution = solve(replace(problem, count=count))
    if solution is None:
        raise RuntimeError("no fleet was found")
    return solution.fleet


def billed(horizon: Horizon, nodes: NDArray[np.int64]) -> float:
    """Dollars for whole fleets [T, O] that leave nobody short: run, starts with boots, stops."""
    change = np.diff(nodes, axis=0, prepend=horizon.fleet[None])
    begin = horizon.start_usd + horizon.boots() @ horizon.prices()
    run = horizon.hours @ (nodes * horizon.costs()).sum(axis=1)
    started, stopped = np.maximum(change, 0), np.maximum(-change, 0).sum(axis=0)
    return float(run + (started * begin).sum() + stopped @ horizon.stop_usd)


def myopic(horizon: Horizon) -> float:
    """Dollars where each step has the one-shot solver's fleet for it at its prices."""
    problem, fleets = horizon.problem, [horizon.fleet]
    for wanted, cost, price in zip(
        horizon.demand[1:], horizon.costs()[1:], horizon.prices()[1:], strict=True
    ):
        fleets.append(one_shot(replace(problem, cost=cost, price=price), wanted).bought)
    return billed(horizon, np.stack(fleets))


def hold(horizon: Horizon) -> float:
    """Dollars where the fleet for the most of each shape is bought after the first step."""
    peak = one_shot(horizon.problem, horizon.demand.max(axis=0)).bought
    return billed(horizon, np.stack([horizon.fleet, *[peak] * (horizon.steps - 1)]))


def later(horizon: Horizon) -> Horizon:
    """The same horizon one step on, its last step twice: what the next tick is asked."""
    demand = np.concatenate([horizon.demand[1:], horizon.demand[-1:]])
    return replace(horizon, demand=demand)


def timed(call: Callable[[], Plan]) -> tuple[Plan, float, float]:
    """A plan with the wall seconds and CPU seconds it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    plan = call()
    return plan, time.perf_counter() - wall, time.process_time() - cpu


def measure(case: Case) -> bool:
    """Prints a case's figures; whether it meets its goals."""
    horizon = horizon_of(case)
    plan, wall, cpu = timed(lambda: plan_horizon(horizon))
    opinion = evaluate_plan(horizon, plan)
    if opinion.violations:
        raise RuntimeError(f"{case}: {opinion.violations[0]}")
    warm, _, warm_cpu = timed(lambda: plan_horizon(later(horizon), plan.memory))
    good = cpu <= SECONDS_GOAL[case.steps] and plan.gap <= GAP_GOAL
    print(
        f"{case!s:<52} gap {plan.gap:7.3%}  {cpu:5.2f} s CPU ({wall:5.2f} wall)  "
        f"rounds {plan.rounds:>2}  warm {warm.gap:7.3%} {warm_cpu:5.2f} s  "
        f"{'' if good else 'misses'}",
        flush=True,
    )
    return good


def compare(case: Case) -> None:
    """Prints what the others cost more than a case's plan."""
    horizon = horizon_of(case)
    usd = plan_horizon(horizon).costs.total
    print(
        f"{case!s:<52} myopic {myopic(horizon) / usd - 1:+6.2%}  "
        f"hold {hold(horizon) / usd - 1:+7.2%}",
        flush=True,
    )


def main() -> int:
    """Runs the cases; 0, also where there is no data to run on."""
    try:
        price_list()
    except DataAbsent as absent:
        print(f"skipped: {absent}")
        return 0
    if "--prices" in sys.argv:
        for case in (*CASES[:6], *PRICE_CASES):
            compare(case)
        return 0
    cases = CASES[:: 5 if "--quick" in sys.argv else 1]
    good = sum(measure(case) for case in cases)
    print(f"{good} of {len(cases)} within {GAP_GOAL:.1%} and {SECONDS_GOAL} seconds by steps")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
