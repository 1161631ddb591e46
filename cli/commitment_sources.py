"""Where `costplan commitments import` reads from: what is held with a cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from costplan.cli import cloud_choice
from costplan.cli.cloud_choice import Asked, choice_of
from costplan.planner.azure_config import AzureChoice
from costplan.planner.commitments.holdings import Holdings, joined
from costplan.planner.errors import (
    CredentialsRejected,
    InputError,
    ProviderError,
    Throttled,
    Unreachable,
)
from costplan.planner.provider_config import AwsChoice, GcpChoice
from costplan.planner.provider_config_models import ADVISOR_URL


def holdings(provider: str | None, asked: Asked) -> Holdings:
    """What is held with a cloud.

    Raises InputError where cloud or region are not known, where an extra is not installed, or
    where something could not be read: then nothing counts as read.
    """
    others = "a --config that has one, or --file"
    name = cloud_choice.cloud_name(
        provider, asked, CLOUDS, lacks="has no commitments to read", others=others
    )
    with _with_way_out(name):
        return CLOUDS[name](asked)


@contextmanager
def _with_way_out(provider: str) -> Iterator[None]:
    try:
        yield
    except CredentialsRejected as error:
        guide = f"see 'Set-up' and 'What commitments need' in docs/clouds/{provider}.md"
        raise InputError(str(error), "nothing was read", guide) from error
    except Throttled as error:
        raise InputError(str(error), "nothing was read", "ask again in a minute") from error
    except Unreachable as error:
        way_out = "nothing was read; is the cloud, or `endpoint`, to be reached from here?"
        raise InputError(str(error), way_out) from error
    except ProviderError as error:
        raise InputError(str(error), "nothing was read") from error


def _aws(asked: Asked) -> Holdings:
    from costplan.adapters.aws.clients import Clients
    from costplan.adapters.aws.commitments import holdings as read
    from costplan.adapters.aws.region import check_region
    from costplan.adapters.aws.settings import AwsSettings

    choice = choice_of(asked, AwsChoice)
    found = []
    for region in cloud_choice.aws_regions(asked, choice):
        check_region(region)
        settings = AwsSettings(
            cluster="",
            region=region,
            zones=(),
            images={},
            profile=choice.profile if choice else "",
            endpoint_url=choice.endpoint_url if choice else "",
            advisor_url=choice.advisor_url if choice else ADVISOR_URL,
        )
        found.append(read(Clients(settings), settings, asked.clock))
    return joined(found)


def _gcp(asked: Asked) -> Holdings:
    from costplan.adapters.gcp.commitments import holdings as read
    from costplan.cli.cloud_access import gcp_clients

    choice = choice_of(asked, GcpChoice)
    project = cloud_choice.gcp_project(asked, choice, "name the project that bought them")
    return read(gcp_clients(choice.endpoint_url if choice else ""), project, asked.regions)


def _azure(asked: Asked) -> Holdings:
    from costplan.adapters.azure.clients import Clients
    from costplan.adapters.azure.commitments import holdings as read
    from costplan.adapters.azure.region import settings_of

    choice = choice_of(asked, AzureChoice)
    way_out = "name the subscription that asks"
    subscription = cloud_choice.azure_subscription(asked, choice, way_out)
    # Reservations are of no location.
    settings = cloud_choice.at_endpoints(settings_of("global", subscription, ()), choice)
    regions = [region.lower() for region in asked.regions]
    return read(Clients(settings), settings, regions, asked.clock())


CLOUDS: dict[str, Callable[[Asked], Holdings]] = {"aws": _aws, "gcp": _gcp, "azure": _azure}
"""How to ask each cloud that sells commitments."""
