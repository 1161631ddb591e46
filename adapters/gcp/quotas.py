"""Regional quotas: what a region still gives, and the same as limits that the planner keeps.

vCPU of most families count against a quota of their own ('N2_CPUS'), the others against 'CPUS'.
Spot machines count against 'PREEMPTIBLE_CPUS' where that is above zero, and else against the
same as others (https://cloud.google.com/compute/resource-usage, read in 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import NAME, calling
from costplan.planner.nodes import MachineState, ProviderNode
from costplan.planner.types import Market, Offer, OfferKey
from costplan.planner.workload import Quota

_SHARED = "CPUS"
_SPOT = "PREEMPTIBLE_CPUS"
_MACHINES = "INSTANCES"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionQuota:
    """How much of something a region lets the project have, and has already given."""

    region: str
    metric: str
    limit: float
    usage: float

    @property
    def left(self) -> float:
        """What may still be taken; nothing where more is used than allowed."""
        return max(0.0, self.limit - self.usage)

    def text(self, unit: str, ours: float) -> str:
        """The quota in words, with what machines that are not ours take of it."""
        others = max(0.0, self.usage - ours)
        less = f" less {others:g} of other machines" if others else ""
        return f"the project's quota {self.metric} of {self.limit:g} {unit} in {self.region}{less}"


def region_quotas(clients: Clients, project: str, region: str) -> dict[str, RegionQuota]:
    """The quotas of a region by metric."""
    asked = clients.compute.GetRegionRequest(project=project, region=region)
    with calling("offers", region):
        found = clients.call(clients.regions.get, asked)
    return {
        str(one.metric): RegionQuota(
            region=region, metric=str(one.metric), limit=one.limit, usage=one.usage
        )
        for one in found.quotas
    }


def metrics_of(
    offer: Offer, quotas: Mapping[str, RegionQuota]
) -> Iterable[tuple[RegionQuota, float]]:
    """The quotas that a machine of an offer counts against, and how much it takes of each."""
    spot = offer.key.market is Market.SPOT
    vcpus = offer.resources.vcpu_milli / 1000
    metric = _SPOT if spot and _limit(quotas, _SPOT) else _family_metric(offer.key, quotas)
    wanted = [(metric, vcpus), (_MACHINES, 1.0)]
    if offer.resources.gpu_kind is not None:
        gpu = f"NVIDIA_{offer.resources.gpu_kind.upper().replace('-', '_')}_GPUS"
        spot_gpu = f"PREEMPTIBLE_{gpu}"
        gpu = spot_gpu if spot and _limit(quotas, spot_gpu) else gpu
        wanted.append((gpu, float(offer.resources.gpus)))
    return [(quotas[name], amount) for name, amount in wanted if name in quotas]


def headroom(offer: Offer, quotas: Mapping[str, RegionQuota]) -> int | None:
    """How many more machines of an offer the quotas allow, None where no quota is known."""
    room = [int(quota.left // amount) for quota, amount in metrics_of(offer, quotas) if amount > 0]
    return min(room) if room else None


def as_limits(
    offers: Sequence[Offer],
    quotas: Mapping[str, Mapping[str, RegionQuota]],
    machines: Iterable[ProviderNode],
) -> tuple[Quota, ...]:
    """The quotas by region as limits of the planner, which count our own machines only: what
    others of the project use is taken off. A GPU quota has no counterpart and is left out;
    `Offer.headroom` has it."""
    alive = [one.key for one in machines if one.state is not MachineState.ENDED]
    groups: dict[tuple[str, str], list[Offer]] = {}
    for offer in offers:
        for quota, _ in metrics_of(offer, quotas.get(offer.key.region, {})):
            if not quota.metric.endswith("_GPUS"):
                groups.setdefault((offer.key.region, quota.metric), []).append(offer)
    found = []
    for (region, metric), members in sorted(groups.items()):
        # Spot machines without a quota of their own share that of the others.
        markets = {offer.key.market for offer in members}
        market = next(iter(markets)) if len(markets) == 1 else None
        quota = quotas[region][metric]
        sizes = {offer.key: offer.resources.vcpu_milli for offer in members}
        types = () if metric in (_MACHINES, _SPOT) else _patterns(sizes)
        if metric == _MACHINES:
            ours = sum(key.region == region for key in alive)
            name = quota.text("machines", ours)
            limit = Quota(provider=NAME, region=region, nodes=int(quota.left) + ours, name=name)
            found.append(limit)
            continue
        ours = sum(sizes.get(key, 0) for key in alive)
        found.append(
            Quota(
                provider=NAME,
                region=region,
                market=market,
                instance_types=types,
                vcpu_milli=int(quota.left * 1000) + ours,
                name=quota.text("vCPU", ours / 1000),
            )
        )
    return tuple(found)


def project_limits(
    clients: Clients, project: str, offers: Sequence[Offer], machines: Iterable[ProviderNode]
) -> tuple[Quota, ...]:
    """The quotas of the regions of some offers as they are now, as limits of the planner."""
    regions = sorted({offer.key.region for offer in offers})
    quotas = {region: region_quotas(clients, project, region) for region in regions}
    return as_limits(offers, quotas, machines)


def _patterns(keys: Iterable[OfferKey]) -> tuple[str, ...]:
    return tuple(sorted({f"{key.instance_type.split('-', 1)[0]}-*" for key in keys}))


def _family_metric(key: OfferKey, quotas: Mapping[str, RegionQuota]) -> str:
    own = f"{key.instance_type.split('-', 1)[0].upper()}_CPUS"
    return own if own in quotas else _SHARED


def _limit(quotas: Mapping[str, RegionQuota], metric: str) -> float:
    return quotas[metric].limit if metric in quotas else 0.0
