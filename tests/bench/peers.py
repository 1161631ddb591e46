"""Other ways to choose machines, side by side with the planner on the same instances in one run.

    python -m tests.bench.peers [--workers 1000] [--without-ray]

Costs are expected dollars an hour (price, and what interruptions cost), as ratios to the planner's;
seconds likewise. Every number of a row comes from one run on one machine.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from costplan.planner.baselines import single_type_baseline
from costplan.planner.catalogue import Catalogue
from costplan.planner.optimize.greedy import by_worth, first_fit
from costplan.planner.optimize.offers import candidates
from costplan.planner.optimize.problem import Problem, build
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.optimize.solve import solve
from costplan.planner.types import Market
from costplan.planner.workload import Workload
from tests.bench import ray_packer
from tests.bench.instances import CAPPED, FREE, DataAbsent, instance

HOW = """
How each was run
  All get the same workers, and the machines of the same region: the one the planner chose. Memory
  that the system keeps is taken off for all. Prices are those of the list, spot included, plus
  what interruptions cost in expectation, which 'one type' is spared (0.3 % at most).
  planner       solve(problem): column generation, rounding, certified bound.
  cost-greedy   the planner's own fallback without its solver: fill a node of each class, buy the
                one with the least dollars for what its workers are worth.
  first fit     first-fit-decreasing with the cheapest-type rule, as Karpenter documents it, in our
                own code: workers by CPU, then memory; the first open node that some type can still
                hold; each node is launched as the cheapest type that holds it. No consolidation
                afterwards, and the lowest price rather than price-capacity-optimized for spot.
  Ray v2        ray.autoscaler.v2.scheduler.ResourceDemandScheduler.schedule() on an empty cluster.
                It knows no price, so it gets good types only: the nine with the least dollars for
                their size in terms of the demand, and each shape's cheapest type; all bought at
                the cheapest offer of the type. Only its packing is timed, not its import.
  one type      the cheapest single machine type that holds every worker, packed
                first-fit-decreasing, as Dask's cluster classes do; n.a. where no type holds all.
  Rows 'with caps' keep spot <= 80 % and every pool <= 30 % of vCPU: Ray and one type know no such
  limits, so they are not in those rows.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One instance: offers x shapes x workers of a kind, with or without caps."""

    offers: int
    shapes: int
    workers: int
    kind: str
    capped: bool
    seed: int = 1

    @property
    def name(self) -> str:
        """What the table calls it."""
        caps = " with caps" if self.capped else ""
        return f"{self.offers // 1000}k x {self.shapes} x {self.workers} {self.kind}{caps}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a way came to: expected dollars an hour, None where it has no fleet; and seconds."""

    usd_per_hour: float | None
    seconds: float
    note: str = ""


def _timed(problem: Problem, way: Callable[[Problem], Fleet | None]) -> Answer:
    start = time.perf_counter()
    fleet = way(problem)
    seconds = time.perf_counter() - start
    return Answer(
        usd_per_hour=None if fleet is None else float(problem.cost @ fleet.bought),
        seconds=seconds,
    )


def _ray(problem: Problem) -> Answer:
    classes = ray_packer.node_types(problem)
    start = time.perf_counter()
    found = ray_packer.pack(problem, classes)
    seconds = time.perf_counter() - start
    price = np.full(len(problem.capacity), np.inf)
    np.minimum.at(price, problem.klass, problem.cost)
    used = found.nodes > 0
    usd = None if found.unplaced else float(price[used] @ found.nodes[used])
    return Answer(usd_per_hour=usd, seconds=seconds, note=f"{found.types} types")


def _one_type(prices: Catalogue, wanted: Workload, market: Market) -> Answer:
    start = time.perf_counter()
    found = single_type_baseline(prices, wanted, market).usd_per_hour
    seconds = time.perf_counter() - start
    return Answer(usd_per_hour=None if found is None else float(found), seconds=seconds)


def compare(case: Case, *, with_ray: bool) -> dict[str, Answer]:
    """Every way's answer to one instance, the planner's first."""
    market = CAPPED if case.capped else FREE
    prices, wanted = instance(
        case.offers, case.shapes, case.workers, case.seed, case.kind, market=market
    )
    whole = build(prices, candidates(prices, wanted), wanted)
    solution = solve(whole)
    if solution is None:
        return {}
    here = np.flatnonzero(whole.site == solution.site)
    prices = prices.take(whole.row[here])
    problem = build(prices, candidates(prices, wanted), wanted)

    def planner(given: Problem) -> Fleet | None:
        found = solve(given)
        return None if found is None else found.fleet

    answers = {
        "planner": _timed(problem, planner),
        "cost-greedy": _timed(problem, by_worth),
        "first fit": _timed(problem, first_fit),
    }
    if not case.capped:
        if with_ray:
            answers["Ray v2"] = _ray(problem)
        answers["one type, spot"] = _one_type(prices, wanted, Market.SPOT)
        answers["one type, on demand"] = _one_type(prices, wanted, Market.ON_DEMAND)
    return answers


def _cell(answer: Answer, ours: Answer) -> str:
    if answer.usd_per_hour is None or ours.usd_per_hour is None:
        return "n.a."
    dollars = f"{answer.usd_per_hour / ours.usd_per_hour:.3f}"
    note = f", {answer.note}" if answer.note else ""
    return f"{dollars} ({answer.seconds / ours.seconds:.2g}x{note})"


def main() -> None:
    """Prints a Markdown table of all cases, then how each way was run."""
    parser = argparse.ArgumentParser(description="The planner against other ways to choose.")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--without-ray", action="store_true")
    options = parser.parse_args()
    with_ray = not options.without_ray and importlib.util.find_spec("ray") is not None
    ways = ["planner", "cost-greedy", "first fit", "Ray v2", "one type, spot",
            "one type, on demand"]  # fmt: skip
    say = sys.stdout.write
    cases = [
        Case(offers=20_000, shapes=shapes, workers=options.workers, kind=kind, capped=capped)
        for kind in ("synthetic", "real")
        for shapes in (5, 10, 20)
        for capped in (False, True)
    ]
    try:
        compare(cases[0], with_ray=False)  # so that no way pays for the first import
    except DataAbsent as absent:
        say(f"{absent}\n")
        return
    if not with_ray:
        say("Ray is left out: it is not installed (extra 'bench'), or was not asked for.\n\n")
    say(f"| offers x shapes x workers | planner | {' | '.join(ways[1:])} |\n")
    say("|---" * (len(ways) + 1) + "|\n")
    for case in cases:
        answers = compare(case, with_ray=with_ray)
        if not answers:
            say(f"| {case.name} | no fleet |\n")
            continue
        ours = answers["planner"]
        cells = [_cell(answers[way], ours) if way in answers else "–" for way in ways[1:]]
        own = f"${ours.usd_per_hour:.2f}, {ours.seconds:.2f} s"
        say(f"| {case.name} | {own} | {' | '.join(cells)} |\n")
        sys.stdout.flush()
    say(HOW)


if __name__ == "__main__":
    main()
