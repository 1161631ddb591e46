"""The store: everything that must survive the daemon, in one SQLite file.

A tick is committed whole, before anything that it decided is done: nodes, intents, ledger, and
the inputs from which it can be run again. See docs/store.md.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from costplan.adapters.faults import reach
from costplan.adapters.store import control
from costplan.adapters.store.again import write_again
from costplan.adapters.store.bodies import Packer
from costplan.adapters.store.database import connect, identity, require_in_place, told
from costplan.adapters.store.demand import read_clusters, read_demand, write_demand
from costplan.adapters.store.entries import Known, Recording, write_entries
from costplan.adapters.store.journal import read_open, write_intents, write_outcomes
from costplan.adapters.store.late_news import as_charged
from costplan.adapters.store.lease import LeaseHeld, LeaseLost, LeaseRow, read_lease, take_lease
from costplan.adapters.store.ledger import read_recorded, total_pico
from costplan.adapters.store.owners import write_owner
from costplan.adapters.store.parts import blob_of, closure
from costplan.adapters.store.plans import read_plans, write_plan
from costplan.adapters.store.records import StoredTick, TickCommit
from costplan.adapters.store.retention import prune
from costplan.adapters.store.ticks import read_state, read_tick, write_blobs, write_tick
from costplan.adapters.store.work import NodeOf, read_seen, read_work, write_work
from costplan.planner.asked import DemandPart
from costplan.planner.codec import decode, encode
from costplan.planner.errors import InputError, StoreError
from costplan.planner.finance.expected import Stretch
from costplan.planner.ledger import LedgerEntry
from costplan.planner.nodes import Node
from costplan.planner.status import Lease
from costplan.planner.tick import (
    Action,
    AppliedPlan,
    Control,
    DrainRequest,
    State,
)
from costplan.planner.types import Phase
from costplan.planner.units import usd_from_pico
from costplan.planner.work import WorkBatch, WorkRow

__all__ = ["LeaseHeld", "LeaseLost", "Store", "StoreError", "StoredTick", "TickCommit"]


class Store:
    """One cluster's store. Safe to use from several threads; one process writes, by its lease."""

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Callable[[], datetime]):
        self.path, self._db, self._clock = path, connection, clock
        self._lock = threading.RLock()
        self._file = identity(path)
        self._packer = Packer()
        self._stored: dict[str, Node] = {}
        self._kept: frozenset[bytes] = frozenset()
        self._fence: int | None = None
        self._known = Known()

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, clock: Callable[[], datetime]) -> Store:
        """The store in a file, made where there is none yet; raises StoreError."""
        return cls(path, connect(path, read_only=read_only), clock)

    def close(self) -> None:
        """Gives the file back; a lease stays until it ends or is released."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing, and in words what went wrong."""
        with self._lock, told(self.path):
            require_in_place(self.path, self._file)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._known = Known()
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one commit and none after it."""
        with self._lock, told(self.path):
            self._db.execute("BEGIN")
            try:
                yield self._db
            except InputError as error:
                problem = f"is damaged: {error.subject} {error.problem}"
                raise StoreError(str(self.path), problem, error.remedy) from error
            except zlib.error as error:
                remedy = "restore a backup (docs/store.md)"
                raise StoreError(str(self.path), f"is damaged: {error}", remedy) from error
            finally:
                with suppress(sqlite3.Error):
                    self._db.execute("COMMIT")

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, told(self.path):
            return self._db.execute(query, values).fetchall()

    # The lease

    def acquire_lease(self, holder: str, now: datetime, ttl_seconds: float) -> None:
        """Makes this process the one that writes; raises LeaseHeld where another is."""
        with self._writing() as db:
            self._fence = take_lease(db, holder, now, ttl_seconds).fence

    def renew_lease(self, now: datetime, ttl_seconds: float) -> None:
        """Puts the end of our lease off; raises LeaseLost where it is not ours any more."""
        with self._writing() as db:
            self._check_fence(db)
            until = (now + timedelta(seconds=ttl_seconds)).isoformat()
            db.execute("UPDATE lease SET until = ?", (until,))

    def release_lease(self) -> None:
        """Gives the lease back, where it is ours."""
        with self._writing() as db:
            row = read_lease(db)
            if row is not None and row.fence == self._fence:
                db.execute("UPDATE lease SET until = since")
            self._fence = None

    def lease(self) -> Lease | None:
        """Who may act on the cluster, None where nobody may."""
        row = self.lease_row()
        if row is None or row.until <= row.since:
            return None
        return Lease(holder=f"{row.holder}, process {row.pid} on {row.host}", expires_at=row.until)

    def lease_row(self) -> LeaseRow | None:
        """The lease, ended ones too."""
        with self._lock, told(self.path):
            return read_lease(self._db)

    def _check_fence(self, db: sqlite3.Connection) -> None:
        row = read_lease(db)
        if self._fence is None or row is None or row.fence != self._fence:
            raise LeaseLost(row)

    # State and ticks

    def load_state(self) -> State:
        """The state after the newest tick, with what the operator has said since."""
        with self._reading() as db:
            state = read_state(db)
        self._stored = dict(state.nodes)
        return state

    def commit(self, tick: TickCommit) -> None:
        """Keeps a tick, all of it or nothing. Raises LeaseLost, and StoreError where it cannot."""
        packed = self._packer.pack(tick)
        blobs = closure((*packed.parts, *packed.state_parts))
        new = [blob for digest, blob in blobs.items() if digest not in self._kept]
        reach("store.commit.before")
        with self._writing() as db:
            self._check_fence(db)
            self._write_nodes(db, tick)
            write_blobs(db, new)
            write_tick(db, tick, packed)
            write_outcomes(db, tick.readings.outcomes)
            write_intents(db, tick.tick_id, tick.at, tick.actions)
            entries = as_charged(db, self.path, tick.entries)
            write_entries(db, entries, _recording(tick), self._known)
            if tick.entries:
                write_owner(db, tick.settings, tick.at)
            write_again(db, tick)
            write_demand(db, tick.settings.cluster, tick.demand)
            write_plan(db, tick)
            reach("store.commit.in")
        self._stored = dict(tick.state_after.nodes)
        # What the newest tick refers to is never let go of.
        self._kept = frozenset(blobs)
        reach("store.commit.after")

    def _write_nodes(self, db: sqlite3.Connection, tick: TickCommit) -> None:
        after = tick.state_after.nodes
        changed = [
            node
            for node_id, node in after.items()
            if (old := self._stored.get(node_id)) is not node and old != node
        ]
        for node in changed:
            blob = blob_of(self._packer.nodes.text(node.node_id, node))
            since = node.phase_since.isoformat()
            db.execute(
                "INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, 1, ?, ?)",
                (node.node_id, node.phase.value, since, blob.digest.hex(), blob.data),
            )
        dropped = [(node_id,) for node_id in self._stored if node_id not in after]
        db.executemany("UPDATE nodes SET is_current = 0 WHERE node_id = ?", dropped)

    def open_intents(self) -> tuple[Action, ...]:
        """Actions that were decided and of which no outcome is known."""
        with self._lock, told(self.path):
            return read_open(self._db)

    def tick(self, tick_id: str) -> StoredTick | None:
        """The tick of this id, the newest where two had the same."""
        return next(self._ticks("WHERE tick_id = ? ORDER BY seq DESC LIMIT 1", (tick_id,)), None)

    def last_tick(self) -> StoredTick | None:
        """The newest tick."""
        return next(self._ticks("ORDER BY seq DESC LIMIT 1", ()), None)

    def last_planned(self) -> StoredTick | None:
        """The newest tick that made a plan."""
        return next(self._ticks("WHERE has_plan = 1 ORDER BY seq DESC LIMIT 1", ()), None)

    def ticks(self, limit: int) -> Iterator[StoredTick]:
        """The newest ticks, newest first, each read as it is asked for."""
        return self._ticks("ORDER BY seq DESC LIMIT ?", (limit,))

    def _ticks(self, which: str, values: Sequence[Any]) -> Iterator[StoredTick]:
        for (seq,) in self._rows(f"SELECT seq FROM ticks {which}", values):  # noqa: S608 - ours
            with self._reading() as db:
                stored = read_tick(db, seq)
            if stored is not None:
                yield stored

    # Ledger and nodes

    def entries(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[LedgerEntry, ...]:
        """Ledger entries that touch [start, end), in the order of their start and node, those of
        archived months too. Raises StoreError."""
        with self._reading() as db:
            found = list(read_recorded(db, self.path, start, end))
        found.sort(key=lambda each: (each.entry.start, each.entry.node_id, each.entry_id))
        return tuple(each.entry for each in found)

    def total_usd(self) -> Decimal:
        """The exact sum of the ledger."""
        with self._reading() as db:
            return usd_from_pico(total_pico(db))

    def nodes(
        self, *, including_gone: bool = True, since: datetime | None = None
    ) -> tuple[Node, ...]:
        """Nodes by id; gone ones only where they were gone at or after `since`."""
        rows = self._rows(
            """SELECT data FROM nodes WHERE (phase != ?1 OR (?2 AND phase_since >= ?3))
            ORDER BY node_id""",
            (Phase.GONE.value, int(including_gone), "" if since is None else since.isoformat()),
        )
        return tuple(decode(zlib.decompress(data), Node) for (data,) in rows)

    def plans(self, start: datetime, end: datetime) -> tuple[Stretch, ...]:
        """The fleets that plans expected during [start, end), in the order of time."""
        with self._reading() as db:
            return read_plans(db, start, end)

    # Demand

    def demand(self, cluster: str) -> tuple[DemandPart, ...]:
        """What was asked for of each kind of worker of a cluster, a part a step, in order."""
        with self._reading() as db:
            return read_demand(db, cluster)

    def demand_clusters(self) -> tuple[str, ...]:
        """Clusters whose demand is known, by name."""
        with self._reading() as db:
            return read_clusters(db)

    # Work

    def keep_work(self, batch: WorkBatch, node_of: NodeOf) -> None:
        """Keeps windows of finished work that are new; raises LeaseLost and StoreError."""
        with self._writing() as db:
            self._check_fence(db)
            write_work(db, batch, node_of)

    def work_seen(self) -> tuple[str, int]:
        """The scheduler and the number of the last window that was kept."""
        with self._reading() as db:
            return read_seen(db)

    def work(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[WorkRow, ...]:
        """Finished work in steps that touch [start, end)."""
        with self._reading() as db:
            return tuple(read_work(db, start, end))

    # What the operator says

    def read_control(self) -> Control:
        """What the operator has said and not taken back."""
        with self._lock, told(self.path):
            return control.read_control(self._db)

    def pause(self, until: datetime) -> None:
        """Nothing is decided until then."""
        self._say(control.PAUSED, until.astimezone(UTC).isoformat())

    def resume(self) -> None:
        """Takes a pause back."""
        self._say(control.PAUSED, None)

    def clear_down(self) -> None:
        """The fleet may grow again."""
        self._say(control.DOWN, None)

    def request_drain(self, request: DrainRequest) -> None:
        """That a node must go."""
        with self._writing() as db:
            control.say_drain(db, request)

    def clear_drains(self, node_ids: Iterable[str]) -> None:
        """Takes requests back, or counts them as met."""
        with self._writing() as db:
            db.executemany("DELETE FROM drains WHERE node_id = ?", [(n,) for n in node_ids])

    def request_down(self, discard: bool = False) -> None:
        """That the whole fleet must go."""
        self._say(control.DOWN, "discard" if discard else "drain")

    def request_apply(self, plan: AppliedPlan) -> None:
        """That a reviewed plan be executed."""
        self._say(control.APPLIED, encode(plan, AppliedPlan).decode())

    def applied_done(self, plan_id: str, at: datetime) -> None:
        """That it was."""
        with self._writing() as db:
            control.say_applied(db, plan_id, at)

    def clear_applied(self) -> None:
        """That it is not held any more."""
        self._say(control.APPLIED, None)

    def applied_plans(self) -> tuple[str, ...]:
        """Ids of plans that were executed."""
        return tuple(plan_id for (plan_id,) in self._rows("SELECT plan_id FROM applied"))

    def request_reload(self, at: datetime) -> None:
        """That the configuration be read again."""
        self._say(control.RELOAD, at.isoformat())

    def take_reload(self) -> bool:
        """Whether that was asked for since it was last taken."""
        if not self._rows("SELECT 1 FROM control WHERE name = ?", (control.RELOAD,)):
            return False
        self._say(control.RELOAD, None)
        return True

    def _say(self, name: str, value: str | None) -> None:
        with self._writing() as db:
            control.say(db, name, value)

    # Upkeep

    def prune(self, now: datetime) -> None:
        """Lets go of ticks beyond the retention, and of blobs and outcomes that nobody needs."""
        with self._writing() as db:
            prune(db, now)
        with self._lock, told(self.path):
            # Each step of the statement frees one page.
            self._db.executescript("PRAGMA incremental_vacuum")

    def backup(self, path: Path) -> None:
        """A whole copy of the store, also while it is written to."""
        with self._lock, told(path):
            copy = sqlite3.connect(path)
            try:
                self._db.backup(copy)
            finally:
                copy.close()


def _recording(tick: TickCommit) -> Recording:
    plan = tick.plan or tick.state_after.plan
    plan_id = "" if plan is None else plan.plan_id
    return Recording(at=tick.at, tick_id=tick.tick_id, plan_id=plan_id)
