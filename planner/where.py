"""Whether the clouds and regions that a workload names are in a price list at all."""

from __future__ import annotations

import numpy as np

from costplan.planner.catalogue import Catalogue
from costplan.planner.config_fields import shown, suggestion
from costplan.planner.errors import InputError
from costplan.planner.workload import Where

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
        rows = catalogue.provider.codes == providers.index(provider)
        codes = np.unique(catalogue.region.codes[rows])
        known = tuple(catalogue.region.names[code] for code in codes)
        for region in regions:
            if region not in known:
                raise _unknown(f"{name}: where.regions.{provider}", region, known)


def _unknown(subject: str, word: str, known: tuple[str, ...]) -> InputError:
    listed = ", ".join(known[:_MOST_LISTED])
    there_are = f"the price list has {listed}" + (
        f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
    )
    remedy = suggestion(word, known) or there_are
    return InputError(subject, f"{shown(word)} is not in the price list", remedy)
