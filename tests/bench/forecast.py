"""How well demand is foretold, beside the last value, and how fast.

    python -m tests.bench.forecast [--only NAME] [--boosting] [--others]

Every demand series of the reference data that has 14 days or more, in steps of 5 minutes: what was
recorded as such, and jobs laid over each other from submission to end. The first half of a series
is only learnt from (8 days at least); in the rest a forecast is made every hour and a half. `ratio`
is its pinball loss over that of the last value with the plain quantiles of the changes of the last
28 days, both over the quantiles 0.1, 0.5, 0.9 and 0.95; `inside` the share of outcomes between the
10 % and the 90 % quantile, and `closed` the same with every outcome that equals one of them counted
as inside; at 1, 6 and 24 hours. Where demand mostly stays the same the two differ: a 90 % quantile
that is the number which comes three times of four cannot have a tenth above it. `inside` counts
such an outcome in part, as much as the quantiles say (`below` in calibration.py). `ms` is what the
forecast takes of a core when a step has come; `--boosting` adds the optional member; `--others`
takes other columns of the same traces (jobs for GPUs and CPUs, CPUs for GPUs), which chose no
constant. Exits with the number of series in which a ratio is not below 1 or a share inside not in
77-83 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from costplan.adapters.forecast.boosting import Boosting
from costplan.planner.forecast.calibration import HIGH, LOW, below
from costplan.planner.forecast.ensemble import Forecaster
from costplan.planner.forecast.types import (
    QUANTILES,
    STEP_SECONDS,
    STEPS_PER_DAY,
    STEPS_PER_HOUR,
    FloatArray,
)
from tests.bench.instances import DATA, DataAbsent

AHEAD = np.array([1, 6, 24]) * STEPS_PER_HOUR
EVERY = 18
SCORED = [QUANTILES.index(share) for share in (0.1, 0.5, 0.9, 0.95)]
LEVELS = np.array(QUANTILES)
UNDATED = datetime(2020, 7, 6, tzinfo=UTC)
"""Where a trace has seconds only, it is laid to begin on a Monday."""


def running(start: FloatArray, seconds: FloatArray, units: FloatArray) -> FloatArray:
    """Units that run in each step up to the last start, where each job runs as soon as asked."""
    steps = int(np.ceil(start.max() / STEP_SECONDS))
    change = np.zeros(steps + 2)
    for instants, sign in ((start, 1.0), (start + seconds, -1.0)):
        place = np.minimum(instants / STEP_SECONDS, steps)
        whole = place.astype(np.int64)
        np.add.at(change, whole, sign * units * (1 - place + whole))
        np.add.at(change, whole + 1, sign * units * (place - whole))
    return np.cumsum(change)[:steps].clip(0.0)


def series() -> Iterator[tuple[str, datetime, FloatArray]]:
    """Name, start and values of every series of 14 days or more."""
    nodes = pd.read_parquet(DATA / "demand_philly_active_nodes.parquet")
    yield "Philly, active nodes", _utc(nodes["time"].iloc[0]), _floats(nodes["active"])
    jobs = pd.read_parquet(DATA / "demand_philly_2017.parquet")
    begin = pd.Timestamp("2017-10-01")  # sparse before
    start = _floats((jobs["submit_time"] - begin).dt.total_seconds())
    end = start + _floats(jobs["duration_s"])
    kept = end > 0
    start = start.clip(0.0)
    gpus = _floats(jobs["num_gpus"])
    values = running(start[kept], (end - start)[kept], gpus[kept])
    yield "Philly, GPUs of jobs", _utc(begin), values
    earth = pd.read_parquet(DATA / "demand_helios_earth_vc_2020_05.parquet")
    earth["gpus"] = earth["running_gpu_num"] + earth["pending_gpu_num"]
    whole = earth.groupby("time")["gpus"].sum()
    yield "Helios Earth, GPUs", _utc(whole.index[0]), _floats(whole)
    for name, part in earth.groupby("vc"):
        yield f"Helios {name}, GPUs", _utc(part["time"].iloc[0]), _floats(part["gpus"])
    pods = pd.read_parquet(DATA / "demand_alibaba_gpu_2023.parquet")
    pods = pods[pods["scheduled_s"].notna() & (pods["num_gpu"] > 0)]
    start, end = _floats(pods["scheduled_s"]), _floats(pods["delete_s"])
    units = _floats(pods["num_gpu"] * pods["gpu_milli"]) / 1000
    yield "Alibaba GPU 2023, GPUs", UNDATED, running(start, end - start, units)
    for name, file in (
        ("Alibaba PAI, CPUs", "demand_alibaba_pai_2020_folded.parquet"),
        ("Azure VMs, CPUs", "demand_azure_vm_folded.parquet"),
    ):
        jobs = pd.read_parquet(DATA / file)
        start, seconds = _floats(jobs["submit_s"]), _floats(jobs["duration_s"])
        yield name, UNDATED, running(start, seconds, _floats(jobs["cpus"]))


def others() -> Iterator[tuple[str, datetime, FloatArray]]:
    """The same of other columns: jobs for GPUs and CPUs, CPUs for GPUs."""
    jobs = pd.read_parquet(DATA / "demand_philly_2017.parquet")
    begin = pd.Timestamp("2017-10-01")  # sparse before
    start = _floats((jobs["submit_time"] - begin).dt.total_seconds())
    end = start + _floats(jobs["duration_s"])
    kept = end > 0
    start = start.clip(0.0)
    start, end = start[kept], end[kept]
    yield "Philly, jobs", _utc(begin), running(start, end - start, np.ones(len(start)))
    earth = pd.read_parquet(DATA / "demand_helios_earth_vc_2020_05.parquet")
    earth["jobs"] = earth["running_job_num"] + earth["pending_job_num"]
    whole = earth.groupby("time")["jobs"].sum()
    yield "Helios Earth, jobs", _utc(whole.index[0]), _floats(whole)
    for name, part in earth.groupby("vc"):
        yield f"Helios {name}, jobs", _utc(part["time"].iloc[0]), _floats(part["jobs"])
    pods = pd.read_parquet(DATA / "demand_alibaba_gpu_2023.parquet")
    pods = pods[pods["scheduled_s"].notna()]
    start, end = _floats(pods["scheduled_s"]), _floats(pods["delete_s"])
    units = _floats(pods["cpu_milli"]) / 1000
    yield "Alibaba GPU 2023, CPUs", UNDATED, running(start, end - start, units)
    for name, file in (
        ("Alibaba PAI, jobs", "demand_alibaba_pai_2020_folded.parquet"),
        ("Azure VMs, VMs", "demand_azure_vm_folded.parquet"),
    ):
        jobs = pd.read_parquet(DATA / file)
        start, seconds = _floats(jobs["submit_s"]), _floats(jobs["duration_s"])
        yield name, UNDATED, running(start, seconds, np.ones(len(start)))


def last_value(values: FloatArray, now: int) -> FloatArray:
    """(ahead, quantiles): the value now, and the quantiles of the changes of 28 days."""
    seen = values[max(now + 1 - 28 * STEPS_PER_DAY, 0) : now + 1]
    rows = [np.quantile((seen[ahead:] - seen[:-ahead])[::-1][::6], LEVELS) for ahead in AHEAD]
    return np.maximum(values[now] + np.stack(rows), 0.0)


def pinball(told: FloatArray, came: FloatArray) -> FloatArray:
    """Mean pinball loss (ahead,) over the scored quantiles."""
    off = came[:, None] - told
    return np.maximum(LEVELS * off, (LEVELS - 1) * off)[:, SCORED].mean(axis=1)


def measure(
    start: datetime, values: FloatArray, *, boosting: bool = False
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Ratios, shares inside and closed at AHEAD, and the median CPU milliseconds of a forecast."""
    filled = pd.Series(values).ffill().bfill().to_numpy()
    first = max(len(values) // 2, 8 * STEPS_PER_DAY)
    forecaster = Forecaster(start, Boosting() if boosting else None)
    forecaster.extend(values[: first + 1])
    losses, inside, seconds = np.zeros((2, len(AHEAD))), np.zeros((2, len(AHEAD))), []
    origins = range(first, len(values) - int(AHEAD.max()), EVERY)
    for now in origins:
        if now > first:
            forecaster.extend(values[now + 1 - EVERY : now + 1])
        began = time.process_time()
        forecast = forecaster.forecast()
        seconds.append(time.process_time() - began)
        told, came = forecast.values[:, AHEAD - 1].T, filled[now + AHEAD]
        losses += pinball(told, came), pinball(last_value(filled, now), came)
        share = below(told, came)
        inside[0] += share[:, HIGH] - share[:, LOW]
        inside[1] += (told[:, LOW] <= came) & (came <= told[:, HIGH])
    inside /= len(origins)
    return losses[0] / losses[1], inside[0], inside[1], 1e3 * float(np.median(seconds))


def _utc(instant: pd.Timestamp) -> datetime:
    return datetime.fromisoformat(instant.isoformat()).replace(tzinfo=UTC)


def _floats(column: pd.Series[float]) -> FloatArray:
    return column.to_numpy(dtype=np.float64, copy=True)


def main(arguments: list[str]) -> int:
    """Prints a row for each series; returns how many miss a goal."""
    parser = argparse.ArgumentParser(description="Forecast real demand, beside the last value.")
    parser.add_argument("--only", default="", help="series whose name has this text")
    parser.add_argument("--boosting", action="store_true", help="with scikit-learn's member")
    parser.add_argument("--others", action="store_true", help="other columns of the same traces")
    chosen = parser.parse_args(arguments)
    if not DATA.is_dir():
        raise DataAbsent(f"{DATA} is absent: nothing to forecast")
    print(f"{'series':<24} {'days':>5} {'mean':>7}   {'ratio 1 h':>9} {'6 h':>6} {'24 h':>6}"
          f"   {'inside 1 h':>10} {'6 h':>6} {'24 h':>6}"
          f"   {'closed 1 h':>10} {'6 h':>6} {'24 h':>6} {'ms':>5}")  # fmt: skip
    missed = 0
    for name, start, values in others() if chosen.others else series():
        if chosen.only not in name:
            continue
        ratio, inside, closed, ms = measure(start, values, boosting=chosen.boosting)
        is_met = (ratio < 1).all() and (abs(inside - 0.8) <= 0.03).all()
        missed += not is_met
        print(f"{name:<24} {len(values) / STEPS_PER_DAY:5.0f} {np.nanmean(values):7.1f}"
              f"   {ratio[0]:9.3f} {ratio[1]:6.3f} {ratio[2]:6.3f}"
              f"   {inside[0]:10.1%} {inside[1]:6.1%} {inside[2]:6.1%}"
              f"   {closed[0]:10.1%} {closed[1]:6.1%} {closed[2]:6.1%} {ms:5.1f}"
              f"{'' if is_met else '  missed'}", flush=True)  # fmt: skip
    return missed


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except DataAbsent as absent:
        print(absent)
