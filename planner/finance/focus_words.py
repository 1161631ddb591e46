"""What FOCUS files say of a provider, of what is paid for, and of a commitment; units and
currencies."""

from __future__ import annotations

from dataclasses import dataclass

from costplan.planner.commitments.values import SPEND_KINDS, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """Names of a provider as its own FOCUS exports have them; `account` is what it calls one.

    It issues the invoices too: an issuer of another name means a marketplace, where FOCUS wants
    nothing billed. A service belongs to one category, so disks have one of their own.
    """

    provider: str
    publisher: str
    account: str
    machines: str
    disks: str
    addresses: str


SELLERS: dict[str, Seller] = {
    "aws": Seller(
        provider="AWS",
        publisher="Amazon Web Services, Inc.",
        account="Account",
        machines="Amazon Elastic Compute Cloud",
        disks="Amazon Elastic Block Store",
        addresses="Amazon Virtual Private Cloud",
    ),
    "gcp": Seller(
        provider="Google Cloud",
        publisher="Google Cloud",
        account="Project",
        machines="Compute Engine",
        disks="Persistent Disk",
        addresses="Virtual Private Cloud",
    ),
    "azure": Seller(
        provider="Microsoft",
        publisher="Microsoft",
        account="Subscription",
        machines="Virtual Machines",
        disks="Storage",
        addresses="Virtual Network",
    ),
}
"""By costplan's name of the provider; any other is called what it is, see `OTHER_SELLER`."""

OTHER_SELLER = Seller(
    provider="",
    publisher="",
    account="Account",
    machines="Virtual Machines",
    disks="Disks",
    addresses="Addresses",
)

UNKNOWN_ACCOUNT = "unknown"
"""An account nobody named: FOCUS allows no null there."""

CATEGORIES: dict[str, tuple[str, str]] = {
    "machine": ("Compute", "Virtual Machines"),
    "disk": ("Storage", "Block Storage"),
    "address": ("Networking", "Network Connectivity"),
    "commitment": ("Compute", "Virtual Machines"),
    "rounding": ("Other", "Other (Other)"),
}
"""ServiceCategory and ServiceSubcategory of what is paid for."""

RESOURCES = {
    "machine": "Virtual Machine",
    "disk": "Disk",
    "address": "IP Address",
    "commitment": "Commitment",
    "rounding": "Rounding",
}
METERS = {
    "machine": "Machine Hours",
    "disk": "Disk Hours",
    "address": "Address Hours",
    "commitment": "Commitment",
}

COMMITMENT_TYPES: dict[str, str] = {
    Kind.ZONAL_RI.value: "Zonal Reserved Instance",
    Kind.REGIONAL_RI.value: "Regional Reserved Instance",
    Kind.CAPACITY_RESERVATION.value: "Capacity Reservation",
    Kind.EC2_INSTANCE_SP.value: "EC2 Instance Savings Plan",
    Kind.COMPUTE_SP.value: "Compute Savings Plan",
    Kind.RESOURCE_CUD.value: "Resource-Based Committed Use Discount",
    Kind.FLEXIBLE_CUD.value: "Flexible Committed Use Discount",
    Kind.AZURE_RESERVATION.value: "Reservation",
    Kind.AZURE_SAVINGS_PLAN.value: "Savings Plan",
}

SPEND = frozenset(kind.value for kind in SPEND_KINDS)
"""Kinds whose category is Spend: so many dollars an hour. All others are of usage."""

CAPACITY = Kind.CAPACITY_RESERVATION.value
"""No discount and no commitment discount: it has columns of its own."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SKU_KEYS = _words(
    """
    CoreCount DiskMaxIops DiskSpace DiskType GpuCount InstanceType InstanceSeries MemorySize
    NetworkMaxIops NetworkMaxThroughput OperatingSystem Redundancy StorageClass
    """
)
"""Keys of SkuPriceDetails that FOCUS defines; any other begins with x_."""

CURRENCIES = _words(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP
    BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB
    EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY
    KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR
    MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB
    RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD
    TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XCG
    XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG ZWL
    """
)
"""ISO 4217."""

TIME_UNITS = ("Seconds", "Minutes", "Hours", "Days", "Months", "Years")
DATA_UNITS = tuple(
    f"{prefix}{unit}"
    for unit in ("b", "B")
    for prefix in ("", "K", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
)
SAID_WRONG = _words(
    """
    s sec secs second min mins minute h hr hrs hour d day mo mon mth month y yr yrs year
    byte bytes bit bits kilobyte kilobytes megabyte megabytes gigabyte gigabytes gbs gib-s
    unit ea each count na n/a none
    """
)
"""Common other spellings of a unit, in small letters: FOCUS writes Hours, GB and Units."""
