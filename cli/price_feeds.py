"""Where `costplan prices sync` reads from: the regions of a cloud, one source each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from costplan.adapters.feeds.sync import Source
from costplan.planner.config_fields import suggestion
from costplan.planner.daemon_config import AwsChoice, DaemonConfig
from costplan.planner.errors import InputError
from costplan.planner.provider_config_models import ADVISOR_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be read. No regions are those of the configuration, or of the cloud's own
    settings; no patterns are all machine types. `file` says how the cloud is reached, where it is
    of this cloud."""

    regions: tuple[str, ...]
    patterns: tuple[str, ...]
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


CLOUDS: dict[str, Callable[[Asked], tuple[Source, ...]]] = {"aws": _aws}
"""How to get at the regions of each cloud that has prices to read."""
