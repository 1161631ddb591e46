"""The watch over a worker, on real workers: a machine that goes loses nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from costplan.adapters.node import agent as agent_module
from costplan.adapters.node.agent import Agent, Metadata, changes
from costplan.planner.load import Load
from tests.e2e.dask_cluster import GATES, Cluster, cluster, gated, run
from tests.emulators.metadata import Machine, metadata

CLOUDS = ("aws", "gcp", "azure")


@asynccontextmanager
async def watched(at: Cluster, name: str, cloud: str, machine: Machine) -> AsyncIterator[Agent]:
    """A worker whose machine is watched over."""
    agent = Agent(at.workers[name], Metadata(cloud, machine.address, 10.0))
    agent.start()
    try:
        yield agent
    finally:
        await agent.stop()


def soon(seconds: float = 10.0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_worker_leaves_before_its_machine_goes_and_nothing_is_done_again(cloud: str) -> None:
    async def test() -> None:
        with metadata(cloud) as machine:
            async with (
                cluster(**{"n1-0": {}, "n2-0": {}}) as at,
                watched(at, "n1-0", cloud, machine),
            ):
                GATES["open"].set()
                home = {"workers": ["n1-0"], "allow_other_workers": True}
                held = at.client.map(gated, ["open"] * 5, range(5), **home)
                await at.client.gather(held)
                busy = at.client.submit(gated, "gate", 9, **home)
                waiting = at.client.submit(gated, "open", 8, **home)  # there, behind the other
                await at.load_when(lambda load: load.workers["n1-0"].executing == 1)

                machine.reclaim_at = soon(20)
                load = await at.load_when(lambda load: load.warned)
                assert [(one.worker, one.kind) for one in load.warned] == [("n1-0", "reclaim")]
                await at.load_when(lambda load: load.workers["n1-0"].status == "closing")
                GATES["gate"].set()
                load = await at.load_when(lambda load: "n1-0" in load.departed)
                left = load.departed["n1-0"]
                assert (left.expected, left.lost_keys, left.restarted_tasks) == (True, 0, 0)
                assert await busy == bytes([9]) * 1000
                assert await waiting == bytes([8]) * 1000
                assert await at.client.gather(held) == [bytes([n]) * 1000 for n in range(5)]
                assert load.totals.recomputed_tasks == 0
                await at.workers["n1-0"].finished()
                assert machine.acknowledged == (["event-Preempt"] if cloud == "azure" else [])

    run(test())


def test_a_task_that_cannot_end_in_time_starts_again_elsewhere_and_results_are_saved() -> None:
    async def test() -> None:
        with metadata("aws") as machine:
            async with (
                cluster(**{"n1-0": {}, "n2-0": {}}) as at,
                watched(at, "n1-0", "aws", machine),
            ):
                GATES["open"].set()
                home = {"workers": ["n1-0"], "allow_other_workers": True}
                held = at.client.map(gated, ["open"] * 5, range(5), **home)
                await at.client.gather(held)
                long = at.client.submit(gated, "gate", 9, **home)
                await at.load_when(lambda load: load.workers["n1-0"].executing == 1)
                machine.reclaim_at = soon(4)
                load = await at.load_when(lambda load: "n1-0" in load.departed)
                assert load.departed["n1-0"].lost_keys == 0
                assert load.totals.recomputed_tasks == 0
                GATES["gate"].set()
                assert await long == bytes([9]) * 1000

    run(test())


def test_a_worker_that_nobody_can_take_over_from_holds_on_until_somebody_comes() -> None:
    async def test() -> None:
        with metadata("aws") as machine:
            async with cluster(**{"n1-0": {}}) as at, watched(at, "n1-0", "aws", machine):
                GATES["open"].set()
                held = at.client.map(gated, ["open"] * 5, range(5))
                await at.client.gather(held)
                machine.reclaim_at = soon(15)
                await at.load_when(lambda load: load.workers["n1-0"].status == "closing")
                await at.add_worker("n2-0")
                load = await at.load_when(lambda load: "n1-0" in load.departed)
                assert load.departed["n1-0"].lost_keys == 0
                assert await at.client.gather(held) == [bytes([n]) * 1000 for n in range(5)]

    run(test())


@pytest.mark.parametrize(
    ("cloud", "kind"),
    [
        ("aws", "rebalance"),
        ("aws", "maintenance"),
        ("gcp", "maintenance"),
        ("azure", "maintenance"),
    ],
)
def test_what_is_only_a_hint_is_told_and_changes_nothing(cloud: str, kind: str) -> None:
    async def test() -> None:
        with metadata(cloud) as machine:
            setattr(machine, f"{kind}_at", soon(600))
            async with cluster(**{"n1-0": {}}) as at, watched(at, "n1-0", cloud, machine):
                load: Load = await at.load_when(lambda load: load.warned)
                assert [(one.worker, one.kind) for one in load.warned] == [("n1-0", kind)]
                assert load.workers["n1-0"].status == "running"

    run(test())


@pytest.mark.parametrize("said", [None, [], {"Events": None}, {"Events": ["Preempt"]}])
def test_a_service_whose_answer_is_none_is_asked_again(
    said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_module, "POLL_SECONDS", 0.0)
    preempt = {"Events": [{"EventType": "Preempt", "EventId": "1", "NotBefore": ""}]}
    answers = iter([json.dumps(said), json.dumps(preempt)])

    class Odd(Metadata):
        async def _text(self, path: str, headers: dict[str, str]) -> str | None:  # noqa: ARG002
            return next(answers)

    async def test() -> None:
        service = Odd("azure", "http://127.0.0.1:9", 10.0)
        warned = await anext(changes(service.warnings, 0.0))
        service.close()
        assert (warned.kind, warned.event_id) == ("reclaim", "1")

    run(test())


def test_a_service_that_is_away_is_asked_again() -> None:
    async def test() -> None:
        with metadata("aws") as machine:
            async with cluster(**{"n1-0": {}, "n2-0": {}}) as at:
                agent = Agent(at.workers["n1-0"], Metadata("aws", "http://127.0.0.1:9", 10.0))
                agent.start()
                await asyncio.sleep(0)
                agent.metadata.address = machine.address
                machine.reclaim_at = soon(15)
                await at.load_when(lambda load: "n1-0" in load.departed)
                await agent.stop()

    run(test())
