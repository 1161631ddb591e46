"""The daemon on Google Cloud: a real scheduler, a real daemon, and Compute Engine as the rig has
it, whose machines run nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon_cluster import scheduler_cluster, start_daemon, wait_until
from tests.e2e.driven import config, nodes
from tests.e2e.gcp_driven import GcpFleet, on_gcp
from tests.emulators.gcp.server import GcpRig, serving

KIND = {"name": "worker", "vcpu": 1, "threads": 1, "memory": "1 GiB", "minimum": 12}


@pytest.fixture
def rig() -> Iterator[GcpRig]:
    with serving(GcpRig()) as found:
        yield found
        found.check()


def test_the_daemon_holds_a_fleet_on_compute_engine(rig: GcpRig, tmp_path: Path) -> None:
    """It launches the floor, replaces a machine that is preempted, deletes one that stopped and
    replaces it, knows its machines after SIGKILL, and ends them all."""
    rig.project.delays.boot = 0.5
    fleet = GcpFleet(rig)
    sections = {"scaling": {"boot": 30, "boot_timeout": 600}}
    with scheduler_cluster(tmp_path, config=config(KIND, **sections), scenario={}) as cluster:
        on_gcp(cluster, rig)
        start_daemon(cluster)
        wait_until(lambda: len(fleet.alive()) >= 3, f"the floor, see {cluster.folder}/daemon.log")
        first = set(fleet.alive())
        taken, stopped, _ = sorted(first)
        fleet.reclaim(taken, 30.0)
        wait_until(lambda: set(fleet.alive()) - first, "a replacement of the one that goes")
        fleet.fail(stopped)
        wait_until(lambda: len(set(fleet.alive()) - first) >= 2, "one of the one that stopped")
        wait_until(lambda: stopped not in fleet.there(), "what is left of it is deleted")
        os.killpg(cluster.daemon.pid, signal.SIGKILL)
        cluster.daemon.wait()
        made = sorted(fleet.made())
        start_daemon(cluster)
        assert sorted(str(node.provider_id) for node in nodes(cluster).values()) == made
        done = cluster.command("down", "--yes")
        assert done.returncode == 0, done.stderr
        assert set(fleet.there()) <= {taken}
        assert sorted(fleet.made()) == made
