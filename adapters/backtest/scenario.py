"""What a backtest is to be, from a YAML file and flags: both are one mapping, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from costplan.adapters.backtest.run import ALL_POLICIES, POLICIES, RESULT_BYTES
from costplan.adapters.feeds.bundled import WORD as BUNDLED
from costplan.adapters.text_file import read_text
from costplan.planner.config_fields import (
    DurationSeconds,
    Filled,
    GpuCount,
    MachineVcpuMilli,
    MemoryBytes,
    MemoryFloorBytes,
    Name,
    Text,
    finite_number,
    one_of,
    refusal,
    shown,
    whole_from,
)
from costplan.planner.config_problems import Grammar, problem, raise_all
from costplan.planner.config_section import Section
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.errors import InputError
from costplan.planner.units import GIB

_GUIDE = "docs/simulate.md"
_ABSENT = f"see {_GUIDE} for an example"
_SINGULAR = {"gpus": "gpu", "cpus": "cpu", "nodes": "node"}
_OWN_FLAGS = {"policies": "--policy", "file": "--demand"}


def _days(least: float) -> BeforeValidator:
    way_out = "write days as a number, such as 30 or 0.5"

    def check(value: object) -> float:
        days = float(finite_number(value, way_out))
        if not least <= days <= 3650:
            bound = "0" if least == 0 else f"{least:g}"
            raise refusal(f"{shown(value)} is not from {bound} to 3650", way_out)
        return days

    return BeforeValidator(check)


def _rate(value: object) -> float:
    way_out = "write jobs an hour, such as 12"
    rate = float(finite_number(value, way_out))
    if not 0 < rate <= 10_000:
        raise refusal(f"{shown(value)} is not above 0 and at most 10000", way_out)
    return rate


def _times(value: object) -> float:
    way_out = "write how many times a job's duration, such as 1.5"
    times = float(finite_number(value, way_out))
    if not 1 <= times <= 1000:
        raise refusal(f"{shown(value)} is not from 1 to 1000", way_out)
    return times


PolicyName = Annotated[str, BeforeValidator(one_of(ALL_POLICIES, "a policy", {}))]
Unit = Annotated[str, BeforeValidator(one_of(("gpu", "cpu", "node"), "a unit", {}))]
Whole = Annotated[int, BeforeValidator(whole_from(0, 10**9, "write a whole number"))]
Several = Annotated[int, BeforeValidator(whole_from(1, 64, "write a whole number from 1 to 64"))]
Days = Annotated[float, _days(0.01)]


class ShapeSection(Section):
    """What one unit of a demand file needs of a machine."""

    vcpu: MachineVcpuMilli
    memory: MemoryBytes
    gpu: GpuCount | None = None


class GpuShapeSection(ShapeSection):
    """What a GPU of a demand file needs; it is not to run on a machine without one."""

    gpu: GpuCount


class ShapesSection(Section):
    """The needs by kind of unit."""

    gpu: GpuShapeSection = GpuShapeSection.model_construct(vcpu=4000, memory=15 * GIB, gpu=1)
    cpu: ShapeSection = ShapeSection.model_construct(vcpu=1000, memory=int(3.5 * GIB), gpu=None)
    node: ShapeSection = ShapeSection.model_construct(vcpu=8000, memory=30 * GIB, gpu=None)


class GenerateSection(Section):
    """Jobs made up by seed, of a team with office hours."""

    jobs_per_hour: Annotated[float, BeforeValidator(_rate)] = 12.0
    unit: Unit = "gpu"
    seed: Whole = 7


def _by_unit(columns: dict[str, str]) -> dict[str, str]:
    """Columns by what they mean, 'gpus' as 'gpu'; of both the later, which is a flag's."""
    return {_SINGULAR.get(what, what): name for what, name in columns.items()}


class DemandSection(Section):
    """Where the jobs come from: a file, or made up."""

    file: Text | None = None
    columns: Annotated[dict[str, Text], AfterValidator(_by_unit)] = Field(default_factory=dict)
    skip_days: Annotated[float, _days(0.0)] = 0.0
    generate: GenerateSection | None = None

    @model_validator(mode="after")
    def _one_source(self) -> DemandSection:
        if (self.file is None) == (self.generate is None):
            what = "neither" if self.file is None else "both"
            raise refusal(f"{what} a file and generated jobs", "give file, or generate")
        if self.file is None and (self.columns or self.skip_days):
            raise refusal("columns and skip_days are of a file", "give file, or leave them out")
        return self


class DeadlineSection(Section):
    """By when a job is to be done: so many times its duration, and so long, after it came."""

    times: Annotated[float, BeforeValidator(_times)] = 1.5
    slack: DurationSeconds = 900


class BacktestSection(Section):
    """The whole of it."""

    simulate: Name = "backtest"
    demand: DemandSection
    days: Days = 30.0
    policies: Annotated[tuple[PolicyName, ...], Filled] = POLICIES
    prices: Text | None = None
    spot: Text | None = None
    spot_set: Text | None = None
    spot_prices: Text | None = None
    region: Text | None = None
    types: Several = 6
    one_type: Text | None = None
    shapes: ShapesSection = ShapesSection()
    tick: DurationSeconds = 300
    checkpoint: DurationSeconds = 1800
    result: MemoryFloorBytes = RESULT_BYTES
    boot: DurationSeconds = 120
    deadline: DeadlineSection = DeadlineSection()
    seed: Whole = 0


_GRAMMAR = Grammar(
    sections={
        "": BacktestSection,
        "demand": DemandSection,
        "demand.generate": GenerateSection,
        "deadline": DeadlineSection,
        "shapes": ShapesSection,
        "shapes.gpu": GpuShapeSection,
        "shapes.cpu": ShapeSection,
        "shapes.node": ShapeSection,
    },
    examples={
        "demand": "demand: {file: jobs.parquet}, or --demand FILE",
        "shapes.gpu.gpu": "gpu: 1",
        **{f"shapes.{unit}.vcpu": "vcpu: 4" for unit in ("gpu", "cpu", "node")},
        **{f"shapes.{unit}.memory": "memory: 15GiB" for unit in ("gpu", "cpu", "node")},
    },
)


def read_scenario(path: Path | None, flags: Mapping[str, Any]) -> BacktestSection:
    """The backtest that a file describes, with flags in the place of its keys.

    Paths of the file are taken from its folder. Raises InputError that names every problem.
    """
    name = "costplan simulate" if path is None else str(path)
    data: dict[str, Any] = {}
    if path is not None:
        data = dict(mapping_from_yaml(read_text(path, absent=_ABSENT), name, _GUIDE))
        _from_folder(data, path.parent)
    _merge(data, flags)
    try:
        return BacktestSection.model_validate(data)
    except ValidationError as error:
        raise_all(
            name, [_problem(name, details, flags) for details in error.errors(include_url=False)]
        )


def _problem(name: str, details: ErrorDetails, flags: Mapping[str, Any]) -> InputError:
    """The problem that pydantic found, of the file or of the flag that said it."""
    found, places = problem(_GRAMMAR, name, details), details["loc"]
    outer, inner = (*places, "", "")[:2]
    section = flags.get(str(outer))
    if section is None:
        return found
    if not isinstance(section, Mapping):
        flag = _OWN_FLAGS.get(str(outer), f"--{outer}")
        return InputError(flag.replace("_", "-"), found.problem, found.remedy)
    if inner not in section:
        return found
    flag = f"--{inner}-shape" if outer == "shapes" else _OWN_FLAGS.get(str(inner), f"--{inner}")
    path = found.subject.removeprefix(f"{name}: ")
    return InputError(f"{flag.replace('_', '-')}: {path}", found.problem, found.remedy)


def _from_folder(data: dict[str, Any], folder: Path) -> None:
    demand = data.get("demand")
    if isinstance(demand, dict):
        data["demand"] = demand = dict(demand)
    for section, key in ((data, "prices"), (data, "spot"), (data, "spot_prices"), (demand, "file")):
        if not isinstance(section, dict) or not isinstance(section.get(key), str):
            continue
        if (key, section[key]) != ("prices", BUNDLED):
            section[key] = str(folder / section[key])


def _merge(data: dict[str, Any], flags: Mapping[str, Any]) -> None:
    """Flags win; those of a section go into it."""
    for key, value in flags.items():
        if isinstance(value, Mapping):
            inner = data.get(key)
            data[key] = inner = dict(inner) if isinstance(inner, dict) else {}
            if key == "demand" and "file" in value:
                inner.pop("generate", None)
            _merge(inner, value)
        else:
            data[key] = value
