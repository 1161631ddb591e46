"""A session with a `CostplanCluster` as a program of its own, to be killed or to leave it behind.

python -m tests.e2e.cluster_session FOLDER NAME hold|detach
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from costplan.adapters.dask import CostplanCluster
from tests.daemon_cluster import ROOT
from tests.e2e.daemon_tasks import nap

WORKLOAD = {
    "workload": "tested",
    "workers": [{"name": "worker", "count": 4, "vcpu": 1, "memory": "512 MiB"}],
}
SETTINGS = {
    "scaling": {
        "target": "4s", "idle": "5s", "client_gone": "30s", "boot": "2s", "boot_timeout": "1min",
        "unknown_task": 1, "horizon": "10min",
    },
    "cadence": {"observe": 0.2, "plan": 1},
    "safety": {"min_node_age": 0, "max_drain_share": 1.0},
}  # fmt: skip
SCENARIO = {
    "scenario": "tested",
    "boot": 0.3,
    "grace": 0.5,
    "offers": [
        {"type": "small", "vcpu": 1, "memory": "1 GiB", "usd_per_hour": "0.10", "capacity": 1},
        {"type": "large", "markets": ["spot"], "vcpu": 2, "memory": "2 GiB",
         "usd_per_hour": "0.21", "capacity": 1, "hazard_per_hour": 0.01},
    ],
}  # fmt: skip
"""Machines of two types, one of each."""


def let_tasks_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scheduler and workers import the tests' modules."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)


def started(folder: Path, name: str, **more: Any) -> Any:
    """A cluster of small quick machines; awaitable where `asynchronous`."""
    folder.mkdir(parents=True, exist_ok=True)
    scenario = folder / f"{name}-scenario.yaml"
    scenario.write_text(yaml.safe_dump(SCENARIO))
    arguments = {
        "workload": WORKLOAD,
        "providers": ["local"],
        "provider_options": {"scenario": scenario},
        "settings": SETTINGS,
        "name": name,
        "folder": folder,
        "grace": "500ms",
        "patience": "2s",
    }
    return CostplanCluster(**{**arguments, **more})


def main(folder: str, name: str, way: str) -> None:
    """Starts a cluster with a machine that works, says so, and holds it or leaves it."""
    cluster = started(Path(folder), name)
    client = cluster.get_client()
    assert client.submit(nap, 0.1, 7).result(timeout=60) == 7
    cluster.scale(1)
    if way == "detach":
        cluster.detach()
        client.close()
        cluster.close()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if way == "hold":
        threading.Event().wait(120)


if __name__ == "__main__":
    main(*sys.argv[1:])
