"""The disk is full, the store cannot be written, the clock jumps: nothing is done unrecorded."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import shutil
import signal
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from distributed import Client

from costplan.adapters.clock import utc_now
from costplan.adapters.store.store import Store
from costplan.cli.config_file import read_config
from costplan.cli.daemon import Daemon
from costplan.cli.logs import set_up_logs
from costplan.cli.wiring import connect
from costplan.planner.types import Mode, Phase
from tests.daemon_cluster import (
    COSTPLAN,
    ROOT,
    DaemonCluster,
    scheduler_cluster,
    start_daemon,
    wait_until,
)
from tests.e2e.daemon_tasks import nap
from tests.e2e.driven import (
    WORKER,
    config,
    in_phase,
    lines,
    opened,
    scenario,
    when,
    write_config,
)

DISK_BYTES = 4 * 2**20
OWN_MOUNTS = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "-r", "--mount")
FILES: dict[str, Any] = {
    "config": config({**WORKER, "maximum": 2}, scaling={"idle": 60, "client_gone": 60}),
    "scenario": scenario(),
}


def has_own_mounts() -> bool:
    """True where a process may mount what only it sees."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    tried = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def on_a_small_disk(folder: Path, then: str) -> tuple[str, ...]:
    """What goes before a command, so that a folder is a disk of its own for it."""
    folder.mkdir()
    mount = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$0" && {then} exec "$@"'
    return (*OWN_MOUNTS, "sh", "-c", mount, str(folder))


@pytest.mark.skipif(not has_own_mounts(), reason="may not mount a small disk")
def test_with_a_full_disk_nothing_is_launched_until_there_is_room(tmp_path: Path) -> None:
    with scheduler_cluster(tmp_path, **FILES) as cluster, Client(cluster.address) as client:
        disk = tmp_path / "disk"
        write_config(cluster, store={"path": "disk/costplan.db"})
        start_daemon(cluster, *on_a_small_disk(disk, ""))
        filler = Path(f"/proc/{cluster.daemon.pid}/root{disk}/filler")
        fill(filler)
        when(cluster, lambda: lines(cluster, "store"), "the daemon says what is wrong")
        assert "the disk is full" in lines(cluster, "store")[0]["problem"]
        assert lines(cluster, "store")[0]["level"] == "warning"
        answer = httpx.get(f"{cluster.health}/readyz")
        assert answer.status_code == 503
        assert "the disk is full" in answer.text
        assert httpx.get(f"{cluster.health}/healthz").status_code == 200

        futures = client.map(nap, [0.2] * 6, range(6))
        wait_until(lambda: bool(cluster.load()["groups"]["prefix"]), "work waits")
        fill(filler)  # what SQLite gave back meanwhile
        said = len(lines(cluster, "store"))
        when(cluster, lambda: len(lines(cluster, "store")) > said + 4, "it tries again")
        assert cluster.records() == []
        assert lines(cluster, "action") == []

        filler.unlink()
        assert client.gather(futures) == list(range(6))
        assert httpx.get(f"{cluster.health}/readyz").status_code == 200
        assert len(cluster.records()) == cluster.alive() >= 1


def fill(path: Path) -> None:
    """Leaves no byte on the disk of a file."""
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.mark.skipif(not has_own_mounts(), reason="may not mount a small disk")
def test_a_daemon_does_not_start_on_a_read_only_store(tmp_path: Path) -> None:
    with scheduler_cluster(tmp_path, **FILES) as cluster:
        disk = tmp_path / "disk"
        write_config(cluster, store={"path": "disk/costplan.db"})
        command = [*on_a_small_disk(disk, 'mount -o remount,ro "$0" &&')]
        command += [str(COSTPLAN), "run", "--config", str(cluster.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert "Read-only file system" in done.stderr
        assert "writable" in done.stderr
        assert "Traceback" not in done.stderr
        assert cluster.records() == []


class Here:
    """A daemon in this process, whose clock and store a test may disturb."""

    daemon: Daemon

    def __init__(self, cluster: DaemonCluster, store: Store, said: io.StringIO) -> None:
        self.cluster, self.store, self.said = cluster, store, said
        self.ahead = timedelta()

    def clock(self) -> datetime:
        """The time, as far as the daemon knows."""
        return utc_now() + self.ahead

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log that tell of an event."""
        found = [json.loads(line) for line in self.said.getvalue().splitlines()]
        return [line for line in found if line["event"] == event]

    async def when(self, condition: Callable[[], object], what: str) -> None:
        """Returns once the condition holds, which is looked at in a thread."""
        await asyncio.to_thread(wait_until, lambda: bool(condition()), what, 30.0)

    async def readiness(self) -> int:
        """What /readyz answers."""
        url = f"{self.cluster.health}/readyz"
        return (await asyncio.to_thread(httpx.get, url)).status_code

    async def ticks(self, more: int) -> list[dict[str, Any]]:
        """So many ticks more, as the log tells of them."""
        seen = len(self.lines("tick"))
        await self.when(lambda: len(self.lines("tick")) >= seen + more, f"{more} ticks")
        return self.lines("tick")[seen:]


@asynccontextmanager
async def daemon_here(cluster: DaemonCluster) -> AsyncIterator[Here]:
    """The daemon of a cluster in this process; ends by SIGTERM, as one of its own would."""
    file = read_config(cluster.config)
    with Store.open(Path(file.store_path), clock=utc_now) as store:
        here = Here(cluster, store, io.StringIO())
        ports = connect(file, here.clock)
        with own_log(here) as log:
            here.daemon = daemon = Daemon(file, ports, store, log, clock=here.clock)
            running = asyncio.create_task(daemon.run())
            try:
                await here.when(lambda: running.done() or here.lines("tick"), "a tick")
                yield here
            finally:
                if not running.done():
                    os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.wait_for(running, 10)
                ports.close()


@contextmanager
def own_log(here: Here) -> Iterator[Any]:
    """The daemon's log in memory; the log of this process is as it was afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield set_up_logs(output="json", clock=here.clock, stream=here.said)
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)


def test_a_store_that_becomes_read_only_holds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the workers that this process starts

    async def test(cluster: DaemonCluster, client: Client) -> None:
        async with daemon_here(cluster) as here:
            here.store._db.execute("PRAGMA query_only=ON")
            await here.when(lambda: here.lines("store"), "it says so")
            assert "cannot be written" in here.lines("store")[-1]["problem"]
            assert (
                await asyncio.to_thread(httpx.get, f"{cluster.health}/readyz")
            ).status_code == 503
            futures = client.map(nap, [0.1] * 4, range(4))
            said = len(here.lines("store"))
            await here.when(lambda: len(here.lines("store")) > said + 4, "it tries again")
            assert (cluster.records(), here.lines("action")) == ([], [])

            here.store._db.execute("PRAGMA query_only=OFF")
            assert await asyncio.to_thread(client.gather, futures) == list(range(4))
            assert (
                await asyncio.to_thread(httpx.get, f"{cluster.health}/readyz")
            ).status_code == 200

    with scheduler_cluster(tmp_path, **FILES) as cluster, Client(cluster.address) as client:
        asyncio.run(test(cluster, client))


@pytest.mark.parametrize("jump", [timedelta(minutes=20), timedelta(seconds=-20)])
def test_when_the_clock_jumps_it_only_looks_and_no_second_counts_twice(
    tmp_path: Path, jump: timedelta
) -> None:
    """There and back again, with one machine that has nothing to do."""

    async def test(cluster: DaemonCluster) -> None:
        async with daemon_here(cluster) as here:
            await here.when(lambda: in_phase(cluster, Phase.READY), "the machine works")
            await here.ticks(1)
            before = len(here.lines("action"))
            for ahead in (jump, timedelta()):
                here.ahead = ahead
                told = await here.ticks(3)
                jumped = [
                    line for line in told if any(gap.startswith("clock") for gap in line["gaps"])
                ]
                is_jump = ahead == jump or jump > timedelta()  # 20 s on may be a pause
                assert [line["mode"] for line in jumped] == [Mode.HOLD.value] * is_jump
            (last, *_) = (await here.ticks(2))[1:]
            assert last["mode"] == Mode.FULL.value
            assert len(here.lines("action")) == before
            assert cluster.alive() == len(cluster.records()) == 1

    files = {**FILES, "config": config({**WORKER, "minimum": 1}, scaling={"idle": 60})}
    with scheduler_cluster(tmp_path, **files) as cluster:
        asyncio.run(test(cluster))
        spans: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        with opened(cluster) as store:
            for entry in store.entries():
                spans[entry.node_id].append((entry.start, entry.end))
        for found in spans.values():
            ordered = sorted(found)
            assert all(a[1] <= b[0] for a, b in pairwise(ordered))


def test_it_looks_on_when_the_system_clock_is_set_back_by_an_hour(tmp_path: Path) -> None:
    """What is due by that clock is an hour away then, and nothing else wakes an idle daemon."""

    async def test(cluster: DaemonCluster) -> None:
        async with daemon_here(cluster) as here:
            jobs = here.daemon._cadence._jobs.get_jobs()
            assert len(jobs) == 7
            for job in jobs:
                job.modify(next_run_time=utc_now() + timedelta(hours=1))
            await here.ticks(3)

    with scheduler_cluster(tmp_path, **FILES) as cluster:
        asyncio.run(test(cluster))
