"""How close to a proven bound, and how fast: the planner over a grid of instances.

    python -m tests.bench.gaps [--quick]

Instances are cut by seed from the real price list (see instances.py): offers x shapes x workers,
with synthetic and real worker sizes, with caps on spot and on pools and without. The gap is
(expected cost - proven bound) / bound, as `recommend` reports it. Seconds are those of `solve`.
"""

from __future__ import annotations

import itertools
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from costplan.planner.catalogue import Catalogue
from costplan.planner.optimize.offers import candidates
from costplan.planner.optimize.problem import build
from costplan.planner.optimize.solve import solve
from costplan.planner.workload import Workload
from tests.bench.instances import CAPPED, FREE, DataAbsent, instance, price_list

OFFERS = (1_000, 5_000, 20_000, 60_000, 94_000)
SHAPES = (1, 5, 20, 50)
WORKERS = (1_000, 3_000, 10_000)
MARKETS = (("caps", CAPPED), ("free", FREE))
KINDS = ("synthetic", "real")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One solve: the instance's size, the gap as a share, and seconds."""

    offers: int
    shapes: int
    workers: int
    caps: str
    gap: float
    seconds: float


def measure(prices: Catalogue, workload: Workload) -> tuple[float, float]:
    """Gap and seconds of one solve; raises RuntimeError where no fleet is found."""
    problem = build(prices, candidates(prices, workload), workload)
    start = time.perf_counter()
    solution = solve(problem)
    seconds = time.perf_counter() - start
    if solution is None:
        raise RuntimeError("no fleet was found")
    return solution.gap, seconds


def grid(quick: bool) -> Iterable[Result]:
    """The results of the grid, printed as they come."""
    seed = 0
    for workers, offers, shapes in itertools.product(WORKERS, OFFERS, SHAPES):
        for (caps, market), kind in itertools.product(MARKETS, KINDS):
            seed += 1
            if quick and seed % 12:
                continue
            prices, workload = instance(
                offers, shapes, workers, seed, kind, single_region=False, market=market
            )
            gap, seconds = measure(prices, workload)
            print(
                f"{offers:>6,} offers {shapes:>2} shapes {workers:>6,} workers {caps} {kind:<9}"
                f" gap {gap:8.4%}  {seconds:6.3f} s",
                flush=True,
            )
            yield Result(
                offers=offers,
                shapes=shapes,
                workers=workers,
                caps=caps,
                gap=gap,
                seconds=seconds,
            )


def summary(results: list[Result]) -> None:
    """Prints quantiles of all, with and without caps, and of the named sizes."""
    parts = [("all", results)]
    parts += [(caps, [r for r in results if r.caps == caps]) for caps, _ in MARKETS]
    parts += [(f"{n:,} workers", [r for r in results if r.workers == n]) for n in WORKERS]
    parts += [
        (f"{o:,} x {s} x 10,000", [r for r in results if (r.offers, r.shapes) == (o, s)])
        for o, s in ((20_000, 20), (94_000, 50))
    ]
    print(f"\n{'':<22}   n   gap median      p95      max   seconds median   p95    max")
    for name, part in parts:
        if "x" in name:
            part = [r for r in part if r.workers == 10_000]  # noqa: PLW2901
        if part:
            gap, seconds = (np.array([getattr(r, f) for r in part]) for f in ("gap", "seconds"))
            print(
                f"{name:<22} {len(part):>3}    {np.median(gap):8.4%} {np.quantile(gap, 0.95):8.4%}"
                f" {gap.max():8.4%}         {np.median(seconds):6.3f} "
                f"{np.quantile(seconds, 0.95):6.3f} {seconds.max():6.3f}"
            )


def small() -> None:
    """Prints for how many fleets of up to 50 workers the answer is proven optimal."""
    print("\nup to 50 workers, 5,000 and 94,000 offers, with caps and without")
    for shapes in (1, 2, 3, 5, 10):
        proven, gaps, seconds = 0, [], []
        sizes = itertools.product((5_000, 94_000), (10, 25, 50), MARKETS)
        for seed, (offers, workers, (_, market)) in enumerate(sizes, start=1000):
            prices, workload = instance(
                offers, shapes, max(workers, shapes), seed, single_region=False, market=market
            )
            gap, spent = measure(prices, workload)
            proven += gap <= 1e-9
            gaps.append(gap)
            seconds.append(spent)
        print(
            f"{shapes:>2} shapes: {proven} of {len(gaps)} proven, largest gap {max(gaps):.2%}, "
            f"seconds median {np.median(seconds):.2f} max {max(seconds):.2f}",
            flush=True,
        )


def million() -> None:
    """Prints gap and seconds for a million offers: the price list many times over, jittered."""
    prices, workload = instance(94_000, 20, 10_000, 7, single_region=False, market=CAPPED)
    dice = np.random.default_rng(7)
    rows = np.tile(np.arange(len(prices)), -(-1_000_000 // len(prices)))[:1_000_000]
    many = prices.take(rows)
    jitter = dice.uniform(1.0, 1.3, len(rows))
    jitter[: len(prices)] = 1.0
    many = replace(many, price_pico=np.rint(many.price_pico * jitter).astype(np.int64))
    start = time.perf_counter()
    problem = build(many, candidates(many, workload), workload)
    built = time.perf_counter() - start
    start = time.perf_counter()
    solution = solve(problem)
    seconds = time.perf_counter() - start
    gap = float("nan") if solution is None else solution.gap
    print(
        f"\n1,000,000 offers x 20 x 10,000: build {built:.2f} s, solve {seconds:.2f} s, "
        f"gap {gap:.4%}"
    )


def main() -> int:
    """Runs the grid; 0, also where there is no data to run on."""
    try:
        price_list()
    except DataAbsent as absent:
        print(f"skipped: {absent}")
        return 0
    summary(list(grid("--quick" in sys.argv)))
    small()
    million()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all of it: {peak:.0f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
