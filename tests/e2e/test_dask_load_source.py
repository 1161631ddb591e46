"""Dask behind the protocol of all sources: a real scheduler with the plugin, and a stock one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from costplan.adapters.dask.load_source import DaskLook, DaskSource
from costplan.planner.load_source import LoadSource
from tests.e2e.dask_cluster import GATES, cluster, first, gated, run


def test_dask_samples_and_drains_behind_the_protocol() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            source: LoadSource = DaskSource(cluster=at.endpoint)
            assert source.capabilities.drain
            held = at.client.submit(gated, "gate", 0, workers=["a"], allow_other_workers=True)
            later = datetime.now(UTC) + timedelta(hours=1)

            async def running() -> int:
                sample = await asyncio.to_thread(source.sample)
                return sample.load.workers["a"].executing

            await first(running, lambda executing: executing == 1)
            told = await asyncio.to_thread(source.drain, ["a", "nobody"], later)
            assert (told.done, told.pending) == (("nobody",), ("a",))  # its task still runs
            GATES["gate"].set()
            await held

            async def drained() -> tuple[str, ...]:
                return (await asyncio.to_thread(source.drain, ["a"], later)).done

            await first(drained, lambda done: done == ("a",))
            assert set((await asyncio.to_thread(source.sample)).load.workers) == {"b"}

            look: LoadSource = DaskLook(address=at.scheduler.address, seconds=0)
            sample = await asyncio.to_thread(look.sample)
            assert len(sample.load.workers) == 1
            assert "runs without --preload" in look.drain(["b"], later).refused["b"]

    run(test())
