"""Emptying workers where the scheduler runs nothing of ours, and does not always answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from distributed import wait

from costplan.adapters.clock import utc_now
from costplan.adapters.dask.adaptive_leaving import Leaving
from costplan.adapters.dask.adaptive_stock import Stock
from costplan.planner.adaptive import Machine
from tests.adapted_cluster import World, adapted, number, run, until


class Cut:
    """A connection on which some calls of `retire_workers` are not answered."""

    def __init__(self, comm: Any, unanswered: Sequence[bool]) -> None:
        self._comm, self._unanswered = comm, list(unanswered)

    def __getattr__(self, operation: str) -> Any:
        async def call(**arguments: Any) -> Any:
            if operation == "retire_workers" and self._unanswered and self._unanswered.pop(0):
                raise OSError("the connection was reset")
            return await getattr(self._comm, operation)(**arguments)

        return call


@pytest.mark.parametrize("unanswered", [(True,), (False, True)], ids=["copying", "removing"])
def test_a_worker_is_asked_again_where_the_asking_was_not_answered(
    unanswered: Sequence[bool],
) -> None:
    async def scene() -> None:
        async with adapted(World(), count=2) as (cluster, client):
            held = client.map(number, range(10), pure=False)
            await wait(held)
            source = Stock(Cut(cluster.scheduler_comm, unanswered), "there", 5.0, utc_now)
            await source.see()

            async def drop(machines: Sequence[Machine]) -> None:
                await cluster.scale_down([int(name) for m in machines for name in m.names])

            leaving = Leaving(source, drop, lambda: True, utc_now)
            leaving.begin(
                [Machine(names=("0",), workers=("0",), size=1, asked_at=utc_now(), number=0)]
            )
            await until(lambda: not leaving.names())
            assert len(cluster.scheduler.workers) == 1
            assert leaving.lost == []
            assert await client.gather(held) == list(range(10))

    run(scene())
