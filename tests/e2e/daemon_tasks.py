"""What runs on the workers of the daemon's tests. Imported by schedulers and workers, so small."""

from __future__ import annotations

import time
from pathlib import Path

GATE_SECONDS = 180.0


def nap(seconds: float, number: int = 0) -> int:
    """Sleeps, and is its number."""
    time.sleep(seconds)
    return number


def noted(gate: str, seconds: float, number: int) -> int:
    """Notes that it begins as `gated` does, sleeps, and is its number."""
    note(gate, number)
    return nap(seconds, number)


def gated(gate: str, number: int = 0) -> int:
    """Notes that it begins, waits until there is a file of this name, and is its number.

    Each beginning is a line of the file `<gate>.begun`.
    """
    note(gate, number)
    wait_at(gate)
    return number


def note(gate: str, number: int) -> None:
    """Writes a line that a task of this number begins."""
    with Path(f"{gate}.begun").open("a") as begun:
        begun.write(f"{number}\n")


def wait_at(gate: str) -> None:
    """Returns once there is a file of this name; raises TimeoutError after GATE_SECONDS."""
    deadline = time.monotonic() + GATE_SECONDS
    while not Path(gate).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{gate} was never opened")
        time.sleep(0.05)


def begun(gate: str) -> list[int]:
    """The numbers of the tasks that have begun at a gate, in order, again where they did again."""
    path = Path(f"{gate}.begun")
    return [int(line) for line in path.read_text().split()] if path.exists() else []
