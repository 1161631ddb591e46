"""Actions and their outcomes in one sentence each."""

from __future__ import annotations

from typing import assert_never

from costplan.planner.tick import (
    Action,
    Cordon,
    Launch,
    Retire,
    Terminate,
    Uncordon,
)
from costplan.planner.wording import counted, offer_text, plain


def action_name(action: Action) -> str:
    """'launch', 'cordon', 'uncordon', 'retire' or 'terminate'."""
    return type(action).__name__.lower()


def action_nodes(action: Action) -> tuple[str, ...]:
    """The nodes that an action is about."""
    match action:
        case Launch() | Terminate():
            return (action.node_id,)
        case Cordon() | Uncordon() | Retire():
            return action.node_ids
        case _:
            assert_never(action)


def action_text(action: Action) -> str:
    """'launch n-7: spot m5.large in aws/us-east-1a', 'retire n-3, n-4: 8 workers'."""
    nodes = ", ".join(map(plain, action_nodes(action)))
    match action:
        case Launch():
            return f"launch {nodes}: {offer_text(action.request.keys[0])}"
        case Cordon() | Uncordon() | Retire():
            return f"{action_name(action)} {nodes}: {counted(len(action.workers), 'worker')}"
        case Terminate():
            return f"terminate {nodes}: {plain(action.provider_id)}"
        case _:
            assert_never(action)
