"""The columns of FOCUS 1.2 and 1.4: what each dataset has, of which type, and what may be null.

FOCUS is the FinOps Open Cost and Usage Specification, https://focus.finops.org: versions 1.2 of
2025-05-29 and 1.4 of 2026-06-04. Types and nullability are those of its column pages; `scale` is
ours, for the specification leaves the places of a decimal to whoever writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Version(StrEnum):
    """A version of the specification that is written and checked."""

    V1_2 = "1.2"
    V1_4 = "1.4"


class Dataset(StrEnum):
    """A table of the specification, by its own id."""

    COST_AND_USAGE = "CostAndUsage"
    CONTRACT_COMMITMENT = "ContractCommitment"
    BILLING_PERIOD = "BillingPeriod"


class DataType(StrEnum):
    """What values of a column are."""

    STRING = "String"
    DECIMAL = "Decimal"
    DATE_TIME = "Date/Time"
    JSON = "JSON"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: `words` are all it may say, none for free text; `scale` is decimal places."""

    name: str
    type: DataType
    is_nullable: bool
    words: tuple[str, ...] = ()
    scale: int = 0
    is_currency: bool = False
    is_unit: bool = False


COST_SCALE = 12
"""Places of an amount of money: pico-dollars, as the ledger has them."""
QUANTITY_SCALE = 14
"""Places of a quantity: of hours from microseconds, 1e-14 h at 10,000 $/h is 1e-10 $."""
PRICE_SCALE = 15
"""Places of a unit price: one that is derived from amount and quantity keeps a double's digits."""

SERVICES: dict[str, tuple[str, ...]] = {
    "AI and Machine Learning": (
        "AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing",
    ),
    "Analytics": (
        "Analytics Platforms", "Business Intelligence", "Data Processing", "Search",
        "Streaming Analytics",
    ),
    "Business Applications": ("Productivity and Collaboration",),
    "Compute": (
        "Containers", "End User Computing", "Quantum Compute", "Serverless Compute",
        "Virtual Machines",
    ),
    "Databases": (
        "Caching", "Data Warehouses", "Ledger Databases", "NoSQL Databases",
        "Relational Databases", "Time Series Databases",
    ),
    "Developer Tools": (
        "Continuous Integration and Deployment", "Developer Platforms",
        "Development Environments", "Quality Assurance", "Source Code Management",
    ),
    "Identity": ("Identity and Access Management",),
    "Integration": ("API Management", "Messaging", "Workflow Orchestration"),
    "Internet of Things": ("IoT Analytics", "IoT Platforms"),
    "Management and Governance": (
        "Architecture", "Compliance", "Cost Management", "Data Governance", "Disaster Recovery",
        "Endpoint Management", "Observability", "Support",
    ),
    "Media": ("Content Creation", "Gaming", "Media Streaming", "Mixed Reality"),
    "Migration": ("Data Migration", "Resource Migration"),
    "Mobile": (),
    "Multicloud": ("Multicloud Integration",),
    "Networking": (
        "Application Networking", "Content Delivery", "Network Connectivity",
        "Network Infrastructure", "Network Routing", "Network Security",
    ),
    "Other": (),
    "Security": (
        "Secret Management", "Security Posture Management", "Threat Detection and Response",
    ),
    "Storage": (
        "Backup Storage", "Block Storage", "File Storage", "Object Storage", "Storage Platforms",
    ),
    "Web": ("Application Platforms",),
}  # fmt: skip
"""The service categories, and the subcategories of each beside its `Other (...)`."""

PARENTS: dict[str, str] = {
    child: parent
    for parent, children in SERVICES.items()
    for child in (*children, f"Other ({parent})")
}
"""The category that each subcategory belongs to."""

WORDS: dict[str, tuple[str, ...]] = {
    "BillingPeriodStatus": ("Open", "Closed"),
    "CapacityReservationStatus": ("Used", "Unused"),
    "ChargeCategory": ("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
    "ChargeClass": ("Correction",),
    "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"),
    "CommitmentDiscountCategory": ("Spend", "Usage"),
    "CommitmentDiscountStatus": ("Used", "Unused"),
    "ContractCommitmentBenefitCategory": ("Discount", "Entitlement", "Availability", "Other"),
    "ContractCommitmentCategory": ("Spend", "Usage"),
    "ContractCommitmentFulfillmentInterval": (
        "Hourly", "Daily", "Weekly", "Monthly", "Quarterly", "Semi-Annual", "Annual",
        "Full Period", "Transactional", "Custom",
    ),
    "ContractCommitmentLifecycleStatus": (
        "Proposed", "Pending", "Active", "Exhausted", "Expired", "Canceled", "Superseded",
    ),
    "ContractCommitmentModel": ("Continuous", "Discontinuous"),
    "ContractCommitmentOfferCategory": ("Negotiated", "Public"),
    "ContractCommitmentPaymentInterval": (
        "One-Time", "Monthly", "Quarterly", "Semi-Annual", "Annual", "Custom",
    ),
    "ContractCommitmentPaymentModel": ("No Upfront", "Partial Upfront", "All Upfront"),
    "PricingCategory": ("Standard", "Dynamic", "Committed", "Other"),
    "ServiceCategory": tuple(SERVICES),
    "ServiceSubcategory": tuple(sorted(PARENTS)),
}  # fmt: skip
"""All that a column may say, where the specification lists it."""


def _names(text: str) -> list[str]:
    return text.split()


_REQUIRED = _names(
    """
    BillingAccountId BillingAccountType BillingCurrency BillingPeriodEnd BillingPeriodStart
    ChargeCategory ChargeFrequency ChargePeriodEnd ChargePeriodStart BilledCost ContractedCost
    EffectiveCost ListCost InvoiceIssuerName PricingCurrency PricingCurrencyEffectiveCost
    ServiceCategory ServiceName ServiceSubcategory
    """
)
_NULLABLE = _names(
    """
    AvailabilityZone BillingAccountName CapacityReservationId CapacityReservationStatus ChargeClass
    ChargeDescription CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName
    CommitmentDiscountQuantity CommitmentDiscountStatus CommitmentDiscountType
    CommitmentDiscountUnit ConsumedQuantity ConsumedUnit ContractedUnitPrice InvoiceId ListUnitPrice
    PricingCategory PricingCurrencyContractedUnitPrice PricingCurrencyListUnitPrice PricingQuantity
    PricingUnit RegionId RegionName ResourceId ResourceName ResourceType SkuId SkuMeter
    SkuPriceDetails SkuPriceId SubAccountId SubAccountName SubAccountType Tags
    """
)
_REQUIRED_1_2 = ["ProviderName", "PublisherName"]
_REQUIRED_1_4 = ["ServiceProviderName"]
_NULLABLE_1_4 = _names(
    """
    AllocatedMethodDetails AllocatedMethodId AllocatedResourceId AllocatedResourceName AllocatedTags
    CommitmentProgramEligibilityDetails ContractApplied HostProviderName InvoiceDetailId
    """
)
_COMMITMENT = _names(
    """
    ContractCommitmentApplicability ContractCommitmentBenefitCategory ContractCommitmentCategory
    ContractCommitmentCreated ContractCommitmentDurationType ContractCommitmentFulfillmentInterval
    ContractCommitmentId ContractCommitmentLastUpdated ContractCommitmentLifecycleStatus
    ContractCommitmentModel ContractCommitmentOfferCategory ContractCommitmentPaymentInterval
    ContractCommitmentPaymentModel ContractCommitmentPaymentUpfrontPercentage
    ContractCommitmentPeriodEnd ContractCommitmentPeriodStart ContractCommitmentType ContractId
    ContractPeriodEnd ContractPeriodStart InvoiceIssuerName PricingCurrency ServiceProviderName
    """
)
_COMMITMENT_NULLABLE = _names(
    """
    BillingCurrency ContractCommitmentCost ContractCommitmentDescription
    ContractCommitmentDiscountPercentage ContractCommitmentQuantity ContractCommitmentUnit
    PricingCurrencyContractCommitmentCost
    """
)
_PERIOD = _names(
    """
    BillingPeriodCreated BillingPeriodEnd BillingPeriodLastUpdated BillingPeriodStart
    BillingPeriodStatus InvoiceIssuerName
    """
)
_JSON = _names(
    """
    AllocatedMethodDetails AllocatedTags CommitmentProgramEligibilityDetails ContractApplied
    ContractCommitmentApplicability SkuPriceDetails Tags
    """
)


def _column(name: str, *, is_nullable: bool) -> Column:
    """What the endings of names say: the specification names its columns so."""
    kind, scale = DataType.STRING, 0
    if name in _JSON:
        kind = DataType.JSON
    elif name.endswith(("PeriodStart", "PeriodEnd", "Created", "LastUpdated")):
        kind = DataType.DATE_TIME
    elif name.endswith("Cost"):
        kind, scale = DataType.DECIMAL, COST_SCALE
    elif name.endswith("UnitPrice"):
        kind, scale = DataType.DECIMAL, PRICE_SCALE
    elif name.endswith(("Quantity", "Percentage")):
        kind, scale = DataType.DECIMAL, QUANTITY_SCALE
    return Column(
        name=name,
        type=kind,
        is_nullable=is_nullable,
        words=WORDS.get(name, ()),
        scale=scale,
        is_currency=name.endswith("Currency"),
        is_unit=name.endswith("Unit"),
    )


def _columns(required: Iterable[str], nullable: Iterable[str]) -> tuple[Column, ...]:
    made = [_column(name, is_nullable=False) for name in required]
    made += [_column(name, is_nullable=True) for name in nullable]
    return tuple(sorted(made, key=lambda column: column.name))


_TABLES: dict[tuple[Version, Dataset], tuple[Column, ...]] = {
    (Version.V1_2, Dataset.COST_AND_USAGE): _columns(_REQUIRED + _REQUIRED_1_2, _NULLABLE),
    (Version.V1_4, Dataset.COST_AND_USAGE): _columns(
        _REQUIRED + _REQUIRED_1_4, _NULLABLE + _NULLABLE_1_4
    ),
    (Version.V1_4, Dataset.CONTRACT_COMMITMENT): _columns(_COMMITMENT, _COMMITMENT_NULLABLE),
    (Version.V1_4, Dataset.BILLING_PERIOD): _columns(_PERIOD, ()),
}

MANDATORY_1_2 = frozenset(
    _names("""
    BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd
    BillingPeriodStart ChargeCategory ChargeClass ChargeDescription ChargePeriodEnd
    ChargePeriodStart ContractedCost EffectiveCost InvoiceIssuerName ListCost PricingQuantity
    PricingUnit ProviderName PublisherName ServiceCategory ServiceName
    """)
)
MANDATORY_1_4 = (MANDATORY_1_2 - set(_REQUIRED_1_2)) | {"HostProviderName", "ServiceProviderName"}
"""What every file of charges has; of the others the specification says when they are needed."""


def columns_of(version: Version, dataset: Dataset = Dataset.COST_AND_USAGE) -> tuple[Column, ...]:
    """The dataset's columns in the order of their names; none where the version has no such."""
    return _TABLES.get((version, dataset), ())


def mandatory(version: Version, dataset: Dataset) -> frozenset[str]:
    """The names of the columns that a file must have."""
    if dataset is not Dataset.COST_AND_USAGE:
        conditional = {"ContractCommitmentPaymentUpfrontPercentage", "PricingCurrency",
                       "PricingCurrencyContractCommitmentCost"}  # fmt: skip
        return frozenset(column.name for column in columns_of(version, dataset)) - conditional
    return MANDATORY_1_2 if version is Version.V1_2 else MANDATORY_1_4


X_COLUMNS: tuple[Column, ...] = tuple(
    Column(name=name, type=kind, is_nullable=is_nullable, scale=scale)
    for name, kind, is_nullable, scale in (
        ("x_Cluster", DataType.STRING, True, 0),
        ("x_CostCenter", DataType.STRING, True, 0),
        ("x_EntryId", DataType.STRING, False, 0),
        ("x_Environment", DataType.STRING, True, 0),
        ("x_IsEstimate", DataType.STRING, False, 0),
        ("x_LineId", DataType.STRING, False, 0),
        ("x_OnDemandCost", DataType.DECIMAL, True, COST_SCALE),
        ("x_PlanId", DataType.STRING, True, 0),
        ("x_PriceSource", DataType.STRING, True, 0),
        ("x_Project", DataType.STRING, True, 0),
        ("x_Purpose", DataType.STRING, False, 0),
        ("x_RecordedAt", DataType.DATE_TIME, False, 0),
        ("x_Run", DataType.STRING, True, 0),
        ("x_Span", DataType.STRING, True, 0),
        ("x_TaskPrefix", DataType.STRING, True, 0),
        ("x_Team", DataType.STRING, True, 0),
        ("x_User", DataType.STRING, True, 0),
        ("x_Workload", DataType.STRING, True, 0),
    )
)
"""Our own columns, which come last; a dimension that nobody stated is null."""
