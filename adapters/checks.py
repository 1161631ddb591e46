"""Runs checks beside each other, each for a while only: none waits for another, none hides one."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from costplan.planner.doctor import Check, Finding, problem
from costplan.planner.errors import (
    CostplanError,
    CredentialsRejected,
    InputError,
    InvariantBroken,
    StoreError,
)


def run_checks(checks: Sequence[Check], seconds: float) -> tuple[Finding, ...]:
    """What the checks find, in their order. One that takes longer than `seconds`, or fails, is
    a problem itself."""
    found: list[tuple[Finding, ...] | None] = [None] * len(checks)

    def run(place: int, check: Check) -> None:
        found[place] = _found(check)

    # Daemon threads: one that hangs must not keep the process from ending.
    threads = [
        threading.Thread(target=run, args=(place, check), name=f"check {check.area}", daemon=True)
        for place, check in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    late = f"no answer in {seconds:g} s"
    return tuple(
        finding
        for check, each in zip(checks, list(found), strict=True)
        for finding in (each if each is not None else (problem(check.area, late, _SLOW),))
    )


_SLOW = "look at the network, or give more with --timeout"
_REFUSED = "see whether credentials and permissions are as docs/clouds/ has them"


def _found(check: Check) -> tuple[Finding, ...]:
    try:
        return tuple(check.run())
    except Exception as error:
        text, remedy = _in_words(error)
        refused = isinstance(error, CredentialsRejected)
        return (replace(problem(check.area, text, remedy), is_refusal=refused),)


def _in_words(error: Exception) -> tuple[str, str]:
    """What went wrong, and the way out."""
    match error:
        case InputError():
            return f"{error.subject}: {error.problem}", error.remedy
        case StoreError():
            return f"{error.path}: {error.problem}", error.remedy
        case CredentialsRejected():
            return str(error), _REFUSED
        case CostplanError() if not isinstance(error, InvariantBroken):
            return str(error), ""
        case _:
            return f"a bug in costplan: {type(error).__name__}: {error}", "please report it"
