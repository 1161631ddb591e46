"""How clusters are scaled without costplan: rules that are in use, on machines of one type.

Each looks at the cluster at the same moments as costplan does, and asks for and ends machines
through the same provider. None loses results on purpose: only idle machines are ended by choice,
and those are retired as Dask's `Adaptive` does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from costplan.adapters.backtest.cluster import TraceCluster
from costplan.adapters.backtest.market import Ware
from costplan.adapters.sim.provider import SimProvider
from costplan.planner.errors import CapacityUnavailable, QuotaExceeded
from costplan.planner.load import TaskGroup
from costplan.planner.nodes import LaunchRequest, MachineState, WorkerSpec
from costplan.planner.settings import WorkerKind

ADAPTIVE_TARGET_SECONDS = 5.0
"""Dask's `distributed.adaptive.target-duration`."""
UNKNOWN_TASK_SECONDS = 0.5
"""Dask's `distributed.scheduler.unknown-task-duration`."""
UTILISATION = 0.7
COOLDOWN_SECONDS = 300.0
"""The default of the cloud's own target tracking before it takes machines away."""


@dataclass(slots=True)
class Fleet:
    """Machines of one type, in the first of its pools that has room.

    A machine that is to go is retired first: what its workers hold is copied, then it ends. Where
    nobody can take that, it stays and takes tasks again, as Dask's `retire_workers` has it.
    """

    provider: SimProvider
    cluster: TraceCluster
    kind: WorkerKind
    wares: tuple[Ware, ...]
    launches: int = 0
    _leaving: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cluster.retired = self._end

    @property
    def machines(self) -> list[str]:
        """Machines that boot or run and are to stay."""
        alive = (MachineState.PENDING, MachineState.RUNNING)
        found = [node.provider_id for node in self.provider.nodes() if node.state in alive]
        return [machine for machine in found if machine not in self._leaving]

    @property
    def slots_each(self) -> int:
        """Tasks that one machine runs at a time."""
        return self.wares[0].workers * self.kind.threads

    def resize(self, wanted: int) -> None:
        """Asks for what is missing, or lets machines go that are idle, the longest idle first."""
        self._retire(tuple(self._leaving))
        here = len(self.machines)
        for _ in range(wanted - here):
            if not self._launch():
                return
        if wanted < here:
            going = self.cluster.idle_machines()[: here - wanted]
            self._leaving |= {machine: self.cluster.workers_of(machine) for machine in going}
            self._retire(going)

    def _retire(self, machines: Sequence[str]) -> None:
        """Begins or goes on with retiring machines; one that was taken away is forgotten."""
        names = [name for machine in machines for name in self._leaving[machine]]
        refused = self.cluster.retire(names, "stock").refused
        stay = [m for m in machines if not refused.keys().isdisjoint(self._leaving.get(m, ()))]
        for machine in stay:
            self.cluster.uncordon(self._leaving.pop(machine))
        for machine in machines:
            if machine in self._leaving and not self.cluster.workers_of(machine):
                del self._leaving[machine]

    def _end(self, machine: str) -> None:
        self._leaving.pop(machine, None)
        self.provider.terminate([machine])

    def _launch(self) -> bool:
        self.launches += 1
        node = f"stock-{self.launches:06d}"
        request = LaunchRequest(
            token=node,
            node_id=node,
            cluster=self.provider.cluster,
            keys=tuple(ware.pool.key for ware in self.wares),
            workers=tuple(
                WorkerSpec(
                    name=f"{node}-{number}",
                    shape=self.kind.name,
                    threads=self.kind.threads,
                    memory_bytes=self.kind.need.memory_bytes,
                    gpus=self.kind.need.gpus,
                    resources=self.kind.resources,
                )
                for number in range(self.wares[0].workers)
            ),
            tags={},
        )
        try:
            self.provider.launch(request)
        except (CapacityUnavailable, QuotaExceeded):
            return False
        return True


@dataclass(slots=True)
class Adaptive:
    """Dask's `Adaptive`: work that waits or runs, over a target of 5 s, at most a thread a task."""

    fleet: Fleet

    def step(self) -> None:
        """One look."""
        cluster = self.fleet.cluster
        tasks = cluster.queued + cluster.running
        seconds = sum(map(_estimate, cluster.load().groups))
        threads = math.ceil(tasks * seconds / ADAPTIVE_TARGET_SECONDS)
        self.fleet.resize(math.ceil(min(threads, tasks) / self.fleet.slots_each))


def _estimate(group: TaskGroup) -> float:
    """How long Dask takes a task to be: the mean of those that have ended, or twice as long as one
    runs that is at more than twice that; half a second where none has run."""
    mean, longest = group.mean_task_seconds, group.longest_running_seconds or 0.0
    if longest > 2 * (mean or 0.0):
        return 2 * longest
    return UNKNOWN_TASK_SECONDS if mean is None else mean


@dataclass(slots=True)
class Fixed:
    """So many machines, all the time."""

    fleet: Fleet
    machines: int

    def step(self) -> None:
        """One look: what was taken away is asked for again."""
        self.fleet.resize(self.machines)


@dataclass(slots=True)
class TargetUtilisation:
    """Target tracking as cloud autoscaling groups do it: busy slots are to be 70 % of all.

    It grows at once and shrinks 5 minutes after it last grew. What waits is not seen, only that
    all slots are busy; the first machine comes with the first job.
    """

    fleet: Fleet
    now: Callable[[], float]
    _grew_at: float = field(default=-math.inf)

    def step(self) -> None:
        """One look."""
        cluster = self.fleet.cluster
        here = len(self.fleet.machines)
        wanted = math.ceil(cluster.running / UTILISATION / self.fleet.slots_each)
        if cluster.queued and not here:
            wanted = 1
        if here * self.fleet.slots_each > cluster.slots:
            # Machines that boot count as busy as the others are, so it waits for them.
            wanted = max(wanted, here)
        if wanted > here:
            self._grew_at = self.now()
        elif self.now() - self._grew_at < COOLDOWN_SECONDS:
            return
        self.fleet.resize(wanted)
