"""The status of a cluster as JSON for programs, and its fleet as `recommend` reads it.

Money is exact decimal text, instants are ISO 8601 UTC with Z, shares are 0 to 1.
"""

from __future__ import annotations

import json
from typing import Any

from costplan.adapters.instants import zulu_text
from costplan.cli.deliveries_view import summary_document
from costplan.planner.explain import decision_text, refusals
from costplan.planner.outlook import Ahead
from costplan.planner.plan_document import money_text
from costplan.planner.status import Status
from costplan.planner.tick import Control, HeldUse
from costplan.planner.types import OfferKey, Phase

SCHEMA_VERSION = 1
_LEAVING = (Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING, Phase.UNCERTAIN, Phase.LOST)
"""Phases of nodes that are not, or will soon not be, part of the fleet."""


def status_text(status: Status) -> str:
    """The status as JSON text, version 1: may gain fields, never loses one."""
    return json.dumps(status_document(status), indent=2) + "\n"


def status_document(status: Status) -> dict[str, Any]:
    """The status as JSON values. Money is exact decimal text, instants are ISO 8601 UTC with Z."""
    last, lease, plan = status.last, status.lease, status.plan
    return {
        "schema_version": SCHEMA_VERSION,
        "at": zulu_text(status.at),
        "cluster": status.cluster,
        "daemon": {
            "alive": status.is_alive,
            "holder": None if lease is None else lease.holder,
            "lease_expires_at": None if lease is None else zulu_text(lease.expires_at),
        },
        "last_tick": None
        if last is None
        else {
            "tick_id": last.tick_id,
            "at": zulu_text(last.at),
            "mode": last.mode.value,
            "gaps": [
                {"kind": gap.kind, "subject": gap.subject, "assumed": gap.assumed}
                for gap in last.gaps
            ],
        },
        "fleet": [
            {
                **_key(row.key),
                "phase": row.phase.value,
                "nodes": row.nodes,
                "workers": row.workers,
                "usd_per_hour": None if row.usd_per_hour is None else money_text(row.usd_per_hour),
            }
            for row in status.fleet
        ],
        "machines": [
            {
                "node_id": row.node_id,
                **_key(row.key),
                "phase": row.phase.value,
                "since": zulu_text(row.since),
                "workers": row.workers,
                "usd_per_hour": None if row.usd_per_hour is None else money_text(row.usd_per_hour),
                "why": row.why,
            }
            for row in status.machines
        ],
        "nodes": status.nodes,
        "nodes_coming": status.coming,
        "nodes_draining": status.draining,
        "usd_per_hour": money_text(status.usd_per_hour),
        "unpriced_nodes": status.unpriced_nodes,
        "workers_expected": status.workers_expected,
        "workers_joined": status.workers_joined,
        "load_at": None if status.load_at is None else zulu_text(status.load_at),
        "clients": status.clients,
        "tasks": [
            {
                "prefix": row.prefix,
                "queued": row.queued,
                "running": row.running,
                "waiting": row.waiting,
                "unrunnable": row.unrunnable,
                "mean_task_seconds": row.mean_task_seconds,
            }
            for row in status.tasks
        ],
        "not_bought_for": [
            {"prefix": w.prefix, "tasks": w.tasks, "need": dict(w.need), "reason": w.reason}
            for w in status.waiting
        ],
        "budget": [
            {
                "period": row.name,
                "used_usd": money_text(row.used_usd),
                "limit_usd": None if row.limit_usd is None else money_text(row.limit_usd),
                "left_usd": None if row.left_usd is None else money_text(row.left_usd),
            }
            for row in status.budget
        ],
        "spent_usd": money_text(status.spent_usd),
        "decision": None
        if plan is None
        else {
            "plan_id": plan.plan_id,
            "at": zulu_text(plan.created_at),
            "moves": len(plan.moves),
            "text": decision_text(plan),
            "why": [demand.reason for demand in plan.demand],
            "refused": list(refusals(plan.verdicts)),
            "expected_usd": money_text(plan.expected_usd),
            "do_nothing_usd": money_text(plan.do_nothing_usd),
            "ahead": _ahead_document(plan.ahead),
            "speeds": [
                {
                    "instance_type": speed.instance_type,
                    "factor": speed.factor,
                    "tasks": speed.tasks,
                    "origin": speed.origin,
                }
                for speed in plan.speeds
            ],
        },
        "next_look_at": None if status.next_look_at is None else zulu_text(status.next_look_at),
        "next_plan_at": None if status.next_plan_at is None else zulu_text(status.next_plan_at),
        "control": _control_document(status.control),
        "deliveries": summary_document(status.deliveries),
        **({} if status.held is None else {"commitments": _held_document(status.held)}),
    }


def _held_document(held: HeldUse) -> dict[str, Any]:
    return {
        "pays_usd_per_hour": money_text(held.pays_usd_per_hour),
        "is_shared": held.is_shared,
        "uses": [
            {
                "id": each.commitment_id,
                "kind": each.kind,
                "unit": each.unit,
                "used": money_text(each.used),
                "idle": money_text(each.idle),
            }
            for each in held.uses
        ],
    }


def _ahead_document(ahead: Ahead | None) -> dict[str, Any] | None:
    if ahead is None:
        return None
    return {
        "outlook_at": zulu_text(ahead.outlook_at),
        "seconds": ahead.seconds,
        "demand": [
            {"kind": d.shape, "now": d.now, "most": d.most, "in_seconds": d.in_seconds}
            for d in ahead.demand
        ],
        "bought": ahead.bought,
        "held": ahead.held,
        "expected_usd": money_text(ahead.expected_usd),
        "bound_usd": money_text(ahead.bound_usd),
        "left_out": ahead.left_out,
        "notes": list(ahead.notes),
    }


def _control_document(control: Control) -> dict[str, Any]:
    until, applied = control.paused_until, control.applied
    return {
        "paused_until": None if until is None else zulu_text(until),
        "down": control.down,
        "drains": [request.node_id for request in control.drains],
        "applied_plan": None if applied is None else applied.plan_id,
    }


def fleet_text(status: Status) -> str:
    """What runs as the JSON that `recommend --current` reads: nodes that stay, by offer."""
    pools: dict[OfferKey, int] = {}
    for row in status.fleet:
        if row.phase not in _LEAVING:
            pools[row.key] = pools.get(row.key, 0) + row.nodes
    rows = [{**_key(key), "nodes": nodes} for key, nodes in sorted(pools.items())]
    return json.dumps({"fleet": rows}, indent=2) + "\n"


def _key(key: OfferKey) -> dict[str, Any]:
    return {
        "provider": key.provider,
        "region": key.region,
        "zone": key.zone or None,
        "instance_type": key.instance_type,
        "market": key.market.value,
    }
