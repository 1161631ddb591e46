"""What work is for, said where it is written: `with span("train", team="risk"): ...`.

    from costplan.adapters.dask import span

    with span("etl", team="risk", run="2026-11-29") as etl:
        frame = load().persist()
        etl.rows(len(frame))

Tasks that are submitted inside carry the span's path and tags as a Dask annotation, also through
`persist`, `compute` and `Client.submit`; spans nest. The scheduler's plugin adds up what they took.
`distributed.span`, without tags, is understood as well.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from operator import index
from types import TracebackType
from typing import Any, Self, SupportsIndex

from dask.base import annotate, get_annotations
from distributed import get_client, get_worker

from costplan.adapters.dask.span_marks import (
    ANNOTATION,
    MOST_DEPTH,
    MOST_TAGS,
    MOST_TEXT,
    ROWS_TOPIC,
    is_text,
    label_of,
    mark_of,
)
from costplan.planner.errors import InputError

MOST_ROWS = 2**53
_SENDING: set[asyncio.Future[Any]] = set()
"""Reports under way: nobody else holds them."""
_OPEN: ContextVar[tuple[tuple[Span, AbstractContextManager[None]], ...]] = ContextVar(
    "open", default=()
)
"""Spans that this thread or task is in, with their annotations: one may be in use in several."""


class Span(AbstractContextManager["Span"]):
    """A span of work. `path` and `tags` are those around it, once it is entered, and its own."""

    def __init__(self, name: str, tags: Mapping[str, str]) -> None:
        self.path: tuple[str, ...] = (name,)
        self.tags = dict(tags)
        self._name, self._own = name, dict(tags)

    def __enter__(self) -> Self:
        around = label_of(get_annotations().get(ANNOTATION))
        outer, tags = (around.path, around.tags) if around is not None else ((), {})
        self.path, self.tags = (*outer, self._name), {**tags, **self._own}
        if len(self.path) > MOST_DEPTH:
            raise InputError(
                f"span {self._name!r}", f"is the {len(self.path)}th inside another",
                f"nest {MOST_DEPTH} at most, and say the rest with tags",
            )  # fmt: skip
        if len(self.tags) > MOST_TAGS:
            raise InputError(
                f"span {self._name!r}", f"has {len(self.tags)} tags with those around it",
                f"give {MOST_TAGS} at most",
            )  # fmt: skip
        # Dask warns of annotations when a DataFrame is made inside, and carries them all the same
        # where it is computed inside.
        warnings.filterwarnings("ignore", rf"Dask annotations \{{'{ANNOTATION}'", UserWarning)
        annotated = annotate(**{ANNOTATION: mark_of(self.path, self.tags)})
        annotated.__enter__()
        _OPEN.set((*_OPEN.get(), (self, annotated)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        around = _OPEN.get()
        if not around or around[-1][0] is not self:
            return  # it began elsewhere, as in a generator that another task ends
        _OPEN.set(around[:-1])
        around[-1][1].__exit__(kind, error, trace)

    def rows(self, count: SupportsIndex) -> None:
        """Reports rows (records, images, ...) as done for this span, in a session or in a task;
        dollars are then also told for a million of them. Raises InputError where it is no count."""
        try:
            whole = -1 if isinstance(count, bool) else index(count)
        except TypeError:
            whole = -1
        if not 0 <= whole <= MOST_ROWS:
            raise InputError("rows", f"{count!r} is no count", "give a whole number from 0 on")
        said = {"span": mark_of(self.path, self.tags), "rows": whole}
        try:
            get_worker().log_event(ROWS_TOPIC, said)
        except ValueError:  # not in a task
            answer = get_client().log_event(ROWS_TOPIC, said)
            if inspect.isawaitable(answer):  # an asynchronous session does not wait for it
                task = asyncio.ensure_future(answer)
                _SENDING.add(task)
                task.add_done_callback(_SENDING.discard)


def span(name: str, **tags: str | int) -> Span:
    """Marks the tasks that are submitted inside it: `with span("train", team="risk"): ...`.

    Raises InputError where a name or a tag is not some printable characters.
    """
    written = {tag: str(value) for tag, value in tags.items()}
    for what, text in (
        ("span", name),
        *((f"span {name!r}, tag {t}", v) for t, v in written.items()),
    ):
        if not is_text(text):
            raise InputError(
                what, f"{text!r} is no name", f"use 1 to {MOST_TEXT} printable characters"
            )
    return Span(name, written)
