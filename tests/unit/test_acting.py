"""What becomes of an action whose outcome no port knows."""

from __future__ import annotations

import queue
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from costplan.adapters.acting import Done, Executor
from costplan.planner.nodes import LaunchRequest, ProviderNode
from costplan.planner.tick import Action, Launch, Outcome, Terminate
from tests.fleets import NOON, node

LAUNCH = Launch(node_id="n", request=node("n").request)


@dataclass
class Puzzling:
    """A cloud whose answers nobody understands."""

    name = "sim"

    def launch(self, request: LaunchRequest) -> ProviderNode:
        raise ValueError(f"no JSON for {request.token}")

    def terminate(self, provider_ids: Collection[str]) -> None:
        raise KeyError(*provider_ids)


def ended(action: Action) -> Done:
    """What the executor says of an action."""
    cloud: Any = Puzzling()
    said: queue.Queue[Done] = queue.Queue()
    executor = Executor(cloud, cloud, lambda: NOON, said.put)
    try:
        assert executor.begin(action, "tick")
        found = said.get(timeout=30)
        assert executor.under_way == 0  # so it can be said again
        return found
    finally:
        executor.close()


def test_a_launch_may_have_happened() -> None:
    done = ended(LAUNCH)
    assert (done.outcome.outcome, done.tick_id) == (Outcome.UNKNOWN, "tick")
    assert done.outcome.detail == "ValueError: no JSON for t-n"
    assert isinstance(done.error, ValueError)


def test_anything_else_is_said_again() -> None:
    done = ended(Terminate(node_id="n", provider_id="i-n"))
    assert (done.outcome.outcome, done.outcome.detail) == (Outcome.UNREACHABLE, "KeyError: 'i-n'")
