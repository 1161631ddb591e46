"""The sections of a scenario file as pydantic models.

A field's Python name is the key in the file; values are in the planner's units. Instants are
seconds from the start of the scenario. `docs/local-provider.md` documents every key.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, model_validator

from costplan.planner.config_fields import (
    Architecture,
    Filled,
    Flag,
    GpuCount,
    Hazard,
    MachineVcpuMilli,
    MarketName,
    MemoryBytes,
    Name,
    NodeLimit,
    NodeQuota,
    PicoPerHour,
    Provider,
    Text,
    refusal,
    shown,
    suggestion,
)
from costplan.planner.config_section import Section
from costplan.planner.types import Market
from costplan.planner.units import parse_seconds

_MAX_SECONDS = 10 * 365 * 86400
_WAY_OUT = "write it like 1.5s, 500ms or 10min"
_PARTS = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")


def _seconds(value: object) -> float:
    """Seconds, with fractions, from a number or from text such as 1.5s, 500ms or 10min."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise refusal(f"{shown(value)} is not a time in seconds", _WAY_OUT)
    parts = _PARTS.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if parts is not None:
            seconds = float(parts.group(1)) / (1000 if parts.group(2) == "ms" else 1)
        else:
            seconds = float(parse_seconds(value)) if isinstance(value, str) else float(value)
    except ValueError as error:
        raise refusal(str(error).partition("; ")[0], _WAY_OUT) from None
    if not math.isfinite(seconds) or not 0 <= seconds <= _MAX_SECONDS:
        raise refusal(f"{shown(value)} is not 0 or more and at most 10 years", _WAY_OUT)
    return seconds


def _notice(value: object) -> float | None:
    """Seconds of warning, None where there is none."""
    return None if value in (None, "none") else _seconds(value)


def _which(value: object) -> str | int:
    if value in ("oldest", "newest"):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise refusal(
            f"{shown(value)} chooses no machine", "write oldest, newest, or 2 for the 2nd"
        )
    return value


def _zone(value: object) -> object:
    return None if value == "" else value


def _one_of(*words: str) -> BeforeValidator:
    def check(value: object) -> object:
        if value not in words:
            remedy = f"{suggestion(str(value), words)} valid are {', '.join(words)}".strip()
            raise refusal(f"{shown(value)} is none of them", remedy)
        return value

    return BeforeValidator(check)


Seconds = Annotated[float, BeforeValidator(_seconds)]
Notice = Annotated[float | None, BeforeValidator(_notice)]
Which = Annotated[str | int, BeforeValidator(_which)]
Kind = Annotated[str, _one_of("reclaim", "rebalance")]
Outcome = Annotated[
    str,
    _one_of("lost_answer", "throttled", "unreachable", "quota", "no_capacity", "never_joins"),
]


class Aimed(Section):
    """Something that befalls the offers that a pattern means."""

    offer: Text


class PlaceSection(Section):
    """Where offers are that do not say it themselves."""

    provider: Provider = "local"
    region: Text = "here"
    zone: Annotated[Text | None, BeforeValidator(_zone)] = None


class OfferSection(Section):
    """A machine type in one or more markets. What is not given comes from the price list."""

    type: Text
    provider: Provider | None = None
    region: Text | None = None
    zone: Annotated[Text | None, BeforeValidator(_zone)] = None
    markets: Annotated[tuple[MarketName, ...], Filled] = (Market.ON_DEMAND,)
    arch: Architecture | None = None
    vcpu: MachineVcpuMilli | None = None
    memory: MemoryBytes | None = None
    gpus: GpuCount | None = None
    gpu_kind: Text | None = None
    usd_per_hour: PicoPerHour | None = None
    hazard_per_hour: Hazard | None = None
    boot: Seconds | None = None
    capacity: NodeQuota | None = None
    tells_headroom: Flag = True


class PriceSection(Aimed):
    """From an instant on, a price, or so many times the first price."""

    at: Seconds
    usd_per_hour: PicoPerHour | None = None
    times: float | None = None

    @model_validator(mode="after")
    def _one_price(self) -> PriceSection:
        if (self.usd_per_hour is None) == (self.times is None):
            raise refusal("a price change has one of usd_per_hour and times", "write one of them")
        if self.times is not None and not (math.isfinite(self.times) and self.times > 0):
            raise refusal(f"times {self.times} is not above 0", "write it like 1.5")
        return self

    @property
    def factor(self) -> Decimal | None:
        """`times` as people wrote it."""
        return None if self.times is None else Decimal(repr(self.times))


class CapacitySection(Aimed):
    """From an instant on, how many machines of each offer may be there at once; null: any."""

    at: Seconds
    machines: NodeQuota | None
    reclaim: Flag = False
    notice: Notice = None


class InterruptionSection(Aimed):
    """A machine that is taken away, or ('rebalance') said to be in danger."""

    at: Seconds
    offer: Text = "*/spot"
    which: Which = "oldest"
    notice: Notice = None
    kind: Kind = "reclaim"
    min_age: Seconds = 0.0
    wait: Flag = False


class LaunchSection(Aimed):
    """What becomes of the nth launch of an offer, counted from 1 over the whole scenario."""

    launch: NodeLimit
    offer: Text = "*"
    boot: Seconds | None = None
    outcome: Outcome | None = None

    @model_validator(mode="after")
    def _something(self) -> LaunchSection:
        if self.boot is None and self.outcome is None:
            raise refusal("the launch has neither boot nor outcome", "add one of them")
        return self


class OutageSection(Section):
    """A while in which the provider answers nothing."""

    at: Seconds
    seconds: Seconds


class TraceSection(Aimed):
    """Capacity over time from a file of recorded spot availability, `speed` times as fast."""

    file: Text
    trace: Text
    start: Seconds = 0.0
    speed: float = 1.0
    notice: Notice = None

    @model_validator(mode="after")
    def _forward(self) -> TraceSection:
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise refusal(f"speed {self.speed} is not above 0", "write it like 60")
        return self


class ScenarioSection(Section):
    """The whole file."""

    scenario: Name
    place: PlaceSection = PlaceSection()
    boot: Seconds = 1.0
    grace: Seconds = 2.0
    retention: Seconds = 3600.0
    nanny: Flag = False
    power_off: Flag = True
    offers: Annotated[tuple[OfferSection, ...], Filled]
    prices: tuple[PriceSection, ...] = ()
    capacity: tuple[CapacitySection, ...] = ()
    interruptions: tuple[InterruptionSection, ...] = ()
    launches: tuple[LaunchSection, ...] = ()
    outages: tuple[OutageSection, ...] = ()
    traces: tuple[TraceSection, ...] = ()
