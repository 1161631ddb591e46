"""Whatever is planned for whatever fleet, what the guard leaves is safe, in any order of rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.guard import GuardView, apply, drains, is_voluntary, launches
from costplan.planner.learnt import Learnt
from costplan.planner.nodes import Cause, Node
from costplan.planner.settings import Budget, Freeze, Safety
from costplan.planner.standing import is_alive
from costplan.planner.tick import Control, DrainNode, Move, MovePlan, NewNode
from costplan.planner.types import Market, Mode, Phase
from costplan.planner.workload import Limits, MarketRules, Quota
from costplan.policies.default import default_policies
from tests import fleets
from tests.fleets import NOON, drain, key, launch, node, plan, view

HOURS_TO_MIDNIGHT, HOURS_TO_JUNE = 12, 396
WINDOW = Freeze(start_minute=700, end_minute=800)
PRICES = ("0.10", "0.25", "0.40", "1", "2.50")
KEYS = [key(name, market) for name in "abc" for market in (Market.ON_DEMAND, Market.SPOT)]
WORKERS = st.sampled_from([{"w": 1}, {"w": 2}, {"v": 1}, {"w": 1, "v": 1}])


@st.composite
def nodes(draw: st.DrawFn) -> tuple[Node, ...]:
    """Up to eight nodes in any phase, some of them on their way out."""
    fleet = []
    for number in range(draw(st.integers(0, 8))):
        phase = draw(st.sampled_from([Phase.READY, Phase.READY, Phase.READY, *Phase]))
        fleet.append(
            node(
                f"n-{number}",
                workers=draw(WORKERS),
                phase=phase,
                keys=(draw(st.sampled_from(KEYS)),),
                ready_at=NOON - timedelta(seconds=draw(st.sampled_from([5, 61, 9000]))),
                cause=draw(st.sampled_from([None, None, Cause.SURPLUS, Cause.NOTICE])),
            )
        )
    return tuple(fleet)


@st.composite
def plans(draw: st.DrawFn, fleet: Sequence[Node]) -> MovePlan:
    """Launches, drains of some nodes for any reason, and launches in the place of dear ones."""
    moves: list[Move] = []
    dear = []
    for each in fleet:
        cause = draw(st.sampled_from([None, *Cause, Cause.SURPLUS, *[Cause.DEARER] * 3]))
        if cause is not None:
            cost = Decimal(draw(st.sampled_from(["0", "0", "0.01", "0", "5"])))
            moves.append(drain(each.node_id, cause, usd="4" if cause is Cause.DEARER else "1",
                               drain_usd=cost))  # fmt: skip
            dear += [each.node_id] if cause is Cause.DEARER else []
    for _ in range(draw(st.integers(0, 6))):
        keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True))
        most = draw(st.sampled_from([0, 1, 2])) if dear else 0
        replaces = draw(st.lists(st.sampled_from(dear or [""]), max_size=most, unique=True))
        moves.append(
            launch(
                draw(st.sampled_from(PRICES)),
                *keys,
                workers=draw(WORKERS),
                replaces=tuple(replaces),
            )
        )
    return plan(*draw(st.permutations(moves)), after="50")


@st.composite
def worlds(draw: st.DrawFn, *, calm: bool = True) -> tuple[MovePlan, GuardView]:
    """A plan and what is known, under rules of every sort; where it is not calm, also times in
    which little or nothing may be done."""
    fleet = draw(nodes())
    rate = draw(st.sampled_from(["0.2", "1"]))
    room = Decimal(draw(st.sampled_from(["0.3", "0.6", "1.3", "3", "-0.5"])))
    usd = max(sum(map(is_alive, fleet)) * Decimal(rate) + room, Decimal("0.1"))
    budgets = [
        Budget(),
        Budget(usd_per_hour=usd),
        Budget(usd_per_day=usd * HOURS_TO_MIDNIGHT),
        Budget(usd_per_month=usd * HOURS_TO_JUNE),
        Budget(usd_per_hour=usd, usd_per_day=usd * (HOURS_TO_MIDNIGHT - 1)),
    ]
    minimum = draw(st.sampled_from([0, 0, 1, 3]))
    rules = replace(
        fleets.settings(minimum),
        budget=draw(st.sampled_from(budgets)),
        safety=Safety(
            max_drain_share=draw(st.sampled_from([0.0, 0.5, 1.0])),
            max_launches=draw(st.sampled_from([500, 500, 2])),
            freezes=() if calm else draw(st.sampled_from([(), (WINDOW,)])),
        ),
        market=MarketRules(
            spot_max_share=draw(st.sampled_from([1.0, 1.0, 0.5, 0.0])),
            pool_max_share=draw(st.sampled_from([1.0, 1.0, 0.4])),
            on_demand_base_vcpu_milli=draw(st.sampled_from([0, 0, 8000])),
        ),
        limits=Limits(
            max_nodes=draw(st.sampled_from([None, None, 10])),
            quotas=draw(st.sampled_from([(), (Quota(instance_types=("a",), vcpu_milli=8000),)])),
        ),
    )
    pause = None if calm else draw(st.sampled_from([None, NOON + timedelta(hours=1)]))
    refused = draw(st.sampled_from([{}, {}, {str(KEYS[0]): NOON + timedelta(hours=1)}]))
    state: dict[str, Any] = {
        "control": Control(paused_until=pause), "learnt": Learnt(refused=refused),
    }  # fmt: skip
    spent = {name: Decimal(draw(st.integers(0, 3))) for name in ("spent_today_usd",
                                                                "spent_month_usd")}  # fmt: skip
    mode = Mode.FULL if calm else draw(st.sampled_from(Mode))
    seen = view(*fleet, rules=rules, state=state, usd=rate,
                offers=fleets.offers("abc"), mode=mode, **spent)  # fmt: skip
    return draw(plans(fleet)), seen


def is_less(after: Sequence[Move], before: Sequence[Move]) -> bool:
    """True where `after` is `before` without some moves, offers, and names of replaced nodes."""
    left = iter(before)
    return all(any(_is_part(move, given) for given in left) for move in after)


def _is_part(move: Move, given: Move) -> bool:
    if isinstance(move, DrainNode) or isinstance(given, DrainNode):
        return move == given
    return (
        len(move.keys) > 0
        and set(move.keys) <= set(given.keys)
        and set(move.replaces) <= set(given.replaces)
        and replace(move, keys=given.keys, replaces=given.replaces) == given
    )


def breaches(asked: MovePlan, left: MovePlan, seen: GuardView) -> list[str]:
    """What is not safe about the moves that are left; counted here once more from first words."""
    return [
        *_budget_breaches(left, seen),
        *_floor_breaches(left, seen),
        *_deal_breaches(asked, left),
        *_limit_breaches(left, seen),
    ]


def _budget_breaches(left: MovePlan, seen: GuardView) -> list[str]:
    budget, snapshot = seen.settings.budget, seen.snapshot
    alive = [each for each in snapshot.nodes if is_alive(each)]
    now = sum((seen.state.meters[n.node_id].usd_per_hour for n in alive), Decimal(0))
    more = sum((move.usd_per_hour for move in launches(left.moves)), Decimal(0))
    ends = [n.node_id for n in alive if n.phase in (Phase.TERMINATING, Phase.LOST)]
    ending = sum((seen.state.meters[node_id].usd_per_hour for node_id in ends), Decimal(0))
    if not more:
        return []
    found = []
    if budget.usd_per_hour is not None and now + more > budget.usd_per_hour:
        found.append(f"{now} + {more} an hour")
    for limit, spent, hours in (
        (budget.usd_per_day, snapshot.spent_today_usd, HOURS_TO_MIDNIGHT),
        (budget.usd_per_month, snapshot.spent_month_usd, HOURS_TO_JUNE),
    ):
        rest = (now - ending + more) * hours + ending / 2
        if limit is not None and spent + rest > limit:
            found.append(f"{spent} + {rest} of {limit}")
    return found


def _floor_breaches(left: MovePlan, seen: GuardView) -> list[str]:
    """A voluntary drain must not leave fewer workers than the minimum, if there are enough."""
    minimum = seen.settings.kinds[0].minimum
    drained = {move.node_id: move for move in drains(left.moves)}
    if not any(is_voluntary(move) and _runs(seen, node_id, "w")
               for node_id, move in drained.items()):  # fmt: skip
        return []
    coming = (Phase.INTENDED, Phase.REQUESTED, Phase.UNCERTAIN, Phase.BOOTING, Phase.READY)
    stay = sum(
        _runs(seen, n.node_id, "w")
        for n in seen.snapshot.nodes
        if n.phase in coming and n.drain is None and n.node_id not in drained
    )
    dearer = {n for n, move in drained.items() if move.cause is Cause.DEARER}
    comes = sum(m.workers.get("w", 0) for m in launches(left.moves) if dearer & {*m.replaces})
    working = {n.node_id for n in seen.snapshot.nodes if n.phase in coming and n.drain is None}
    mattered = any(
        is_voluntary(move) and node_id in working and _runs(seen, node_id, "w")
        for node_id, move in drained.items()
    )
    return [f"{stay} + {comes} of {minimum}"] if mattered and stay + comes < minimum else []


def _runs(seen: GuardView, node_id: str, kind: str) -> int:
    (there,) = (n for n in seen.snapshot.nodes if n.node_id == node_id)
    return sum(worker.shape == kind for worker in there.request.workers)


def _deal_breaches(asked: MovePlan, left: MovePlan) -> list[str]:
    """No node is exchanged without all that was to come for it, and nothing comes for none."""
    found = []
    drained = {m.node_id for m in drains(left.moves) if m.cause is Cause.DEARER}
    for node_id in {m.node_id for m in drains(asked.moves) if m.cause is Cause.DEARER}:
        before = sum(node_id in m.replaces for m in launches(asked.moves))
        after = sum(node_id in m.replaces for m in launches(left.moves))
        if node_id in drained and after < before:
            found.append(f"{node_id} goes, and {before - after} of {before} do not come")
        if node_id not in drained and after:
            found.append(f"{after} come for {node_id}, which stays")
    return found


def _limit_breaches(left: MovePlan, seen: GuardView) -> list[str]:
    rules, new = seen.settings, launches(left.moves)
    alive = [each for each in seen.snapshot.nodes if is_alive(each)]
    found = []
    if len(new) > rules.safety.max_launches:
        found.append("launches")
    if new and rules.limits.max_nodes is not None:
        found += ["nodes"] if len(alive) + len(new) > rules.limits.max_nodes else []
    may_be_a = sum(any(k.instance_type == "a" for k in move.keys) for move in new)
    if may_be_a and rules.limits.quotas:
        are_a = sum(each.key.instance_type == "a" for each in alive)
        found += ["quota"] if 4 * (are_a + may_be_a) > 8 else []
    return found


@given(worlds(calm=False))
@settings(max_examples=120, deadline=None)
def test_the_guard_only_takes_away(world: tuple[MovePlan, GuardView]) -> None:
    asked, seen = world
    left = apply(default_policies(), asked, seen)
    assert is_less(left.moves, asked.moves)
    if left.moves != asked.moves:
        assert left.verdicts


@given(st.booleans().flatmap(lambda calm: worlds(calm=calm)), st.permutations(default_policies()))
@settings(max_examples=200, deadline=None)
def test_what_is_left_is_safe_in_any_order(world: tuple[MovePlan, GuardView], order: Any) -> None:
    asked, seen = world
    assert breaches(asked, apply(order, asked, seen), seen) == []


@given(worlds())
@settings(max_examples=100, deadline=None)
def test_judging_again_changes_nothing(world: tuple[MovePlan, GuardView]) -> None:
    asked, seen = world
    left = apply(default_policies(), asked, seen)
    assert apply(default_policies(), left, seen).moves == left.moves


@given(worlds(calm=False))
@settings(max_examples=80, deadline=None)
def test_what_must_be_drained_is_unless_nothing_may_be_done(
    world: tuple[MovePlan, GuardView],
) -> None:
    asked, seen = world
    left = apply(default_policies(), asked, seen)
    must = [m for m in drains(asked.moves) if m.cause in (Cause.NOTICE, Cause.OPERATOR, Cause.DOWN)]
    if seen.snapshot.mode is not Mode.OBSERVE:
        assert [m for m in left.moves if m in must] == must


@given(worlds())
@settings(max_examples=80, deadline=None)
def test_the_rate_after_is_that_of_the_moves(world: tuple[MovePlan, GuardView]) -> None:
    """The plan says $50 with all of its moves; each that is not done takes its part back."""
    asked, seen = world
    left = apply(default_policies(), asked, seen)
    gone = list(asked.moves)
    expected = Decimal(50)
    for move in left.moves:
        gone.remove(next(each for each in gone if _is_part(move, each)))
    for move in gone:
        expected += -move.usd_per_hour if isinstance(move, NewNode) else move.saving_usd_per_hour
    assert left.usd_per_hour_after == expected
