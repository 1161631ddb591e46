"""Small simulated worlds to test in: pools of two sizes, requests by number, workers at once."""

from __future__ import annotations

from decimal import Decimal

from costplan.adapters.sim.machines import Fates, Pool
from costplan.adapters.sim.steps import Steps, always
from costplan.adapters.sim.world import World, make_world
from costplan.planner.nodes import LaunchRequest, ProviderNode, WorkerSpec
from costplan.planner.types import Billing, Market, Offer, OfferKey, Resources
from costplan.planner.units import GIB

SURE = Fates(boot_seconds=60.0, boot_spread=0.0)
"""Machines that boot in a minute sharp; their workers join two seconds later."""


def key(instance_type: str = "m4", market: Market = Market.ON_DEMAND) -> OfferKey:
    """The name of an offer of the simulated cloud."""
    return OfferKey(
        provider="sim", region="r1", zone="r1a", instance_type=instance_type, market=market
    )


def pool(
    instance_type: str = "m4",
    usd: str | Steps[Decimal] = "0.36",
    *,
    market: Market = Market.ON_DEMAND,
    vcpu: int = 4,
    gib: int = 16,
    gpus: int = 0,
    capacity: Steps[int | None] | None = None,
    hazard: float = 0.0,
    notice_seconds: float = 120.0,
) -> Pool:
    """A pool at a price; 0.36 $/h is a hundredth of a cent a second."""
    resources = Resources(
        vcpu_milli=vcpu * 1000,
        memory_bytes=gib * GIB,
        gpus=gpus,
        gpu_kind="T4" if gpus else None,
    )
    offer = Offer(
        key=key(instance_type, market),
        resources=resources,
        arch="x86_64",
        billing=Billing(minimum_seconds=0, step_seconds=1),
    )
    return Pool(
        offer=offer,
        usd_per_hour=always(Decimal(usd)) if isinstance(usd, str) else usd,
        capacity=capacity or always(None),
        hazard_per_hour=hazard,
        quoted_hazard_per_hour=hazard,
        notice_seconds=notice_seconds,
    )


def request(
    number: int = 1,
    *,
    keys: tuple[OfferKey, ...] | None = None,
    threads: int = 4,
    gib: int = 14,
    gpus: int = 0,
    cluster: str = "sim",
) -> LaunchRequest:
    """The machine of that number, with one worker named after it."""
    worker = WorkerSpec(
        name=f"n{number}-0",
        shape="worker",
        threads=threads,
        memory_bytes=gib * GIB,
        gpus=gpus,
        resources={"GPU": float(gpus)} if gpus else {},
    )
    return LaunchRequest(
        token=f"token-{number}",
        node_id=f"n{number}",
        cluster=cluster,
        keys=keys or (key(),),
        workers=(worker,),
        tags={},
    )


def running(nodes: int, *, threads: int = 4, gib: int = 14) -> tuple[World, list[ProviderNode]]:
    """A world in which so many machines have booted, and their workers have joined."""
    world = make_world([pool()], fates=SURE)
    machines = [
        world.provider.launch(request(number, threads=threads, gib=gib))
        for number in range(1, nodes + 1)
    ]
    world.clock.advance(62)
    return world, machines
