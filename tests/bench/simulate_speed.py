"""How long costplan's part of a backtest takes: CPU seconds a simulated day, and a look and plan.

    python -m tests.bench.simulate_speed [--days 1] [--policies costplan,costplan-no-forecast]
                                         [--jobs-per-hour 30]

The month of `examples/month.yaml` on the bundled prices, its first days; of 50 jobs an hour its
first day takes 215 machines at the peak. The goal is 60 s for 30 days. The digest names all that
became of a policy: where it is the same, nothing was decided otherwise. Exits with 1 where the goal
is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from costplan.adapters.backtest import run
from costplan.adapters.backtest.prepare import prepare
from costplan.adapters.backtest.scenario import read_scenario
from costplan.cli.price_source import read_prices
from costplan.planner.loop import Ticked
from costplan.planner.loop import tick as planner_tick
from costplan.policies.default import default_policies

GOAL_SECONDS = 60.0
MONTH_DAYS = 30.0


@dataclass(slots=True)
class Counted:
    """The production tick, counted."""

    looks: int = 0
    plans: int = 0

    def __call__(self, *given: Any, **more: Any) -> Ticked:
        """One tick."""
        ticked = planner_tick(*given, **more)
        self.looks += 1
        self.plans += ticked.plan is not None
        return ticked


def main() -> int:
    """Prints a line a policy."""
    options = argparse.ArgumentParser()
    options.add_argument("--days", type=float, default=1.0)
    options.add_argument("--policies", default="costplan,costplan-no-forecast")
    options.add_argument("--jobs-per-hour", type=float, default=30.0)
    asked = options.parse_args()
    jobs = {"jobs_per_hour": asked.jobs_per_hour, "unit": "gpu", "seed": 7}
    section = read_scenario(
        Path("examples/month.yaml"), {"days": asked.days, "demand": {"generate": jobs}}
    )
    prices = read_prices(None, now=datetime(2026, 11, 1, tzinfo=UTC))
    backtest = prepare(section, prices, default_policies()).backtest
    slow = False
    for policy in asked.policies.split(","):
        counted = Counted()
        run.tick = counted  # type: ignore[assignment, attr-defined]
        begun = time.process_time()
        found = run.simulate(backtest, policy)
        seconds = time.process_time() - begun
        month = seconds / asked.days * MONTH_DAYS
        digest = hashlib.sha256(repr(sorted(asdict(found).items())).encode()).hexdigest()[:12]
        machines = sum(found.machines_at) / max(1, len(found.machines_at))
        print(
            f"{policy:21s} {seconds / asked.days:6.1f} s a day, {month:5.0f} s a month  "
            f"{counted.looks:,} looks, {counted.plans:,} plans, "
            f"{1000 * seconds / max(1, counted.looks):.1f} ms a look  "
            f"{machines:.0f} machines in the mean, {max(found.machines_at)} at most  "
            f"${found.usd:,.2f}  {digest}"
        )
        slow |= month > GOAL_SECONDS
    if slow:
        print(f"above its goal: {GOAL_SECONDS:g} s a month")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
