"""A cloud that exists on a virtual clock only: its pools, its machines, and its bill.

Several providers may look at one cloud, each with its own cluster's tag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from costplan.adapters.sim.clock import MICROS, VirtualClock
from costplan.adapters.sim.machines import (
    BillLine,
    Fates,
    Machine,
    Pool,
    bill_line,
    draw_fate,
)
from costplan.planner.errors import CapacityUnavailable, QuotaExceeded, RequestRejected
from costplan.planner.nodes import LaunchRequest, MachineState, Notice
from costplan.planner.types import OfferKey

_FAR_SECONDS = 100 * 365 * 86400.0
"""No simulation lasts so long: a backtest of ten years is given up after ten times that."""


class Guests(Protocol):
    """Who lives on the machines and is told what becomes of them."""

    def booted(self, machine: Machine) -> None:
        """The machine is up: its workers may start."""
        ...

    def stopped(self, machine: Machine, cause: str) -> None:
        """The machine is gone, and all that ran on it: 'terminated', 'reclaimed' or 'failed'."""
        ...

    def hung(self, machine: Machine) -> None:
        """The machine does nothing any more, and nobody has been told."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the cloud knows of the customer and how it treats machines that ended.

    `most_machines` is a quota; ended machines are listed for `ended_listed_seconds`. A cloud that
    does not tell its room offers what it has none of, and refuses it when it is asked.
    """

    name: str = "sim"
    seed: int = 0
    most_machines: int | None = None
    ended_listed_seconds: float = 600.0
    tells_room: bool = True


class SimCloud:
    """The simulated cloud. Whoever calls it holds the clock's lock, or is its only thread."""

    def __init__(
        self,
        clock: VirtualClock,
        pools: Iterable[Pool],
        *,
        account: Account | None = None,
        fates: Fates | None = None,
    ) -> None:
        self.account = account or Account()
        self.name = self.account.name
        self.fates = fates or Fates()
        self.clock = clock
        self.pools: Mapping[OfferKey, Pool] = {pool.key: pool for pool in pools}
        self.takes_machines = True
        """Whether machines that are launched from now on may be taken away by their hazard."""
        self.guests: list[Guests] = []
        self.listed: dict[str, Machine] = {}
        """Machines that are listed, by id: those that run, and those that ended lately."""
        self.notices: dict[str, Notice] = {}
        """Warnings in force, by machine."""
        self._unlisted: dict[str, Machine] = {}
        self._by_token: dict[tuple[str, str], Machine] = {}
        self._alive: Counter[OfferKey] = Counter()
        self._started = 0

    # What a test looks at, and what a scenario does.

    def machines(self) -> tuple[Machine, ...]:
        """Every machine that ever was, in the order of their launches."""
        every = (*self._unlisted.values(), *self.listed.values())
        return tuple(sorted(every, key=lambda machine: machine.machine_id))

    def find(self, machine_id: str) -> Machine | None:
        """The machine of that id, listed or not."""
        return self.listed.get(machine_id) or self._unlisted.get(machine_id)

    def bill(self) -> tuple[BillLine, ...]:
        """What each machine has cost until now."""
        return tuple(bill_line(machine, self.clock.micros) for machine in self.machines())

    def interrupt(self, machine_id: str, in_seconds: float, kind: str = "reclaim") -> None:
        """A notice now, and the machine is taken `in_seconds` from now; a 'rebalance' is a hint
        and takes nothing."""
        with self.clock.lock:
            machine = self.listed[machine_id]
            self._warn(machine, in_seconds, kind)
            if kind != "rebalance":
                self.clock.after(in_seconds, partial(self._end, machine, "reclaimed"))

    def reclaim(self, machine_id: str) -> None:
        """The machine is taken away now, without a word before."""
        with self.clock.lock:
            self._end(self.listed[machine_id], "reclaimed")

    def fail(self, machine_id: str) -> None:
        """The machine dies now, without a word before; it is listed as failed."""
        with self.clock.lock:
            self._end(self.listed[machine_id], "failed")

    def vanish(self, machine_id: str) -> None:
        """The machine dies now and is not listed any more."""
        with self.clock.lock:
            self._vanish(self.listed[machine_id])

    def hang(self, machine_id: str) -> None:
        """The machine does nothing any more; the cloud takes it for running."""
        with self.clock.lock:
            self._hang(self.listed[machine_id])

    # What a provider asks.

    def room(self, pool: Pool) -> int | None:
        """How many more machines the pool has now, None for any number."""
        capacity = pool.capacity.at(self.clock.micros)
        return None if capacity is None else max(0, capacity - self._alive[pool.key])

    def launch(self, request: LaunchRequest) -> Machine:
        """The machine of that request, which is started unless it was before."""
        known = self._by_token.get((request.cluster, request.token))
        if known is not None:
            if known.request != request:
                raise self._rejected(request, "the token was used for another request")
            return known
        if any(key not in self.pools for key in request.keys):
            raise self._rejected(request, "an offer that is not sold here")
        most = self.account.most_machines
        if most is not None and self._alive.total() >= most:
            raise QuotaExceeded(self.name, "launch", request.node_id, "machines", most)
        for key in request.keys:
            if self.room(self.pools[key]) != 0:
                return self._start(request, self.pools[key])
        raise CapacityUnavailable(self.name, "launch", str(request.keys[0]))

    def _rejected(self, request: LaunchRequest, code: str) -> RequestRejected:
        return RequestRejected(self.name, "launch", request.node_id, code)

    def _start(self, request: LaunchRequest, pool: Pool) -> Machine:
        self._started += 1
        machine = Machine(
            machine_id=f"{self.name}-{self._started:06d}",
            request=request,
            pool=pool,
            launched=self.clock.micros,
        )
        self.listed[machine.machine_id] = machine
        self._by_token[request.cluster, request.token] = machine
        self._alive[pool.key] += 1
        self._foresee(machine)
        return machine

    def _foresee(self, machine: Machine) -> None:
        """Sets the alarms of all that will become of the machine."""
        pool = machine.pool
        seed = f"{self.account.seed}/{machine.request.token}"
        hazard = pool.hazard_per_hour if self.takes_machines else 0.0
        fate = draw_fate(seed, self.fates, hazard)
        to_come: list[tuple[float | None, Callable[[], None]]] = [
            (fate.boots, partial(self._boot, machine)),
            (fate.reclaimed, partial(self._end, machine, "reclaimed")),
            (fate.fails, partial(self._end, machine, "failed")),
            (fate.vanishes, partial(self._vanish, machine)),
            (fate.hangs, partial(self._hang, machine)),
        ]
        if fate.reclaimed is not None:
            notice = max(0.0, fate.reclaimed - pool.notice_seconds)
            warn = partial(self._warn, machine, fate.reclaimed - notice, "reclaim")
            to_come.append((notice, warn))
        machine.alarms = [
            self.clock.after(seconds, do)
            for seconds, do in to_come
            if seconds is not None and seconds < _FAR_SECONDS
        ]

    # What becomes of machines.

    def _boot(self, machine: Machine) -> None:
        if machine.state is MachineState.PENDING:
            machine.change(MachineState.RUNNING)
            for guest in self.guests:
                guest.booted(machine)

    def _warn(self, machine: Machine, in_seconds: float, kind: str) -> None:
        if machine.ended is None and machine.state is not MachineState.STOPPING:
            at = self.clock.micros + round(in_seconds * MICROS)
            self.notices[machine.machine_id] = Notice(
                provider_id=machine.machine_id,
                kind=kind,
                effective_at=self.clock.instant(at),
                observed_at=self.clock(),
            )

    def _hang(self, machine: Machine) -> None:
        if machine.state in (MachineState.PENDING, MachineState.RUNNING):
            for guest in self.guests:
                guest.hung(machine)

    def stop(self, machine: Machine) -> None:
        """Ends it, unless it has ended or is about to."""
        if machine.state in (MachineState.PENDING, MachineState.RUNNING):
            machine.change(MachineState.STOPPING)
            self._leave(machine, "terminated")
            self.clock.after(self.fates.stop_seconds, partial(self._end, machine, "terminated"))

    def _end(self, machine: Machine, cause: str) -> None:
        if machine.ended is not None:
            return
        if machine.state is not MachineState.STOPPING:
            self._leave(machine, cause)
        machine.ended, machine.end_cause = self.clock.micros, cause
        machine.change(MachineState.ENDED)
        for alarm in machine.alarms:
            alarm.cancel()
        self._alive[machine.pool.key] -= 1
        self.clock.after(self.account.ended_listed_seconds, partial(self._unlist, machine))

    def _vanish(self, machine: Machine) -> None:
        self._end(machine, "failed")
        self._unlist(machine)

    def _unlist(self, machine: Machine) -> None:
        if machine.is_listed:
            machine.is_listed = False
            self._unlisted[machine.machine_id] = self.listed.pop(machine.machine_id)

    def _leave(self, machine: Machine, cause: str) -> None:
        self.notices.pop(machine.machine_id, None)
        for guest in self.guests:
            guest.stopped(machine, cause)
