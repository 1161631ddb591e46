"""What a cluster has and does, from its folder: values for people and programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from costplan.adapters.clock import utc_now
from costplan.adapters.cluster.folder import Folder, Notes
from costplan.adapters.store.cluster import Cluster as Book
from costplan.adapters.store.store import Store
from costplan.planner.errors import StoreError
from costplan.planner.explain import (
    decision_text,
    gap_text,
    move_lines,
    refusals,
    waiting_lines,
)
from costplan.planner.status import BudgetRow, Status
from costplan.planner.tick import MovePlan
from costplan.planner.types import Mode
from costplan.planner.units import rounded_usd
from costplan.planner.wording import span_text, usd
from costplan.planner.work_cost import Line

_MOST_SAID = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the workers' dollars were spent for, by the scheduler: dearest first, idle time apart.
    They are from when a worker joined until it left, without boots and ends of machines."""

    usd: Decimal
    idle_usd: Decimal
    by_span: tuple[Line, ...]
    by_prefix: tuple[Line, ...]
    by_run: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClusterCost:
    """What a cluster has cost since it was started, and costs.

    `usd` counts what runs up to now, and `usd_per_hour` every machine that is there or was asked
    for; `unpriced` of them have no known price. `expected_usd` is what it will have cost once the
    tasks that are known now are done, in `expected_seconds` on the fleet of the newest plan; None
    before there is a plan and after the end. `budget` has the limits of hour, day and month, with
    what is used of them. `work` is None where the scheduler has not said it yet.
    """

    usd: Decimal
    usd_per_hour: Decimal
    unpriced: int
    expected_usd: Decimal | None
    expected_seconds: int
    budget: tuple[BudgetRow, ...]
    work: Work | None = None

    def __str__(self) -> str:
        """'$0.0123 so far, $0.34/h, $0.17 expected when the tasks are done, in 30min'."""
        said = f"{usd(self.usd)} so far, {usd(self.usd_per_hour)}/h"
        if self.unpriced:
            said += f" and {self.unpriced} without a known price"
        if self.expected_usd is not None and self.expected_seconds:
            when = span_text(self.expected_seconds)
            said += f", {usd(self.expected_usd)} expected when the tasks are done, in {when}"
        return said

    def __repr__(self) -> str:
        return f"<{self}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """The newest plan: what it decided, what it moves, why, what was refused, and what waits
    without anything being bought for it. `wanted` are workers by kind."""

    plan_id: str
    at: datetime
    decision: str
    wanted: Mapping[str, int]
    why: tuple[str, ...]
    moves: tuple[str, ...]
    refused: tuple[str, ...]
    waiting: tuple[str, ...]
    usd_per_hour: Decimal
    expected_usd: Decimal
    do_nothing_usd: Decimal

    def __str__(self) -> str:
        """The decision, and what is behind it, a line each."""
        return "\n".join((self.decision, *self.why, *self.moves, *self.refused, *self.waiting))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A cluster at a moment: the keeper's notes, the book's status (None before there is one),
    threads by kind of worker, and what for the workers' dollars were."""

    notes: Notes | None
    is_kept: bool
    status: Status | None
    threads: Mapping[str, int] = field(default_factory=lambda: MappingProxyType(dict[str, int]()))
    work: Work | None = None


@contextmanager
def book_of(folder: Folder) -> Iterator[Book]:
    """The book of a cluster, to read it; raises StoreError where there is none yet."""
    if not folder.store.exists():
        raise StoreError(str(folder.store), "is not there yet", "wait until the daemon runs")
    with Store.open(folder.store, read_only=True, clock=utc_now) as store:
        yield Book(store, folder.store, None, utc_now)


def look(folder: Folder, work: Work | None = None) -> Seen:
    """How a cluster is now. A book that cannot be read is like none."""
    notes, is_kept = folder.notes(), folder.is_kept
    try:
        with book_of(folder) as book:
            status, settings = book.status(), book.settings()
    except StoreError:
        return Seen(notes=notes, is_kept=is_kept, status=None, work=work)
    threads = {} if settings is None else {kind.name: kind.threads for kind in settings.kinds}
    return Seen(notes=notes, is_kept=is_kept, status=status, threads=threads, work=work)


def has_ended(seen: Seen) -> bool:
    """True once nothing of the cluster is left: what the last plan wanted is no longer so."""
    return seen.notes is not None and seen.notes.phase == "ended"


def cost_of(seen: Seen, spent_before_usd: Decimal) -> ClusterCost:
    """What it costs; nothing where there is no book yet."""
    status = seen.status
    if status is None:
        zero = Decimal(0)
        return ClusterCost(
            usd=zero, usd_per_hour=zero, unpriced=0, expected_usd=None, expected_seconds=0,
            budget=(), work=seen.work,
        )  # fmt: skip
    so_far = max(Decimal(0), status.spent_usd - spent_before_usd)
    plan = status.plan
    expected, seconds = None, 0
    if plan is not None and not has_ended(seen):
        seconds = _seconds_left(plan, seen.threads)
        expected = so_far + rounded_usd(plan.usd_per_hour_after * seconds / 3600)
    return ClusterCost(
        usd=so_far,
        usd_per_hour=status.usd_per_hour,
        unpriced=status.unpriced_nodes,
        expected_usd=expected,
        expected_seconds=seconds,
        budget=status.budget,
        work=seen.work,
    )


def _seconds_left(plan: MovePlan, threads: Mapping[str, int]) -> int:
    """How long the work takes that is known, on the workers that are wanted for it."""
    times = [
        demand.work_seconds / (demand.wanted * threads.get(demand.shape, 1))
        for demand in plan.demand
        if demand.wanted
    ]
    return math.ceil(max(times, default=0.0))


def plan_of(status: Status | None) -> FleetPlan | None:
    """The newest plan, None before there is one."""
    plan = None if status is None else status.plan
    if plan is None:
        return None
    return FleetPlan(
        plan_id=plan.plan_id,
        at=plan.created_at,
        decision=decision_text(plan),
        wanted={demand.shape: demand.wanted for demand in plan.demand},
        why=tuple(f"{demand.shape}: {demand.reason}" for demand in plan.demand if demand.reason),
        moves=tuple(move_lines(plan)),
        refused=tuple(refusals(plan.verdicts)),
        waiting=tuple(waiting_lines(plan)),
        usd_per_hour=plan.usd_per_hour_after,
        expected_usd=plan.expected_usd,
        do_nothing_usd=plan.do_nothing_usd,
    )


def explained(folder: Folder, subject: str) -> list[str]:
    """A decision or a node's life in sentences, 'section: line'; raises InputError where there is
    none of that name."""
    with book_of(folder) as book:
        told = book.explanation(subject)
    lines = [told.title]
    for section in told.sections:
        lines += [f"{section.title}: {line}" for line in section.lines]
    return lines


def is_ready(seen: Seen, since: datetime) -> bool:
    """True once the daemon has looked at the cluster after an instant."""
    status = seen.status
    if status is None or status.last is None:
        return False
    return status.is_alive and status.last.at >= since


def troubles(seen: Seen) -> list[str]:
    """What does not go as it should, a sentence each, worst first."""
    notes, status = seen.notes, seen.status
    said: list[str] = []
    if notes is None:
        return said
    if not seen.is_kept and notes.phase != "ended":
        said.append("Nobody keeps this cluster: its keeper was killed. close() ends the machines")
    if notes.phase == "ending":
        said.append(f"It ends: {notes.why}")
    elif notes.phase == "ended":
        said.append(f"It has ended: {notes.why}")
    elif notes.orphaned:
        said.append("Its owner is gone; it ends soon unless somebody takes it over")
    if notes.phase in ("starting", "running") and status is not None and not status.is_alive:
        machines = f"; {status.nodes} machines go on for {usd(status.usd_per_hour)}/h"
        said.append(f"The autoscaler does not run{machines if status.nodes else ''}")
    if notes.trouble and (status is None or not status.is_alive):
        said.append(notes.trouble)
    if status is not None and not has_ended(seen):
        said += _of_status(status)
    return said


def _of_status(status: Status) -> list[str]:
    """What the daemon does not know or cannot buy."""
    said = []
    last = status.last
    if last is not None and last.mode is not Mode.FULL:
        said.append(f"Mode {last.mode}: {', '.join(map(gap_text, last.gaps))}")
    if status.plan is not None:
        said += [f"Waits: {line}" for line in waiting_lines(status.plan)]
        said += [f"Refused: {line}" for line in refusals(status.plan.verdicts)]
    return said


def work_from_answer(answer: Mapping[str, Any]) -> Work | None:
    """What a scheduler says of the work's dollars; None where it is not that."""
    try:
        lists = [_lines(answer[name]) for name in ("by_span", "by_prefix", "by_run")]
        return Work(
            usd=Decimal(str(answer["usd"])),
            idle_usd=Decimal(str(answer["idle_usd"])),
            by_span=lists[0],
            by_prefix=lists[1],
            by_run=lists[2],
        )
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return None


def _lines(rows: Sequence[Sequence[Any]]) -> tuple[Line, ...]:
    return tuple(
        Line(
            name=str(name)[:_MOST_SAID],
            usd=Decimal(str(dollars)),
            busy_seconds=float(seconds),
            tasks=int(tasks),
            rows=int(count),
        )
        for name, dollars, seconds, tasks, count in rows
    )
