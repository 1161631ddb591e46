"""What work costs at the least with the whole of a trace known, in dollars.

Every task runs from its arrival on a place of a machine that is full, and that is there not a
moment longer. Tasks do not take each other's room, so each is by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from costplan.adapters.backtest.jobs import TraceJob
from costplan.adapters.backtest.market import Ware, changes_until, cheapest_over_time
from costplan.adapters.sim.clock import MICROS

Floats = NDArray[np.float64]
_HOUR = 3600.0


def demand_steps(jobs: Sequence[TraceJob]) -> tuple[Floats, NDArray[np.int64]]:
    """From which seconds on how many tasks run, where each begins when it comes."""
    at = np.array([[job.at_seconds, job.at_seconds + job.seconds] for job in jobs]).ravel()
    change = np.array([[job.units, -job.units] for job in jobs]).ravel()
    order = np.argsort(at, kind="stable")
    seconds, first = np.unique(at[order], return_index=True)
    total = np.add.reduceat(change[order], first)
    return seconds, np.cumsum(total)


def moving_usd(jobs: Sequence[TraceJob], wares: Sequence[Ware]) -> float:
    """Dollars for a worker with one thread, where work moves to the cheapest offer of each moment
    at once and for nothing.

    Where nothing is to be had the price before stays.
    """
    seconds, tasks = demand_steps(jobs)
    from_seconds, usd = _cheapest(wares, float(seconds[-1]))
    cuts = np.unique(np.concatenate([seconds, from_seconds]))
    cuts = cuts[cuts <= seconds[-1]]
    running = tasks[np.searchsorted(seconds, cuts[:-1], side="right") - 1]
    running = np.where(cuts[:-1] < seconds[0], 0, running)
    price = usd[np.searchsorted(from_seconds, cuts[:-1], side="right") - 1]
    return float((running * np.diff(cuts) / _HOUR * price).sum())


def settled_usd(jobs: Sequence[TraceJob], wares: Sequence[Ware]) -> float:
    """Dollars for a worker with one thread, where work stays on the machine that it began on
    until that is taken, and then goes to another at once, with nothing lost.

    Each task takes the machines that cost least over the whole of its run, by what will come of
    prices and capacity. Where nothing is to be had it costs what it does in `moving_usd`.
    """
    until = max(job.at_seconds + job.seconds for job in jobs)
    stays = _Stays(wares, until)
    return sum(job.units * stays.usd(job.at_seconds, job.at_seconds + job.seconds) for job in jobs)


def _cheapest(wares: Sequence[Ware], until: float) -> tuple[Floats, Floats]:
    """From which seconds on a worker costs at least how many dollars an hour: where nothing is to
    be had, as much as before, or else as it will at first."""
    from_seconds, usd = cheapest_over_time(wares, until)
    known = np.flatnonzero(~np.isnan(usd))
    last = np.searchsorted(known, np.arange(len(usd)), side="right") - 1
    return from_seconds, usd[known[np.maximum(last, 0)]]


class _Stays:
    """What a task costs from one moment to another, by dynamic programming over the moments at
    which some pool is taken or is there again."""

    def __init__(self, wares: Sequence[Ware], until: float) -> None:
        end = round(until * MICROS)
        self._spent = [_spent(*_cheapest(wares, until))]
        rooms = []
        for ware in wares:
            at, prices = changes_until(ware.pool.usd_per_hour, end)
            usd = np.array([float(price) / ware.workers for price in prices])
            self._spent.append(_spent(at / MICROS, usd))
            rooms.append(changes_until(ware.pool.capacity, end))
        micros = np.unique(np.concatenate([at for at, _ in rooms]))
        self._moments = micros / MICROS
        there = np.stack(
            [
                np.array([held != 0 for held in room])[np.searchsorted(at, micros, "right") - 1]
                for at, room in rooms
            ]
        )
        # The first stands in where nothing is to be had, until something is.
        self._there = np.vstack([~there.any(axis=0), there])
        self._gone = np.stack([_next_gone(one) for one in self._there])

    def usd(self, begin: float, end: float) -> float:
        """Of one task that runs from `begin` to `end`."""
        first = int(np.searchsorted(self._moments, begin, side="right")) - 1
        last = int(np.searchsorted(self._moments, end, side="left"))
        moments = np.append(self._moments[first:last], end)
        moments[0] = begin
        gone = np.minimum(self._gone[:, first:last] - first, last - first)
        spent = np.stack([np.interp(moments, *one) for one in self._spent])
        there = self._there[:, first:last]
        # Each that is there costs what it does until it is taken, and then the best from there on.
        least = np.zeros(last - first + 1)
        each = np.arange(len(spent))
        for place in range(last - first - 1, -1, -1):
            then = gone[:, place]
            costs = spent[each, then] - spent[:, place] + least[then]
            least[place] = costs[there[:, place]].min()
        return float(least[0])


def _spent(from_seconds: Floats, usd_per_hour: Floats) -> tuple[Floats, Floats]:
    """The dollars from 0 to each moment at which a price changes, and to long after the last."""
    at = np.append(from_seconds, from_seconds[-1] + 1e9)
    return at, np.append(0.0, np.cumsum(np.diff(at) * usd_per_hour) / _HOUR)


def _next_gone(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The place at or after each where there is nothing; their number if there always is."""
    places = np.where(there, len(there), np.arange(len(there)))
    return np.minimum.accumulate(places[::-1])[::-1]
