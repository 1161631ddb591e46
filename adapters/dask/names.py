"""Names and amounts as they go over the wire, whatever people have written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

from costplan.adapters.dask.wire_types import MAX_AMOUNT, MAX_NAME, MAX_RESOURCES


def shortened(name: str) -> str:
    """A name of printable characters that fits on the wire; a long one keeps its start."""
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        digest = hashlib.blake2s(name.encode(errors="replace"), digest_size=8).hexdigest()
        name = "".join(filter(str.isprintable, name[: MAX_NAME - 20])) + f"~{digest}"
    return name


def bounded(resources: Mapping[Any, Any]) -> dict[str, float]:
    """Resources by name, as far as they fit on the wire: Dask takes infinity, and any name."""
    return {
        shortened(str(name)): _bounded(amount)
        for name, amount in islice(resources.items(), MAX_RESOURCES)
    }


def _bounded(amount: Any) -> float:
    """An amount that is told; 0 of what is none, NaN included."""
    try:
        return min(max(0.0, float(amount)), MAX_AMOUNT)
    except (TypeError, ValueError, OverflowError):
        return 0.0
