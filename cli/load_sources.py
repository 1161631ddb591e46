"""What a Ray cluster or a Spark application has to do, as a workload."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costplan.cli.demand_source import Asked, Source, read_workload
from costplan.planner.errors import InputError
from costplan.planner.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costplan.planner.demand import Demand
    from costplan.planner.load_source import Capabilities, LoadSource, Sample
    from costplan.planner.types import WorkerShape


def observed_elsewhere(source: Source) -> Asked:
    """What the cluster has to do, by the rules and with the workers of the file if there is one.

    Raises InputError where it cannot be looked at, or no worker of the file is large enough.
    """
    rules = None if source.file is None else read_workload(source.file)
    cluster, name, address = _cluster(source)
    sample = cluster.sample()
    units = () if rules is None else rules.shapes
    demand = _demand(sample, cluster.capabilities, units)
    unplaced = [gap.subject for gap in demand.unknown if gap.kind == "worker"]
    if unplaced and not demand.shapes:
        problem = f"no worker of it has room for any demand of {address}: {unplaced[0]}"
        raise InputError(str(source.file), problem, "add a larger one")
    notes = (address, *demand.explanation, _can_do(name, cluster.capabilities))
    workload = None
    if demand.shapes:
        base = rules or Workload(name=name, shapes=demand.shapes)
        workload = replace(base, shapes=demand.shapes)
    return Asked(
        name=address,
        workload=workload,
        gaps=demand.unknown,
        notes=notes,
        least_machines=demand.least_machines,
    )


def _cluster(source: Source) -> tuple[LoadSource, str, str]:
    """The cluster, what the plan calls it, and its address."""
    if source.spark is not None:
        from costplan.adapters.spark.source import SparkSource

        spark = SparkSource(
            url=source.spark,
            app_id=source.spark_app,
            token_file=source.token_file,
            ca_file=source.tls_ca,
        )
        return spark, "spark", source.spark
    from costplan.adapters.dask.sample import TlsFiles
    from costplan.adapters.ray.source import RaySource

    tls = None
    if source.tls_ca and source.tls_cert and source.tls_key:
        tls = TlsFiles(ca=source.tls_ca, cert=source.tls_cert, key=source.tls_key)
    address = source.ray or ""
    return RaySource(address=address, token_file=source.token_file, tls=tls), "ray", address


def _demand(sample: Sample, can: Capabilities, units: Sequence[WorkerShape]) -> Demand:
    """Sized for a time where the source says how long tasks take; else a place for each."""
    if can.work_estimate:
        from costplan.planner.demand import Sizing, shapes_from_load

        demand = shapes_from_load(sample.load, Sizing(units=tuple(units) or sample.starts))
        return replace(demand, unknown=(*demand.unknown, *sample.unknown))

    from costplan.planner.demand_bundles import shapes_from_bundles

    return shapes_from_bundles(sample, units)


def _can_do(name: str, can: Capabilities) -> str:
    """A line that says what the source lets costplan do with it."""
    words = {
        "durations": can.work_estimate,
        "gangs": can.gangs,
        "drains": can.drain,
        "resizing": can.resize,
    }
    has = ", ".join(word for word, is_there in words.items() if is_there)
    lacks = ", ".join(word for word, is_there in words.items() if not is_there)
    return f"{name} as a source has {has}, and not {lacks}"
