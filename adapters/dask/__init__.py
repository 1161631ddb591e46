"""Dask as the load source, and what adapts Dask's own cluster objects. Lazy: the daemon imports
parts of this package and must not import Dask's protocol with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costplan.adapters.dask.adaptive import CostAwareAdaptive
    from costplan.adapters.dask.adaptive_keeper import drain_on_scale

__all__ = ["CostAwareAdaptive", "drain_on_scale"]

_MODULES = {"CostAwareAdaptive": "adaptive", "drain_on_scale": "adaptive_keeper"}


def __getattr__(name: str) -> Any:
    """What is exported, imported when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
