"""Where `costplan prices sync` reads from: the regions of a cloud, one source each."""

from __future__ import annotations

from collections.abc import Callable

from costplan.adapters.feeds.sync import Source
from costplan.cli import cloud_choice
from costplan.cli.cloud_choice import Asked, choice_of
from costplan.planner.azure_config import AzureChoice
from costplan.planner.errors import InputError
from costplan.planner.provider_config import AwsChoice, GcpChoice
from costplan.planner.provider_config_models import ADVISOR_URL

Patterns = tuple[str, ...]
"""Machine types to read; none are all."""


def sources(provider: str | None, asked: Asked, patterns: Patterns) -> tuple[Source, ...]:
    """The sources of these regions.

    Raises InputError where cloud or region are not known, or an extra is not installed.
    """
    name = cloud_choice.cloud_name(
        provider, asked, CLOUDS, lacks="has no prices to read", others="or a --config that has one"
    )
    return CLOUDS[name](asked, patterns)


def _aws(asked: Asked, patterns: Patterns) -> tuple[Source, ...]:
    from costplan.adapters.aws.region import source

    choice = choice_of(asked, AwsChoice)
    return tuple(
        source(
            region,
            instance_types=patterns,
            profile=choice.profile if choice else "",
            endpoint_url=choice.endpoint_url if choice else "",
            advisor_url=choice.advisor_url if choice else ADVISOR_URL,
            clock=asked.clock,
        )
        for region in cloud_choice.aws_regions(asked, choice)
    )


def _gcp(asked: Asked, patterns: Patterns) -> tuple[Source, ...]:
    from costplan.adapters.gcp.region import sources
    from costplan.adapters.gcp.settings import region_of
    from costplan.cli.cloud_access import gcp_clients

    choice = choice_of(asked, GcpChoice)
    project = cloud_choice.gcp_project(asked, choice, "name the project whose prices are read")
    configured = choice.zones if choice else ()
    regions = asked.regions or tuple(sorted({region_of(zone) for zone in configured}))
    if not regions:
        raise InputError("--region", "is not given", "name one, such as us-central1")
    clients = gcp_clients(choice.endpoint_url if choice else "")
    return sources(clients, project, regions, machine_types=patterns, clock=asked.clock)


def _azure(asked: Asked, patterns: Patterns) -> tuple[Source, ...]:
    from costplan.adapters.azure.clients import Clients
    from costplan.adapters.azure.region import settings_of, source

    choice = choice_of(asked, AzureChoice)
    way_out = "name the subscription whose sizes are read"
    subscription = cloud_choice.azure_subscription(asked, choice, way_out)
    regions = asked.regions or ((choice.region,) if choice else ())
    if not regions:
        raise InputError("--region", "is not given", "name one, such as eastus")
    found = [
        cloud_choice.at_endpoints(settings_of(region, subscription, patterns), choice)
        for region in regions
    ]
    return tuple(source(Clients(settings), settings, asked.clock) for settings in found)


CLOUDS: dict[str, Callable[[Asked, Patterns], tuple[Source, ...]]] = {
    "aws": _aws,
    "gcp": _gcp,
    "azure": _azure,
}
"""How to get at the regions of each cloud that has prices to read."""
