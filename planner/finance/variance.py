"""Why the money that was spent is not what the plans expected: five causes that add up exactly.

The plans of a time say how many machines of each offer they expect and at which price. Quantities
are vCPU-hours, so that one large machine counts as two of half its size. With, for each offer `c`,
planned hours `H` at a price `P`, metered hours `h` at a price `p`, sums `H*` and `h*` over all
offers, and the mean planned price `M = Σ H P / H*`:

    quantity = (h* − H*) × M               more or less capacity than was planned
    mix      = Σ h × (P − M)               other offers than planned, dearer or cheaper
    price    = Σ h × (p − P)               the same offer at another price

An offer that no plan had has no planned price: its own stands in, so that it is all mix. Two
causes are told apart before, since they are not prices of an offer:

    commitment   = Σ (amortised − on-demand) of covered use, + what was committed to and not used
    interruption = what ran again after interruptions, less the provider's refunds

Planned dollars and the five causes add up to what was metered, to the last pico-dollar: what
rounding leaves is in the quantity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, localcontext

from costplan.planner.units import rounded_usd

_ZERO = Decimal(0)
_EXACT = Context(prec=60)

Offer = tuple[str, ...]
"""Provider, region, instance type, market: what a price is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So many vCPU-hours of an offer and their dollars."""

    vcpu_hours: Decimal
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """All that was metered, and what of it no price of an offer explains."""

    metered_usd: Decimal
    commitment_usd: Decimal
    interruption_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """Planned against metered, for the time from `since` on that plans cover.

    Without a plan `planned_usd` and the causes are None. `metered_usd` are the amortised dollars of
    that time, `before_usd` those of the period before it. `actual_usd` is what the provider
    billed for machines after commitments, None until that was reconciled, and `machines_usd` what
    the ledger has for them in the whole period.
    """

    metered_usd: Decimal
    since: datetime | None = None
    before_usd: Decimal = _ZERO
    planned_usd: Decimal | None = None
    price_usd: Decimal | None = None
    quantity_usd: Decimal | None = None
    mix_usd: Decimal | None = None
    commitment_usd: Decimal | None = None
    interruption_usd: Decimal | None = None
    actual_usd: Decimal | None = None
    machines_usd: Decimal = _ZERO

    @property
    def causes(self) -> tuple[tuple[str, str, Decimal], ...]:
        """Name, meaning and dollars of each cause; none without a plan."""
        named = (
            ("price", "the same offers at other prices", self.price_usd),
            ("quantity", "more or less capacity than planned", self.quantity_usd),
            ("mix", "other offers than planned", self.mix_usd),
            ("commitment", "covered use, and what nobody used", self.commitment_usd),
            ("interruption", "work that ran again, less refunds", self.interruption_usd),
        )  # fmt: skip
        return tuple((name, words, usd) for name, words, usd in named if usd is not None)


def variance(
    planned: Mapping[Offer, Amount],
    metered: Mapping[Offer, Amount],
    *,
    told_apart: Apart,
    since: datetime,
    before_usd: Decimal = _ZERO,
) -> Variance:
    """The causes. `metered` is at prices without commitments and without what ran again."""
    metered_usd, commitment_usd = told_apart.metered_usd, told_apart.commitment_usd
    interruption_usd = told_apart.interruption_usd
    with localcontext(_EXACT):
        planned_usd = sum((each.usd for each in planned.values()), _ZERO)
        price = mix = _ZERO
        hours = sum((each.vcpu_hours for each in planned.values()), _ZERO)
        mean = planned_usd / hours if hours else _ZERO
        for offer, amount in metered.items():
            plan = planned.get(offer)
            at_plan = (
                amount.usd
                if plan is None or not plan.vcpu_hours
                else amount.vcpu_hours * plan.usd / plan.vcpu_hours
            )
            price += amount.usd - at_plan
            mix += at_plan - amount.vcpu_hours * mean
        price, mix = rounded_usd(price), rounded_usd(mix)
        rest = metered_usd - planned_usd - price - mix - commitment_usd - interruption_usd
    return Variance(
        metered_usd=metered_usd, since=since, before_usd=before_usd, planned_usd=planned_usd,
        price_usd=price, quantity_usd=rest, mix_usd=mix,
        commitment_usd=commitment_usd, interruption_usd=interruption_usd,
    )  # fmt: skip
