"""Filter expressions of list calls, in the two languages that the API documents.

AIP-160: `field = "value"`, also with !=, >, <, >=, <= and : (holds the text; `:*` is set), in
parentheses, one after the other or with AND between them. Regular expressions: `field eq text`
and `field ne text` on a single field. What is none of these is refused, as the cloud does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

_TERM = re.compile(
    r"""\s*(?:AND\s+)?\(?\s*(?P<field>[\w.\-]+)\s*
    (?P<operator>!=|>=|<=|=|>|<|:|\beq\b|\bne\b)\s*
    (?P<value>"[^"]*"|[^\s()]+)\s*\)?\s*""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


class WrongFilter(ValueError):
    """The cloud would not understand it."""


def parsed(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """What says of a resource whether the filter takes it."""
    terms, at = [], 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise WrongFilter(f"{text!r} from {at}")
        terms.append((found["field"], found["operator"], found["value"].strip('"')))
        at = found.end()
    by_regex = {name for _, name, _ in terms} & {"eq", "ne"}
    if by_regex and (
        {name for _, name, _ in terms} - {"eq", "ne"} or len({f for f, *_ in terms}) > 1
    ):
        raise WrongFilter(f"{text!r} mixes languages, or fields in regular expressions")
    return lambda resource: all(_holds(resource, *term) for term in terms)


def _holds(resource: Mapping[str, Any], field: str, compare: str, value: str) -> bool:
    found: Any = resource
    for name in field.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if compare == ":" and value == "*":
        return found is not None
    text = "" if found is None else str(found)
    match compare:
        case ":":
            return value in text
        case "eq":
            return re.fullmatch(value, text) is not None
        case "ne":
            return re.fullmatch(value, text) is None
    if field.endswith(("Time", "Timestamp")) and text:
        return _COMPARE[compare](datetime.fromisoformat(text), datetime.fromisoformat(value))
    return _COMPARE[compare](text, value)
