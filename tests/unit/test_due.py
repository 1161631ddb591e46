"""A deadline: fewer workers while there is time, and the reason says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from costplan.planner.due import by_deadline
from costplan.planner.loop import Ticked, tick
from costplan.planner.settings import Scaling, Settings
from costplan.planner.tick import State
from costplan.policies.default import default_policies
from tests.fleets import NOON, after, key, load, quote, readings, rules, tasks

WORK = tasks(queued=28_800)
"""28,800 seconds of work: 2 h of a worker with four threads."""


def due_in(seconds: float) -> Settings:
    settings = rules()
    scaling = replace(settings.scaling, deadline=NOON + timedelta(seconds=seconds))
    return replace(settings, scaling=scaling)


def planned(settings: Settings) -> Ticked:
    """One tick at noon on that work and no machines."""
    values = {"load": load(WORK, at=after(0)), "machines": (), "quotes": (quote(key(), "1"),)}
    return tick(readings(0, **values), State(), settings, default_policies(), replan=True)


@pytest.mark.parametrize(
    ("seconds", "target"),
    [(28_800, 23_040), (376, 300), (300, 300), (1, 300), (0, 300), (-100, 300)],
)
def test_most_of_the_time_left_is_the_target_and_never_less_than_the_usual_one(
    seconds: float, target: int
) -> None:
    settings = by_deadline(due_in(seconds), NOON)
    assert settings.scaling.target_seconds == target
    assert settings.scaling.deadline == NOON + timedelta(seconds=seconds)


def test_without_a_deadline_nothing_changes() -> None:
    settings = replace(rules(), scaling=Scaling(target_seconds=77))
    assert by_deadline(settings, NOON) is settings


def test_the_same_work_takes_fewer_workers_and_the_plan_says_why() -> None:
    hurried, leisurely = planned(rules()), planned(due_in(3_600))
    assert hurried.needs.target["w"] > 5 * leisurely.needs.target["w"] > 0
    assert leisurely.plan is not None
    (demand,) = leisurely.plan.demand
    assert "1h until the deadline of" in demand.reason
    assert "80 % of it planned for" in demand.reason


def test_a_deadline_that_is_over_is_told() -> None:
    late = planned(due_in(-1))
    assert late.needs.target == planned(rules()).needs.target
    assert late.plan is not None
    assert late.plan.demand[0].reason.endswith("UTC is over")


def test_a_deadline_that_leaves_less_than_the_usual_target_plans_for_that() -> None:
    soon = planned(due_in(60))
    assert soon.plan is not None
    assert soon.plan.demand[0].reason.endswith("UTC")
    assert "1min until the deadline of" in soon.plan.demand[0].reason
