"""Does one action against the ports, and says what became of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from costplan.planner.errors import (
    CapacityUnavailable,
    ClusterUnreachable,
    CostplanError,
    CredentialsRejected,
    OutcomeUnknown,
    ProviderError,
    QuotaExceeded,
    RequestRejected,
    Throttled,
)
from costplan.planner.nodes import ProviderNode, Retired
from costplan.planner.ports import Cluster, Provider
from costplan.planner.tick import (
    Action,
    ActionOutcome,
    Cordon,
    Launch,
    Outcome,
    Retire,
    Terminate,
    Uncordon,
)

_OUTCOMES: tuple[tuple[type[CostplanError], Outcome], ...] = (
    (CapacityUnavailable, Outcome.NO_CAPACITY),
    (QuotaExceeded, Outcome.QUOTA),
    (RequestRejected, Outcome.REJECTED),
    (CredentialsRejected, Outcome.CREDENTIALS),
    (Throttled, Outcome.THROTTLED),
    (OutcomeUnknown, Outcome.UNKNOWN),
    (ProviderError, Outcome.UNREACHABLE),
    (ClusterUnreachable, Outcome.UNREACHABLE),
)


def perform(
    action: Action, provider: Provider, cluster: Cluster, clock: Callable[[], datetime]
) -> ActionOutcome:
    """The outcome of an action that is done now, `at` when the call came back.

    A port's refusal is an outcome; an error that is none of theirs is a bug and is raised.
    """
    machine: ProviderNode | None = None
    retired: Retired | None = None
    try:
        match action:
            case Launch():
                machine = provider.launch(action.request)
            case Terminate():
                provider.terminate([action.provider_id])
            case Cordon():
                cluster.cordon(action.workers, action.token)
            case Uncordon():
                cluster.uncordon(action.workers)
            case Retire():
                retired = cluster.retire(action.workers, action.token, force=action.is_forced)
            case _:
                assert_never(action)
    except CostplanError as error:
        for kind, outcome in _OUTCOMES:
            if isinstance(error, kind):
                return ActionOutcome(
                    action=action,
                    outcome=outcome,
                    at=clock(),
                    detail=str(error),
                    retry_after_seconds=getattr(error, "retry_after_seconds", None),
                )
        raise
    return ActionOutcome(
        action=action, outcome=Outcome.DONE, at=clock(), machine=machine, retired=retired
    )
