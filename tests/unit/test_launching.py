"""Moves as nodes: one intention for each launch, one order for each drain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from costplan.planner.launching import order_drains, with_new_nodes
from costplan.planner.nodes import Cause, Node
from costplan.planner.settings import Settings
from costplan.planner.tick import MovePlan
from costplan.planner.types import Phase
from tests.fleets import (
    NOON,
    SIZE,
    after,
    drain,
    key,
    kind,
    launch,
    plan,
    rented,
    rules,
    spot,
    view,
)

TWO_KINDS = rules(kind(), kind("v", threads=2, resources={"MEM": 5.0}), image_ref="img-1")


def made(asked: MovePlan, *nodes: Node, launches: int = 0, **more: Any) -> dict[str, Node]:
    """The nodes after the moves, at noon."""
    before, wanted = {each.node_id: each for each in nodes}, more.get("settings", TWO_KINDS)
    found, _ = with_new_nodes(before, asked, view(*nodes).snapshot, launches, wanted)
    return order_drains(found, asked, wanted, NOON)


def new(found: dict[str, Node]) -> list[Node]:
    """Those that are only intended."""
    return [each for each in found.values() if each.phase is Phase.INTENDED]


def test_each_launch_is_one_intention_with_its_own_token() -> None:
    found, launches = with_new_nodes(
        {}, plan(launch(), launch(), launch()), view().snapshot, 7, TWO_KINDS
    )
    assert launches == 10
    assert list(found) == ["c-00008-p", "c-00009-p", "c-00010-p"]
    assert len({each.token for each in found.values()}) == 3
    assert all(each.launched_at is None and each.attempts == 0 for each in found.values())


def test_the_request_is_whole_and_workers_are_named_after_their_node() -> None:
    asked = plan(launch("2", spot("a"), spot("b"), workers={"w": 1, "v": 2}))
    (node,) = new(made(asked))
    request = node.request
    assert (request.keys, request.image_ref, request.cluster) == (
        (spot("a"), spot("b")), "img-1", "c",
    )  # fmt: skip
    assert [(w.name, w.shape, w.threads) for w in request.workers] == [
        (f"{node.node_id}-0", "v", 2), (f"{node.node_id}-1", "v", 2),
        (f"{node.node_id}-2", "w", 4),
    ]  # fmt: skip
    assert dict(request.workers[0].resources) == {"MEM": 5.0}
    assert (node.key, node.resources) == (spot("a"), SIZE)


def test_the_same_plan_makes_the_same_tokens_and_another_plan_others() -> None:
    asked = plan(launch())
    (one,), (again,) = new(made(asked)), new(made(asked))
    (other,) = new(made(replace(asked, plan_id="q")))
    assert one == again
    assert one.token != other.token
    (later,) = new(made(asked, launches=1))
    assert one.token != later.token


def test_a_token_does_not_tell_two_clusters_machines_apart_by_chance() -> None:
    elsewhere: Settings = replace(TWO_KINDS, cluster="d")
    (one,), (other,) = new(made(plan(launch()))), new(made(plan(launch()), settings=elsewhere))
    assert one.token != other.token
    assert one.node_id != other.node_id


def test_a_drain_is_ordered_and_waits_for_what_runs() -> None:
    found = made(plan(drain("a")), rented("a"), rented("b"))
    ordered = found["a"].drain
    assert ordered is not None
    assert (ordered.cause, ordered.wait_until, ordered.after) == (Cause.SURPLUS, after(600), ())
    assert found["b"].drain is None


def test_who_is_replaced_waits_for_each_of_its_heirs_and_for_no_other() -> None:
    """Three launches: the first and the last in the place of a, the second for more work; and a
    node that was intended before is nobody's heir."""
    asked = plan(
        launch(replaces=("a",)), launch(), launch(replaces=("a", "b")),
        drain("a", Cause.DEARER), drain("b", Cause.DEARER),
    )  # fmt: skip
    old = replace(rented("old", Phase.INTENDED), phase_since=NOON)
    found = made(asked, old, rented("a"), rented("b"), launches=4)
    a, b = found["a"].drain, found["b"].drain
    assert a is not None
    assert b is not None
    assert a.after == ("c-00005-p", "c-00007-p")
    assert b.after == ("c-00007-p",)


def test_an_order_that_stands_is_not_given_again() -> None:
    going = rented("a", cause=Cause.NOTICE)
    assert made(plan(drain("a"), drain("unknown")), going) == {"a": going}


def test_a_plan_of_nothing_changes_nothing() -> None:
    fleet = rented("a"), rented("b", Phase.BOOTING, keys=(key("b"),))
    assert list(made(plan(), *fleet).values()) == list(fleet)
