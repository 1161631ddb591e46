"""Which columns the providers' exports have, and how each is found and told from the others.

Sources: AWS Data Exports table dictionary (CUR 2.0, FOCUS 1.0 and 1.2), Google's "Structure of
Detailed data export", Microsoft's "Understand cost details fields", the FOCUS 1.0 and 1.2 columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from costplan.planner.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """An export's format. `needed` are its columns by what we call them, each with the names that
    it may have; `known` those that need not be there. A dot leads into a nested value."""

    name: str
    title: str
    provider: str
    needed: dict[str, tuple[str, ...]]
    known: dict[str, tuple[str, ...]]

    def missing(self, there: Collection[str]) -> list[str]:
        """The needed columns that a file does not have."""
        return [names[0] for names in self.needed.values() if not _found(names, there)]


def _found(names: Sequence[str], there: Collection[str]) -> str | None:
    lower = {name.lower(): name for name in there}
    for name in names:
        for form in (name, name.replace(".", "_")):
            if form.lower() in lower:
                return lower[form.lower()]
    return None


def column_of(names: Sequence[str], there: Collection[str]) -> str | None:
    """The file's own name of a column, None where it has none."""
    return _found(names, there)


CUR = Format(
    name="aws-cur-2.0",
    title="AWS CUR 2.0",
    provider="aws",
    needed={
        "start": ("line_item_usage_start_date",),
        "end": ("line_item_usage_end_date",),
        "type": ("line_item_line_item_type",),
        "resource": ("line_item_resource_id",),
        "meter": ("line_item_usage_type",),
        "quantity": ("line_item_usage_amount",),
        "cost": ("line_item_unblended_cost",),
        "currency": ("line_item_currency_code",),
        "account": ("line_item_usage_account_id",),
    },
    known={
        "line_id": ("identity_line_item_id",),
        "service": ("line_item_product_code",),
        "unit": ("pricing_unit",),
        "public": ("pricing_public_on_demand_cost",),
        "sp_effective": ("savings_plan_savings_plan_effective_cost",),
        "sp_id": ("savings_plan_savings_plan_a_r_n",),
        "sp_total": ("savings_plan_total_commitment_to_date",),
        "sp_used": ("savings_plan_used_commitment",),
        "ri_effective": ("reservation_effective_cost",),
        "ri_id": ("reservation_reservation_a_r_n",),
        "ri_unused_upfront": ("reservation_unused_amortized_upfront_fee_for_billing_period",),
        "ri_unused_fee": ("reservation_unused_recurring_fee",),
        "instance_type": ("product_instance_type",),
        "tags": ("resource_tags", "resource_tags_user_costplan_cluster"),
    },
)

FOCUS = Format(
    name="focus",
    title="FOCUS",
    provider="",
    needed={
        "start": ("ChargePeriodStart",),
        "end": ("ChargePeriodEnd",),
        "type": ("ChargeCategory",),
        "resource": ("ResourceId",),
        "cost": ("BilledCost",),
        "effective": ("EffectiveCost",),
        "currency": ("BillingCurrency",),
        "account": ("SubAccountId", "BillingAccountId"),
        "provider": ("ProviderName", "ServiceProviderName", "HostProviderName"),
        "quantity": ("ConsumedQuantity", "PricingQuantity"),
        "unit": ("ConsumedUnit", "PricingUnit"),
    },
    known={
        "contracted": ("ContractedCost",),
        "listed": ("ListCost",),
        "priced_quantity": ("PricingQuantity",),
        "priced_unit": ("PricingUnit",),
        "class": ("ChargeClass",),
        "pricing": ("PricingCategory",),
        "service": ("ServiceName",),
        "service_category": ("ServiceCategory",),
        "commitment": ("CommitmentDiscountId",),
        "commitment_status": ("CommitmentDiscountStatus",),
        "meter": ("x_UsageType", "SkuMeter", "x_SkuMeterName", "SkuId"),
        "description": ("ChargeDescription",),
        "meter_category": ("x_SkuMeterCategory",),
        "tags": ("Tags",),
        "details": ("SkuPriceDetails", "x_SkuDetails"),
    },
)

GCP = Format(
    name="gcp",
    title="Google Cloud detailed billing export",
    provider="gcp",
    needed={
        "start": ("usage_start_time",),
        "end": ("usage_end_time",),
        "resource": ("resource.name",),
        "meter": ("sku.description",),
        "cost": ("cost",),
        "currency": ("currency",),
        "account": ("project.id",),
        "quantity": ("usage.amount",),
        "unit": ("usage.unit",),
    },
    known={
        "service": ("service.description",),
        "type": ("cost_type",),
        "credits": ("credits",),
        "tags": ("labels",),
        "sku": ("sku.id",),
    },
)

AZURE = Format(
    name="azure",
    title="Azure cost details (actual or amortised)",
    provider="azure",
    needed={
        "start": ("date", "usageDateTime"),
        "resource": ("ResourceId", "InstanceId", "instanceName"),
        "meter_category": ("meterCategory",),
        "meter": ("meterName",),
        "quantity": ("quantity",),
        "unit": ("unitOfMeasure",),
        "cost": ("costInBillingCurrency", "cost", "preTaxCost"),
        "currency": ("billingCurrency", "billingCurrencyCode", "currency"),
        "account": ("SubscriptionId", "subscriptionGuid"),
        "type": ("chargeType",),
    },
    known={
        "pricing": ("pricingModel",),
        "paygo": ("payGPrice",),
        "paygo_usd": ("paygCostInUsd",),
        "priced_in": ("pricingCurrency", "pricingCurrencyCode"),
        "reservation": ("reservationId",),
        "benefit": ("benefitId",),
        "usd": ("costInUsd",),
        "details": ("additionalInfo",),
        "tags": ("tags",),
        "sku": ("meterId",),
    },
)

FORMATS = (CUR, FOCUS, GCP, AZURE)
FORMAT_NAMES = ("auto", *(each.name for each in FORMATS))


def format_of(there: Collection[str], asked: str, subject: str) -> Format:
    """The format of a file with these columns; raises InputError that names what is missing."""
    fits = [each for each in FORMATS if asked in ("auto", each.name) and not each.missing(there)]
    if fits:
        return fits[0]
    tried = [each for each in FORMATS if asked in ("auto", each.name)]
    near = min(tried, key=lambda each: len(each.missing(there)) / len(each.needed))
    missing = near.missing(there)
    if len(missing) == len(near.needed) or (
        asked == "auto" and len(missing) > len(near.needed) // 2
    ):
        names = ", ".join(each.title for each in tried)
        raise InputError(
            subject, f"has no columns of {names}", "see docs/reconcile.md for what is read"
        )
    listed = ", ".join(missing[:4]) + (" and more" if len(missing) > 4 else "")
    raise InputError(
        subject,
        f"is {near.title}, but has no column {listed}",
        "export it with all columns and with resource ids (docs/reconcile.md)",
    )
