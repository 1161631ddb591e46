"""`CostplanCluster` on EC2 as the rig has it: a real scheduler, daemon and workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from costplan.adapters.aws.clients import Clients
from costplan.adapters.cluster.folder import Folder
from costplan.adapters.dask import CostplanCluster
from tests.daemon_cluster import wait_until
from tests.e2e.aws_driven import alive, price
from tests.e2e.cluster_session import SETTINGS, let_tasks_be_found
from tests.e2e.daemon_tasks import nap
from tests.emulators.aws.account import ZONES, Account
from tests.emulators.aws.fixtures import served
from tests.emulators.aws.guests import AwsGuests
from tests.emulators.aws.server import Rig, fresh
from tests.emulators.hypervisor import hypervisor

__all__ = ["served"]

WORKLOAD = {
    "workload": "tested",
    "workers": [{"name": "worker", "count": 3, "vcpu": 2, "memory": "1 GiB"}],
}


def test_machines_of_aws_join_and_end_with_the_cluster(
    served: tuple[Rig, Clients], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler has none of the credentials that the daemon launches with."""
    let_tasks_be_found(monkeypatch)
    rig, clients = served
    with fresh(rig), hypervisor(AwsGuests(rig.cloud), tmp_path / "h", "tests.e2e.daemon_tasks"):
        ec2 = Account(rig, clients)
        price(ec2)
        options = {
            "region": ec2.settings.region,
            "zones": list(ZONES),
            "image": ec2.settings.images["x86_64"],
            "instance_types": ["c5.large"],
            "advisor": "http://127.0.0.1:9/advisor.json",
            "endpoint": rig.url,
        }
        with (
            CostplanCluster(
                workload=WORKLOAD, providers=["aws"], provider_options=options, host="127.0.0.1",
                budget="5 USD/h", name="rented", folder=tmp_path, settings=SETTINGS,
            ) as cluster,
            cluster.get_client() as client,
        ):  # fmt: skip
            cluster.scale(1)
            assert client.submit(nap, 0.1, 7).result(timeout=120) == 7
            assert len(alive(ec2)) == 1
            assert client.run_on_scheduler(credentials) == []
            wait_until(lambda: "c5.large" in repr(cluster), "the fleet is shown")
            assert cluster.cost.usd_per_hour > 0
        assert alive(ec2) == []
        assert not Folder(tmp_path, "rented").is_living


def credentials() -> list[str]:
    """Variables of this process that a cloud's credentials are in."""
    return [name for name in os.environ if name.startswith("AWS_")]
