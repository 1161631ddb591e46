"""What demand to come adds to the choice of today: nodes to keep, and nodes to launch early.

The plan over time (`ahead.py`) says how many nodes of each group are worth keeping, and how many
workers have to be launched now to work when they are needed. The first become lower bounds of the
transition program, and the others demand, and it then chooses again. Where that leaves today's
demand with fewer workers, or a rule broken that was kept, first the launches are left out, and then
all of it: what is foretold never takes anything from what is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from costplan.planner.ahead import (
    LEAST_STEP_SECONDS,
    Look,
    everything,
    horizon_of,
    lead_seconds,
    look,
    quantile,
)
from costplan.planner.errors import InvariantBroken
from costplan.planner.horizon.model import Plan
from costplan.planner.horizon.plan import plan_horizon
from costplan.planner.learnt import Learnt
from costplan.planner.optimize.transition import Choice, Item, choose
from costplan.planner.outlook import Ahead, Foreseen, Outlook
from costplan.planner.settings import Settings
from costplan.planner.tick import KeepNode, NewNode, Snapshot
from costplan.planner.transition_question import TransitionQuestion
from costplan.planner.units import seconds_text, usd_of

CLOSE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with its items, what was chosen for the demand of the moment alone, and what it
    rests on."""

    question: TransitionQuestion
    items: Sequence[Item]
    today: Choice
    snapshot: Snapshot
    learnt: Learnt
    settings: Settings

    def choose(self, items: Sequence[Item], demand: Sequence[int] | None = None) -> Choice:
        """The cheapest counts of these items for the demand of the moment, or for another."""
        most = [row.most for row in self.question.rows]
        wanted = self.question.demand if demand is None else demand
        return choose(items, wanted, most, self.question.shortage_cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is to be done, with the plan over time that it rests on; None: nothing was foretold."""

    choice: Choice
    ahead: Ahead | None


def foresee(asked: Asked) -> Chosen:
    """The choice for the demand of the moment and for what is foretold."""
    outlook, settings = asked.snapshot.outlook, asked.settings
    if outlook is None or asked.snapshot.load is None or not settings.scaling.ahead_seconds:
        return Chosen(choice=asked.today, ahead=None)
    boot = lead_seconds(asked.question, asked.learnt, settings)
    seen = look(outlook, boot, asked.snapshot, asked.learnt, settings)
    told = _told(asked, outlook, seen, boot)
    if seen is None:
        short = f"the outlook ends within {seconds_text(round(boot + LEAST_STEP_SECONDS))}"
        return Chosen(choice=asked.today, ahead=replace(told, left_out=short))
    is_more = _is_more(asked, seen)
    if not asked.items:
        nothing = "there is no machine to keep, and none to buy"
        return Chosen(choice=asked.today, ahead=replace(told, left_out=nothing))
    if not is_more and not _lets_go(asked):
        return Chosen(choice=asked.today, ahead=told)
    horizon = horizon_of(asked.question, asked.items, seen, asked.snapshot, asked.learnt, settings)
    try:
        plan = plan_horizon(horizon, everything(horizon))
    except InvariantBroken as error:
        # Work that is there must not wait for a plan of work that is not.
        return Chosen(choice=asked.today, ahead=replace(told, left_out=f"no plan: {error}"))
    choice, left_out = _chosen(asked, plan, horizon.reach, is_more=is_more)
    bought, held = _more(asked, choice)
    ahead = replace(
        told,
        bought=bought,
        held=held,
        expected_usd=usd_of(plan.costs.total),
        bound_usd=usd_of(min(plan.bound, plan.costs.total)),
        termination=plan.termination,
        left_out=left_out,
    )
    return Chosen(choice=choice, ahead=ahead)


def _is_more(asked: Asked, seen: Look) -> bool:
    """True where more is foretold of a kind than what today's choice has."""
    there = _workers(asked, asked.items, asked.today.counts)
    return any(most > have for most, have in zip(seen.most.tolist(), there, strict=True))


def _lets_go(asked: Asked) -> bool:
    groups = asked.question.groups
    return any(n < len(g.assets) for n, g in zip(asked.today.counts, groups, strict=False))


def _told(asked: Asked, outlook: Outlook, seen: Look | None, boot: float) -> Ahead:
    return Ahead(
        outlook_at=outlook.at,
        seconds=0 if seen is None else round(float(seen.seconds.sum())),
        steps=0 if seen is None else len(seen.seconds),
        share=quantile(asked.settings),
        boot_seconds=boot,
        demand=() if seen is None else tuple(_foreseen(asked.question, seen)),
        bought=0,
        held=0,
        expected_usd=Decimal(0),
        bound_usd=Decimal(0),
        termination="",
        notes=outlook.notes,
    )


def _foreseen(question: TransitionQuestion, seen: Look) -> Iterator[Foreseen]:
    begins = (np.cumsum(seen.seconds) - seen.seconds).tolist()
    for place, kind in enumerate(question.kinds):
        path = seen.workers[:, place].tolist()
        most = max(path)
        yield Foreseen(
            shape=kind,
            now=question.demand[place],
            most=most,
            in_seconds=round(begins[path.index(most)]),
        )


def _chosen(asked: Asked, plan: Plan, reach: int, *, is_more: bool) -> tuple[Choice, str]:
    """The choice with what the plan asks for, or with as much of it as harms nothing; and why
    some was left out, '' where none was."""
    keeps, starts = _asked_now(asked, plan, reach)
    staying = _with_least(asked.items, keeps)
    why = ""
    if is_more and any(starts):
        both = _with_more(asked, staying, starts)
        why = _harm(asked, both, may_buy=True)
        if not why:
            return both, ""
    if any(keeps):
        held = asked.choose(staying)
        harm = _harm(asked, held, may_buy=False)
        if not harm:
            return held, why
        why = why or harm
    return asked.today, why


def _asked_now(asked: Asked, plan: Plan, reach: int) -> tuple[list[int], list[int]]:
    """Nodes of each group that are to stay, and of each column that are to be launched now."""
    groups, many = len(asked.question.groups), len(asked.items)
    stay, start = [0] * many, [0] * many
    for place, offer in enumerate(plan.offers.tolist()):
        stay[offer] = math.floor(float(plan.nodes[reach, place]) + CLOSE)
        start[offer] = math.floor(float(plan.starts[reach, place]) + CLOSE)
    return stay[:groups], start[groups:]


def _with_least(items: Sequence[Item], least: Sequence[int]) -> list[Item]:
    """The items with at least so many of each of the first, and room for them."""
    found = list(items)
    for place, wanted in enumerate(least):
        if wanted > items[place].least:
            most = max(items[place].most, wanted)
            found[place] = replace(items[place], least=wanted, most=most)
    return found


def _with_more(asked: Asked, staying: Sequence[Item], starts: Sequence[int]) -> Choice:
    """The choice where the workers that the plan over time launches now are wanted, too.

    Which nodes bring them is chosen as for the demand of the moment: over hours the cheapest pool
    is worth a wait for its refusals, and what is gone again before it is needed is worth nothing.
    """
    groups = len(asked.question.groups)
    here = _workers(asked, staying[:groups], [item.least for item in staying[:groups]])
    more = _workers(asked, staying[groups:], starts)
    demand = asked.question.demand
    wanted = [max(d, h + m) for d, h, m in zip(demand, here, more, strict=True)]
    room = [
        max(-(-w // n) for w, n in zip(wanted, item.covers, strict=True) if n)
        for item in staying[groups:]
    ]
    bought = [
        replace(item, most=max(item.most, most))
        for item, most in zip(staying[groups:], room, strict=True)
    ]
    items = [*staying[:groups], *bought]
    found = asked.choose(items, wanted)
    short = zip(demand, _workers(asked, items, found.counts), strict=True)
    return replace(found, short=tuple(max(0, d - n) for d, n in short))


def _workers(asked: Asked, items: Sequence[Item], counts: Sequence[int]) -> list[int]:
    """Workers of each kind on so many of each item."""
    pairs = list(zip(items, counts, strict=True))
    kinds = range(len(asked.question.kinds))
    return [sum(count * item.covers[kind] for item, count in pairs) for kind in kinds]


def _harm(asked: Asked, choice: Choice, *, may_buy: bool) -> str:
    """What of today a choice takes, '' where it takes nothing."""
    for kind, before, after in zip(
        asked.question.kinds, asked.today.short, choice.short, strict=True
    ):
        if after > before:
            return f"{after - before:,} {kind} workers that are wanted now would have no place"
    most_of = {kind.name: kind.maximum for kind in asked.settings.kinds}
    there = _workers(asked, asked.items, asked.today.counts)
    would = _workers(asked, asked.items, choice.counts)
    for kind, had, has in zip(asked.question.kinds, there, would, strict=True):
        most = most_of[kind]
        if most is not None and has > max(most, had):
            return f"{has:,} {kind} workers would be there, of which {most:,} may be"
    rows = zip(asked.question.rows, asked.today.broken, choice.broken, strict=True)
    for row, was, now in rows:
        if now > was + CLOSE:
            return f"{row.name} has no room for it"
    if not may_buy and _new_usd(asked, choice) > _new_usd(asked, asked.today) * (1 + CLOSE):
        return "what is kept would have to be bought more for"
    return ""


def _new_usd(asked: Asked, choice: Choice) -> float:
    counts = choice.counts[len(asked.question.groups) :]
    columns = asked.question.columns
    return sum(float(c.usd_per_hour) * n for c, n in zip(columns, counts, strict=True))


def _more(asked: Asked, choice: Choice) -> tuple[int, int]:
    """How many nodes are bought and kept that today's choice would not."""
    many = len(asked.question.groups)
    more = [max(0, n - m) for n, m in zip(choice.counts, asked.today.counts, strict=True)]
    bought = sum(choice.counts[many:]) - sum(asked.today.counts[many:])
    return max(0, bought), sum(more[:many])


def held_nodes(asked: Asked, chosen: Chosen) -> tuple[KeepNode, ...]:
    """The nodes that stay for demand to come alone, and why."""
    if chosen.ahead is None or not chosen.ahead.held:
        return ()
    reason = "kept for demand to come: " + foreseen_text(chosen.ahead)
    found = []
    many = len(asked.question.groups)
    for group, stays, would in zip(
        asked.question.groups, chosen.choice.counts[:many], asked.today.counts[:many], strict=True
    ):
        gone = len(group.assets) - stays
        for asset in group.assets[gone : len(group.assets) - would]:
            found.append(KeepNode(node_id=asset.node.node_id, reason=reason))
    return tuple(found)


def in_order(
    new: Sequence[NewNode], short: Mapping[str, int], ahead: Ahead | None
) -> list[NewNode]:
    """New nodes, those for work that is there in front; the others say what they are for."""
    if ahead is None or not ahead.bought:
        return list(new)
    left = {kind: count for kind, count in short.items() if count > 0}
    reason = "ahead of demand: " + foreseen_text(ahead)
    now: list[NewNode] = []
    later: list[NewNode] = []
    for node in new:
        brings = [(kind, count) for kind, count in node.workers.items() if left.get(kind, 0) > 0]
        if not brings and not node.replaces:
            later.append(replace(node, is_ahead=True, reason=reason))
            continue
        for kind, count in brings:
            left[kind] -= count
        now.append(node)
    return [*now, *later]


def foreseen_text(ahead: Ahead) -> str:
    """'14 w workers are foretold in 35min, 10 are wanted now'."""
    parts = [
        f"{each.most:,} {each.shape} worker{'s are' if each.most != 1 else ' is'} foretold in "
        f"{seconds_text(each.in_seconds)}, "
        f"{each.now:,} are wanted now"
        for each in ahead.demand
        if each.most > each.now
    ]
    return "; ".join(parts) or "what goes now would soon be bought again"
