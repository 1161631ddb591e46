"""What a person wants to run, as frozen values: the optimizer's side of a workload file.

`config.py` parses the file; nothing here knows of YAML. Shares are 0 to 1 of the plan's vCPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from costplan.planner.held.values import NOTHING_HELD, Held
from costplan.planner.place_rates import PlaceRate
from costplan.planner.types import Market, WorkerShape
from costplan.planner.units import MIB


def _anywhere() -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Where the data lies, and how much of it the workload reads in all. Without a zone ('') it
    is read from every zone of its region alike, as from an object store."""

    provider: str
    region: str
    zone: str
    read_bytes: int

    def __str__(self) -> str:
        return "/".join(part for part in (self.provider, self.region, self.zone) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Clouds and regions that may be used. Empty `providers` means all of them; a provider
    that `regions` does not name may use all of its regions. `data` is where what is read lies,
    and `traffic_bytes_per_hour` is what workers send each other."""

    providers: tuple[str, ...] = ()
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=_anywhere)
    single_region: bool = True
    single_zone: bool = False
    data: DataSource | None = None
    traffic_bytes_per_hour: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a node has beside its machine: a root disk of a size (None: not priced), and whether a
    public IPv4 address. `rates` are the user's own and go before the list's."""

    root_disk_bytes: int | None = None
    public_ip: bool = False
    rates: tuple[PlaceRate, ...] = ()

    @property
    def are_priced(self) -> bool:
        """True where any of it costs something by the hour."""
        return self.root_disk_bytes is not None or self.public_ip


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """Which machine types may be used, by shell-style patterns such as 't3*'.

    An empty `include` means every type; `exclude` wins over `include`. `burstable` types sell a
    fraction of their vCPU, so a training that runs flat out does not get what it pays for. A
    price below `suspect_share` of the median of its type and market over all regions is taken
    for a mistake of the list and left out: an optimizer finds every wrong price; 0 keeps all.
    """

    arch: tuple[str, ...] = ("x86_64",)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_vcpu: float | None = None
    burstable: bool = False
    suspect_share: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """How much may rest on the spot market.

    spot vCPU <= `spot_max_share` x all vCPU; vCPU of one pool (provider, region, zone, type)
    <= `pool_max_share` x all vCPU; on-demand and committed vCPU >= `on_demand_base_vcpu_milli`;
    no offer is used whose hazard is above `max_hazard_per_hour`.
    """

    allow: tuple[Market, ...] = (Market.ON_DEMAND, Market.SPOT)
    spot_max_share: float = 1.0
    on_demand_base_vcpu_milli: int = 0
    pool_max_share: float = 1.0
    max_hazard_per_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """What an interruption costs in node-time: work done again, and the time to start over."""

    lost_work_seconds: int = 600
    restart_seconds: int = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """At most this much of the offers that match; None matches everything.

    Exactly one of `vcpu_milli` and `nodes` is set. `instance_types` are shell-style patterns.
    `name` is in words whose it is; one of the file that has none goes by its place there.
    """

    provider: str | None = None
    region: str | None = None
    market: Market | None = None
    instance_types: tuple[str, ...] = ()
    vcpu_milli: int | None = None
    nodes: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard limits on the fleet."""

    max_nodes: int | None = None
    quotas: tuple[Quota, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """What the system keeps of a node: `vcpu_milli`, and the larger of a share and a floor of
    its memory.

    CPU is given out by time slices, so a worker with one thread a vCPU loses a per cent of
    speed to the system and not its place: the default keeps none back. Memory is not: the
    kernel, the daemons of the image and Dask's nanny take about 5 % of a machine.
    """

    vcpu_milli: int = 0
    memory_share: float = 0.05
    memory_floor_bytes: int = 512 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Workers to place and the rules to place them by. Shape names are unique.

    `held` are commitments that the machines may use; it is no part of what names a workload.
    """

    name: str
    shapes: tuple[WorkerShape, ...]
    duration_seconds: int | None = None
    where: Where = Where()
    machines: Machines = Machines()
    market: MarketRules = MarketRules()
    interruption: Interruption = Interruption()
    overhead: Overhead = Overhead()
    limits: Limits = Limits()
    extras: Extras = Extras()
    budget_pico_per_hour: int | None = None
    held: Held = field(default=NOTHING_HELD, repr=False)
