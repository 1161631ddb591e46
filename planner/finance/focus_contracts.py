"""A commitment as a row of FOCUS 1.4's ContractCommitment dataset."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from costplan.planner.commitments.values import HOURS_OF_TERM, SPEND_KINDS, Commitment, Kind
from costplan.planner.finance.focus_columns import COST_SCALE, QUANTITY_SCALE
from costplan.planner.finance.focus_words import COMMITMENT_TYPES, OTHER_SELLER, SELLERS

_MODELS = {
    "no_upfront": "No Upfront",
    "partial_upfront": "Partial Upfront",
    "all_upfront": "All Upfront",
}
_HALF = Fraction(1, 2)
"""What is paid at once of a plan that is paid partly upfront: AWS, Savings Plans user guide."""

Row = dict[str, str | Decimal | datetime | None]


def period_of(commitment: Commitment) -> tuple[datetime, datetime] | None:
    """From when to when it is held; None where that was not stated, so that there is no row."""
    if commitment.start is None:
        return None
    if commitment.end is not None:
        return commitment.start, commitment.end
    if not commitment.term:
        return None
    return commitment.start, commitment.start + timedelta(hours=HOURS_OF_TERM[commitment.term])


def contract_row(commitment: Commitment, as_of: datetime) -> Row | None:
    """The row, with its state at `as_of`; None where it is not known from when to when it is."""
    period = period_of(commitment)
    if period is None:
        return None
    start, end = period
    seller = SELLERS.get(commitment.product.provider, OTHER_SELLER)
    cost = _cost(commitment, start, end)
    upfront = _upfront_share(commitment, start, end)
    is_spend = commitment.kind in SPEND_KINDS
    hours = Fraction((end - start) // timedelta(seconds=1), 3600)
    return {
        "BillingCurrency": "USD",
        "ContractCommitmentApplicability": _applicability(commitment),
        "ContractCommitmentBenefitCategory": "Availability"
        if commitment.kind is Kind.CAPACITY_RESERVATION
        else "Discount",
        "ContractCommitmentCategory": "Spend" if is_spend else "Usage",
        "ContractCommitmentCost": cost,
        "ContractCommitmentCreated": start,
        "ContractCommitmentDescription": None,
        "ContractCommitmentDiscountPercentage": None
        if commitment.discount is None
        else _decimal(commitment.discount, QUANTITY_SCALE),
        "ContractCommitmentDurationType": _duration(commitment, start, end),
        "ContractCommitmentFulfillmentInterval": "Hourly",
        "ContractCommitmentId": commitment.commitment_id,
        "ContractCommitmentLastUpdated": start,
        "ContractCommitmentLifecycleStatus": _status(start, end, as_of),
        "ContractCommitmentModel": "Continuous",
        "ContractCommitmentOfferCategory": "Public",
        "ContractCommitmentPaymentInterval": "One-Time" if upfront == 1 else "Monthly",
        "ContractCommitmentPaymentModel": _model(upfront),
        "ContractCommitmentPaymentUpfrontPercentage": _decimal(upfront, QUANTITY_SCALE),
        "ContractCommitmentPeriodEnd": end,
        "ContractCommitmentPeriodStart": start,
        "ContractCommitmentQuantity": None
        if is_spend
        else _decimal(commitment.capacity * hours, QUANTITY_SCALE),
        "ContractCommitmentType": COMMITMENT_TYPES[commitment.kind.value],
        "ContractCommitmentUnit": None if is_spend else "Hours",
        "ContractId": commitment.commitment_id,
        "ContractPeriodEnd": end,
        "ContractPeriodStart": start,
        "InvoiceIssuerName": seller.provider or commitment.product.provider,
        "PricingCurrency": "USD",
        "PricingCurrencyContractCommitmentCost": cost,
        "ServiceProviderName": seller.provider or commitment.product.provider,
    }


def _decimal(value: Fraction, places: int) -> Decimal:
    """The fraction to so many places, half to even, as `round` of a fraction does."""
    return Decimal(round(value * 10**places)).scaleb(-places)


def _cost(commitment: Commitment, start: datetime, end: datetime) -> Decimal | None:
    """What all of the term costs; None where no price is known."""
    if commitment.unit_usd is None or commitment.kind is Kind.CAPACITY_RESERVATION:
        return None
    hours = Fraction((end - start) // timedelta(seconds=1), 3600)
    return _decimal(commitment.hourly_usd * hours, COST_SCALE)


def _upfront_share(commitment: Commitment, start: datetime, end: datetime) -> Fraction:
    """What is paid at the begin, of the whole: from 0 to 1."""
    match commitment.payment:
        case "all_upfront":
            return Fraction(1)
        case "no_upfront":
            return Fraction(0)
    hours = Fraction((end - start) // timedelta(seconds=1), 3600)
    whole = commitment.hourly_usd * hours
    if commitment.upfront_usd and whole and commitment.kind not in SPEND_KINDS:
        return min(Fraction(1), commitment.upfront_usd * commitment.capacity / whole)
    return _HALF if commitment.payment == "partial_upfront" else Fraction(0)


def _model(upfront: Fraction) -> str:
    if upfront == 0:
        return _MODELS["no_upfront"]
    return _MODELS["all_upfront"] if upfront == 1 else _MODELS["partial_upfront"]


def _duration(commitment: Commitment, start: datetime, end: datetime) -> str:
    match commitment.term:
        case "1y":
            return "1 Year"
        case "3y":
            return "3 Years"
    days, hours = (end - start) // timedelta(days=1), (end - start) // timedelta(hours=1)
    if days * 24 == hours and days:
        return f"{days} Day" + "s" * (days > 1)
    return f"{max(1, hours)} Hour" + "s" * (hours > 1)


def _status(start: datetime, end: datetime, as_of: datetime) -> str:
    if as_of < start:
        return "Pending"
    return "Active" if as_of < end else "Expired"


def _applicability(commitment: Commitment) -> str:
    """What it covers, as rules on columns of the charges: all of them must hold, and no spot."""
    product = commitment.product
    seller = SELLERS.get(product.provider, OTHER_SELLER).provider or product.provider
    rules = [
        _rule("ServiceProviderName", "In", seller),
        _rule("ServiceCategory", "In", "Compute"),
    ]
    for dimension, operator, value in (
        ("RegionId", "In", product.region),
        ("AvailabilityZone", "In", product.zone),
        ("SkuId", "In", "" if commitment.is_size_flexible else product.instance_type),
        ("SkuId", "StartsWith", product.family or product.machine_series),
    ):
        if value:
            rules.append(_rule(dimension, operator, value))
    return json.dumps(
        {
            "InclusionOperator": "And",
            "Inclusions": rules,
            "ExclusionOperator": "Or",
            "Exclusions": [_rule("PricingCategory", "In", "Dynamic")],
        },
        ensure_ascii=False,
    )


def _rule(dimension: str, operator: str, value: str) -> dict[str, object]:
    return {"Dimension": dimension, "Operator": operator, "Values": [value]}
