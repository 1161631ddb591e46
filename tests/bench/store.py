"""What it costs to keep a tick of 1,000 nodes.

    python -m tests.bench.store

Milliseconds are of CPU time of this process, of `Store.commit` alone, with the disk as a daemon
has it. Sizes are of the rows that a tick adds. Loads, listings and meters are new objects at every
tick, as they are where they come off a wire.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from costplan.adapters.store.records import TickCommit
from costplan.adapters.store.retention import KEEP_QUIET
from costplan.adapters.store.store import Store
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.nodes import Node, ProviderNode
from costplan.planner.tick import Readings, State
from tests.bench.tick import grown

TICKS = 20
DAY = 86_400
PRUNE_EVERY = 600


@dataclass(slots=True)
class Case:
    """A world of 1,000 nodes in a store, of which so many change at every tick."""

    store: Store
    first: Readings
    state: State
    tick: TickCommit
    changed: int
    ticks: int = 0

    def step(self) -> float:
        """Seconds of CPU time of one commit."""
        self.ticks += 1
        at = self.first.at + timedelta(seconds=self.ticks)
        readings = replace(
            self.first,
            at=at,
            load=None if self.first.load is None else new_load(self.first.load, at, self),
            machines=None if self.first.machines is None else new_list(self.first.machines),
        )
        after = replace(
            self.state,
            at=at,
            load=readings.load,
            nodes=new_nodes(self.state.nodes, self.changed, self.ticks),
            meters=dict(self.state.meters),
        )
        tick = replace(
            self.tick,
            tick_id=f"bench-{self.changed}-{self.ticks}",
            at=at,
            readings=readings,
            state_before=self.state,
            state_after=after,
        )
        start = time.process_time()
        self.store.commit(tick)
        seconds = time.process_time() - start
        self.state = after
        return seconds


def new_load(load: Load, at: datetime, case: Case) -> Load:
    """The load again, other objects; so many workers have finished something since."""
    workers: dict[str, WorkerLoad] = {}
    for place, (name, worker) in enumerate(load.workers.items()):
        is_changed = place % max(1, len(load.workers) // max(1, case.changed)) == 0
        busy = case.ticks * 1.0 if is_changed and case.changed else 0.0
        workers[name] = replace(worker, busy_seconds=worker.busy_seconds + busy)
    return replace(load, at=at, workers=workers)


def new_list(machines: tuple[ProviderNode, ...]) -> tuple[ProviderNode, ...]:
    """The machines again, other objects."""
    return tuple(replace(machine) for machine in machines)


def new_nodes(nodes: Mapping[str, Node], changed: int, attempt: int) -> Mapping[str, Node]:
    """The same nodes, but for so many of them."""
    every = max(1, len(nodes) // max(1, changed))
    return {
        node_id: replace(node, attempts=attempt) if changed and place % every == 0 else node
        for place, (node_id, node) in enumerate(nodes.items())
    }


@contextmanager
def case_of(changed: int, readings: Readings, tick: TickCommit) -> Iterator[Case]:
    """A store in a file of its own, with two ticks in it."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "bench.db", clock=lambda: datetime.now(UTC))
        store.acquire_lease("bench", readings.at, DAY * 2.0)
        case = Case(store, readings, tick.state_before, tick, changed)
        case.step()
        case.step()
        yield case
        store.close()


def row_bytes(store: Store) -> int:
    """Bytes in the rows of ticks and of what they refer to."""
    ticks = "SELECT sum(length(summary) + length(body) + length(refs) + 120) FROM ticks"
    blobs = "SELECT sum(length(digest) + length(data) + length(parts) + 40) FROM blobs"
    return int(sum(store._rows(query)[0][0] or 0 for query in (ticks, blobs)))


def sampled() -> tuple[Readings, TickCommit]:
    """What a tick of 1,000 nodes reads, and what is to be kept of it."""
    _, driver = grown()
    readings, state = driver.read(), driver.record.load()
    ticked = driver.tick(readings, state, driver.settings, driver.policies, replan=False)
    tick = TickCommit(
        tick_id="bench",
        at=readings.at,
        replan=False,
        mode=ticked.snapshot.mode,
        gaps=(),
        readings=readings,
        state_before=ticked.state,
        state_after=ticked.state,
        settings=driver.settings,
        snapshot_digest=ticked.snapshot.digest,
        plan=None,
        actions=(),
        entries=(),
        version="bench",
        summary={"seconds": 0.01},
    )
    return readings, tick


def timed(do: Callable[[], object]) -> float:
    """Milliseconds of CPU time that it takes."""
    start = time.process_time()
    do()
    return (time.process_time() - start) * 1000


def file_mib(store: Store) -> float:
    """The size of the file, nothing left in the log beside it."""
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return store.path.stat().st_size / 2**20


def main() -> None:
    """Prints the figures."""
    readings, tick = sampled()
    workers = 0 if readings.load is None else len(readings.load.workers)
    nodes = len(tick.state_after.nodes)
    print(f"{nodes} nodes, {workers} workers")
    print(f"{'of them change at a tick':<28}{'ms CPU':>10}{'worst':>10}{'KiB':>10}")
    for changed in (0, 10, nodes):
        with case_of(changed, readings, tick) as case:
            before = row_bytes(case.store)
            found = [case.step() * 1000 for _ in range(TICKS)]
            kib = (row_bytes(case.store) - before) / 1024 / TICKS
            print(f"{changed:<28}{statistics.median(found):>10.1f}{max(found):>10.1f}{kib:>10.1f}")
    with case_of(0, readings, tick) as case:
        print(f"load_state {timed(case.store.load_state):.0f} ms CPU")
        print(f"last_tick {timed(case.store.last_tick):.0f} ms CPU")
        day_without_changes(case)


def day_without_changes(case: Case) -> None:
    """Prints what a day at a tick a second writes, and what is left of it."""
    before = row_bytes(case.store)
    for _ in range(KEEP_QUIET + PRUNE_EVERY):
        case.step()
    written = (row_bytes(case.store) - before) / (KEEP_QUIET + PRUNE_EVERY) * DAY / 2**20
    most = file_mib(case.store)
    pruned = timed(lambda: case.store.prune(case.state.at))
    print(f"a day at a tick a second without changes: {written:.0f} MiB of rows are written;")
    print(f"the file has {most:.1f} MiB before it is pruned, {file_mib(case.store):.1f} MiB after")
    print(f"prune {pruned:.0f} ms CPU")


if __name__ == "__main__":
    main()
