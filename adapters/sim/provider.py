"""The simulated cloud through the port: `SimProvider` is a Provider and a PriceFeed.

It keeps the contract of `planner.ports`, and goes wrong in every way that the contract allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from costplan.adapters.sim.cloud import SimCloud
from costplan.adapters.sim.faults import Fault, Faults
from costplan.adapters.sim.machines import Machine
from costplan.planner.errors import (
    CapacityUnavailable,
    CredentialsRejected,
    OutcomeUnknown,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import LaunchRequest, Notice, ProviderNode
from costplan.planner.types import Offer, OfferKey, Quote

_LATE_SECONDS = 20.0


class SimProvider:
    """What one cluster sees of a cloud. All is done under the clock's lock."""

    def __init__(self, cloud: SimCloud, cluster: str = "sim", faults: Faults | None = None) -> None:
        self.name = cloud.name
        self.cluster = cluster
        self.faults = faults or Faults(seed=cloud.account.seed)
        self.calls: Counter[str] = Counter()
        self.strangers: list[str] = []
        """Ids that were to be terminated and were never ours: must stay empty."""
        self._cloud = cloud
        self._clock = cloud.clock
        self._pools = [cloud.pools[key] for key in sorted(cloud.pools)]
        self._offers = [
            (replace(pool.offer, available=False), replace(pool.offer, available=True))
            for pool in cloud.pools.values()
        ]

    # The five verbs and the price feed.

    def offers(self) -> Sequence[Offer]:
        """All that can be bought; an offer without capacity is marked unavailable where the cloud
        tells."""
        with self._clock.lock:
            self._read("offers")
            pools = zip(self._offers, self._cloud.pools.values(), strict=True)
            if not self._cloud.account.tells_room:
                return tuple(offer for _, offer in self._offers)
            return tuple(offer[self._cloud.room(pool) != 0] for offer, pool in pools)

    def nodes(self) -> Sequence[ProviderNode]:
        """Every machine of the cluster, ended ones for a while."""
        with self._clock.lock:
            self._read("nodes")
            return tuple(machine.view(self._clock, self.name) for machine in self._ours())

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
            notices = self._cloud.notices
            ours = (machine.machine_id for machine in self._ours())
            return tuple(notices[name] for name in ours if name in notices)

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """The price in force of each key that is sold here."""
        with self._clock.lock:
            self._read("quotes")
            now, micros, wanted = self._clock(), self._clock.micros, frozenset(keys)
            return tuple(
                Quote(
                    key=pool.key,
                    usd_per_hour=pool.usd_per_hour.at(micros),
                    hazard_per_hour=pool.quoted_hazard_per_hour,
                    observed_at=now,
                    source=self.name,
                )
                for pool in self._pools
                if pool.key in wanted
            )

    @property
    def keys(self) -> tuple[OfferKey, ...]:
        """All that is sold here."""
        return tuple(self._cloud.pools)

    def _ours(self) -> list[Machine]:
        listed = self._cloud.listed.values()
        return [machine for machine in listed if machine.request.cluster == self.cluster]

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

    # Changes.

    def _launch(self, request: LaunchRequest) -> Machine:
        if request.cluster != self.cluster:
            code = f"not the cluster {self.cluster!r}"
            raise RequestRejected(self.name, "launch", request.node_id, code)
        return self._cloud.launch(request)

    def _launch_late(self, request: LaunchRequest) -> None:
        """The request arrives when nobody waits for the answer, unless it was sent again since."""
        try:
            self._launch(request)
        except (CapacityUnavailable, QuotaExceeded, RequestRejected):
            return

    def _stop_all(self, machine_ids: tuple[str, ...]) -> None:
        for machine_id in machine_ids:
            machine = self._cloud.find(machine_id)
            if machine is not None and machine.request.cluster == self.cluster:
                self._cloud.stop(machine)
            else:
                self.strangers.append(machine_id)
