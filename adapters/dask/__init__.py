"""What a data scientist imports: `from costplan.adapters.dask import span`.

`costplan` itself is a namespace package and has no names of its own. Names are looked up when they
are asked for, so that a daemon that reads one module of these does not import Dask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costplan.adapters.dask.spans import span as span

_HOMES = {"span": "costplan.adapters.dask.spans"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
