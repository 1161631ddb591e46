"""How fast types of machines do this workload, measured on its own tasks.

A task of a prefix takes longer on a slow type than on a fast one. Of each prefix p and type m the
mean y_pm = log(mean seconds) is known, from n_pm tasks with a squared coefficient of variation
c_pm. With a level a_p of each prefix and a log-speed s_m of each type, s minimises

    sum_p W_p sum_m w_pm (y_pm - a_p + s_m)^2  +  sum_m (s_m - g_m)^2 / t^2,
    w_pm = 1 / (c_pm / n_pm + d^2)

so that types are compared within prefixes only, a prefix counts by its share W_p of all task-time,
and few or scattered tasks move a type little from what is believed beforehand: that all types are
as fast (g = 0, known to t = 0.4, a factor of 1.5), or what the configuration has as `prior`, such
as what is published of generations of CPUs. What it has as `factors` is exact.
d = 0.05 is what is never averaged out: a mean of many tasks still depends on which ones they were.
A weight of a mean's logarithm by c/n is the delta method.

Speeds are told as multiples of the slowest type that was measured, which those that were not are
taken for: nothing is bought in the hope that it may be fast.

Example: 100 tasks of 8 s and 100 of 5 s of one prefix, c = 0.01. Each w is 1 / (0.0001 + 0.0025) =
385; the contrast of the two is known to 2 / 385 = 0.0052 and believed to 2 x 0.16 = 0.32, so it is
log(1.6) x 0.32 / 0.3252 = 0.4625: a speed of 1.59.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

import numpy as np

from costplan.planner.forecast.types import FloatArray

Cell = tuple[int, float, float]
"""Tasks, their mean seconds, and the variance of one (s^2)."""
Paces = Mapping[str, Mapping[str, Cell]]
"""Cells by prefix and type of machine."""

BELIEVED_SPREAD = 0.4
UNAVERAGED_SPREAD = 0.05
FEWEST_TASKS = 3
"""Of a prefix on a type; fewer say nothing of how they scatter."""
MOST_CELLS = 2_000
MOST_TASKS = 5_000
"""Tasks that one cell of earlier schedulers counts for at most: new code may be another matter."""
NEWS_SHARE = 0.02
_GIVEN_SPREAD = 1e-4
_LEAST_SECONDS = 1e-6

NO_PACES: Paces = MappingProxyType({})


def no_paces() -> Paces:
    """None seen."""
    return NO_PACES


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeSpeed:
    """How fast a type of machine does this workload, as a multiple, and from how many tasks.

    `origin` is 'measured' or 'given', by the configuration.
    """

    instance_type: str
    factor: float
    tasks: int
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """What is known of types' speeds: those told by name, and what the configuration gives by
    pattern, exact or believed. Types of none of these are taken for 1."""

    told: tuple[TypeSpeed, ...] = ()
    given: Mapping[str, float] = field(default_factory=lambda: MappingProxyType(dict[str, float]()))

    believed: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(dict[str, float]())
    )

    def factor(self, instance_type: str) -> float:
        """The multiple of a type."""
        for speed in self.told:
            if speed.instance_type == instance_type:
                return speed.factor
        exact = given_factor(instance_type, self.given)
        return exact or given_factor(instance_type, self.believed) or 1.0

    @property
    def is_plain(self) -> bool:
        """True where all types are taken for as fast as each other."""
        return not self.told and not self.given and not self.believed


PLAIN = Speeds()


def merged(old: Paces, new: Paces) -> Paces:
    """Both together (Chan's formula), the cells with the most task-time where they are too many."""
    cells = [(p, m, cell) for p, types in old.items() for m, cell in types.items()]
    found: dict[tuple[str, str], Cell] = {(p, m): cell for p, m, cell in cells}
    for prefix, types in new.items():
        for name, cell in types.items():
            known = found.get((prefix, name))
            found[prefix, name] = cell if known is None else _pooled(known, cell)
    largest = sorted(found, key=lambda key: (-found[key][0] * found[key][1], key))[:MOST_CELLS]
    return paces_of((p, m, found[p, m]) for p, m in largest)


def cell_name(prefix: str, need: Mapping[str, float]) -> str:
    """What a prefix is called among paces: tasks that need something else are others."""
    if not need:
        return prefix
    return f"{prefix} {','.join(f'{name}={amount:g}' for name, amount in sorted(need.items()))}"


def paces_of(rows: object) -> Paces:
    """Cells of (prefix, type, cell) rows, in the order of their names."""
    found: dict[str, dict[str, Cell]] = {}
    for prefix, name, cell in sorted(rows):  # type: ignore[call-overload]
        found.setdefault(prefix, {})[name] = cell
    return MappingProxyType({p: MappingProxyType(types) for p, types in found.items()})


def faded(paces: Paces) -> Paces:
    """What a scheduler that is no more has shown: no cell counts for more than some tasks."""
    return MappingProxyType(
        {
            prefix: MappingProxyType(
                {name: (min(n, MOST_TASKS), mean, var) for name, (n, mean, var) in types.items()}
            )
            for prefix, types in paces.items()
        }
    )


def tasks_in(paces: Paces) -> int:
    """Tasks in all cells."""
    return sum(cell[0] for types in paces.values() for cell in types.values())


def is_news(known: Paces, seen: Paces) -> bool:
    """True where enough tasks are new for another look: speeds are not asked for by the task."""
    had, has = tasks_in(known), tasks_in(seen)
    return has < had or has > had * (1 + NEWS_SHARE)


def type_speeds(
    paces: Paces, given: Mapping[str, float], believed: Mapping[str, float] | None = None
) -> tuple[TypeSpeed, ...]:
    """The types that are compared with another one, and those that the configuration names by
    no pattern, by name. `given` and `believed` are factors by pattern of a type's name, of which
    the first that matches counts; the second are where measuring starts from.
    """
    guessed = believed or {}
    compared = _compared(paces)
    types = sorted({name for cells in compared.values() for name in cells})
    fixed = {name: factor for name in types if (factor := given_factor(name, given)) is not None}
    found = [
        TypeSpeed(instance_type=name, factor=factor, tasks=0, origin="given")
        for name, factor in given.items()
        if name not in types and not any(c in name for c in "*?[")
    ]
    if types:
        start = {name: given_factor(name, guessed) or 1.0 for name in types}
        logs = _solved(compared, start, fixed)
        # Where the configuration names some, its scale is kept.
        least = 0.0 if fixed or guessed else float(logs.min())
        tasks = {
            name: sum(cells[name][0] for cells in compared.values() if name in cells)
            for name in types
        }
        found += [
            TypeSpeed(
                instance_type=name,
                factor=fixed.get(name, math.exp(float(log) - least)),
                tasks=0 if name in fixed else tasks[name],
                origin="given" if name in fixed else "measured",
            )
            for name, log in zip(types, logs, strict=True)
        ]
    return tuple(sorted(found, key=lambda speed: speed.instance_type))


def given_factor(name: str, given: Mapping[str, float]) -> float | None:
    """What the configuration says of a type, None where it says nothing."""
    return next((f for pattern, f in given.items() if fnmatchcase(name, pattern)), None)


def _compared(paces: Paces) -> dict[str, dict[str, Cell]]:
    """Cells with enough tasks, of prefixes that have run on two types."""
    enough = {
        prefix: {name: cell for name, cell in types.items() if cell[0] >= FEWEST_TASKS}
        for prefix, types in paces.items()
    }
    return {prefix: types for prefix, types in enough.items() if len(types) > 1}


def _solved(
    compared: Mapping[str, Mapping[str, Cell]],
    start: Mapping[str, float],
    fixed: Mapping[str, float],
) -> FloatArray:
    """The log-speeds of the types of `start` [M], which has what is believed beforehand, by the
    normal equations with the levels taken out."""
    place = {name: number for number, name in enumerate(start)}
    many = len(start)
    left = np.zeros((many, many))
    right = np.zeros(many)
    seconds = {
        prefix: sum(n * mean for n, mean, _ in cells.values()) for prefix, cells in compared.items()
    }
    mean_seconds = sum(seconds.values()) / len(seconds) or 1.0
    for prefix, cells in compared.items():
        at = [place[name] for name in cells]
        weight = np.array([_weight(cell) for cell in cells.values()])
        level = np.array([math.log(max(cell[1], _LEAST_SECONDS)) for cell in cells.values()])
        share = seconds[prefix] / mean_seconds
        level -= (weight * level).sum() / weight.sum()
        left[np.ix_(at, at)] += share * (np.diag(weight) - np.outer(weight, weight) / weight.sum())
        right[at] -= share * weight * level
    for name, number in place.items():
        spread = _GIVEN_SPREAD if name in fixed else BELIEVED_SPREAD
        left[number, number] += spread**-2
        right[number] += math.log(fixed.get(name, start[name])) * spread**-2
    solved: FloatArray = np.asarray(np.linalg.solve(left, right), dtype=np.float64)
    return solved


def _weight(cell: Cell) -> float:
    tasks, mean, variance = cell
    scatter = variance / max(mean, _LEAST_SECONDS) ** 2
    return 1.0 / (scatter / tasks + UNAVERAGED_SPREAD**2)


def _pooled(one: Cell, other: Cell) -> Cell:
    (n, mean, var), (m, other_mean, other_var) = one, other
    total = n + m
    delta = other_mean - mean
    squares = var * (n - 1) + other_var * (m - 1) + delta * delta * n * m / total
    return total, mean + delta * m / total, squares / (total - 1) if total > 1 else 0.0
