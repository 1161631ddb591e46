"""The account's vCPU quotas, as limits that the quota policy holds launches to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import RejectedByCode, mapped
from costplan.adapters.aws.machines import CLUSTER_TAG, listed, node_of, tags_of
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.fleet_limits import falls_under
from costplan.planner.types import Market, OfferKey
from costplan.planner.workload import Quota

_PAGE = 100
"""So many values a filter takes without more pages in the answer."""
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
    """A quota of EC2 by its code in Service Quotas, AWS's word for the family that it is of, and
    the types that fall under it."""

    code: str
    family: str
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
    VcpuQuota(
        code="L-1216C47A", family="standard", market=Market.ON_DEMAND, instance_types=_STANDARD
    ),
    VcpuQuota(code="L-DB2E81BA", family="G and VT", market=Market.ON_DEMAND, instance_types=_G),
    VcpuQuota(code="L-417A185B", family="P", market=Market.ON_DEMAND, instance_types=_P),
    VcpuQuota(code="L-34B43A08", family="standard", market=Market.SPOT, instance_types=_STANDARD),
    VcpuQuota(code="L-3819A6DF", family="G and VT", market=Market.SPOT, instance_types=_G),
    VcpuQuota(
        code="L-7212CCBC",
        family="P",
        market=Market.SPOT,
        instance_types=("p2.*", "p3.*", "p3dn.*", "p4*"),
    ),
)
"""Running On-Demand Standard (A, C, D, H, I, M, R, T, Z), G and VT, and P instances; All Standard,
G and VT, and P4, P3 and P2 Spot Instance Requests. From the EC2 User Guide's table of quotas.
Patterns tell im4gn and is4gen, which are standard, from inf, and dl, hpc, trn and mac, which have
quotas of their own, from d, h, t and m."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """A quota of the account in the region, what falls under it, and how much of it its machines
    take: those of the cluster, and the others."""

    quota: VcpuQuota
    rule: Quota
    limit_milli: int
    ours_milli: int
    others_milli: int


def quota_uses(clients: Clients, settings: AwsSettings) -> tuple[QuotaUse, ...]:
    """Those that the account has now."""
    limits = {quota: _value(clients, quota) for quota in QUOTAS}
    running = _running(clients, settings) if any(limits.values()) else Counter()
    found = []
    for quota, value in limits.items():
        if value is None:
            continue
        limit = int(value * 1000)
        rule = quota.limit(settings.region, limit)
        used = {True: 0, False: 0}
        for (key, is_ours), vcpu_milli in running.items():
            used[is_ours] += vcpu_milli if falls_under(rule, key) else 0
        found.append(
            QuotaUse(
                quota=quota,
                rule=rule,
                limit_milli=limit,
                ours_milli=used[True],
                others_milli=used[False],
            )
        )
    return tuple(found)


def vcpu_quotas(clients: Clients, settings: AwsSettings) -> tuple[Quota, ...]:
    """What the account may have of each kind in the region now, less what its machines that are
    not the cluster's take. A quota that the account does not have limits nothing."""
    found = []
    for one in quota_uses(clients, settings):
        used = one.others_milli
        less = f" less {used / 1000:g} of other machines" if used else ""
        name = f"the account's quota {one.quota.code} of {one.limit_milli / 1000:g} vCPU{less}"
        left = max(0, one.limit_milli - used)
        found.append(replace(one.rule, vcpu_milli=left, name=name))
    return tuple(found)


def _value(clients: Clients, quota: VcpuQuota) -> float | None:
    try:
        with mapped("servicequotas:GetServiceQuota", quota.code):
            answer = clients.reading("service-quotas").get_service_quota(
                ServiceCode="ec2", QuotaCode=quota.code
            )
    except RejectedByCode as error:
        if error.code == "NoSuchResourceException":
            return None
        raise
    return float(answer["Quota"]["Value"])


def _running(clients: Clients, settings: AwsSettings) -> Counter[tuple[OfferKey, bool]]:
    """Milli-vCPU of the machines that run, by offer and whether they are the cluster's."""
    ec2 = clients.reading("ec2")
    runs = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    with mapped("ec2:DescribeInstances", settings.region):
        machines = Counter(
            (
                node_of(one, settings.region, one["LaunchTime"]).key,
                tags_of(one).get(CLUSTER_TAG) == settings.cluster,
            )
            for one in listed(ec2, runs)
        )
    sizes = _vcpu_milli(ec2, sorted({key.instance_type for key, _ in machines}))
    return Counter({one: n * sizes.get(one[0].instance_type, 0) for one, n in machines.items()})


def _vcpu_milli(ec2: Any, types: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(types), _PAGE):
        named = [{"Name": "instance-type", "Values": list(types[start : start + _PAGE])}]
        with mapped("ec2:DescribeInstanceTypes", types[start]):
            answer = ec2.describe_instance_types(Filters=named)
        found |= {
            one["InstanceType"]: one["VCpuInfo"]["DefaultVCpus"] * 1000
            for one in answer["InstanceTypes"]
        }
    return found
