"""Instances of the rig become Dask workers by their own start scripts."""

from __future__ import annotations

from pathlib import Path

from costplan.adapters.node.startup import Startup, script
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from costplan.planner.types import Market
from tests.daemon_cluster import wait_until
from tests.e2e.dask_cluster import cluster, run
from tests.emulators.aws.account import Account, key
from tests.emulators.aws.fixtures import account, served
from tests.emulators.aws.guests import AwsGuests
from tests.emulators.hypervisor import hypervisor

__all__ = ["account", "served"]


def request(number: int, market: Market) -> LaunchRequest:
    """For a machine with one worker."""
    worker = WorkerSpec(name=f"n{number}-0", shape="w", threads=1, memory_bytes=2**30, resources={})
    return LaunchRequest(
        token=f"token-{number}",
        node_id=f"n{number}",
        cluster="ours",
        keys=(key("m5.large", market=market),),
        workers=(worker,),
        tags={},
    )


def test_a_machine_boots_joins_drains_and_powers_off(account: Account, tmp_path: Path) -> None:
    cloud = account.rig.cloud

    async def test() -> None:
        async with cluster(stays={}) as at:
            startup = Startup(cloud="aws", scheduler_address=at.scheduler.address)
            provider = account.provider(start=lambda request, _: script(request, startup))
            with hypervisor(AwsGuests(cloud), tmp_path / "hosts") as host:
                taken = await at.ask(provider.launch, request(1, Market.SPOT))
                ended = await at.ask(provider.launch, request(2, Market.ON_DEMAND))
                load = await at.load_when(lambda load: len(load.workers) == 3)
                place = {"zone-us-east-1a": 1.0, "type-m5.large": 1.0}
                assert dict(load.workers["n1-0"].resources) == {"spot": 1.0, **place}
                assert dict(load.workers["n2-0"].resources) == {"on_demand": 1.0, **place}
                cloud.interrupt(taken.provider_id, 120.0)
                load = await at.load_when(lambda load: "n1-0" in load.departed)
                assert load.departed["n1-0"].expected
                await at.ask(
                    wait_until,
                    lambda: host.hosted[taken.provider_id].end == "powered off",
                    "it powers itself off",
                )
                assert cloud.instance(taken.provider_id).state != "running"
                await at.ask(provider.terminate, [ended.provider_id])
                await at.load_when(lambda load: "n2-0" in load.departed)
                assert host.hosted[ended.provider_id].end == "killed"

    run(test())
