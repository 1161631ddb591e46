"""After a tick: what the operator wished for and has."""

from __future__ import annotations

from costplan.adapters.store.store import Store
from costplan.planner.applied import is_overdue
from costplan.planner.loop import Ticked
from costplan.planner.standing import is_alive
from costplan.planner.tick import State


def settle(store: Store, before: State, ticked: Ticked) -> str | None:
    """Takes back from the operator's wishes what is done; says which plan it gave up, None where
    it gave none up."""
    overdue = None
    applied = before.control.applied
    if applied is not None:
        is_done = before.control.applied_plan == applied.plan_id
        if ticked.plan is not None and ticked.plan.termination == "applied" and not is_done:
            store.applied_done(applied.plan_id, ticked.snapshot.at)
            is_done = True
        if is_done and (applied.hold_until is None or applied.hold_until <= ticked.snapshot.at):
            store.clear_applied()
        if not is_done and is_overdue(applied, ticked.snapshot.at):
            overdue = applied.plan_id
            store.clear_applied()
    nodes = ticked.state.nodes
    met = [
        request.node_id
        for request in before.control.drains
        if (node := nodes.get(request.node_id)) is None or not is_alive(node)
    ]
    if met:
        store.clear_drains(met)
    return overdue
