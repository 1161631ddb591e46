"""A record in a real store: what a daemon would find there after a crash."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from costplan.adapters.sim.clock import VirtualClock
from costplan.adapters.sim.drive import Ticked
from costplan.adapters.store.records import TickCommit
from costplan.adapters.store.store import Store
from costplan.planner.asked import DemandPart
from costplan.planner.foretell import Foreteller
from costplan.planner.settings import Settings
from costplan.planner.tick import Readings, State

_LEASE_SECONDS = 10 * 86400.0


class Kept:
    """The store in a file. `reopen` is what a new process does.

    Only the driver dies in simulations, never the computer, so nobody waits for the disk.
    """

    def __init__(self, path: Path, clock: VirtualClock) -> None:
        self.path, self.clock = path, clock
        self.state = State()
        self.ticks = 0
        self.store = self._open()

    def _open(self) -> Store:
        store = Store.open(self.path, clock=self.clock)
        store.acquire_lease(f"simulation {self.ticks}", self.clock(), 0.001)
        store.renew_lease(self.clock(), _LEASE_SECONDS)
        self.state = store.load_state()
        store._db.execute("PRAGMA synchronous = OFF")
        return store

    def reopen(self) -> None:
        """Forgets all that was in memory."""
        self.close()
        self.store = self._open()

    def close(self) -> None:
        """Gives back the lease and the file."""
        self.store.release_lease()
        self.store.close()

    def load(self) -> State:
        """The state as the last commit left it, under what the operator says now."""
        return replace(self.state, control=self.store.read_control())

    def commit(
        self,
        readings: Readings,
        ticked: Ticked,
        settings: Settings,
        demand: tuple[DemandPart, ...] = (),
    ) -> None:
        """Keeps the tick; now and then lets go of what is old."""
        self.ticks += 1
        before, self.state = self.state, ticked.state
        self.store.commit(
            TickCommit(
                tick_id=f"{ticked.snapshot.at:%Y%m%dT%H%M%S}-{self.ticks}",
                at=readings.at,
                replan=ticked.plan is not None,
                mode=ticked.snapshot.mode,
                gaps=ticked.snapshot.gaps,
                readings=readings,
                state_before=before,
                state_after=ticked.state,
                settings=settings,
                snapshot_digest=ticked.snapshot.digest,
                plan=ticked.plan,
                actions=ticked.actions,
                entries=ticked.entries,
                version="simulated",
                summary={},
                demand=demand,
            )
        )
        if self.ticks % 100 == 0:
            self.store.prune(self.clock())

    def foreteller(self, settings: Settings) -> Foreteller:
        """What a daemon that starts now foretells with."""
        return Foreteller(self.store.demand(settings.cluster), self.clock())

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with closing(sqlite3.connect(self.path)) as db:
            tables = [
                name
                for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            return {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}  # noqa: S608 - ours
