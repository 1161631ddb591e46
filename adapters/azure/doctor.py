"""What a run on Azure needs, looked at without changing anything."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.errors import calling
from costplan.adapters.azure.offers import families
from costplan.adapters.azure.provider import AzureProvider
from costplan.adapters.azure.quotas import CORES, SPOT_CORES, Usage, usages
from costplan.adapters.azure.settings import AzureSettings
from costplan.planner.doctor import (
    Allowance,
    Check,
    Finding,
    Wanted,
    clock_finding,
    not_checked,
    ok,
    permission_findings,
    quota_findings,
)
from costplan.planner.errors import CredentialsRejected
from costplan.planner.nodes import MachineState
from costplan.planner.types import Market, Offer

PERMISSIONS = (
    "Microsoft.Compute/disks/delete",
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Compute/virtualMachines/instanceView/read",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Insights/eventtypes/values/read",
    "Microsoft.Network/networkInterfaces/delete",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.ResourceGraph/resources/read",
    "Microsoft.ResourceHealth/availabilityStatuses/read",
)
"""What is needed in the resource group, whatever is configured. Sizes and quotas are read by other
checks; subnet, security group, identity and image may be in other groups."""

_PUBLIC_IP = (
    "Microsoft.Network/publicIPAddresses/delete",
    "Microsoft.Network/publicIPAddresses/join/action",
    "Microsoft.Network/publicIPAddresses/write",
)
_SCALE_SET = (
    "Microsoft.Compute/virtualMachineScaleSets/read",
    "Microsoft.Compute/virtualMachineScaleSets/write",
)
_VERSION = "2022-04-01"
_FORBIDDEN = 403
_WHOLE_SECOND = 1.0
"""A Date header has no fractions."""


def checks(
    clients: Clients,
    settings: AzureSettings,
    provider: AzureProvider,
    sold: Callable[[], Sequence[Offer]],
    wanted: Sequence[Wanted],
    clock: Callable[[], datetime],
) -> tuple[Check, ...]:
    """All that can be asked of Azure; `sold` are the offers that may be bought."""
    return (
        Check("credentials", lambda: access_findings(clients, settings, clock)),
        Check(
            "quotas",
            lambda: quota_findings(allowances(clients, settings, provider, sold()), wanted),
        ),
    )


def access_findings(
    clients: Clients, settings: AzureSettings, clock: Callable[[], datetime]
) -> Iterator[Finding]:
    """Whether we are let in, what we may do in the resource group, and how far our clock is from
    Azure's."""
    path = f"{settings.group_id}/providers/Microsoft.Authorization/permissions"
    began = clock()
    try:
        with calling("doctor", settings.resource_group):
            answer, dated = clients.read_dated(path, {"api-version": _VERSION})
    except CredentialsRejected as error:
        if getattr(error.__cause__, "status_code", None) != _FORBIDDEN:
            raise
        text = f"what we may do in {settings.resource_group}: it may not be asked"
        yield not_checked("permissions", text, "grant Microsoft.Authorization/permissions/read")
        return
    ended = clock()
    where = f"subscription {settings.subscription}, resource group {settings.resource_group}"
    yield ok("credentials", where)
    asked = [
        *PERMISSIONS,
        *(_PUBLIC_IP if settings.public_ip else ()),
        *(_SCALE_SET if settings.scale_set else ()),
    ]
    granted = [action for action in asked if _is_granted(action, answer["value"])]
    unclear = ["those of subnet, security group, identity and image"]
    refused = [action for action in asked if action not in granted]
    yield from permission_findings("role", granted, refused, unclear)
    if dated:
        half = (ended - began) / 2
        skew = (began + half - parsedate_to_datetime(dated)).total_seconds()
        yield clock_finding("Azure", skew, half.total_seconds() + _WHOLE_SECOND)


def _is_granted(action: str, roles: Sequence[Mapping[str, Any]]) -> bool:
    """True where one of the roles has the action and does not take it out again."""
    return any(
        _is_among(action, role.get("actions") or ())
        and not _is_among(action, role.get("notActions") or ())
        for role in roles
    )


def _is_among(action: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), one.lower()) for one in patterns)


def allowances(
    clients: Clients, settings: AzureSettings, provider: AzureProvider, offers: Sequence[Offer]
) -> list[Allowance]:
    """The location's vCPU quotas of the offers: that of spot, and of on demand that of all cores
    or those of the families, whichever leaves less."""
    quotas, family_of = usages(clients, settings), families(clients, settings)
    alive = [one.key for one in provider.nodes() if one.state is not MachineState.ENDED]

    def allowance(quota: Usage, members: Sequence[Offer]) -> Allowance:
        vcpus = {offer.key: offer.resources.vcpu_milli / 1000 for offer in members}
        return Allowance(
            name=f"{quota.name} in {settings.location}",
            unit="vCPU",
            limit=quota.limit,
            used=quota.used,
            ours=sum(vcpus.get(key, 0.0) for key in alive),
        )

    spot = [offer for offer in offers if offer.key.market is Market.SPOT]
    firm = [offer for offer in offers if offer.key.market is Market.ON_DEMAND]
    by_family: dict[str, list[Offer]] = {}
    for offer in firm:
        by_family.setdefault(family_of.get(offer.key.instance_type, ""), []).append(offer)
    found = [allowance(quotas[SPOT_CORES], spot)] if spot and SPOT_CORES in quotas else []
    each = [
        allowance(quotas[family], members)
        for family, members in by_family.items()
        if family in quotas
    ]
    whole = [allowance(quotas[CORES], firm)] if firm and CORES in quotas else []
    is_less = each and (not whole or sum(one.room for one in each) < whole[0].room)
    return [*found, *(each if is_less else whole)]
