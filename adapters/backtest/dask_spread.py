"""Policies run on a Dask cluster of the user's own.

This speaks Dask's protocol, so only `costplan simulate --scheduler` imports it: a command that a
person starts, without a cloud's credentials, towards an address that they name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distributed import Client, as_completed
from distributed.comm.addressing import get_address_host, parse_address
from distributed.security import Security

from costplan.adapters.backtest.outcome import PolicyOutcome
from costplan.adapters.backtest.spread import Progress, Run, Task, seeded
from costplan.planner.errors import InputError


def on_dask(
    runs: Sequence[Run], tasks: Sequence[Task], address: str, progress: Progress
) -> dict[Task, PolicyOutcome]:
    """What becomes of each task, run by the workers of a Dask cluster.

    A backtest is sent once, however many seeds and policies it has. Raises InputError where the
    scheduler does not answer.
    """
    _check(address)
    try:
        client: Any = Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(
            f"--scheduler {address}", f"cannot be reached: {said}", "is it running there?"
        ) from None
    with client:
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


def _check(address: str) -> None:
    """Returns where a client can try an address, since one that cannot leaves a traceback behind;
    raises InputError otherwise."""
    option, example = f"--scheduler {address}", "write it like tcp://10.0.0.5:8786"
    scheme = parse_address(address)[0]
    if scheme not in ("tcp", "tls"):
        raise InputError(option, "is not a tcp:// or tls:// address", example)
    try:
        get_address_host(address)
    except ValueError as error:
        raise InputError(option, f"is no address: {error}", example) from None
    security: Any = Security()  # type: ignore[no-untyped-call]
    if scheme == "tls" and not security.get_connection_args("client").get("ssl_context"):
        raise InputError(
            option, "needs TLS files", "name them in Dask's configuration, distributed.comm.tls"
        )
