"""`costplan_scheduler_*` figures on a scheduler's own `/metrics`, beside Dask's.

Dask answers there with the registry of the process, so a collector in it is all that is needed.
Whoever reaches that page reads it without a token: no names of tasks or spans are shown, only sums
and types of machines. Where a process has several schedulers, those of the newest are shown.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from costplan.adapters.dask.kinds import PENDING
from costplan.adapters.dask.plugin import CostplanPlugin

_START = "costplan_scheduler_"


class Collector:
    """Collects from the newest scheduler that still is."""

    def __init__(self) -> None:
        self.plugins: list[weakref.ref[CostplanPlugin]] = []

    def show(self, plugin: CostplanPlugin) -> weakref.ref[CostplanPlugin]:
        """Collects from this scheduler from now on."""
        reference = weakref.ref(plugin)
        self.plugins.append(reference)
        return reference

    def describe(self) -> list[Any]:
        """Nothing beforehand: what there is depends on the scheduler."""
        return []

    def collect(self) -> Iterator[Any]:
        """All figures, as of now."""
        self.plugins = [ref for ref in self.plugins if ref() is not None]
        plugin = self.plugins[-1]() if self.plugins else None
        if plugin is not None:
            yield from _load(plugin)
            yield from _drains(plugin)
            yield from _costs(plugin)


_COLLECTOR = Collector()


def show_figures(plugin: CostplanPlugin) -> None:
    """Shows the figures of a scheduler until it closes."""
    if not _COLLECTOR.plugins:
        prometheus.REGISTRY.register(_COLLECTOR)
    reference = _COLLECTOR.show(plugin)

    def end() -> None:
        if reference in _COLLECTOR.plugins:
            _COLLECTOR.plugins.remove(reference)
            if not _COLLECTOR.plugins:
                prometheus.REGISTRY.unregister(_COLLECTOR)

    plugin.on_close.append(end)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(_START + name, text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(_START + name, text, value=value)


def _load(plugin: CostplanPlugin) -> Iterator[Any]:
    counters = plugin.counters
    tasks = GaugeMetricFamily(_START + "tasks", "Tasks that are pending.", labels=["state"])
    found = dict.fromkeys(PENDING, 0)
    for prefix in counters.active:
        for state in PENDING:
            found[state] += prefix.states[state]
    for state, count in found.items():
        tasks.add_metric([state], count)
    yield tasks
    yield _counter("finished_tasks", "Tasks that have finished.", counters.finished)
    yield _counter("erred_tasks", "Tasks that have failed.", counters.erred)
    yield _counter("recomputed_tasks", "Tasks done again, their results lost.", counters.recomputed)
    yield _counter("restarted_tasks", "Tasks begun again, cut short.", counters.restarted)
    yield _counter("task_seconds", "Time that finished tasks took.", counters.busy_seconds)
    yield _gauge("sessions", "People's sessions that are connected.", plugin.clients())


def _drains(plugin: CostplanPlugin) -> Iterator[Any]:
    trackers = plugin.counters.trackers.values()
    cordoned = sum(tracker.cordoned_at is not None for tracker in trackers)
    yield _gauge("cordoned_workers", "Workers that take no more tasks.", cordoned)
    protected = len(plugin.protected() | set(plugin.counters.gangs()))
    yield _gauge("protected_workers", "Workers that no other autoscaler may take.", protected)
    warned = GaugeMetricFamily(
        _START + "warned_workers", "Workers whose machine was warned of something.", labels=["kind"]
    )
    kinds: dict[str, int] = {}
    for tracker in trackers:
        for kind in tracker.warned:
            kinds[kind] = kinds.get(kind, 0) + 1
    for kind, count in sorted(kinds.items()):
        warned.add_metric([kind], count)
    yield warned
    left = GaugeMetricFamily(
        _START + "departed_workers", "Workers that left within an hour.", labels=["clean"]
    )
    gone = [departure.is_clean for departure in plugin.departures.by_name.values()]
    for name, count in (("yes", sum(gone)), ("no", len(gone) - sum(gone))):
        left.add_metric([name], count)
    yield left


def _costs(plugin: CostplanPlugin) -> Iterator[Any]:
    figures = plugin.costs.figures()
    labels = ["instance_type", "market"]
    workers = GaugeMetricFamily(_START + "workers", "Workers that are there.", labels=labels)
    rates = GaugeMetricFamily(
        _START + "usd_per_hour", "What workers cost an hour, where that is known.", labels=labels
    )
    for pool in figures.pools:
        workers.add_metric([pool.instance_type, pool.market], pool.workers)
        rates.add_metric([pool.instance_type, pool.market], float(pool.usd_per_hour))
    yield workers
    yield rates
    yield _gauge("unpriced_workers", "Workers whose cost nobody knows.", figures.unpriced)
    yield _counter("spent_usd", "What workers have cost.", float(figures.usd))
    # No counter: what a task has cost while it ran is idle until it ends.
    yield _gauge("idle_usd", "The part of it that no finished task took.", float(figures.idle_usd))
