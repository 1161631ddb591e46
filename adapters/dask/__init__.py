"""What a data scientist imports: `from costplan.adapters.dask import CostplanCluster, span`.

`costplan` itself is a namespace package and has no names of its own. Names are looked up when they
are asked for, so that a daemon that reads one module of these does not import Dask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costplan.adapters.cluster.cluster import CostplanCluster
    from costplan.adapters.cluster.starting import ClusterFailed
    from costplan.adapters.dask.adaptive import CostAwareAdaptive
    from costplan.adapters.dask.adaptive_keeper import drain_on_scale
    from costplan.adapters.dask.adaptive_options import ArgumentError
    from costplan.adapters.dask.spans import span

__all__ = [
    "ArgumentError",
    "ClusterFailed",
    "CostAwareAdaptive",
    "CostplanCluster",
    "drain_on_scale",
    "span",
]

_MODULES = {
    "ArgumentError": f"{__name__}.adaptive_options",
    "ClusterFailed": "costplan.adapters.cluster.starting",
    "CostAwareAdaptive": f"{__name__}.adaptive",
    "CostplanCluster": "costplan.adapters.cluster.cluster",
    "drain_on_scale": f"{__name__}.adaptive_keeper",
    "span": f"{__name__}.spans",
}


def __getattr__(name: str) -> Any:
    """What is exported, imported when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
