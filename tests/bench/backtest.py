"""What real demand costs on real prices: costplan beside what else one would run.

    python -m tests.bench.backtest [--days 2] [--policies costplan,foresight,...]

Philly (GPUs), Alibaba GPU 2023 (GPUs) and Alibaba PAI (CPUs), from a day in each that is busy, on
the price list of the reference data and its longest set of recorded spot availability. The one
type of the stock policies is the cheapest on demand; `--one-type dear` takes the dearest of those
sold, as one who did not compare. `--moving-prices` lets
spot prices move as recorded changes did. Ratios are of one run. Exits with 1 where a goal is
missed: 35 % of the peak fleet on demand, 60 % of Dask's Adaptive on spot where its p95 wait is no
better, and 1.10 of perfect foresight.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from costplan.adapters.backtest.outcome import PolicyOutcome
from costplan.adapters.backtest.prepare import Prepared, prepare
from costplan.adapters.backtest.run import ALL_POLICIES, simulate
from costplan.adapters.backtest.scenario import read_scenario
from costplan.adapters.feeds.price_file import PriceList, read_price_file
from costplan.policies.default import default_policies
from tests.bench.instances import DATA

TRACES = {
    "Philly": ("demand_philly_2017.parquet", 42),
    "Alibaba GPU 2023": ("demand_alibaba_gpu_2023.parquet", 130),
    "Alibaba PAI": ("demand_alibaba_pai_2020_folded.parquet", 20),
}


def prepared(name: str, days: float, prices: PriceList, more: dict[str, Any]) -> Prepared:
    """The backtest of a trace."""
    file, skip = TRACES[name]
    flags = {
        "simulate": name.replace(" ", "-"),
        "demand": {"file": str(DATA / file), "skip_days": skip},
        "days": days,
        "spot": str(DATA / "spot_availability_traces.parquet"),
        "region": "aws/us-east-1",
        **more,
    }
    return prepare(read_scenario(None, flags), prices, default_policies())


def shown(found: dict[str, PolicyOutcome], seconds: dict[str, float]) -> None:
    """A table of the outcomes."""
    bound = found["foresight"].usd
    for name, one in found.items():
        parts = ", ".join(f"{kind} {usd:,.0f}" for kind, usd in one.usd_by_kind.items())
        print(
            f"  {name:20s} ${one.usd:>10,.2f}  {one.usd / bound:.3f} of foresight  wait p50 "
            f"{one.wait_p50_seconds:,.0f} s, p95 {one.wait_p95_seconds:,.0f} s  late "
            f"{one.missed_deadlines:,} of {one.jobs:,}  interrupted {one.interruptions:,}  "
            f"({parts})  {seconds[name]:.1f} s CPU"
        )


def missed(found: dict[str, PolicyOutcome]) -> list[str]:
    """Goals that are not reached."""
    ours, spot = found["costplan"], found.get("dask-adaptive-spot")
    missing = []
    if "on-demand-peak" in found and ours.usd / found["on-demand-peak"].usd > 0.35:
        missing.append("35 % of the peak fleet on demand")
    if (
        spot is not None
        and not spot.unfinished_jobs
        and (ours.usd / spot.usd > 0.60 or ours.wait_p95_seconds > spot.wait_p95_seconds)
    ):
        missing.append("60 % of Adaptive on spot at no longer waits")
    if ours.usd / found["foresight"].usd > 1.10:
        missing.append("1.10 of foresight")
    return missing


def main() -> int:
    """Prints a table for each trace, and what misses its goal."""
    options = argparse.ArgumentParser()
    options.add_argument("--days", type=float, default=2.0)
    options.add_argument("--policies", default=",".join(ALL_POLICIES))
    options.add_argument("--traces", default=",".join(TRACES))
    options.add_argument("--moving-prices", action="store_true")
    options.add_argument("--one-type", default="cheapest", choices=("cheapest", "dear"))
    asked = options.parse_args()
    if not DATA.is_dir():
        print(f"{DATA} is absent: nothing to simulate")
        return 0
    prices = read_price_file(DATA / "catalog.parquet", now=datetime(2026, 11, 1, tzinfo=UTC))
    worst = 0
    events = {"spot_prices": str(DATA / "aws_spot_price_events_broad.parquet")}
    moving = events if asked.moving_prices else {}
    for name in asked.traces.split(","):
        made = prepared(name, asked.days, prices, moving)
        if asked.one_type == "dear":
            firm = [w for w in made.backtest.wares if w.pool.key.market.value == "on_demand"]
            dear = max(firm, key=lambda w: (w.usd_per_worker_hour, w.pool.key))
            made = prepared(
                name, asked.days, prices, moving | {"one_type": dear.pool.key.instance_type}
            )
        print(name)
        for note in made.notes:
            print(f"  {note}")
        found, seconds = {}, {}
        for policy in asked.policies.split(","):
            begun = time.process_time()
            found[policy] = simulate(made.backtest, policy)
            seconds[policy] = time.process_time() - begun
        shown(found, seconds)
        for goal in missed(found) if "costplan" in found else ():
            print(f"  above its goal: {goal}")
            worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main())
