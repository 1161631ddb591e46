"""Names as they go over the wire."""

from __future__ import annotations

import hashlib

from costplan.adapters.dask.wire_types import MAX_NAME


def shortened(name: str) -> str:
    """A name of printable characters that fits on the wire; a long one keeps its start."""
    if len(name) > MAX_NAME or not name.isprintable():
        digest = hashlib.blake2s(name.encode(errors="replace"), digest_size=8).hexdigest()
        name = "".join(filter(str.isprintable, name[: MAX_NAME - 20])) + f"~{digest}"
    return name
