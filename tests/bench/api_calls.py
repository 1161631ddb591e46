"""How many calls of a cloud a tick of the daemon makes, by cloud and nodes, against the rigs.

    python -m tests.bench.api_calls

One tick reads all that the daemon reads, through what remembers for it, and changes nothing. The
first has nothing remembered; a quiet one is a second later, and then come the ticks in which spot
prices (2 minutes) and lists (an hour) are due. Warnings are looked for twice a second besides.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from costplan.adapters.aws.machines import CLUSTER_TAG
from costplan.adapters.clock import utc_now
from costplan.adapters.reading import Reader
from costplan.cli.wiring import LISTS_SECONDS, SPOT_SECONDS, connect
from costplan.planner.daemon_config import daemon_config_from_mapping
from costplan.planner.errors import ClusterUnreachable
from costplan.planner.load import Load
from costplan.planner.ports import AccountQuotas, PriceFeed, Provider
from tests.emulators.aws.account import ENVIRONMENT, TYPES, ZONES, Account
from tests.emulators.aws.server import serving
from tests.emulators.azure import world as microsoft
from tests.emulators.azure.server import AzureRig
from tests.emulators.azure.server import serving as serving_azure
from tests.emulators.azure.world import AzureWorld
from tests.emulators.gcp import world as google
from tests.emulators.gcp.server import GcpRig
from tests.emulators.gcp.server import serving as serving_gcp
from tests.emulators.gcp.world import GcpWorld

CLUSTER = "ours"
SIZES = (10, 100, 1000)
MOST_QUIET = 5
LAUNCHED_SECONDS = 2 * 3600.0
"""So long ago the machines were launched: launches of the last hour are more pages of Google's
operations and of Azure's log."""
TICKS = {"first": 0.0, "quiet": 1.0, "spot prices due": SPOT_SECONDS, "lists due": LISTS_SECONDS}
"""Ticks by how long after the first they are; each is the sum of calls of one read."""


class Clock:
    """The rigs' time and so much more."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> datetime:
        return utc_now() + timedelta(seconds=self.ahead)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The ports of a cloud as the daemon has them, its rig, and the calls that were made of it."""

    provider: Provider
    prices: PriceFeed
    quotas: AccountQuotas | None
    clock: Clock
    made: Callable[[], Counter[str]]
    rig: Any


class Nobody:
    """A scheduler that is away: its calls are none of a cloud's."""

    def load(self) -> Load:
        raise ClusterUnreachable("none", "away")


@contextmanager
def reading(site: Site) -> Iterator[Reader]:
    """What the daemon reads that cloud with."""
    nobody: Any = Nobody()
    reader = Reader(site.provider, site.prices, nobody, site.clock, site.quotas)
    try:
        yield reader
    finally:
        reader.close()


def calls_of(site: Site) -> dict[str, Counter[str]]:
    """The calls of each kind of tick, and of a look for warnings."""
    found = {}
    with reading(site) as reader:
        for name, seconds in TICKS.items():
            before, site.clock.ahead = site.made(), seconds
            gaps = [gap for gap in reader.read(()).gaps if gap.kind != "load"]
            if gaps:
                raise RuntimeError(f"{name}: {gaps}")
            found[name] = site.made() - before
        before = site.made()
        reader.warned().result()
        found["a look for warnings"] = site.made() - before
    return found


@contextmanager
def aws(nodes: int) -> Iterator[Site]:
    """EC2 with so many machines of the cluster, through the daemon's own wiring."""
    with patch.dict(os.environ, ENVIRONMENT), serving() as rig, TemporaryDirectory() as folder:
        account = Account(rig)
        rig.cloud.on_demand_prices = dict.fromkeys(TYPES, "0.09")
        rig.cloud.spot_prices = {
            (kind, zone): [(utc_now() - timedelta(days=1), "0.03")]
            for kind in TYPES
            for zone in ZONES
        }
        rig.cloud.quotas = {"L-34B43A08": 9999.0, "L-1216C47A": 9999.0}
        account.setup("ec2").run_instances(
            ImageId=account.settings.images["x86_64"],
            InstanceType="m5.large",
            Placement={"AvailabilityZone": ZONES[0]},
            MinCount=nodes,
            MaxCount=nodes,
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": CLUSTER_TAG, "Value": CLUSTER}]}
            ],
        )
        section = {
            "kind": "aws",
            "region": account.settings.region,
            "zones": list(ZONES),
            "image": account.settings.images["x86_64"],
            "instance_types": list(TYPES),
            "queue": account.make_queue("counted"),
            "advisor": "http://127.0.0.1:9/advisor.json",
            "endpoint": account.rig.url,
        }
        with wired(section, Path(folder), Clock(), rig.made, rig) as site:
            yield site


@contextmanager
def wired(
    provider: dict[str, Any], folder: Path, clock: Clock, made: Callable[[], Counter[str]], rig: Any
) -> Iterator[Site]:
    """The daemon's own ports for a provider's section."""
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text("0" * 32)
    file = {
        "cluster": CLUSTER,
        "workload": "counting",
        "store": {"path": "costplan.db"},
        "workers": [{"name": "worker", "vcpu": 1, "threads": 1, "memory": "1 GiB"}],
        "scheduler": {
            "address": "tcp://127.0.0.1:1",
            "endpoint": "http://127.0.0.1:1",
            "token_file": "token",
        },
        "provider": provider,
    }
    ports = connect(daemon_config_from_mapping(file, "counted.yaml", str(folder)), clock)
    yield Site(
        provider=ports.provider,
        prices=ports.prices,
        quotas=ports.quotas,
        clock=clock,
        made=made,
        rig=rig,
    )
    ports.close()


@contextmanager
def gcp(nodes: int) -> Iterator[Site]:
    """Compute Engine with so many machines of the cluster."""
    clock = Clock()
    with serving_gcp(GcpRig(clock=clock)) as rig, TemporaryDirectory() as folder:
        provider = GcpWorld(rig).provider(clock=clock)
        clock.ahead = -LAUNCHED_SECONDS
        for number in range(nodes):
            provider.launch(google.request(f"t{number}"))
        section = {
            "kind": "gcp",
            "project": google.SETTINGS.project,
            "zones": list(google.SETTINGS.zones),
            "image": google.SETTINGS.images["x86_64"],
            "endpoint": rig.endpoint,
        }
        with wired(section, Path(folder), clock, lambda: Counter(rig.calls), rig) as site:
            yield site


@contextmanager
def azure(nodes: int) -> Iterator[Site]:
    """Azure with so many machines of the cluster, called as by a machine with an identity."""
    clock = Clock()
    with TemporaryDirectory() as folder, serving_azure(AzureRig(), Path(folder)) as rig:
        rig.largest_page = 500
        rig.group.clock = clock
        clock.ahead = -LAUNCHED_SECONDS
        rig.group.quotas = dict.fromkeys(rig.group.quotas, 10 * max(SIZES))
        provider = AzureWorld(rig).provider(CLUSTER, clock=clock)
        for number in range(nodes):
            provider.launch(microsoft.request(f"t{number}"))
        with (
            patch.dict(os.environ, microsoft.identity_of_a_machine(rig)),
            wired(
                microsoft.provider_section(rig),
                Path(folder),
                clock,
                lambda: Counter({n: c for n, c in rig.calls.items() if n != "identity.token"}),
                rig,
            ) as site,
        ):
            yield site


CLOUDS: dict[str, Callable[[int], AbstractContextManager[Site]]] = {
    "aws": aws,
    "gcp": gcp,
    "azure": azure,
}


def main() -> int:
    """Prints the table; 1 where a quiet tick makes more calls than it may."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--verbose", action="store_true", help="each call by name")
    parser.add_argument("--nodes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--clouds", nargs="+", choices=CLOUDS, default=[*CLOUDS])
    chosen = parser.parse_args()
    names = (*TICKS, "a look for warnings")
    print(f"| cloud | nodes | {' | '.join(names)} |")
    print("|---|---:|" + "---:|" * len(names))
    most = 0
    for cloud in chosen.clouds:
        for nodes in chosen.nodes:
            with CLOUDS[cloud](nodes) as site:
                found = calls_of(site)
            counts = " | ".join(str(found[name].total()) for name in names)
            print(f"| {cloud} | {nodes:,} | {counts} |", flush=True)
            most = max(most, found["quiet"].total())
            for name in names if chosen.verbose else ():
                print(f"  {name}: {dict(sorted(found[name].items()))}")
    return int(most > MOST_QUIET)


if __name__ == "__main__":
    raise SystemExit(main())
