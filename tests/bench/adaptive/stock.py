"""Stock `Adaptive` on a `SpecCluster` whose workers are processes that boot for a while."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distributed import Client, Scheduler, SpecCluster
from distributed.deploy.spec import ProcessInterface

from tests.bench.adaptive.measured import Measured, Paid, read_runs
from tests.bench.adaptive.running import TO_ZERO_SECONDS, environment, say_failure
from tests.bench.adaptive.tasks import Runs
from tests.bench.adaptive.workloads import Workload

GRACE_SECONDS = 2.0


class Machine(ProcessInterface):
    """A machine with one worker: boots, joins, and is paid for from its request to its end.

    As with the virtual machines of dask-cloudprovider, it has started when it has booted.
    """

    def __init__(
        self, scheduler: str, name: str, boot: float, memory: int, folder: Path, bill: list[Machine]
    ) -> None:
        super().__init__(scheduler, name)
        self.name, self._scheduler, self._boot, self._memory = name, scheduler, boot, memory
        self._folder, self._bill = folder, bill
        self._process: asyncio.subprocess.Process | None = None
        self.requested: float | None = None
        self.ended: float | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the worker's process has been started."""
        self.requested = time.time()
        self._bill.append(self)
        await asyncio.sleep(self._boot)
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self._scheduler]
        command += ["--name", self.name, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        command += ["--memory-limit", str(self._memory), "--host", "127.0.0.1"]
        command += ["--local-directory", str(self._folder), "--death-timeout", "60"]
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, env=environment(), start_new_session=True
            )
        self._watch = asyncio.create_task(self._end())
        await super().start()

    async def _end(self) -> None:
        assert self._process is not None
        await self._process.wait()
        self.ended = time.time()

    async def close(self) -> None:
        """Returns when the process is gone."""
        if self._process is not None and self._process.returncode is None:
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), GRACE_SECONDS)
            except TimeoutError:
                self._signal(signal.SIGKILL)
        if self._watch is not None:
            await self._watch
        elif self.requested is not None and self.ended is None:
            self.ended = time.time()
        await super().close()

    def kill(self) -> None:
        """Ends what is left of it, whatever state it is in."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, number)


class Machines(SpecCluster):
    """A cluster of machines whose workers have the names of their specs."""

    def _new_worker_name(self, worker_number: int) -> str:
        return f"machine-{worker_number}"


def measure(
    workload: Workload, boot: float, usd_per_hour: float, name: str = "stock", **adapt: Any
) -> Measured:
    """The workload under `cluster.adapt(minimum=…, maximum=…)` with its defaults, or as `adapt`
    says."""
    folder = Path(tempfile.mkdtemp(prefix="costplan-stock-"))
    bill: list[Machine] = []
    options = {"boot": boot, "memory": workload.memory, "folder": folder, "bill": bill}
    scheduler: dict[str, Any] = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
    }
    try:
        with Machines(
            workers={},
            scheduler=scheduler,
            worker={"cls": Machine, "options": options},
            silence_logs=50,
        ) as cluster:
            adaptive = cluster.adapt(minimum=workload.minimum, maximum=workload.maximum, **adapt)
            failure, makespan = _run(workload, cluster, folder)
            _wait_for_end(bill, workload.minimum)
        machines = tuple(
            Paid(
                name=machine.name,
                requested=machine.requested,
                ended=machine.ended or time.time(),
                usd_per_hour=usd_per_hour,
            )
            for machine in bill
            if machine.requested is not None
        )
        return Measured(
            cluster=name,
            workload=workload.name,
            boot=boot,
            makespan=makespan,
            machines=machines,
            runs=read_runs(folder),
            failure=failure,
            events=tuple(event["status"] for _, event in adaptive.log),
        )
    finally:
        for machine in bill:
            machine.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _run(workload: Workload, cluster: SpecCluster, folder: Path) -> tuple[str, float]:
    """What failed, if anything did, and the makespan."""
    with Client(cluster) as client:
        client.register_plugin(Runs(folder))
        start = time.monotonic()
        failure = say_failure(workload, client)
        return failure, time.monotonic() - start


def _wait_for_end(bill: list[Machine], minimum: int) -> None:
    """Returns when no more than the minimum is left, at the latest after a minute."""
    deadline = time.monotonic() + TO_ZERO_SECONDS
    while time.monotonic() < deadline:
        if sum(machine.ended is None for machine in bill) <= minimum:
            return
        time.sleep(0.1)
