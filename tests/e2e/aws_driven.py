"""The daemon on EC2's rig: its file, prices, and what the rig says of the machines."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import yaml

from tests.daemon_cluster import DaemonCluster
from tests.emulators.aws.account import TYPES, ZONES, Account
from tests.emulators.aws.cloud import pool_of
from tests.emulators.bill import Lived

LAUNCHES = ("RunInstances", "CreateFleet")
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def price(account: Account, usd_per_vcpu_hour: str = "0.045") -> None:
    """Spot at a third of on-demand, the same in both zones."""
    cloud = account.rig.cloud
    per_vcpu = Decimal(usd_per_vcpu_hour)
    vcpus = {name: 4 if name.endswith("xlarge") else 2 for name in TYPES}
    cloud.on_demand_prices = {name: f"{per_vcpu * n:.4f}" for name, n in vcpus.items()}
    cloud.spot_prices = {
        (name, zone): [(SINCE, f"{per_vcpu * n / 3:.4f}")]
        for name, n in vcpus.items()
        for zone in ZONES
    }


def on_aws(
    cluster: DaemonCluster, account: Account, types: Collection[str] = TYPES, **more: Any
) -> None:
    """Has the daemon's file name the rig instead of local machines."""
    file = yaml.safe_load(cluster.config.read_text())
    file["provider"] = {
        "kind": "aws",
        "region": account.settings.region,
        "zones": list(ZONES),
        "image": account.settings.images["x86_64"],
        "instance_types": list(types),
        "queue": account.make_queue("tested"),
        "advisor": "http://127.0.0.1:9/advisor.json",
        "endpoint": account.rig.url,
        **more,
    }
    cluster.config.write_text(yaml.safe_dump(file))


def alive(account: Account) -> list[str]:
    """Instances that are there and have not been told to end."""
    cloud = account.rig.cloud
    with cloud.lock:
        cloud.advance()
        return [one.id for one in cloud.instances() if one.state in ("pending", "running")]


def launched_after(account: Account, said: datetime) -> datetime | None:
    """When the first call for a machine came after an instant, None while there is none."""
    calls = (one.at for one in list(account.rig.calls) if one.operation in LAUNCHES)
    return min((at for at in calls if at >= said), default=None)


def lives(account: Account) -> tuple[list[Lived], set[str]]:
    """What EC2 would charge, all having ended: from the launch to the end, in whole seconds; and
    the nodes whose end EC2 does not tell, as they powered themselves off."""
    cloud = account.rig.cloud
    found, untold = [], set()
    with cloud.lock:
        for one in cloud.instances():
            kind, zone, market = pool_of(one)
            text = (
                cloud.spot_prices[kind, zone][-1][1]
                if market == "spot"
                else cloud.on_demand_prices[kind]
            )
            life = cloud.lives[one.id]
            assert life.stopped_at is not None, f"{one.id} still runs"
            found.append(
                Lived(
                    node_id=node_of(one),
                    began=life.launched_at.replace(microsecond=0),
                    ended=life.stopped_at.replace(microsecond=0),
                    usd_per_hour=Decimal(text),
                    disk_usd_per_month=50 * Decimal("0.08"),
                    address_usd_per_hour=Decimal("0.005"),
                )
            )
            if not one._reason:
                untold.add(found[-1].node_id)
    return found, untold


def node_of(instance: Any) -> str:
    """The node that an instance's tag names."""
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    return str(tags["costplan:node"])
