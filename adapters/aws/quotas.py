"""The account's vCPU quotas, as limits that the quota policy holds launches to."""

from __future__ import annotations

from dataclasses import dataclass

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.types import Market
from costplan.planner.workload import Quota

_STANDARD = (
    "[acdhmrtz][0-9]*",
    "i[0-9]*",
    "im[0-9]*",
    "is[0-9]*",
)
_G = ("g[0-9]*", "gr[0-9]*", "vt[0-9]*")
_P = ("p[0-9]*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class VcpuQuota:
    """A quota of EC2 by its code in Service Quotas, and the types that fall under it."""

    code: str
    market: Market
    instance_types: tuple[str, ...]

    def limit(self, region: str, vcpu_milli: int) -> Quota:
        """A value of it as the quota policy reads it."""
        return Quota(
            provider=PROVIDER,
            region=region,
            market=self.market,
            instance_types=self.instance_types,
            vcpu_milli=vcpu_milli,
        )


QUOTAS = (
    VcpuQuota(code="L-1216C47A", market=Market.ON_DEMAND, instance_types=_STANDARD),
    VcpuQuota(code="L-DB2E81BA", market=Market.ON_DEMAND, instance_types=_G),
    VcpuQuota(code="L-417A185B", market=Market.ON_DEMAND, instance_types=_P),
    VcpuQuota(code="L-34B43A08", market=Market.SPOT, instance_types=_STANDARD),
    VcpuQuota(code="L-3819A6DF", market=Market.SPOT, instance_types=_G),
    VcpuQuota(
        code="L-7212CCBC", market=Market.SPOT, instance_types=("p2.*", "p3.*", "p3dn.*", "p4*")
    ),
)
"""Running On-Demand Standard (A, C, D, H, I, M, R, T, Z), G and VT, and P instances; All Standard,
G and VT, and P4, P3 and P2 Spot Instance Requests. From the EC2 User Guide's table of quotas.
Patterns tell im4gn and is4gen, which are standard, from inf, and dl, hpc, trn and mac, which have
quotas of their own, from d, h, t and m."""


def vcpu_quotas(clients: Clients, settings: AwsSettings) -> tuple[Quota, ...]:
    """What the account may have of each kind in the region now. They count all machines of the
    account, and so bind earlier where others use it too."""
    found = []
    for quota in QUOTAS:
        with mapped("quotas", quota.code):
            answer = clients.reading("service-quotas").get_service_quota(
                ServiceCode="ec2", QuotaCode=quota.code
            )
        found.append(quota.limit(settings.region, int(answer["Quota"]["Value"] * 1000)))
    return tuple(found)
