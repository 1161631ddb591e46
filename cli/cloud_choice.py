"""Which cloud a command reads from, and what of it: by its flags, or else by the configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from costplan.planner.azure_config import AzureChoice
from costplan.planner.config_fields import suggestion
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.errors import InputError
from costplan.planner.provider_config import AwsChoice, GcpChoice

if TYPE_CHECKING:
    from costplan.adapters.azure.settings import AzureSettings

Choice = TypeVar("Choice", AwsChoice, GcpChoice, AzureChoice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be read. No regions are those of the configuration, or of the cloud's own
    settings. `project` is Google's, or Azure's subscription, '' for the configured one. `file` says
    how the cloud is reached, where it is of this cloud."""

    regions: tuple[str, ...]
    project: str
    file: DaemonConfig | None
    clock: Callable[[], datetime]


def cloud_name(
    provider: str | None, asked: Asked, clouds: Collection[str], *, lacks: str, others: str
) -> str:
    """The cloud that is named, or else that of the configuration.

    Raises InputError where that is none of `clouds`: another `lacks` what is read, and `others` are
    the ways to say which beside naming one.
    """
    name = provider or _configured(asked)
    if not name:
        way_out = f"use one of {', '.join(clouds)}, {others}"
        raise InputError("--provider", "is not given", way_out)
    if name not in clouds:
        way_out = suggestion(name, clouds) or f"use one of {', '.join(clouds)}"
        raise InputError(f"--provider {name}", lacks, way_out)
    return name


def _configured(asked: Asked) -> str:
    match asked.file and asked.file.provider:
        case AwsChoice():
            return "aws"
        case GcpChoice():
            return "gcp"
        case AzureChoice():
            return "azure"
    return ""


def choice_of(asked: Asked, kind: type[Choice]) -> Choice | None:
    """What the configuration says of a kind of cloud, None where it is of another."""
    choice = asked.file.provider if asked.file else None
    return choice if isinstance(choice, kind) else None


def aws_regions(asked: Asked, choice: AwsChoice | None) -> tuple[str, ...]:
    """The regions of AWS to read; raises InputError where nothing says any."""
    from costplan.adapters.aws.region import default_region

    regions = asked.regions or ((choice.region if choice else default_region("")),)
    if regions == ("",):
        raise InputError("--region", "is not given", "name one, or set AWS_REGION")
    return regions


def gcp_project(asked: Asked, choice: GcpChoice | None, way_out: str) -> str:
    """The project of Google Cloud to ask; raises InputError where nothing says one."""
    given = asked.project or os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    project = given or (choice.project if choice else "")
    if not project:
        raise InputError("--project", "is not given", way_out)
    return project


def azure_subscription(asked: Asked, choice: AzureChoice | None, way_out: str) -> str:
    """The subscription of Azure to ask; raises InputError where nothing says one."""
    given = asked.project or os.environ.get("AZURE_SUBSCRIPTION_ID", "")
    subscription = given or (choice.subscription if choice else "")
    if not subscription:
        way_out = f"{way_out}, or set AZURE_SUBSCRIPTION_ID"
        raise InputError("--project", "is not given", way_out)
    return subscription


def at_endpoints(settings: AzureSettings, choice: AzureChoice | None) -> AzureSettings:
    """The settings with the addresses of the configuration, where it says any."""
    from costplan.cli.cloud_access import azure_settings

    if choice is None:
        return settings
    own = azure_settings(choice)
    return replace(settings, endpoint=own.endpoint, prices_endpoint=own.prices_endpoint)
