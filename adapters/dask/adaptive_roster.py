"""The machines of a cluster object: which of its entries have joined, and since when each is paid.

A worker that fits no entry is counted but never let go. As many entries that have nobody yet are
not counted beside it, as one of them is probably its own, and none of them is given up meanwhile: a
worker may have joined before the cluster has taken note of the object that it is of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from costplan.adapters.dask import adaptive_shim as shim
from costplan.adapters.dask.adaptive_shim import Entry
from costplan.planner.adaptive import Machine
from costplan.planner.load import Load

LOST_SECONDS = 15.0
"""A worker that has left unasked may come back within so long: its nanny starts it again."""
_WHOSE = "which of the cluster's entries it belongs to is not known"
_WHOSE_WORKER = "a worker is there that may be its own"


@dataclass(slots=True)
class _Life:
    """One entry of the plan, from when it was first seen there."""

    number: int
    size: int
    asked_at: datetime
    joined: bool = False
    lost_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """Who is there: machines that count, entries of which no worker comes, boots that ended since
    the last look (seconds), and workers that fit no entry. `keys` are the plan's own names of
    what machines are named by."""

    machines: tuple[Machine, ...]
    keys: Mapping[str, Hashable]
    failed: tuple[Hashable, ...] = ()
    boots: tuple[float, ...] = ()
    strangers: tuple[str, ...] = ()


@dataclass(slots=True)
class Roster:
    """Looks at one cluster again and again. `worker_key` says which workers leave together."""

    cluster: Any
    worker_key: Callable[[Any], Hashable] | None = None
    _lives: dict[Hashable, _Life] = field(default_factory=dict)
    _numbers: int = 0
    _paid_seconds: Decimal = Decimal(0)
    _paid_until: datetime | None = None

    def look(
        self,
        load: Load,
        hidden: Collection[str],
        hidden_names: Collection[str],
        now: datetime,
        timeout_seconds: float,
    ) -> Roll:
        """The machines now. Those of `hidden` workers or names are being emptied, and left out."""
        entries = shim.entries(self.cluster)
        found, strangers = shim.owners(entries, self._joined(load))
        self._meter(entries, now)
        boots: list[float] = []
        failed: list[Hashable] = []
        machines: list[Machine] = []
        unclaimed = len(strangers)
        for name, entry in entries.items():
            is_new = name not in self._lives
            life = self._life(entry, now)
            workers = found[name]
            if workers and not life.joined and not is_new:
                boots.append(_boot_seconds(load, workers, life, now))
            self._note(life, bool(workers), now)
            if str(name) in hidden_names:
                continue
            if workers and all(_is_leaving(load, w, hidden) for w in workers):
                continue
            if not workers and unclaimed > 0:
                unclaimed -= 1  # one of the strangers is probably this one's worker
                continue
            if not workers and self._is_over(entry, life, now, timeout_seconds):
                failed.append(name)
                continue
            stays = "" if workers else _WHOSE_WORKER if strangers else _starting(entry)
            machines.append(_machine(entry, life, workers, stays))
        machines += [
            Machine(
                names=(worker,), workers=(worker,), size=1, asked_at=now, number=0, stays=_WHOSE
            )
            for worker in strangers
            if not _is_leaving(load, worker, hidden)
        ]
        return Roll(
            machines=tuple(self._together(machines, load)),
            keys={str(name): name for name in entries},
            failed=tuple(failed),
            boots=tuple(boots),
            strangers=tuple(strangers),
        )

    def note_new(self, now: datetime) -> None:
        """Takes note of entries that have just been asked for, so that their boots are known."""
        for entry in shim.entries(self.cluster).values():
            self._life(entry, now)

    def paid_seconds(self, now: datetime | None = None) -> Decimal:
        """Worker-seconds from each request until the entry was gone, up to the last look; up to
        now, those that were there at that look are counted on."""
        return self._paid_seconds + (Decimal(0) if now is None else self._unmetered(now))

    def workers_paid(self) -> int:
        """Workers that are paid for now: all that are in the plan. May be asked from any thread."""
        return sum(life.size for life in list(self._lives.values()))

    def _joined(self, load: Load) -> dict[str, tuple[str, str]]:
        told = shim.joined(self.cluster)
        return {name: told.get(name, ("", "")) for name in load.workers}

    def _life(self, entry: Entry, now: datetime) -> _Life:
        life = self._lives.get(entry.name)
        if life is None:
            self._numbers += 1
            size = len(entry.expected)
            life = self._lives[entry.name] = _Life(self._numbers, size, now)
        return life

    @staticmethod
    def _note(life: _Life, is_here: bool, now: datetime) -> None:
        if is_here:
            life.joined, life.lost_at = True, None
        elif life.joined and life.lost_at is None:
            life.lost_at = now

    @staticmethod
    def _is_over(entry: Entry, life: _Life, now: datetime, timeout_seconds: float) -> bool:
        """Whether nobody can be expected any more of an entry that has no worker."""
        if life.lost_at is not None:
            return (now - life.lost_at).total_seconds() >= LOST_SECONDS
        if entry.has_failed:
            return True
        age = (now - life.asked_at).total_seconds()
        return not entry.is_queued and age >= timeout_seconds

    def _meter(self, entries: Mapping[Hashable, Entry], now: datetime) -> None:
        """Adds up what was paid since the last look by those that were there then."""
        self._paid_seconds += self._unmetered(now)
        self._paid_until = now
        for name in self._lives.keys() - entries.keys():
            del self._lives[name]

    def _unmetered(self, now: datetime) -> Decimal:
        """Worker-seconds since the last look."""
        if self._paid_until is None or now <= self._paid_until:
            return Decimal(0)
        return Decimal(repr((now - self._paid_until).total_seconds())) * self.workers_paid()

    def _together(self, machines: Sequence[Machine], load: Load) -> list[Machine]:
        """Machines that a `worker_key` says leave together, as one each."""
        if self.worker_key is None:
            return list(machines)
        told = shim.joined(self.cluster)
        groups: dict[Hashable, list[Machine]] = {}
        for at, machine in enumerate(machines):
            keys: Hashable = ("alone", at)
            if machine.workers:
                keys = tuple({self.worker_key(_shown(w, told, load)) for w in machine.workers})
            groups.setdefault(keys, []).append(machine)
        return [_joined_up(group) for group in groups.values()]


def _boot_seconds(load: Load, workers: Sequence[str], life: _Life, now: datetime) -> float:
    """From the asking to the last worker's joining, by the scheduler's clock where that can be."""
    joined = [load.workers[name].joined_at for name in workers]
    known = [at for at in joined if at is not None]
    last = max(known, default=now)
    seconds, most = (last - life.asked_at).total_seconds(), (now - life.asked_at).total_seconds()
    return seconds if 0 <= seconds <= most else most


def _shown(worker: str, told: Mapping[str, tuple[str, str]], load: Load) -> SimpleNamespace:
    """What a `worker_key` may ask of a worker; the scheduler's own object stays with it."""
    address, host = told.get(worker, ("", ""))
    seen = load.workers[worker]
    return SimpleNamespace(
        name=worker,
        address=address,
        host=host,
        nthreads=seen.threads,
        memory_limit=seen.memory_bytes,
        resources=dict(seen.resources),
    )


def _joined_up(group: Sequence[Machine]) -> Machine:
    first = group[0]
    return replace(
        first,
        names=tuple(name for m in group for name in m.names),
        workers=tuple(worker for m in group for worker in m.workers),
        size=sum(m.size for m in group),
        stays=next((m.stays for m in group if m.stays), ""),
    )


def _starting(entry: Entry) -> str:
    """Why an entry without a worker is not given up now: Dask ends no start half-way, and the
    worker would have begun to work when it is ended."""
    return "" if entry.started else "it is being started"


def _machine(entry: Entry, life: _Life, workers: Sequence[str], stays: str) -> Machine:
    return Machine(
        names=(str(entry.name),),
        workers=tuple(workers),
        size=max(len(entry.expected), len(workers)),
        asked_at=life.lost_at or life.asked_at,
        number=life.number,
        stays=stays,
    )


def _is_leaving(load: Load, worker: str, hidden: Collection[str]) -> bool:
    """Whether a worker is being emptied, by us or by somebody else."""
    return worker in hidden or load.workers[worker].status == "closing"
