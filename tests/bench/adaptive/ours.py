"""The daemon with local machines under the same workloads and limits as stock `Adaptive`."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from distributed import Client

from costplan.adapters.local.stage import read_stage
from tests.bench.adaptive.measured import Measured, Paid, read_runs
from tests.bench.adaptive.running import TO_ZERO_SECONDS, say_failure
from tests.bench.adaptive.tasks import Runs
from tests.bench.adaptive.workloads import Workload
from tests.daemon_cluster import DaemonCluster, daemon_cluster

JOIN_SECONDS = 3
"""From the end of a boot until a worker process has joined, on a busy computer."""


def scenario(boot: float) -> dict[str, Any]:
    """One type of machine at its list price, on demand, that boots for so long."""
    place = {"provider": "aws", "region": "us-east-1", "zone": "us-east-1a"}
    return {"scenario": "bench", "place": place, "boot": boot, "offers": [{"type": "m5.large"}]}


def config(workload: Workload, boot: float, target: int) -> dict[str, Any]:
    """The daemon's file: one worker of one thread a machine, quick cadence, done in `target` s.

    The patience with clients that left is a quarter of a boot, as it is by default, in whole
    seconds.
    """
    kind = {
        "name": "worker",
        "vcpu": 2,
        "threads": 1,
        "memory": workload.memory,
        "minimum": workload.minimum,
        "maximum": workload.maximum,
    }
    return {
        "cluster": "bench",
        "workload": workload.name,
        "workers": [kind],
        "scaling": {
            "target": target,
            "idle": 60,
            "client_gone": max(1, math.floor(boot / 4)),
            "boot": math.ceil(boot) + JOIN_SECONDS,
            "boot_timeout": 60,
            "unknown_task": 0.5,
            "horizon": 120,
        },
        "cadence": {"observe": 0.2, "plan": 1, "load_stale": 10, "machines_stale": 10},
        "safety": {"min_node_age": 0, "max_drain_share": 1.0},
        "overhead": {"memory_share": 0, "memory_floor": 0},
        "limits": {"max_nodes": workload.maximum},
    }


def measure(workload: Workload, boot: float, target: int) -> Measured:
    """The workload on a cluster that `costplan run` holds."""
    folder = Path(tempfile.mkdtemp(prefix="costplan-ours-"))
    runs = folder / "runs"
    runs.mkdir()
    try:
        files = {"config": config(workload, boot, target), "scenario": scenario(boot)}
        with daemon_cluster(folder / "cluster", **files) as cluster:
            with Client(cluster.address) as client:
                client.register_plugin(Runs(runs))
                start = time.monotonic()
                failure = say_failure(workload, client)
                makespan = time.monotonic() - start
            _wait_for_end(cluster, workload.minimum)
        return Measured(
            cluster="costplan",
            workload=workload.name,
            boot=boot,
            makespan=makespan,
            machines=bill(cluster),
            runs=read_runs(runs),
            failure=failure,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bill(cluster: DaemonCluster) -> tuple[Paid, ...]:
    """What every machine cost by the provider's record, at its price when it was launched."""
    stage = read_stage(cluster.state_dir)
    machines = [record.machine for record in cluster.records()]
    return tuple(
        Paid(
            name=str(machine.node_id),
            requested=machine.launched_at.timestamp(),
            ended=machine.ended_at.timestamp(),
            usd_per_hour=float(stage.price_at(machine.key, machine.launched_at)[1]),
        )
        for machine in machines
        if stage is not None and machine.ended_at is not None
    )


def _wait_for_end(cluster: DaemonCluster, minimum: int) -> None:
    """Returns when no more than the minimum is left, at the latest after a minute."""
    deadline = time.monotonic() + TO_ZERO_SECONDS
    while cluster.alive() > minimum and time.monotonic() < deadline:
        time.sleep(0.1)
