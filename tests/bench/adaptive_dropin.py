"""Measures `CostAwareAdaptive` beside stock `Adaptive` on the same cluster.

    python -m tests.bench.adaptive_dropin [--only bursty5 --only bimodal] [--boot 6] [--rounds 1]

A real scheduler in the session's process, real workers of one thread, each a process that boots
for a simulated while. Neither side is told how long a boot takes. `paid` is worker-seconds from the
request to the end of the process, `events` the adaptive loop's own (up/down), `again` task runs
beyond the first. Most tasks sleep, so that a busy computer changes little. The last table is ours
over stock: below 1 is better.
"""

from __future__ import annotations

import argparse
import sys
import warnings

from costplan.adapters.dask import CostAwareAdaptive
from tests.bench.adaptive import stock
from tests.bench.adaptive.measured import Measured, total_again
from tests.bench.adaptive.workloads import ALL, named

USD_PER_HOUR = 0.096
"""m5.large on demand in us-east-1, as the bundled prices have it."""
DEFAULT = (
    "bursty2", "bursty5", "bursty10", "bimodal", "longtail", "fanout", "equal", "unknown",
    "tree", "trickle", "gpu", "fraud",
)  # fmt: skip
HEAD = (
    f"{'workload':<10}{'cluster':<10}{'makespan':>9}{'paid':>9}{'busy':>7}{'machines':>9}"
    f"{'events':>8}{'again':>6}{'usd':>10}"
)


def line(one: Measured) -> str:
    """A row of the table."""
    events = f"{one.events.count('up')}/{one.events.count('down')}"
    return (
        f"{one.workload:<10}{one.cluster:<10}{one.makespan:>8.1f}s{one.paid:>8.1f}s"
        f"{one.runs.busy_seconds:>6.0f}s{len(one.machines):>9}{events:>8}{one.runs.again:>6}"
        f"{one.usd:>10.6f}{'  ' + one.failure if one.failure else ''}"
    )


def ratio(ours: Measured, theirs: Measured) -> str:
    """Ours over stock: makespan, paid, events."""
    return (
        f"{ours.workload:<10}{'ratio':<10}{ours.makespan / theirs.makespan:>8.2f} "
        f"{ours.paid / theirs.paid:>8.2f} {len(ours.events):>22}/{len(theirs.events)}"
    )


def main(arguments: list[str]) -> int:
    """Prints the tables; returns how many workloads failed."""
    parser = argparse.ArgumentParser(description="Measure the drop-in beside stock Adaptive.")
    names = [workload.name for workload in ALL]
    parser.add_argument("--only", action="append", choices=names, help="this workload; repeatable")
    parser.add_argument("--boot", type=float, default=6.0, help="seconds that a machine boots")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is measured")
    parser.add_argument("--side", choices=("both", "stock", "costplan"), default="both")
    chosen = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message="Port .* is already in use")
    print(HEAD)
    pairs: list[tuple[Measured, Measured]] = []
    failures = 0
    for name in (chosen.only or DEFAULT) * chosen.rounds:
        found = []
        for side in ("stock", "costplan") if chosen.side == "both" else (chosen.side,):
            options = {}
            if side == "costplan":
                options = {"Adaptive": CostAwareAdaptive, "worker_usd_per_hour": USD_PER_HOUR}
            found.append(stock.measure(named(name), chosen.boot, USD_PER_HOUR, side, **options))
            print(line(found[-1]), flush=True)
            failures += bool(found[-1].failure)
        if len(found) == 2:
            pairs.append((found[1], found[0]))
    for mine, theirs in pairs:
        print(ratio(mine, theirs))
    if pairs:
        ours = sum(len(mine.events) for mine, _ in pairs)
        others = sum(len(theirs.events) for _, theirs in pairs)
        again = total_again(mine for mine, _ in pairs)
        print(f"all events {ours} of {others}, {again} runs again")
    return failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
