"""`CostplanCluster` as a data scientist uses it: real scheduler, daemon and machines."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, wait

from costplan.adapters.cluster.folder import Folder, Process
from costplan.adapters.cluster.seen import look
from costplan.adapters.dask import ClusterFailed, CostplanCluster, span
from costplan.adapters.dask.adaptive_options import ArgumentError
from costplan.adapters.local.folders import folders
from costplan.adapters.local.records import record_of
from costplan.adapters.local.sweep import running_processes, sweep
from tests.daemon_cluster import ONE_THREAD, ROOT, wait_until
from tests.e2e.cluster_session import let_tasks_be_found, started
from tests.e2e.daemon_tasks import begun, gated, nap


@pytest.fixture(autouse=True)
def _tasks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    let_tasks_be_found(monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Where clusters are; nothing of one may be left there, and what is ends with the test."""
    yield tmp_path
    left = []
    for path in tmp_path.iterdir():
        folder = Folder(tmp_path, path.name)
        if path.is_dir() and (folder.is_living or any(map(running_processes, states(folder)))):
            left.append(path.name)
            end_by_force(folder)
    assert left == []


def states(folder: Folder) -> list[Path]:
    """Where the local provider keeps the cluster's machines, a folder a scenario."""
    return sorted(folder.path.glob("machines-*"))


def end_by_force(folder: Folder) -> None:
    """Ends what a failed test has left."""
    notes = folder.notes()
    for process in () if notes is None else (notes.scheduler, notes.daemon):
        if process is not None and process.is_alive:
            os.kill(process.pid, signal.SIGKILL)
    for state in states(folder):
        sweep(state)


def ended_machines(folder: Folder) -> int:
    """How many machines there were, none of which may run any more."""
    records = [record_of(path) for state in states(folder) for path in folders(state)]
    known = [record for record in records if record is not None]
    assert all(record.machine.ended_at is not None for record in known)
    return len(known)


@contextmanager
def session(folder: Path, name: str, way: str) -> Iterator[subprocess.Popen[str]]:
    """A program that has started a cluster, and says so; killed at the end where it still runs."""
    command = [sys.executable, "-m", "tests.e2e.cluster_session", str(folder), name, way]
    environment = {**os.environ, **ONE_THREAD}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_a_session_from_start_to_end(root: Path) -> None:
    """Three workers on machines of two types, results that survive scaling down, and dollars."""
    with started(root, "day", budget="1 USD/h") as cluster:
        folder = Folder(root, "day")
        assert cluster.status.name == "running"
        assert "no machines" in repr(cluster)
        with cluster.get_client() as client:
            with span("training", team="risk"):
                done = client.map(nap, [0.5] * 50, range(50))
            cluster.wait_for_workers(3, timeout=60)
            status = look(folder).status
            assert status is not None
            types = {row.key.instance_type for row in status.fleet}
            assert types == {"small", "large"}
            assert len(cluster.requested) == 3
            assert cluster.cost.usd_per_hour > Decimal("0.3")
            wait(done, timeout=60)
            assert any("launch" in line or "no change" in line for line in cluster.explain())

            cluster.scale(1)
            assert cluster.plan is not None
            wait_until(lambda: len(client.nthreads()) == 1, "one worker is left")
            assert client.gather(done) == list(range(50))
            assert client.run_on_scheduler(recomputed) == 0
            wait_until(lambda: spans(cluster).get("training", 0) > 0, "dollars of the span")
            assert 0 < cluster.cost.usd < 1
            assert "training" in str(cluster)

            with pytest.raises(ArgumentError, match="12 is above maximum"):
                cluster.adapt(minimum=12, maximum=2)
            cluster.adapt(minimum=0, maximum=4, deadline="8h")
            more = client.map(nap, [0.5] * 100, range(100, 200))
            wait_until(lambda: "the deadline of" in str(cluster.plan), "the deadline is told")
            cluster.adapt(usd_per_hour="0.05")
            wait_until(lambda: "Refused: " in str(cluster), "why nothing is bought is seen")
            assert "Refused: " in cluster._repr_html_()
            del more
    assert cluster.status.name == "closed"
    assert not folder.is_living
    assert ended_machines(folder) >= 2
    assert not folder.token.exists()


def recomputed(dask_scheduler: Any) -> int:
    """Tasks that had to run again."""
    return int(dask_scheduler.plugins["costplan"].counters.recomputed)


def spans(cluster: Any) -> dict[str, Any]:
    """Dollars by span."""
    work = cluster.cost.work
    return {} if work is None else {line.name: line.usd for line in work.by_span}


def test_nothing_is_left_of_a_session_that_was_killed(root: Path) -> None:
    folder = Folder(root, "killed")
    with session(root, "killed", "hold") as process:
        assert folder.is_kept
        process.kill()
    wait_until(lambda: not folder.is_living, "all of it has ended")
    notes = folder.notes()
    assert notes is not None
    assert notes.phase == "ended"
    assert f"process {process.pid}, is gone" in notes.why
    assert ended_machines(folder) >= 1


class HardOfHearing(CostplanCluster):
    """Loses a cancellation, as `asyncio.wait_for` of Python 3.11 does when its answer has come."""

    async def _work(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(600)


def test_a_detached_cluster_is_found_again_and_survives_its_daemon_and_keeper(root: Path) -> None:
    with session(root, "left", "detach") as process:
        assert process.wait(30) == 0
    folder = Folder(root, "left")
    with CostplanCluster.from_name("left", folder=root) as cluster, Client(cluster) as client:
        assert client.submit(nap, 0.1, 8).result(timeout=60) == 8
        assert cluster.cost.usd > 0
        killed = process_of(folder, "daemon")
        os.kill(killed.pid, signal.SIGKILL)
        wait_until(lambda: "autoscaler does not run" in str(cluster), "that is told")
        wait_until(lambda: process_of(folder, "daemon") != killed, "another daemon")
    assert folder.is_living, "closing a found cluster leaves it"

    with pytest.raises(ArgumentError, match="did you mean 'left'"):
        CostplanCluster.from_name("lef", folder=root)
    with pytest.raises(ArgumentError, match="lives already"):
        started(root, "left")

    os.kill(process_of(folder, "keeper").pid, signal.SIGKILL)
    wait_until(lambda: not folder.is_kept, "the keeper is gone")
    with CostplanCluster.from_name("left", folder=root, take_over=True) as ours:
        assert folder.is_kept
        borrowed = HardOfHearing.from_name("left", folder=root)
        assert borrowed.scheduler_address == ours.scheduler_address
        borrowed.close(shutdown=True)
        assert not folder.is_living
        wait_until(lambda: "has ended: it was closed" in str(ours), "its owner sees that")
    assert ended_machines(folder) >= 1


def process_of(folder: Folder, name: str) -> Process:
    """The newest keeper, scheduler or daemon."""
    notes = folder.notes()
    assert notes is not None
    found = getattr(notes, name)
    return found if isinstance(found, Process) else Process(pid=0, started="")


def test_asynchronous_and_encrypted(root: Path) -> None:
    async def use() -> None:
        async with started(root, "secret", security=True, asynchronous=True) as cluster:
            assert cluster.scheduler_address.startswith("tls://")
            await cluster.scale(2)
            async with Client(cluster, asynchronous=True) as client:
                await client.wait_for_workers(2, timeout=60)
                assert await client.submit(nap, 0.1, 9) == 9
                assert "Autoscaler" in await cluster.get_logs(scheduler=False, workers=False)
            gone = cluster
        assert "Autoscaler" in await gone.get_logs()
        for late in (gone.detach, lambda: gone.scale(1), lambda: gone.adapt(maximum=1)):
            with pytest.raises(ClusterFailed, match="this object is closed"):
                late()

    asyncio.run(use())
    folder = Folder(root, "secret")
    assert not folder.is_living
    assert not folder.tls.exists(), "keys are gone"
    assert ended_machines(folder) >= 1


def test_a_close_that_discards_nothing_waits_for_what_runs_and_is_wanted(root: Path) -> None:
    gate, pool, folder = str(root / "gate"), ThreadPoolExecutor(1), Folder(root, "kept")
    with started(root, "kept", patience="1 minute") as cluster, cluster.get_client() as client:
        runs = client.submit(gated, gate, 7)
        wait_until(lambda: begun(gate) == [7], "the task runs")
        closing = pool.submit(cluster.close, discard=False)
        wait_until(lambda: draining(folder) >= 1, "its machine is to go")
        Path(gate).touch()
        assert runs.result(timeout=60) == 7
        assert not closing.done(), "somebody wants the result still"
        runs.release()
        closing.result(timeout=60)
        assert begun(gate) == [7]
    pool.shutdown()
    assert not folder.is_living
    assert ended_machines(folder) >= 1


def test_a_close_that_failed_is_done_by_the_next(root: Path) -> None:
    """A result that the session's own client wants keeps a machine; nothing is lost sight of."""
    folder = Folder(root, "slow")
    cluster = started(root, "slow", patience="5 minutes")
    client = cluster.get_client()
    wanted = client.submit(nap, 0.1, 6)
    assert wanted.result(timeout=60) == 6
    with pytest.raises(ArgumentError, match="timeout: 'soon' is no duration"):
        cluster.close(timeout="soon")
    with pytest.raises(ClusterFailed, match=r"1 machine still there .*close\(discard=True\) lets"):
        cluster.close(timeout=1, discard=False)
    assert folder.is_living
    with pytest.raises(ClusterFailed, match="close\\(\\) again waits"):
        cluster.close(timeout=0)
    cluster.close(discard=True)
    assert not folder.is_living
    cluster.close()
    client.close()
    assert ended_machines(folder) == 1


def draining(folder: Folder) -> int:
    """Machines that are emptied before they go."""
    status = look(folder).status
    return 0 if status is None else status.draining


def test_a_daemon_that_cannot_run_is_told_and_nothing_is_left(root: Path) -> None:
    (root / "prices.csv").write_text("nonsense\n")
    with pytest.raises(ClusterFailed, match=r"prices\.csv"):
        started(root, "wrong", settings={"prices": {"file": str(root / "prices.csv")}})
    folder = Folder(root, "wrong")
    assert not folder.is_living
