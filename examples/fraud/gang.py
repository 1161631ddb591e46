"""The members of a collective, which ends for all when one of them leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from distributed import Client

WATCH_SECONDS = 0.5


class GangBroken(Exception):
    """A member of a collective left before it ended; names the addresses that are gone."""


def present(client: Client) -> set[str]:
    """Addresses of the workers that the scheduler knows now."""
    return set(client.scheduler_info(n_workers=-1)["workers"])


async def held_together(client: Client, gang: set[str], work: Awaitable[Any]) -> Any:
    """What `work` returns; raises GangBroken once a member of its gang is gone."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=WATCH_SECONDS)
            there = set((await client.scheduler.identity(n_workers=-1))["workers"])
            if not task.done() and (gone := gang - there):
                raise GangBroken(f"{', '.join(sorted(gone))} left")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
