"""Why a delivery did not arrive, in words without a secret."""

from __future__ import annotations

from costplan.planner.errors import CostplanError


class DeliveryFailed(CostplanError):
    """It may be tried again, after `retry_after_seconds` where the other side asked for that."""

    def __init__(self, problem: str, retry_after_seconds: int | None = None) -> None:
        self.problem, self.retry_after_seconds = problem, retry_after_seconds
        super().__init__(problem)
