"""The policies in the order in which they judge."""

from __future__ import annotations

from costplan.planner.guard import Policy
from costplan.policies.blast_radius import BlastRadius
from costplan.policies.budget import WithinBudget
from costplan.policies.capacity_floor import CapacityFloor
from costplan.policies.churn import Churn
from costplan.policies.freeze import Frozen
from costplan.policies.quota import WithinQuota
from costplan.policies.spot_mix import SpotMix
from costplan.policies.trust import Trust


def default_policies() -> tuple[Policy, ...]:
    """All of them: what may be done at all, then drains, then launches.

    1. trust           what is known allows it
    2. freeze          people allow it now
    3. churn           it is old enough, and pays back
    4. capacity_floor  enough workers stay
    5. blast_radius    not too much at once
    6. quota           there may be so many, of offers that are to be had
    7. budget          there is money for it
    8. spot_mix        the fleet that is left does not lean on spot too much; the last, since the
                       budget may have refused machines that are not spot
    """
    return (
        Trust(),
        Frozen(),
        Churn(),
        CapacityFloor(),
        BlastRadius(),
        WithinQuota(),
        WithinBudget(),
        SpotMix(),
    )
