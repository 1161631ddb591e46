"""From work to workers: how many of each kind finish what there is in time, and why.

Tasks are sorted into classes by the resources they ask for, and each class goes to the first kind
of worker that has them, those with the fewest others first. With R unfinished tasks of mean m a
group (not counting those pinned to named workers), T the target and b what a boot takes:

    slots(T)  = sum over groups of R / max(1, floor(T / m))     a task longer than T has its own;
                            T / m where m is only what a task's age says
    here      = slots of the workers that are ready or coming
    slots(T) <= here:   slots(T) are wanted, nothing is bought
    else:               W = what is left when those here have worked for a boot, but for those
                            that tasks longer than a boot keep busy
                        T - b >= b:   h = T - b
                        T - b < b:    h = max(T, sqrt(W b / 7))
                        wanted = max(here, slots(h) of what is left)

A new worker is of no use before it has booted, so what is done until then needs none, and the
rest is to be done in what is left of the target. Where that is less than b, the target cannot be
kept at a sensible cost. Then N workers pay N b for booting and take W / N to work; with a second of
delay worth 7 worker-seconds, N b + 7 W / N is least where each has sqrt(W b / 7) to do. Counts are
rounded up, or then to the nearest. Fractions of classes that share a kind add up before.

Tasks that wait for others are work to come, but nobody knows when: they count as work, and never
are there more workers than what is runnable now can use.

A task that has run for over three times the mean of those that have ended is not one of them: it
has its own worker for as long again as it has run, and is left out of W, as others do not help it.

A mean that nobody has seen is that of past runs, else `unknown_task_seconds`, and at least twice
as long as the oldest task of it has run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, TaskGroup
from costplan.planner.settings import Scaling, WorkerKind
from costplan.planner.tick import ClassDemand, Waiting
from costplan.planner.units import memory_text
from costplan.planner.wording import percent

LEAST_MEAN_SECONDS = 0.001
DELAY_WORTH = 7.0
"""Worker-seconds that a second of delay is worth where the target cannot be kept."""
FULL_SHARE = 0.6
"""Above this share of its memory Dask's workers begin to spill; stock scaling uses it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """Workers of one kind: ready now, and coming in `coming_seconds` on average."""

    ready: int = 0
    coming: int = 0
    coming_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the work asks for by kind, in the kinds' order, and what cannot be helped."""

    demand: tuple[ClassDemand, ...]
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True)
class _Work:
    """A group's share of a kind: tasks that could run now and all that are unfinished, their
    mean, and tasks that one worker runs at a time. Overdue tasks are a share of their own. The mean
    is only what a task's age says where it is by that."""

    runnable: int
    tasks: float
    mean: float
    slots_each: int
    is_known: bool
    is_overdue: bool = False
    is_by_age: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What sizing rests on. `missing` says of kinds that cannot be bought why not."""

    load: Load
    kinds: tuple[WorkerKind, ...]
    scaling: Scaling
    learnt: Learnt
    staff: Mapping[str, Staffing]
    boot_seconds: float
    missing: Mapping[str, str]


def sizes(question: Question) -> Sizes:
    """The workers of each kind that the load asks for.

    Example: 40 tasks of 0.5 s, no workers, threads 1, target 5 s, boot 6 s: sqrt(20 x 6 / 7) is
    4.1 s, so h = 5 s, 10 tasks a slot, 4 slots.
    """
    work: dict[str, list[_Work]] = {kind.name: [] for kind in question.kinds}
    waiting: list[Waiting] = []
    for group in question.load.groups:
        runnable = group.queued + group.running
        pinned = min(group.pinned, runnable)
        if pinned and group.unrunnable:
            waiting.append(_waiting(group, min(pinned, group.unrunnable), _PINNED))
        if runnable == pinned and (runnable or not group.waiting):
            continue
        kind = kind_for(group.need, question.kinds)
        reason = _nobody(group.need, question.kinds) if kind is None else ""
        if kind is not None and group.unrunnable:
            reason = question.missing.get(kind.name, "")
        if reason and runnable:
            waiting.append(_waiting(group, runnable - pinned, reason))
        if kind is not None and kind.name not in question.missing:
            work[kind.name] += _shares(
                group, runnable - pinned, slots_of(group.need, kind), question
            )
    first = question.kinds[0].name
    demand = tuple(
        _demand(kind, work[kind.name], question, holds_data=kind.name == first)
        for kind in question.kinds
    )
    return Sizes(demand=demand, waiting=tuple(waiting))


def _shares(group: TaskGroup, runnable: int, slots_each: int, question: Question) -> list[_Work]:
    """A group's runnable tasks and those to come: its overdue ones, and the rest."""
    mean, is_known = mean_seconds(group, question.learnt, question.scaling)
    overdue = min(group.overdue, runnable)
    rest = runnable - overdue
    is_by_age = not is_known and mean == _by_age(group)
    shares = [_Work(rest, rest + group.waiting, mean, slots_each, is_known, is_by_age=is_by_age)]
    if overdue:
        left = group.overdue_seconds
        shares.append(_Work(overdue, overdue, left, slots_each, is_known, is_overdue=True))
    return shares


_PINNED = "they may run on named workers or hosts only, and those are not here"


def slots_of(need: Mapping[str, float], kind: WorkerKind) -> int:
    """Tasks of a class that a worker of a kind runs at a time; 0 where it lacks a resource."""
    fits = [kind.resources.get(name, 0.0) / amount for name, amount in need.items() if amount > 0]
    return math.floor(min([float(kind.threads), *fits]) + 1e-9)


def kind_for(need: Mapping[str, float], kinds: Sequence[WorkerKind]) -> WorkerKind | None:
    """The kind that runs tasks of a class: fewest resources that it does not need, then order."""
    able = [kind for kind in kinds if slots_of(need, kind) > 0]
    return min(able, key=lambda kind: len(set(kind.resources) - set(need)), default=None)


def mean_seconds(group: TaskGroup, learnt: Learnt, scaling: Scaling) -> tuple[float, bool]:
    """The mean of a group's tasks in seconds, and whether this run has seen it."""
    if group.mean_task_seconds is not None:
        return max(group.mean_task_seconds, LEAST_MEAN_SECONDS), True
    before = learnt.durations.get(group.prefix)
    guess = scaling.unknown_task_seconds if before is None else before[1]
    return max(guess, _by_age(group), LEAST_MEAN_SECONDS), False


def _by_age(group: TaskGroup) -> float:
    return 2 * (group.longest_running_seconds or 0.0)


def grows_with_age(load: Load, learnt: Learnt, scaling: Scaling) -> bool:
    """True where all that is known of the work is that what runs is not done yet: its size is a
    guess then that grows each second."""
    groups = [group for group in load.groups if group.queued + group.running]
    means = [mean_seconds(group, learnt, scaling) for group in groups]
    if any(is_known for _, is_known in means):
        return False
    return any(_by_age(group) == mean for group, (mean, _) in zip(groups, means, strict=True))


def _workers(work: Iterable[_Work], horizon_seconds: float) -> float:
    """Workers, a fraction, that finish the work within the horizon: in whole tasks each, but where
    a task's age is all that is known. Tasks of 2 s that have run for 1.3 s are taken to take 2.6 s,
    and would have a worker each in 5 s."""
    return sum(
        part.tasks / max(1, each if part.is_by_age else math.floor(each)) / part.slots_each
        for part, each in ((part, horizon_seconds / part.mean) for part in work)
    )


def _demand(
    kind: WorkerKind, work: list[_Work], question: Question, *, holds_data: bool
) -> ClassDemand:
    staff = question.staff.get(kind.name, Staffing())
    seconds = sum(part.tasks * part.mean for part in work)
    wanted, reason = _for_work(work, seconds, staff, question)
    if holds_data:
        held = sum(worker.managed_bytes for worker in question.load.workers.values())
        room = math.ceil(held / (FULL_SHARE * kind.need.memory_bytes) - 1e-9)
        if room > wanted:
            wanted = room
            reason = (
                f"{memory_text(held)} of results are held, {percent(FULL_SHARE)} of memory at most"
            )
    if kind.minimum > wanted:
        wanted, reason = kind.minimum, f"the minimum of {kind.minimum}"
    if kind.maximum is not None and wanted > kind.maximum:
        reason += f"; {wanted} would do, the maximum is {kind.maximum}"
        wanted = kind.maximum
    return ClassDemand(
        shape=kind.name,
        wanted=wanted,
        present=staff.ready,
        coming=staff.coming,
        work_seconds=seconds,
        width=sum(part.runnable for part in work),
        useful=_widest(work) if kind.maximum is None else min(_widest(work), kind.maximum),
        reason=reason,
    )


def _for_work(
    work: list[_Work], seconds: float, staff: Staffing, question: Question
) -> tuple[int, str]:
    """Workers that the runnable tasks ask for, and why."""
    widest = _widest(work)
    if not widest:
        return 0, "nothing is queued or running"
    target, boot = float(question.scaling.target_seconds), question.boot_seconds
    here = staff.ready + staff.coming
    told = _told(work, seconds)
    enough = min(_workers(work, target), widest)
    if enough <= here:
        return math.ceil(enough - 1e-9), f"{told} within {target:g} s"
    meanwhile = staff.ready * boot + staff.coming * max(0.0, boot - staff.coming_seconds)
    occupied = sum(p.runnable / p.slots_each for p in work if p.mean > boot)
    work = _left(work, max(0.0, meanwhile - occupied * boot), boot)
    shared = (part for part in work if not part.is_overdue)
    each = sum(part.tasks * part.mean / part.slots_each for part in shared)
    horizon = new_worker_seconds(each, boot, target)
    if target - boot >= boot:
        wanted = math.ceil(_workers(work, horizon) - 1e-9)
        goal = f"within {target:g} s, of which a boot takes {boot:.3g} s"
    else:
        wanted = math.floor(_workers(work, horizon) + 0.5)
        goal = f"{horizon:.3g} s of work for each, as a boot takes {boot:.3g} s"
    return min(max(wanted, here, 1), widest), f"{told}: {goal}"


def new_worker_seconds(work_seconds: float, boot_seconds: float, target_seconds: float) -> float:
    """Seconds of work for each new worker: h of this file's head, of W, b and T."""
    if target_seconds - boot_seconds >= boot_seconds:
        return target_seconds - boot_seconds
    return max(target_seconds, math.sqrt(work_seconds * boot_seconds / DELAY_WORTH))


def _left(work: Sequence[_Work], meanwhile: float, boot: float) -> list[_Work]:
    """What is left when those here have worked for `meanwhile` worker-seconds during a boot.

    A task that takes longer than a boot is not done then, and keeps its worker.
    """
    short = sum(p.tasks * p.mean / p.slots_each for p in work if p.mean <= boot)
    share = max(0.0, 1.0 - meanwhile / short) if short else 0.0
    return [replace(p, tasks=p.tasks * share) if p.mean <= boot else p for p in work]


def _widest(work: Iterable[_Work]) -> int:
    """Workers that the runnable tasks can occupy."""
    return math.ceil(sum(part.runnable / part.slots_each for part in work) - 1e-9)


def _told(work: Sequence[_Work], seconds: float) -> str:
    tasks, runnable = sum(part.tasks for part in work), sum(part.runnable for part in work)
    told = f"{seconds:.4g} s of work in {tasks:.0f} task{'s' * (tasks != 1)}"
    if tasks > runnable:
        told += f", {tasks - runnable:.0f} of which wait for others"
    overdue = sum(part.runnable for part in work if part.is_overdue)
    if overdue:
        told += f", {overdue} of which {'has' if overdue == 1 else 'have'} long outlived the mean"
    if not all(part.is_known for part in work):
        told += " (durations partly guessed)"
    return told


def _nobody(need: Mapping[str, float], kinds: Sequence[WorkerKind]) -> str:
    lacking = sorted(
        f"{name}={amount:g}"
        for name, amount in need.items()
        if all(kind.resources.get(name, 0.0) < amount for kind in kinds)
    )
    what = ", ".join(lacking) or "all of its resources at once"
    return f"no kind of worker in the configuration has {what}"


def _waiting(group: TaskGroup, tasks: int, reason: str) -> Waiting:
    return Waiting(prefix=group.prefix, tasks=tasks, need=group.need, reason=reason)
