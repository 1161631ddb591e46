"""What commitments pay of a fleet that runs, in sentences with their numbers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from costplan.planner.plan import CommitmentUsed
from costplan.planner.tick import HeldUse
from costplan.planner.wording import plain, usd

_THOUSANDTH = Decimal("0.001")


def held_lines(held: HeldUse | None) -> Iterable[str]:
    """What is paid, what of each commitment is used and idle, what is not counted on, and with
    whom it is shared."""
    if held is None:
        return
    yield f"commitments pay {usd(held.pays_usd_per_hour)}/h of the machines that run"
    yield from map(use_text, held.uses)
    yield from (f"{plain(gap.subject)}: {plain(gap.assumed)}" for gap in held.gaps)
    if not held.is_shared:
        yield "all of it counts as this cluster's own: there is no commitments_ledger"


def use_text(each: CommitmentUsed) -> str:
    """'ri: 3 of 4 m5.large-hours, 1 idle ($0.06/h)'."""
    whole, unit = each.used + each.idle, "$/h" if each.unit == "USD" else plain(each.unit)
    text = f"{plain(each.commitment_id)}: {amount(each.used)} of {amount(whole)} {unit}"
    if not each.idle:
        return text
    paid = each.idle_usd_per_hour
    return f"{text}, {amount(each.idle)} idle" + (f" ({usd(paid)}/h)" if paid else "")


def amount(number: Decimal) -> str:
    """A quantity with three digits at most after the point."""
    text = f"{number.quantize(_THOUSANDTH):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
