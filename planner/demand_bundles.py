"""From demands that each hold a place until they end to the workers that have the places.

This is for sources that do not say how long anything takes: what runs stays, and each demand that
waits gets a place at once, as Ray's own autoscaler would give it. Dask and Spark, which say how
long tasks take, are sized by `demand.py` instead.

Without units, each kind of demand is a worker of its own, and the planner finds the machines
that hold them best. With units (the workers of a workload file) demands are packed into them,
STRICT_SPREAD gangs and then the largest first, each kind into the smallest unit that holds it.
A STRICT_PACK gang is one demand, as it must fit one worker; the parts of other gangs are demands
of their own, and those of a STRICT_SPREAD gang are each put into another unit, or need as many
machines as there are parts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from costplan.planner.demand import Demand
from costplan.planner.load import WorkerLoad
from costplan.planner.load_source import Gang, Sample, Strategy
from costplan.planner.types import Gap, Resources, WorkerShape, require
from costplan.planner.units import GIB, memory_text

_BYTES_PER_VCPU = 4 * GIB
"""Of general-purpose machines of all clouds, where neither a demand nor a worker says more."""

_ACCELERATOR = "accelerator_type:"
_KINDS = {
    "A100": ("A100", "A100-80GB"),
    "A100-40G": ("A100",),
    "A100-80G": ("A100-80GB",),
    "V100": ("V100", "V100-32GB"),
}
"""Names of Ray's that are not the price list's; others are the same in both."""

_PLACED = ("CPU", "GPU", "memory", "object_store_memory")
_Need = tuple[tuple[str, float], ...]
_Room = tuple[int, int, int]
"""GPUs, milli-vCPU and bytes, in the order in which they are scarce."""


@dataclass(frozen=True, slots=True)
class _Item:
    """`count` demands that each take the same of one machine, each of another if `is_apart`."""

    need: Resources
    count: int
    kinds: tuple[str, ...]
    label: str
    told: str
    is_apart: bool = False


def shapes_from_bundles(sample: Sample, units: Sequence[WorkerShape] = ()) -> Demand:
    """The workers that have a place for all that a sample asks for.

    Example: 199 demands of {CPU: 1} and units of 16 vCPU: 199 = 12 x 16 + 7, so 13 units.
    """
    items, unknown = _items(sample, has_units=bool(units))
    items.sort(key=_first_placed, reverse=True)
    if units:
        shapes, told, unplaced = _packed(items, units, _widest(sample.gangs))
    else:
        shapes, told, unplaced = _own(items), [f"{i.label}: {i.told}" for i in items], []
    gaps = list(_gaps(sample, unknown, has_units=bool(units)))
    gaps += [_no_unit(item, sample.load.at) for item in unplaced]
    return Demand(
        shapes=tuple(shapes),
        unknown=(*gaps, *sample.unknown),
        explanation=tuple(told),
        least_machines=0 if units else _widest(sample.gangs),
    )


def _first_placed(item: _Item) -> tuple[bool, _Room, str]:
    """What opens units that others then fill, then the largest; highest first."""
    return item.is_apart, _room(item.need), item.label


def _widest(gangs: Iterable[Gang]) -> int:
    """Workers that the widest STRICT_SPREAD gang needs."""
    return max((g.width for g in gangs if g.strategy is Strategy.STRICT_SPREAD), default=0)


def _items(sample: Sample, *, has_units: bool) -> tuple[list[_Item], set[str]]:
    """What needs a place, and the names of the resources that no price list knows."""
    counts: Counter[tuple[_Need, str]] = Counter()
    apart: list[_Item] = []
    for group in sample.load.groups:
        need = _sorted(group.need)
        counts[need, "waiting"] += group.queued
        counts[need, "running"] += group.running
    for gang in sample.gangs:
        if gang.strategy is Strategy.STRICT_PACK:
            counts[_sorted(_sum(gang.parts)), "to be on one machine"] += 1
            continue
        for part, count in gang.parts:
            need, why = _sorted(part), f"of {gang.strategy} gangs"
            if has_units and gang.strategy is Strategy.STRICT_SPREAD:
                item = _item(dict(need), count, f"{count} {why}", 0)
                apart.append(replace(item, is_apart=True))
            else:
                counts[need, why] += count
    per_vcpu = 0 if has_units else _bytes_per_vcpu(sample.load.workers.values())
    parts = [part for gang in sample.gangs for part, _ in gang.parts]
    needs = (*parts, *(group.need for group in sample.load.groups))
    unknown = {name for each in needs for name in each if not _is_known(name)}
    by_need: dict[_Need, list[str]] = {}
    totals: Counter[_Need] = Counter()
    for (need, why), count in sorted(counts.items()):
        if count:
            totals[need] += count
            by_need.setdefault(need, []).append(f"{count} {why}")
    items = [
        _item(dict(need), totals[need], ", ".join(why), per_vcpu) for need, why in by_need.items()
    ]
    return [item for item in (*items, *apart) if any(_room(item.need))], unknown


def _sorted(need: Mapping[str, float]) -> _Need:
    return tuple(sorted((name, amount) for name, amount in need.items() if amount))


def _sum(parts: Iterable[tuple[Mapping[str, float], int]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for need, count in parts:
        for name, amount in need.items():
            total[name] = total.get(name, 0.0) + amount * count
    return total


def _is_known(name: str) -> bool:
    return name in _PLACED or name.startswith(_ACCELERATOR)


def _bytes_per_vcpu(workers: Iterable[WorkerLoad]) -> int:
    """Of the workers that are there and have both; else of general-purpose machines."""
    known = [(w.threads, w.memory_bytes) for w in workers if w.threads and w.memory_bytes]
    if not known:
        return _BYTES_PER_VCPU
    return sum(memory for _, memory in known) // sum(threads for threads, _ in known)


def _item(need: dict[str, float], count: int, told: str, bytes_per_vcpu: int) -> _Item:
    """A demand as a machine's resources. Demands of a part of a GPU share one, as many as fit."""
    cpu, gpu = need.get("CPU", 0.0), need.get("GPU", 0.0)
    memory = need.get("memory", 0.0) + need.get("object_store_memory", 0.0)
    label = _label(need)
    told = f"{told}, of {_told_need(need)} each"
    if 0 < gpu < 1 and count > 1:
        together = min(count, math.floor(1 / gpu + 1e-9))
        cpu, gpu, memory, count = cpu * together, 1, memory * together, math.ceil(count / together)
        told += f", {together} to a GPU"
    vcpu_milli = math.ceil(cpu * 1000 - 1e-6)
    kinds: tuple[str, ...] = ()
    for name in need:
        if name.startswith(_ACCELERATOR) and gpu:
            kind = name.removeprefix(_ACCELERATOR)
            kinds = _KINDS.get(kind, (kind,))
    resources = Resources(
        vcpu_milli=vcpu_milli,
        memory_bytes=math.ceil(memory) or vcpu_milli * bytes_per_vcpu // 1000,
        gpus=math.ceil(gpu - 1e-9),
    )
    return _Item(resources, count, kinds, label, told)


def _label(need: Mapping[str, float]) -> str:
    """What the plan calls a demand: 'cpu1', 'cpu1-gpu1', 'cpu1-memory8GiB'."""
    parts = []
    for name, amount in need.items():
        if name.startswith(_ACCELERATOR):
            parts.append(name.removeprefix(_ACCELERATOR).lower())
        else:
            size = memory_text(math.ceil(amount)) if "memory" in name else f"{amount:g}"
            parts.append(f"{name.lower()}{size}")
    plain = "-".join(parts)
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "" for c in plain)[:60]


def _told_need(need: Mapping[str, float]) -> str:
    said = [
        f"{name} {memory_text(math.ceil(amount)) if 'memory' in name else f'{amount:g}'}"
        for name, amount in need.items()
    ]
    return ", ".join(said) or "nothing"


def _room(need: Resources) -> _Room:
    return need.gpus, need.vcpu_milli, need.memory_bytes


def _own(items: Iterable[_Item]) -> list[WorkerShape]:
    """Each kind of demand as a worker of its own; names are made different."""
    shapes: list[WorkerShape] = []
    taken: set[str] = set()
    for item in items:
        plain = item.label or "any"
        name, again = plain, 2
        while name in taken:
            name, again = f"{plain}-{again}", again + 1
        taken.add(name)
        shapes.append(
            WorkerShape(name=name, count=item.count, need=item.need, gpu_kinds=item.kinds)
        )
    return shapes


def _packed(
    items: Sequence[_Item], units: Sequence[WorkerShape], widest: int
) -> tuple[list[WorkerShape], list[str], list[_Item]]:
    """Units with all items in them; items, largest first, fill what is open before more opens."""
    opened: dict[str, Counter[_Room]] = {unit.name: Counter() for unit in units}
    by_name = {unit.name: unit for unit in units}
    told, unplaced = [], []
    for item in items:
        able = [unit for unit in units if _holds(unit, item)]
        if not able:
            unplaced.append(item)
            told.append(f"warning: {item.told}: no worker of the file has room for one")
            continue
        unit = min(able, key=lambda unit: (_room(unit.need), unit.name))
        fill = _fill_apart if item.is_apart else _fill
        more = fill(opened[unit.name], _room(unit.need), _room(item.need), item.count)
        told.append(f"{unit.name}: {more or 'no'} more for {item.told}")
    counts = {name: rooms.total() for name, rooms in opened.items()}
    lacking = widest - sum(counts.values())
    if lacking > 0 and any(counts.values()):
        name = max(counts, key=lambda name: (counts[name], name))
        counts[name] += lacking
        told.append(f"{name}: {lacking} more, as a STRICT_SPREAD gang is on {widest} workers")
    shapes = [replace(by_name[name], count=count) for name, count in counts.items() if count]
    return shapes, told, unplaced


def _holds(unit: WorkerShape, item: _Item) -> bool:
    """True where a unit has room for one of the item, on a GPU that both may be on."""
    kinds_agree = not (item.kinds and unit.gpu_kinds) or set(unit.gpu_kinds) <= set(item.kinds)
    return item.need.fits_in(replace(unit.need, gpu_kind=None)) and kinds_agree


def _fill(opened: Counter[_Room], whole: _Room, need: _Room, count: int) -> int:
    """Puts `count` of a need into rooms, fullest first, and returns how many rooms it opened."""
    for room in sorted(opened):
        if count and (each := _times(room, need)):
            count -= _put(opened, room, need, each, count)
    each, new = _times(whole, need), 0
    while count:
        number = max(1, count // each)
        opened[whole] += number
        new += number
        count -= _put(opened, whole, need, each, count)
    return new


def _fill_apart(opened: Counter[_Room], whole: _Room, need: _Room, count: int) -> int:
    """Puts one of a need into each of `count` rooms, and returns how many rooms it opened."""
    taken: Counter[_Room] = Counter()
    for room in sorted(opened):
        if _times(room, need):
            taken[room] = min(opened[room], count - taken.total())
    new = count - taken.total()
    opened[whole] += new
    taken[whole] += new
    for room, number in taken.items():
        opened[room] -= number
    for room, number in taken.items():
        opened[_less(room, need, 1)] += number
    for room in [room for room, number in opened.items() if not number]:
        del opened[room]
    return new


def _put(opened: Counter[_Room], room: _Room, need: _Room, each: int, count: int) -> int:
    """Fills rooms that are alike, `each` to a room, and returns how many needs found one."""
    full = min(opened[room], count // each)
    rest = min(count - full * each, each - 1) if opened[room] > full else 0
    for rooms, times in ((full, each), (1 if rest else 0, rest)):
        if rooms:
            opened[room] -= rooms
            opened[_less(room, need, times)] += rooms
    if not opened[room]:
        del opened[room]
    return full * each + rest


def _times(room: _Room, need: _Room) -> int:
    require(any(need), "a demand of nothing has no place")
    return min(has // wants for has, wants in zip(room, need, strict=True) if wants)


def _less(room: _Room, need: _Room, times: int) -> _Room:
    gpus, vcpu, memory = (has - times * wants for has, wants in zip(room, need, strict=True))
    return gpus, vcpu, memory


def _gaps(sample: Sample, unknown: Iterable[str], *, has_units: bool) -> Iterable[Gap]:
    """What had to be assumed, as the source does not say it."""
    at = sample.load.at
    waiting = sum(group.queued for group in sample.load.groups)
    waiting += sum(gang.width for gang in sample.gangs)
    if waiting:
        assumed = "a place for each at once: the source does not say how long they take"
        subject = f"{waiting} waiting demand{'s' * (waiting != 1)}"
        yield Gap(kind="task duration", subject=subject, assumed=assumed, since=at)
    needs = [part for gang in sample.gangs for part, _ in gang.parts]
    needs += [group.need for group in sample.load.groups]
    silent = any(need.get("CPU") and not need.get("memory") for need in needs)
    if silent and not has_units:
        each = memory_text(_bytes_per_vcpu(sample.load.workers.values()))
        subject = "demands that name none"
        yield Gap(kind="memory", subject=subject, assumed=f"{each} a vCPU", since=at)
    for name in sorted(unknown):
        assumed = f"resource {name} has no price; any machine is taken to have it"
        yield Gap(kind="resource", subject=name, assumed=assumed, since=at)


def _no_unit(item: _Item, at: datetime) -> Gap:
    return Gap(
        kind="worker",
        subject=item.told,
        assumed="that they are not run: no worker of the workload file has room for one",
        since=at,
    )
