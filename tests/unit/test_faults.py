"""Places where a process can be killed: only the one asked for, only at its visit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from costplan.adapters.faults import VARIABLE, parse_faults
from costplan.planner.errors import InputError

SCRIPT = """
import sys
from costplan.adapters.faults import reach
for name in sys.argv[1:]:
    reach(name)
    sys.stdout.write(name + " ")
    sys.stdout.flush()
"""


def visit(faults: str, *names: str) -> tuple[int, str]:
    """How a process that visits these places ended, and the places that it left again."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, *names],
        env={**os.environ, VARIABLE: faults},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.returncode, run.stdout.strip()


def test_a_process_dies_at_the_visit_that_was_asked_for() -> None:
    assert visit("a.b:2", "a.b", "c", "a.b", "d") == (-signal.SIGKILL, "a.b c")


def test_without_faults_every_place_is_passed() -> None:
    assert visit("", "a.b", "a.b") == (0, "a.b a.b")


def test_the_first_of_several_ends_it() -> None:
    assert visit("x:1, a:3", "a", "a", "x", "a") == (-signal.SIGKILL, "a a")


def test_places_and_visits_are_read() -> None:
    assert parse_faults("a.b:2, store.commit:1") == {"a.b": 2, "store.commit": 1}
    assert parse_faults("") == {}


@pytest.mark.parametrize("text", ["a", "a:", ":1", "a:0", "a:-1", "a:x", "a:1,a:2"])
def test_what_is_no_place_and_count_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=VARIABLE):
        parse_faults(text)
