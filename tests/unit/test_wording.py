"""Numbers, counts and times as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from costplan.planner.types import Market, OfferKey
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
from tests.fleets import key, spot


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"), ("30.476", "$30.48"), ("1234.5", "$1,234.50"), ("-2", "-$2.00"),
        ("0.0021", "$0.0021"), ("0.1", "$0.10"), ("0.000012", "$0.000012"),
        ("-0.0000125", "-$0.000012"),
    ],
)  # fmt: skip
def test_dollars(amount: str, text: str) -> None:
    assert usd(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 nodes"), (1, "1 node"), (2, "2 nodes"), (1200, "1,200 nodes")]
)
def test_one_and_many(number: int, text: str) -> None:
    assert counted(number, "node") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.582, "58.2 %"), (0.5, "50 %"), (0.00031, "0.03 %"), (0, "0 %"), (12.345, "1,234.5 %")],
)
def test_shares(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0.034, "0.034"), (1.24, "1.2"), (99.96, "100.0"), (1234.0, "1,234")]
)
def test_rates(number: float, text: str) -> None:
    assert rate(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3s"), (90, "1min 30s"), (90061, "1d 1h"), (-5, "0s"), (0.9, "0s")]
)
def test_spans(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_offers_and_places() -> None:
    assert offer_text(spot()) == "spot m.large in aws/us-a"
    assert offer_text(key()) == "on-demand m.large in aws/us-a"
    assert market_text(Market.COMMITMENT_1Y) == "commitment-1y"
    whole = OfferKey(
        provider="gcp", region="europe", zone="", instance_type="n2", market=Market.SPOT
    )
    assert place_text(whole) == "gcp/europe"


def test_a_price_list_does_not_steer_a_terminal() -> None:
    nasty = key("m\x1b[2J\n.large")
    assert "\x1b" not in offer_text(nasty)
    assert "\n" not in offer_text(nasty)
    assert plain("naïve – \u202e\x00") == "naïve – ??"
