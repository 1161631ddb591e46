"""All that is read or called of Dask's cluster objects beyond `Adaptive`'s own hooks.

    worker_spec, new_spec, new_worker_spec      what a SpecCluster is to have (documented)
    workers                                     the objects it made of that, by the same names
    scheduler, scheduler_comm, scheduler_info   documented
    plan, requested, observed                   what stock `Adaptive` compares
    scale, scale_down                           how it acts
    _adaptive_options                           arguments of `adapt`, which the next one adds to

Each has a test of its own against the installed release, and against the oldest supported one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any
from urllib.parse import urlsplit

from distributed import Scheduler, SpecCluster

from costplan.adapters.dask.names import shortened

FAILED = ("failed", "closed", "closing", "created")
"""States of a worker's object, once its start has ended, that no worker comes of. An object that
stays `created` has raised in its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a cluster's plan that ends as a whole.

    `expected` are the names by which its workers should join. `started` says that its start has
    ended, `has_failed` that no worker comes of it. Where it runs is '' as long as nobody knows.
    `is_queued` jobs wait for a batch system for as long as that takes.
    """

    name: Hashable
    expected: tuple[str, ...]
    started: bool = True
    has_failed: bool = False
    address: str = ""
    host: str = ""
    is_queued: bool = False


def is_spec(cluster: Any) -> bool:
    """Whether a cluster makes its workers of a specification that can be looked at."""
    return isinstance(cluster, SpecCluster)


def arguments(cluster: Any) -> dict[str, Any]:
    """What `adapt` was told so far, which the next call adds to; empty where it never was."""
    return dict(getattr(cluster, "_adaptive_options", {}))


def put_arguments(cluster: Any, told: Mapping[str, Any]) -> None:
    """Has the next `adapt` add to these."""
    kept = getattr(cluster, "_adaptive_options", None)
    if kept is not None:
        kept.clear()
        kept.update(told)


def scheduler_here(cluster: Any) -> Any:
    """The scheduler where it is in this process, None where it is not."""
    scheduler = getattr(cluster, "scheduler", None)
    return scheduler if isinstance(scheduler, Scheduler) else None


def entries(cluster: Any) -> dict[Hashable, Entry]:
    """The plan, in its order."""
    if not is_spec(cluster):
        return {
            name: Entry(name=name, expected=(shortened(str(name)),))
            for name in sorted(cluster.plan, key=str)
        }
    found = {}
    for name, spec in cluster.worker_spec.items():
        made = cluster.workers.get(name)
        own = getattr(made, "name", None)
        names = [str(name)]
        if "group" in spec:
            names = [str(name) + suffix for suffix in spec["group"]]
        elif own is not None and str(own) != str(name):
            names = [str(own)]  # as with the machines of dask-cloudprovider
        address = str(getattr(made, "worker_address", None) or getattr(made, "address", None) or "")
        found[name] = Entry(
            name=name,
            expected=tuple(map(shortened, names)),
            started=made is not None,
            has_failed=made is not None and _status(made) in FAILED,
            address=address,
            host=_host(address),
            is_queued=getattr(made, "job_id", None) is not None,
        )
    return found


def _status(made: Any) -> str:
    return str(getattr(getattr(made, "status", None), "name", "running"))


def _host(address: str) -> str:
    """'10.0.0.7' of 'tcp://10.0.0.7:4321' or of itself; '' where that says nothing."""
    if not address:
        return ""
    try:
        return urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""


def joined(cluster: Any) -> dict[str, tuple[str, str]]:
    """Workers that the scheduler has told the cluster of: address and host by name."""
    return {
        shortened(str(said["name"])): (address, str(said.get("host", "")))
        for address, said in cluster.scheduler_info["workers"].items()
    }


def owners(
    entries: Mapping[Hashable, Entry], workers: Mapping[str, tuple[str, str]]
) -> tuple[dict[Hashable, list[str]], list[str]]:
    """Workers by the entry that they belong to, and those that fit none.

    A worker is of the entry that expects its name, else of the one whose object has its address,
    else of the only one that runs on its host. `workers` are addresses and hosts by name.
    """
    by_name = {name: entry.name for entry in entries.values() for name in entry.expected}
    by_address = {entry.address: entry.name for entry in entries.values() if entry.address}
    hosts = Counter(entry.host for entry in entries.values() if entry.host)
    by_host = {e.host: e.name for e in entries.values() if hosts[e.host] == 1}
    there = Counter(host for _, host in workers.values())
    found: dict[Hashable, list[str]] = {name: [] for name in entries}
    strangers = []
    for worker, (address, host) in sorted(workers.items()):
        if worker in by_name:
            found[by_name[worker]].append(worker)
        elif address in by_address:
            found[by_address[address]].append(worker)
        elif host in by_host and there[host] == 1:
            found[by_host[host]].append(worker)
        else:
            strangers.append(worker)
    return found, strangers


def entries_with_workers(cluster: Any) -> dict[Hashable, int]:
    """Entries that have workers with the scheduler, and how many; where some fit no entry, all that
    may have one."""
    found, strangers = owners(entries(cluster), joined(cluster))
    return {n: max(1, len(workers)) for n, workers in found.items() if workers or strangers}


async def grow(cluster: Any, workers: int, most: float, scale: Any) -> int:
    """Asks for so many workers more, where an entry has several for a few more than that, but never
    for more than `most`. `scale` is the cluster's own. Returns how many were asked for."""
    if not is_spec(cluster):
        await _finished(scale(len(cluster.plan) + workers))
        return workers
    asked, has_groups = _add_entries(cluster, workers, most)
    if not has_groups:
        await _finished(scale(len(cluster.worker_spec)))
    elif type(cluster).scale is not SpecCluster.scale:
        await _finished(scale(len(cluster.plan)))  # such a cluster counts workers, not entries
    else:
        await cluster
    return asked


def _add_entries(cluster: Any, workers: int, most: float) -> tuple[int, bool]:
    """Puts new entries into the plan. None has the name of one that still ends: Dask would take the
    old object for the new one, and start nothing."""
    ending = [name for name in cluster.workers if name not in cluster.worker_spec]
    cluster.worker_spec.update({name: {} for name in ending})
    asked, has_groups = 0, False
    try:
        while asked < workers:
            new = cluster.new_worker_spec()
            sizes = [max(1, len(spec.get("group", ()))) for spec in new.values()]
            has_groups = has_groups or any("group" in spec for spec in new.values())
            if asked + sum(sizes) > most:
                break
            asked += sum(sizes)
            cluster.worker_spec.update(new)
    finally:
        for name in ending:
            del cluster.worker_spec[name]
    return asked, has_groups


async def drop(cluster: Any, names: Collection[Hashable]) -> None:
    """Takes entries out of the plan and ends what is left of them."""
    await _finished(cluster.scale_down(list(names)))


async def _finished(result: Any) -> None:
    if isawaitable(result):
        await result


def template(cluster: Any) -> Mapping[str, Any]:
    """The options that new workers are made with, as far as there are any."""
    spec = getattr(cluster, "new_spec", None)
    options = spec.get("options", {}) if isinstance(spec, Mapping) else {}
    return options if isinstance(options, Mapping) else {}


def template_class(cluster: Any) -> Any:
    """What new workers are made of: a class, its dotted name, or None."""
    spec = getattr(cluster, "new_spec", None)
    return spec.get("cls") if isinstance(spec, Mapping) else None


def is_running(cluster: Any) -> bool:
    """Whether a cluster is neither closing nor closed."""
    return str(getattr(cluster.status, "name", cluster.status)) == "running"


def is_adapted(cluster: Any) -> bool:
    """Whether somebody adapts a cluster now."""
    return getattr(getattr(cluster, "_adaptive", None), "state", "") in ("starting", "running")
