"""Whether the clouds and regions that a workload names are in a price list at all, and whether
what it wants priced beside machines has a rate."""

from __future__ import annotations

import numpy as np

from costplan.planner.catalogue import Catalogue
from costplan.planner.config_fields import shown, suggestion
from costplan.planner.errors import InputError
from costplan.planner.place import missing_rates
from costplan.planner.workload import Where, Workload

_MOST_LISTED = 6


def check_where(catalogue: Catalogue, where: Where, name: str) -> None:
    """Returns where every cloud and region named is in the price list.

    Raises InputError for the first that is not, with the nearest that is: a misspelt region
    must not look like one that is too dear. `name` is the workload file's, for the message.
    """
    providers = catalogue.provider.names
    for provider in (*where.providers, *where.regions):
        if provider not in providers:
            raise _unknown(f"{name}: where.providers", provider, providers)
    for provider, regions in where.regions.items():
        known = _regions(catalogue, provider)
        for region in regions:
            if region not in known:
                raise _unknown(f"{name}: where.regions.{provider}", region, known)


def check_place(catalogue: Catalogue, workload: Workload, name: str) -> None:
    """Returns where each cloud that may be used has the rates that the workload needs, and its
    data lies in a region that the price list has of that cloud.

    Raises InputError for the first that has not: what nobody lists a rate of is not free.
    """
    providers = workload.where.providers or catalogue.provider.names
    for provider, charge in missing_rates(workload, providers):
        raise InputError(
            f"{name}: place_rates",
            f"no rate of {charge} is known of {provider}",
            f"add {{provider: {provider}, {charge}: DOLLARS}}, or leave {provider} out",
        )
    data = workload.where.data
    if data is not None and data.provider in catalogue.provider.names:
        known = _regions(catalogue, data.provider)
        if data.region not in known:
            raise _unknown(f"{name}: where.data.location", data.region, known)
        zones = _zones(catalogue, data.provider, data.region)
        if data.zone and zones and data.zone not in zones:
            raise _unknown(f"{name}: where.data.location", data.zone, zones)


def _zones(catalogue: Catalogue, provider: str, region: str) -> tuple[str, ...]:
    """The zones that the price list names of a region; none where it prices the whole of it."""
    rows = catalogue.provider.codes == catalogue.provider.names.index(provider)
    rows &= catalogue.region.codes == catalogue.region.names.index(region)
    codes = np.unique(catalogue.zone.codes[rows])
    return tuple(catalogue.zone.names[code] for code in codes if code >= 0)


def _regions(catalogue: Catalogue, provider: str) -> tuple[str, ...]:
    """The regions that the price list has of a cloud."""
    rows = catalogue.provider.codes == catalogue.provider.names.index(provider)
    codes = np.unique(catalogue.region.codes[rows])
    return tuple(catalogue.region.names[code] for code in codes)


def _unknown(subject: str, word: str, known: tuple[str, ...]) -> InputError:
    listed = ", ".join(known[:_MOST_LISTED])
    there_are = f"the price list has {listed}" + (
        f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
    )
    remedy = suggestion(word, known) or there_are
    return InputError(subject, f"{shown(word)} is not in the price list", remedy)
