"""The price snapshot that comes with the package."""

from __future__ import annotations

from datetime import datetime
from importlib import resources

from costplan.adapters.feeds.price_file import PriceList, read_prices

NAME = "bundled prices"
WORD = "bundled"
"""What stands for it where a price list is named; a file of that name is ./bundled."""


def bundled_prices(*, now: datetime) -> PriceList:
    """The bundled snapshot, read and checked like any price list."""
    data = resources.files("costplan.adapters.feeds").joinpath("data", "prices.parquet")
    return read_prices(data.read_bytes(), name=NAME, now=now)
