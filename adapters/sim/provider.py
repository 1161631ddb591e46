"""A cloud that exists on a virtual clock only: `SimProvider` is a Provider and a PriceFeed.

It keeps the contract of `planner.ports` and goes wrong in every way that the contract allows.
Whatever it is asked, it writes an independent bill: each machine's price over its life.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from costplan.adapters.sim.clock import VirtualClock
from costplan.adapters.sim.faults import Fault, Faults
from costplan.adapters.sim.machines import (
    BillLine,
    Fates,
    Machine,
    Pool,
    bill_line,
    draw_fate,
)
from costplan.planner.errors import (
    CapacityUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import LaunchRequest, MachineState, Notice, ProviderNode
from costplan.planner.types import Offer, OfferKey, Quote

_LATE_SECONDS = 20.0
_FAR_SECONDS = 30 * 86400.0


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

    `most_machines` is a quota; ended machines are listed for `ended_listed_seconds`.
    """

    name: str = "sim"
    cluster: str = "sim"
    seed: int = 0
    most_machines: int | None = None
    ended_listed_seconds: float = 600.0


class SimProvider:
    """The simulated cloud. All of its state changes under the clock's lock."""

    def __init__(
        self,
        clock: VirtualClock,
        pools: Iterable[Pool],
        *,
        account: Account | None = None,
        fates: Fates | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.account = account or Account()
        self.name = self.account.name
        self.fates = fates or Fates()
        self.faults = faults or Faults(seed=self.account.seed)
        self.guests: list[Guests] = []
        self.calls: Counter[str] = Counter()
        self.strangers: list[str] = []
        """Ids that were to be terminated and were never ours: must stay empty."""
        self._clock = clock
        self._pools = {pool.key: pool for pool in pools}
        self._machines: dict[str, Machine] = {}
        self._unlisted: dict[str, Machine] = {}
        self._by_token: dict[str, Machine] = {}
        self._notices: dict[str, Notice] = {}
        self._alive: Counter[OfferKey] = Counter()
        self._started = 0

    # The five verbs and the price feed.

    def offers(self) -> Sequence[Offer]:
        """All that can be bought; an offer without capacity is marked unavailable."""
        with self._clock.lock:
            self._read("offers")
            return tuple(
                replace(pool.offer, available=self._room(pool) != 0)
                for pool in self._pools.values()
            )

    def nodes(self) -> Sequence[ProviderNode]:
        """Every machine, ended ones for a while."""
        with self._clock.lock:
            self._read("nodes")
            return tuple(m.view(self._clock, self.name) for m in self._machines.values())

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """One machine of the first of the request's offers that has capacity."""
        with self._clock.lock:
            fault = self._change("launch", request.node_id)
            if fault is Fault.UNKNOWN_LATE:
                self._clock.after(_LATE_SECONDS, partial(self._launch_late, request))
            if fault in (Fault.UNKNOWN_LATE, Fault.UNKNOWN_NOT_DONE):
                raise OutcomeUnknown(self.name, "launch", request.node_id, request.token)
            machine = self._launch(request)
            if fault is Fault.UNKNOWN_DONE:
                raise OutcomeUnknown(self.name, "launch", request.node_id, request.token)
            return machine.view(self._clock, self.name)

    def terminate(self, provider_ids: Collection[str]) -> None:
        """Ends these machines; ids that are not there count as success."""
        with self._clock.lock:
            subject = ", ".join(sorted(provider_ids))
            fault = self._change("terminate", subject)
            if fault is Fault.UNKNOWN_LATE:
                self._clock.after(_LATE_SECONDS, partial(self._stop_all, tuple(provider_ids)))
            elif fault is not Fault.UNKNOWN_NOT_DONE:
                self._stop_all(tuple(provider_ids))
            if fault is not None:
                raise OutcomeUnknown(self.name, "terminate", subject, subject)

    def notices(self) -> Sequence[Notice]:
        """Warnings in force, of machines that still run."""
        with self._clock.lock:
            self._read("notices")
            return tuple(self._notices.values())

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """The price in force of each key that is sold here."""
        with self._clock.lock:
            self._read("quotes")
            now, micros = self._clock(), self._clock.micros
            return tuple(
                Quote(
                    key=key,
                    usd_per_hour=self._pools[key].usd_per_hour.at(micros),
                    hazard_per_hour=self._pools[key].quoted_hazard_per_hour,
                    observed_at=now,
                    source=self.name,
                )
                for key in sorted(keys)
                if key in self._pools
            )

    # What a scenario does, and what a test looks at.

    @property
    def keys(self) -> tuple[OfferKey, ...]:
        """All that is sold here."""
        return tuple(self._pools)

    def machines(self) -> tuple[Machine, ...]:
        """Every machine that ever was, in the order of their launches."""
        every = (*self._unlisted.values(), *self._machines.values())
        return tuple(sorted(every, key=lambda machine: machine.machine_id))

    def bill(self) -> tuple[BillLine, ...]:
        """What each machine has cost until now."""
        return tuple(bill_line(machine, self._clock.micros) for machine in self.machines())

    def interrupt(self, machine_id: str, in_seconds: float, kind: str = "reclaim") -> None:
        """A notice now, and the machine is taken `in_seconds` from now; a 'rebalance' is a hint
        and takes nothing."""
        with self._clock.lock:
            machine = self._machines[machine_id]
            self._warn(machine, in_seconds, kind)
            if kind != "rebalance":
                self._clock.after(in_seconds, partial(self._end, machine, "reclaimed"))

    def fail(self, machine_id: str) -> None:
        """The machine dies now, without a word before; it is listed as failed."""
        with self._clock.lock:
            self._end(self._machines[machine_id], "failed")

    def vanish(self, machine_id: str) -> None:
        """The machine dies now and is not listed any more."""
        with self._clock.lock:
            self._vanish(self._machines[machine_id])

    def hang(self, machine_id: str) -> None:
        """The machine does nothing any more; the cloud takes it for running."""
        with self._clock.lock:
            self._hang(self._machines[machine_id])

    # How calls go wrong.

    def _read(self, verb: str) -> None:
        self.calls[verb] += 1
        fault = self.faults.draw(verb)
        if fault is not None:
            self._refuse(fault, verb, self.name)

    def _change(self, verb: str, subject: str) -> Fault | None:
        """The fault that leaves the outcome of a change unknown; raises all the others."""
        self.calls[verb] += 1
        fault = self.faults.draw(verb)
        if fault in (None, Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE, Fault.UNKNOWN_LATE):
            return fault
        self._refuse(fault, verb, subject)
        return None

    def _refuse(self, fault: Fault, verb: str, subject: str) -> None:
        match fault:
            case Fault.THROTTLED:
                raise Throttled(self.name, verb, subject, retry_after_seconds=5)
            case Fault.CREDENTIALS:
                raise CredentialsRejected(self.name, verb, subject)
            case Fault.QUOTA:
                raise QuotaExceeded(self.name, verb, subject, "machines")
            case Fault.NO_CAPACITY if verb == "launch":
                raise CapacityUnavailable(self.name, verb, subject)
            case _:
                raise Unreachable(self.name, verb, subject)

    # Launching.

    def _launch_late(self, request: LaunchRequest) -> None:
        """The request arrives when nobody waits for the answer, unless it was sent again since."""
        try:
            self._launch(request)
        except (CapacityUnavailable, QuotaExceeded, RequestRejected):
            return

    def _launch(self, request: LaunchRequest) -> Machine:
        known = self._by_token.get(request.token)
        if known is not None:
            if known.request != request:
                raise self._rejected(request, "the token was used for another request")
            return known
        if request.cluster != self.account.cluster:
            raise self._rejected(request, f"not the cluster {self.account.cluster!r}")
        if any(key not in self._pools for key in request.keys):
            raise self._rejected(request, "an offer that is not sold here")
        most = self.account.most_machines
        if most is not None and self._alive.total() >= most:
            raise QuotaExceeded(self.name, "launch", request.node_id, "machines", most)
        for key in request.keys:
            if self._room(self._pools[key]) != 0:
                return self._start(request, self._pools[key])
        raise CapacityUnavailable(self.name, "launch", str(request.keys[0]))

    def _rejected(self, request: LaunchRequest, code: str) -> RequestRejected:
        return RequestRejected(self.name, "launch", request.node_id, code)

    def _room(self, pool: Pool) -> int | None:
        capacity = pool.capacity.at(self._clock.micros)
        return None if capacity is None else max(0, capacity - self._alive[pool.key])

    def _start(self, request: LaunchRequest, pool: Pool) -> Machine:
        self._started += 1
        machine = Machine(
            machine_id=f"{self.name}-{self._started:06d}",
            request=request,
            pool=pool,
            launched=self._clock.micros,
        )
        self._machines[machine.machine_id] = machine
        self._by_token[request.token] = machine
        self._alive[pool.key] += 1
        self._foresee(machine)
        return machine

    def _foresee(self, machine: Machine) -> None:
        """Sets the alarms of all that will become of the machine."""
        pool = machine.pool
        seed = f"{self.account.seed}/{machine.request.token}"
        fate = draw_fate(seed, self.fates, pool.hazard_per_hour)
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
            self._clock.after(seconds, do)
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
            at = self._clock.micros + round(in_seconds * 1_000_000)
            self._notices[machine.machine_id] = Notice(
                provider_id=machine.machine_id,
                kind=kind,
                effective_at=self._clock.instant(at),
                observed_at=self._clock(),
            )

    def _hang(self, machine: Machine) -> None:
        if machine.state in (MachineState.PENDING, MachineState.RUNNING):
            for guest in self.guests:
                guest.hung(machine)

    def _stop_all(self, machine_ids: tuple[str, ...]) -> None:
        for machine_id in machine_ids:
            machine = self._machines.get(machine_id)
            if machine is not None:
                self._stop(machine)
            elif machine_id not in self._unlisted:
                self.strangers.append(machine_id)

    def _stop(self, machine: Machine) -> None:
        if machine.state in (MachineState.PENDING, MachineState.RUNNING):
            machine.change(MachineState.STOPPING)
            self._leave(machine, "terminated")
            self._clock.after(self.fates.stop_seconds, partial(self._end, machine, "terminated"))

    def _end(self, machine: Machine, cause: str) -> None:
        if machine.ended is not None:
            return
        if machine.state is not MachineState.STOPPING:
            self._leave(machine, cause)
        machine.ended, machine.end_cause = self._clock.micros, cause
        machine.change(MachineState.ENDED)
        for alarm in machine.alarms:
            alarm.cancel()
        self._alive[machine.pool.key] -= 1
        self._clock.after(self.account.ended_listed_seconds, partial(self._unlist, machine))

    def _vanish(self, machine: Machine) -> None:
        self._end(machine, "failed")
        self._unlist(machine)

    def _unlist(self, machine: Machine) -> None:
        if machine.is_listed:
            machine.is_listed = False
            self._unlisted[machine.machine_id] = self._machines.pop(machine.machine_id)

    def _leave(self, machine: Machine, cause: str) -> None:
        self._notices.pop(machine.machine_id, None)
        for guest in self.guests:
            guest.stopped(machine, cause)
