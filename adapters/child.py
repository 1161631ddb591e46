"""A child process that reads what strangers say, so that no process with credentials has to.

It runs without credentials in its environment, in an empty directory that is its home, and
nothing it writes is believed: its answer is bounded in size and time.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from costplan.planner.errors import InputError

MAX_ANSWER_BYTES = 16 * 2**20
"""Six times what 5,000 Dask workers and 1,000 prefixes take."""

LONGEST_COMPLAINT = 300
_PASSED_ON = ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
_DASK_NEEDS = (*_PASSED_ON, "HOME", "TMPDIR", "COSTPLAN_FAULTS")
_DASK_PREFIXES = ("LC_", "DASK_")


def child_environment(home: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What a child gets of an environment: how to find Python and costplan, and nothing else."""
    passed = {name: environment[name] for name in _PASSED_ON if name in environment}
    return {**passed, "HOME": home, "TMPDIR": home}


def plain_environment() -> dict[str, str]:
    """What a scheduler or a worker gets of this process's environment: no credentials."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _DASK_NEEDS or name.startswith(_DASK_PREFIXES)
    }


def run_child(
    arguments: Sequence[str],
    timeout_seconds: float,
    address: str,
    settings: Mapping[str, str] | None = None,
) -> bytes:
    """What a Python process with these arguments writes to its standard output.

    It runs with `child_environment` and `settings` in an empty directory, and is killed when it
    takes longer than `timeout_seconds` or writes more than `MAX_ANSWER_BYTES`; both raise
    InputError, as does an end without an answer.
    """
    with (
        tempfile.TemporaryDirectory(prefix="costplan-") as home,
        subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**child_environment(home, os.environ), **(settings or {})},
            cwd=home,
        ) as child,
    ):
        try:
            written, complaints = _drain(child, time.monotonic() + timeout_seconds, address)
        finally:
            child.kill()
    if not written:
        last = complaints.decode(errors="replace").strip().rpartition("\n")[2]
        said = "".join(filter(str.isprintable, last))[:LONGEST_COMPLAINT] or "it said nothing"
        raise InputError(address, f"the process that looks at it ended: {said}")
    return written


def _drain(child: subprocess.Popen[bytes], deadline: float, address: str) -> tuple[bytes, bytes]:
    """Standard output, and the end of standard error, until the child closes both."""
    written, complaints = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, buffer in ((child.stdout, written), (child.stderr, complaints)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, buffer)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if not ready:
                raise InputError(address, "no answer in time", "is it overloaded?")
            for key, _ in ready:
                chunk = os.read(key.fd, 2**16)
                if not chunk:
                    selector.unregister(key.fileobj)
                key.data.extend(chunk)
            del complaints[: -2 * LONGEST_COMPLAINT]
            if len(written) > MAX_ANSWER_BYTES:
                raise InputError(address, f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
    return bytes(written), bytes(complaints)
