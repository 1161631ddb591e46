"""The process that speaks Dask's protocol, so that no process with credentials has to.

    python -m costplan.adapters.dask.sample_child tcp://127.0.0.1:8786 --seconds 5

Reading a scheduler's answers unpickles them, and whoever runs code on the scheduler may choose
what they unpickle to. This process therefore gets no credentials, lives for seconds, and answers
with one JSON document on standard output that its parent checks as it would a stranger's.

What a stock scheduler tells by itself is not enough: `identity` has the workers, but
`get_task_prefix_states` knows neither queued tasks, nor those without a worker, nor durations;
no operation but the dump of the whole state (every task, seconds of the scheduler's time) tells
what tasks need, and `/metrics` needs the dashboard. So `probe.py` is run on the scheduler. It is
sent as source and compiled there: pickled functions carry bytecode, which another minor version
of Python cannot run, and the scheduler's host need not have costplan.
"""

from __future__ import annotations

import argparse
import asyncio
import builtins
import json
import pickle
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PERIOD_SECONDS = 0.5
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_LONGEST_ERROR = 300


class _Source:
    """Unpickles to a function of a source text, compiled by whoever unpickles it."""

    def __init__(self, text: str, function: str) -> None:
        self.text, self.function = text, function

    def __reduce__(self) -> tuple[Any, ...]:
        run = f"(exec({self.text!r}, names), names[{self.function!r}])[1]"
        return builtins.eval, (f"(lambda names: {run})({{'__name__': 'costplan_probe'}})",)


async def _observe(address: str, seconds: float, security: Any) -> dict[str, Any]:
    """Samples of a scheduler every half a second, and its workers as they are at the end."""
    from distributed.comm.core import connect

    options = security.get_connection_args("client")
    connecting = connect(address, **options)  # type: ignore[no-untyped-call]
    try:
        comm = await asyncio.wait_for(connecting, _CONNECT_SECONDS)
    except TimeoutError as error:
        raise ValueError(f"no answer in Dask's protocol in {_CONNECT_SECONDS:g} s") from error
    samples: list[dict[str, Any]] = []
    started = time.monotonic()
    while not samples or time.monotonic() - started + _PERIOD_SECONDS <= seconds:
        if samples:
            await asyncio.sleep(_PERIOD_SECONDS)
        samples.append(await _read(comm))
    return {
        "at": datetime.now(UTC).isoformat(),
        "window_seconds": time.monotonic() - started,
        "samples": [{key: one[key] for key in ("prefixes", "seen")} for one in samples],
        "workers": samples[-1]["workers"],
        "sent_bytes": [samples[0]["sent_bytes"], samples[-1]["sent_bytes"]],
    }


async def _read(comm: Any) -> dict[str, Any]:
    """What the probe says; raises ValueError where it could not run."""
    from distributed.core import send_recv

    probe = _Source(Path(__file__).with_name("probe.py").read_text(), "read_load")
    answer = await send_recv(comm, op="run_function", function=pickle.dumps(probe))
    match answer:
        case {"status": "OK", "result": str(text)}:
            read: dict[str, Any] = json.loads(text)
            return read
        case {"text": text}:
            raise ValueError(f"the scheduler refused to be read: {text}")
        case _:
            raise ValueError("this is a Dask process, but no scheduler that lets itself be read")


def _answer(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the parent is told: an observation, or the error that there was instead of it."""
    from distributed.security import Security

    tls = {
        "tls_ca_file": arguments.tls_ca,
        "tls_client_cert": arguments.tls_cert,
        "tls_client_key": arguments.tls_key,
    }
    given = {name: path for name, path in tls.items() if path is not None}
    longest = arguments.seconds + _CONNECT_SECONDS + _ANSWER_SECONDS
    try:
        security = Security(**given)  # type: ignore[no-untyped-call]
        observing = _observe(arguments.address, arguments.seconds, security)
        return {"observation": asyncio.run(asyncio.wait_for(observing, longest))}
    except TimeoutError:
        return {"error": f"no whole answer in {longest:g} s"}
    except Exception as error:  # a stranger's bytes may raise anything, and all of it is an answer
        text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return {"error": " ".join(text.split())[:_LONGEST_ERROR]}


def main() -> None:
    """Writes the answer to standard output."""
    parser = argparse.ArgumentParser(prog="costplan.adapters.dask.sample_child")
    parser.add_argument("address")
    parser.add_argument("--seconds", type=float, required=True)
    for name in ("--tls-ca", "--tls-cert", "--tls-key"):
        parser.add_argument(name)
    json.dump(_answer(parser.parse_args()), sys.stdout)


if __name__ == "__main__":
    main()
