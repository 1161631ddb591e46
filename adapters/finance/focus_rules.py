"""The rules that a row of charges has to keep, each as SQL that is true where it is broken.

Sources: the requirements of the FOCUS 1.2 and 1.4 column pages, and their examples of commitment
discounts. A rule whose columns a file does not have is not asked. Amounts are compared to within
1e-9 of the larger of the amount and 1, as FOCUS's own validator does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from costplan.planner.finance.focus_columns import PARENTS, Dataset, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`broken` is SQL over the columns of a row; `column` is the one whose value is shown."""

    name: str
    column: str
    text: str
    broken: str


def _differs(one: str, other: str) -> str:
    return f"abs({one}::DOUBLE - {other}::DOUBLE) > 1e-9 * greatest(1, abs({other}::DOUBLE))"


_USE = "ChargeCategory = 'Usage'"
_BUY = "ChargeCategory = 'Purchase'"
_BOUGHT_OR_USED = "ChargeCategory IN ('Usage', 'Purchase')"
_NO_CORRECTION = "ChargeClass IS DISTINCT FROM 'Correction'"
_HAS_PLAN = "CommitmentDiscountId IS NOT NULL"
_UNUSED = "CommitmentDiscountStatus IS NOT DISTINCT FROM 'Unused'"

_TIMES = (
    ("ends-before-it-starts", "ChargePeriodEnd", "is not after ChargePeriodStart",
     "ChargePeriodEnd <= ChargePeriodStart"),
    ("billing-period-start", "BillingPeriodStart", "is not the first instant of a month",
     "BillingPeriodStart <> date_trunc('month', BillingPeriodStart)"),
    ("billing-period-end", "BillingPeriodEnd", "is not a month after BillingPeriodStart",
     "BillingPeriodEnd <> BillingPeriodStart + INTERVAL 1 MONTH"),
    ("outside-billing-period", "ChargePeriodStart",
     "is outside the billing period, and the row is no correction",
     f"{_NO_CORRECTION} AND (ChargePeriodStart < BillingPeriodStart"
     " OR ChargePeriodStart >= BillingPeriodEnd)"),
    ("ends-after-billing-period", "ChargePeriodEnd",
     "is after the billing period, and the row is no purchase of a whole term",
     f"{_NO_CORRECTION} AND ChargeFrequency IS DISTINCT FROM 'One-Time'"
     " AND ChargePeriodEnd > BillingPeriodEnd"),
    ("correction-of-open-period", "ChargeClass",
     "is for charges of an earlier billing period, and this one is of the same",
     "ChargeClass = 'Correction' AND ChargePeriodStart >= BillingPeriodStart"),
)  # fmt: skip

_MONEY = (
    ("list-cost", "ListCost", "is not ListUnitPrice times PricingQuantity",
     _differs("ListUnitPrice::DOUBLE * PricingQuantity", "ListCost")),
    ("contracted-cost", "ContractedCost", "is not ContractedUnitPrice times PricingQuantity",
     _differs("ContractedUnitPrice::DOUBLE * PricingQuantity", "ContractedCost")),
    ("covered-is-not-billed", "BilledCost", "is not 0, though a commitment covers the use",
     f"{_USE} AND {_HAS_PLAN} AND BilledCost <> 0"),
    ("purchase-is-not-effective", "EffectiveCost",
     "is not 0, though it is the price of a commitment, which is spread over its use",
     f"{_BUY} AND {_HAS_PLAN} AND EffectiveCost <> 0"),
    ("use-effective", "EffectiveCost", "is not BilledCost, though no commitment covers the use",
     f"{_USE} AND CommitmentDiscountId IS NULL AND {_differs('EffectiveCost', 'BilledCost')}"),
    ("credit-effective", "EffectiveCost", "is not BilledCost, though the row is a credit",
     f"ChargeCategory = 'Credit' AND {_differs('EffectiveCost', 'BilledCost')}"),
    ("credit-above-zero", "BilledCost", "is above zero, though the row is a credit",
     f"ChargeCategory = 'Credit' AND {_NO_CORRECTION} AND BilledCost > 0"),
    ("negative-price-listed", "ListUnitPrice", "is below zero", "ListUnitPrice < 0"),
    ("negative-price-contracted", "ContractedUnitPrice", "is below zero",
     "ContractedUnitPrice < 0"),
    ("sign-of-billed", "BilledCost", "has not the sign of PricingQuantity",
     f"{_USE} AND BilledCost::DOUBLE * PricingQuantity::DOUBLE < 0"),
    ("sign-of-effective", "EffectiveCost", "has not the sign of PricingQuantity",
     f"{_USE} AND EffectiveCost::DOUBLE * PricingQuantity::DOUBLE < 0"),
    ("sign-of-consumed", "ConsumedQuantity", "has not the sign of PricingQuantity",
     "ConsumedQuantity::DOUBLE * PricingQuantity::DOUBLE < 0"),
    ("sign-of-commitment", "CommitmentDiscountQuantity", "has not the sign of PricingQuantity",
     "CommitmentDiscountQuantity::DOUBLE * PricingQuantity::DOUBLE < 0"),
    ("pricing-currency-effective", "PricingCurrencyEffectiveCost",
     "is not EffectiveCost, though both currencies are the same",
     "PricingCurrency = BillingCurrency"
     " AND PricingCurrencyEffectiveCost IS DISTINCT FROM EffectiveCost"),
    ("pricing-currency-list", "PricingCurrencyListUnitPrice",
     "is not ListUnitPrice, though both currencies are the same",
     "PricingCurrency = BillingCurrency"
     " AND PricingCurrencyListUnitPrice IS DISTINCT FROM ListUnitPrice"),
    ("pricing-currency-contracted", "PricingCurrencyContractedUnitPrice",
     "is not ContractedUnitPrice, though both currencies are the same",
     "PricingCurrency = BillingCurrency"
     " AND PricingCurrencyContractedUnitPrice IS DISTINCT FROM ContractedUnitPrice"),
)  # fmt: skip

_KINDS = (
    ("frequency-of-purchase", "ChargeFrequency", "is for use, and the row is a purchase",
     f"{_BUY} AND ChargeFrequency = 'Usage-Based'"),
    ("frequency-of-use", "ChargeFrequency", "is for what is paid once, and the row is use",
     f"{_USE} AND ChargeFrequency = 'One-Time'"),
    ("covered-is-committed", "PricingCategory", "is not Committed, though a commitment covers it",
     f"{_USE} AND {_HAS_PLAN} AND PricingCategory <> 'Committed'"),
    ("committed-without-commitment", "PricingCategory",
     "is Committed, and there is no CommitmentDiscountId",
     "PricingCategory = 'Committed' AND CommitmentDiscountId IS NULL"),
    ("purchase-is-standard", "PricingCategory", "is not Standard, and the row is a purchase",
     f"{_BUY} AND PricingCategory <> 'Standard'"),
    ("status-of-covered", "CommitmentDiscountStatus",
     "is null, though a commitment covers the use: Used or Unused",
     f"{_USE} AND {_HAS_PLAN} AND CommitmentDiscountStatus IS NULL"),
    ("status-without-use", "CommitmentDiscountStatus", "is for use under a commitment alone",
     f"CommitmentDiscountStatus IS NOT NULL AND NOT ({_USE} AND {_HAS_PLAN})"),
    ("unused-resource", "ResourceId", "is not CommitmentDiscountId, though nothing used it",
     f"{_UNUSED} AND ResourceId IS DISTINCT FROM CommitmentDiscountId"),
    ("purchase-resource", "ResourceId", "is not CommitmentDiscountId, and the row is its purchase",
     f"{_BUY} AND {_HAS_PLAN} AND ResourceId IS DISTINCT FROM CommitmentDiscountId"),
    ("used-resource", "ResourceId", "is the commitment, and not what used it",
     "CommitmentDiscountStatus = 'Used' AND ResourceId = CommitmentDiscountId"),
    ("spend-unit", "CommitmentDiscountUnit", "is no currency, and the commitment is of spend",
     "CommitmentDiscountCategory = 'Spend'"
     " AND NOT regexp_full_match(CommitmentDiscountUnit, '[A-Z]{3}')"),
    ("usage-unit", "CommitmentDiscountUnit", "is a currency, and the commitment is of use",
     "CommitmentDiscountCategory = 'Usage' AND CommitmentDiscountUnit = BillingCurrency"),
    ("capacity-status", "CapacityReservationStatus",
     "is null, though the use is of a reserved capacity: Used or Unused",
     f"{_USE} AND CapacityReservationId IS NOT NULL AND CapacityReservationStatus IS NULL"),
    ("capacity-status-alone", "CapacityReservationStatus",
     "is given, and there is no CapacityReservationId",
     "CapacityReservationStatus IS NOT NULL AND CapacityReservationId IS NULL"),
    ("consumed-of-no-use", "ConsumedQuantity", "is given, and the row is not what was used",
     f"ConsumedQuantity IS NOT NULL AND (NOT {_USE} OR {_UNUSED})"),
    ("zone-without-region", "AvailabilityZone", "is given, and there is no RegionId",
     "AvailabilityZone IS NOT NULL AND RegionId IS NULL"),
)  # fmt: skip

_PAIRS = (
    ("SubAccountId", "SubAccountName"),
    ("SubAccountId", "SubAccountType"),
    ("RegionId", "RegionName"),
    ("ResourceId", "ResourceName"),
    ("ResourceId", "ResourceType"),
    ("SkuId", "SkuPriceId"),
    ("SkuId", "SkuMeter"),
    ("CommitmentDiscountId", "CommitmentDiscountName"),
    ("CommitmentDiscountId", "CommitmentDiscountCategory"),
    ("CommitmentDiscountId", "CommitmentDiscountType"),
    ("CommitmentDiscountId", "CommitmentDiscountQuantity"),
    ("CommitmentDiscountId", "CommitmentDiscountUnit"),
    ("PricingQuantity", "PricingUnit"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("AllocatedResourceId", "AllocatedMethodId"),
    ("AllocatedResourceId", "AllocatedResourceName"),
)
"""Both are null, or none."""

_OF_A_SKU = (
    "SkuPriceDetails", "ListUnitPrice", "ContractedUnitPrice", "PricingCategory",
    "PricingQuantity", "ConsumedQuantity", "CommitmentDiscountQuantity",
)  # fmt: skip
"""Null where SkuPriceId is."""

_OF_USE_AND_PURCHASE = (
    "SkuId", "SkuPriceId", "PricingCategory", "PricingQuantity", "ListUnitPrice",
    "ContractedUnitPrice",
)  # fmt: skip
_NOT_OF_TAX = ("SkuId", "SkuPriceId", "PricingCategory", "PricingQuantity", "ConsumedQuantity")


def charge_rules(version: Version) -> Iterator[Rule]:
    """All rules of a row of the cost-and-usage dataset, beside those of single columns."""
    for name, column, text, broken in (*_TIMES, *_MONEY, *_KINDS):
        yield Rule(name=name, column=column, text=text, broken=broken)
    for key, other in _PAIRS:
        yield Rule(
            name="needs-" + key,
            column=other,
            text=f"is null, and {key} is not",
            broken=f"{other} IS NULL AND {key} IS NOT NULL",
        )
        yield Rule(
            name="without-" + key,
            column=other,
            text=f"is given, and {key} is null",
            broken=f"{other} IS NOT NULL AND {key} IS NULL",
        )
    for column in _OF_USE_AND_PURCHASE:
        yield Rule(
            name="needed-for-use-and-purchase",
            column=column,
            text="is null, and the row is a use or a purchase and no correction",
            broken=f"{column} IS NULL AND {_BOUGHT_OR_USED} AND {_NO_CORRECTION}",
        )
    yield Rule(
        name="consumed-of-use",
        column="ConsumedQuantity",
        text="is null, and the row is a use and no correction",
        broken=f"ConsumedQuantity IS NULL AND {_USE} AND {_NO_CORRECTION} AND NOT ({_UNUSED})",
    )
    for column in _OF_A_SKU:
        yield Rule(
            name="without-SkuPriceId",
            column=column,
            text="is given, and SkuPriceId is null",
            broken=f"{column} IS NOT NULL AND SkuPriceId IS NULL",
        )
    for column in _NOT_OF_TAX:
        yield Rule(
            name="null-for-tax",
            column=column,
            text="is given, and the row is a tax",
            broken=f"{column} IS NOT NULL AND ChargeCategory = 'Tax'",
        )
    yield from _of_version(version)


def _of_version(version: Version) -> Iterator[Rule]:
    parents = ", ".join(f"('{child}', '{parent}')" for child, parent in sorted(PARENTS.items()))
    yield Rule(
        name="subcategory",
        column="ServiceSubcategory",
        text="does not belong to ServiceCategory",
        broken=f"ServiceSubcategory IN ({_listed(PARENTS)})"
        f" AND (ServiceSubcategory, ServiceCategory) NOT IN ({parents})",
    )
    seller = "ProviderName" if version is Version.V1_2 else "ServiceProviderName"
    yield Rule(
        name="billed-by-another",
        column="BilledCost",
        text=f"is not 0, though InvoiceIssuerName is not {seller}: somebody else is paid",
        broken=f"InvoiceIssuerName <> {seller} AND BilledCost <> 0",
    )
    if version is Version.V1_4:
        yield Rule(
            name="tax-effective",
            column="EffectiveCost",
            text="is not BilledCost, though the row is a tax",
            broken=f"ChargeCategory = 'Tax' AND {_differs('EffectiveCost', 'BilledCost')}",
        )
        yield Rule(
            name="detail-without-invoice",
            column="InvoiceDetailId",
            text="is given, and InvoiceId is null",
            broken="InvoiceDetailId IS NOT NULL AND InvoiceId IS NULL",
        )


def _listed(words: dict[str, str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


def reference_rules(dataset: Dataset) -> Iterator[Rule]:
    """The rules of a row of the datasets that charges refer to."""
    rows: tuple[tuple[str, str, str, str], ...]
    if dataset is Dataset.BILLING_PERIOD:
        rows = (
            _TIMES[1],
            _TIMES[2],
            ("updated-before-made", "BillingPeriodLastUpdated", "is before BillingPeriodCreated",
             "BillingPeriodLastUpdated < BillingPeriodCreated"),
        )  # fmt: skip
    else:
        model = "ContractCommitmentPaymentModel"
        share = "ContractCommitmentPaymentUpfrontPercentage"
        discount = "ContractCommitmentDiscountPercentage"
        rows = (
            ("updated-before-made", "ContractCommitmentLastUpdated",
             "is before ContractCommitmentCreated",
             "ContractCommitmentLastUpdated < ContractCommitmentCreated"),
            ("ends-before-it-starts", "ContractCommitmentPeriodEnd",
             "is not after ContractCommitmentPeriodStart",
             "ContractCommitmentPeriodEnd <= ContractCommitmentPeriodStart"),
            ("contract-ends-before-it-starts", "ContractPeriodEnd",
             "is not after ContractPeriodStart", "ContractPeriodEnd <= ContractPeriodStart"),
            ("upfront-share", share, f"does not fit {model}",
             f"({model} = 'All Upfront' AND {share} <> 1) OR ({model} = 'No Upfront'"
             f" AND {share} <> 0) OR ({model} = 'Partial Upfront'"
             f" AND ({share} <= 0 OR {share} >= 1))"),
            ("share-of-discount", discount, "is not from 0 to 1",
             f"{discount} < 0 OR {discount} > 1"),
        )  # fmt: skip
    for name, column, text, broken in rows:
        yield Rule(name=name, column=column, text=text, broken=broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneFor:
    """For each `key` there is one `value` only."""

    key: str
    value: str


ONE_FOR: tuple[OneFor, ...] = tuple(
    OneFor(key=key, value=value)
    for key, value in (
        ("BillingAccountId", "BillingAccountName"),
        ("BillingAccountId", "BillingCurrency"),
        ("SubAccountId", "SubAccountName"),
        ("RegionId", "RegionName"),
        ("ServiceName", "ServiceCategory"),
        ("SkuPriceId", "SkuId"),
        ("SkuPriceId", "PricingUnit"),
        ("SkuId", "SkuMeter"),
        ("CommitmentDiscountId", "CommitmentDiscountName"),
        ("CommitmentDiscountId", "CommitmentDiscountCategory"),
        ("CommitmentDiscountId", "CommitmentDiscountType"),
        ("CommitmentDiscountId", "CommitmentDiscountUnit"),
    )
)
