"""What is kept of one cluster object for as long as it lives, whoever adapts it: where its load is
from, who is being emptied, which gangs are needed, what was learnt, and a `scale` that loses
nothing.

Stock `SpecCluster.scale(n)` downwards takes the newest entries out of the plan and ends their
processes: it asks for their retirement by the wrong names, so nothing is copied and what runs is
cut off. Here entries whose workers have joined are put back in the same breath, and as many of
those that are cheapest to empty leave in the background.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from inspect import isawaitable
from typing import Any

import dask.config
from dask.utils import parse_timedelta

from costplan.adapters.clock import utc_now
from costplan.adapters.dask import adaptive_shim as shim
from costplan.adapters.dask.adaptive_gang import Gangs
from costplan.adapters.dask.adaptive_leaving import Leaving
from costplan.adapters.dask.adaptive_options import (
    BOOT_SECONDS,
    BOOT_TIMEOUT_SECONDS,
    ArgumentError,
)
from costplan.adapters.dask.adaptive_roster import Roll, Roster
from costplan.adapters.dask.adaptive_sources import (
    Here,
    Seen,
    Source,
    Told,
    Unasked,
    answers,
)
from costplan.adapters.dask.adaptive_stock import Stock
from costplan.adapters.dask.costs import Figures
from costplan.adapters.dask.session import session_of, show_costs
from costplan.planner.adaptive import Machine, Terms
from costplan.planner.adaptive_leave import to_shrink
from costplan.planner.learnt import Learnt
from costplan.planner.settings import Scaling, WorkerKind
from costplan.planner.types import Resources
from costplan.planner.units import pico_from_usd

logger = logging.getLogger("distributed.costplan")
_KEPT = "_costplan_keeper"
SETTLE_SECONDS = 5.0
"""So long after a scaling down by hand it is looked whether more must be asked to leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a cluster: what its scheduler says, and who is there."""

    seen: Seen
    roll: Roll
    at: datetime


class Keeper:
    """Of one cluster. All but `scale` runs on the cluster's loop."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.roster = Roster(cluster)
        self.gangs = Gangs()
        self.learnt = Learnt(durations=configured_durations())
        self.leaving = Leaving(Unasked(), self._drop, lambda: shim.is_running(cluster), utc_now)
        self._useful: deque[tuple[datetime, int]] = deque()
        self._working_since: datetime | None = None
        self._begun: set[asyncio.Task[None]] = set()
        self._scaling: _Scaled | None = None
        self._arguments: dict[str, Any] | None = None
        self.keys: Mapping[str, Hashable] = {}
        self.own_scale: Callable[..., Any] = getattr(cluster, "scale", _no_cluster)
        if shim.is_spec(cluster):
            cluster.scale = self.scale
        scheduler = shim.scheduler_here(cluster)
        if scheduler is not None:
            # Not at the first look: what is submitted until then is to be seen, too.
            cluster.loop.add_callback(show_costs, scheduler)

    @contextmanager
    def arguments_kept(self) -> Iterator[None]:
        """Forgets what `adapt` was told where it is refused, so that the next call needs not take
        it back. Dask has ended the adapting before by then, and that is logged."""
        before = self._arguments
        try:
            yield
        except ArgumentError:
            shim.put_arguments(self.cluster, before or {})
            if before is not None:
                logger.warning("costplan: the cluster is adapted no more; call adapt() again")
            raise
        self._arguments = shim.arguments(self.cluster)

    def suppose(self, usd_per_hour: Decimal | None) -> None:
        """Tells a scheduler in this process what a worker costs of which nobody else says it."""
        scheduler = shim.scheduler_here(self.cluster)
        if scheduler is None or usd_per_hour is None:
            return
        pico = pico_from_usd(usd_per_hour)
        self.cluster.loop.add_callback(lambda: session_of(scheduler).plugin.costs.suppose(pico))

    def work(self) -> Figures | None:
        """What the workers of a scheduler in this process have cost and what for, as of now."""
        cluster = self.cluster
        scheduler = shim.scheduler_here(cluster)
        if scheduler is None:
            return None

        async def look() -> Figures:
            return session_of(scheduler).plugin.costs.figures_now()

        if cluster.called_from_running_loop or not shim.is_running(cluster):
            return session_of(scheduler).plugin.costs.figures_now()
        figures: Figures = cluster.sync(look)
        return figures

    def recently(self, useful: int, now: datetime, seconds: float) -> int:
        """The most workers that could be occupied at once in the last seconds; more than any
        cluster has where there was not work for all of that time."""
        self._working_since = (self._working_since or now) if useful else None
        self._useful.append((now, useful))
        oldest = now - timedelta(seconds=seconds)
        while self._useful[0][0] < oldest:
            self._useful.popleft()
        if self._working_since is None or self._working_since > oldest:
            return sys.maxsize
        return max(count for _, count in self._useful)

    async def _find(self, target_seconds: float) -> Source:
        cluster = self.cluster
        scheduler = shim.scheduler_here(cluster)
        if scheduler is not None:
            return Here(session_of(scheduler))
        comm, address = cluster.scheduler_comm, str(cluster.scheduler_address)
        if await answers(comm):
            return Told(comm, address)
        logger.warning(
            "costplan: the scheduler at %s runs without our preload, so what tasks need and who is "
            "connected is not seen; start it with --preload costplan.adapters.dask.preload",
            address,
        )
        return Stock(comm, address, target_seconds, utc_now)

    async def look(
        self, target_seconds: float, timeout_seconds: float = BOOT_TIMEOUT_SECONDS
    ) -> Look:
        """What there is now, without the machines that are being emptied."""
        leaving = self.leaving
        if isinstance(leaving.source, Unasked):
            leaving.source = await self._find(target_seconds)
        seen = await leaving.source.see()
        now = utc_now()
        roll = self.roster.look(seen.load, leaving.workers(), leaving.names(), now, timeout_seconds)
        self.keys = roll.keys
        return Look(seen=seen, roll=roll, at=now)

    async def _drop(self, machines: Sequence[Machine]) -> None:
        names = [name for machine in machines for name in machine.names]
        there = [self.keys.get(name, name) for name in names]
        await shim.drop(self.cluster, there)

    def scale(self, *args: Any, **kwargs: Any) -> Any:
        """As the cluster's own `scale`; where it shrinks, workers are emptied first."""
        if not shim.is_running(self.cluster):
            return self.own_scale(*args, **kwargs)

        if self.cluster.called_from_running_loop:
            return self._scale(*args, **kwargs)

        async def run() -> None:
            result = self._scale(*args, **kwargs)
            if isawaitable(result):
                await result

        return self.cluster.sync(run)

    def _scale(self, *args: Any, **kwargs: Any) -> Any:
        """On the cluster's loop: Dask looks at the plan in a callback of it, so not in between."""
        cluster = self.cluster
        joined = shim.entries_with_workers(cluster)
        before = dict(cluster.worker_spec)
        result = self.own_scale(*args, **kwargs)
        asked = len(cluster.worker_spec)
        back = {
            name: spec
            for name, spec in before.items()
            if name not in cluster.worker_spec and name in joined
        }
        cluster.worker_spec.update(back)
        self._scaling = _Scaled(asked, frozenset(cluster.worker_spec))
        if back or len(self._staying(self._scaling)) < asked:
            self._settle(self._scaling)
        return result

    def _settle(self, scaled: _Scaled) -> None:
        task = asyncio.ensure_future(self._bring_to(scaled))
        self._begun.add(task)
        task.add_done_callback(self._ended)
        asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._again, scaled)

    def _again(self, scaled: _Scaled) -> None:
        """Looks whether a scaling down has come about; who refused, or could not be asked, is still
        to leave. A later one goes before, and so does whoever adapts the cluster."""
        left = scaled.entries & self.cluster.worker_spec.keys()
        is_last = scaled is self._scaling and not shim.is_adapted(self.cluster)
        if is_last and len(left) > scaled.asked and shim.is_running(self.cluster):
            self._settle(scaled)

    def _staying(self, scaled: _Scaled) -> list[Hashable]:
        """Entries of then that are in the plan and are not being emptied."""
        leaving = self.leaving.names()
        there = scaled.entries & self.cluster.worker_spec.keys()
        return [name for name in there if str(name) not in leaving]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._begun.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("costplan: the cluster was not scaled: %s", task.exception())

    async def _bring_to(self, scaled: _Scaled) -> None:
        """Sees to it that so many entries stay: those that are cheapest to empty leave, and of
        those that leave already some are called back, or new ones asked for in their place.
        Returns when that begins."""
        over = len(self._staying(scaled)) - scaled.asked
        if over > 0:
            look = await self.look(5.0)
            over = len(self._staying(scaled)) - scaled.asked
            free = [m for m in look.roll.machines if m.is_ready and not self.leaving.why_not(m)]
            order = to_shrink(look.seen.load, free, self.learnt, _PLAIN, sys.maxsize, look.at)
            for machine in order:
                if over > 0 and scaled is self._scaling:
                    self.leaving.begin([machine])
                    over -= len(machine.names)
        while over < 0 and scaled is self._scaling and await self.leaving.recall(1):
            over = len(self._staying(scaled)) - scaled.asked
        if over < 0 and scaled is self._scaling:
            each = max(1, len((self.cluster.new_spec or {}).get("group", ())))
            await shim.grow(self.cluster, -over * each, math.inf, self.own_scale)


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled:
    """A `scale` by hand: how many entries were asked for, of those that were in the plan then."""

    asked: int
    entries: frozenset[Hashable]


_PLAIN = Terms(
    kind=WorkerKind(
        name="worker", need=Resources(vcpu_milli=0, memory_bytes=0), threads=1, resources={}
    ),
    scaling=Scaling(),
    boot_guess_seconds=BOOT_SECONDS,
)


def configured_durations() -> Mapping[str, tuple[int, float]]:
    """Seconds of tasks by prefix that Dask's configuration says, of none that was seen."""
    said = dask.config.get("distributed.scheduler.default-task-durations", {})
    return {name: (0, float(parse_timedelta(value))) for name, value in said.items()}


def _no_cluster(*_: Any, **__: Any) -> Any:
    raise RuntimeError("there is no cluster to scale")


def keeper_of(cluster: Any) -> Keeper:
    """The keeper of a cluster, begun where there is none."""
    if cluster is None:
        return Keeper(cluster)
    kept = vars(cluster).get(_KEPT)
    if not isinstance(kept, Keeper):
        kept = Keeper(cluster)
        setattr(cluster, _KEPT, kept)
    return kept


def drain_on_scale(cluster: Any) -> None:
    """From now on `cluster.scale(n)` downwards empties workers before it ends them.

    For a SpecCluster that nobody adapts; `CostAwareAdaptive` does it for those that it adapts.
    """
    if not shim.is_spec(cluster):
        raise TypeError(f"{type(cluster).__name__} is no SpecCluster: its scale cannot be told")
    keeper_of(cluster)
