"""How likely a spot machine is to be taken: the eviction rate of its size in the location.

Azure gives the rate of the last 28 days in bands of 5 %, and says that it is one an hour: of a
band of 5-10 % a machine has a chance of that to be taken within each hour.
https://learn.microsoft.com/azure/virtual-machines/spot-vms
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.past import graph
from costplan.adapters.azure.settings import AzureSettings

_LOWEST = "0-5"
_BAND = re.compile(r"(\d+)(?:-(\d+)|\+)")
_OPEN_WIDTH = 5
"""The last band, above 20 %, is taken to be as wide as the others."""


def eviction_rates(clients: Clients, settings: AzureSettings) -> Mapping[str, str]:
    """The bands of the location by size, in small letters; empty where the daemon may not see
    them."""
    query = f"""spotresources
| where type =~ 'microsoft.compute/skuspotevictionrate/location'
| where location =~ '{settings.location}'
| project name = tostring(sku.name), rate = tostring(properties.evictionRate)
| order by name asc"""
    return {
        str(row["name"]).lower(): str(row["rate"])
        for row in graph(clients, settings, query, "quotes")
    }


def hazard_of(band: str) -> float | None:
    """Evictions per node-hour of a band's middle, None for what is no band.

    Most machines are in the lowest band and most of those far below its middle, so it says no
    more than the planner's prior, which is made from it: None too. 5-10 %: -ln(0.925) = 0.078.
    """
    found = _BAND.fullmatch(band)
    if found is None or band == _LOWEST:
        return None
    low = int(found[1])
    high = int(found[2]) if found[2] else low + _OPEN_WIDTH
    share = (low + high) / 200
    return -math.log(1 - share) if share < 1 else None
