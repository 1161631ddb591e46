"""The script of a machine, run by a real shell: it joins a real scheduler, and ends the machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from costplan.adapters.gcp.body import SHUTDOWN
from costplan.adapters.node.startup import Startup, TlsReferences, script
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from costplan.planner.types import Market, OfferKey
from tests.e2e.dask_cluster import Cluster, cluster, run
from tests.emulators.metadata import Machine, metadata

PLACES = {
    "aws": ("zone-us-east-1a", "type-m5.large"),
    "gcp": ("zone-us-central1-a", "type-n2-standard-2"),
    "azure": ("zone-westeurope-1", "type-Standard_D2s_v5"),
}


def request(*names: str) -> LaunchRequest:
    return LaunchRequest(
        token="t" * 32,
        node_id="n1",
        cluster="c",
        keys=(
            OfferKey(provider="aws", region="r", zone="z", instance_type="t", market=Market.SPOT),
        ),
        workers=tuple(
            WorkerSpec(
                name=name, shape="cpu", threads=1, memory_bytes=2**30, resources={"MEM": 2.0}
            )
            for name in names
        ),
        tags={},
    )


@asynccontextmanager
async def running(
    text: str, machine: Machine, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The script as a machine runs it; to power off is to write a file."""
    (folder / "script").write_text(text)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "COSTPLAN_METADATA": machine.address,
        "COSTPLAN_LOG": str(folder / "log"),
        "COSTPLAN_RUN": str(folder),
        "COSTPLAN_POWER_OFF": f"touch {folder}/off",
    }
    process = await asyncio.create_subprocess_exec(
        "bash", str(folder / "script"), env=environment, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_machine_becomes_workers_and_ends_when_it_is_reclaimed(
    cloud: str, tmp_path: Path
) -> None:
    names = ["n1-0", "n1-1"] if cloud == "aws" else ["n1-0"]

    async def test() -> None:
        with metadata(cloud) as machine:
            async with cluster(stays={}) as at:
                startup = Startup(
                    cloud=cloud, scheduler_address=at.scheduler.address, python=sys.executable
                )
                text = script(request(*names), startup)
                async with running(text, machine, tmp_path) as process:
                    load = await at.load_when(lambda load: len(load.workers) == 1 + len(names))
                    zone, kind = PLACES[cloud]
                    expected = {"MEM": 2.0, "spot": 1.0, zone: 1.0, kind: 1.0}
                    assert dict(load.workers["n1-0"].resources) == expected
                    home = {"workers": names, "allow_other_workers": True}
                    held = at.client.map(bytes, range(20), **home)
                    await at.client.gather(held)
                    machine.reclaim_at = datetime.now(UTC) + timedelta(seconds=20)
                    load = await at.load_when(lambda load: len(load.departed) == len(names))
                    assert all(left.lost_keys == 0 for left in load.departed.values())
                    await asyncio.wait_for(process.wait(), 20)
                assert (tmp_path / "off").exists()
                await _holds(at, held)

    run(test())


async def _holds(at: Cluster, held: list[object]) -> None:
    assert await at.client.gather(held) == [bytes(n) for n in range(20)]
    load = await at.load()
    assert load.totals.recomputed_tasks == 0


def test_a_machine_without_its_tls_files_ends_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        with metadata("aws") as machine:
            missing = f"file:{tmp_path}/none"
            startup = Startup(
                cloud="aws",
                scheduler_address="tls://127.0.0.1:9",
                python=sys.executable,
                tls=TlsReferences(ca=missing, cert=missing, key=missing),
            )
            async with running(script(request("n1-0"), startup), machine, tmp_path) as process:
                assert await asyncio.wait_for(process.wait(), 20) == 1
            assert (tmp_path / "off").exists()
            assert "no ca for TLS" in (tmp_path / "log").read_text()

    run(test())


def test_a_machine_that_cannot_know_what_it_is_ends_at_once(tmp_path: Path) -> None:
    """Its workers would be taken for some of another market and zone."""

    async def test() -> None:
        with metadata("aws") as machine:
            machine.values.clear()
            startup = Startup(
                cloud="aws", scheduler_address="tcp://127.0.0.1:9", python=sys.executable
            )
            async with running(script(request("n1-0"), startup), machine, tmp_path) as process:
                assert await asyncio.wait_for(process.wait(), 20) == 1
            assert (tmp_path / "off").exists()
            assert "does not say what this machine is" in (tmp_path / "log").read_text()
            machine.refused.clear()

    run(test())


def test_a_machine_whose_scheduler_is_gone_ends_itself(tmp_path: Path) -> None:
    async def test() -> None:
        with metadata("aws") as machine:
            startup = Startup(
                cloud="aws",
                scheduler_address="tcp://127.0.0.1:9",
                python=sys.executable,
                death_timeout_seconds=2,
            )
            async with running(script(request("n1-0"), startup), machine, tmp_path) as process:
                await asyncio.wait_for(process.wait(), 25)
            assert (tmp_path / "off").exists()

    run(test())


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_machine_of_google_that_is_preempted_stays_on_for_its_workers(
    is_taken: bool, tmp_path: Path
) -> None:
    """And for nobody else's; one that is shut down for another reason does not wait."""
    with metadata("gcp") as machine:
        machine.reclaim_at = datetime.now(UTC) if is_taken else None
        environment = {
            "PATH": os.environ["PATH"],
            "COSTPLAN_METADATA": machine.address,
            "COSTPLAN_RUN": str(tmp_path),
        }
        (tmp_path / "script").write_text(SHUTDOWN)
        words = ["sh", "-c", "read ended", f"{tmp_path}/costplan.abc/costplan_agent.py"]
        with (
            subprocess.Popen(words, stdin=subprocess.PIPE) as worker,
            subprocess.Popen(["/bin/bash", str(tmp_path / "script")], env=environment) as script,
        ):
            if is_taken:
                with pytest.raises(subprocess.TimeoutExpired):
                    script.wait(1.0)
            else:
                assert script.wait(20) == 0
                assert worker.poll() is None
            assert worker.stdin is not None
            worker.stdin.close()
            assert script.wait(20) == 0
