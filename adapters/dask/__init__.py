"""What a data scientist imports: `from costplan.adapters.dask import CostAwareAdaptive, span`.

`costplan` itself is a namespace package and has no names of its own. Names are looked up when they
are asked for, so that a daemon that reads one module of these does not import Dask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costplan.adapters.dask.adaptive import CostAwareAdaptive
    from costplan.adapters.dask.adaptive_keeper import drain_on_scale
    from costplan.adapters.dask.spans import span

__all__ = ["CostAwareAdaptive", "drain_on_scale", "span"]

_MODULES = {
    "CostAwareAdaptive": "adaptive",
    "drain_on_scale": "adaptive_keeper",
    "span": "spans",
}


def __getattr__(name: str) -> Any:
    """What is exported, imported when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
