"""Where `costplan prices sync` reads from: the regions of a cloud, one source each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from costplan.adapters.feeds.sync import Source
from costplan.planner.azure_config import AzureChoice
from costplan.planner.config_fields import suggestion
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.errors import InputError
from costplan.planner.provider_config import AwsChoice, GcpChoice
from costplan.planner.provider_config_models import ADVISOR_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be read. No regions are those of the configuration, or of the cloud's own
    settings; no patterns are all machine types. `project` is Google's, or Azure's subscription,
    '' for the configured one. `file` says how the cloud is reached, where it is of this cloud."""

    regions: tuple[str, ...]
    patterns: tuple[str, ...]
    project: str
    file: DaemonConfig | None
    clock: Callable[[], datetime]


def sources(provider: str | None, asked: Asked) -> tuple[Source, ...]:
    """The sources of these regions.

    Raises InputError where cloud or region are not known, or an extra is not installed.
    """
    name = provider or _provider_of(asked.file)
    if name not in CLOUDS:
        way_out = suggestion(name, CLOUDS) or f"use one of {', '.join(CLOUDS)}"
        raise InputError(f"--provider {name}", "has no prices to read", way_out)
    return CLOUDS[name](asked)


def _provider_of(file: DaemonConfig | None) -> str:
    match file and file.provider:
        case AwsChoice():
            return "aws"
        case GcpChoice():
            return "gcp"
        case AzureChoice():
            return "azure"
    way_out = f"use one of {', '.join(CLOUDS)}, or a --config that has one"
    raise InputError("--provider", "is not given", way_out)


def _aws(asked: Asked) -> tuple[Source, ...]:
    from costplan.adapters.aws.region import default_region, source

    choice = asked.file.provider if asked.file else None
    choice = choice if isinstance(choice, AwsChoice) else None
    profile = choice.profile if choice else ""
    regions = asked.regions or ((choice.region if choice else default_region(profile)),)
    if regions == ("",):
        raise InputError("--region", "is not given", "name one, or set AWS_REGION")
    return tuple(
        source(
            region,
            instance_types=asked.patterns,
            profile=profile,
            endpoint_url=choice.endpoint_url if choice else "",
            advisor_url=choice.advisor_url if choice else ADVISOR_URL,
            clock=asked.clock,
        )
        for region in regions
    )


def _gcp(asked: Asked) -> tuple[Source, ...]:
    from costplan.adapters.gcp.region import sources
    from costplan.adapters.gcp.settings import region_of
    from costplan.cli.cloud_access import gcp_clients

    choice = asked.file.provider if asked.file else None
    choice = choice if isinstance(choice, GcpChoice) else None
    given = asked.project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    project = given or (choice.project if choice else "")
    configured = choice.zones if choice else ()
    regions = asked.regions or tuple(sorted({region_of(zone) for zone in configured}))
    if not project:
        raise InputError("--project", "is not given", "name the project whose prices are read")
    if not regions:
        raise InputError("--region", "is not given", "name one, such as us-central1")
    clients = gcp_clients(choice.endpoint_url if choice else "")
    return sources(clients, project, regions, machine_types=asked.patterns, clock=asked.clock)


def _azure(asked: Asked) -> tuple[Source, ...]:
    from costplan.adapters.azure.clients import Clients
    from costplan.adapters.azure.region import settings_of, source
    from costplan.cli.cloud_access import azure_settings

    choice = asked.file.provider if asked.file else None
    choice = choice if isinstance(choice, AzureChoice) else None
    given = asked.project or os.environ.get("AZURE_SUBSCRIPTION_ID", "")
    subscription = given or (choice.subscription if choice else "")
    regions = asked.regions or ((choice.region,) if choice else ())
    if not subscription:
        way_out = "name the subscription whose sizes are read, or set AZURE_SUBSCRIPTION_ID"
        raise InputError("--project", "is not given", way_out)
    if not regions:
        raise InputError("--region", "is not given", "name one, such as eastus")
    found = [settings_of(region, subscription, asked.patterns) for region in regions]
    if choice is not None:
        own = azure_settings(choice)
        found = [
            replace(one, endpoint=own.endpoint, prices_endpoint=own.prices_endpoint)
            for one in found
        ]
    return tuple(source(Clients(settings), settings, asked.clock) for settings in found)


CLOUDS: dict[str, Callable[[Asked], tuple[Source, ...]]] = {
    "aws": _aws,
    "gcp": _gcp,
    "azure": _azure,
}
"""How to get at the regions of each cloud that has prices to read."""
