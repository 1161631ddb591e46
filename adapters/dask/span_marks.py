"""The mark that a task carries of its span, as an annotation: one text, the same for all tasks.

It is JSON of the span's path and tags with keys in order, so that equal spans are one text, which
a scheduler looks up without reading it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from costplan.planner.work import OTHERS, no_tags

ANNOTATION = "costplan_span"
"""Not that of an announced gang, which stands beside it where a training has both."""
ROWS_TOPIC = "costplan-rows"
MOST_DEPTH = 10
MOST_TAGS = 20
MOST_TEXT = 100
MOST_MARK = 8_000


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """A span: its path, and the tags of it and of those around it. One object a span."""

    path: tuple[str, ...]
    tags: Mapping[str, str]


NO_LABEL = Label((), no_tags())
OTHER_LABEL = Label((OTHERS,), no_tags())


def mark_of(path: Sequence[str], tags: Mapping[str, str]) -> str:
    """The text of a span's path and tags."""
    return json.dumps([list(path), dict(tags)], sort_keys=True, separators=(",", ":"))


def label_of(mark: Any) -> Label | None:
    """The span of a mark, or of what Dask's own `distributed.span` leaves on tasks; None where it
    is neither."""
    if isinstance(mark, dict):
        return _checked(mark.get("name"), {})
    if not isinstance(mark, str) or len(mark) > MOST_MARK:
        return None
    try:
        read = json.loads(mark)
    except (ValueError, RecursionError):
        return None
    return _checked(*read) if isinstance(read, list) and len(read) == 2 else None


def _checked(path: Any, tags: Any) -> Label | None:
    is_path = isinstance(path, list | tuple) and len(path) > 0 and all(map(is_text, path))
    if not is_path or not isinstance(tags, dict) or len(tags) > MOST_TAGS:
        return None
    if not all(is_text(name) and is_text(value) for name, value in tags.items()):
        return None
    return Label(tuple(path[:MOST_DEPTH]), MappingProxyType(dict(sorted(tags.items()))))


def is_text(value: Any) -> bool:
    """True of a name that may be shown: some printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MOST_TEXT and value.isprintable()
