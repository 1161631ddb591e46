"""What a sample says of workers, after any history: what counting it all anew says.

Dask's own states of workers and tasks in a scheduler that is not started; what its network side
would change is changed here.
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Scheduler
from distributed.core import Status
from distributed.scheduler import WorkerState

from costplan.adapters.dask.endpoint_wire import LoadAnswer, load_of_answer
from costplan.adapters.dask.load_sample import LoadSampler
from costplan.adapters.dask.plugin import CostplanPlugin

START = 1_790_000_000.0
THREADS = 2
STEP = {"action": "compute", "start": 0.0, "stop": 0.5}
COLUMNS = {
    "executing": "executing",
    "processing": "processing",
    "managed_bytes": "nbytes",
    "sole_bytes": "sole_bytes",
    "sole_keys": "sole_keys",
    "spilled_bytes": "spilled",
    "long_running": "long_running",
    "actors": "actors",
}


class Walk:
    """A scheduler that random things happen to, and what was seen of each worker."""

    def __init__(self, scheduler: Scheduler, seed: int) -> None:
        self.random, self.now, self.made = random.Random(seed), START, 0  # noqa: S311
        self.scheduler = scheduler
        self.plugin = CostplanPlugin(self.scheduler, lambda: self.now)
        self.sampler = LoadSampler(self.plugin, lambda: self.now)
        self.busy: dict[str, float] = {}
        self.last_busy: dict[str, float] = {}
        self.beaten: dict[str, dict[str, int]] = {}
        self.fresh: set[str] = set()  # addresses with a heartbeat since the last sample
        for _ in range(4):
            self.join()

    def states(self) -> list[Any]:
        """The workers in the order in which they joined."""
        return [tracker.state for tracker in self.plugin.counters.trackers.values()]

    def some(self) -> Any:
        """Some worker."""
        return self.random.choice(self.states())

    def join(self) -> None:
        self.made += 1
        address = f"tcp://10.0.0.{self.made}:4000"
        state = WorkerState(
            address=address, status=Status.running, pid=1, name=f"node-{self.made}", nanny=None,
            nthreads=THREADS, memory_limit=2**30, local_directory="", server_id=address,
            scheduler=self.scheduler,
        )  # fmt: skip
        self.scheduler.workers[address] = state
        self.scheduler.running.add(state)
        self.plugin.add_worker(self.scheduler, address)
        self.busy[address], self.last_busy[address] = 0.0, self.now
        self.beaten[address] = {"spilled": 0, "long_running": 0, "actors": 0}

    def leave(self) -> None:
        if len(self.scheduler.workers) < 3:
            return
        state = self.some()
        for task in list(state.has_what):
            self.scheduler.remove_replica(task, state)
        del self.scheduler.workers[state.address]
        self.scheduler.running.discard(state)
        self.plugin.remove_worker(self.scheduler, state.address)

    def begin(self) -> None:
        self.made += 1
        state = self.some()
        task = self.scheduler.new_task(f"work-{self.made}", None, "processing")
        state.processing.add(task)
        task.processing_on = state

    def finish(self) -> None:
        state = self.some()
        for task in list(state.processing)[:1]:
            state.processing.discard(task)
            state.long_running.discard(task)
            task.processing_on, task.state = None, "memory"
            task.set_nbytes(self.random.randrange(1, 10**6))
            self.scheduler.add_replica(task, state)
            stop = self.now - self.random.random()
            step = STEP | {"start": stop - 0.5, "stop": stop}
            self.plugin.transition(
                task.key, "processing", "memory", worker=state.address, startstops=[step]
            )
            self.busy[state.address] += 0.5
            self.last_busy[state.address] = max(self.last_busy[state.address], stop)

    def copy(self) -> None:
        holder, other = self.some(), self.some()
        for task in list(holder.has_what)[:1]:
            if other not in (task.who_has or ()):
                self.scheduler.add_replica(task, other)

    def secede(self) -> None:
        state = self.some()
        state.long_running.update([t for t in state.executing if t in state.processing][:1])

    def beat(self) -> None:
        state, spilled = self.some(), self.random.choice((0, 0, 7))
        state.metrics = {"spilled_bytes": {"memory": 0, "disk": spilled}}
        state.executing = dict.fromkeys(list(state.processing)[:THREADS], 0.1)
        state.long_running &= set(state.processing)
        state.actors = set(list(state.has_what)[: self.random.randrange(2)])
        state.last_seen = self.now
        self.beaten[state.address]["spilled"] = spilled
        self.fresh.add(state.address)

    def cordon(self) -> None:
        state = self.some()
        tracker = self.plugin.counters.trackers[state.address]
        tracker.cordoned_at = None if tracker.cordoned_at else self.now - 1.0

    def sampled(self) -> dict[str, list[int]]:
        """What the daemon makes of a sample, as columns in the order of the workers."""
        self.now += self.random.choice((0.2, 1.0, 6.0))
        answer = LoadAnswer.model_validate_json(self.sampler.sample())
        assert answer.workers.name == [state.name for state in self.states()]
        loads = load_of_answer(answer).workers
        workers = [loads[name] for name in answer.workers.name]
        return {
            **{short: [getattr(at, name) for at in workers] for name, short in COLUMNS.items()},
            "busy_ms": [round(1000 * at.busy_seconds) for at in workers],
            "idle_ms": [_milliseconds(at.idle_since) for at in workers],
        }

    def counted(self) -> dict[str, list[int]]:
        """The same by counting everything, `executing` aside."""
        states = self.states()
        for state in states:
            if state.processing:
                self.last_busy[state.address] = self.now
        alone = [[t for t in state.has_what if len(t.who_has) == 1] for state in states]
        counted = {
            "processing": [len(state.processing) for state in states],
            "nbytes": [state.nbytes for state in states],
            "sole_keys": [len(tasks) for tasks in alone],
            "sole_bytes": [sum(task.nbytes for task in tasks) for tasks in alone],
            "busy_ms": [int(1000 * self.busy[state.address]) for state in states],
            "idle_ms": [
                0 if state.processing else int(1000 * self.last_busy[state.address])
                for state in states
            ],
            **{
                name: [self.heard(state)[name] for state in states]
                for name in ("spilled", "long_running", "actors")
            },
        }
        self.fresh.clear()
        return counted

    def heard(self, state: Any) -> dict[str, int]:
        """As of the last sample after a heartbeat; a cordoned one is looked at for each."""
        address = state.address
        heard = self.beaten[address]
        if address in self.fresh or self.plugin.counters.trackers[address].cordoned_at is not None:
            heard["long_running"], heard["actors"] = len(state.long_running), len(state.actors)
        return heard

    def runs(self, state: Any) -> int:
        """Tasks that the last heartbeat said run, and that are there still."""
        running = [t for t in state.executing if t.processing_on is state]
        return len([t for t in running if t not in state.long_running])


def _milliseconds(at: datetime | None) -> int:
    return 0 if at is None else round(1000 * at.timestamp())


async def walked(seed: int) -> None:
    async with Scheduler(port=0, dashboard=False) as scheduler:
        walk = Walk(scheduler, seed)
        deeds = (
            [walk.begin] * 6 + [walk.finish] * 6 + [walk.beat] * 6
            + [walk.copy, walk.secede, walk.cordon, walk.join, walk.leave]
        )  # fmt: skip
        for _ in range(150):
            for _ in range(walk.random.randrange(6)):
                walk.random.choice(deeds)()
            found, counted = walk.sampled(), walk.counted()
            executing = found.pop("executing")
            assert found == counted
            for state, running in zip(walk.states(), executing, strict=True):
                assert running <= len(state.processing)
                cordoned_at = walk.plugin.counters.trackers[state.address].cordoned_at
                if cordoned_at is not None:
                    assert running >= walk.runs(state)
                    if state.last_seen > cordoned_at + 0.2:  # it has heard of it
                        assert running == walk.runs(state)
        first, again = walk.sampler.sample(), walk.sampler.sample()
        assert first[first.index(b'"workers"') :] == again[again.index(b'"workers"') :]
        for made_up in (scheduler.workers, scheduler.running, scheduler.tasks):
            made_up.clear()


@pytest.mark.parametrize("seed", range(10))
def test_a_sample_says_what_counting_all_anew_says(seed: int) -> None:
    asyncio.run(walked(seed))


def test_without_workers_there_are_no_columns() -> None:
    scheduler = SimpleNamespace(workers={}, tasks={}, running=set(), clients={}, plugins={}, id="s")
    plugin = CostplanPlugin(scheduler, lambda: START)
    answer = LoadAnswer.model_validate_json(LoadSampler(plugin, lambda: START).sample())
    assert answer.workers.name == []
    assert answer.workers.executing == []


def test_a_task_that_ended_by_a_fast_clock_does_not_move_the_idleness_that_follows() -> None:
    async def test() -> None:
        async with Scheduler(port=0, dashboard=False) as scheduler:
            walk = Walk(scheduler, 0)
            state = walk.states()[0]
            task = scheduler.new_task("work-1", None, "memory")
            step = STEP | {"start": walk.now, "stop": walk.now + 9.0}
            walk.plugin.transition(
                task.key, "processing", "memory", worker=state.address, startstops=[step]
            )
            first = walk.sampled()["idle_ms"][0]
            assert first == _milliseconds(datetime.fromtimestamp(walk.now, UTC))
            assert walk.sampled()["idle_ms"][0] == first
            for made_up in (scheduler.workers, scheduler.running, scheduler.tasks):
                made_up.clear()

    asyncio.run(test())
