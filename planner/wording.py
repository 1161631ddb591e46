"""Numbers, names and places as people read them, for every text that the product writes."""

from __future__ import annotations

from decimal import Decimal

from costplan.planner.types import Market, OfferKey
from costplan.planner.units import seconds_text


def plain(text: str) -> str:
    """Text without control characters: a price list must not steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def usd(amount: Decimal) -> str:
    """Dollars for a sentence: '$30.48', '$1,234.50', and as many digits as a small amount
    takes: '$0.0021', '$0.000012'."""
    return f"-${_digits(-amount)}" if amount < 0 else f"${_digits(amount)}"


def _digits(amount: Decimal) -> str:
    if 0 < amount < Decimal("0.001"):
        return f"{amount:.{1 - amount.adjusted()}f}"
    return f"{amount:,.4f}" if 0 < amount < Decimal("0.1") else f"{amount:,.2f}"


def percent(share: float | Decimal) -> str:
    """A share as per cent: 0.582 -> '58.2 %', 0.00031 -> '0.03 %'."""
    value = float(share) * 100
    digits = 2 if 0 < abs(value) < 1 else 1
    text = f"{value:,.{digits}f}"
    return f"{text.removesuffix('.0')} %"


def rate(number: float) -> str:
    """A count that need not be whole: '0.03', '1.2', '1,234'."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 1 else f"{number:.2g}"


def counted(number: int, noun: str) -> str:
    """'1 node', '1,200 nodes'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def days_text(days: float) -> str:
    """'1 day', '0.5 days', '30 days'."""
    return f"{days:g} day{'' if days == 1 else 's'}"


def market_text(market: Market) -> str:
    """'on-demand', 'spot', 'commitment-1y'."""
    return market.replace("_", "-")


def place_text(key: OfferKey) -> str:
    """The zone with its cloud, or the region where the source prices regions as a whole."""
    return plain(f"{key.provider}/{key.zone or key.region}")


def offer_text(key: OfferKey) -> str:
    """'spot m5.large in aws/us-east-1a'."""
    return f"{market_text(key.market)} {plain(key.instance_type)} in {place_text(key)}"


def span_text(seconds: float) -> str:
    """A duration in its two largest units: 90061 -> '1d 1h', 3 -> '3s'."""
    return " ".join(seconds_text(max(int(seconds), 0)).split()[:2])
