"""The price list that a command uses, and whether it is too old to go by."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from costplan.adapters.feeds.bundled import WORD, bundled_prices
from costplan.adapters.feeds.price_file import PriceList, read_price_file
from costplan.adapters.feeds.price_store import PriceStore, default_folder, with_synced
from costplan.cli.wording import age_text
from costplan.planner.catalogue import Catalogue
from costplan.planner.errors import InputError
from costplan.planner.units import parse_seconds, seconds_text
from costplan.planner.workload import Where

BUNDLED = Path(WORD)

VARIABLE = "COSTPLAN_PRICES"
"""What stands in for --prices where the flag is not given."""


def read_prices(path: Path | None, *, now: datetime) -> PriceList:
    """The price list in this file, or in that of the environment; where none is named the prices
    that `costplan prices sync` has read, and the bundled ones where it has read none.

    Raises InputError where one is wrong.
    """
    path = _chosen(path)
    if path is not None and path != BUNDLED:
        return read_price_file(path, now=now)
    bundled = bundled_prices(now=now)
    folder = None if path == BUNDLED else default_folder()
    return bundled if folder is None else with_synced(bundled, PriceStore(folder).regions(now))


def read_local_prices(path: str | None, *, now: datetime) -> PriceList:
    """The prices of machines that are processes of this computer: those in a file, or the bundled
    ones. A scenario is the same everywhere, whatever was read from the clouds here."""
    return read_prices(BUNDLED if path is None else Path(path), now=now)


def is_file(path: Path | None) -> bool:
    """True where a person has named a price list of their own."""
    return _chosen(path) not in (None, BUNDLED)


def _chosen(path: Path | None) -> Path | None:
    named = os.environ.get(VARIABLE)
    return Path(named) if path is None and named else path


def parse_age(text: str) -> int:
    """The seconds of --max-price-age; raises InputError where it is no duration."""
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise InputError("--max-price-age", str(error)) from error


def newest_by_provider(catalogue: Catalogue, where: Where) -> Mapping[str, datetime]:
    """When each provider that a workload may use was last seen, in the regions it may use."""
    newest = {}
    for code, name in enumerate(catalogue.provider.names):
        if where.providers and name not in where.providers:
            continue
        rows = catalogue.provider.codes == code
        if where.regions.get(name):
            regions = [catalogue.region.code_of(region) for region in where.regions[name]]
            rows &= np.isin(catalogue.region.codes, regions)
        if rows.any():
            newest[name] = datetime.fromtimestamp(int(catalogue.observed_at[rows].max()), UTC)
    return newest


def too_old(newest: Mapping[str, datetime], *, now: datetime, most_seconds: int) -> str:
    """Which providers' prices are older than the limit, in words; '' where none is."""
    old = [
        f"{name} {age_text(seen, now)} ({seen:%Y-%m-%d})"
        for name, seen in sorted(newest.items())
        if (now - seen).total_seconds() > most_seconds
    ]
    if not old:
        return ""
    limit = seconds_text(most_seconds)
    return f"the newest prices are older than {limit}: {', '.join(old)}"
