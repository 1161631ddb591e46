"""A workload file as a frozen `Workload`, or every problem of it in one error.

Text comes in and values go out; who reads the file names it for the messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

from pydantic import ValidationError

from costplan.planner.config_fields import shown
from costplan.planner.config_models import (
    WorkerSection,
    WorkloadSection,
    contradictions,
    sections,
)
from costplan.planner.config_problems import Grammar, problem, raise_all, unknown_key
from costplan.planner.config_values import (
    interruption_of,
    limits_of,
    machines_of,
    market_of,
    overhead_of,
    rates_of,
    where_of,
)
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.errors import InputError
from costplan.planner.held.config import BY_KIND, held_contradictions, held_of
from costplan.planner.held.config import EXAMPLES as HELD_EXAMPLES
from costplan.planner.types import Resources, WorkerShape
from costplan.planner.units import GIB
from costplan.planner.workload import Extras, Workload

_FLAG_KEYS = {
    "vcpu": ("vcpu",),
    "memory": ("memory",),
    "count": ("count",),
    "name": ("name",),
    "gpu": ("gpu", "count"),
    "gpu_kinds": ("gpu", "kinds"),
    "markets": ("markets",),
}
_EXAMPLES = {
    "workload": "workload: fraud-training",
    "workers": "workers: [{name: features, count: 4, vcpu: 4, memory: 16 GiB}]",
    "workers.name": "name: features",
    "workers.count": "count: 4",
    "workers.vcpu": "vcpu: 4",
    "workers.memory": "memory: 16 GiB",
    "workers.gpu.count": "count: 1",
    "place_rates.provider": "provider: aws",
    "where.data.location": "location: aws/us-east-1",
    "where.data.read": "read: 500 GiB",
    "budget.usd_per_hour": "usd_per_hour: 60",
}
_GRAMMAR = Grammar(
    sections=sections(WorkloadSection), examples={**HELD_EXAMPLES, **_EXAMPLES}, by_kind=BY_KIND
)
_INTEGER = re.compile(r"[+-]?\d{1,30}")
_DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")


def parse_workload(text: str, name: str) -> Workload:
    """The workload that YAML text describes; `name` is the file's name for messages.

    Raises InputError that lists every problem found, one a line. Rules between keys are looked
    at once each key is valid by itself.
    """
    return workload_from_mapping(mapping_from_yaml(text, name), name)


def workload_from_mapping(data: object, name: str) -> Workload:
    """The workload that a parsed file describes; raises InputError as `parse_workload` does."""
    if not isinstance(data, Mapping):
        raise InputError(
            name,
            f"the file holds {shown(data)}, not keys and values",
            "see docs/workload.md for an example",
        )
    try:
        file = WorkloadSection.model_validate(dict(data))
    except ValidationError as error:
        raise_all(
            name, [problem(_GRAMMAR, name, details) for details in error.errors(include_url=False)]
        )
    against = chain(contradictions(file), held_contradictions(file))
    found = [InputError(f"{name}: {path}", *rest) for path, *rest in against]
    if found:
        raise_all(name, found)
    return _workload(file)


def parse_worker_flag(text: str) -> WorkerShape:
    """The shape that a flag such as 'vcpu=4,memory=16GiB,count=400,gpu=1' describes.

    Lists are written with '|': gpu_kinds=T4|L4. Without name= the shape is called by what it
    needs: '4x16GiB', with GPUs '8x30GiB-1gpu'. Raises InputError.
    """
    subject = f"--worker {text}"
    data = _flag_mapping(text, subject)
    unnamed = "name" not in data
    try:
        worker = WorkerSection.model_validate({"name": "unnamed", **data})
    except ValidationError as error:
        raise_all(
            subject,
            [problem(_GRAMMAR, subject, d, "workers") for d in error.errors(include_url=False)],
        )
    return _shape(worker.model_copy(update={"name": _called(worker)}) if unnamed else worker)


def workload_from_workers(shapes: Sequence[WorkerShape]) -> Workload:
    """The workload of these shapes with the default rules; raises InputError on equal names."""
    if not shapes:
        raise InputError("--worker", "no workers are given", "add vcpu=4,memory=16GiB,count=400")
    names = [shape.name for shape in shapes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            "--worker",
            f"two shapes are called {name!r}",
            "add name=... to one, or join their counts",
        )
    return Workload(name="command-line", shapes=tuple(shapes))


def _flag_mapping(text: str, subject: str) -> dict[str, Any]:
    data: dict[str, Any] = {}
    example = "write vcpu=4,memory=16GiB,count=400" + ",gpu=1" * ("gpu_kinds" in text)
    seen: set[str] = set()
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise InputError(subject, f"{shown(part)} is not key=value", example)
        if key not in _FLAG_KEYS:
            raise InputError(subject, *unknown_key(key, _FLAG_KEYS))
        if key in seen:
            raise InputError(subject, f"{key} is given twice", "keep one")
        if not value:
            raise InputError(subject, f"{key} has no value", example)
        seen.add(key)
        *outer, last = _FLAG_KEYS[key]
        target = data.setdefault(outer[0], {}) if outer else data
        target[last] = value.split("|") if key in ("gpu_kinds", "markets") else _scalar(key, value)
    needed = ["vcpu", "memory", "count", *(["gpu"] if "gpu_kinds" in seen else [])]
    missing = [key for key in needed if key not in seen]
    if missing:
        raise InputError(subject, f"{', '.join(missing)} missing", example)
    return data


def _scalar(key: str, value: str) -> int | float | str:
    if key in ("name", "memory"):
        return int(value) if key == "memory" and _INTEGER.fullmatch(value) else value
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _DECIMAL.fullmatch(value) else value


def _called(worker: WorkerSection) -> str:
    gpus = f"-{worker.gpu.count}gpu" if worker.gpu else ""
    return f"{worker.vcpu / 1000:g}x{Decimal(worker.memory) / GIB:.6g}GiB{gpus}".replace("+", "")


def _workload(file: WorkloadSection) -> Workload:
    return Workload(
        name=file.workload,
        shapes=tuple(_shape(worker) for worker in file.workers),
        duration_seconds=file.duration,
        where=where_of(file.where),
        machines=machines_of(file.machines),
        market=market_of(file.market),
        interruption=interruption_of(file.interruption),
        overhead=overhead_of(file.overhead),
        limits=limits_of(file.limits),
        extras=Extras(
            root_disk_bytes=file.machines.root_disk,
            public_ip=file.machines.public_ip,
            rates=rates_of(file.place_rates),
        ),
        budget_pico_per_hour=None if file.budget is None else file.budget.usd_per_hour,
        held=held_of(file),
    )


def _shape(worker: WorkerSection) -> WorkerShape:
    gpu = worker.gpu
    return WorkerShape(
        name=worker.name,
        count=worker.count,
        need=Resources(
            vcpu_milli=worker.vcpu,
            memory_bytes=worker.memory,
            gpus=gpu.count if gpu else 0,
        ),
        gpu_kinds=gpu.kinds if gpu else (),
        markets=worker.markets,
    )
