"""Dask as a `LoadSource`: a scheduler that is looked at once, and one that serves its load."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from costplan.adapters.clock import utc_now
from costplan.adapters.dask.sample import TlsFiles, sample
from costplan.planner.load_source import Capabilities, Sample
from costplan.planner.nodes import Retired
from costplan.planner.ports import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskLook:
    """A stock scheduler at tcp://host:port, looked at for `seconds` at a time."""

    address: str
    seconds: float = 5.0
    tls: TlsFiles | None = None

    @property
    def capabilities(self) -> Capabilities:
        """It says how long tasks take; without the preload it neither knows gangs nor drains."""
        return Capabilities(work_estimate=True, gangs=False, drain=False, resize=True)

    def sample(self) -> Sample:
        """What it has to do, seen from a child process."""
        return Sample(load=sample(self.address, self.seconds, self.tls))

    def drain(self, ids: Collection[str], deadline: datetime) -> Retired:
        """Refuses each: a drain needs somebody who stays."""
        why = f"{self.address} runs without --preload costplan.adapters.dask.preload"
        return Retired(done=(), refused=dict.fromkeys(ids, f"{why}, due {deadline:%FT%TZ}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskSource:
    """A scheduler with costplan's preload behind `cluster`, as `endpoint.DaskEndpoint`.

    Its gangs run: their members carry the name of theirs in the load, and nothing splits them
    before a drain's deadline. `token` names the drain, so that a repeated call goes on with it.
    """

    cluster: Cluster
    token: str = "load-source"  # noqa: S105 - it names a drain and opens nothing
    clock: Callable[[], datetime] = utc_now

    @property
    def capabilities(self) -> Capabilities:
        """All."""
        return Capabilities(work_estimate=True, gangs=True, drain=True, resize=True)

    def sample(self) -> Sample:
        """What the scheduler's plugin says now."""
        return Sample(load=self.cluster.load())

    def drain(self, ids: Collection[str], deadline: datetime) -> Retired:
        """Stops the intake of workers and retires them; from the deadline on by force, whatever
        collective or shuffle they are in."""
        is_over = self.clock() >= deadline
        if not is_over:
            self.cluster.cordon(ids, self.token)
        told = self.cluster.retire(ids, self.token, force=is_over)
        known = {*told.done, *told.refused, *told.lost, *told.pending}
        return replace(told, done=tuple(sorted({*told.done, *(set(ids) - known)})))
