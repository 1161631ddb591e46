"""What runs on the workers, and what keeps count there. Imported by scheduler and workers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin


def nap(seconds: float, *_inputs: object) -> float:
    """Sleeps: two cores carry a dozen such workers."""
    time.sleep(seconds)
    return seconds


def long_nap(seconds: float) -> float:
    """As `nap`, under a name of its own."""
    time.sleep(seconds)
    return seconds


class Runs(WorkerPlugin):
    """Writes down each task that a worker begins and ends, in a file a worker.

    A line is the key, the word began, ended or put off, and the worker's clock. It is the
    workers' own word, so neither side of a comparison counts for itself.
    """

    name = "runs"
    idempotent = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[object] = set()

    def setup(self, worker: Any) -> None:
        """Opens the worker's file."""
        self._log = (self._folder / f"{worker.name}.runs").open("a", buffering=1)

    def transition(self, key: Any, start: str, finish: str, **_more: object) -> None:
        """Notes where `key` has begun or ended to run."""
        if finish == "executing" and key not in self._running:
            self._running.add(key)
            self._note(key, "began")
        elif start == "executing" and finish in ("memory", "error", "rescheduled"):
            self._running.discard(key)
            # A task that asks to be run later, as those of a shuffle do, has not run.
            self._note(key, "put off" if finish == "rescheduled" else "ended")

    def _note(self, key: object, what: str) -> None:
        self._log.write(f"{key!r}\t{what}\t{time.time():.3f}\n")
