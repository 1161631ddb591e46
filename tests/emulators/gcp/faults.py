"""What is to go wrong with calls: refused, late, or done with the answer lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Fault:
    """Befalls `times` calls of a method whose path, query or body holds `where`, after `passes`.

    `status` 0 lets the call through; `is_lost` does the call and then cuts the answer off;
    `does_it` does the call before it answers with `status`. `then` is called after the call was
    done, and before the answer.
    """

    method: str
    where: str = ""
    status: int = 0
    reason: str = "backendError"
    times: int = 1
    passes: int = 0
    is_lost: bool = False
    does_it: bool = False
    latency_seconds: float = 0.0
    then: Callable[[], None] | None = None


@dataclass(slots=True)
class Faults:
    """The faults that are still to come."""

    due: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """From now on."""
        self.due.append(fault)

    def clear(self) -> None:
        """All is well again."""
        self.due.clear()

    def take(self, method: str, text: str) -> Fault | None:
        """The fault of a call, counted down."""
        for fault in self.due:
            if fault.method in (method, "*") and fault.where in text:
                if fault.passes:
                    fault.passes -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.due.remove(fault)
                return fault
        return None


def error_body(status: int, reason: str, message: str) -> dict[str, Any]:
    """An error as Compute Engine writes it."""
    detail = {"message": message, "domain": "usageLimits", "reason": reason}
    return {"error": {"code": status, "message": message, "errors": [detail]}}
