"""The whole tick: what goes in, what comes out, and what it must never do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.load import Load, TaskGroup
from costplan.planner.loop import KEEP_GONE_SECONDS, Ticked, tick
from costplan.planner.nodes import Cause, DrainOrder, MachineState, Node, Notice, ProviderNode
from costplan.planner.settings import Budget, Freeze, Safety, Settings
from costplan.planner.tick import (
    ActionOutcome,
    Control,
    Cordon,
    Launch,
    Outcome,
    Retire,
    State,
    Terminate,
    Uncordon,
)
from costplan.planner.types import Gap, Phase
from costplan.policies.default import default_policies
from tests.fleets import (
    NOON,
    after,
    does,
    key,
    kind,
    load,
    machine,
    quote,
    readings,
    rented,
    rules,
    spot,
    tasks,
)

QUOTES = (quote(key(), "1"), quote(spot(), "0.4"))
WORK = tasks(queued=2880)
"""2,880 seconds of work; 960 are done by a worker of four threads in 240 s: three nodes."""


@dataclass
class Daemon:
    """Ticks from noon on, with the machines of its nodes listed and what it is told in between."""

    settings: Settings = field(default_factory=rules)
    state: State = field(default_factory=State)
    now: float = 0.0

    def tick(self, *groups: TaskGroup, passing: float = 5.0, **more: Any) -> Ticked:
        """One tick on a load of these tasks, some seconds after the last one."""
        self.now += passing
        replan = more.pop("replan", True)
        values = {"load": self.load(*groups), "machines": self.machines(), "quotes": QUOTES}
        ticked = tick(
            readings(self.now, **{**values, **more}), self.state, self.settings,
            default_policies(), replan=replan,
        )  # fmt: skip
        self.state = ticked.state
        return ticked

    def load(self, *groups: TaskGroup, **more: Any) -> Load:
        """The workers of all nodes that run, idle since noon unless there is work."""
        busy = sum(group.running for group in groups)
        workers = {
            name: does(min(busy, 4))
            for node in self.state.nodes.values() if node.phase is not Phase.GONE
            for name in node.workers if node.provider_id is not None
        }  # fmt: skip
        return load(*groups, at=after(self.now), **{"workers": workers, **more})

    def machines(self) -> tuple[ProviderNode, ...]:
        """The machines of its nodes."""
        return tuple(machine(n) for n in self.nodes if n.provider_id is not None)

    @property
    def nodes(self) -> list[Node]:
        """Those that are not gone."""
        return [n for n in self.state.nodes.values() if n.phase is not Phase.GONE]

    def answer(self, ticked: Ticked, outcome: Outcome = Outcome.DONE) -> tuple[ActionOutcome, ...]:
        """What becomes of the launches of a tick."""
        return tuple(
            ActionOutcome(
                action=action, outcome=outcome, at=after(self.now),
                machine=machine(self.state.nodes[action.node_id], launched_at=after(self.now))
                if outcome is Outcome.DONE else None,
            )
            for action in ticked.actions if isinstance(action, Launch)
        )  # fmt: skip


def fleet(*names: str, **more: Any) -> Daemon:
    """A daemon with these ready nodes."""
    nodes = {name: rented(name) for name in names}
    return Daemon(state=State(nodes=nodes, at=NOON, **more))


def launches(ticked: Ticked) -> list[str]:
    """Tokens of the launches."""
    return [a.request.token for a in ticked.actions if isinstance(a, Launch)]


def ends(ticked: Ticked) -> list[object]:
    """What empties or ends a node."""
    return [a for a in ticked.actions if isinstance(a, Cordon | Retire | Terminate)]


# -- growing --------------------------------------------------------------------------------------


def test_from_nothing_to_what_the_work_asks_for_and_no_further() -> None:
    daemon = Daemon()
    first = daemon.tick(WORK)
    assert len(launches(first)) == 3
    assert {a.request.keys[0] for a in first.actions if isinstance(a, Launch)} == {spot()}
    second = daemon.tick(WORK, outcomes=daemon.answer(first))
    assert launches(second) == []
    assert {n.phase for n in daemon.nodes} <= {Phase.BOOTING, Phase.READY}
    third = daemon.tick(WORK)
    assert (launches(third), {n.phase for n in daemon.nodes}) == ([], {Phase.READY})


def test_a_load_jump_is_answered_without_being_asked_for_a_plan() -> None:
    assert len(launches(Daemon().tick(WORK, replan=False))) == 3


def test_without_need_and_without_being_asked_no_plan_is_made() -> None:
    daemon = fleet("a")
    assert daemon.tick(replan=False, passing=1).plan is None
    assert daemon.tick(replan=True).plan is not None
    assert Daemon().tick(replan=False).plan is None


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.UNREACHABLE, Outcome.THROTTLED])
def test_a_launch_without_an_answer_is_the_same_launch_for_ever(outcome: Outcome) -> None:
    daemon = Daemon()
    ticked = daemon.tick(WORK)
    tokens = launches(ticked)
    for _ in range(20):
        ticked = daemon.tick(WORK, outcomes=daemon.answer(ticked, outcome))
        assert launches(ticked) == tokens
    daemon.tick(WORK, outcomes=daemon.answer(ticked))
    assert len(daemon.nodes) == 3


def test_a_machine_that_came_after_all_is_found_by_its_token() -> None:
    """No answer came, and the list shows it: the launch is not sent again."""
    daemon = Daemon()
    ticked = daemon.tick(WORK)
    there = tuple(machine(n, launched_at=after(5)) for n in daemon.nodes)
    ticked = daemon.tick(
        WORK, outcomes=daemon.answer(ticked, Outcome.UNKNOWN), machines=there, replan=True
    )
    assert launches(ticked) == []
    assert sorted(n.provider_id or "" for n in daemon.nodes) == sorted(m.provider_id for m in there)


def test_an_offer_that_was_refused_is_not_asked_for_again_and_another_is() -> None:
    daemon = Daemon()
    refused = daemon.answer(daemon.tick(WORK), Outcome.NO_CAPACITY)
    asked = {o.action.request.keys for o in refused if isinstance(o.action, Launch)}
    second = daemon.tick(WORK, outcomes=refused)
    keys = {a.request.keys for a in second.actions if isinstance(a, Launch)}
    assert asked == {(spot(),)}
    assert keys == {(key(),)}


def test_nothing_is_bought_for_a_gpu_that_nobody_sells() -> None:
    daemon = Daemon(settings=rules(kind(), kind("gpu", gpus=1)))
    ticked = daemon.tick(tasks(queued=500, unrunnable=500, need={"GPU": 1.0}))
    assert ticked.actions == ()
    assert ticked.plan is not None
    assert "1 GPU" in ticked.plan.waiting[0].reason


# -- shrinking ------------------------------------------------------------------------------------


def test_to_nothing_when_idle() -> None:
    daemon = fleet("a", "b", "c")
    assert ends(daemon.tick(passing=50)) == []
    seen = [daemon.tick(passing=20) for _ in range(40)]
    assert any(isinstance(a, Cordon) for t in seen for a in t.actions)
    assert any(isinstance(a, Retire) for t in seen for a in t.actions)


def test_a_node_that_is_called_back_is_not_bought_anew_in_the_same_tick() -> None:
    """Work for two nodes comes while the second one waits for its last task."""
    daemon = fleet("a")
    order = DrainOrder(
        token="b-drain",  # noqa: S106 - names the drain
        cause=Cause.SURPLUS, ordered_at=NOON, wait_until=after(600),
    )  # fmt: skip
    going = replace(rented("b"), phase=Phase.CORDONED, drain=order)
    daemon.state = replace(daemon.state, nodes={**daemon.state.nodes, "b": going})
    ticked = daemon.tick(tasks(running=2, queued=1900), quotes=QUOTES[:1])
    assert launches(ticked) == []
    assert [a.node_ids for a in ticked.actions if isinstance(a, Uncordon)] == [("b",)]
    assert daemon.state.nodes["b"].phase is Phase.READY


def test_a_gang_outlasts_everything_but_its_machine() -> None:
    """An hour of idleness, dearer than spot, client gone: a member of a collective stays."""
    daemon = fleet("a")
    member = {"a-w-0": does(0, gang="round-1")}
    for _ in range(10):
        seen = daemon.load(workers=member, clients=0, clients_gone_since=NOON)
        ticked = daemon.tick(load=replace(seen, at=after(daemon.now + 360)), passing=360)
        assert ends(ticked) == []


def test_a_notice_drains_at_once_and_asks_for_a_replacement() -> None:
    daemon = fleet("a")
    notice = Notice(
        provider_id="i-a", kind="reclaim", effective_at=after(120), observed_at=after(4)
    )
    ticked = daemon.tick(tasks(running=4, mean=200.0, queued=4), notices=(notice,), replan=False)
    assert [type(a) for a in ends(ticked)] == [Cordon]
    assert len(launches(ticked)) >= 1


HOLDS: tuple[dict[str, Any], ...] = (
    {"load": None},
    {"load": load(workers={"a-w-0": does()}, at=after(-31))},
    {"machines": None},
    {"quotes": ()},
    {"gaps": (Gap(kind="load", subject="away", assumed="nothing"),), "load": None},
)


@pytest.mark.parametrize("unknown", HOLDS)
def test_what_is_not_known_never_shrinks_the_fleet(unknown: dict[str, Any]) -> None:
    daemon = fleet("a", "b", "c", "d")
    for _ in range(20):
        ticked = daemon.tick(**unknown, passing=60)
        assert ends(ticked) == []
    assert {n.phase for n in daemon.nodes} == {Phase.READY}


@pytest.mark.parametrize("jump", [-86_400.0, -60.0, 700.0, 86_400.0])
def test_a_clock_that_jumps_lets_nobody_go_in_that_tick(jump: float) -> None:
    daemon = fleet("a", "b")
    daemon.tick(passing=10)
    ticked = daemon.tick(passing=jump)
    assert ends(ticked) == []
    assert "clock" in [gap.kind for gap in ticked.snapshot.gaps]
    assert sum(e.usd for e in ticked.entries) >= 0 or jump > 0


def test_a_clock_that_came_back_is_a_clock_like_any_other() -> None:
    daemon = fleet("a", "b")
    for jump in (10.0, -7200.0, 7200.0, 10.0):
        daemon.tick(passing=jump)
    assert daemon.tick(passing=5).snapshot.gaps == ()


# -- rules ----------------------------------------------------------------------------------------


def test_a_pause_buys_nothing_and_lets_nobody_go_but_heeds_notices() -> None:
    paused = Control(paused_until=datetime.max.replace(tzinfo=UTC))
    buys = Daemon(state=State(control=paused))
    assert buys.tick(WORK).actions == ()
    idle = fleet("a", "b", control=paused)
    for _ in range(10):
        assert idle.tick(passing=60).actions == ()
    notice = Notice(
        provider_id="i-a", kind="reclaim", effective_at=after(idle.now + 60), observed_at=NOON
    )
    assert [type(a) for a in idle.tick(notices=(notice,)).actions] == [Cordon]


def test_a_budget_is_the_end_of_growth() -> None:
    daemon = Daemon(settings=rules(budget=Budget(usd_per_hour=Decimal("0.9"))))
    ticked = daemon.tick(WORK)
    assert len(launches(ticked)) == 2
    assert launches(daemon.tick(WORK, outcomes=daemon.answer(ticked))) == []


def test_a_freeze_changes_nothing_by_choice() -> None:
    noon = Freeze(start_minute=719, end_minute=780, reason="release")
    daemon = replace(fleet("a", "b"), settings=rules(safety=Safety(freezes=(noon,))))
    for _ in range(10):
        assert ends(daemon.tick(passing=60)) == []


def test_down_ends_the_fleet_and_buys_nothing() -> None:
    daemon = fleet("a", "b", control=Control(down=True))
    first = daemon.tick(WORK)
    assert [type(a) for a in first.actions] == [Cordon]
    assert first.plan is None
    assert [type(a) for a in daemon.tick(WORK).actions] == [Retire, Retire]
    gone = daemon.tick(WORK, load=load(at=after(daemon.now + 5)))
    assert [type(a) for a in gone.actions] == [Terminate, Terminate]
    ended = tuple(
        machine(n, MachineState.ENDED, ended_at=after(daemon.now), end_cause="terminated")
        for n in daemon.nodes
    )
    assert daemon.tick(WORK, machines=ended).actions == ()
    assert daemon.nodes == []


def test_who_is_rejected_does_nothing_but_account() -> None:
    daemon = fleet("a", control=Control(down=True))
    rejected = ActionOutcome(
        action=Terminate(node_id="a", provider_id="i-a"), outcome=Outcome.CREDENTIALS, at=NOON
    )
    ticked = daemon.tick(WORK, outcomes=(rejected,), passing=1000)
    assert (ticked.actions, ticked.plan) == ((), None)
    assert ticked.entries


def test_nodes_that_are_not_ours_are_never_touched() -> None:
    """A worker that somebody else started does the work, and idles; no node carries its name."""
    daemon = Daemon()
    workers = {"somebody-elses": does()}
    for _ in range(5):
        ticked = daemon.tick(
            load=load(workers=workers, at=after(daemon.now + 300)), machines=(), passing=300
        )
        assert ticked.actions == ()


def test_what_remains_of_an_ended_machine_is_ended_until_it_is_gone() -> None:
    """That of a node, and of a machine that no node is known for; whatever is paused."""
    daemon = fleet("a")
    own = machine(daemon.nodes[0])
    ended = {"state": MachineState.ENDED, "ended_at": NOON, "end_cause": "failed", "remains": True}
    stranger = replace(own, provider_id="i-x", token=None, node_id=None, **ended)
    machines = (replace(own, **ended), stranger)
    paused = Control(paused_until=datetime.max.replace(tzinfo=UTC))
    daemon.state = replace(daemon.state, control=paused)
    for _ in range(2):
        ticked = daemon.tick(machines=machines, load=load(workers={}, at=after(daemon.now + 5)))
        assert ticked.actions == (
            Terminate(node_id="a", provider_id=own.provider_id),
            Terminate(node_id="i-x", provider_id="i-x"),
        )
        assert [node.phase for node in ticked.state.nodes.values()] == [Phase.GONE]
    gone = tuple(replace(one, remains=False) for one in machines)
    assert daemon.tick(machines=gone, load=None).actions == ()


# -- memory ---------------------------------------------------------------------------------------


def test_the_gone_are_forgotten_once_they_are_paid_for() -> None:
    daemon = fleet("a")
    over = machine(rented("a"), MachineState.ENDED, ended_at=after(4), end_cause="failed")
    daemon.tick(machines=(over,))
    assert [n.phase for n in daemon.state.nodes.values()] == [Phase.GONE]
    daemon.tick(passing=KEEP_GONE_SECONDS - 1)
    assert len(daemon.state.nodes) == 1
    daemon.tick(passing=2)
    assert dict(daemon.state.nodes) == {}
    daemon.tick()
    assert dict(daemon.state.meters) == {}


def test_money_is_counted_once() -> None:
    """An hour at the price on demand of $1, in ticks of five seconds and in none."""
    often, once = fleet("a"), fleet("a")
    busy = tasks(running=4, mean=9000.0)
    for _ in range(720):
        often.tick(busy, replan=False)
    for _ in range(6):
        once.tick(busy, passing=600, replan=False)
    often.tick(busy, passing=900, replan=False)
    once.tick(busy, passing=900, replan=False)
    assert often.state.spent_usd == once.state.spent_usd
    assert often.state.spent_usd == sum(often.state.spent_by_day.values())


def test_who_is_only_kept_in_case_is_not_replaced_by_somebody_cheaper() -> None:
    """$1 on demand, $0.40 on spot, and nothing to do: a minute later both are let go, and a
    machine that takes a minute to boot would have come for nothing."""
    daemon = fleet("a", "b")
    seen = [daemon.tick(passing=20) for _ in range(20)]
    assert [launches(ticked) for ticked in seen if launches(ticked)] == []
    assert {n.drain.cause for n in daemon.nodes if n.drain is not None} == {Cause.SURPLUS}


def test_who_works_is_replaced_once_its_heir_is_ready() -> None:
    daemon = fleet("a")
    busy = tasks(running=4, queued=4, mean=100.0)
    first = daemon.tick(busy)
    assert len(launches(first)) == 1
    assert ends(first) == []
    second = daemon.tick(busy, outcomes=daemon.answer(first))
    assert ends(second) == []
    third = daemon.tick(busy, passing=40)
    assert [type(action) for action in ends(third)] == [Cordon]
    assert daemon.state.nodes["a"].phase is Phase.CORDONED
