"""Machines that a cluster cannot end: it is said, and they are no longer on their way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from costplan.adapters.dask.adaptive_leaving import Leaving
from costplan.adapters.dask.adaptive_sources import Seen, Unasked
from costplan.planner.adaptive import Machine
from costplan.planner.load import Load
from costplan.planner.nodes import Retired
from tests.fleets import does

NOW = datetime(2026, 10, 1, tzinfo=UTC)


async def _cannot(_: Sequence[Machine]) -> None:
    await asyncio.sleep(0)
    raise PermissionError("not allowed to end it")


class Slow(Unasked):
    """A scheduler that is far: its first answer of how far drains are comes when told so."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answers = asyncio.Event()

    async def see(self) -> Seen:
        busy = does(executing=1)
        load = Load(at=NOW, window_seconds=0.0, groups=(), workers={"w-1": busy, "w-2": busy})
        return Seen(load=load)

    async def cordon(self, *_: Any) -> None:
        """Nothing to do."""

    async def progress(self, workers: Collection[str]) -> Retired:
        self.asked.append(sorted(workers))
        await self.answers.wait()
        return Retired(done=(), refused={}, pending=tuple(workers))


def test_who_begins_to_leave_while_an_answer_is_on_its_way_is_not_taken_for_gone() -> None:
    """The answer is of those that were asked for; the other runs a task still."""
    one, two = (
        Machine(names=(f"vm-{n}",), workers=(f"w-{n}",), size=1, asked_at=NOW, number=n)
        for n in (1, 2)
    )

    async def run() -> None:
        dropped: list[Machine] = []

        async def drop(machines: Sequence[Machine]) -> None:
            await asyncio.sleep(0)
            dropped.extend(machines)

        source = Slow()
        leaving = Leaving(source, drop, lambda: True, lambda: NOW)
        leaving.begin([one])
        while not source.asked:
            await asyncio.sleep(0)
        leaving.begin([two])
        source.answers.set()
        while len(source.asked) < 2:
            await asyncio.sleep(0.01)
        assert source.asked == [["w-1"], ["w-1", "w-2"]]
        assert (dropped, leaving.workers()) == ([], {"w-1", "w-2"})
        leaving.stop()

    asyncio.run(asyncio.wait_for(run(), 10))


def test_what_the_cluster_cannot_end_is_said_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    coming = Machine(names=("vm-1",), workers=(), size=1, asked_at=NOW, number=1)

    async def run() -> None:
        leaving = Leaving(Unasked(), _cannot, lambda: True, lambda: NOW)
        leaving.end([coming])
        assert leaving.names() == {"vm-1"}
        while leaving.names():
            await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, "distributed.costplan"):
        asyncio.run(asyncio.wait_for(run(), 10))
    (said,) = caplog.records
    assert said.getMessage() == "costplan: the cluster could not end vm-1"
    assert said.exc_info is not None
    assert isinstance(said.exc_info[1], PermissionError)
