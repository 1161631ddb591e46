"""How fast types of machines are, from a workload's own tasks, and what plans make of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from costplan.planner.codec import decode, encode
from costplan.planner.explain import Told, explain_tick
from costplan.planner.forecast.types import QUANTILES
from costplan.planner.foretell import Foreteller
from costplan.planner.learn import from_load, speeds_of
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.loop import Ticked, tick
from costplan.planner.settings import Settings, SpeedRules
from costplan.planner.speed import Cell, Paces, Speeds, merged, paces_of, type_speeds
from costplan.planner.tick import Launch, State
from costplan.policies.default import default_policies
from tests.fleets import (
    NOON,
    after,
    does,
    joined,
    key,
    kind,
    load,
    machine,
    offers,
    quote,
    readings,
    rented,
    rules,
    tasks,
)
from tests.worlds import Row, catalogue, problem, shape, workload

SLOW, FAST = "a", "b"
QUOTES = (quote(key(SLOW), "1.00"), quote(key(FAST), "1.30"))
"""The fast type costs 1.3 times as much."""
ON_OFFER = tuple(offer for offer in offers((SLOW, FAST)) if offer.key.market == "on_demand")


def cell(tasks: int, mean: float, cv: float = 0.1) -> Cell:
    """So many tasks, of a mean and a coefficient of variation."""
    return tasks, mean, (cv * mean) ** 2


def seen(**types: Cell) -> Paces:
    """What tasks of 'fit' took on each type."""
    return paces_of(("fit", name, of) for name, of in types.items())


def measured(slow: float, fast: float, tasks: int = 100) -> Paces:
    """What tasks took on both types, so many on each."""
    return seen(**{SLOW: cell(tasks, slow), FAST: cell(tasks, fast)})


def factors(paces: Paces, given: Mapping[str, float] | None = None) -> dict[str, float]:
    return {each.instance_type: each.factor for each in type_speeds(paces, given or {})}


def test_the_worked_example_of_the_model() -> None:
    (slow, fast) = type_speeds(measured(8, 5), {})
    # By hand: each weight is 1 / (0.01 / 100 + 0.05^2) = 384.6, their contrast 192.3, and each
    # log-speed is believed to 1 / 0.16 = 6.25: log 1.6 x 192.3 / (192.3 + 3.125) = 0.4625.
    assert fast.factor == pytest.approx(math.exp(0.4625), rel=1e-4)
    assert (slow.factor, slow.origin, slow.tasks, fast.tasks) == (1.0, "measured", 100, 100)


def test_types_are_compared_within_prefixes_only() -> None:
    # The fast type got the long tasks: a plain mean over all tasks would have it the slower one.
    rows = [
        ("short", SLOW, cell(900, 1.0)), ("short", FAST, cell(100, 0.625)),
        ("long", SLOW, cell(100, 10.0)), ("long", FAST, cell(900, 6.25)),
    ]  # fmt: skip
    assert factors(paces_of(rows))[FAST] == pytest.approx(1.6, rel=0.02)


def test_little_evidence_moves_little_and_one_type_nothing() -> None:
    few, many = (factors(measured(8, 5, tasks))[FAST] for tasks in (3, 1000))
    scattered = factors(seen(**{SLOW: cell(5, 8, 3.0), FAST: cell(5, 5, 3.0)}))[FAST]
    assert 1.0 < scattered < 1.1 < few < many < 1.6
    assert type_speeds(seen(**{SLOW: cell(500, 8)}), {}) == ()
    assert type_speeds(measured(8, 5, 2), {}) == ()


def test_what_is_given_is_believed_whatever_was_measured() -> None:
    found = type_speeds(measured(8, 5), {FAST: 1.1, "c7i.large": 2.0, "z*": 3.0})
    told = {each.instance_type: (round(each.factor, 3), each.origin) for each in found}
    assert told[FAST] == (1.1, "given")
    assert told["c7i.large"] == (2.0, "given")
    # The other is measured against the one that is given.
    assert told[SLOW][0] == pytest.approx(1.1 / 1.6, rel=0.02)
    assert Speeds(told=found, given={"z*": 3.0}).factor("z1.large") == 3.0


def test_what_is_believed_holds_until_it_is_measured() -> None:
    """Few tasks leave most of a prior of 2, many nothing of it."""
    few, many = (
        {s.instance_type: s.factor for s in type_speeds(measured(8, 5, tasks), {}, {FAST: 2.0})}
        for tasks in (3, 1000)
    )
    assert many[FAST] / many[SLOW] == pytest.approx(1.6, rel=0.02)
    scattered = seen(**{SLOW: cell(4, 8, 4.0), FAST: cell(4, 5, 4.0)})
    told = {s.instance_type: s.factor for s in type_speeds(scattered, {}, {FAST: 2.0})}
    assert many[FAST] / many[SLOW] < few[FAST] / few[SLOW] < told[FAST] / told[SLOW] < 2.0
    prior = rules(speed=SpeedRules(prior={"b*": 1.6}))
    assert bought(planned(paces_of(()), prior)) == {FAST}
    assert bought(planned(measured(5, 8), prior)) == {SLOW}


def test_halves_of_what_was_seen_are_the_whole_of_it() -> None:
    values = np.random.default_rng(7).gamma(4.0, 2.0, 500)

    def of(part: np.ndarray) -> Paces:
        return seen(a=(len(part), float(part.mean()), float(part.var(ddof=1))))

    tasks, mean, variance = merged(of(values[:123]), of(values[123:]))["fit"]["a"]
    whole = of(values)["fit"]["a"]
    assert (tasks, mean, variance) == pytest.approx(whole, rel=1e-9)


def planned(paces: Paces, settings: Settings | None = None, state: State | None = None) -> Ticked:
    """A tick with work for a few workers and nobody there, on a scheduler that saw this."""
    told = load(tasks(queued=2880), paces=paces)
    return tick(
        readings(5, load=told, machines=(), offers=ON_OFFER, quotes=QUOTES),
        state or State(), settings or rules(), default_policies(), replan=True,
    )  # fmt: skip


def bought(ticked: Ticked) -> set[str]:
    """The types that a tick asks for first."""
    asked = [each for each in ticked.actions if isinstance(each, Launch)]
    assert asked
    return {each.request.keys[0].instance_type for each in asked}


def test_the_plan_prefers_the_type_whose_work_is_cheaper() -> None:
    assert bought(planned(paces_of(()))) == {SLOW}  # nothing is known: the cheaper machine
    assert bought(planned(measured(8, 5))) == {FAST}  # 1.6 times as fast at 1.3 times the price
    assert bought(planned(measured(5, 8))) == {SLOW}  # inverted
    assert bought(planned(measured(8, 7))) == {SLOW}  # not fast enough for its price
    off = rules(speed=SpeedRules(learn=False))
    assert bought(planned(measured(8, 5), off)) == {SLOW}
    given = rules(speed=SpeedRules(learn=False, factors={FAST: 1.6}))
    assert bought(planned(paces_of(()), given)) == {FAST}


def test_machines_for_several_kinds_of_workers_are_priced_by_their_work_too() -> None:
    settings = rules(kind(gib=3), kind("v", gib=3, resources={"V": 1.0}))
    groups = (tasks(queued=2880), tasks(queued=300, prefix="score", need={"V": 1.0}))
    for paces, name in ((measured(8, 5), FAST), (measured(5, 8), SLOW)):
        told = load(*groups, paces=paces)
        ticked = tick(
            readings(5, load=told, machines=(), offers=ON_OFFER, quotes=QUOTES),
            State(), settings, default_policies(), replan=True,
        )  # fmt: skip
        assert bought(ticked) == {name}
        assert ticked.plan is not None
        assert 0 < ticked.plan.lower_bound_usd <= ticked.plan.expected_usd


def test_the_plan_says_what_it_rests_on_and_its_bound_holds() -> None:
    plan = planned(measured(8, 5)).plan
    assert plan is not None
    assert plan.lower_bound_usd <= plan.expected_usd
    assert plan.usd_per_hour_after > 0
    told = explain_tick(
        Told(tick_id="t", at=NOON, mode="full", gaps=(), plan=plan, actions=())  # type: ignore[arg-type]
    )
    lines = next(section.lines for section in told.sections if section.title == "speed")
    assert lines[:2] == (
        "a: speed 1.00, measured on 100 tasks",
        "b: speed 1.59, measured on 100 tasks",
    )


@pytest.mark.parametrize(("slow", "fast", "is_exchanged"), [(8, 5, True), (8, 7, False)])
def test_who_works_slowly_is_exchanged_where_that_pays(
    slow: float, fast: float, is_exchanged: bool
) -> None:
    nodes = [rented(f"n{place}", keys=(key(SLOW),)) for place in range(3)]
    told = load(
        tasks(queued=40_000, running=12), workers=joined(*nodes, executing=4),
        paces=measured(slow, fast),
    )  # fmt: skip
    settings = rules(scaling={"target_seconds": 14_400, "horizon_seconds": 7200})
    ticked = tick(
        readings(5, load=told, machines=tuple(map(machine, nodes)), offers=ON_OFFER, quotes=QUOTES),
        State(nodes={each.node_id: each for each in nodes}), settings, default_policies(),
        replan=True,
    )  # fmt: skip
    assert ticked.plan is not None
    replaced = [move for move in ticked.plan.moves if getattr(move, "replaces", ())]
    assert bool(replaced) is is_exchanged, ticked.plan
    assert all(move.keys[0].instance_type == FAST for move in replaced)  # type: ignore[union-attr]


def test_what_was_learnt_outlasts_the_scheduler_and_the_daemon() -> None:
    def told(scheduler_id: str, paces: Paces) -> Load:
        return replace(load(), scheduler_id=scheduler_id, paces=paces)

    learnt = from_load(Learnt(), told("first", measured(8, 5)), NOON)
    kept = decode(encode(learnt, Learnt), Learnt)
    assert kept == learnt
    after = from_load(kept, told("second", paces_of(())), NOON)
    assert speeds_of(after, rules()) == speeds_of(learnt, rules())
    both = from_load(after, told("second", measured(4, 2.5)), NOON)
    (_, fast) = speeds_of(both, rules()).told
    assert (fast.tasks, round(fast.factor, 1)) == (200, 1.6)


def test_a_problem_at_speed_keeps_its_prices_and_its_order() -> None:
    rows = [Row(instance_type="a", usd="0.10"), Row(instance_type="b", usd="0.13")]
    plain = problem(catalogue(rows), workload(shape()))
    faster = plain.at_speed(np.array([1.0, 1.6]))
    by_row = dict(zip(faster.row.tolist(), faster.cost.tolist(), strict=True))
    assert by_row == pytest.approx({0: 0.10, 1: 0.13 / 1.6})
    assert faster.row.tolist() == [1, 0]  # the cheapest of a class stands first
    assert sorted(faster.price.tolist()) == sorted(plain.price.tolist())


def test_a_faster_fleet_is_not_larger_than_its_work_asks_for() -> None:
    """2,880 tasks whose mean over both types is 6.5 s take 8 s each on slow machines alone, and
    5 s on fast ones."""
    told = {}
    for name in (SLOW, FAST):
        nodes = [rented(f"n{place}", keys=(key(name),)) for place in range(50)]
        seen_now = load(tasks(queued=2880, mean=6.5), workers=joined(*nodes), paces=measured(8, 5))
        ticked = tick(
            readings(5, load=seen_now, machines=tuple(map(machine, nodes)), offers=ON_OFFER,
                     quotes=QUOTES),
            State(nodes={each.node_id: each for each in nodes}), rules(), default_policies(),
            replan=False,
        )  # fmt: skip
        told[name] = ticked.needs.demand[0].work_seconds
    assert told[SLOW] == pytest.approx(2880 * 8, rel=0.01)
    assert told[FAST] == pytest.approx(2880 * 5, rel=0.01)


@pytest.mark.parametrize("name", [SLOW, FAST])
def test_nothing_is_bought_ahead_of_work_that_only_other_machines_are_slow_at(name: str) -> None:
    """Ten machines of one type, and work that they do in time: 6.5 s a task on both types are 5 s
    on the fast one."""
    nodes = {f"n-{place}": rented(f"n-{place}", keys=(key(name),)) for place in range(10)}
    told = load(
        tasks(queued=2100 if name == FAST else 1300, running=40, mean=6.5),
        workers={worker: does(4) for node in nodes.values() for worker in node.workers},
        paces=measured(8, 5, 1000),
        at=after(5),
    )
    read = readings(5, load=told, machines=tuple(map(machine, nodes.values())), offers=ON_OFFER,
                    quotes=QUOTES)  # fmt: skip
    seen = Foreteller((), after(5)).told(read, State(nodes=nodes), rules(), refresh=True)
    assert seen.outlook is not None
    ticked = tick(seen, State(nodes=nodes), rules(), default_policies(), replan=True)
    (demand,) = ticked.needs.demand
    assert ticked.plan is not None
    assert ticked.plan.ahead is not None
    assert demand.wanted <= 10
    assert ticked.plan.ahead.bought == 0
    median = seen.outlook.workers["w"][QUANTILES.index(0.5)]
    assert 0.8 * demand.wanted < median[0] <= demand.wanted
