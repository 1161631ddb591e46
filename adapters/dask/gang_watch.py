"""Gangs that people announce: tasks annotated with `costplan={"gang": 4}` say that four workers
are to be there while they are pending. Runs in a scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

from costplan.adapters.dask.kinds import PENDING

NAME = "costplan-gangs"
ANNOTATION = "costplan"
WIDEST = 10_000
MOST_KEYS = 1_000
"""Of one width so many keys are watched: a gang is announced by a few tasks, not by a million."""


class GangWatch(SchedulerPlugin):
    """Remembers annotated tasks; which of them are pending is looked up when it is asked."""

    name = NAME
    idempotent = True

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._keys: dict[int, dict[Any, None]] = {}

    def update_graph(
        self,
        scheduler: Any,  # noqa: ARG002 - Dask's signature
        *,
        annotations: Mapping[str, Mapping[Any, Any]] | None = None,
        **_: Any,
    ) -> None:
        """Takes note of the announcements of a new graph; what is none is passed over."""
        for key, said in dict((annotations or {}).get(ANNOTATION) or {}).items():
            width = said.get("gang") if isinstance(said, Mapping) else None
            if type(width) is int and 0 < width <= WIDEST:
                keys = self._keys.setdefault(width, {})
                if len(keys) < MOST_KEYS:
                    keys[key] = None

    def width(self) -> int:
        """Workers that the widest gang asks for whose tasks are pending."""
        tasks = self._scheduler.tasks
        for width in sorted(self._keys, reverse=True):
            keys = self._keys[width]
            for key in list(keys):
                task = tasks.get(key)
                if task is not None and task.state in PENDING:
                    return width
                del keys[key]
            del self._keys[width]
        return 0

    def restart(self, scheduler: Any) -> None:  # noqa: ARG002 - Dask's signature
        """Forgets the tasks: the scheduler has dropped them all."""
        self._keys.clear()
