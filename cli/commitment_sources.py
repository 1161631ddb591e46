"""Where `costplan commitments import` reads from: what is held with a cloud."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from costplan.planner.azure_config import AzureChoice
from costplan.planner.commitments.holdings import Holdings, joined
from costplan.planner.config_fields import suggestion
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.errors import (
    CredentialsRejected,
    InputError,
    ProviderError,
    Throttled,
    Unreachable,
)
from costplan.planner.provider_config import AwsChoice, GcpChoice
from costplan.planner.provider_config_models import ADVISOR_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be read. No regions are those of the configuration, or of the cloud's own
    settings. `project` is Google's, or Azure's subscription, '' for the configured one. `file` says
    how the cloud is reached, where it is of this cloud."""

    regions: tuple[str, ...]
    project: str
    file: DaemonConfig | None
    clock: Callable[[], datetime]


def holdings(provider: str | None, asked: Asked) -> Holdings:
    """What is held with a cloud.

    Raises InputError where cloud or region are not known, where an extra is not installed, or
    where something could not be read: then nothing counts as read.
    """
    name = provider or _provider_of(asked.file)
    if name not in CLOUDS:
        way_out = suggestion(name, CLOUDS) or f"use one of {', '.join(CLOUDS)}"
        raise InputError(f"--provider {name}", "has no commitments to read", way_out)
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


def _provider_of(file: DaemonConfig | None) -> str:
    match file and file.provider:
        case AwsChoice():
            return "aws"
        case GcpChoice():
            return "gcp"
        case AzureChoice():
            return "azure"
    way_out = f"use one of {', '.join(CLOUDS)}, a --config that has one, or --file"
    raise InputError("--provider", "is not given", way_out)


def _aws(asked: Asked) -> Holdings:
    from costplan.adapters.aws.clients import Clients
    from costplan.adapters.aws.commitments import holdings as read
    from costplan.adapters.aws.region import check_region, default_region
    from costplan.adapters.aws.settings import AwsSettings

    choice = asked.file.provider if asked.file else None
    choice = choice if isinstance(choice, AwsChoice) else None
    profile = choice.profile if choice else ""
    regions = asked.regions or ((choice.region if choice else default_region(profile)),)
    if regions == ("",):
        raise InputError("--region", "is not given", "name one, or set AWS_REGION")
    found = []
    for region in regions:
        check_region(region)
        settings = AwsSettings(
            cluster="",
            region=region,
            zones=(),
            images={},
            profile=profile,
            endpoint_url=choice.endpoint_url if choice else "",
            advisor_url=choice.advisor_url if choice else ADVISOR_URL,
        )
        found.append(read(Clients(settings), settings, asked.clock))
    return joined(found)


def _gcp(asked: Asked) -> Holdings:
    from costplan.adapters.gcp.commitments import holdings as read
    from costplan.cli.cloud_access import gcp_clients

    choice = asked.file.provider if asked.file else None
    choice = choice if isinstance(choice, GcpChoice) else None
    given = asked.project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    project = given or (choice.project if choice else "")
    if not project:
        raise InputError("--project", "is not given", "name the project that bought them")
    return read(gcp_clients(choice.endpoint_url if choice else ""), project, asked.regions)


def _azure(asked: Asked) -> Holdings:
    from costplan.adapters.azure.clients import Clients
    from costplan.adapters.azure.commitments import holdings as read
    from costplan.adapters.azure.region import settings_of
    from costplan.cli.cloud_access import azure_settings

    choice = asked.file.provider if asked.file else None
    choice = choice if isinstance(choice, AzureChoice) else None
    given = asked.project or os.environ.get("AZURE_SUBSCRIPTION_ID", "")
    subscription = given or (choice.subscription if choice else "")
    if not subscription:
        way_out = "name the subscription that asks, or set AZURE_SUBSCRIPTION_ID"
        raise InputError("--project", "is not given", way_out)
    settings = settings_of("global", subscription, ())  # reservations are of no location
    if choice is not None:
        own = azure_settings(choice)
        settings = replace(settings, endpoint=own.endpoint, prices_endpoint=own.prices_endpoint)
    regions = [region.lower() for region in asked.regions]
    return read(Clients(settings), settings, regions, asked.clock())


CLOUDS: dict[str, Callable[[Asked], Holdings]] = {"aws": _aws, "gcp": _gcp, "azure": _azure}
"""How to ask each cloud that sells commitments."""
