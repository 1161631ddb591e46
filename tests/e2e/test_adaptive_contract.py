"""Each thing of Dask that `CostAwareAdaptive` reads or calls beyond documented hooks, looked at in
the installed release, and in the oldest supported one where there is a Python that has it."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
from typing import Any

import pytest
from distributed import Adaptive, SpecCluster, wait
from distributed.deploy.cluster import Cluster

from costplan.adapters.dask import ArgumentError, CostAwareAdaptive
from costplan.adapters.dask import adaptive_shim as shim
from costplan.adapters.dask.adaptive_stock import BUSY_STATES
from costplan.adapters.dask.session import METADATA
from tests.adapted_cluster import GATES, RUNS, World, adapted, gated, number, run, until
from tests.daemon_cluster import ROOT

OLDEST = "COSTPLAN_OLDEST_DASK"
"""Names a Python with the oldest supported release of distributed, pytest and our dependencies."""
CONTRACTS = ("contract", "facts", "promises", "gangs", "remote")


@pytest.mark.parametrize(
    "name",
    ["plan", "requested", "observed", "scheduler_comm", "scheduler_info", "worker_spec", "workers",
     "new_spec", "scheduler", "loop", "status", "scheduler_address", "called_from_running_loop"],
)  # fmt: skip
def test_attributes_of_a_cluster(name: str) -> None:
    async def scene() -> None:
        async with adapted(World(), count=1) as (cluster, _):
            assert getattr(cluster, name) is not None

    run(scene())


@pytest.mark.parametrize(
    ("owner", "name"),
    [(SpecCluster, "scale"), (SpecCluster, "scale_down"), (SpecCluster, "new_worker_spec"),
     (Cluster, "sync"), (Cluster, "adapt"), (Adaptive, "adapt"), (Adaptive, "target"),
     (Adaptive, "safe_target"), (Adaptive, "recommendations"), (Adaptive, "workers_to_close"),
     (Adaptive, "scale_up"), (Adaptive, "scale_down"), (Adaptive, "stop")],
)  # fmt: skip
def test_methods(owner: Any, name: str) -> None:
    assert callable(getattr(owner, name))


def test_arguments_of_adaptive() -> None:
    ours = ["interval", "minimum", "maximum", "wait_count", "target_duration", "worker_key"]
    assert list(inspect.signature(Adaptive.__init__).parameters)[2:8] == ours


def test_messages_of_every_scheduler() -> None:
    """What `adaptive_stock.py` reads of the answers."""

    async def scene() -> None:
        async with adapted(World(), count=2) as (cluster, client):
            comm = cluster.scheduler_comm
            done = client.map(number, range(4), pure=False)
            await wait(done)
            running = client.submit(gated, "a", pure=False)
            await until(lambda: sum(RUNS.values()) == 5)

            async def counts() -> list[dict[str, int]]:
                found = (await comm.identity())["workers"].values()
                return [one["metrics"]["task_counts"] for one in found]

            while not any(one.get("executing") for one in await counts()):
                await asyncio.sleep(0.02)
            assert sum(one.get("memory", 0) for one in await counts()) == 4
            assert {k for one in await counts() for k in one} <= {*BUSY_STATES, *STATES}
            for one in (await comm.identity())["workers"].values():
                assert {"name", "nthreads", "memory_limit", "resources", "last_seen"} <= one.keys()
                assert "managed_bytes" in one["metrics"]
            assert await comm.adaptive_target(target_duration=5.0) >= 1
            movable = await comm.workers_to_close(target=0, attribute="address")
            assert set(movable) == set(cluster.scheduler.workers)
            victim = next(w for w in cluster.scheduler.workers.values() if not w.processing)
            address = victim.address
            retire = {"workers": [address], "close_workers": False, "remove": False}
            assert address in await comm.retire_workers(**retire)
            assert address in cluster.scheduler.workers
            retire = {"workers": [address], "close_workers": True, "remove": True}
            assert address in await comm.retire_workers(**retire)
            (event,) = [
                said for _, said in await comm.events(topic=address)
                if said.get("action") == "remove-worker"
            ]  # fmt: skip
            assert not event["lost-computed-tasks"]
            assert not event["lost-scattered-tasks"]
            assert await comm.get_metadata(keys=[METADATA], default=None) is None
            GATES["a"].set()
            await running

    run(scene())


STATES = ("memory", "released", "error", "forgotten", "missing", "rescheduled")


def test_new_entries_never_have_the_name_of_one_that_still_ends() -> None:
    async def scene() -> None:
        async with adapted(World(), count=2) as (cluster, _):
            del cluster.worker_spec[0]
            assert 0 in cluster.workers
            assert await shim.grow(cluster, 2, 2, cluster.scale) == 2
            assert 0 not in cluster.worker_spec
            await until(lambda: len(cluster.scheduler.workers) == 3)

    run(scene())


def test_a_worker_is_of_the_entry_with_its_name_its_address_or_its_host() -> None:
    made = {
        name: shim.Entry(name=name, expected=(f"{name}",), address=address, host=host)
        for name, address, host in (
            (1, "tcp://10.0.0.1:1", "10.0.0.1"),
            (2, "tcp://10.0.0.2:1", "10.0.0.2"),
            (3, "10.0.0.3", "10.0.0.3"),
            (4, "", ""),
        )
    }
    workers = {
        "1": ("tcp://10.0.9.9:5", "10.0.9.9"),
        "x": ("tcp://10.0.0.2:1", "10.0.0.2"),
        "y": ("tcp://10.0.0.3:77", "10.0.0.3"),
        "z": ("tcp://10.0.0.8:77", "10.0.0.8"),
    }
    found, strangers = shim.owners(made, workers)
    assert found == {1: ["1"], 2: ["x"], 3: ["y"], 4: []}
    assert strangers == ["z"]


def test_the_oldest_supported_release_keeps_the_contract_too() -> None:
    python = os.environ.get(OLDEST)
    if not python:
        pytest.skip(f"{OLDEST} names no Python with the oldest supported distributed")
    files = [str(ROOT / "tests" / "e2e" / f"test_adaptive_{name}.py") for name in CONTRACTS]
    environment = {k: v for k, v in os.environ.items() if k != OLDEST}
    environment["PYTHONPATH"] = f"{ROOT}/.types:{ROOT}"
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", *files],
        capture_output=True, text=True, check=False, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_arguments_that_are_refused_are_not_kept() -> None:
    """Dask adds what one `adapt` was told to what the next one is."""

    async def scene() -> None:
        async with adapted(World(), count=0) as (cluster, client):
            with pytest.raises(ArgumentError, match="give worker_usd_per_hour"):
                cluster.adapt(Adaptive=CostAwareAdaptive, usd_per_hour=1)
            assert shim.arguments(cluster) == {}
            cluster.adapt(Adaptive=CostAwareAdaptive, maximum=2, interval="50ms")
            told = shim.arguments(cluster)
            assert told["interval"] == "50ms"
            for wrong in ({"usd_per_hour": 1}, {"minimum": 3}):
                with pytest.raises(ArgumentError):
                    cluster.adapt(Adaptive=CostAwareAdaptive, **{"maximum": 2, **wrong})
                assert shim.arguments(cluster) == told
            again = cluster.adapt(Adaptive=CostAwareAdaptive, maximum=3)
            assert (again.maximum, again.interval) == (3, 0.05)
            assert await asyncio.wait_for(client.submit(number, 7), 30) == 7

    run(scene())
