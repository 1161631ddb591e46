"""What a job with a deadline costs: planned, by Uniform Progress, greedily, and at the least.

    python -m tests.bench.deadline [--zones 1] [--starts 6]

With several zones a job may sit in any of them, and every choice of so many zones is replayed.

A job of 48 h on real spot availability (`availability/1-node/aws-02-15-2023` of the reference
data, steps of 195 s), with deadlines of 50 to 92 h and 1, 2 or 4 steps to begin on a machine.
Spot costs 0.318 of on-demand. Every policy has the same safety net. `planned` learns from the
4.5 days before the job and from what it sees, over a prior of the older traces of 2022, and plans
anew every 12 h. Costs are shares of the same job on demand. `gap closed` is the share of what lies
between greedy and the least that is possible (with all of the trace known). Exits with 1 where a
goal is missed: three quarters of the gap closed, 1.04 of the least cost, no deadline missed, and
with one zone no setting more than 10 % dearer than Uniform Progress.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from costplan.planner.deadline.chain import Rates, Watcher, chain
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
from tests.bench.instances import DATA, DataAbsent

STEP_HOURS = 195 / 3600
WORK = 887
DEADLINES = (50, 52, 56, 60, 70, 92)
CHANGEOVERS = (1, 2, 4)
SPOT_PRICE = 0.318
HISTORY = round(4.5 * 24 / STEP_HOURS)
AGAIN = round(12 / STEP_HOURS)
LONGEST = int(max(DEADLINES) / STEP_HOURS)
OLDER_STEP_HOURS = 600 / 3600
SET, OLDER = "availability/1-node/aws-02-15-2023/", "availability/1-node/aws-10-26-2022/"

COSTS = ["greedy", "uniform", "planned", "least"]

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Course:
    """One run: a policy's cost as a share of on-demand, and whether it was in time."""

    cost: float
    is_late: bool


def traces(of: str) -> dict[str, Bits]:
    """Availability by step of the traces whose id has a text, by zone and type."""
    table = pd.read_parquet(DATA / "spot_availability_traces.parquet")
    found = {}
    for name, part in table[table["trace_id"].str.contains(of, regex=False)].groupby("trace_id"):
        runs = part.sort_values("tick")
        bits = np.repeat(runs["n_available"] > 0, runs["run_ticks"])
        found[str(name).split(of)[1]] = bits.to_numpy()
    return found


def older(zones: int) -> Rates:
    """What the older traces say: each by itself, or in pairs where there are several zones."""
    seen = Rates.none()
    for chosen in itertools.combinations(traces(OLDER).values(), min(zones, 2)):
        watcher = Watcher(len(chosen), OLDER_STEP_HOURS, half_life_hours=math.inf)
        for now in zip(*chosen, strict=True):
            watcher.see(now)
        seen = seen.plus(watcher.rates)
    return seen


@dataclass(frozen=True)
class Place:
    """Where a job runs: capacity (steps, zones) from its start on, what a watcher saw of it, and
    the rates that it had learnt each time that a plan is made anew."""

    name: str
    begin: int
    capacity: Bits
    states: list[int]
    homes: list[int]
    learnt: list[Rates]


def course(
    job: Job, at: Place, policy: Policy, program: Callable[[int], Program] | None = None
) -> Course:
    """Runs a job; whatever the policy, it sits in the zone that the watcher takes for the best."""
    capacity = at.capacity
    work, left, sits, starting, cost, zone = job.work, job.steps, Seat.NOTHING, 0, 0.0, -1
    step = 0
    while work > 0:
        if left == 0:
            return Course(cost / job.work, is_late=True)
        if sits is Seat.SPOT and not capacity[step, zone]:
            sits, starting = Seat.NOTHING, 0
        if program is not None and isinstance(policy, Planned):
            policy.program = program(step // AGAIN)
        now = Situation(left=left, work=work, sits=sits, starting=starting,
                        state=at.states[step], has_spot=bool(capacity[step].any()))  # fmt: skip
        choice = Seat(int(caught(job, now, policy.choose(job, now))))
        if choice is not sits:
            starting = job.changeover if choice is not Seat.NOTHING else 0
            if choice is Seat.SPOT:
                zone = at.homes[step]
        sits = choice
        cost += (0.0, SPOT_PRICE, 1.0)[sits]
        if sits is not Seat.NOTHING:  # a step of work, or of sitting down
            if starting:
                starting -= 1
            else:
                work -= 1
        left -= 1
        step += 1
    return Course(cost / job.work, is_late=False)


def least(job: Job, capacity: Bits) -> float:
    """The least cost with all of the future known, as a share of on-demand."""
    zones, d = capacity.shape[1], job.changeover
    most = job.work + d
    seats = zones + 2  # nothing, on demand, each zone
    value = np.full((most + 1, seats), np.inf)
    value[0] = 0.0
    start = np.minimum(np.arange(most + 1) + d - 1, most)
    for step in range(job.steps - 1, -1, -1):
        ahead = np.vstack([value[:1], value[:-1]])  # after a step of work
        begun = value[start]
        begun[np.arange(most + 1) + d - 1 > most] = np.inf
        new = np.repeat(value[:, :1], seats, axis=1)
        new = np.minimum(new, 1.0 + begun[:, 1:2])
        new[:, 1] = np.minimum(new[:, 1], 1.0 + ahead[:, 1])
        for zone in np.flatnonzero(capacity[step]):
            place = int(zone) + 2
            new = np.minimum(new, SPOT_PRICE + begun[:, place : place + 1])
            new[:, place] = np.minimum(new[:, place], SPOT_PRICE + ahead[:, place])
        new[0] = 0.0
        value = new
    return float(value[job.work, 0]) / job.work


def places(zones: int, starts: int) -> Iterator[tuple[str, int, Bits]]:
    """Name, start and capacity (steps, zones) from the beginning of the history on."""
    every = traces(SET)
    for names in itertools.combinations(sorted(every), zones):
        whole = np.stack([every[name] for name in names], axis=1)
        room = len(whole) - LONGEST - HISTORY
        for number in range(starts):
            begin = room * number // max(starts - 1, 1)
            short = "+".join(name.split("/")[0] for name in names)
            yield short, begin, whole[begin : begin + HISTORY + LONGEST]


def watched(name: str, begin: int, bits: Bits) -> Place:
    """The place as a watcher sees it from the history's beginning on."""
    watcher = Watcher(bits.shape[1], STEP_HOURS)
    place = Place(name, begin, bits[HISTORY:], [], [], [])
    for step, now in enumerate(bits, start=-HISTORY):
        watcher.see(now)
        if step >= 0:
            if step % AGAIN == 0:
                place.learnt.append(watcher.rates)
            place.states.append(watcher.state)
            place.homes.append(watcher.zone)
    return place


def programs(at: Place, prior: Rates, changeover: int) -> Callable[[int], Program]:
    """The program as it is made anew the given time; each once, and only where a job lasts."""

    @functools.cache
    def program(number: int) -> Program:
        return solve(
            chain(at.learnt[number], prior, STEP_HOURS),
            steps=LONGEST - AGAIN * number,
            work=WORK,
            changeover=changeover,
            spot_price=SPOT_PRICE,
            since=AGAIN * number,
            wait_price=WAIT_PRICE,
        )

    return program


def measured(given: tuple[str, int, Bits, Rates]) -> list[dict[str, Any]]:
    """A row for each deadline and changeover: the costs of the policies."""
    name, begin, bits, prior = given
    at, rows = watched(name, begin, bits), []
    for changeover in CHANGEOVERS:
        program = programs(at, prior, changeover)
        for deadline in DEADLINES:
            job = Job(work=WORK, steps=int(deadline / STEP_HOURS), changeover=changeover)
            courses = {
                "greedy": course(job, at, Greedy()),
                "uniform": course(job, at, UniformProgress()),
                "planned": course(job, at, Planned(program(0)), program),
            }
            row = {"place": name, "begin": begin, "deadline": deadline, "changeover": changeover}
            row |= {policy: each.cost for policy, each in courses.items()}
            row["least"] = least(job, at.capacity[: job.steps])
            row["late"] = any(each.is_late for each in courses.values())
            rows.append(row)
    return rows


def shown(table: pd.DataFrame, zones: int) -> bool:
    """Prints the table; false where a goal is missed."""
    for by in ("deadline", "changeover", "place"):
        print(table.groupby(by)[COSTS].mean().round(3).to_string(), "\n")
    mean = table[COSTS].mean()
    print(f"{len(table)} settings: {', '.join(f'{name} {mean[name]:.3f}' for name in COSTS)}")
    closed, ratio = 0.0, 0.0
    for name in ("uniform", "planned"):
        closed = (mean["greedy"] - mean[name]) / (mean["greedy"] - mean["least"])
        ratio = (table[name] / table["least"]).mean()
        print(f"{name}: {closed:.1%} of the gap closed, {ratio:.4f} of the least on average")
    worst = float((table["planned"] / table["uniform"]).max()) - 1
    late = int(table["late"].sum())
    print(f"planned over uniform in the worst setting: {worst:+.1%}; late: {late}")
    return closed >= 0.75 and ratio <= 1.04 and not late and (zones > 1 or worst <= 0.1)


def main(arguments: list[str]) -> int:
    """Prints a table; returns 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description="Replay jobs with deadlines on real spot traces.")
    parser.add_argument("--zones", type=int, default=1)
    parser.add_argument("--starts", type=int, default=6)
    chosen = parser.parse_args(arguments)
    if not DATA.is_dir():
        raise DataAbsent(f"{DATA} is absent: nothing to replay")
    prior = older(chosen.zones)
    given = [(*each, prior) for each in places(chosen.zones, chosen.starts)]
    with ProcessPoolExecutor(2) as pool:
        rows = list(itertools.chain.from_iterable(pool.map(measured, given)))
    return 0 if shown(pd.DataFrame(rows), chosen.zones) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except DataAbsent as absent:
        print(absent)
