"""Which node a worker is on, and what it costs there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from costplan.planner.launching import launch_number
from costplan.planner.ledger import Meter
from costplan.planner.nodes import Node
from costplan.planner.units import usd_from_pico
from costplan.planner.work import WorkerRate
from costplan.planner.work_cost import shared_out

_PICO = Decimal(10) ** 12


def node_finder(nodes: Mapping[str, Node], cluster: str) -> Callable[[str], str]:
    """Finds the node of a worker: by the nodes that are known, and of those that are long gone by
    the worker's name, which begins with its node's."""
    known = {name: node_id for node_id, node in nodes.items() for name in node.workers}

    def node_of(worker: str) -> str:
        if worker in known:
            return known[worker]
        node_id = worker.rpartition("-")[0]
        is_ours = node_id.startswith(f"{cluster}-") and launch_number(node_id) > 0
        return node_id if is_ours else ""

    return node_of


def worker_rates(nodes: Mapping[str, Node], meters: Mapping[str, Meter]) -> list[WorkerRate]:
    """What each worker costs an hour, by its threads' part of its node's rate, by name."""
    found = []
    for node_id, node in nodes.items():
        meter = meters.get(node_id)
        if meter is None or meter.usd_per_hour is None or not node.request.workers:
            continue
        threads = {worker.name: worker.threads for worker in node.request.workers}
        pico = int(meter.usd_per_hour * _PICO)
        parts, _ = shared_out(pico, sum(threads.values()), threads)
        found += [
            WorkerRate(worker=name, usd_per_hour=usd_from_pico(part))
            for name, part in parts.items()
        ]
    return sorted(found, key=lambda rate: rate.worker)
