"""Threads that nobody waits for when the process ends."""

from __future__ import annotations

import subprocess
import sys
from threading import Event

import pytest

from costplan.adapters.threads import Threads

HANGING = """
from threading import Event
from costplan.adapters.threads import Threads
threads, began = Threads(2, "hang"), Event()
threads.submit(lambda: (began.set(), Event().wait()))
began.wait()
threads.close()
print("over")
"""


def test_a_process_ends_while_a_call_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")


def test_what_calls_come_to_and_no_more_at_a_time_than_asked() -> None:
    threads, go_on, began = Threads(2, "test"), Event(), Event()

    def first() -> str:
        began.set()
        assert go_on.wait(30)
        return "first"

    def refused() -> None:
        raise ValueError("no")

    held, _ = threads.submit(first), threads.submit(go_on.wait)
    third, error = threads.submit(lambda: "third"), threads.submit(refused)
    assert began.wait(30)
    assert not third.done()
    go_on.set()
    assert (held.result(30), third.result(30)) == ("first", "third")
    with pytest.raises(ValueError, match="no"):
        error.result(30)
    threads.close()


def test_once_closed_nothing_is_begun() -> None:
    threads, go_on, began = Threads(1, "test"), Event(), Event()

    def holding() -> bool:
        began.set()
        return go_on.wait(30)

    held = threads.submit(holding)
    waiting = threads.submit(lambda: "never")
    assert began.wait(30)
    threads.close()
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="the test threads are closed"):
        threads.submit(lambda: None)
    go_on.set()
    assert held.result(30)
