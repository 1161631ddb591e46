"""A workload file as a frozen `Workload`, or every problem of it in one error.

Text comes in and values go out; who reads the file names it for the messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from costplan.planner.config_fields import shown, suggestion
from costplan.planner.config_models import (
    QuotaSection,
    WorkerSection,
    WorkloadSection,
    contradictions,
    sections,
)
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.errors import InputError
from costplan.planner.types import Resources, WorkerShape
from costplan.planner.units import GIB
from costplan.planner.workload import (
    Interruption,
    Limits,
    Machines,
    MarketRules,
    Overhead,
    Quota,
    Where,
    Workload,
)

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
    "budget.usd_per_hour": "usd_per_hour: 60",
}
_INTEGER = re.compile(r"[+-]?\d{1,30}")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,60}")
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
        _raise(name, [_problem(name, details) for details in error.errors(include_url=False)])
    found = [InputError(f"{name}: {path}", *rest) for path, *rest in contradictions(file)]
    if found:
        _raise(name, found)
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
        _raise(subject, [_problem(subject, d, "workers") for d in error.errors(include_url=False)])
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
            raise InputError(subject, *_unknown_key(key, _FLAG_KEYS))
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


def _raise(subject: str, problems: Sequence[InputError]) -> NoReturn:
    """Never returns: one problem is raised as it is, several as one error with a line each."""
    if len(problems) == 1:
        raise problems[0]
    lines = "".join(f"\n  {str(problem).removeprefix(f'{subject}: ')}" for problem in problems)
    raise InputError(subject, f"{len(problems)} problems{lines}")


def _problem(name: str, details: ErrorDetails, within: str = "") -> InputError:
    """The problem that pydantic found, in the words of the file."""
    places, kind = details["loc"], details["type"]
    if kind == "invalid_key" or (kind == "refused" and places[-1:] == ("[key]",)):
        places = places[:-1]
    words = [place for place in places if isinstance(place, str)]
    outer = ".".join([within, *words[:-1]] if within else words[:-1])
    generic = f"{outer}.{words[-1]}".lstrip(".") if words else within
    path = "".join(_step(place) for place in places).lstrip(".")
    subject = f"{name}: {path}" if path else name
    value, context = details["input"], details.get("ctx", {})
    if value is None and kind not in ("extra_forbidden", "invalid_key"):
        return InputError(subject, "has no value", "write one, or remove the key")
    match kind:
        case "refused":
            said = context["problem"], context["remedy"]
        case "extra_forbidden":
            said = _unknown_key(words[-1], sections()[outer].model_fields)
        case "invalid_key":
            said = f"the key {shown(value)} is not text", "put it in quotes"
        case "missing":
            said = "is missing", f"add {_EXAMPLES[generic]}"
        case "tuple_type":
            said = f"{shown(value)} is not a list", "write it in [ ]"
        case "dict_type":
            said = f"{shown(value)} is not a mapping", "write it like {aws: [us-east-1]}"
        case "model_type":
            keys = sections()[generic].model_fields
            said = f"{shown(value)} is not a mapping", f"its keys are {', '.join(keys)}"
        case _:
            said = f"{shown(value)} is not valid", details["msg"]
    return InputError(subject, *said)


def _step(place: str | int) -> str:
    """One step of a path; a key that is no plain word is shown in quotes and in short."""
    if isinstance(place, int):
        return f"[{place}]"
    return f".{place}" if _WORD.fullmatch(place) else f".{shown(place)}"


def _unknown_key(key: str, valid: Iterable[str]) -> tuple[str, str]:
    listed = list(valid)
    way_out = f"{suggestion(key, listed)} valid keys are {', '.join(listed)}".strip()
    return f"{shown(key)} is not a key", way_out


def _workload(file: WorkloadSection) -> Workload:
    machines, market, overhead = file.machines, file.market, file.overhead
    return Workload(
        name=file.workload,
        shapes=tuple(_shape(worker) for worker in file.workers),
        duration_seconds=file.duration,
        where=Where(
            providers=file.where.providers,
            regions=MappingProxyType(dict(file.where.regions)),
            single_region=file.where.single_region,
            single_zone=file.where.single_zone,
        ),
        machines=Machines(
            arch=machines.arch,
            include=machines.include,
            exclude=machines.exclude,
            max_vcpu=None if machines.max_vcpu is None else machines.max_vcpu / 1000,
            burstable=machines.burstable,
            suspect_share=machines.suspect_share,
        ),
        market=MarketRules(
            allow=market.allow,
            spot_max_share=market.spot_max_share,
            on_demand_base_vcpu_milli=market.on_demand_base_vcpu,
            pool_max_share=market.pool_max_share,
            max_hazard_per_hour=market.max_hazard_per_hour,
        ),
        interruption=Interruption(
            lost_work_seconds=file.interruption.lost_work,
            restart_seconds=file.interruption.restart,
        ),
        overhead=Overhead(
            vcpu_milli=overhead.vcpu,
            memory_share=overhead.memory_share,
            memory_floor_bytes=overhead.memory_floor,
        ),
        limits=Limits(
            max_nodes=file.limits.max_nodes,
            quotas=tuple(_quota(quota) for quota in file.limits.quotas),
        ),
        budget_pico_per_hour=None if file.budget is None else file.budget.usd_per_hour,
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


def _quota(quota: QuotaSection) -> Quota:
    return Quota(
        provider=quota.provider,
        region=quota.region,
        market=quota.market,
        instance_types=quota.instance_types,
        vcpu_milli=quota.vcpu,
        nodes=quota.nodes,
    )
