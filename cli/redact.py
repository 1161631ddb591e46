"""Keeps what looks like a secret out of the logs, whoever wrote it there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(
    r"(?i)(^|_)(token|secret|password|passwd|authorization|credentials?|api_?key|access_?key"
    r"|private_?key|session_?key|cookie)($|_)"
)
_PLAIN_NAMES = frozenset(
    {"tick_id", "plan_id", "node_id", "node_ids", "digest", "snapshot_digest", "token_file"}
)
"""Names whose values are long and random, and open to everybody."""

_PATTERNS = (
    re.compile(r"(?i)(?<=bearer )[^\s\"',;]+"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(
        r"(?i)((?:token|secret|password|passwd|api[_-]?key|access[_-]?key|authorization)"
        r"[\"']?\s*[=:]\s*[\"']?)(?!bearer\b)[^\s\"',;&\[]+"
    ),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}\b"),
    re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.S
    ),
    re.compile(
        r"(?<![A-Za-z0-9+/_=-])(?=[A-Za-z0-9+/_-]*[a-z])(?=[A-Za-z0-9+/_-]*[A-Z])"
        r"(?=[A-Za-z0-9+/_-]*\d)[A-Za-z0-9+_-]{32,}={0,2}(?![A-Za-z0-9+/_=-])"
    ),
    re.compile(r"(?<![A-Za-z0-9])[0-9a-f]{40,}(?![A-Za-z0-9])"),
)
"""Bearer tokens, passwords in URLs, name=value pairs, keys by their form, long random words."""


class Redactor:
    """A structlog processor that replaces secrets in an event, however deep they are.

    `known` are secrets that this process has read; they are replaced wherever they stand. The
    others are told by their name (`token=...`) or their looks.
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = tuple(sorted((word for word in known if len(word) >= 4), key=len)[::-1])

    def __call__(self, _logger: object, _method: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """The event without secrets."""
        return {name: self._value(name, value) for name, value in event.items()}

    def text(self, text: str) -> str:
        """The text without what looks like a secret."""
        text = self._without_known(text)
        for pattern in _PATTERNS:
            text = pattern.sub(_replacement, text)
        return text

    def _value(self, name: str, value: Any) -> Any:
        if name in _PLAIN_NAMES:
            return self._without_known(value) if isinstance(value, str) else value
        if _SECRET_NAMES.search(name) and value not in (None, ""):
            return REDACTED
        return self._inside(value)

    def _inside(self, value: Any) -> Any:
        """A value whose name tells nothing, without the secrets in it."""
        match value:
            case str():
                return self.text(value)
            case bytes() | BaseException():
                return self.text(str(value))
            case Mapping():
                return {str(key): self._value(str(key), each) for key, each in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._inside(each) for each in value]
        return value

    def _without_known(self, text: str) -> str:
        for word in self._known:
            text = text.replace(word, REDACTED)
        return text


def _replacement(match: re.Match[str]) -> str:
    kept: str = match.group(1) if match.re.groups and match.group(1) else ""
    return kept + REDACTED
