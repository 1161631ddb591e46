"""One worker of a simulated cluster."""

from __future__ import annotations

from datetime import datetime

from costplan.adapters.sim.clock import Alarm
from costplan.adapters.sim.work import Batch, Held, Need, Running
from costplan.planner.load import WorkerLoad
from costplan.planner.nodes import WorkerSpec

_SPILL_SHARE = 0.7
_ROOM_SHARE = 0.8


class SimWorker:
    """A worker as its scheduler knows it: what it has, does and holds."""

    def __init__(self, spec: WorkerSpec, machine_id: str, joined: datetime) -> None:
        self.spec = spec
        self.machine_id = machine_id
        self.joined = joined
        self.free_threads = spec.threads
        self.free: dict[str, float] = dict(spec.resources)
        self.running: dict[Running, None] = {}
        self.held: dict[Batch, Held] = {}
        self.held_bytes = 0
        self.copied_bytes = 0
        self.busy_seconds = 0.0
        self.idle_since: datetime | None = joined
        self.actors = 0
        self.gang: str | None = None
        self.is_cordoned = False
        self.is_retiring = False
        self.is_hung = False
        self.copied_until: int | None = None
        self.alarm: Alarm | None = None
        self._seen: WorkerLoad | None = None

    @property
    def name(self) -> str:
        """What Dask calls it."""
        return self.spec.name

    @property
    def takes_tasks(self) -> bool:
        """True where new tasks may be given to it (a scheduler does not see that it hangs)."""
        return not self.is_cordoned

    def can_ever(self, need: Need) -> bool:
        """True where it has what is needed, free or not."""
        return all(self.spec.resources.get(name, 0.0) >= amount for name, amount in need)

    def has_free(self, need: Need) -> bool:
        """True where a thread and all that is needed are free."""
        return self.free_threads > 0 and all(
            self.free.get(name, 0.0) >= amount for name, amount in need
        )

    def has_room(self, more_bytes: int) -> bool:
        """True where it could hold so much more."""
        limit = self.spec.memory_bytes
        return limit == 0 or self.held_bytes + more_bytes <= _ROOM_SHARE * limit

    def begin(self, running: Running) -> None:
        """The task runs on it from now on."""
        self.running[running] = None
        self.free_threads -= 1
        for name, amount in running.batch.need:
            self.free[name] -= amount
        self.idle_since = None
        self._seen = None

    def end(self, running: Running, now: datetime) -> None:
        """The task does not run on it any more."""
        del self.running[running]
        self.free_threads += 1
        for name, amount in running.batch.need:
            self.free[name] += amount
        if not self.running:
            self.idle_since = now
        self._seen = None

    def hold(self, batch: Batch, keys: int, seconds: float) -> None:
        """It alone has these results from now on."""
        held = self.held.get(batch)
        if held is None:
            held = self.held[batch] = batch.held[self.name] = Held()
        held.keys += keys
        held.seconds += seconds
        self.held_bytes += keys * batch.stage.result_bytes
        self._seen = None

    def give(self, batch: Batch, keys: int) -> float:
        """It does not have them alone any more; returns the seconds that they had taken."""
        held = self.held[batch]
        seconds = held.take(keys)
        if not held.keys:
            del self.held[batch], batch.held[self.name]
        self.held_bytes -= keys * batch.stage.result_bytes
        self._seen = None
        return seconds

    def changed(self) -> None:
        """What was last said of it is not so any more."""
        self._seen = None

    def view(self) -> WorkerLoad:
        """What the scheduler says of it."""
        if self._seen is None:
            self._seen = self._view()
        return self._seen

    def _view(self) -> WorkerLoad:
        limit, held = self.spec.memory_bytes, self.held.values()
        managed = self.held_bytes + self.copied_bytes
        return WorkerLoad(
            threads=self.spec.threads,
            memory_bytes=limit or None,
            resources=self.spec.resources,
            executing=len(self.running),
            processing=len(self.running),
            managed_bytes=managed,
            sole_bytes=self.held_bytes,
            sole_keys=sum(one.keys for one in held),
            recompute_seconds=sum(one.seconds for one in held),
            spilled_bytes=max(0, managed - int(_SPILL_SHARE * limit)) if limit else 0,
            actors=self.actors,
            gang=self.gang,
            status="closing" if self.is_cordoned else "running",
            idle_since=self.idle_since,
            busy_seconds=self.busy_seconds,
            joined_at=self.joined,
        )
