"""Spot machines that are taken away when their pool has none any more, after a notice each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import partial

from costplan.adapters.backtest.market import outages
from costplan.adapters.sim.cloud import SimCloud
from costplan.adapters.sim.machines import Pool
from costplan.planner.types import OfferKey

_LATER_SECONDS = 1e-3


class Takings:
    """Takes the machines of pools away at each of their outages, for as long as time goes on."""

    def __init__(self, cloud: SimCloud, pools: Iterable[Pool]) -> None:
        self.cloud = cloud
        self._to_come: dict[OfferKey, tuple[float, ...]] = {}
        for pool in pools:
            self._await(pool, outages(pool))

    def next_look(self, now: float) -> float:
        """Just after the next second at which a pool's machines get notice or are taken."""
        coming = (second for due in self._to_come.values() for second in due if second > now)
        return min(coming, default=math.inf) + _LATER_SECONDS

    def _await(self, pool: Pool, seconds: Iterator[float]) -> None:
        taken = next(seconds, math.inf)
        warned = max(0.0, taken - pool.notice_seconds)
        self._to_come[pool.key] = (warned, taken)
        if taken < math.inf:
            now = self.cloud.clock.seconds
            self.cloud.clock.after(warned - now, partial(self._take, pool, pool.notice_seconds))
            self.cloud.clock.after(taken - now, partial(self._over, pool, seconds))

    def _over(self, pool: Pool, seconds: Iterator[float]) -> None:
        self._take(pool, 0.0)
        self._await(pool, seconds)

    def _take(self, pool: Pool, in_seconds: float) -> None:
        for machine in tuple(self.cloud.listed.values()):
            if machine.pool.key == pool.key and machine.ended is None:
                if in_seconds:
                    self.cloud.interrupt(machine.machine_id, in_seconds)
                else:
                    self.cloud.reclaim(machine.machine_id)
