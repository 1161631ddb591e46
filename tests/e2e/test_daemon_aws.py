"""The daemon on AWS: a real scheduler, a real daemon, and EC2 as the rig has it, whose machines
run nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from costplan.adapters.clock import utc_now
from costplan.planner.asking import FIRST
from costplan.planner.types import Mode
from tests.daemon_cluster import DaemonCluster, scheduler_cluster, start_daemon, wait_until
from tests.e2e.driven import config, last_tick, looks_again, nodes, when
from tests.emulators.aws.account import TYPES, ZONES, Account, cluster_of
from tests.emulators.aws.cloud import Fault
from tests.emulators.aws.fixtures import account, served
from tests.emulators.aws.server import SETUP_KEY

__all__ = ["account", "served"]

KIND = {"name": "worker", "vcpu": 1, "threads": 1, "memory": "1 GiB"}


@contextmanager
def driven(account: Account, folder: Path, minimum: int) -> Iterator[DaemonCluster]:
    """A cluster on the rig that always keeps so many workers, before its daemon is started."""
    priced(account)
    account.rig.cloud.boot_seconds = 0.5
    file = config({**KIND, "minimum": minimum}, scaling={"boot": 30, "boot_timeout": 600})
    with scheduler_cluster(folder, config=file, scenario={}) as cluster:
        written = yaml.safe_load(cluster.config.read_text())
        written["provider"] = provider_section(account)
        cluster.config.write_text(yaml.safe_dump(written))
        yield cluster


def alive(account: Account) -> list[str]:
    """Instances that are there and not a stranger's."""
    cloud = account.rig.cloud
    with cloud.lock:
        there = [one.id for one in cloud.instances() if one.state in ("pending", "running")]
    return [one for one in there if cluster_of(account.raw(one)) == "tested"]


def vcpus(account: Account, *markets: str) -> int:
    """vCPU of all machines that are there."""
    cloud = account.rig.cloud
    with cloud.lock:
        return sum(cloud.vcpus(market) for market in markets or ("spot", "on-demand"))


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
    SIGKILL, and ends them all. That it may not read the quotas stops none of it, and it does not
    ask for them each time."""
    cloud = account.rig.cloud
    denied = Fault(operation="GetServiceQuota", code="AccessDeniedException", status=403, times=99)
    cloud.faults.append(denied)
    with driven(account, tmp_path, 4) as cluster:
        start_daemon(cluster)
        wait_until(lambda: vcpus(account) >= 4, f"the floor, see {cluster.folder}/daemon.log")
        first = alive(account)
        (gap,) = [gap for gap in last_tick(cluster).gaps if gap.kind == "quotas"]
        assert "servicequotas:GetServiceQuota" in gap.subject
        cloud.interrupt(first[0], 3600.0)
        wait_until(lambda: len(set(alive(account)) - set(first)) >= 1, "a replacement")
        assert account.rig.made()["service-quotas:GetServiceQuota"] == 1
        os.killpg(cluster.daemon.pid, signal.SIGKILL)
        cluster.daemon.wait()
        launched = {one.id for one in cloud.instances()}
        start_daemon(cluster)
        ours = {node.provider_id for node in nodes(cluster).values() if node.provider_id}
        assert ours == launched
        done = cluster.command("down", "--yes")
        assert done.returncode == 0, done.stderr
        assert alive(account) == []
        assert {one.id for one in cloud.instances()} == launched


def test_a_pool_without_capacity_is_asked_a_few_times(account: Account, tmp_path: Path) -> None:
    """The cheapest pool by far has no machine, for 60 workers: the others have."""
    cloud, kind, zone = account.rig.cloud, "c5.large", ZONES[0]
    named: list[str] = []

    def named_in(values: dict[str, Any]) -> bool:
        """Notes a launch that names the pool, and lets it through."""
        if (kind, zone) in offers_of(values) and "spot" in repr(values):
            named.append(repr(values))
        return False

    cloud.faults += [Fault(operation=o, fits=named_in) for o in ("RunInstances", "CreateFleet")]
    with driven(account, tmp_path, 60) as cluster:
        cloud.capacity[(kind, zone, "spot")] = 0
        cloud.spot_prices[kind, zone] = [(utc_now().replace(year=2025), "0.0100")]
        start_daemon(cluster)
        when(cluster, lambda: vcpus(account) >= 60, "the floor elsewhere")
        looks_again(cluster, 3)
        assert len(named) == FIRST
        assert vcpus(account) == 60


def offers_of(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Type and zone of each offer that a launch names."""
    if "LaunchTemplateConfigs" not in values:
        return [(values["InstanceType"], values["Placement"]["AvailabilityZone"])]
    every = (one for each in values["LaunchTemplateConfigs"] for one in each["Overrides"])
    return [(one["InstanceType"], one["AvailabilityZone"]) for one in every]


def test_the_accounts_quotas_are_kept_and_named(account: Account, tmp_path: Path) -> None:
    """8 vCPU on spot, and 4 on demand of which a stranger has 2: ten of 16 workers are to be had,
    and EC2 never has to refuse one."""
    cloud = account.rig.cloud
    cloud.quotas = {"L-34B43A08": 8.0, "L-1216C47A": 4.0}
    cloud.vcpu_quotas = {"spot": 8, "on-demand": 4}
    account.foreign_machine()
    with driven(account, tmp_path, 16) as cluster:
        start_daemon(cluster)
        when(cluster, lambda: vcpus(account) == 12, "what the quotas allow")
        looks_again(cluster, 5)
        assert (vcpus(account, "spot"), vcpus(account, "on-demand")) == (8, 4)
        made = account.rig.made()
        assert made["ec2:RunInstances"] + made["ec2:CreateFleet"] == len(alive(account))
        for command in ("status", "explain"):
            said = " ".join(cluster.command(command).stdout.split())
            assert "the account's quota L-34B43A08 of 8 vCPU has no room" in said
            assert "L-1216C47A of 4 vCPU less 2 of other machines has no room" in said
        again = cluster.command("replay", last_tick(cluster).tick_id)
        assert again.returncode == 0, again.stdout


def test_credentials_that_expire_are_waited_for(account: Account, tmp_path: Path) -> None:
    """While they are refused nothing is changed, though a machine is gone; then it is replaced."""
    cloud = account.rig.cloud
    with driven(account, tmp_path, 4) as cluster:
        start_daemon(cluster)
        when(cluster, lambda: vcpus(account) >= 4, "the floor")
        cloud.access_keys = {SETUP_KEY}
        when(cluster, lambda: last_tick(cluster).mode is Mode.OBSERVE, "it only observes")
        before = account.rig.made()
        cloud.fail(alive(account)[0])
        looks_again(cluster, 3)
        assert last_tick(cluster).mode is Mode.OBSERVE
        changes = ("ec2:RunInstances", "ec2:CreateFleet", "ec2:TerminateInstances")
        assert [account.rig.made()[one] for one in changes] == [before[one] for one in changes]
        assert cluster.status()["last_tick"]["mode"] == "observe"
        cloud.access_keys = None
        when(cluster, lambda: last_tick(cluster).mode is Mode.FULL, "it acts again")
        when(cluster, lambda: vcpus(account) >= 4, "a replacement")
