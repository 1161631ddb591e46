"""How many workers the work asks for, with numbers that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from costplan.planner.learnt import Learnt
from costplan.planner.load import TaskGroup
from costplan.planner.settings import Scaling, WorkerKind
from costplan.planner.sizing import Question, Sizes, Staffing, kind_for, mean_seconds, sizes
from costplan.planner.tick import ClassDemand
from costplan.planner.units import GIB
from tests.fleets import does, kind, load, tasks

ONE = kind(threads=1)
GPU = kind("gpu", gpus=1, threads=1)


def asked(
    *groups: TaskGroup,
    kinds: tuple[WorkerKind, ...] = (ONE,),
    ready: int = 0,
    coming: Staffing | None = None,
    boot: float = 60.0,
    **more: Any,
) -> Sizes:
    """What this work asks for in 300 s; `more` are fields of the question."""
    staff = {kinds[0].name: coming or Staffing(ready=ready)}
    values = {"load": load(*groups), "scaling": Scaling(), "learnt": Learnt(), "missing": {},
              "staff": staff, **more}  # fmt: skip
    return sizes(Question(kinds=kinds, boot_seconds=boot, **values))


def first(*groups: TaskGroup, **more: Any) -> ClassDemand:
    """The same for the first kind."""
    return asked(*groups, **more).demand[0]


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        ((), 0),
        # A boot takes 60 of the 300 s: each new worker does 240 tasks of a second.
        ((tasks(queued=240),), 1),
        ((tasks(queued=241),), 2),
        ((tasks(queued=2400),), 10),
        # Tasks of 100 s: two fit into 240 s, not two and a half.
        ((tasks(queued=10, mean=100.0),), 5),
        # A task longer than the target has a worker of its own, and no more.
        ((tasks(queued=7, mean=4000.0),), 7),
        # Fractions add up before they are rounded: 0.4 + 0.4.
        ((tasks(queued=96), tasks(queued=96, prefix="score")), 1),
    ],
)
def test_workers_from_zero(groups: tuple[TaskGroup, ...], wanted: int) -> None:
    assert first(*groups).wanted == wanted


def test_the_worked_example() -> None:
    """40 tasks of half a second in 5 s with boots of 6 s: booting costs N x 6, waiting
    7 x 20 / N, and the sum is least with 4.1 s of work for each; no less than the 5 s, so 4."""
    short = Scaling(target_seconds=5)
    assert first(tasks(queued=40, mean=0.5), boot=6.0, scaling=short).wanted == 4
    assert first(tasks(queued=1, mean=0.5), boot=6.0, scaling=short).wanted == 1


def test_where_boots_are_longer_than_the_target_few_are_bought() -> None:
    """100 s of work in 5 s with boots of 60 s: sqrt(100 x 60 / 7) = 29.3 s for each, 3.4
    workers. Twenty could not keep the target either, and pay 20 minutes for booting."""
    short = Scaling(target_seconds=5)
    assert first(tasks(queued=100), boot=60.0, scaling=short).wanted == 3


def test_a_task_longer_than_a_boot_keeps_its_worker() -> None:
    """Four of 20 s, one of them runs: it is not done when the others have booted."""
    short = Scaling(target_seconds=5)
    found = first(tasks(queued=3, running=1, mean=20.0), ready=1, boot=6.0, scaling=short)
    assert found.wanted == 4


def test_who_is_kept_by_long_tasks_does_not_work_for_others() -> None:
    """Ten workers that have hours to go: 240 s of short work needs an eleventh. One that is free
    would do 60 s of it during the boot, and the target's other 240 s, so nobody is bought."""
    hours, short = tasks(running=10, mean=36_000.0), tasks(queued=240, prefix="score")
    assert first(hours, short, ready=10).wanted == 11
    assert first(hours, short, ready=11).wanted == 11
    assert first(hours, tasks(queued=1000, prefix="score"), ready=11).wanted == 14


def test_who_has_outlived_the_mean_does_not_count_as_coming_free() -> None:
    """Those that ended took 100 s; forty have run for a day, and 30 wait.

    Were they as the rest, 70 of them were 7,000 s for 40 workers. They hold theirs, and the 30 of
    100 s take 15 in the 240 s that a boot leaves of the target.
    """
    stuck = tasks(running=40, queued=30, mean=100.0, overdue=40, overdue_seconds=86_400.0)
    found = first(stuck, ready=40)
    assert found.wanted == 55
    assert "40 of which have long outlived the mean" in found.reason
    assert found.work_seconds == 40 * 86_400 + 30 * 100
    assert first(replace(stuck, queued=0), ready=40).wanted == 40


def test_what_is_left_for_others_says_how_long_they_may_take() -> None:
    """A boot takes 200 of 300 s: sqrt(3,000 x 200 / 7) is 292 s for each, so 300 s, three
    tasks of a hundred. The day that 40 others have run is not shared out."""
    stuck = tasks(running=40, queued=30, mean=100.0, overdue=40, overdue_seconds=86_400.0)
    assert first(stuck, ready=40, boot=200.0).wanted == 50


def test_an_overdue_task_that_is_soon_over_shares_its_worker() -> None:
    short = tasks(running=2, queued=238, mean=1.0, overdue=2, overdue_seconds=4.0)
    assert first(short).wanted == 2  # 238 s and two of 4 s: 0.99 and 0.03
    assert first(replace(short, overdue=1)).wanted == 2


def test_threads_run_side_by_side() -> None:
    assert first(tasks(queued=2400), kinds=(kind(threads=4),)).wanted == 3


def test_who_is_here_works_while_others_boot() -> None:
    """4 ready workers do 240 of 2,640 tasks in the 60 s; the other 2,400 take 10 workers."""
    assert first(tasks(queued=2640), ready=4).wanted == 10
    assert first(tasks(queued=1200), ready=4).wanted == 4
    assert first(tasks(queued=900), ready=4).wanted == 3


def test_workers_that_come_are_not_asked_for_twice() -> None:
    """10 are enough for 3,000 tasks. One that comes in 20 s works for 40 s of the first minute:
    of 3,001 tasks 400 are done then, and the other 2,601 take 10.8 workers 240 s."""
    booting = Staffing(coming=10, coming_seconds=20.0)
    assert first(tasks(queued=3000), coming=booting).wanted == 10
    assert first(tasks(queued=3001), coming=booting).wanted == 11
    assert first(tasks(queued=2400), coming=booting).coming == 10


def test_no_more_than_can_run_at_once() -> None:
    wide = tasks(queued=3, mean=100.0, waiting=1000)
    assert first(wide).wanted == 3
    assert first(tasks(queued=5, mean=4000.0), kinds=(kind(threads=4),)).wanted == 2


def test_what_only_waits_for_other_tasks_asks_for_nothing_yet() -> None:
    found = first(tasks(queued=0, waiting=10_000, mean=60.0))
    assert (found.wanted, found.width) == (0, 0)


@pytest.mark.parametrize(
    ("group", "before", "mean"),
    [
        (tasks(mean=7.0), 50.0, (7.0, True)),  # its own, where one has finished
        (tasks(mean=None), 50.0, (50.0, False)),  # else that of past runs
        (tasks(mean=None), None, (0.5, False)),  # else a guess
        (tasks(mean=None, longest_running_seconds=40.0), None, (80.0, False)),
        (tasks(mean=None, longest_running_seconds=40.0), 500.0, (500.0, False)),
        (tasks(mean=0.0), None, (0.001, True)),
    ],
)
def test_unknown_durations(
    group: TaskGroup, before: float | None, mean: tuple[float, bool]
) -> None:
    seen = {} if before is None else {"fit": (9, before)}
    assert mean_seconds(group, Learnt(durations=MappingProxyType(seen)), Scaling()) == mean


@pytest.mark.parametrize(
    ("longest", "wanted"),
    [
        # Twice 45 s: 90 s each in 240 s are 2.67 tasks, of which the age says nothing certain.
        (45.0, 12),
        (150.0, 32),
    ],
)
def test_an_age_is_no_reason_for_whole_tasks(longest: float, wanted: int) -> None:
    work = tasks(queued=31, running=1, mean=None, longest_running_seconds=longest)
    assert first(work).wanted == wanted


def test_a_guess_is_said_to_be_one() -> None:
    assert "guessed" in first(tasks(queued=9, mean=None)).reason
    assert "guessed" not in first(tasks(queued=9)).reason
    assert "in 1 task:" in first(tasks(queued=1)).reason


# -- classes --------------------------------------------------------------------------------------


def test_each_class_goes_to_the_kind_that_can_and_wastes_least() -> None:
    big = kind("big", resources={"MEM": 64.0})
    kinds = (ONE, GPU, big)
    assert kind_for({}, kinds) is ONE
    assert kind_for({"GPU": 1.0}, kinds) is GPU
    assert kind_for({"MEM": 10.0}, kinds) is big
    assert kind_for({"MEM": 65.0}, kinds) is None
    assert kind_for({"MEM": 1.0, "GPU": 1.0}, kinds) is None
    assert kind_for({}, (GPU, ONE)) is ONE


def test_a_resource_that_is_shared_out_limits_what_runs_at_once() -> None:
    """16 threads and 64 units: tasks of 32 run two at a time, each doing 240 in 240 s."""
    big = kind("big", threads=16, resources={"MEM": 64.0})
    assert first(tasks(queued=4800, need={"MEM": 32.0}), kinds=(big,)).wanted == 10


def test_two_kinds_are_sized_each_for_its_own() -> None:
    found = asked(tasks(queued=480), tasks(queued=720, need={"GPU": 1.0}), kinds=(ONE, GPU))
    assert [(d.shape, d.wanted) for d in found.demand] == [("w", 2), ("gpu", 3)]


def test_nothing_is_bought_for_what_nobody_has_and_it_is_said_why() -> None:
    found = asked(tasks(queued=50, unrunnable=50, need={"GPU": 1.0}))
    assert [d.wanted for d in found.demand] == [0]
    (waiting,) = found.waiting
    assert (waiting.prefix, waiting.tasks) == ("fit", 50)
    assert waiting.reason == "no kind of worker in the configuration has GPU=1"


def test_nothing_is_bought_for_a_kind_that_no_machine_holds() -> None:
    found = asked(
        tasks(queued=50, unrunnable=50, need={"GPU": 1.0}),
        kinds=(ONE, GPU), missing={"gpu": "no machine has a GPU"},
    )  # fmt: skip
    assert [d.wanted for d in found.demand] == [0, 0]
    assert [(w.tasks, w.reason) for w in found.waiting] == [(50, "no machine has a GPU")]


def test_tasks_for_named_workers_are_nobody_elses() -> None:
    """20 of 260 may run on a host only that is not here: the other 240 take one worker."""
    found = asked(tasks(queued=260, pinned=20, unrunnable=20))
    assert found.demand[0].wanted == 1
    assert [w.tasks for w in found.waiting] == [20]
    alone = asked(tasks(queued=20, pinned=20))
    assert (alone.demand[0].wanted, alone.waiting) == (0, ())


# -- floors and ceilings --------------------------------------------------------------------------


def test_results_that_are_held_need_room() -> None:
    """36 GiB at 60 % of 12 GiB each: five workers; the second kind holds none of them."""
    seen = load(workers={"a": does(managed_bytes=30 * GIB), "b": does(managed_bytes=6 * GIB)})
    found = asked(kinds=(ONE, GPU), load=seen)
    assert [d.wanted for d in found.demand] == [5, 0]
    assert "36 GiB of results are held" in found.demand[0].reason


def test_minimum_and_maximum() -> None:
    floor = kind(threads=1, minimum=4, maximum=6)
    assert first(kinds=(floor,)).wanted == 4
    found = first(tasks(queued=24_000), kinds=(floor,))
    assert found.wanted == 6
    assert "100 would do, the maximum is 6" in found.reason
