"""What the work asks for, whatever it is: enough to be in time, and never more than can run."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.learnt import Learnt
from costplan.planner.load import TaskGroup
from costplan.planner.settings import Scaling
from costplan.planner.sizing import Question, Staffing, sizes
from costplan.planner.tick import ClassDemand
from tests.fleets import kind, load, tasks

MEANS = st.one_of(st.none(), st.sampled_from([0.01, 0.7, 13.0, 299.0, 5000.0]))
NEEDS = st.sampled_from([{}, {}, {"GPU": 1.0}, {"GPU": 2.0}, {"MEM": 3.0}])


@st.composite
def groups(draw: st.DrawFn) -> TaskGroup:
    """Tasks of any sort."""
    queued, running = draw(st.integers(0, 5000)), draw(st.integers(0, 200))
    return tasks(
        queued,
        running,
        draw(MEANS),
        prefix=draw(st.sampled_from("abc")),
        need=draw(NEEDS),
        waiting=draw(st.integers(0, 5000)),
        unrunnable=draw(st.integers(0, queued)),
        pinned=draw(st.integers(0, queued + running)) if draw(st.booleans()) else 0,
    )


STAFF = st.builds(
    Staffing,
    ready=st.integers(0, 60),
    coming=st.integers(0, 60),
    coming_seconds=st.floats(0, 100),
)
SCALING = st.builds(Scaling, target_seconds=st.sampled_from([5, 60, 300, 3600]))
BOOTS = st.sampled_from([0.5, 6.0, 60.0, 400.0])


def asked(
    work: list[TaskGroup], staff: Staffing, scaling: Scaling, boot: float, **more: int
) -> tuple[ClassDemand, ...]:
    """The demand for plain workers and such with a GPU."""
    kinds = (kind(**more), kind("gpu", gpus=1))
    question = Question(
        load=load(*work), kinds=kinds, scaling=scaling, learnt=Learnt(), staff={"w": staff},
        boot_seconds=boot, missing={},
    )  # fmt: skip
    return sizes(question).demand


@given(st.lists(groups(), max_size=4), STAFF, SCALING, BOOTS)
def test_never_more_than_have_something_to_run(
    work: list[TaskGroup], staff: Staffing, scaling: Scaling, boot: float
) -> None:
    plain, gpu = asked(work, staff, scaling, boot)
    now = {"w": 0, "gpu": 0}
    for group in work:
        free = group.queued + group.running - min(group.pinned, group.queued + group.running)
        name = {(): "w", (("GPU", 1.0),): "gpu"}.get(tuple(group.need.items()))
        if name:
            now[name] += free
    assert 0 <= plain.wanted <= math.ceil(now["w"] / 4)
    assert 0 <= gpu.wanted <= now["gpu"]
    assert (plain.width, gpu.width) == (now["w"], now["gpu"])
    assert all((d.wanted > 0) <= (d.width > 0) for d in (plain, gpu))


@given(st.lists(groups(), max_size=4), STAFF, SCALING, BOOTS, st.integers(0, 9), st.integers(0, 9))
def test_the_floor_and_the_ceiling_hold(
    work: list[TaskGroup], staff: Staffing, scaling: Scaling, boot: float, low: int, more: int
) -> None:
    plain, _ = asked(work, staff, scaling, boot, minimum=low, maximum=low + more)
    assert low <= plain.wanted <= low + more


@given(st.integers(0, 5000), st.integers(0, 500), MEANS, STAFF, SCALING, BOOTS)
def test_more_work_never_asks_for_fewer(
    queued: int, more: int, mean: float | None, staff: Staffing, scaling: Scaling, boot: float
) -> None:
    less, much = (
        asked([tasks(count, mean=mean)], staff, scaling, boot)[0].wanted
        for count in (queued, queued + more)
    )
    assert less <= much


@given(st.integers(1, 20_000), st.sampled_from([1, 2, 5, 10, 20]), st.integers(0, 40))
def test_what_is_asked_for_is_done_in_time(queued: int, seconds: int, ready: int) -> None:
    """Boots of 60 s and tasks that fit into them whole: those who are here work for 300 s, new
    ones for 240 s, and that is enough for all tasks, and with one new worker less it is not."""
    boot, target, threads = 60, 300, 4
    demand = asked(
        [tasks(queued, mean=float(seconds))], Staffing(ready=ready),
        Scaling(target_seconds=target), float(boot),
    )[0]  # fmt: skip
    new = max(0, demand.wanted - ready)

    def done(workers: int, more: int) -> float:
        return threads * (workers * target + more * (target - boot)) / seconds

    can_run = min(demand.wanted, ready) + new >= math.ceil(queued / threads)
    assert can_run or done(min(demand.wanted, ready), new) >= queued
    if new:
        assert done(ready, new - 1) < queued
    elif demand.wanted:
        assert done(demand.wanted - 1, 0) < queued
