"""What commitments pay of a plan, as the plan tells it."""

from __future__ import annotations

from costplan.planner.commitments.values import CommitmentUse
from costplan.planner.held.price import FleetCover
from costplan.planner.plan import CommitmentUsed, HeldPlan, PaidNodes
from costplan.planner.units import usd_from_fraction


def held_plan(cover: FleetCover | None) -> HeldPlan | None:
    """The plan's part about commitments; None where nothing is held."""
    if cover is None:
        return None
    return HeldPlan(
        saved_usd_per_hour=usd_from_fraction(cover.saved_usd),
        nodes=tuple(
            PaidNodes(
                key=each.key,
                nodes=each.nodes,
                commitments=each.commitments,
                is_whole=each.is_whole,
                usd_per_hour_each=usd_from_fraction(each.usd_per_hour_each),
            )
            for each in cover.nodes
        ),
        uses=tuple(map(commitment_used, cover.uses)),
    )


def commitment_used(use: CommitmentUse) -> CommitmentUsed:
    known = use.is_price_known
    return CommitmentUsed(
        commitment_id=use.commitment_id,
        kind=str(use.kind),
        unit=use.unit,
        used=usd_from_fraction(use.used_quantity),
        idle=usd_from_fraction(use.unused_quantity),
        used_usd_per_hour=usd_from_fraction(use.used_usd) if known else None,
        idle_usd_per_hour=usd_from_fraction(use.unused_usd) if known else None,
    )
