"""Ray's autoscaler v2 bin packer, fed with the same workers and machines as the planner.

Ray knows no price: it ranks node types by how much of them the waiting requests use. So it is
given few types, and good ones: the nine with the least dollars for their size in terms of the
demand, and for each worker shape the type on which that shape alone is cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costplan.planner.optimize.problem import Problem

BEST_TYPES = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class RayFleet:
    """What Ray would launch: nodes [K] by class, from `types` node types; `unplaced` workers."""

    nodes: np.ndarray
    types: int
    unplaced: int


def node_types(problem: Problem) -> list[int]:
    """The classes that Ray is given; see the module's words."""
    price = np.full(len(problem.capacity), np.inf)
    np.minimum.at(price, problem.klass, problem.cost)
    demand = np.maximum((problem.needs * problem.count[:, None]).sum(axis=0), 1)
    size = (problem.capacity / demand).sum(axis=1)
    chosen = set(np.argsort(price / np.maximum(size, 1e-300), kind="stable")[:BEST_TYPES].tolist())
    for shape, need in enumerate(problem.needs):
        asked = need > 0
        each = (problem.capacity[:, asked] // need[asked]).min(axis=1)
        alone = np.where(problem.admits[:, shape] & (each > 0), price / np.maximum(each, 1), np.inf)
        chosen.add(int(np.argmin(alone)))
    return sorted(chosen)


def pack(problem: Problem, classes: list[int]) -> RayFleet:
    """Ray's answer to all workers at once on an empty cluster, without a limit on nodes."""
    from ray.autoscaler.v2.instance_manager.config import NodeTypeConfig
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.utils import ResourceRequestUtil
    from ray.core.generated.autoscaler_pb2 import ResourceRequestByCount

    workers = int(problem.count.sum())
    configs = {
        str(k): NodeTypeConfig(
            name=str(k),
            min_worker_nodes=0,
            max_worker_nodes=workers,
            resources=_bundle(problem.capacity[k]),
        )
        for k in classes
    }
    requests = [
        ResourceRequestByCount(request=ResourceRequestUtil.make(_bundle(need)), count=int(count))
        for need, count in zip(problem.needs, problem.count, strict=True)
    ]
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=configs,
        max_num_nodes=workers,
        resource_requests=requests,
    )
    reply = ResourceDemandScheduler().schedule(request)
    nodes = np.zeros(len(problem.capacity), dtype=np.int64)
    for launch in reply.to_launch:
        nodes[int(launch.instance_type)] += launch.count
    return RayFleet(
        nodes=nodes, types=len(configs), unplaced=len(reply.infeasible_resource_requests)
    )


def _bundle(size: np.ndarray) -> dict[str, float]:
    vcpu_milli, memory_bytes, gpus = size.tolist()
    bundle = {"CPU": vcpu_milli / 1000, "memory": float(memory_bytes)}
    return {**bundle, "GPU": float(gpus)} if gpus else bundle
