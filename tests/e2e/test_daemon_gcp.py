"""The daemon on Google Cloud: a real scheduler, a real daemon, and Compute Engine as the rig has
it, whose machines run nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.daemon_cluster import scheduler_cluster, start_daemon, wait_until
from tests.e2e.driven import config, nodes
from tests.emulators.gcp.server import GcpRig, serving

KIND = {"name": "worker", "vcpu": 1, "threads": 1, "memory": "1 GiB", "minimum": 12}


@pytest.fixture
def rig() -> Iterator[GcpRig]:
    with serving(GcpRig()) as found:
        yield found
        found.check()


def provider_section(rig: GcpRig) -> dict[str, Any]:
    return {
        "kind": "gcp",
        "project": rig.project.name,
        "zones": ["us-central1-a", "us-central1-b"],
        "image": f"projects/{rig.project.name}/global/images/family/dask",
        "machine_types": ["n2-standard-4"],
        "subnets": {"us-central1": "dask"},
        "endpoint": rig.endpoint,
    }


def test_the_daemon_holds_a_fleet_on_compute_engine(rig: GcpRig, tmp_path: Path) -> None:
    """It launches the floor, replaces a machine that is preempted, deletes one that stopped and
    replaces it, knows its machines after SIGKILL, and ends them all."""
    rig.project.delays.boot = 0.5
    sections = {"scaling": {"boot": 30, "boot_timeout": 600}}
    with scheduler_cluster(tmp_path, config=config(KIND, **sections), scenario={}) as cluster:
        file = yaml.safe_load(cluster.config.read_text())
        file["provider"] = provider_section(rig)
        cluster.config.write_text(yaml.safe_dump(file))

        def there(*states: str) -> set[str]:
            with rig.lock:
                rig.project.advance()
                return {
                    f"{zone}/{name}"
                    for (zone, name), machine in rig.project.machines.items()
                    if not states or machine.resource["status"] in states
                }

        def alive() -> set[str]:
            return there("PROVISIONING", "STAGING", "RUNNING")

        start_daemon(cluster)
        wait_until(lambda: len(alive()) >= 3, f"the floor, see {cluster.folder}/daemon.log")
        first = alive()
        taken, stopped, _ = sorted(first)
        with rig.lock:
            rig.project.preempt(*taken.split("/"), 30.0)
        wait_until(lambda: len(alive() - first) >= 1, "a replacement of the one that goes")
        with rig.lock:
            rig.project.shut_down(*stopped.split("/"))
        wait_until(lambda: len(alive() - first) >= 2, "a replacement of the one that stopped")
        wait_until(lambda: stopped not in there(), "what is left of it is deleted")
        os.killpg(cluster.daemon.pid, signal.SIGKILL)
        cluster.daemon.wait()
        launched = {operation.target for operation in rig.project.operations.values()
                    if operation.kind == "insert"}  # fmt: skip
        start_daemon(cluster)
        ours = {node.provider_id for node in nodes(cluster).values() if node.provider_id}
        names = {target.rpartition("/")[2] for target in launched}
        assert {str(one).rpartition("/")[2] for one in ours} == names
        done = cluster.command("down", "--yes")
        assert done.returncode == 0, done.stderr
        assert there() - {taken} == set()
        assert len([one for one in rig.project.operations.values() if one.kind == "insert"]) == len(
            launched
        )
