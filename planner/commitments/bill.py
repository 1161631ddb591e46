"""The bill of an hour: which commitment covers what, at which price, and what of it is wasted."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction

from costplan.planner.commitments import aws, azure, gcp, sustained
from costplan.planner.commitments.open import OpenLine, Pool
from costplan.planner.commitments.values import (
    PROVIDERS,
    SPEND_KINDS,
    Commitment,
    CommitmentUse,
    Hour,
    HourBill,
    Kind,
    Rules,
)
from costplan.planner.types import require

_APPLY: Mapping[str, Callable[[list[OpenLine], Sequence[Pool]], None]] = {
    "aws": aws.apply,
    "gcp": gcp.apply,
    "azure": azure.apply,
}
_ORDER = tuple(Kind)
_DEFAULT_RULES = Rules()


def bill(hours: Iterable[Hour], rules: Rules = _DEFAULT_RULES) -> tuple[HourBill, ...]:
    """The bills of hours that follow one another; sustained use counts from the first on, and
    from each month's first where hours have dates."""
    bills = []
    month, last = sustained.NEW_MONTH, None
    for hour in hours:
        this = hour.start and (hour.start.year, hour.start.month)
        month = sustained.NEW_MONTH if this != last else month
        last = this
        made, month = bill_hour(hour, rules, month)
        bills.append(made)
    return tuple(bills)


def bill_hour(
    hour: Hour, rules: Rules = _DEFAULT_RULES, month: sustained.Month = sustained.NEW_MONTH
) -> tuple[HourBill, sustained.Month]:
    """The bill of an hour, and what the month knows of sustained use after it.

    The order of the lines and of the commitments makes no difference.
    """
    _check_names(hour)
    pools = [
        Pool(each, window)
        for each in sorted(hour.commitments, key=_application_order)
        if (window := each.window_seconds(hour.start))[0] < window[1]
    ]
    lines = [OpenLine(usage) for usage in hour.usage]
    billed: list[OpenLine] = []
    for provider in sorted({line.usage.product.provider for line in lines} | set(_APPLY)):
        of_it = [line for line in lines if line.usage.product.provider == provider]
        if provider in _APPLY:
            sold = [pool for pool in pools if _seller(pool.commitment) == provider]
            _APPLY[provider](of_it, sold)
        if provider == "gcp" and rules.sustained_use:
            hours = _month_hours(hour.start, rules)
            month = sustained.charge(of_it, month, hours)
        billed += of_it
    for line in billed:
        if line.left or not line.parts:
            line.charge(None, line.left, line.usage.usd_per_unit)
    billed.sort(key=lambda line: (line.usage.is_idle, line.usage.usage_id))
    made = HourBill(
        lines=tuple(part for line in billed for part in line.billed()),
        commitments=tuple(map(_use, pools)),
        start=hour.start,
    )
    return made, month


def _check_names(hour: Hour) -> None:
    for names in (
        [usage.usage_id for usage in hour.usage],
        [each.commitment_id for each in hour.commitments],
    ):
        require(len(names) == len(set(names)), "a name is used twice in", names)


def _seller(commitment: Commitment) -> str:
    return PROVIDERS.get(commitment.kind, "aws")


def _application_order(commitment: Commitment) -> tuple[int, str]:
    return _ORDER.index(commitment.kind), commitment.commitment_id


def _month_hours(start: datetime | None, rules: Rules) -> Fraction:
    if start is None:
        return rules.month_hours
    return Fraction(24 * monthrange(start.year, start.month)[1])


def _use(pool: Pool) -> CommitmentUse:
    bought, used = pool.commitment, pool.capacity - pool.left
    unit_usd = bought.unit_usd or Fraction(0)
    return CommitmentUse(
        commitment_id=bought.commitment_id,
        kind=bought.kind,
        unit=unit_of(bought),
        used_quantity=used,
        unused_quantity=pool.left,
        used_usd=used * unit_usd,
        unused_usd=pool.left * unit_usd,
        is_price_known=bought.unit_usd is not None,
    )


def unit_of(commitment: Commitment) -> str:
    """What its quantities count."""
    if commitment.kind in SPEND_KINDS:
        return "USD"
    if commitment.kind is Kind.RESOURCE_CUD:
        return f"{commitment.product.resource}-hours"
    return f"{commitment.product.instance_type}-hours"
