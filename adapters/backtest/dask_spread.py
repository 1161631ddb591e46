"""Policies run on a Dask cluster of the user's own.

This speaks Dask's protocol, so only `costplan simulate --scheduler` imports it: a command that a
person starts, without a cloud's credentials, towards an address that they name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distributed import Client

from costplan.adapters.backtest.outcome import PolicyOutcome
from costplan.adapters.backtest.run import Backtest, simulate
from costplan.planner.errors import InputError


def on_dask(
    backtest: Backtest,
    policies: Sequence[str],
    address: str,
    progress: Callable[[str, float], None],
) -> tuple[PolicyOutcome, ...]:
    """What becomes of each policy, run by the workers of a Dask cluster.

    Raises InputError where the scheduler does not answer.
    """
    try:
        client: Any = Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(
            f"--scheduler {address}", f"cannot be reached: {said}", "is it running there?"
        ) from None
    with client:
        shared = client.scatter(backtest, broadcast=True)
        running = {client.submit(simulate, shared, name, pure=False): name for name in policies}
        found = {}
        for done, name in running.items():
            found[name] = done.result()
            progress(name, 1.0)
    return tuple(found[name] for name in policies)
