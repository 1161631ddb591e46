"""The daemon's cadences, on a clock that is set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from costplan.cli.cadence import Again, Cadence

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("previous", "following"),
    [
        (None, NOW),
        (NOW, NOW + SECOND),
        (NOW - 0.4 * SECOND, NOW + 0.6 * SECOND),
        (NOW - timedelta(days=20_000), NOW + SECOND),  # the clock was set on; nothing is counted
        (NOW + timedelta(hours=1), NOW + timedelta(hours=1) + SECOND),
    ],
)
def test_the_next_call(previous: datetime | None, following: datetime) -> None:
    trigger = Again(seconds=1, timezone="UTC")
    assert trigger.get_next_fire_time(previous, NOW) == following


def test_calls_that_are_hours_away_come_at_once_when_it_starts_over() -> None:
    """As they are where the system's clock was set back."""

    async def test() -> None:
        called = asyncio.Queue[None]()

        async def call() -> None:
            called.put_nowait(None)

        cadence = Cadence({call: 3600.0})
        cadence.start()
        try:
            await asyncio.wait_for(called.get(), 30)  # at once
            cadence.start_over({call: 7200.0})
            await asyncio.wait_for(called.get(), 30)
            cadence.start_over({call: 0.01})  # another interval
            for _ in range(3):
                await asyncio.wait_for(called.get(), 30)
        finally:
            cadence.stop()

    asyncio.run(test())


def test_a_call_that_ends_with_the_loop_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        began = asyncio.Event()

        async def call() -> None:
            began.set()
            await asyncio.Event().wait()

        cadence = Cadence({call: 3600.0})
        cadence.start()
        await asyncio.wait_for(began.wait(), 30)
        cadence.stop()

    asyncio.run(test())
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
