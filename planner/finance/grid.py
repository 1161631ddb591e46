"""Grams of CO2e for a kilowatt-hour of the grid at each region, with the source and year of each.

These are averages of a grid over a year and by place ("location-based"), as the GHG protocol calls
them: what a provider buys in certificates is not in them. Sources, both read in November 2026:

* `ccf`: the table of Cloud Carbon Footprint's methodology as of 2022 (Apache-2.0), which takes the
  United States from the EPA's eGRID, Europe from the EEA, and the rest from carbonfootprint.com.
* `google`: Google's figures of each of its regions for 2024 (region-carbon-info, Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

SOURCES = {
    "ccf": "Cloud Carbon Footprint, grid emissions factors (EPA eGRID, EEA, carbonfootprint.com)",
    "google": "Google Cloud, grid carbon intensity of its regions",
}

_CCF = """
aws 379.069 us-east-1 us-gov-east-1
aws 410.608 us-east-2
aws 322.167 us-west-1 us-west-2 us-gov-west-1
aws 900.6 af-south-1
aws 710 ap-east-1
aws 708.2 ap-south-1
aws 465.8 ap-northeast-1 ap-northeast-3
aws 415.6 ap-northeast-2
aws 408 ap-southeast-1
aws 760 ap-southeast-2
aws 120 ca-central-1
aws 537.4 cn-north-1 cn-northwest-1
aws 311 eu-central-1
aws 278.6 eu-west-1
aws 225 eu-west-2
aws 213.4 eu-south-1
aws 51.1 eu-west-3
aws 8.8 eu-north-1
aws 505.9 me-south-1
aws 61.7 sa-east-1
azure 426.254 centralus
azure 379.069 eastus eastus2 eastus3
azure 410.608 northcentralus
azure 373.231 southcentralus
azure 322.167 westcentralus westus westus2 westus3
azure 710 eastasia
azure 408 southeastasia
azure 900.6 southafricanorth southafricawest
azure 790 australiacentral australiacentral2 australiaeast
azure 960 australiasoutheast
azure 465.8 japaneast japanwest
azure 415.6 koreacentral koreasouth
azure 708.2 centralindia southindia westindia jioindiacentral jioindiawest
azure 278.6 northeurope
azure 328.4 westeurope
azure 51.28 francecentral francesouth
azure 5.67 swedencentral
azure 225 uksouth
azure 228 ukwest
azure 338.66 germanynorth germanywestcentral
azure 7.62 norwayeast norwaywest
azure 404.1 uaenorth uaecentral
azure 120 canadacentral canadaeast
"""

_GOOGLE = """
gcp 656.85 africa-south1
gcp 439.29 asia-east1
gcp 505.02 asia-east2
gcp 452.85 asia-northeast1
gcp 296.19 asia-northeast2
gcp 356.57 asia-northeast3
gcp 678.76 asia-south1
gcp 531.83 asia-south2
gcp 366.85 asia-southeast1
gcp 560.55 asia-southeast2
gcp 497.5 australia-southeast1
gcp 454.37 australia-southeast2
gcp 642.88 europe-central2
gcp 39.32 europe-north1
gcp 2.73 europe-north2
gcp 89.04 europe-southwest1
gcp 103.37 europe-west1
gcp 105.94 europe-west2
gcp 275.82 europe-west3 europe-west10
gcp 208.81 europe-west4
gcp 15.05 europe-west6
gcp 201.69 europe-west8 europe-west12
gcp 16.3 europe-west9
gcp 382.23 me-central2
gcp 433.75 me-west1
gcp 5.48 northamerica-northeast1
gcp 58.56 northamerica-northeast2
gcp 305 northamerica-south1
gcp 67.32 southamerica-east1
gcp 238 southamerica-west1
gcp 412.72 us-central1
gcp 575.77 us-east1
gcp 340.42 us-east2
gcp 323.05 us-east4
gcp 302.95 us-south1
gcp 79.23 us-west1
gcp 169.28 us-west2
gcp 555.17 us-west3
gcp 357.3 us-west4
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A region's grid: `grams_per_kwh` in a year, and whose figure it is (a key of `SOURCES`)."""

    grams_per_kwh: Decimal
    year: int
    source: str


def grid_of(provider: str, region: str) -> Grid | None:
    """The grid of a region, None where no table has it. Azure's names are compared without
    spaces and capitals ('East US' is eastus)."""
    return _grids().get((provider, region.replace(" ", "").lower()))


@cache
def _grids() -> dict[tuple[str, str], Grid]:
    found = {}
    for text, year, source in ((_CCF, 2022, "ccf"), (_GOOGLE, 2024, "google")):
        for line in text.split("\n"):
            if not line:
                continue
            provider, grams, *regions = line.split()
            grid = Grid(grams_per_kwh=Decimal(grams), year=year, source=source)
            found.update({(provider, region): grid for region in regions})
    return found
