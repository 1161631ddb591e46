"""The sections of a workload file as pydantic models, and the rules between their keys.

A field's Python name is the key in the file; values are in the planner's units (milli-vCPU,
bytes, seconds, pico-dollars). `docs/workload.md` documents every key; a test holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field, model_validator

from costplan.planner.commitments.file_models import HeldSection
from costplan.planner.config_fields import (
    Architecture,
    DurationSeconds,
    Filled,
    Flag,
    FleetVcpuMilli,
    GpuCount,
    Hazard,
    Location,
    LossSeconds,
    MachineVcpuMilli,
    MarketName,
    MemoryBytes,
    MemoryFloorBytes,
    MemoryShare,
    Name,
    NodeLimit,
    NodeQuota,
    OverheadVcpuMilli,
    PicoPerHour,
    PicoRate,
    Provider,
    Share,
    Text,
    WorkerCount,
    refusal,
    shown,
)
from costplan.planner.config_section import Section
from costplan.planner.types import Market
from costplan.planner.units import MIB


def gpu_mapping(value: object) -> object:
    """`gpu: 1` is short for `gpu: {count: 1}`."""
    return {"count": value} if isinstance(value, int | float | str) else value


class GpuSection(Section):
    """GPUs of one worker; no kinds means any kind."""

    count: GpuCount
    kinds: tuple[Text, ...] = ()


class WorkerSection(Section):
    """Workers that need the same."""

    name: Name
    count: WorkerCount
    vcpu: MachineVcpuMilli
    memory: MemoryBytes
    gpu: Annotated[GpuSection, BeforeValidator(gpu_mapping)] | None = None
    markets: tuple[MarketName, ...] = ()


class WhereSection(Section):
    """Clouds and regions."""

    providers: tuple[Provider, ...] = ()
    regions: dict[Provider, Annotated[tuple[Text, ...], Filled]] = Field(default_factory=dict)
    single_region: Flag = True
    single_zone: Flag = False


class DataSection(Section):
    """What the workload reads, and where that lies."""

    location: Location
    read: MemoryBytes


class WorkloadWhereSection(WhereSection):
    """Clouds and regions, and the bytes that cross their borders."""

    data: DataSection | None = None
    traffic_per_hour: MemoryBytes | None = None


class MachinesSection(Section):
    """Machine types."""

    arch: Annotated[tuple[Architecture, ...], Filled] = ("x86_64",)
    include: tuple[Text, ...] = ()
    exclude: tuple[Text, ...] = ()
    max_vcpu: MachineVcpuMilli | None = None
    burstable: Flag = False
    suspect_share: Share = 0.2


class WorkloadMachinesSection(MachinesSection):
    """Machine types, and what each machine has beside it."""

    root_disk: MemoryBytes | None = None
    public_ip: Flag = False


class PlaceSection(Section):
    """Rates of a cloud, or of a region of it, that go before the list's."""

    provider: Provider
    region: Text | None = None
    between_zones: PicoRate | None = None
    between_regions: PicoRate | None = None
    internet: PicoRate | None = None
    root_disk: PicoRate | None = None
    public_ip: PicoRate | None = None


class MarketSection(Section):
    """Markets and how much may rest on spot."""

    allow: Annotated[tuple[MarketName, ...], Filled] = (Market.ON_DEMAND, Market.SPOT)
    spot_max_share: Share = 1.0
    on_demand_base_vcpu: FleetVcpuMilli = 0
    pool_max_share: Share = 1.0
    max_hazard_per_hour: Hazard | None = None


class InterruptionSection(Section):
    """What an interruption costs in time."""

    lost_work: LossSeconds = 600
    restart: LossSeconds = 180


class OverheadSection(Section):
    """What the system keeps of a node."""

    vcpu: OverheadVcpuMilli = 0
    memory_share: MemoryShare = 0.05
    memory_floor: MemoryFloorBytes = 512 * MIB


class BudgetSection(Section):
    """Money."""

    usd_per_hour: PicoPerHour


class QuotaSection(Section):
    """At most this much of the offers that match; exactly one of `vcpu` and `nodes`. `name` is what
    it is called where it has no room."""

    name: Text = ""
    provider: Provider | None = None
    region: Text | None = None
    market: MarketName | None = None
    instance_types: tuple[Text, ...] = ()
    vcpu: FleetVcpuMilli | None = None
    nodes: NodeQuota | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> QuotaSection:
        if self.vcpu is None and self.nodes is None:
            raise refusal("the quota has neither vcpu nor nodes", "add one of them")
        if self.vcpu is not None and self.nodes is not None:
            raise refusal("the quota has both vcpu and nodes", "write two quotas, one of each")
        return self


class LimitsSection(Section):
    """Hard limits on the fleet."""

    max_nodes: NodeLimit | None = None
    quotas: tuple[QuotaSection, ...] = ()


class _OwnSection(Section):
    """The keys that only this file has."""

    workload: Name
    workers: Annotated[tuple[WorkerSection, ...], Filled]
    duration: DurationSeconds | None = None
    where: WorkloadWhereSection = WorkloadWhereSection()
    machines: WorkloadMachinesSection = WorkloadMachinesSection()
    place_rates: tuple[PlaceSection, ...] = ()
    market: MarketSection = MarketSection()
    interruption: InterruptionSection = InterruptionSection()
    overhead: OverheadSection = OverheadSection()
    budget: BudgetSection | None = None
    limits: LimitsSection = LimitsSection()


class WorkloadSection(HeldSection, _OwnSection):
    """The whole file."""


def sections(file: type[Section] = WorkloadSection) -> dict[str, type[Section]]:
    """The model of each mapping by its path without places: '', 'workers', 'workers.gpu', ...

    Where a mapping may be one of several, its path ends in the kind: 'provider.local'.
    """
    return dict(_sections("", file))


def keys_of(model: type[Section]) -> list[str]:
    """The keys of a mapping as they stand in the file."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _sections(path: str, model: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    yield path.lstrip("."), model
    for name, field in zip(keys_of(model), model.model_fields.values(), strict=True):
        inners = list(_models_in(field.annotation))
        for inner in inners:
            kind = f".{kind_of(inner)}" if len(inners) > 1 else ""
            yield from _sections(f"{path}.{name}{kind}", inner)


def kind_of(model: type[Section]) -> str:
    """What the `kind` of one of several sections that may stand in a place says."""
    (kind,) = get_args(model.model_fields["kind"].annotation)
    return str(kind)


def _models_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def contradictions(file: WorkloadSection) -> Iterator[tuple[str, str, str]]:
    """Path, problem and way out of what each key allows and all keys together do not."""
    yield from _worker_contradictions(file)
    yield from market_contradictions(file.market)
    yield from place_contradictions(file.where, file.limits)
    if file.where.data is not None and file.duration is None:
        problem = "it is paid once, and over how long is not said"
        yield "where.data.read", problem, "add duration, such as 6h"


def place_contradictions(
    where: WhereSection, limits: LimitsSection
) -> Iterator[tuple[str, str, str]]:
    """Path, problem and way out of regions and quotas of clouds that may not be used."""
    if where.providers:
        listed = f"where.providers lists only {', '.join(where.providers)}"
        for provider in where.regions:
            if provider not in where.providers:
                yield f"where.regions.{provider}", listed, "add the provider or drop its regions"
        for place, quota in enumerate(limits.quotas):
            if quota.provider is not None and quota.provider not in where.providers:
                path = f"limits.quotas[{place}].provider"
                yield path, f"{shown(quota.provider)}, but {listed}", "correct or drop the quota"


def _worker_contradictions(file: WorkloadSection) -> Iterator[tuple[str, str, str]]:
    allow, first_use = file.market.allow, dict[str, int]()
    for place, worker in enumerate(file.workers):
        path = f"workers[{place}]"
        if worker.name in first_use:
            earlier = f"workers[{first_use[worker.name]}]"
            yield f"{path}.name", f"{shown(worker.name)} is also {earlier}", "give it its own name"
        first_use.setdefault(worker.name, place)
        usable = [market for market in worker.markets or allow if market in allow]
        if not usable:
            problem = f"{', '.join(worker.markets)} is not in market.allow ({', '.join(allow)})"
            yield f"{path}.markets", problem, "allow it there or drop it here"
        elif worker.markets and usable == [Market.SPOT] and file.market.spot_max_share == 0:
            yield f"{path}.markets", "only spot, but market.spot_max_share is 0", "raise the share"
        if file.machines.max_vcpu is not None and worker.vcpu > file.machines.max_vcpu:
            most = f"machines.max_vcpu ({file.machines.max_vcpu / 1000:g})"
            problem = f"{worker.vcpu / 1000:g} is above {most}"
            yield f"{path}.vcpu", problem, "no machine could hold it; raise max_vcpu"


def market_contradictions(market: MarketSection) -> Iterator[tuple[str, str, str]]:
    """Path, problem and way out of shares that the allowed markets cannot keep."""
    if set(market.allow) == {Market.SPOT}:
        way_out = "allow on_demand too"
        if market.on_demand_base_vcpu > 0:
            base = f"{market.on_demand_base_vcpu / 1000:g}, but market.allow has only spot"
            yield "market.on_demand_base_vcpu", base, f"{way_out} or set it to 0"
        if market.spot_max_share < 1:
            share = f"{market.spot_max_share:g}, but market.allow has only spot"
            yield "market.spot_max_share", share, f"{way_out} or set it to 1"
