"""A whole world to plan in: one clock, one cloud, one cluster that lives on its machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from costplan.adapters.sim.clock import VirtualClock
from costplan.adapters.sim.cloud import Account, SimCloud
from costplan.adapters.sim.cluster import Habits, SimCluster
from costplan.adapters.sim.demand import Arrival
from costplan.adapters.sim.faults import Faults
from costplan.adapters.sim.machines import Fates, Pool
from costplan.adapters.sim.provider import SimProvider


@dataclass(frozen=True, slots=True)
class World:
    """What a driver reads and acts on."""

    clock: VirtualClock
    cloud: SimCloud
    provider: SimProvider
    cluster: SimCluster

    def play(self, arrivals: Iterable[Arrival]) -> None:
        """Jobs will come as they are said to, in order of their seconds from the start."""
        self._next(iter(arrivals))

    def _next(self, arrivals: Iterator[Arrival]) -> None:
        arrival = next(arrivals, None)
        if arrival is None:
            return

        def come() -> None:
            self.cluster.submit(arrival.job)
            self._next(arrivals)

        self.clock.after(arrival.at_seconds - self.clock.seconds, come)


def make_world(
    pools: Iterable[Pool],
    *,
    account: Account | None = None,
    fates: Fates | None = None,
    faults: Faults | None = None,
    habits: Habits | None = None,
) -> World:
    """A world at its start: nothing runs and nobody is connected."""
    clock = VirtualClock()
    cloud = SimCloud(clock, pools, account=account, fates=fates)
    cluster = SimCluster(clock, habits)
    cloud.guests.append(cluster)
    return World(clock, cloud, SimProvider(cloud, faults=faults), cluster)
