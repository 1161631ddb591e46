"""The published form of a workload, as an answer repeats it; part of `plan_schema.py`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from costplan.planner.plan_schema_fields import Document, Hazard, Share, Usd
from costplan.planner.types import Market


class WorkerDocument(Document):
    """Workers that need the same."""

    name: str
    count: Annotated[int, Field(ge=1, description="Workers of this shape")]
    vcpu: Annotated[float, Field(description="vCPU of one worker")]
    memory_bytes: Annotated[int, Field(description="Memory of one worker, bytes")]
    gpus: Annotated[int, Field(description="GPUs of one worker")]
    gpu_kinds: Annotated[list[str], Field(description="Kinds of GPU that do; empty: any")]
    markets: Annotated[list[Market], Field(description="Markets they may run in; empty: any")]


class DataDocument(Document):
    """What the workload reads in all, and where that lies."""

    provider: str
    region: str
    zone: Annotated[str | None, Field(description="null: read alike from every zone of the region")]
    read_bytes: int


class WhereDocument(Document):
    """Where machines may be."""

    providers: Annotated[list[str], Field(description="Empty: all of the price list")]
    regions: Annotated[dict[str, list[str]], Field(description="Regions by provider")]
    single_region: bool
    single_zone: bool
    data: Annotated[
        DataDocument | None, Field(description="What is read, and where it lies; null: not said")
    ] = None
    traffic_bytes_per_hour: Annotated[
        int, Field(description="What workers send each other, bytes; 0: not said")
    ] = 0


class MachinesDocument(Document):
    """Which machine types may be used."""

    arch: list[str]
    include: Annotated[list[str], Field(description="Patterns; empty: every type")]
    exclude: Annotated[list[str], Field(description="Patterns; wins over include")]
    max_vcpu: float | None
    burstable: bool
    root_disk_bytes: Annotated[int | None, Field(description="null: not priced")] = None
    public_ip: Annotated[bool, Field(description="Whether each has a public address")] = False


class MarketDocument(Document):
    """How much may rest on the spot market."""

    allow: list[Market]
    spot_max_share: Share
    on_demand_base_vcpu: float
    pool_max_share: Share
    max_hazard_per_hour: Hazard | None


class InterruptionDocument(Document):
    """What an interruption costs in node-time."""

    lost_work_seconds: int
    restart_seconds: int


class OverheadDocument(Document):
    """What the system keeps of each node: vCPU, and the larger of a share and a floor of memory."""

    vcpu: float
    memory_share: Share
    memory_floor_bytes: int


class QuotaDocument(Document):
    """At most so much of the offers that match; null matches everything."""

    provider: str | None
    region: str | None
    market: Market | None
    instance_types: Annotated[list[str], Field(description="Patterns; empty: every type")]
    vcpu: Annotated[float | None, Field(description="vCPU at most; null: nodes are limited")]
    nodes: Annotated[int | None, Field(description="Nodes at most; null: vCPU are limited")]


class LimitsDocument(Document):
    """Hard limits on the fleet."""

    max_nodes: int | None
    quotas: list[QuotaDocument]


class WorkloadDocument(Document):
    """What was asked for: workers, and the rules to place them by."""

    name: str
    workers: list[WorkerDocument]
    duration_seconds: Annotated[int | None, Field(description="null: not known")]
    where: WhereDocument
    machines: MachinesDocument
    market: MarketDocument
    interruption: InterruptionDocument
    overhead: OverheadDocument
    limits: LimitsDocument
    budget_usd_per_hour: Usd | None
