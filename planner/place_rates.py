"""What clouds charge beside the machine: bytes that cross a border, root disks, public addresses.

Rates are list prices in US dollars of the pages named, put together on `COMPILED_ON`; no price API
is asked for them, and `docs/prices.md` says which could be checked. Volume tiers are left out: the
first paid one counts. A gigabyte is 2^30 bytes. The first row that matches is the rate, so
exceptions stand in front.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from costplan.planner.types import Market

COMPILED_ON = date(2026, 11, 29)

AWS_TRANSFER = "https://aws.amazon.com/ec2/pricing/on-demand/#Data_Transfer"
AWS_DISK = "https://aws.amazon.com/ebs/pricing/"
AWS_ADDRESS = "https://aws.amazon.com/vpc/pricing/"
GCP_NETWORK = "https://cloud.google.com/vpc/network-pricing"
GCP_DISK = "https://cloud.google.com/compute/disks-image-pricing"
AZURE_TRANSFER = "https://azure.microsoft.com/pricing/details/bandwidth/"
AZURE_DISK = "https://azure.microsoft.com/pricing/details/managed-disks/"
AZURE_ADDRESS = "https://azure.microsoft.com/pricing/details/ip-addresses/"

DISK_TIERS = frozenset({"azure"})
"""Clouds that bill a disk as the next size that is a power of two, from 4 GiB on."""

DISK_KINDS = {"aws": "gp3", "gcp": "pd-balanced", "azure": "Standard SSD, LRS"}
"""The kind of disk that the rate is of."""


class Charge(StrEnum):
    """What a rate is of, with its unit: the first three a GiB that crosses, counted once however
    many ends are charged; a disk a GiB and month of 730 hours; an address an hour."""

    BETWEEN_ZONES = "between_zones"
    BETWEEN_REGIONS = "between_regions"
    INTERNET = "internet"
    ROOT_DISK = "root_disk"
    PUBLIC_IP = "public_ip"


UNITS = {
    Charge.BETWEEN_ZONES: "USD/GiB",
    Charge.BETWEEN_REGIONS: "USD/GiB",
    Charge.INTERNET: "USD/GiB",
    Charge.ROOT_DISK: "USD/GiB-month",
    Charge.PUBLIC_IP: "USD/h",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRate:
    """A rate of a cloud, where its regions match `regions` and, of bytes that go to another
    region, that one matches `to`; patterns as in a shell, several with '|'. Of all markets where
    `market` is None."""

    provider: str
    charge: Charge
    usd: Decimal
    source: str
    regions: str = "*"
    to: str = "*"
    market: Market | None = None


def _rates(
    provider: str, charge: Charge, source: str, *rows: tuple[str, str]
) -> tuple[PlaceRate, ...]:
    """Rows of (regions or 'from>to', dollars)."""
    found = []
    for places, usd in rows:
        regions, _, to = places.partition(">")
        found.append(
            PlaceRate(
                provider=provider,
                charge=charge,
                usd=Decimal(usd),
                source=source,
                regions=regions,
                to=to or "*",
            )
        )
    return tuple(found)


_GCP_AMERICA = "us-*|northamerica-*"
_GCP_EUROPE = "europe-*"
_AZURE_AMERICA = "*us|*us2|*us3|canada*|mexico*"
_AZURE_EUROPE = (
    "*europe|uk*|france*|germany*|norway*|sweden*|switzerland*|poland*|italy*|spain*|austria*"
    "|belgium*|denmark*"
)

LIST_RATES: tuple[PlaceRate, ...] = (
    # A byte from zone to zone is charged $0.01 where it leaves and $0.01 where it arrives.
    *_rates("aws", Charge.BETWEEN_ZONES, AWS_TRANSFER, ("*", "0.02")),
    *_rates(
        "aws", Charge.BETWEEN_REGIONS, AWS_TRANSFER,
        ("us-east-1>us-east-2", "0.01"), ("us-east-2>us-east-1", "0.01"),
        ("ap-northeast-1", "0.09"), ("ap-northeast-2", "0.08"), ("ap-south-1", "0.086"),
        ("ap-southeast-2", "0.098"), ("ap-*", "0.09"), ("sa-east-1", "0.138"),
        ("af-south-1", "0.147"), ("me-south-1", "0.1105"), ("me-*|il-*", "0.085"),
        ("*", "0.02"),
    ),
    *_rates(
        "aws", Charge.INTERNET, AWS_TRANSFER,
        ("ap-northeast-1", "0.114"), ("ap-northeast-2", "0.126"), ("ap-southeast-2", "0.114"),
        ("ap-south-1", "0.1093"), ("ap-*", "0.12"), ("sa-east-1", "0.15"),
        ("af-south-1", "0.154"), ("me-*|il-*", "0.117"), ("*", "0.09"),
    ),
    *_rates(
        "aws", Charge.ROOT_DISK, AWS_DISK,
        ("us-west-1", "0.096"), ("eu-west-1|ca-*", "0.088"), ("eu-central-1", "0.0952"),
        ("eu-west-2|eu-west-3|eu-south-*", "0.0928"), ("eu-north-1", "0.0836"),
        ("ap-south-*", "0.0912"), ("ap-*", "0.096"), ("sa-east-1", "0.152"),
        ("af-south-1", "0.1047"), ("me-*|il-*", "0.0968"), ("*", "0.08"),
    ),
    *_rates("aws", Charge.PUBLIC_IP, AWS_ADDRESS, ("*", "0.005")),
    *_rates("gcp", Charge.BETWEEN_ZONES, GCP_NETWORK, ("*", "0.01")),
    *_rates(
        "gcp", Charge.BETWEEN_REGIONS, GCP_NETWORK,
        (f"{_GCP_AMERICA}>{_GCP_AMERICA}", "0.02"), (f"{_GCP_EUROPE}>{_GCP_EUROPE}", "0.02"),
        (f"{_GCP_AMERICA}>{_GCP_EUROPE}", "0.05"), (f"{_GCP_EUROPE}>{_GCP_AMERICA}", "0.05"),
        ("southamerica-*", "0.14"), ("*>southamerica-*", "0.14"),
        ("me-*|africa-*", "0.11"), ("*>me-*|africa-*", "0.11"),
        ("australia-*>australia-*", "0.08"),
        ("australia-*", "0.10"), ("*>australia-*", "0.10"), ("*", "0.08"),
    ),
    *_rates(
        "gcp", Charge.INTERNET, GCP_NETWORK, ("australia-*", "0.19"), ("*", "0.12")
    ),
    *_rates(
        "gcp", Charge.ROOT_DISK, GCP_DISK,
        ("europe-west2|europe-west3|us-west2|us-west3|us-west4", "0.12"),
        ("asia-northeast1|asia-northeast2", "0.13"), ("asia-southeast1", "0.11"),
        ("australia-*", "0.135"), ("southamerica-*", "0.15"), ("*", "0.10"),
    ),
    PlaceRate(provider="gcp", charge=Charge.PUBLIC_IP, usd=Decimal("0.0025"), source=GCP_NETWORK,
              market=Market.SPOT),
    *_rates("gcp", Charge.PUBLIC_IP, GCP_NETWORK, ("*", "0.005")),
    # Announced and never begun: bytes between availability zones are free.
    *_rates("azure", Charge.BETWEEN_ZONES, AZURE_TRANSFER, ("*", "0")),
    *_rates(
        "azure", Charge.BETWEEN_REGIONS, AZURE_TRANSFER,
        (f"{_AZURE_AMERICA}>{_AZURE_AMERICA}", "0.02"),
        (f"{_AZURE_EUROPE}>{_AZURE_EUROPE}", "0.02"),
        (f"{_AZURE_AMERICA}|{_AZURE_EUROPE}", "0.05"),
        ("brazil*|chile*", "0.16"), ("*", "0.08"),
    ),
    *_rates(
        "azure", Charge.INTERNET, AZURE_TRANSFER,
        (f"{_AZURE_AMERICA}|{_AZURE_EUROPE}", "0.087"), ("brazil*|chile*", "0.181"),
        ("*", "0.12"),
    ),
    *_rates("azure", Charge.ROOT_DISK, AZURE_DISK, ("*", "0.075")),
    *_rates("azure", Charge.PUBLIC_IP, AZURE_ADDRESS, ("*", "0.005")),
)  # fmt: skip
