"""Worlds for the real loop: settings, pools and drivers of a size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from costplan.adapters.sim.cloud import Account
from costplan.adapters.sim.cluster import Habits
from costplan.adapters.sim.drains import Network
from costplan.adapters.sim.drive import Driver, Memory, Record, nothing_happens
from costplan.adapters.sim.faults import Faults
from costplan.adapters.sim.machines import Fates, Pool
from costplan.adapters.sim.steps import steps
from costplan.adapters.sim.world import World, make_world
from costplan.planner.loop import tick
from costplan.planner.settings import Budget, Safety, Scaling, Settings, WorkerKind
from costplan.planner.types import Market, Resources
from costplan.planner.units import GIB
from costplan.policies.default import default_policies
from tests.sim.scenes import pool

WORKER = WorkerKind(
    name="worker",
    need=Resources(vcpu_milli=4000, memory_bytes=14 * GIB),
    threads=4,
    resources={},
    maximum=60,
)
GPU_WORKER = WorkerKind(
    name="gpu",
    need=Resources(vcpu_milli=4000, memory_bytes=14 * GIB, gpus=1),
    threads=4,
    resources={"GPU": 1.0},
    maximum=8,
)
SETTINGS = Settings(
    cluster="sim",
    workload="simulation",
    kinds=(WORKER, GPU_WORKER),
    scaling=Scaling(
        target_seconds=180,
        idle_seconds=300,
        client_gone_seconds=60,
        drain_wait_seconds=900,
        boot_seconds=60,
        boot_timeout_seconds=300,
    ),
    safety=Safety(min_node_seconds=60, refused_seconds=60),
)


def with_floor(settings: Settings, minimum: int) -> Settings:
    """The same, with so many plain workers always kept."""
    first, *others = settings.kinds
    return replace(settings, kinds=(replace(first, minimum=minimum), *others))


def with_budget(settings: Settings, usd_per_hour: str) -> Settings:
    """The same, for at most so many dollars an hour."""
    return replace(settings, budget=Budget(usd_per_hour=Decimal(usd_per_hour)))


def pools(hazard: float = 0.0, *, is_moving: bool = True) -> tuple[Pool, ...]:
    """Spot and on-demand machines of two sizes, and one with a GPU. Spot prices that move do so
    on whole minutes, so that a ledger that looks every few seconds can be exact."""
    moving = steps(
        (600.0 * place, Decimal("0.08") + Decimal((place * 7) % 5) / 100) for place in range(200)
    )
    return (
        pool("m4", moving if is_moving else "0.10", market=Market.SPOT, hazard=hazard),
        pool("m8", "0.21", vcpu=8, gib=32, market=Market.SPOT, hazard=hazard),
        pool("m4", "0.20"),
        pool("m8", "0.40", vcpu=8, gib=32),
        pool("g4", "0.90", gpus=1),
    )


def world_of(
    seed: int = 0,
    *,
    hazard: float = 0.0,
    fates: Fates | None = None,
    faults: Faults | None = None,
    is_moving: bool = True,
    network: Network | None = None,
) -> World:
    """A world of these pools."""
    return make_world(
        pools(hazard, is_moving=is_moving),
        account=Account(seed=seed),
        fates=fates or Fates(boot_seconds=45.0, boot_spread=0.2),
        faults=faults or Faults(seed=seed),
        habits=Habits(seed=seed, back_seconds=15.0, network=network or Network()),
    )


def driver_of(
    world: World,
    settings: Settings = SETTINGS,
    record: Record | None = None,
    passing: Callable[[str], None] = nothing_happens,
) -> Driver:
    """The real loop in that world."""
    return Driver(world, tick, settings, default_policies(), record or Memory(), passing=passing)
