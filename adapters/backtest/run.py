"""One policy through one trace, on a virtual clock: the same world for each of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Protocol

import numpy as np

from costplan.adapters.backtest.bounds import demand_steps, moving_usd, settled_usd
from costplan.adapters.backtest.cluster import TraceCluster
from costplan.adapters.backtest.jobs import TraceJob
from costplan.adapters.backtest.market import Ware
from costplan.adapters.backtest.outcome import KINDS, PICO, Deadline, PolicyOutcome, outcome
from costplan.adapters.backtest.stalling import Stalling
from costplan.adapters.backtest.stock import Adaptive, Fixed, Fleet, TargetUtilisation
from costplan.adapters.backtest.takings import Takings
from costplan.adapters.sim.clock import VirtualClock
from costplan.adapters.sim.cloud import Account, SimCloud
from costplan.adapters.sim.drive import Driver, Memory
from costplan.adapters.sim.machines import Fates
from costplan.adapters.sim.provider import SimProvider
from costplan.planner.errors import CostplanError
from costplan.planner.foretell import Foreteller
from costplan.planner.guard import Policy
from costplan.planner.loop import tick
from costplan.planner.nodes import Node
from costplan.planner.settings import Settings
from costplan.planner.tick import Outcome
from costplan.planner.types import Market, Phase
from costplan.planner.units import MIB

POLICIES = (
    "costplan",
    "costplan-no-forecast",
    "dask-adaptive",
    "dask-adaptive-spot",
    "target-utilisation",
    "on-demand-peak",
    "foresight",
)
"""Those that are run where none is named."""
_LOOK_AGAIN_SECONDS = {
    Phase.INTENDED: 5.0,
    Phase.UNCERTAIN: 5.0,
    Phase.RETIRING: 5.0,
    Phase.CORDONED: 5.0,
}
"""When to look again at a machine on its way that waits for us; one that was launched or ended, as
it was asked for, goes on by itself until the next tick."""
_BUSY_SECONDS = 60.0
"""When to look again at a cordoned machine that still works."""
_AGAIN_SECONDS = 5.0
"""When to look again where what was asked for was not done."""
_MOST_OVER = 10.0
"""A policy whose jobs take so many times as long as the trace is ended there."""
RESULT_BYTES = 256 * MIB
"""What a task leaves unless told otherwise: an assumption, since demand files do not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What is simulated: the same jobs, offers and fates for every policy.

    Policies look at the cluster each `tick_seconds`. Tasks keep their work each
    `checkpoint_seconds`, and leave `result_bytes` on their worker until their job is over. A job
    that is not done by its `deadline` has missed it. `one_type` is the machine type of those
    policies that use one; `rules` guard what costplan plans.
    """

    jobs: tuple[TraceJob, ...]
    wares: tuple[Ware, ...]
    settings: Settings
    one_type: str
    seconds: float
    tick_seconds: float = 300.0
    checkpoint_seconds: float = 1800.0
    result_bytes: int = RESULT_BYTES
    boot_seconds: float = 120.0
    deadline: Deadline = Deadline()
    seed: int = 0
    rules: tuple[Policy, ...] = ()


Progress = Callable[[float], None]


def _nobody(share: float) -> None:
    del share


def simulate(backtest: Backtest, policy: str, progress: Progress = _nobody) -> PolicyOutcome:
    """What becomes of one policy; `progress` is told the share that is done.

    It ends with its last job, or with jobs undone where those take ten times as long as the trace,
    or where nothing goes on any more (`stalling.py`).
    """
    if policy in BOUNDS:
        return BOUNDS[policy](backtest)
    play = _Play(backtest)
    pilot = _pilot(backtest, policy, play)
    given_up = play.run(pilot, progress)
    found = outcome(policy, play.cloud, play.cluster, backtest.deadline, play.course)
    return replace(found, given_up=given_up)


class _Pilot(Protocol):
    heeds_events: bool

    def step(self) -> None: ...
    def again_seconds(self) -> float: ...


class _Play:
    """The world of one simulation."""

    def __init__(self, backtest: Backtest) -> None:
        self.backtest = backtest
        self.clock = VirtualClock()
        self.cloud = SimCloud(
            self.clock,
            [ware.pool for ware in backtest.wares],
            account=Account(name="backtest", seed=backtest.seed),
            fates=Fates(boot_seconds=backtest.boot_seconds),
        )
        self.cluster = TraceCluster(
            self.clock,
            backtest.settings.kinds[0],
            checkpoint_seconds=backtest.checkpoint_seconds,
            result_bytes=backtest.result_bytes,
        )
        self.cloud.guests.append(self.cluster)
        self.provider = SimProvider(self.cloud, backtest.settings.cluster)
        self.course: list[tuple[float, int, int]] = []
        self._arrive(iter(backtest.jobs))
        self.takings = Takings(self.cloud, self.cloud.pools.values())

    def _arrive(self, jobs: Iterator[TraceJob]) -> None:
        job = next(jobs, None)
        if job is not None:
            self.clock.after(job.at_seconds - self.clock.seconds, partial(self._come, job, jobs))

    def _come(self, job: TraceJob, jobs: Iterator[TraceJob]) -> None:
        self.cluster.submit(job)
        self._arrive(jobs)

    def run(self, pilot: _Pilot, progress: Progress) -> str:
        """Steps until the trace is over and its jobs are done, or the policy is given up; then
        stops what still runs. Says why it was given up, '' where it was not."""
        seconds, step = self.backtest.seconds, self.backtest.tick_seconds
        stalling = Stalling(self.cluster, self.cloud.pools.values(), seconds)
        next_at, given_up = 0.0, ""
        while True:
            pilot.step()
            now = self.clock.seconds
            if now >= next_at:
                self.course.append((now, self._machines(), self.cluster.queued))
                progress(min(1.0, now / seconds))
                next_at = math.floor(now / step + 1e-9) * step + step
                given_up = stalling.why(now)
            if now > _MOST_OVER * seconds:
                given_up = "ten times the span"
            if (now >= seconds and self.cluster.is_done) or given_up:
                break
            until = min(now + pilot.again_seconds(), next_at)
            if pilot.heeds_events:
                until = min(until, self.takings.next_look(now))
            self.clock.advance(until - now)
        self.cluster.close()
        self.provider.terminate([m.machine_id for m in self.cloud.listed.values()])
        self.clock.advance(self.cloud.fates.stop_seconds + 1.0)
        return given_up

    def _machines(self) -> int:
        return sum(machine.ended is None for machine in self.cloud.listed.values())


@dataclass(slots=True)
class _Costplan:
    """The production tick; again soon where a machine on its way in or out waits for it."""

    driver: Driver
    memory: Memory
    heeds_events: bool = True

    def step(self) -> None:
        self.driver.step(replan=False)
        self.memory.entries.clear()

    def again_seconds(self) -> float:
        if any(ended.outcome is not Outcome.DONE for ended in self.driver.outcomes):
            return _AGAIN_SECONDS
        return min(map(self._again, self.memory.state.nodes.values()), default=math.inf)

    def _again(self, node: Node) -> float:
        load = self.memory.state.load
        if node.phase is Phase.CORDONED and load is not None:
            there = (load.workers.get(name) for name in node.workers)
            if any(worker is not None and worker.executing for worker in there):
                return _BUSY_SECONDS
        return _LOOK_AGAIN_SECONDS.get(node.phase, math.inf)


@dataclass(slots=True)
class _Stock:
    """A stock rule: it looks at its ticks only."""

    rule: Adaptive | Fixed | TargetUtilisation
    heeds_events: bool = False

    def step(self) -> None:
        self.rule.step()

    def again_seconds(self) -> float:
        return math.inf


def _pilot(backtest: Backtest, policy: str, play: _Play) -> _Pilot:
    if policy in ("costplan", "costplan-no-forecast"):
        memory = Memory()
        driver = Driver(
            play,
            tick,
            _paced(backtest),
            backtest.rules,
            memory,
            plan_seconds=backtest.tick_seconds,
            history=deque(maxlen=1),
            foreteller=Foreteller((), play.clock()) if policy == "costplan" else None,
        )
        return _Costplan(driver, memory)
    market = Market.SPOT if policy == "dask-adaptive-spot" else Market.ON_DEMAND
    wares = of_type(backtest, market)
    if not wares:
        raise CostplanError(f"{policy}: {backtest.one_type} is not sold on {market.value}")
    fleet = Fleet(play.provider, play.cluster, backtest.settings.kinds[0], wares)
    match policy:
        case "dask-adaptive" | "dask-adaptive-spot":
            return _Stock(Adaptive(fleet))
        case "on-demand-peak":
            return _Stock(Fixed(fleet, math.ceil(peak(backtest) / fleet.slots_each)))
        case "target-utilisation":
            return _Stock(TargetUtilisation(fleet, lambda: play.clock.seconds))
    raise CostplanError(f"no policy is called {policy}; there are {', '.join(ALL_POLICIES)}")


def _paced(backtest: Backtest) -> Settings:
    """The settings, with readings that may be as old as the simulation's looks are far apart."""
    settings, step = backtest.settings, backtest.tick_seconds
    return replace(
        settings,
        cadence=replace(
            settings.cadence,
            observe_seconds=step,
            plan_seconds=step,
            load_stale_seconds=max(2 * step, settings.cadence.load_stale_seconds),
            machines_stale_seconds=max(2 * step, settings.cadence.machines_stale_seconds),
        ),
    )


def of_type(backtest: Backtest, market: Market) -> tuple[Ware, ...]:
    """The pools of the one type in a market, the cheapest first."""
    found = [
        ware
        for ware in backtest.wares
        if ware.pool.key.market is market and ware.pool.key.instance_type == backtest.one_type
    ]
    return tuple(sorted(found, key=lambda ware: (ware.usd_per_worker_hour, ware.pool.key)))


def peak(backtest: Backtest) -> int:
    """The most tasks that would run at once, where each begins when it comes."""
    return int(demand_steps(backtest.jobs)[1].max())


def foresight(backtest: Backtest) -> PolicyOutcome:
    """What no policy that begins all work when it comes costs less than.

    Every task runs from its arrival on a worker that is there at that moment and not a moment
    longer, at the least price a worker of all that is to be had then, on machines that are full.
    Where nothing is to be had the price before stays. Starting work later, when it is cheaper,
    could cost less than this.
    """
    return _bound(backtest, "foresight", moving_usd(backtest.jobs, backtest.wares))


def foresight_settled(backtest: Backtest) -> PolicyOutcome:
    """The same where running work is not moved for nothing: a task stays where it began until its
    machine is taken. What is between the two no policy saves that lets tasks end where they run.
    """
    return _bound(backtest, "foresight-settled", settled_usd(backtest.jobs, backtest.wares))


def _bound(backtest: Backtest, name: str, usd: float) -> PolicyOutcome:
    seconds, tasks = demand_steps(backtest.jobs)
    threads = backtest.settings.kinds[0].threads
    total = Decimal(repr(usd / threads)).quantize(PICO)
    at = np.arange(0.0, backtest.seconds, backtest.tick_seconds)
    there = tasks[np.maximum(0, np.searchsorted(seconds, at, side="right") - 1)]
    there = np.where(at < seconds[0], 0, there)
    return PolicyOutcome(
        policy=name,
        usd=total,
        usd_by_kind=dict.fromkeys(KINDS, Decimal(0)) | {"work": total},
        wait_p50_seconds=0.0,
        wait_p95_seconds=0.0,
        missed_deadlines=0,
        interruptions=0,
        scale_events=0,
        restarted_tasks=0,
        recomputed_tasks=0,
        jobs=len(backtest.jobs),
        unfinished_jobs=0,
        node_hours=sum(job.seconds * job.units for job in backtest.jobs) / 3600 / threads,
        ended_seconds=float(seconds[-1]),
        at_seconds=tuple(float(second) for second in at),
        machines_at=tuple(math.ceil(n / threads) for n in there),
        waiting_at=(0,) * len(at),
    )


def regret(usd: Decimal, bound: Decimal) -> float | None:
    """How much more than the bound, as a share; None without one."""
    return float(usd / bound) - 1.0 if bound else None


BOUNDS: dict[str, Callable[[Backtest], PolicyOutcome]] = {
    "foresight": foresight,
    "foresight-settled": foresight_settled,
}
"""What only foresight could do: nothing is simulated."""
ALL_POLICIES = (*POLICIES, "foresight-settled")
