"""What planning ahead changes: the same trace without an outlook and with outlooks of two kinds.

    python -m tests.bench.ahead [--days 2] [--traces "Philly,Alibaba GPU 2023"] [--shortage 3]

`perfect` is what will be asked for, were all work to begin when it comes: what planning over time
is worth at most. `last` knows nothing of the time to come: the demand of the moment goes on, and
its quantiles are the changes that were seen so far over as long a time. Both look four hours on in
steps of five minutes. Costs and waits are of one run; exits with 1 where one with an outlook is
dearer than the one without by more than 1 %, at no shorter wait.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from costplan.adapters.backtest.bounds import demand_steps
from costplan.adapters.backtest.outcome import PolicyOutcome, outcome
from costplan.adapters.backtest.run import Backtest, _Costplan, _paced, _Play
from costplan.adapters.feeds.price_file import read_price_file
from costplan.adapters.sim.drive import Driver, Memory
from costplan.planner.guard import Policy
from costplan.planner.loop import Ticked, tick
from costplan.planner.outlook import Outlook
from costplan.planner.settings import Settings
from costplan.planner.tick import Readings, State
from tests.bench.backtest import TRACES, prepared
from tests.bench.instances import DATA

STEP_SECONDS = 300
STEPS = 48
SHARES = (0.1, 0.25, 0.5, 0.667, 0.75, 0.9)
LEAST_HISTORY = 24

Foretell = Callable[[float, datetime], Outlook | None]


@dataclass(slots=True)
class Course:
    """How many tasks would run at any second, as means of steps of five minutes."""

    backtest: Backtest
    means: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        seconds, tasks = demand_steps(self.backtest.jobs)
        edges = np.arange(0.0, seconds[-1] + (STEPS + 2) * STEP_SECONDS, STEP_SECONDS)
        cuts = np.unique(np.concatenate([edges, seconds]))
        there = np.where(cuts < seconds[0], 0, tasks[np.searchsorted(seconds, cuts, "right") - 1])
        summed = np.concatenate([[0.0], np.cumsum(there[:-1] * np.diff(cuts))])
        self.means = np.diff(np.interp(edges, cuts, summed)) / STEP_SECONDS
        self.means /= self.backtest.settings.kinds[0].threads

    def perfect(self, second: float, at: datetime) -> Outlook | None:
        """What will be asked for."""
        now = int(second // STEP_SECONDS)
        rows = self.means[now + 1 : now + 1 + STEPS]
        rows = np.pad(rows, (0, STEPS - len(rows)))
        return self._outlook(at, [rows])

    def last(self, second: float, at: datetime) -> Outlook | None:
        """The demand of the moment, and changes like those of the time before."""
        now = int(second // STEP_SECONDS)
        if now < LEAST_HISTORY:
            return None
        seen = self.means[:now]
        rows = np.empty((len(SHARES), STEPS))
        for step in range(STEPS):
            lead = min(step + 1, now // 2)
            rows[:, step] = seen[-1] + np.quantile(seen[lead:] - seen[:-lead], SHARES)
        return self._outlook(at, np.maximum(rows, 0.0))

    def _outlook(self, at: datetime, rows: Sequence[np.ndarray] | np.ndarray) -> Outlook:
        kind = self.backtest.settings.kinds[0].name
        return Outlook(
            at=at,
            ends_seconds=tuple(STEP_SECONDS * (n + 1) for n in range(STEPS)),
            shares=SHARES if len(rows) > 1 else (0.5,),
            workers={kind: tuple(tuple(row.tolist()) for row in rows)},
        )


@dataclass(slots=True)
class Foretold:
    """The production tick, told what is to come."""

    foretell: Foretell
    start: datetime | None = None
    spent: list[float] = field(default_factory=list)
    bought: int = 0
    held: int = 0

    def __call__(
        self,
        readings: Readings,
        state: State,
        settings: Settings,
        policies: Sequence[Policy],
        *,
        replan: bool,
    ) -> Ticked:
        """A tick with the outlook of its moment."""
        self.start = self.start or readings.at
        seconds = (readings.at - self.start).total_seconds()
        read = replace(readings, outlook=self.foretell(seconds, readings.at))
        began = time.process_time()
        done = tick(read, state, settings, policies, replan=replan)
        self.spent.append(time.process_time() - began)
        if done.plan is not None and done.plan.ahead is not None:
            self.bought += done.plan.ahead.bought
            self.held += done.plan.ahead.held
        return done


def run(backtest: Backtest, foretell: Foretell) -> tuple[PolicyOutcome, Foretold]:
    """A trace with outlooks."""
    play, memory, told = _Play(backtest), Memory(), Foretold(foretell)
    driver = Driver(
        play,
        told,
        _paced(backtest),
        backtest.rules,
        memory,
        plan_seconds=backtest.tick_seconds,
    )
    play.run(_Costplan(driver, memory), _quietly)
    found = outcome("costplan", play.cloud, play.cluster, backtest.deadline, play.course)
    return found, told


def nothing(second: float, at: datetime) -> Outlook | None:
    """No outlook."""
    del second, at


def _quietly(share: float) -> None:
    del share


def shown(name: str, one: PolicyOutcome, told: Foretold) -> None:
    """A line of the table."""
    parts = ", ".join(f"{kind} {usd:,.0f}" for kind, usd in one.usd_by_kind.items())
    worst = max(told.spent)
    print(
        f"  {name:8s} ${one.usd:>10,.2f}  wait p50 {one.wait_p50_seconds:,.0f} s, "
        f"p95 {one.wait_p95_seconds:,.0f} s  late {one.missed_deadlines:,} of {one.jobs:,}  "
        f"({parts})  {told.bought:,} bought ahead, {told.held:,} kept  "
        f"tick {sum(told.spent) / len(told.spent) * 1000:.1f} ms, worst {worst * 1000:.0f} ms",
        flush=True,
    )


def main() -> int:
    """Prints a table for each trace, and what is dearer."""
    options = argparse.ArgumentParser()
    options.add_argument("--days", type=float, default=2.0)
    options.add_argument("--traces", default="Philly,Alibaba GPU 2023")
    options.add_argument("--shortage", type=float, default=None)
    options.add_argument("--outlooks", default="none,perfect,last")
    asked = options.parse_args()
    if not DATA.is_dir():
        print(f"{DATA} is absent: nothing to simulate")
        return 0
    prices = read_price_file(DATA / "catalog.parquet", now=datetime(2026, 11, 1, tzinfo=UTC))
    worst = 0
    for name in asked.traces.split(","):
        if name not in TRACES:
            raise SystemExit(f"no trace is called {name}; there are {', '.join(TRACES)}")
        backtest = prepared(name, asked.days, prices, {}).backtest
        if asked.shortage is not None:
            scaling = replace(backtest.settings.scaling, ahead_shortage=asked.shortage)
            backtest = replace(backtest, settings=replace(backtest.settings, scaling=scaling))
        course = Course(backtest)
        ways: dict[str, Foretell] = {
            "none": nothing,
            "perfect": course.perfect,
            "last": course.last,
        }
        print(name)
        found = {}
        for way in asked.outlooks.split(","):
            found[way], told = run(backtest, ways[way])
            shown(way, found[way], told)
        base = found.get("none")
        for way, one in found.items():
            is_dearer = base is not None and one.usd > base.usd * 101 / 100
            if base and is_dearer and one.wait_p95_seconds >= base.wait_p95_seconds:
                print(f"  {way} is dearer at no shorter wait")
                worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main())
