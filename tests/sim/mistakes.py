"""Mistakes made in the product on purpose, that campaigns have to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from costplan.adapters.sim.provider import SimProvider
from costplan.adapters.store.store import Store
from costplan.planner import loop, needs, reconcile, transition_question
from costplan.planner.tick import Launch, Retire
from costplan.planner.types import Phase
from tests.sim import loops

Old = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What stands at a place instead: made from what stood there."""

    owner: Any
    name: str
    wrong: Callable[[Old], Any]


@dataclass(frozen=True, slots=True)
class Mistake:
    """Changes that go together, the seed of a world that finds them, and what it says then."""

    changes: tuple[Change, ...]
    seed: int
    says: str


def without(*names: str) -> Change:
    """The policies without some."""
    return Change(
        loops,
        "default_policies",
        lambda old: lambda: tuple(policy for policy in old() if policy.name not in names),
    )


def _new_token(_: Old) -> Old:
    def asked(node: Any) -> Any:
        token = f"{node.request.token}-{node.attempts}"
        request = replace(node.request, token=token)
        again = replace(node, attempts=node.attempts + 1)
        return again, Launch(node_id=node.node_id, request=request)

    return asked


def _late_journal(old: Old) -> Old:
    """A node is on disk once its machine has been asked for, and not before."""

    def write(self: Any, db: Any, tick: Any) -> Any:
        nodes = tick.state_after.nodes
        there = {name: node for name, node in nodes.items() if node.phase is not Phase.REQUESTED}
        state = replace(tick.state_after, nodes=there)
        return old(self, db, replace(tick, state_after=state))

    return write


def _asked_once(old: Old) -> Old:
    def retiring(node: Any, world: Any) -> Any:
        found, action = old(node, world)
        return found, None if isinstance(action, Retire) else action

    return retiring


def _no_minimum(old: Old) -> Old:
    def sizes(question: Any) -> Any:
        kinds = tuple(replace(kind, minimum=0) for kind in question.kinds)
        return old(replace(question, kinds=kinds))

    return sizes


def _dear_entries(old: Old) -> Old:
    def accrue(*args: Any, **named: Any) -> Any:
        entries, meters = old(*args, **named)
        dear = Decimal("1.001")
        return tuple(replace(e, usd=round(e.usd * dear, 12)) for e in entries), meters

    return accrue


def _lost_entry(old: Old) -> Old:
    def accrue(*args: Any, **named: Any) -> Any:
        entries, meters = old(*args, **named)
        return entries[:-1] if len(entries) > 1 else entries, meters

    return accrue


def _ended_at_once(_: Old) -> Old:
    return lambda node: reconcile._ending(node, node.phase_since, "not worth the wait")


def _silent(old: Old) -> Old:
    return lambda *args: (replace(old(*args)[0], is_called_back=False), None)


def _everybody(_: Old) -> Old:
    return lambda provider: list(provider._cloud.listed.values())


MISTAKES = {
    "a launch has another token each time": Mistake(
        (Change(reconcile, "_asked", _new_token),), 1002, "was launched before it was written"
    ),
    "machines are asked for before that is on disk": Mistake(
        (Change(Store, "_write_nodes", _late_journal),), 1063, "was launched before it was written"
    ),
    "a pause is nobody's business": Mistake((without("freeze"),), 1001, "in a pause until"),
    "a retirement that is not done at once is not asked for again": Mistake(
        (Change(reconcile, "_retiring", _asked_once),), 1024, "never came to be: nothing is left"
    ),
    "the floor is nobody's business": Mistake(
        (without("capacity_floor"), Change(needs, "sizes", _no_minimum)), 1020, "go by choice"
    ),
    "the budget is nobody's business": Mistake(
        (without("budget"), Change(transition_question, "budget_rows", lambda _: lambda *__: ())),
        1013,
        r"\$/h of 2.50",
    ),
    "machines end before their workers have left": Mistake(
        (Change(reconcile, "_retire", _ended_at_once),), 1001, "cause='terminated'"
    ),
    "the ledger is a thousandth too dear": Mistake(
        (Change(loop, "accrue", _dear_entries),), 1000, "ledger .* bill"
    ),
    "an entry of the ledger is lost": Mistake(
        (Change(loop, "accrue", _lost_entry),), 1000, "ledger .* bill"
    ),
    "machines of others are taken for ours": Mistake(
        (Change(SimProvider, "_ours", _everybody),), 1015, "not ours"
    ),
    "workers that are to stay are not told so": Mistake(
        (Change(reconcile, "_take_back", _silent),), 1026, "takes no tasks"
    ),
}
"""What was got wrong, and the first world from seed 1000 on that finds it."""
