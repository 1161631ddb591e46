"""Policies run on a Dask cluster of the user's own.

This speaks Dask's protocol, so only `costplan simulate --scheduler` imports it: a command that a
person starts, without a cloud's credentials, towards an address that they name.
"""

from __future__ import annotations

from collections.abc import Sequence

from distributed import as_completed

from costplan.adapters.backtest.outcome import PolicyOutcome
from costplan.adapters.backtest.spread import Progress, Run, Task, seeded
from costplan.adapters.dask.as_client import connected


def on_dask(
    runs: Sequence[Run], tasks: Sequence[Task], address: str, progress: Progress
) -> dict[Task, PolicyOutcome]:
    """What becomes of each task, run by the workers of a Dask cluster.

    A backtest is sent once, however many seeds and policies it has. Raises InputError where the
    scheduler does not answer.
    """
    with connected(address) as client:
        backtests = {id(run.backtest): run.backtest for run in runs}
        sent = {key: client.scatter(each, broadcast=True) for key, each in backtests.items()}
        running = {}
        for place, name in tasks:
            shared = sent[id(runs[place].backtest)]
            done = client.submit(seeded, shared, runs[place].seed, name, pure=False)
            running[done] = place, name
        found = {}
        for done in as_completed(running, loop=client.loop):  # type: ignore[no-untyped-call]
            found[running[done]] = done.result()
            progress(*running[done], 1.0)
    return found
