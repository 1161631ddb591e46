"""From allowed moves to nodes: each launch an intention with its frozen request, each drain an
order on its node."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from costplan.planner.nodes import DrainOrder, LaunchRequest, Node, WorkerSpec
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.tick import DrainNode, MovePlan, NewNode, Snapshot
from costplan.planner.types import Phase, Resources


def with_new_nodes(
    nodes: Mapping[str, Node],
    plan: MovePlan,
    snapshot: Snapshot,
    launches: int,
    settings: Settings,
) -> tuple[dict[str, Node], int]:
    """The nodes with one intended node for each launch of the plan, and the launches so far.

    Ids count up, and a part of the plan's id keeps them apart from those of a lost store.
    """
    found = dict(nodes)
    for move in plan.moves:
        if isinstance(move, NewNode):
            launches += 1
            node_id = f"{settings.cluster}-{launches:05d}-{plan.plan_id[:4]}"
            found[node_id] = _intended(node_id, move, plan, snapshot, settings)
    return found, launches


def launch_number(node_id: str) -> int:
    """Which launch a node was, by its id; 0 for an id that is none of ours."""
    found = re.search(r"-(\d+)-[0-9a-f]{4}$", node_id)
    return int(found[1]) if found else 0


def _intended(
    node_id: str, move: NewNode, plan: MovePlan, snapshot: Snapshot, settings: Settings
) -> Node:
    now, key = snapshot.at, move.keys[0]
    unknown = Resources(vcpu_milli=0, memory_bytes=0)
    size = next((o.resources for o in snapshot.offers if o.key == key), unknown)
    token = hashlib.sha256(f"{settings.cluster}|{node_id}|{plan.plan_id}".encode()).hexdigest()
    kinds = {kind.name: kind for kind in settings.kinds}
    shapes = [name for name, count in sorted(move.workers.items()) for _ in range(count)]
    request = LaunchRequest(
        token=token[:32],
        node_id=node_id,
        cluster=settings.cluster,
        keys=move.keys,
        workers=tuple(
            _worker(f"{node_id}-{place}", kinds[name]) for place, name in enumerate(shapes)
        ),
        image_ref=settings.image_ref,
        user_data_ref=settings.user_data_ref,
        tags=settings.tags,
    )
    return Node(
        node_id=node_id,
        key=key,
        resources=size,
        phase=Phase.INTENDED,
        phase_since=now,
        workload=settings.workload,
        request=request,
        history=((Phase.INTENDED, now, move.reason),),
    )


def _worker(name: str, kind: WorkerKind) -> WorkerSpec:
    return WorkerSpec(
        name=name,
        shape=kind.name,
        threads=kind.threads,
        memory_bytes=kind.need.memory_bytes,
        gpus=kind.need.gpus,
        resources=kind.resources,
    )


def order_drains(
    nodes: Mapping[str, Node], plan: MovePlan, settings: Settings, now: datetime
) -> dict[str, Node]:
    """The nodes with an order for each drain of the plan; a replaced one waits for its heirs."""
    found = dict(nodes)
    heirs: dict[str, list[str]] = {}
    new = [node_id for node_id in found if found[node_id].phase is Phase.INTENDED]
    launches = [move for move in plan.moves if isinstance(move, NewNode)]
    fresh = [n for n in new if found[n].phase_since == now]
    for node_id, launch in zip(fresh[-len(launches) :] if launches else [], launches, strict=True):
        for old in launch.replaces:
            heirs.setdefault(old, []).append(node_id)
    wait = timedelta(seconds=settings.scaling.drain_wait_seconds)
    for move in plan.moves:
        node = found.get(move.node_id) if isinstance(move, DrainNode) else None
        if node is None or not isinstance(move, DrainNode) or node.drain is not None:
            continue
        order = DrainOrder(
            token=f"{node.node_id}-{plan.plan_id}",
            cause=move.cause,
            ordered_at=now,
            wait_until=now + wait,
            after=tuple(heirs.get(node.node_id, ())),
        )
        found[node.node_id] = replace(node, drain=order)
    return found
