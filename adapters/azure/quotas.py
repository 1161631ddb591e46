"""Quotas of vCPU: what a location still gives, and the same as limits that the planner keeps.

On-demand machines count against 'cores' and against their family's quota, spot machines of all
families against 'lowPriorityCores', and both against 'virtualMachines'.
https://learn.microsoft.com/azure/quotas/spot-quota
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.errors import calling
from costplan.adapters.azure.settings import PROVIDER, AzureSettings
from costplan.planner.nodes import MachineState, ProviderNode
from costplan.planner.types import Market, Offer
from costplan.planner.workload import Quota

CORES, SPOT_CORES, _MACHINES = "cores", "lowPriorityCores", "virtualMachines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of something a location lets the subscription have, and has already given."""

    name: str
    limit: int
    used: int

    @property
    def left(self) -> int:
        """What may still be taken; nothing where more is used than allowed."""
        return max(0, self.limit - self.used)

    def text(self, unit: str, ours: float, region: str) -> str:
        """The quota in words, with what machines that are not ours take of it."""
        others = max(0.0, self.used - ours)
        less = f" less {others:g} of other machines" if others else ""
        return f"the subscription's quota {self.name} of {self.limit} {unit} in {region}{less}"


def usages(clients: Clients, settings: AzureSettings) -> dict[str, Usage]:
    """The quotas of the location by name."""
    with calling("offers", settings.location):
        return {
            one["name"]["value"]: Usage(
                name=one["name"]["value"], limit=int(one["limit"]), used=int(one["currentValue"])
            )
            for one in clients.compute.usage.list(settings.location)
        }


def headroom(offer: Offer, family: str, quotas: Mapping[str, Usage]) -> int | None:
    """How many more machines of an offer the quotas allow, None where no quota is known."""
    room = [quota.left // amount for quota, amount in _counted(offer, family, quotas) if amount]
    return min(room) if room else None


def as_limits(
    offers: Sequence[Offer],
    families: Mapping[str, str],
    quotas: Mapping[str, Usage],
    machines: Iterable[ProviderNode],
) -> tuple[Quota, ...]:
    """The quotas as limits of the planner, which count our own machines only: what others of the
    subscription use is taken off. `families` is that of each size."""
    alive = [one.key for one in machines if one.state is not MachineState.ENDED]
    members: dict[str, list[Offer]] = {}
    for offer in offers:
        family = families.get(offer.key.instance_type, "")
        for quota, _ in _counted(offer, family, quotas):
            members.setdefault(quota.name, []).append(offer)
    found = []
    for name, group in sorted(members.items()):
        quota, region = quotas[name], group[0].key.region
        keys = {offer.key: offer.resources.vcpu_milli for offer in group}
        ours = [keys[key] for key in alive if key in keys]
        if name == _MACHINES:
            found.append(
                Quota(
                    provider=PROVIDER,
                    region=region,
                    nodes=quota.left + len(ours),
                    name=quota.text("machines", len(ours), region),
                )
            )
            continue
        types = sorted({key.instance_type for key in keys})
        found.append(
            Quota(
                provider=PROVIDER,
                region=region,
                market=Market.SPOT if name == SPOT_CORES else Market.ON_DEMAND,
                instance_types=() if name in (CORES, SPOT_CORES) else tuple(types),
                vcpu_milli=quota.left * 1000 + sum(ours),
                name=quota.text("vCPU", sum(ours) / 1000, region),
            )
        )
    return tuple(found)


def _counted(offer: Offer, family: str, quotas: Mapping[str, Usage]) -> Iterator[tuple[Usage, int]]:
    """The quotas that a machine of an offer counts against, and how much it takes of each."""
    vcpus = -(-offer.resources.vcpu_milli // 1000)
    names = (SPOT_CORES,) if offer.key.market is Market.SPOT else (CORES, family)
    for name in names:
        if name in quotas:
            yield quotas[name], vcpus
    if _MACHINES in quotas:
        yield quotas[_MACHINES], 1
