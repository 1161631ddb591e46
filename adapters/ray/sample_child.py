"""The process that speaks to Ray, so that no process with credentials has to import it.

    python -m costplan.adapters.ray.sample_child look 10.0.0.1:6379
    python -m costplan.adapters.ray.sample_child drain 10.0.0.1:6379 --deadline-ms N NODE_ID ...

It asks the cluster's control service (GCS) for what its autoscaler is told, without joining the
cluster: the answer is protobuf and nothing is unpickled. One JSON document on standard output is
the answer, and its parent checks it as it would a stranger's. `ray.autoscaler.v2.sdk` is no
documented interface of Ray's, so what is used of it is in this file alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

_ANSWER_SECONDS = 10
_LONGEST_ERROR = 300


def _status(address: str) -> Any:
    from ray.autoscaler.v2.sdk import get_cluster_status

    return get_cluster_status(address, timeout=_ANSWER_SECONDS)


def _look(address: str) -> dict[str, Any]:
    """Nodes, demands, gangs and the floor that somebody asked the autoscaler for."""
    status = _status(address)
    demands = status.resource_demands
    return {
        "at": datetime.now(UTC).isoformat(),
        "nodes": [_node(node) for node in (*status.active_nodes, *status.idle_nodes)],
        "demands": _bundles(demands.ray_task_actor_demand),
        "floor": _bundles(demands.cluster_constraint_demand),
        "gangs": [
            {
                "name": gang.pg_id or "",
                "strategy": gang.strategy or "PACK",
                "state": gang.state or "",
                "bundles": _bundles([gang]),
            }
            for gang in demands.placement_group_demand
        ],
    }


def _node(node: Any) -> dict[str, Any]:
    usage = node.resource_usage
    return {
        "id": node.node_id,
        "status": node.node_status or "",
        "instance_type": node.instance_type_name or "",
        "total": node.total_resources(),
        "used": node.used_resources(),
        "idle_ms": 0 if usage is None else usage.idle_time_ms,
    }


def _bundles(demands: Any) -> list[list[Any]]:
    return [[dict(one.bundle), one.count] for demand in demands for one in demand.bundles_by_count]


def _drain(address: str, ids: list[str], deadline_ms: int) -> dict[str, Any]:
    """Per node: '' where the drain was accepted, else why not; nodes that are gone are left out."""
    from ray._raylet import GcsClient
    from ray.core.generated.autoscaler_pb2 import DrainNodeReason

    status = _status(address)
    there = {node.node_id for node in (*status.active_nodes, *status.idle_nodes)}
    client = GcsClient(address)
    answers = {}
    for node_id in ids:
        if node_id not in there:
            continue
        accepted, problem = client.drain_node(
            node_id,
            DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
            "drained by costplan",
            deadline_ms,
        )
        answers[node_id] = "" if accepted else problem or "no reason given"
    return {"drained": answers}


def _answer(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the parent is told: what was seen or done, or the error that there was instead."""
    try:
        if arguments.verb == "look":
            return {"seen": _look(arguments.address)}
        return _drain(arguments.address, arguments.ids, arguments.deadline_ms)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "ray":
            return {"error": f"this Ray lacks a part of it: {error}", "kind": "other"}
        return {"error": "", "kind": "missing"}
    except Exception as error:  # a stranger may raise anything, and all of it is an answer
        text = f"{type(error).__name__}: {error}".partition("\n")[0]
        kind = "token" if "Auth" in type(error).__name__ else "other"
        return {"error": " ".join(text.split())[:_LONGEST_ERROR], "kind": kind}


def main() -> None:
    """Writes the answer to standard output."""
    parser = argparse.ArgumentParser(prog="costplan.adapters.ray.sample_child")
    parser.add_argument("verb", choices=("look", "drain"))
    parser.add_argument("address")
    parser.add_argument("ids", nargs="*")
    parser.add_argument("--deadline-ms", type=int, default=0)
    json.dump(_answer(parser.parse_args()), sys.stdout)


if __name__ == "__main__":
    main()
