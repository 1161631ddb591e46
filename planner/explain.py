"""Why a tick decided what it did, and what became of a node: values in, sentences out.

Every move, every refusal and every dollar is said in one sentence with its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from costplan.planner.explain_actions import action_text
from costplan.planner.explain_ahead import ahead_lines
from costplan.planner.explain_held import held_lines
from costplan.planner.guard import missing_workers
from costplan.planner.nodes import Node
from costplan.planner.speed import TypeSpeed
from costplan.planner.tick import (
    Action,
    ClassDemand,
    DrainNode,
    MovePlan,
    NewNode,
)
from costplan.planner.types import Decision, Gap, Mode, Verdict
from costplan.planner.units import seconds_text
from costplan.planner.wording import counted, offer_text, percent, plain, usd

MODE_TEXT = {
    Mode.FULL: "everything may be done",
    Mode.HOLD: "nothing is given up by choice, and nothing is bought for a better price",
    Mode.OBSERVE: "nothing is changed, the ledger goes on",
}
_DECISION_TEXT = {
    Decision.TRIM: "made smaller",
    Decision.DEFER: "put off",
    Decision.DENY: "refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Lines under a heading."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A title and what is behind it; sections without lines are left out."""

    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known of a tick after it; `plan` is None where the tick made none."""

    tick_id: str
    at: datetime
    mode: Mode
    gaps: tuple[Gap, ...]
    plan: MovePlan | None
    actions: tuple[Action, ...]


def explain_tick(told: Told) -> Explanation:
    """Everything behind a tick, most telling first."""
    plan = told.plan
    sections = [Section(title="mode", lines=tuple(_mode(told.mode, told.gaps)))]
    if plan is None:
        none = "no plan was made: this tick only looked at what runs"
        sections.append(Section(title="decision", lines=(none,)))
    else:
        sections += _of_plan(plan)
    actions = tuple(action_text(action) for action in told.actions)
    sections.append(Section(title="actions", lines=actions or ("none",)))
    kept = tuple(section for section in sections if section.lines)
    return Explanation(
        title=f"tick {told.tick_id} at {told.at:%Y-%m-%d %H:%M:%S} UTC", sections=kept
    )


def _of_plan(plan: MovePlan) -> Iterable[Section]:
    decided = (decision_text(plan), *_missing(plan), *_proof(plan))
    yield Section(title="decision", lines=decided)
    yield Section(title="demand", lines=tuple(map(demand_text, plan.demand)))
    yield Section(title="ahead", lines=tuple(ahead_lines(plan.ahead)))
    yield Section(title="speed", lines=tuple(speed_lines(plan.speeds)))
    yield Section(title="commitments", lines=tuple(held_lines(plan.held)))
    yield Section(title="moves", lines=tuple(move_lines(plan)) or ("none",))
    yield Section(title="refused", lines=tuple(refusals(plan.verdicts)))
    yield Section(title="allowed", lines=tuple(_allowed(plan.verdicts)))
    yield Section(title="kept", lines=tuple(_kept(plan)))
    yield Section(title="waiting", lines=tuple(waiting_lines(plan)))
    rejected = plan.runner_up
    if rejected is not None:
        cost = f"{usd(rejected.expected_usd)} over {seconds_text(plan.horizon_seconds)}"
        line = f"{plain(rejected.description)}: {cost}; {plain(rejected.reason)}"
        yield Section(title="not taken", lines=(line,))


def _mode(mode: Mode, gaps: Iterable[Gap]) -> Iterable[str]:
    yield f"{mode}: {MODE_TEXT[mode]}"
    yield from map(gap_text, gaps)


def gap_text(gap: Gap) -> str:
    """'load since 10:31:05 UTC: the scheduler does not answer; assumed: as it was'."""
    since = "" if gap.since is None else f" since {gap.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{plain(gap.kind)}{since}: {plain(gap.subject)}; assumed: {plain(gap.assumed)}"


def decision_text(plan: MovePlan) -> str:
    """What a plan changes and is worth, in one sentence."""
    span = seconds_text(plan.horizon_seconds)
    if not plan.moves:
        return (
            f"no change: {usd(plan.usd_per_hour_before)}/h, "
            f"{usd(plan.do_nothing_usd)} expected over {span}"
        )
    is_trimmed = any(verdict.decision is not Decision.ALLOW for verdict in plan.verdicts)
    whole = " for all that was planned" if is_trimmed else ""
    return (
        f"{moves_text(plan)}: {usd(plan.usd_per_hour_before)}/h to "
        f"{usd(plan.usd_per_hour_after)}/h; {usd(plan.expected_usd)} expected over {span}{whole}, "
        f"{_worth(plan)} doing nothing ({usd(plan.do_nothing_usd)})"
    )


def _worth(plan: MovePlan) -> str:
    saving = plan.do_nothing_usd - plan.expected_usd
    if not saving:
        return "the same as"
    share = f" ({percent(abs(saving) / plan.do_nothing_usd)})" if plan.do_nothing_usd > 0 else ""
    return f"{usd(abs(saving))}{share} {'less' if saving > 0 else 'more'} than"


def moves_text(plan: MovePlan) -> str:
    """'launch 2 nodes, drain 1 node', or 'no change'."""
    new = sum(isinstance(move, NewNode) for move in plan.moves)
    gone = sum(isinstance(move, DrainNode) for move in plan.moves)
    parts = [f"launch {counted(new, 'node')}"] if new else []
    parts += [f"drain {counted(gone, 'node')}"] if gone else []
    return ", ".join(parts) or "no change"


def plan_gap(plan: MovePlan) -> float | None:
    """How far the plan is above its lower bound, as a share; None without a bound above zero."""
    if plan.lower_bound_usd <= 0:
        return None
    return float((plan.expected_usd - plan.lower_bound_usd) / plan.lower_bound_usd)


def speed_lines(speeds: Iterable[TypeSpeed]) -> Iterable[str]:
    """'c7i.xlarge: speed 1.58, measured on 200 tasks', and what that means for the dollars."""
    lines = [
        f"{plain(speed.instance_type)}: speed {speed.factor:.2f}, "
        + (f"measured on {counted(speed.tasks, 'task')}" if speed.tasks else "by configuration")
        for speed in speeds
    ]
    if lines:
        yield from lines
        yield "dollars over the horizon are for the work of a machine of speed 1"


def _missing(plan: MovePlan) -> Iterable[str]:
    missing = sum(missing_workers(plan).values())
    if missing:
        are = "worker is" if missing == 1 else "workers are"
        yield (
            f"{missing:,} {are} wanted and not had: the wait for each is in the dollars expected, "
            "and will be in no bill"
        )


def _proof(plan: MovePlan) -> Iterable[str]:
    gap = plan_gap(plan)
    ended = f"the search ended with '{plain(plan.termination)}'"
    if gap is None:
        yield f"no lower bound above zero is known; {ended}"
        return
    yield (
        f"no fleet for this demand costs less than {usd(plan.lower_bound_usd)}: "
        f"the plan is at most {percent(max(gap, 0.0))} above; {ended}"
    )


def demand_text(demand: ClassDemand) -> str:
    """'cpu: 12 wanted, 8 there, 2 coming; 340 s of work, 48 tasks at once: ...'."""
    coming = f", {demand.coming:,} coming" if demand.coming else ""
    return (
        f"{plain(demand.shape)}: {demand.wanted:,} wanted, {demand.present:,} there{coming}; "
        f"{_work(demand.work_seconds)} of work, {counted(demand.width, 'task')} at once: "
        f"{plain(demand.reason)}"
    )


def _work(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:,.0f} s"


def move_lines(plan: MovePlan) -> Iterable[str]:
    """New nodes that are alike together, then each drain."""
    alike: dict[tuple[object, ...], list[NewNode]] = {}
    for move in plan.moves:
        if isinstance(move, NewNode):
            workers = tuple(sorted(move.workers.items()))
            key = (move.keys, workers, move.usd_per_hour, move.reason, move.replaces)
            alike.setdefault(key, []).append(move)
    for group in alike.values():
        yield _new_text(group[0], len(group))
    for move in plan.moves:
        if isinstance(move, DrainNode):
            gain = _gain(move.saving_usd_per_hour)
            yield (
                f"- drain {plain(move.node_id)} ({move.cause}): {gain}, the drain costs "
                f"{usd(move.drain_usd)} in {move.drain_seconds:.0f} s; {plain(move.reason)}"
            )


def _gain(usd_per_hour: Decimal) -> str:
    return f"{'saves' if usd_per_hour >= 0 else 'costs'} {usd(abs(usd_per_hour))}/h"


def _new_text(move: NewNode, count: int) -> str:
    workers = ", ".join(f"{n:,} {plain(name)}" for name, n in sorted(move.workers.items()))
    others = len(move.keys) - 1
    or_else = f" or {counted(others, 'other offer')}" if others else ""
    instead = f" instead of {', '.join(map(plain, move.replaces))}" if move.replaces else ""
    return (
        f"+ launch {counted(count, 'node')} of {offer_text(move.keys[0])}{or_else}, "
        f"at most {usd(move.usd_per_hour)}/h each, for {workers}{instead}: {plain(move.reason)}"
    )


def refusals(verdicts: Iterable[Verdict]) -> Iterable[str]:
    """One sentence a verdict that said less than the plan did, with its numbers."""
    for verdict in verdicts:
        if verdict.decision is not Decision.ALLOW:
            numbers = numbers_text(verdict.numbers)
            yield (
                f"{plain(verdict.policy)} {_DECISION_TEXT[verdict.decision]}: "
                f"{plain(verdict.reason)}{f' ({numbers})' if numbers else ''}"
            )


def _allowed(verdicts: Iterable[Verdict]) -> Iterable[str]:
    """What is told without anything being refused."""
    for verdict in verdicts:
        if verdict.decision is Decision.ALLOW:
            yield f"{plain(verdict.policy)}: {plain(verdict.reason)}"


def numbers_text(numbers: Mapping[str, str]) -> str:
    """'limit_usd_per_hour 12.00, would_usd_per_hour 14.20', by name."""
    return ", ".join(f"{plain(name)} {plain(value)}" for name, value in sorted(numbers.items()))


def _kept(plan: MovePlan) -> Iterable[str]:
    """Nodes that stay, those of one reason together."""
    nodes: dict[str, list[str]] = {}
    for kept in plan.kept:
        nodes.setdefault(kept.reason, []).append(kept.node_id)
    for reason, names in nodes.items():
        yield f"{names_text(names)}: {plain(reason)}"


def names_text(names: Sequence[str], most: int = 4) -> str:
    """The first names in order, and how many more there are."""
    shown = ", ".join(map(plain, sorted(names)[:most]))
    more = len(names) - most
    return f"{shown} and {more:,} more" if more > 0 else shown


def waiting_lines(plan: MovePlan) -> Iterable[str]:
    """Tasks that nothing is bought for, and why."""
    for waiting in plan.waiting:
        need = ", ".join(f"{plain(k)} {v:g}" for k, v in sorted(waiting.need.items()))
        yield (
            f"{counted(waiting.tasks, 'task')} of {plain(waiting.prefix)}"
            f"{f' (each {need})' if need else ''}: {plain(waiting.reason)}"
        )


def explain_node(
    node: Node, *, cost_by_use: Mapping[str, Decimal], holds: str, now: datetime
) -> Explanation:
    """A node's life: each phase with when, how long and why, its cost by use, and its drain.

    `holds` is what its workers hold and do now, in words.
    """
    facts = [
        f"{offer_text(node.key)}, {plain(node.workload)}",
        f"workers {names_text(node.workers)}",
    ]
    if node.provider_id:
        facts.append(f"its cloud calls it {plain(node.provider_id)}")
    facts.append(
        f"{counted(node.attempts, 'launch call')} sent" if node.attempts else "not asked for yet"
    )
    if node.refused_until is not None and node.refused_until > now:
        facts.append(f"not asked for again before {node.refused_until:%H:%M:%S} UTC")
    sections = (
        Section(title="node", lines=tuple(facts)),
        Section(title="phases", lines=tuple(_phases(node, now))),
        Section(title="cost", lines=tuple(_costs(cost_by_use))),
        Section(title="drain", lines=tuple(_drain(node))),
        Section(title="holds", lines=(holds,) if holds else ()),
    )
    kept = tuple(section for section in sections if section.lines)
    return Explanation(title=f"node {plain(node.node_id)}: {node.phase}", sections=kept)


def _phases(node: Node, now: datetime) -> Iterable[str]:
    history = node.history or ((node.phase, node.phase_since, ""),)
    for index, (phase, at, cause) in enumerate(history):
        is_last = index + 1 == len(history)
        end = now if is_last else history[index + 1][1]
        seconds = max(int((end - at).total_seconds()), 0)
        because = f": {plain(cause)}" if cause else ""
        span = "" if is_last and phase.value == "gone" else f" for {seconds_text(seconds)}"
        yield f"{at:%Y-%m-%d %H:%M:%S} {phase}{span}{because}"


def _costs(cost_by_use: Mapping[str, Decimal]) -> Iterable[str]:
    if not cost_by_use:
        yield "nothing is in the ledger yet"
        return
    parts = ", ".join(f"{use} {usd(cost)}" for use, cost in sorted(cost_by_use.items()))
    yield f"{usd(sum(cost_by_use.values(), Decimal(0)))} so far: {parts}"


def _drain(node: Node) -> Iterable[str]:
    order = node.drain
    if order is None:
        return
    yield f"ordered at {order.ordered_at:%H:%M:%S} UTC for {order.cause}"
    yield f"running tasks are waited for until {order.wait_until:%H:%M:%S} UTC"
    if order.must_end_by is not None:
        yield f"the machine ends at {order.must_end_by:%H:%M:%S} UTC, whatever it holds"
    if order.discard:
        yield "results that nobody else holds may be lost: the operator said so"
