"""What a worker says of its machine: its type, market and zone, and perhaps what it costs.

`adapters/node/agent.py` puts it into what a worker tells when it registers. Workers that costplan's
start scripts began also carry it as resources, for tasks that ask for a type, market or zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costplan.adapters.dask.names import shortened
from costplan.planner.units import PICO_PER_USD, pico_from_usd

CLAIM = "costplan"
MARKETS = ("spot", "on_demand", "reserved")
MOST_USD_PER_HOUR = 10_000


@dataclass(frozen=True, slots=True)
class Machine:
    """As a worker has it; '' of what it does not say. `pico_per_hour` is of the worker."""

    instance_type: str = ""
    market: str = ""
    zone: str = ""
    pico_per_hour: int | None = None


def machine_of(state: Any) -> Machine:
    """What the scheduler's state of a worker says of its machine; what is no name is left out."""
    told = (getattr(state, "extra", None) or {}).get(CLAIM)
    said = told if isinstance(told, dict) else {}
    resources = [name for name in getattr(state, "resources", {}) if isinstance(name, str)]
    market = _name(said.get("market")) or next((n for n in resources if n in MARKETS), "")
    return Machine(
        instance_type=_name(said.get("type")) or _after(resources, "type-"),
        market=market if market in MARKETS else "",
        zone=_name(said.get("zone")) or _after(resources, "zone-"),
        pico_per_hour=_rate(said.get("usd_per_hour")),
    )


def _name(value: Any) -> str:
    return shortened(value) if isinstance(value, str) and value else ""


def _after(names: list[str], start: str) -> str:
    return next((shortened(n.removeprefix(start)) for n in names if n.startswith(start)), "")


def _rate(value: Any) -> int | None:
    """Pico-dollars an hour, None of what is no amount that a machine costs."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        pico = pico_from_usd(value)
    except (ValueError, ArithmeticError):
        return None
    return pico if 0 <= pico <= MOST_USD_PER_HOUR * PICO_PER_USD else None
