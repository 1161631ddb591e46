"""How workers of a simulated scheduler are emptied: cordon, copy, retire.

Results are copied one after the other, each at `bytes_per_second` plus `seconds_per_key`, to the
worker that holds least. A copied result counts as its new holder's. As with Dask's own
`retire_workers`, removal waits for the copies and not for running tasks: those start again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from costplan.adapters.sim.clock import MICROS
from costplan.adapters.sim.scheduler import Scheduler
from costplan.adapters.sim.work import Batch
from costplan.adapters.sim.workers import SimWorker
from costplan.planner.nodes import Retired
from costplan.planner.wording import counted

_RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How fast results are copied; the default is what Dask was measured at."""

    bytes_per_second: float = 5e8
    seconds_per_key: float = 3e-4
    seconds_to_begin: float = 0.2


class Drains:
    """The drains of one scheduler."""

    def __init__(self, scheduler: Scheduler, network: Network) -> None:
        self._scheduler, self._network = scheduler, network

    def cordon(self, names: Collection[str]) -> None:
        """The workers take no new tasks, and what they alone hold is copied."""
        workers = self._present(names)
        for worker in workers:  # all before the first copy, so that none is copied to another
            if not worker.is_cordoned:
                self._scheduler.set_cordon(worker, True)
        for worker in workers:
            self._go_on(worker)

    def uncordon(self, names: Collection[str]) -> None:
        """The workers take tasks again; of what was copied the memory manager drops one copy."""
        for worker in self._present(names):
            worker.is_retiring = False
            worker.copied_until = None
            worker.copied_bytes = 0
            worker.changed()
            if worker.is_cordoned:
                self._scheduler.set_cordon(worker, False)

    def retire(self, names: Collection[str], *, force: bool = False) -> Retired:
        """Begins or goes on with removing the workers, and says how far it is. A member of a
        gang that runs is refused unless forced."""
        self.cordon(names)
        refused: dict[str, str] = {}
        for worker in self._present(names):
            if worker.gang is not None and not force:
                refused[worker.name] = f"it is a member of the collective {worker.gang}"
            elif worker.actors:
                refused[worker.name] = f"it holds {counted(worker.actors, 'actor')}"
            elif worker.held and not self._takers(worker, 0):
                refused[worker.name] = "nobody can take what it alone holds"
            else:
                worker.is_retiring = True
                self._go_on(worker)
        here, gone = self._scheduler.workers, self._scheduler.departed
        left = [name for name in names if name not in here and name in gone]
        lost = tuple(n for n in left if not gone[n].expected or gone[n].lost_keys)
        return Retired(
            done=tuple(name for name in left if name not in lost),
            refused=refused,
            lost=lost,
            pending=tuple(name for name in names if name in here and name not in refused),
        )

    def settle(self) -> None:
        """Brings all copies up to date."""
        for worker in tuple(self._scheduler.workers.values()):
            if worker.is_cordoned and worker.held:
                self._copy(worker)

    def _present(self, names: Collection[str]) -> list[SimWorker]:
        here = self._scheduler.workers
        return [here[name] for name in names if name in here]

    def _go_on(self, worker: SimWorker) -> None:
        """Copies what can be copied by now, lets a retiring worker go once it holds nothing
        alone, and looks again when the rest should be done."""
        if worker is not self._scheduler.workers.get(worker.name) or not worker.is_cordoned:
            return
        is_moving = self._copy(worker)
        if worker.alarm is not None:
            worker.alarm.cancel()
        if not worker.held and worker.is_retiring:
            self._scheduler.remove_worker(worker.name, cause="retired", expected=True)
        elif worker.held:
            seconds = self._seconds_left(worker) if is_moving else _RETRY_SECONDS
            worker.alarm = self._scheduler.clock.after(seconds, partial(self._go_on, worker))

    def _copy(self, worker: SimWorker) -> bool:
        """Moves what had the time to be copied; False where nobody can take any."""
        now = self._scheduler.clock.micros
        if not worker.held or worker.is_hung:
            worker.copied_until = None
            return False
        if worker.copied_until is None:
            worker.copied_until = now + round(self._network.seconds_to_begin * MICROS)
        for batch in tuple(worker.held):
            each = self._micros_each(batch)
            while worker.copied_until + each <= now and batch in worker.held:
                keys = min(worker.held[batch].keys, (now - worker.copied_until) // each)
                taken = self._hand_over(worker, batch, keys)
                if not taken:
                    worker.copied_until = now
                    return False
                worker.copied_until += taken * each
        return bool(self._takers(worker, 0))

    def _hand_over(self, worker: SimWorker, batch: Batch, keys: int) -> int:
        """Gives up to `keys` results to the worker that holds least; returns how many it took."""
        size = batch.stage.result_bytes
        takers = self._takers(worker, size)
        if not takers:
            return 0
        taker = min(takers, key=lambda other: (other.held_bytes, other.name))
        share = max(1, -(-keys // len(takers)))
        while share > 1 and not taker.has_room(share * size):
            share //= 2
        taker.hold(batch, share, worker.give(batch, share))
        worker.copied_bytes += share * size
        return share

    def _takers(self, worker: SimWorker, more_bytes: int) -> list[SimWorker]:
        return [
            other
            for other in self._scheduler.workers.values()
            if not other.is_cordoned and other is not worker and other.has_room(more_bytes)
        ]

    def _micros_each(self, batch: Batch) -> int:
        network = self._network
        seconds = batch.stage.result_bytes / network.bytes_per_second + network.seconds_per_key
        return max(1, round(seconds * MICROS))

    def _seconds_left(self, worker: SimWorker) -> float:
        until = worker.copied_until or self._scheduler.clock.micros
        rest = sum(held.keys * self._micros_each(batch) for batch, held in worker.held.items())
        return (until + rest - self._scheduler.clock.micros) / MICROS
