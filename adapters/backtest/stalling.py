"""When work that is left can never be done: a cheap rule, so that a simulation ends.

Spot that was recorded is repeated, so that after the trace everything comes again within the
longest of its repetitions. Where nothing has gone on for as long as that, the longest task that is
left and a day for boots and changes of mind, no more time will change it.
"""

from __future__ import annotations

from collections.abc import Iterable

from costplan.adapters.backtest.cluster import TraceCluster
from costplan.adapters.sim.clock import MICROS
from costplan.adapters.sim.machines import Pool
from costplan.adapters.sim.steps import Steps

_MORE_SECONDS = 86400.0


class Stalling:
    """Looks after the trace, whose end is at `seconds`, whether any work goes on."""

    def __init__(self, cluster: TraceCluster, pools: Iterable[Pool], seconds: float) -> None:
        self.cluster = cluster
        courses = [pool.capacity for pool in pools]
        self._repeats = max((_repeats(course) for course in courses), default=0.0)
        self._since = max((_settles(course) for course in courses), default=0.0)
        self._since = max(self._since, seconds)
        self._seen = (0, 0)

    def why(self, now: float) -> str:
        """Why the rest will never be done, '' where it may be."""
        seen = self.cluster.progress
        if seen != self._seen:
            self._seen, self._since = seen, max(self._since, now)
        idle = now - self._since
        if idle <= self._repeats + _MORE_SECONDS + self._longest_seconds():
            return ""
        return f"in the last {idle / 86400:,.3g} of which nothing went on"

    def _longest_seconds(self) -> float:
        """The longest job that is not done, which has tasks of so long."""
        left = [run.job.seconds for run in self.cluster.runs if run.ended is None]
        return max(left, default=0.0)


def _repeats(course: Steps[int | None]) -> float:
    """Seconds after which a pool's room is as it was, 0 where it stays as it is in the end."""
    moves = course.period is not None and len(set(course.values)) > 1
    return (course.period or 0) / MICROS if moves else 0.0


def _settles(course: Steps[int | None]) -> float:
    """The second from which on a pool's room stays as it is, or is repeated."""
    return 0.0 if course.period is not None else course.micros[-1] / MICROS
