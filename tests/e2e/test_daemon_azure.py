"""The daemon on Azure: a real scheduler, a real daemon, and Azure as the rig has it, whose machines
run nothing. It finds its credentials as on a machine with an identity."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conformance.test_azure_prices import row
from tests.daemon_cluster import DaemonCluster, scheduler_cluster, start_daemon, wait_until
from tests.e2e.driven import config, nodes
from tests.emulators.azure.server import AzureRig, serving
from tests.emulators.azure.world import identity_of_a_machine, provider_section

KIND = {"name": "worker", "vcpu": 1, "threads": 1, "memory": "1 GiB", "minimum": 12}


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureRig]:
    with serving(AzureRig(), tmp_path) as found:
        for name, value in identity_of_a_machine(found).items():
            monkeypatch.setenv(name, value)
        yield found
        found.check()


def test_the_daemon_holds_a_fleet_on_azure(rig: AzureRig, tmp_path: Path) -> None:
    """It launches the floor past a zone without room, replaces a machine that is evicted, knows its
    machines after SIGKILL, and ends them all with their disks and interfaces."""
    rig.prices += [row("Standard_D4s_v5", "0.192"), row("Standard_D4s_v5", "0.05", "Spot")]
    rig.group.delays.boot = 0.5
    rig.group.room["1", "Standard_D4s_v5", "Spot"] = 1
    sections = {"scaling": {"boot": 30, "boot_timeout": 600}}
    with scheduler_cluster(tmp_path, config=config(KIND, **sections), scenario={}) as cluster:
        file = yaml.safe_load(cluster.config.read_text())
        file["provider"] = provider_section(rig)
        cluster.config.write_text(yaml.safe_dump(file))

        def there() -> set[str]:
            with rig.lock:
                rig.group.advance()
                return {name for name, one in rig.group.machines.items() if one.error is None}

        start_daemon(cluster)
        wait_until(lambda: len(there()) >= 3, f"the floor, see {cluster.folder}/daemon.log")
        first = there()
        taken = min(first)
        with rig.lock:
            rig.group.evict(taken, 20.0)
        wait_until(lambda: len(there() - first) >= 1, "a replacement of the one that goes")
        os.killpg(cluster.daemon.pid, signal.SIGKILL)
        cluster.daemon.wait()
        start_daemon(cluster)
        wait_until(lambda: ours(cluster) == made(rig), "it knows all machines that were made")
        launched = made(rig)
        done = cluster.command("down", "--yes")
        assert done.returncode == 0, done.stderr
        assert there() == set()
        assert made(rig) == launched
        assert rig.group.parts == set()
        assert "Request URL" not in cluster.log()


def ours(cluster: DaemonCluster) -> set[str]:
    """The machines that the daemon's store has."""
    return {node.provider_id for node in nodes(cluster).values() if node.provider_id}


def made(rig: AzureRig) -> set[str]:
    """The machines that Azure has made, or makes now: the last that its log says of their making is
    not that they were refused."""
    last = {}
    with rig.lock:
        rig.group.advance()
        for event in rig.group.events:
            if event["operationName"]["value"].endswith("/write"):
                last[event["resourceId"].rpartition("/")[2]] = event["status"]["value"]
    return {name for name, status in last.items() if status != "Failed"}
