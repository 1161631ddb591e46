"""Schedulers in a process of their own: with the preload, without it, and with TLS."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, SpecCluster, wait
from distributed.deploy.spec import ProcessInterface
from distributed.security import Security

from costplan.adapters.dask import CostAwareAdaptive
from costplan.adapters.dask.adaptive_sources import Told
from costplan.adapters.dask.adaptive_stock import Stock
from tests.adapted_cluster import World, number, run, spec, until
from tests.daemon_cluster import ONE_THREAD, ROOT

PRELOAD = ("--preload", "costplan.adapters.dask.preload")


class RemoteScheduler(ProcessInterface):  # type: ignore[misc]
    """`dask scheduler` as a process."""

    def __init__(self, folder: Path, arguments: tuple[str, ...]) -> None:
        super().__init__()
        self._folder, self._arguments = folder, arguments

    async def start(self) -> None:
        import json
        import os

        place = self._folder / "scheduler.json"
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host"]
        command += ["127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", ":0"]
        command += ["--scheduler-file", str(place), *self._arguments]
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": f"{ROOT}/.types:{ROOT}"}
        with (self._folder / "scheduler.log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, env=environment
            )
        await until(place.exists, (self._folder / "scheduler.log").read_text)
        await until(place.read_text)
        self.address = json.loads(place.read_text())["address"]
        await super().start()

    async def close(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        await super().close()


@asynccontextmanager
async def remote(
    folder: Path, *arguments: str, security: Security | None = None
) -> AsyncIterator[tuple[SpecCluster, Client]]:
    world = World()
    world.booted.set()
    options: dict[str, Any] = {} if security is None else {"security": security}
    async with (
        SpecCluster(
            scheduler={
                "cls": RemoteScheduler,
                "options": {"folder": folder, "arguments": arguments},
            },
            workers={},
            worker=spec(world, **options),
            asynchronous=True,
            security=security,
        ) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        yield cluster, client


@pytest.mark.parametrize("has_preload", [True, False], ids=["preload", "stock"])
def test_a_remote_scheduler_is_adapted(tmp_path: Path, has_preload: bool) -> None:
    """Work is done, results survive a scale-down by hand, demand for a GPU buys at most one worker,
    and all end. With the preload what waits is said, too."""

    async def scene() -> None:
        async with remote(tmp_path, *(PRELOAD if has_preload else ())) as (cluster, client):
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, maximum=3, interval="100ms", target_duration="1s",
                worker_usd_per_hour="0.1",
            )  # fmt: skip
            futures = client.map(number, range(40), seconds=0.1, pure=False)
            await wait(futures)
            await until(lambda: len(cluster.scheduler_info["workers"]) > 1)
            cluster.scale(1)
            await until(lambda: len(cluster.scheduler_info["workers"]) == 1)
            assert await client.gather(futures) == list(range(40))
            source = adaptive._keeper.leaving.source
            assert isinstance(source, Told if has_preload else Stock)
            assert adaptive._keeper.leaving.lost == []
            del futures
            await until(lambda: not cluster.worker_spec)
            gpu = client.map(number, range(8), resources={"GPU": 1}, pure=False)
            if has_preload:
                await until(lambda: adaptive._asked.waiting, adaptive.explain)
                assert not cluster.worker_spec
            else:
                await until(lambda: cluster.worker_spec)
                await until(lambda: not cluster.worker_spec, adaptive.explain)
            assert adaptive.cost.usd is not None
            assert adaptive.cost.usd > 0
            del gpu

    run(scene())


def test_a_scheduler_with_tls_is_asked_by_the_clusters_own_connection(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    ca, pair = tmp_path / "ca.pem", tmp_path / "pair.pem"
    authority.cert_pem.write_to_path(str(ca))
    issued.private_key_and_cert_chain_pem.write_to_path(str(pair))
    files = {
        f"tls_{role}_{kind}": str(pair)
        for role in ("client", "scheduler", "worker")
        for kind in ("cert", "key")
    }
    security = Security(tls_ca_file=str(ca), require_encryption=True, **files)
    flags = ("--tls-ca-file", str(ca), "--tls-cert", str(pair), "--tls-key", str(pair))

    async def scene() -> None:
        flagged = (*PRELOAD, "--protocol", "tls", *flags)
        async with remote(tmp_path, *flagged, security=security) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, maximum=2, interval="50ms")
            assert cluster.scheduler_address.startswith("tls://")
            assert await client.gather(client.map(number, range(4))) == [0, 1, 2, 3]
            assert isinstance(adaptive._keeper.leaving.source, Told)
            await until(lambda: not cluster.worker_spec)

    run(scene())
