"""The tick on whatever fleet and whatever is read of the world."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from costplan.planner.load import Load
from costplan.planner.loop import Ticked, tick
from costplan.planner.nodes import Cause, MachineState, Node, ProviderNode
from costplan.planner.tick import (
    ActionOutcome,
    Control,
    Cordon,
    DrainRequest,
    Launch,
    Outcome,
    Readings,
    Retire,
    State,
    Terminate,
    Uncordon,
)
from costplan.planner.types import Mode, Phase
from costplan.policies.default import default_policies
from tests.fleets import (
    NOON,
    after,
    does,
    key,
    kind,
    load,
    machine,
    order,
    quote,
    readings,
    rented,
    rules,
    spot,
    tasks,
)

SETTINGS = rules(kind(), kind("gpu", gpus=1))
QUOTES = (quote(key(), "1"), quote(spot(), "0.4"))
WITHOUT_MACHINE = (Phase.INTENDED, Phase.REQUESTED, Phase.UNCERTAIN)
CAUSES = st.sampled_from([None, None, None, *Cause])


@st.composite
def nodes(draw: st.DrawFn, node_id: str) -> Node:
    """A node in any phase; those on their way out have an order."""
    phase = draw(st.sampled_from([Phase.READY, *Phase]))
    cause = draw(CAUSES)
    if phase in (Phase.CORDONED, Phase.RETIRING):
        cause = cause or Cause.SURPLUS
    of = rented(node_id, phase, workers={"w": draw(st.integers(1, 2))})
    wait = draw(st.sampled_from([-5.0, 600.0]))
    ends = after(30) if cause is Cause.NOTICE else None
    of = replace(
        of,
        drain=None if cause is None else order(cause, wait, must_end_by=ends),
        ended_at=NOON - timedelta(minutes=1) if phase is Phase.GONE else None,
    )
    if phase in WITHOUT_MACHINE:
        of = replace(of, provider_id=None, launched_at=None, ready_at=None)
    return of


@st.composite
def loads(draw: st.DrawFn, fleet: list[Node]) -> Load | None:
    """Some of their workers at something, and work of two kinds; at times old or not there."""
    if draw(st.integers(0, 5)) == 0:
        return None
    binding = st.sampled_from([{}, {}, {}, {"gang": "g"}, {"shuffling": True}, {"actors": 1}])
    workers = {
        name: does(draw(st.sampled_from([0, 0, 4])), **draw(binding))
        for of in fleet
        for name in of.workers
        if draw(st.integers(0, 4))
    }
    work = [tasks(draw(st.sampled_from([0, 3, 4000])), draw(st.sampled_from([0, 4])))]
    if draw(st.booleans()):
        work.append(tasks(5, need={"GPU": 1.0}, unrunnable=5))
    old = draw(st.sampled_from([0.0, 0.0, -20.0, -40.0]))
    return load(*work, workers=workers, at=after(old), clients=draw(st.sampled_from([0, 1])))


@st.composite
def machines(draw: st.DrawFn, fleet: list[Node]) -> tuple[ProviderNode, ...] | None:
    """Most of their machines, some ended; at times a stranger's of ours, or no list."""
    if draw(st.integers(0, 5)) == 0:
        return None
    found = []
    for of in fleet:
        state = draw(st.sampled_from([MachineState.RUNNING] * 4 + [MachineState.ENDED]))
        ended = {"ended_at": after(-2)} if state is MachineState.ENDED else {}
        if draw(st.integers(0, 4)) and of.phase is not Phase.INTENDED:
            found.append(machine(of, state, **ended))
    if draw(st.booleans()):
        found.append(machine(rented("of-a-lost-store", ready_at=None)))
    return tuple(found)


@st.composite
def outcomes(draw: st.DrawFn, fleet: list[Node]) -> tuple[ActionOutcome, ...]:
    """What became of launches, for some that were sent and some that were not."""
    found = []
    for of in fleet:
        if draw(st.integers(0, 2)) == 0:
            outcome = draw(st.sampled_from(list(Outcome)))
            got = machine(of) if outcome is Outcome.DONE else None
            action = Launch(node_id=of.node_id, request=of.request)
            found.append(ActionOutcome(action=action, outcome=outcome, at=NOON, machine=got))
    return tuple(found)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Readings, State]:
    """A fleet of up to five nodes, and what is read and said of it."""
    fleet = [draw(nodes(f"n-{n}")) for n in range(draw(st.integers(0, 5)))]
    asked = tuple(
        DrainRequest(node_id=of.node_id, requested_at=NOON, discard=draw(st.booleans()))
        for of in fleet
        if draw(st.integers(0, 5)) == 0
    )
    control = Control(
        drains=asked,
        down=draw(st.sampled_from([False] * 6 + [True])),
        paused_until=draw(st.sampled_from([None, None, after(60)])),
    )
    read = readings(
        load=draw(loads(fleet)),
        machines=draw(machines(fleet)),
        outcomes=draw(outcomes(fleet)),
        quotes=draw(st.sampled_from([QUOTES, QUOTES, ()])),
    )
    last = draw(st.sampled_from([None, after(-5), after(-5), after(-9000), after(50)]))
    return read, State(nodes={of.node_id: of for of in fleet}, control=control, at=last)


def ticked(world: tuple[Readings, State], replan: bool = True) -> Ticked:
    """The tick of a world."""
    return tick(*world, SETTINGS, default_policies(), replan=replan)


def named(of: Ticked, *kinds: Any) -> set[str]:
    """The nodes that actions of these kinds are about."""
    found = set[str]()
    for action in of.actions:
        if isinstance(action, kinds):
            several = isinstance(action, Cordon | Uncordon | Retire)
            found |= set(action.node_ids) if several else {action.node_id}
    return found


@given(worlds(), st.booleans())
@trying(max_examples=30, deadline=None)
def test_the_same_inputs_give_the_same_tick(world: tuple[Readings, State], replan: bool) -> None:
    once, twice = ticked(world, replan), ticked(world, replan)
    assert once == twice
    assert once.snapshot.digest == twice.snapshot.digest
    assert repr(once) == repr(twice)


@given(worlds())
@trying(max_examples=50, deadline=None)
def test_what_a_tick_may_never_do(world: tuple[Readings, State]) -> None:
    _, state = world
    done = ticked(world)
    tokens = [a.request.token for a in done.actions if isinstance(a, Launch)]
    assert len(tokens) == len(set(tokens))
    was_sent = {n.node_id: n.request for n in state.nodes.values()}
    for action in done.actions:
        if isinstance(action, Launch):
            assert was_sent.get(action.node_id, action.request) == action.request
        if isinstance(action, Terminate):
            owner = done.state.nodes[action.node_id]
            assert owner.provider_id == action.provider_id
            assert owner.phase is Phase.TERMINATING
    assert named(done) <= set(done.state.nodes)
    if done.snapshot.mode is Mode.OBSERVE:
        assert done.actions == ()


@given(worlds())
@trying(max_examples=50, deadline=None)
def test_nobody_is_newly_given_up_by_choice_on_what_is_not_known(
    world: tuple[Readings, State],
) -> None:
    read, state = world
    done = ticked(world)
    before = {n.node_id for n in state.nodes.values() if n.drain is not None}
    new = [
        n for n in done.state.nodes.values()
        if n.drain is not None and n.drain.is_voluntary and n.node_id not in before
    ]  # fmt: skip
    paused = state.control.paused_until is not None
    if done.snapshot.mode is not Mode.FULL or paused or state.control.down:
        assert new == []
    for of in new:
        assert read.load is not None
        there = [read.load.workers[name] for name in of.workers if name in read.load.workers]
        assert not any(w.gang or w.shuffling or w.actors for w in there)


@given(worlds())
@trying(max_examples=30, deadline=None)
def test_a_second_look_at_the_same_world_asks_for_no_more_machines(
    world: tuple[Readings, State],
) -> None:
    """Nothing was answered yet: the intentions of the first tick are all there is to launch, but
    for those whose drain was called off in between."""
    read, _ = world
    first = ticked(world)
    again = replace(read, at=after(1), outcomes=())
    second = tick(again, first.state, SETTINGS, default_policies(), replan=True)
    drained = {n.node_id for n in second.state.nodes.values() if n.drain is not None}
    held = {n.node_id for n in first.state.nodes.values() if n.drain is not None}
    if drained == held and first.snapshot.mode is second.snapshot.mode is Mode.FULL:
        assert second.state.launches == first.state.launches


@given(worlds())
@trying(max_examples=30, deadline=None)
def test_money_is_what_the_entries_say(world: tuple[Readings, State]) -> None:
    _, state = world
    done = ticked(world)
    assert done.state.spent_usd - state.spent_usd == sum(e.usd for e in done.entries)
