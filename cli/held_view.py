"""What commitments pay of a plan, in words: what they save, and what of them stays idle."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from costplan.cli.wording import usd
from costplan.planner.explain_held import use_text
from costplan.planner.plan import CommitmentUsed, HeldPlan

_MOST_SHOWN = 6


def held_lines(held: HeldPlan, *, explain: bool) -> Iterator[str]:
    """What is saved an hour and what stays idle, then each commitment, those most idle first."""
    idle = [each.idle_usd_per_hour for each in held.uses if each.idle_usd_per_hour is not None]
    text = f"pay {usd(held.saved_usd_per_hour)}/h of these machines"
    if any(idle):
        text += f"; {usd(sum(idle, Decimal(0)))}/h of what is held stays idle"
    elif not any(each.idle for each in held.uses):
        text += "; all of what is held is used"
    yield text
    ordered = sorted(held.uses, key=lambda each: (-_idle_share(each), each.commitment_id))
    shown = ordered if explain or len(ordered) <= _MOST_SHOWN else ordered[: _MOST_SHOWN - 1]
    yield from map(use_text, shown)
    if len(shown) < len(ordered):
        yield f"and {len(ordered) - len(shown)} more, which --explain lists"


def _idle_share(each: CommitmentUsed) -> Decimal:
    whole = each.used + each.idle
    return each.idle / whole if whole else Decimal(0)
