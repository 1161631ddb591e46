"""What goes over the wire between a daemon and a scheduler, field by field, on both sides.

Columns are lists of the same length, in one order of the workers; a column that is left out holds
zeros. Instants are milliseconds since 1970. Everything is checked: types are strict, numbers and
names are bounded, nothing unknown is let in. docs/scheduler-endpoint.md describes it for people.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from costplan.adapters.dask.wire_types import (
    MAX_AMOUNT,
    MAX_NAME,
    MAX_RESOURCES,
    Count,
    InstantMs,
    MaybeName,
    Name,
    instant,
    printable,
)
from costplan.planner.load import Departure, Load, TaskGroup, Totals, Warned, WorkerLoad
from costplan.planner.nodes import Retired
from costplan.planner.speed import Paces, paces_of

VERSION = 1
LOAD_PATH = "/costplan/v1/load"
DRAIN_PATH = "/costplan/v1/drain"
VERSION_HEADER = "Costplan-Dask"
"""Carries the version of Dask that answers, for a person to read."""
MAX_WORKERS = 50_000
MAX_DRAIN_BYTES = 2**20
MAX_ANSWER_BYTES = 16 * 2**20

_Amount = Annotated[float, Field(ge=0, le=MAX_AMOUNT, allow_inf_nan=False)]
_Reason = Annotated[str, Field(max_length=1_000), AfterValidator(printable)]
_Place = Annotated[int, Field(ge=0, lt=MAX_WORKERS)]
_Need = Annotated[dict[Name, _Amount], Field(max_length=MAX_RESOURCES)]
_Counts = Annotated[list[Count], Field(max_length=MAX_WORKERS)]
_Names = Annotated[list[Name], Field(max_length=MAX_WORKERS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Columns(_Strict):
    """Rows as columns, one a field, of the same length."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len({len(getattr(self, name)) for name in type(self).model_fields}) != 1:
            raise ValueError("columns differ in length")
        return self


class Groups(_Strict):
    """Kinds of tasks, as columns."""

    prefix: Annotated[list[Name], Field(max_length=10_000)]
    need: list[_Need]
    queued: _Counts
    running: _Counts
    waiting: _Counts
    unrunnable: _Counts
    pinned: _Counts
    mean_seconds: list[_Amount | None]
    observed: _Counts
    variance: list[_Amount | None]
    longest_seconds: list[_Amount | None]
    overdue: _Counts
    overdue_seconds: list[_Amount]

    @model_validator(mode="after")
    def _fits(self) -> Groups:
        for name in type(self).model_fields:
            if len(getattr(self, name)) != len(self.prefix):
                raise ValueError(f"{name} and prefix differ in length")
        for mean, observed in zip(self.mean_seconds, self.observed, strict=True):
            if (mean is None) != (observed == 0):
                raise ValueError("a mean needs observed tasks, and they have one")
        if any(late > running for late, running in zip(self.overdue, self.running, strict=True)):
            raise ValueError("more tasks are overdue than run")
        return self


class Workers(_Strict):
    """Workers, as columns; `status`, `gang`, `copied` and `warned` (what of, and when) are by
    place, `shuffling` lists places. `machine` are places in `machines`: types and markets."""

    name: _Names
    threads: _Counts
    memory: Annotated[list[Count | None], Field(max_length=MAX_WORKERS)]
    joined_ms: Annotated[list[InstantMs], Field(max_length=MAX_WORKERS)]
    resources: Annotated[list[_Need], Field(max_length=MAX_WORKERS)] = []
    executing: _Counts = []
    processing: _Counts = []
    nbytes: _Counts = []
    keys: _Counts = []
    us_per_key: _Counts = []
    spilled: _Counts = []
    long_running: _Counts = []
    actors: _Counts = []
    busy_us: _Counts = []
    idle_ms: Annotated[list[InstantMs], Field(max_length=MAX_WORKERS)] = []
    copied: dict[str, tuple[Count, Count]] = {}
    status: dict[str, Literal["paused", "closing"]] = {}
    gang: dict[str, Name] = {}
    warned: dict[str, dict[Literal["reclaim", "rebalance", "maintenance"], InstantMs]] = {}
    shuffling: Annotated[list[_Place], Field(max_length=MAX_WORKERS)] = []
    machine: Annotated[list[_Place], Field(max_length=MAX_WORKERS)] = []
    machines: Annotated[list[tuple[MaybeName, MaybeName]], Field(max_length=MAX_WORKERS)] = []

    @model_validator(mode="after")
    def _fits(self) -> Workers:
        size = len(self.name)
        for name in type(self).model_fields:
            column = getattr(self, name)
            if name in ("copied", "status", "gang", "warned"):
                if any(not (at.isascii() and at.isdigit() and int(at) < size) for at in column):
                    raise ValueError(f"{name} names a place that is none")
            elif name == "shuffling":
                if any(at >= size for at in column):
                    raise ValueError("shuffling names a place that is none")
            elif name == "machines":
                if any(at >= len(column) for at in self.machine):
                    raise ValueError("machine names a place that is none")
            elif (column or name in _ALWAYS) and len(column) != size:
                raise ValueError(f"{name} and name differ in length")
        if len(set(self.name)) != size:
            raise ValueError("two workers have one name")
        return self


_ALWAYS = ("threads", "memory", "joined_ms")


class WirePaces(_Columns):
    """What tasks of a prefix took on a type of machine, as columns."""

    prefix: Annotated[list[Name], Field(max_length=10_000)] = []
    type: list[Name] = []
    observed: _Counts = []
    mean_seconds: list[_Amount] = []
    variance: list[_Amount] = []

    def paces(self) -> Paces:
        """The columns as the planner's value; tasks of none are left out."""
        cells = zip(self.observed, self.mean_seconds, self.variance, strict=True)
        rows = zip(self.prefix, self.type, cells, strict=True)
        return paces_of(row for row in rows if row[2][0])


class Departed(_Columns):
    """Workers that left, as columns."""

    name: _Names
    at_ms: list[InstantMs]
    expected: list[bool]
    lost_keys: _Counts
    restarted: _Counts


class WireTotals(_Strict):
    """Counters since the scheduler started."""

    finished: Count
    erred: Count
    recomputed: Count
    restarted: Count
    recomputed_ms: Count
    busy_ms: Count


class LoadAnswer(_Strict):
    """The body of an answer to `GET /costplan/v1/load`."""

    version: Literal[1]
    scheduler_id: Name
    sample: Count
    at_ms: InstantMs
    unread_tasks: Count
    clients: Count
    clients_gone_ms: InstantMs | None
    groups: Groups
    workers: Workers
    departed: Departed
    totals: WireTotals
    paces: WirePaces = WirePaces()


class DrainBody(_Strict):
    """The body of a `POST /costplan/v1/drain`. `token` names the drain, for the log."""

    version: Literal[1]
    action: Literal["cordon", "uncordon", "retire", "status"]
    workers: Annotated[list[Name], Field(max_length=MAX_WORKERS)]
    token: Annotated[str, Field(max_length=MAX_NAME), AfterValidator(printable)] = ""
    force: bool = False


class DrainAnswer(_Strict):
    """How far each worker named is; one that is not there and never was is in no list."""

    version: Literal[1]
    done: _Names = []
    refused: dict[Name, _Reason] = {}
    lost: _Names = []
    pending: _Names = []

    def retired(self) -> Retired:
        """The answer as the planner's value."""
        return Retired(
            done=tuple(self.done),
            refused=dict(self.refused),
            lost=tuple(self.lost),
            pending=tuple(self.pending),
        )


def load_of_answer(answer: LoadAnswer) -> Load:
    """The load that an answer amounts to."""
    departed, totals = answer.departed, answer.totals
    return Load(
        at=instant(answer.at_ms),
        window_seconds=0.0,
        groups=_groups(answer.groups),
        workers=_workers(answer.workers),
        unread_tasks=answer.unread_tasks,
        scheduler_id=answer.scheduler_id,
        paces=answer.paces.paces(),
        clients=answer.clients,
        clients_gone_since=_instant_or_none(answer.clients_gone_ms),
        warned=tuple(
            Warned(worker=answer.workers.name[int(place)], kind=kind, effective_at=instant(at))
            for place, said in answer.workers.warned.items()
            for kind, at in said.items()
        ),
        departed={
            name: Departure(
                worker=name,
                at=instant(at),
                expected=expected,
                lost_keys=lost,
                restarted_tasks=began,
            )
            for name, at, expected, lost, began in zip(
                departed.name,
                departed.at_ms,
                departed.expected,
                departed.lost_keys,
                departed.restarted,
                strict=True,
            )
        },
        totals=Totals(
            finished_tasks=totals.finished,
            erred_tasks=totals.erred,
            recomputed_tasks=totals.recomputed,
            restarted_tasks=totals.restarted,
            recomputed_seconds=totals.recomputed_ms / 1000,
            busy_seconds=totals.busy_ms / 1000,
        ),
    )


def _groups(groups: Groups) -> tuple[TaskGroup, ...]:
    """Groups in order of prefix and need."""
    order = sorted(
        range(len(groups.prefix)),
        key=lambda at: (groups.prefix[at], sorted(groups.need[at].items())),
    )
    return tuple(
        TaskGroup(
            prefix=groups.prefix[at],
            need=groups.need[at],
            queued=groups.queued[at],
            running=groups.running[at],
            waiting=groups.waiting[at],
            unrunnable=groups.unrunnable[at],
            pinned=groups.pinned[at],
            mean_task_seconds=groups.mean_seconds[at],
            observed_tasks=groups.observed[at],
            variance_seconds2=groups.variance[at],
            longest_running_seconds=groups.longest_seconds[at],
            overdue=groups.overdue[at],
            overdue_seconds=groups.overdue_seconds[at],
        )
        for at in order
    )


def _workers(workers: Workers) -> dict[str, WorkerLoad]:
    """Workers by name, in order of name."""

    def column(values: list[int]) -> list[int]:
        return values or [0] * len(workers.name)

    executing, processing = column(workers.executing), column(workers.processing)
    nbytes, keys, us_per_key = map(column, (workers.nbytes, workers.keys, workers.us_per_key))
    sole_bytes, sole_keys = [*nbytes], [*keys]
    for place, (copies, copied_bytes) in workers.copied.items():
        sole_keys[int(place)] = max(0, keys[int(place)] - copies)
        sole_bytes[int(place)] = max(0, nbytes[int(place)] - copied_bytes)
    spilled, long_running = column(workers.spilled), column(workers.long_running)
    actors, busy = column(workers.actors), column(workers.busy_us)
    idle = column(workers.idle_ms)
    shuffling = set(workers.shuffling)
    machines = workers.machines or [("", "")]
    machine = workers.machine or [0] * len(workers.name)
    return {
        name: WorkerLoad(
            threads=workers.threads[at],
            memory_bytes=workers.memory[at],
            resources=workers.resources[at] if workers.resources else {},
            executing=min(executing[at], processing[at]),
            processing=processing[at],
            managed_bytes=nbytes[at],
            sole_bytes=sole_bytes[at],
            sole_keys=sole_keys[at],
            recompute_seconds=sole_keys[at] * us_per_key[at] / 1e6,
            spilled_bytes=spilled[at],
            long_running=long_running[at],
            actors=actors[at],
            gang=workers.gang.get(str(at)),
            shuffling=at in shuffling,
            status=workers.status.get(str(at), "running"),
            idle_since=_instant_or_none(idle[at] or None),
            busy_seconds=busy[at] / 1e6,
            joined_at=instant(workers.joined_ms[at]),
            instance_type=machines[machine[at]][0],
            market=machines[machine[at]][1],
        )
        for name, at in sorted((name, at) for at, name in enumerate(workers.name))
    }


def _instant_or_none(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else instant(milliseconds)
