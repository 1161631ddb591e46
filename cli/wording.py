"""Numbers, names and places of a plan as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from costplan.planner.types import WorkerShape
from costplan.planner.units import memory_text
from costplan.planner.wording import (
    counted,
    market_text,
    offer_text,
    percent,
    place_text,
    plain,
    rate,
    span_text,
    usd,
)

__all__ = [
    "against",
    "age_text",
    "counted",
    "gap_text",
    "machine_text",
    "market_text",
    "offer_text",
    "percent",
    "place_text",
    "plain",
    "rate",
    "rule_percent",
    "shape_text",
    "span_text",
    "usd",
    "usd_column",
    "workers_text",
]

_MOST_NAMED = 3


def usd_column(amounts: Iterable[Decimal | None], least_digits: int = 2) -> list[str]:
    """Dollars for a column, all with as many digits as it takes to tell them from nothing."""
    listed = list(amounts)
    sizes = [abs(each) for each in listed if each]
    small = bool(sizes) and (max(sizes) < 1 or min(sizes) < Decimal("0.005"))
    digits = max(least_digits, 4 if small else 2)
    return ["?" if each is None else f"{each:,.{digits}f}" for each in listed]


def rule_percent(share: float) -> str:
    """A share that a person wrote, as per cent and in full: 0.125 -> '12.5 %'."""
    return f"{share * 100:.6g} %"


def workers_text(workers: Mapping[str, int]) -> str:
    """'400 features, 8 train', most first; of many shapes the first and how many more."""
    ordered = sorted(workers.items(), key=lambda item: (-item[1], item[0]))
    named = ordered if len(ordered) <= _MOST_NAMED + 1 else ordered[:_MOST_NAMED]
    parts = [f"{count:,} {plain(name)}" for name, count in named]
    if len(named) < len(ordered):
        others = ordered[len(named) :]
        parts.append(f"{sum(count for _, count in others):,} of {len(others)} other shapes")
    return ", ".join(parts)


def shape_text(shape: WorkerShape) -> str:
    """'400 features of 4 vCPU, 16 GiB', and what GPUs and markets they ask for."""
    need = shape.need
    parts = [f"{need.vcpu_milli / 1000:g} vCPU", memory_text(need.memory_bytes)]
    if need.gpus:
        kinds = " or ".join(map(plain, shape.gpu_kinds)) or "GPU of any kind"
        parts.append(f"{need.gpus} {kinds}")
    if shape.markets:
        parts.append(f"{' or '.join(map(market_text, shape.markets))} only")
    return f"{shape.count:,} {plain(shape.name)} of {', '.join(parts)}"


def machine_text(vcpu: float, memory_bytes: int, gpus: int, gpu_kind: str | None) -> str:
    """'96 vCPU, 768 GiB', with GPUs '4 vCPU, 16 GiB, 1 T4'."""
    card = f", {gpus} {plain(gpu_kind or 'GPU')}" if gpus else ""
    return f"{vcpu:g} vCPU, {memory_text(memory_bytes)}{card}"


def against(expected: Decimal, other: Decimal) -> str:
    """How an amount compares with another: '58.2 % below', '3 % above', 'the same as'."""
    if other == expected == 0:
        return "the same as"
    if other <= 0 or not other.is_finite():
        return "not comparable with"
    share = (other - expected) / other
    if abs(share) < Decimal("0.0005"):
        return "the same as"
    return f"{percent(abs(share))} {'below' if share > 0 else 'above'}"


def gap_text(gap: float, termination: str) -> str:
    """How close a plan is to the cheapest possible, in words."""
    if not math.isfinite(gap):
        return "how close this is to the cheapest possible is not known"
    if termination == "optimal" and gap < 1e-9:
        return "proven: no fleet is cheaper"
    hundredths = max(math.ceil(gap * 1e4 - 1e-9), 1)
    words = f"within {hundredths / 100:,.4g} % of the cheapest possible"
    match termination:
        case "steps":
            return f"{words}; the search ended before it came closer"
        case "fallback":
            return f"{words}; packed greedily, the solver found nothing better"
        case _:
            return words


def age_text(observed_at: datetime, now: datetime) -> str:
    """How long ago a price was seen: '5 hours', '12 days', '20 months', '6.2 years'."""
    hours = max((now - observed_at).total_seconds() / 3600, 0)
    if hours < 48:
        return counted(round(hours), "hour")
    days = hours / 24
    if days < 90:
        return counted(round(days), "day")
    return counted(round(days / 30.4), "month") if days < 1000 else f"{days / 365.25:.1f} years"
