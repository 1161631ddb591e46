"""How fast types of machines do the work, as the autoscaler's file has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from costplan.planner.config_fields import Flag, Text, refusal, shown
from costplan.planner.config_section import Section
from costplan.planner.settings import SpeedRules

LEAST, MOST = 0.1, 10.0


def _factor(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST <= value <= MOST:
        raise refusal(
            f"{shown(value)} is not a speed from {LEAST:g} to {MOST:g}",
            "write how many times as fast as others it does the work, such as 1.4",
        )
    return float(value)


SpeedFactor = Annotated[float, BeforeValidator(_factor)]


class SpeedSection(Section):
    """Whether speeds are learnt, and those that are known, by pattern of a type's name."""

    learn: Flag = SpeedRules().learn
    factors: Annotated[dict[Text, SpeedFactor], Field(default_factory=dict)]
    prior: Annotated[dict[Text, SpeedFactor], Field(default_factory=dict)]


NO_SPEEDS = SpeedSection.model_validate({})
