"""Runs a tick against a simulated world, as the daemon does against the real one.

    read the ports -> tick -> commit -> execute the actions -> let time pass -> again

The commit comes before the first action. `passing` is called by name at every step, and may raise
to crash the driver there; a new driver with the same record then goes on as a new daemon would.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from costplan.adapters.performing import perform
from costplan.adapters.sim.clock import VirtualClock
from costplan.adapters.sim.provider import SimProvider
from costplan.planner.asked import DemandPart
from costplan.planner.errors import (
    ClusterUnreachable,
    ProviderError,
)
from costplan.planner.foretell import Foreteller
from costplan.planner.guard import Policy
from costplan.planner.ledger import LedgerEntry
from costplan.planner.needs import Needs
from costplan.planner.ports import Cluster
from costplan.planner.settings import Settings
from costplan.planner.tick import (
    Action,
    ActionOutcome,
    Control,
    MovePlan,
    Readings,
    Snapshot,
    State,
)
from costplan.planner.types import Gap, Offer, OfferKey, Quote

T = TypeVar("T")
_Market = tuple[list[tuple[OfferKey, bool]], list[tuple[OfferKey, Decimal, float | None]]]


class Crash(BaseException):
    """The driver dies here, as by SIGKILL: nothing catches it on the way."""


class Held(Protocol):
    """What a driver reads and acts on: a clock, a provider with its prices, and a cluster."""

    @property
    def clock(self) -> VirtualClock: ...
    @property
    def provider(self) -> SimProvider: ...
    @property
    def cluster(self) -> Cluster: ...


class Ticked(Protocol):
    """What a tick hands back, as far as a driver looks at it."""

    @property
    def state(self) -> State: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def plan(self) -> MovePlan | None: ...
    @property
    def actions(self) -> tuple[Action, ...]: ...
    @property
    def entries(self) -> tuple[LedgerEntry, ...]: ...
    @property
    def needs(self) -> Needs: ...


class Tick(Protocol):
    """`planner.loop.tick`."""

    def __call__(
        self,
        readings: Readings,
        state: State,
        settings: Settings,
        policies: Sequence[Policy],
        *,
        replan: bool,
    ) -> Ticked: ...


class Record(Protocol):
    """What outlives the driver."""

    def load(self) -> State: ...
    def commit(
        self,
        readings: Readings,
        ticked: Ticked,
        settings: Settings,
        demand: tuple[DemandPart, ...] = (),
    ) -> None: ...


@dataclass(slots=True)
class Memory:
    """A record that keeps the last state and all entries, and can be told of an operator."""

    state: State = field(default_factory=State)
    entries: list[LedgerEntry] = field(default_factory=list)
    control: Control = Control()

    def load(self) -> State:
        """The last state, under what the operator says now."""
        return replace(self.state, control=self.control)

    def commit(
        self,
        readings: Readings,
        ticked: Ticked,
        settings: Settings,
        demand: tuple[DemandPart, ...] = (),
    ) -> None:
        """The state, and the entries after those there are."""
        del readings, settings, demand
        self.state = ticked.state
        self.entries.extend(ticked.entries)


def nothing_happens(name: str) -> None:
    """Passes every step."""


@dataclass(slots=True)
class Driver:
    """Holds a cluster in a simulated world, tick after tick; a foreteller tells it of demand."""

    world: Held
    tick: Tick
    settings: Settings
    policies: Sequence[Policy]
    record: Record
    plan_seconds: float = 60.0
    passing: Callable[[str], None] = nothing_happens
    checks: list[Callable[[Driver, Ticked], None]] = field(default_factory=list)
    history: deque[Ticked] = field(default_factory=lambda: deque(maxlen=50))
    ticks: int = 0
    outcomes: list[ActionOutcome] = field(default_factory=list)
    foreteller: Foreteller | None = None
    _planned_at: datetime | None = None
    _named: tuple[_Market | None, str] = (None, "")

    def run(self, seconds: float, every: float = 5.0) -> None:
        """Ticks, and lets `every` seconds pass after each, until `seconds` have passed."""
        for _ in range(round(seconds / every)):
            self.step()
            self.world.clock.advance(every)

    def step(self, *, replan: bool = False) -> Ticked:
        """One tick: read, decide, commit, act."""
        readings = self.read()
        now = readings.at
        is_due = (
            self._planned_at is None
            or (now - self._planned_at).total_seconds() >= self.plan_seconds
        )
        if replan or is_due:
            self._planned_at = now
        state, teller = self.record.load(), self.foreteller
        if teller is not None:
            readings = teller.told(readings, state, self.settings, refresh=replan or is_due)
        ticked = self.tick(readings, state, self.settings, self.policies, replan=replan or is_due)
        self.passing("tick.before_commit")
        unkept = () if teller is None else teller.unkept
        self.record.commit(readings, ticked, self.settings, unkept)
        if teller is not None:
            teller.kept(ticked.snapshot, ticked.needs)
        self.passing("tick.after_commit")
        self.outcomes = []
        for action in ticked.actions:
            name = type(action).__name__.lower()
            self.passing(f"{name}.before")
            outcome = perform(action, self.world.provider, self.world.cluster, self.world.clock)
            self.passing(f"{name}.after")
            self.outcomes.append(outcome)
        self.passing("tick.after_actions")
        self.ticks += 1
        self.history.append(ticked)
        for check in self.checks:
            check(self, ticked)
        return ticked

    def read(self) -> Readings:
        """The world as it can be read now; what cannot be is None, with a gap."""
        gaps: list[Gap] = []
        provider, cluster = self.world.provider, self.world.cluster
        load = _tried("load", cluster.load, gaps)
        machines = _tried("machines", provider.nodes, gaps)
        notices = _tried("notices", provider.notices, gaps)
        offers = _tried("offers", provider.offers, gaps)
        quotes = _tried("prices", lambda: provider.quotes(provider.keys), gaps)
        return Readings(
            at=self.world.clock(),
            load=load,
            machines=None if machines is None else tuple(machines),
            notices=None if notices is None else tuple(notices),
            offers=tuple(offers or ()),
            quotes=tuple(quotes or ()),
            outcomes=tuple(self.outcomes),
            gaps=tuple(gaps),
            market_digest=self._market(offers or (), quotes or ()),
        )

    def _market(self, offers: Sequence[Offer], quotes: Sequence[Quote]) -> str:
        """What names the market, put into words again where it has changed."""
        market = (
            [(o.key, o.available) for o in offers],
            [(q.key, q.usd_per_hour, q.hazard_per_hour) for q in quotes],
        )
        if market != self._named[0]:
            digest = hashlib.sha256(repr(market).encode()).hexdigest()[:16]
            self._named = market, digest
        return self._named[1]


def _tried(kind: str, read: Callable[[], T], gaps: list[Gap]) -> T | None:
    try:
        return read()
    except (ProviderError, ClusterUnreachable) as error:
        gaps.append(Gap(kind=kind, subject=str(error), assumed="nothing"))
        return None
