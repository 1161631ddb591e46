"""References to secrets: what a file and a start script name instead of a secret itself."""

from __future__ import annotations

import re

REFERENCES = {
    "file": "file:/PATH",
    "aws-secret": "aws-secret:NAME",
    "aws-parameter": "aws-parameter:NAME",
    "gcp-secret": "gcp-secret:NAME",
    "azure-secret": "azure-secret:VAULT/NAME",
}
"""How each kind is written."""

KINDS_OF = {
    "aws": ("file", "aws-secret", "aws-parameter"),
    "gcp": ("file", "gcp-secret"),
    "azure": ("file", "azure-secret"),
}
"""What machines of each cloud can read under an identity of their own."""

_REST = {
    "file": re.compile(r"/[A-Za-z0-9/_+=.@,:-]+"),
    "azure-secret": re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9-]+"),
}
_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]+")
"""Names of the secret stores; nothing of it means anything to a shell."""


def split_reference(text: str, cloud: str) -> tuple[str, str]:
    """The kind of a reference and what it names there, for a machine of a cloud.

    Raises ValueError, whose text is how references of that cloud are written.
    """
    kind, _, rest = text.partition(":")
    if kind not in KINDS_OF[cloud] or not _REST.get(kind, _NAME).fullmatch(rest):
        raise ValueError(ways_to_write(cloud))
    return kind, rest


def ways_to_write(cloud: str) -> str:
    """The references of a cloud, as a person writes them: 'write file:/PATH or ...'."""
    *first, last = (REFERENCES[kind] for kind in KINDS_OF[cloud])
    return f"write {', '.join(first)} or {last}"
