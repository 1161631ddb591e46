"""From what a scheduler has to do now to the workers that do it: shapes and counts.

Tasks are sorted into classes by what they need (`resources=` annotations). A worker has `slots`
for a class: its threads, or fewer where a resource runs out first (one GPU and tasks of one GPU
each: one slot, however many threads). Per class, with R runnable tasks a group (queued or
running):

    known mean:    a slot finishes floor(target / mean) tasks in time, at least one
                   slots = sum over groups of R / max(1, floor(target / mean))
    unknown mean:  slots = min(R, max(growth x slots there now, slots of one worker))
    workers      = ceil(slots / slots of one worker)

so there are never more slots than runnable tasks, but for the last worker's. Unknown means are
not guessed: growth by a factor asks for more at the next look if tasks turn out to be long, as
multiplicative growth finds any size within a factor in logarithmically many looks. Waiting tasks
are not sized for: what they wait for may finish first or last, and the scheduler does not know.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.types import Gap, Resources, WorkerShape
from costplan.planner.units import GIB, memory_text

_LEAST_MEAN_SECONDS = 0.001
"""Dask's clock ticks below this are noise; it also bounds tasks per slot."""

_TEMPLATE = Resources(vcpu_milli=4000, memory_bytes=16 * GIB)
_GPU_TEMPLATE = Resources(vcpu_milli=8000, memory_bytes=30 * GIB, gpus=1)

_Class = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How much to ask for: see the module. Templates are for classes that no worker can run;
    where there are `units`, workers are of these, whatever runs now."""

    target_seconds: int = 300
    growth: float = 2.0
    template: Resources = _TEMPLATE
    gpu_template: Resources = _GPU_TEMPLATE
    units: tuple[WorkerShape, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Workers that the load asks for, what was not known, and why it is so many, a line each.

    No shapes means that nothing waits or runs. What is to be spread needs `least_machines`.
    """

    shapes: tuple[WorkerShape, ...]
    unknown: tuple[Gap, ...]
    explanation: tuple[str, ...]
    least_machines: int = 0


@dataclass(frozen=True, slots=True)
class _Model:
    """A worker that can run a class: what it needs of a machine, and its slots."""

    need: Resources
    slots: int
    origin: str
    unit: WorkerShape | None = None


_DEFAULT_SIZING = Sizing()


def shapes_from_load(load: Load, sizing: Sizing = _DEFAULT_SIZING) -> Demand:
    """The workers that finish the runnable tasks of a load in about `sizing.target_seconds`.

    Example: 100 queued tasks of 60 s, none running, workers of 4 threads: a slot finishes
    floor(300 / 60) = 5 in time, so 20 slots, so 5 workers.
    """
    shapes: list[WorkerShape] = []
    explanation: list[str] = []
    names: set[str] = set()
    for wanted, groups in _classes(load.groups).items():
        need = dict(wanted)
        model = _model(need, load.workers.values(), sizing)
        slots, reason = _slots(groups, _present_slots(need, load.workers.values()), model, sizing)
        workers = math.ceil(slots / model.slots)
        name = _name(need, names)
        names.add(name)
        shapes.append(
            WorkerShape(name=name, count=workers, need=model.need)
            if model.unit is None
            else replace(model.unit, name=name, count=workers)
        )
        asked = f"{_counted(workers, 'worker')} of {_counted(model.slots, 'slot')}"
        explanation.append(f"{name}: {asked} ({model.origin}); {reason}")
    waiting = sum(group.waiting for group in load.groups)
    if waiting:
        explanation.append(f"{_counted(waiting, 'task')} wait for others and are not sized for")
    return Demand(
        shapes=tuple(shapes), unknown=tuple(_gaps(load, sizing)), explanation=tuple(explanation)
    )


def _runnable(group: TaskGroup) -> int:
    return group.queued + group.running


def _classes(groups: Iterable[TaskGroup]) -> dict[_Class, list[TaskGroup]]:
    """Groups with runnable tasks by what they need, in sorted order."""
    classes: dict[_Class, list[TaskGroup]] = {}
    for group in groups:
        if _runnable(group):
            wanted = tuple(sorted((name, amount) for name, amount in group.need.items() if amount))
            classes.setdefault(wanted, []).append(group)
    return dict(sorted(classes.items()))


def _slots(
    groups: Iterable[TaskGroup], present: int, model: _Model, sizing: Sizing
) -> tuple[int, str]:
    known, known_tasks, unknown_tasks = Fraction(0), 0, 0
    for group in groups:
        if group.mean_task_seconds is None:
            unknown_tasks += _runnable(group)
            continue
        mean = max(group.mean_task_seconds, _LEAST_MEAN_SECONDS)
        known += Fraction(_runnable(group), max(1, math.floor(sizing.target_seconds / mean)))
        known_tasks += _runnable(group)
    most_unknown = max(math.floor(sizing.growth * present), model.slots)
    for_unknown = min(unknown_tasks, most_unknown)
    parts = []
    if known_tasks:
        done_in = f"within {sizing.target_seconds} s"
        parts.append(
            f"{_counted(known_tasks, 'task')} of known length {done_in} need {float(known):.4g}"
        )
    if unknown_tasks:
        limit = f", at most {sizing.growth:g} x the {present} there now or one worker's"
        parts.append(
            f"{_counted(unknown_tasks, 'task')} of unknown length get {for_unknown}"
            f"{limit if for_unknown < unknown_tasks else ''}"
        )
    return math.ceil(known) + for_unknown, " and ".join(parts)


def _kind(resource: str) -> str:
    """'cpu', 'gpu', 'memory', or '' for a resource that no price list knows."""
    kind = resource.lower()
    return kind if kind in ("cpu", "gpu", "memory") else ""


def _slots_of(need: Mapping[str, float], worker: WorkerLoad) -> int:
    """Tasks of a class that one worker runs at a time; 0 where it lacks a resource."""
    fits = [worker.resources.get(name, 0) / amount for name, amount in need.items()]
    return math.floor(min([worker.threads, *fits]))


def _present_slots(need: Mapping[str, float], workers: Iterable[WorkerLoad]) -> int:
    return sum(_slots_of(need, worker) for worker in workers)


def _model(need: Mapping[str, float], workers: Iterable[WorkerLoad], sizing: Sizing) -> _Model:
    """A unit that can run the class, else the most common worker that can, else the template.

    Workers with fewer resources that the class does not need come first, so that tasks without
    a GPU do not set the shape by the GPU workers they may also run on. GPUs that a class does
    not need are not part of its shape.
    """
    if (unit := _unit(need, sizing.units)) is not None:
        return unit
    able = Counter(
        (len(set(worker.resources) - set(need)), worker.threads, worker.memory_bytes, slots, gpus)
        for worker in workers
        if (slots := _slots_of(need, worker)) > 0
        for gpus in [_gpus(need, worker.resources)]
    )
    if not able:
        return _template(need, sizing)
    fewest = min(extra for extra, *_ in able)
    _, threads, memory, slots, gpus = max(
        (shape for shape in able if shape[0] == fewest),
        key=lambda shape: (able[shape], shape[1], shape[2] or 0, shape[3], shape[4]),
    )
    template = sizing.gpu_template if gpus else sizing.template
    resources = Resources(
        vcpu_milli=threads * 1000,
        memory_bytes=template.memory_bytes if memory is None else memory,
        gpus=gpus,
    )
    return _Model(resources, slots, "like the workers that run now")


def _unit(need: Mapping[str, float], units: Iterable[WorkerShape]) -> _Model | None:
    """The smallest unit that can run the class."""
    wanted: dict[str, float] = {}
    for name, amount in need.items():
        if kind := _kind(name):
            wanted[kind] = wanted.get(kind, 0.0) + amount
    able = []
    for unit in units:
        has = {"gpu": unit.need.gpus, "memory": unit.need.memory_bytes}
        threads = max(1, unit.need.vcpu_milli // 1000)
        fits = [{**has, "cpu": threads}[kind] / amount for kind, amount in wanted.items()]
        if slots := math.floor(min([threads, *fits])):
            size = unit.need.gpus, unit.need.vcpu_milli, unit.need.memory_bytes, unit.name
            able.append((size, _Model(unit.need, slots, f"worker {unit.name!r}", unit)))
    return min(able, key=lambda one: one[0])[1] if able else None


def _gpus(need: Mapping[str, float], has: Mapping[str, float]) -> int:
    return math.ceil(sum(has[name] for name in need if _kind(name) == "gpu"))


def _template(need: Mapping[str, float], sizing: Sizing) -> _Model:
    """The template, with as much memory and as many GPUs as one task needs at least."""
    gpus = sum(amount for name, amount in need.items() if _kind(name) == "gpu")
    memory = sum(amount for name, amount in need.items() if _kind(name) == "memory")
    cpus = sum(amount for name, amount in need.items() if _kind(name) == "cpu")
    base = sizing.gpu_template if gpus else sizing.template
    resources = Resources(
        vcpu_milli=max(base.vcpu_milli, math.ceil(cpus * 1000)),
        memory_bytes=max(base.memory_bytes, math.ceil(memory)),
        gpus=max(base.gpus, math.ceil(gpus)) if gpus else 0,
    )
    slots = float(max(1, base.vcpu_milli // 1000))
    if cpus:
        slots = resources.vcpu_milli / 1000 / cpus
    if gpus:
        slots = min(slots, resources.gpus / gpus)
    if memory:
        slots = min(slots, resources.memory_bytes / memory)
    return _Model(resources, math.floor(slots), "the template, as no worker can run them")


def _name(need: Mapping[str, float], taken: set[str]) -> str:
    """What the plan calls a class: 'any', 'gpu1', 'memory8GiB', 'gpu1-license2'."""
    parts = []
    for resource, amount in need.items():
        size = memory_text(math.ceil(amount)) if _kind(resource) == "memory" else f"{amount:g}"
        parts.append(f"{resource.lower()}{size}")
    plain = re.sub(r"[^A-Za-z0-9_.-]", "", "-".join(parts))[:60] or "any"
    name, again = plain, 2
    while name in taken:
        name, again = f"{plain}-{again}", again + 1
    return name


def _gaps(load: Load, sizing: Sizing) -> Iterable[Gap]:
    """What sizing had to do without, one gap a prefix or resource."""
    runnable = [group for group in load.groups if _runnable(group)]
    for prefix in sorted({g.prefix for g in runnable if g.mean_task_seconds is None}):
        assumed = f"a slot a task, at most {sizing.growth:g} x the slots there now"
        yield Gap(kind="task duration", subject=prefix, assumed=assumed, since=load.at)
    for name in sorted({name for g in runnable for name in g.need if not _kind(name)}):
        assumed = f"resource {name} has no price; any machine is taken to have it"
        yield Gap(kind="resource", subject=name, assumed=assumed, since=load.at)
    unlimited = sum(worker.memory_bytes is None for worker in load.workers.values())
    if unlimited:
        assumed = f"the template's {memory_text(sizing.template.memory_bytes)}, with GPUs "
        assumed += memory_text(sizing.gpu_template.memory_bytes)
        subject = f"{_counted(unlimited, 'worker')} without a limit"
        yield Gap(kind="worker memory", subject=subject, assumed=assumed, since=load.at)
    pinned = sum(group.pinned for group in runnable)
    if pinned:
        subject = f"{_counted(pinned, 'task')} pinned to named workers or hosts"
        assumed = "that any worker may run them; more machines do not help otherwise"
        yield Gap(kind="placement", subject=subject, assumed=assumed, since=load.at)
    if load.unread_tasks:
        subject = f"{_counted(load.unread_tasks, 'task')} not looked at one by one"
        assumed = "that they need nothing special"
        yield Gap(kind="restrictions", subject=subject, assumed=assumed, since=load.at)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
