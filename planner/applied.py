"""A reviewed plan of `recommend`, executed: the fleet becomes its pools, once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from costplan.planner.fleet_view import Asset, fleet_usd_per_hour
from costplan.planner.needs import Needs
from costplan.planner.nodes import Cause
from costplan.planner.settings import Settings
from costplan.planner.tick import (
    AppliedPlan,
    DrainNode,
    KeepNode,
    Move,
    MovePlan,
    NewNode,
    Snapshot,
    State,
)
from costplan.planner.types import Mode
from costplan.planner.units import SECONDS_PER_HOUR

WAITS = timedelta(minutes=10)
"""A plan that cannot be executed for so long is given up: what it was made for has changed."""


def is_overdue(applied: AppliedPlan, now: datetime) -> bool:
    """True where a plan that is not yet executed never is."""
    return now - applied.requested_at > WAITS


def applied_moves(
    snapshot: Snapshot, state: State, settings: Settings, fleet: Sequence[Asset], wanted: Needs
) -> MovePlan | None:
    """The difference between the fleet and an operator's plan as moves, None without one.

    It waits until the mode is full, as it would be refused otherwise and is executed once. A plan
    that was executed and is held until later gives a plan without moves of choice. Nodes
    count for a pool of the plan where offer and workers are its own; pinned ones stay.
    """
    applied = state.control.applied
    if applied is None:
        return None
    is_done = state.control.applied_plan == applied.plan_id
    if is_done and (applied.hold_until is None or applied.hold_until <= snapshot.at):
        return None
    if not is_done and (snapshot.mode is not Mode.FULL or is_overdue(applied, snapshot.at)):
        return None
    new, drains, kept = ([], [], []) if is_done else _difference(fleet, state)
    before = fleet_usd_per_hour(snapshot.nodes, snapshot.quotes, state.meters)
    moves: tuple[Move, ...] = (*new, *drains)
    change = sum((m.usd_per_hour for m in new), Decimal(0))
    change -= sum((m.saving_usd_per_hour for m in drains), Decimal(0))
    hours = Decimal(settings.scaling.horizon_seconds) / SECONDS_PER_HOUR
    text = f"{snapshot.digest}|{applied.plan_id}|{moves!r}"
    return MovePlan(
        plan_id=hashlib.sha256(text.encode()).hexdigest()[:16],
        snapshot_digest=snapshot.digest,
        created_at=snapshot.at,
        horizon_seconds=settings.scaling.horizon_seconds,
        demand=wanted.demand,
        moves=moves,
        kept=tuple(kept),
        waiting=wanted.waiting,
        verdicts=(),
        usd_per_hour_before=before,
        usd_per_hour_after=before + change,
        expected_usd=((before + change) * hours).quantize(Decimal("1e-12")),
        do_nothing_usd=(before * hours).quantize(Decimal("1e-12")),
        lower_bound_usd=Decimal(0),
        termination="applied",
    )


def _difference(
    fleet: Sequence[Asset], state: State
) -> tuple[list[NewNode], list[DrainNode], list[KeepNode]]:
    applied = state.control.applied
    if applied is None:
        return [], [], []
    left = list(fleet)
    new: list[NewNode] = []
    for pool in applied.pools:
        for packing in pool.packings:
            workers = tuple(sorted((k, n) for k, n in packing.workers.items() if n))
            mine = [a for a in left if a.node.key == pool.key and a.workers == workers]
            mine = mine[: packing.nodes]
            left = [a for a in left if a not in mine]
            launch = NewNode(
                keys=(pool.key,),
                workers=packing.workers,
                usd_per_hour=pool.usd_per_hour_each,
                reason=f"the applied plan {applied.plan_id} has it",
            )
            new.extend(replace(launch) for _ in range(packing.nodes - len(mine)))
    drains, kept = [], []
    for asset in left:
        if asset.pinned:
            kept.append(KeepNode(node_id=asset.node.node_id, reason=asset.pinned))
            continue
        drains.append(
            DrainNode(
                node_id=asset.node.node_id,
                cause=Cause.SURPLUS,
                saving_usd_per_hour=asset.usd_per_hour or Decimal(0),
                drain_usd=asset.drain_usd,
                drain_seconds=asset.drain_seconds,
                reason=f"the applied plan {applied.plan_id} does not have it",
            )
        )
    return new, drains, kept
