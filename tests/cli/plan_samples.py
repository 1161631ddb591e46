"""A plan document for the fleet of `fleet_samples`, as `recommend` would write it."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from costplan.planner.plan_document import money_text
from costplan.planner.plan_schema import PlanDocument
from costplan.planner.types import OfferKey
from costplan.planner.units import GIB
from tests.cli.fleet_samples import FIRM, NOW, PRICES, SPOT


def instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def offer(key: OfferKey) -> dict[str, Any]:
    return {
        "provider": key.provider,
        "region": key.region,
        "zone": key.zone or None,
        "instance_type": key.instance_type,
        "market": key.market.value,
    }


def pool(key: OfferKey, nodes: int) -> dict[str, Any]:
    price = PRICES[key]
    return {
        **offer(key),
        "nodes": nodes,
        "usd_per_hour_each": money_text(price),
        "usd_per_hour": money_text(price * nodes),
        "packings": [{"nodes": nodes, "workers": {"cpu": 1}}],
        "vcpu_each": 2.0,
        "memory_bytes_each": 8 * GIB,
        "gpus_each": 0,
        "gpu_kind": None,
        "hazard_per_hour": 0.01,
        "hazard_is_assumed": False,
        "price_source": "our list",
        "price_observed_at": instant(NOW - timedelta(hours=2)),
        "price_is_estimate": False,
    }


def change(key: OfferKey, now: int, planned: int) -> dict[str, Any]:
    return {
        **offer(key),
        "nodes_now": now,
        "nodes_planned": planned,
        "usd_per_hour_each": money_text(PRICES[key]),
    }


def document(created_at: datetime = NOW - timedelta(minutes=10)) -> dict[str, Any]:
    """Three spot nodes and one firm run and stay-or-come; the plan wants 4 spot, 0 firm."""
    return {
        "schema_version": 1,
        "status": "ok",
        "plan_id": "abcdef0123456789",
        "created_at": instant(created_at),
        "workload": {
            "name": "fraud-training",
            "workers": [
                {
                    "name": "cpu",
                    "count": 4,
                    "vcpu": 2.0,
                    "memory_bytes": 7 * GIB,
                    "gpus": 0,
                    "gpu_kinds": [],
                    "markets": [],
                }
            ],
            "duration_seconds": None,
            "where": {
                "providers": [],
                "regions": {},
                "single_region": True,
                "single_zone": False,
            },
            "machines": {
                "arch": ["x86_64"],
                "include": [],
                "exclude": [],
                "max_vcpu": None,
                "burstable": False,
            },
            "market": {
                "allow": ["on_demand", "spot"],
                "spot_max_share": 1.0,
                "on_demand_base_vcpu": 0.0,
                "pool_max_share": 1.0,
                "max_hazard_per_hour": None,
            },
            "interruption": {"lost_work_seconds": 600, "restart_seconds": 180},
            "overhead": {"vcpu": 0.0, "memory_share": 0.05, "memory_floor_bytes": 2**29},
            "limits": {"max_nodes": None, "quotas": []},
            "budget_usd_per_hour": None,
        },
        "site": "here",
        "prices": {
            "source": "our list",
            "digest": "0" * 64,
            "sources": ["our list"],
            "oldest_observed_at": instant(NOW - timedelta(hours=2)),
            "newest_observed_at": instant(NOW - timedelta(hours=2)),
            "offers_total": 3,
            "offers_considered": 3,
            "left_out": [],
        },
        "fleet": [pool(SPOT, 4)],
        "usd_per_hour": "0.16",
        "expected_usd_per_hour": "0.160346666667",
        "total_usd": None,
        "lower_bound_usd_per_hour": "0.160346666667",
        "gap": 0.0,
        "termination": "optimal",
        "baselines": [],
        "binding": [],
        "runner_up": None,
        "risk": {
            "spot_share": 1.0,
            "largest_pool": offer(SPOT),
            "largest_pool_share": 1.0,
            "interruptions_per_day": 0.96,
            "interruptions_per_day_low": 0.0,
            "interruptions_per_day_high": 2.0,
            "expected_usd_per_hour_low": "0.16",
            "expected_usd_per_hour_high": "0.17",
        },
        "not_priced": [],
        "gaps": [],
        "diff": {
            "changes": [change(SPOT, 3, 4), change(FIRM, 1, 0)],
            "usd_per_hour_now": "0.22",
            "unpriced": [],
        },
    }


def changed(**changes: Any) -> dict[str, Any]:
    """The document with keys replaced; '__' goes down one level."""
    whole = deepcopy(document())
    for path, value in changes.items():
        place: Any = whole
        *above, last = path.split("__")
        for part in above:
            place = place[int(part)] if part.isdecimal() else place[part]
        place[int(last) if last.isdecimal() else last] = value
    return whole


def plan(**changes: Any) -> PlanDocument:
    return PlanDocument.model_validate(changed(**changes))
