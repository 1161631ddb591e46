"""Measures costplan beside stock Adaptive, one after the other in one run.

    python -m tests.bench.adaptive [--only bursty5 --only shuffle] [--boot 6] [--all]

Real schedulers, real workers of one thread, each a process that boots for a simulated while; the
same limits on both sides. `paid` is worker-seconds from the request to the end of the process,
`busy` is task-seconds by the workers' own word with each task counted once, `again` is task runs
beyond the first. Both sides pay one on-demand price, so dollars are paid seconds. The last table
is costplan over stock: below 1 is better. Figures depend on what else the computer does; ratios
of one run do so less.
"""

from __future__ import annotations

import argparse
import sys
import warnings

from tests.bench.adaptive import ours, stock
from tests.bench.adaptive.measured import HEAD, Measured, line, ratios
from tests.bench.adaptive.workloads import ALL, DEFAULT, named

USD_PER_HOUR = 0.096
"""m5.large on demand in us-east-1, as the bundled prices have it."""


def options(arguments: list[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Measure costplan beside stock Adaptive.")
    names = [workload.name for workload in ALL]
    parser.add_argument("--only", action="append", choices=names, help="this workload; repeatable")
    parser.add_argument("--all", action="store_true", help="all workloads; takes most of an hour")
    parser.add_argument("--boot", type=float, default=6.0, help="seconds that a machine boots")
    parser.add_argument("--target", type=int, default=5, help="seconds that work may take")
    parser.add_argument("--side", choices=("both", "stock", "costplan"), default="both")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Prints the tables; returns how many workloads failed."""
    warnings.filterwarnings("ignore", message="Port .* is already in use")
    chosen = options(arguments)
    names = chosen.only or ([each.name for each in ALL] if chosen.all else DEFAULT)
    print(HEAD)
    pairs: list[tuple[Measured, Measured]] = []
    failures = 0
    for name in names:
        workload, found = named(name), []
        if chosen.side != "costplan":
            found.append(stock.measure(workload, chosen.boot, USD_PER_HOUR))
            print(line(found[-1]), flush=True)
        if chosen.side != "stock":
            found.append(ours.measure(workload, chosen.boot, chosen.target))
            print(line(found[-1]), flush=True)
        failures += sum(bool(one.failure) for one in found)
        if len(found) == 2:
            pairs.append((found[1], found[0]))
    for mine, theirs in pairs:
        print(ratios(mine, theirs))
    return failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
