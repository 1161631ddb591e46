"""The daemon on AWS: a real scheduler, a real daemon, and EC2 as the rig has it, whose machines
run nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import yaml

from costplan.adapters.clock import utc_now
from tests.daemon_cluster import scheduler_cluster, start_daemon, wait_until
from tests.e2e.driven import config, nodes
from tests.emulators.aws.account import TYPES, ZONES, Account, cluster_of
from tests.emulators.aws.fixtures import account, served

__all__ = ["account", "served"]

KIND = {"name": "worker", "vcpu": 1, "threads": 1, "memory": "1 GiB", "minimum": 4}


def priced(account: Account) -> None:
    """Spot at a third of on-demand, the same in both zones."""
    cloud = account.rig.cloud
    cloud.on_demand_prices = {name: "0.0900" if "large" in name else "1" for name in TYPES}
    cloud.spot_prices = {
        (name, zone): [(utc_now().replace(year=2025), "0.0300" if name[3:] == "large" else "0.06")]
        for name in TYPES
        for zone in ZONES
    }


def provider_section(account: Account) -> dict[str, Any]:
    return {
        "kind": "aws",
        "region": account.settings.region,
        "zones": list(ZONES),
        "image": account.settings.images["x86_64"],
        "instance_types": list(TYPES),
        "queue": account.make_queue("tested"),
        "advisor": "http://127.0.0.1:9/advisor.json",
        "endpoint": account.rig.url,
    }


def test_the_daemon_holds_a_fleet_on_ec2(account: Account, tmp_path: Path) -> None:
    """It launches the floor, replaces a machine that is warned of, knows its machines after
    SIGKILL, and ends them all."""
    priced(account)
    cloud = account.rig.cloud
    cloud.boot_seconds = 0.5
    sections = {"scaling": {"boot": 30, "boot_timeout": 600}}
    with scheduler_cluster(tmp_path, config=config(KIND, **sections), scenario={}) as cluster:
        file = yaml.safe_load(cluster.config.read_text())
        file["provider"] = provider_section(account)
        cluster.config.write_text(yaml.safe_dump(file))

        def alive() -> list[str]:
            with cloud.lock:
                return [one.id for one in cloud.instances() if one.state in ("pending", "running")]

        def vcpus() -> int:
            with cloud.lock:
                return sum(cloud.vcpus(market) for market in ("spot", "on-demand"))

        start_daemon(cluster)
        wait_until(lambda: vcpus() >= 4, f"the floor, see {cluster.folder}/daemon.log")
        first = alive()
        assert {cluster_of(account.raw(one)) for one in first} == {"tested"}
        cloud.interrupt(first[0], 3600.0)
        wait_until(lambda: len(set(alive()) - set(first)) >= 1, "a replacement")
        os.killpg(cluster.daemon.pid, signal.SIGKILL)
        cluster.daemon.wait()
        launched = {one.id for one in cloud.instances()}
        start_daemon(cluster)
        ours = {node.provider_id for node in nodes(cluster).values() if node.provider_id}
        assert ours == launched
        done = cluster.command("down", "--yes")
        assert done.returncode == 0, done.stderr
        assert alive() == []
        assert {one.id for one in cloud.instances()} == launched
