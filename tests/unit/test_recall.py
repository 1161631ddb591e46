"""Drains by choice that are taken back when the work is back first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costplan.planner.nodes import Cause, Node
from costplan.planner.recall import recalled
from costplan.planner.types import Phase
from tests.fleets import after, order, rented


def going(
    node_id: str, phase: Phase = Phase.READY, cause: Cause = Cause.SURPLUS, **workers: int
) -> Node:
    """A node that is told to leave."""
    return replace(rented(node_id, phase, workers=workers or {"w": 1}), drain=order(cause))


def back(short: dict[str, int], *nodes: Node) -> list[str]:
    """Who is asked to stay."""
    found = recalled({each.node_id: each for each in nodes}, short, {})
    assert list(found) == [each.node_id for each in nodes]
    return sorted(
        each.node_id for each in nodes if each.drain and found[each.node_id].drain is None
    )


def test_only_as_many_as_are_short_come_back_those_that_still_work_first() -> None:
    fleet = [going("a", Phase.CORDONED), going("b"), going("c"), going("d", Phase.CORDONED)]
    assert back({"w": 0}, *fleet) == []
    assert back({}, *fleet) == []
    assert back({"w": 1}, *fleet) == ["b"]
    assert back({"w": 3}, *fleet) == ["a", "b", "c"]
    assert back({"w": 9}, *fleet) == ["a", "b", "c", "d"]


def test_a_node_comes_back_for_any_of_its_kinds() -> None:
    fleet = [going("a", w=2), going("b", v=1), going("c", w=1, v=1)]
    assert back({"w": 3}, *fleet) == ["a", "c"]
    assert back({"w": 2}, *fleet) == ["a"]
    assert back({"v": 1}, *fleet) == ["b"]


@pytest.mark.parametrize("cause", [each for each in Cause if each is not Cause.SURPLUS])
def test_who_goes_for_another_reason_goes(cause: Cause) -> None:
    assert back({"w": 1}, going("a", cause=cause)) == []


@pytest.mark.parametrize(
    "phase", [each for each in Phase if each not in (Phase.READY, Phase.CORDONED)]
)
def test_who_may_have_left_already_goes(phase: Phase) -> None:
    assert back({"w": 1}, going("a", phase)) == []


def test_a_machine_that_its_cloud_takes_as_well_goes() -> None:
    doomed = replace(going("a"), drain=order(must_end_by=after(60)))
    assert back({"w": 1}, doomed) == []
