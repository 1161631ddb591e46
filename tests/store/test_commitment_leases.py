"""Clusters that share commitments: no unit is leased twice, and what a dead one had comes back."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from costplan.adapters.leasing import LEASE_SECONDS, Leasing
from costplan.adapters.store.commitment_leases import CommitmentLedger, Fenced, leased_by_all
from costplan.planner.errors import StoreError
from costplan.planner.tick import State
from tests.fleets import after, readings, settings
from tests.unit.test_held_loop import reserved

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
TOTAL = {"ri": Fraction(10), "sp": Fraction(5, 2)}
TTL = 60.0
RACER = """
import sys
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from costplan.adapters.store.commitment_leases import CommitmentLedger

ledger = CommitmentLedger(Path(sys.argv[1]), sys.argv[2])
ledger.enter()
print("ready", flush=True)
for line in sys.stdin:
    want = Fraction(line.strip())
    got = ledger.take({"ri": want}, {"ri": Fraction(10)}, datetime.now(UTC), float(sys.argv[3]))
    print(got["ri"], flush=True)
"""


def entered(path: Path, holder: str) -> CommitmentLedger:
    """A ledger that a cluster's process has opened."""
    ledger = CommitmentLedger(path, holder)
    ledger.enter()
    return ledger


def test_what_one_has_leased_the_other_does_not_get_until_it_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    one, other = entered(path, "one"), entered(path, "other")
    assert one.take({"ri": Fraction(7), "sp": Fraction(1)}, TOTAL, NOW, TTL) == {"ri": 7, "sp": 1}
    assert other.take({"ri": Fraction(7)}, TOTAL, NOW, TTL) == {"ri": 3, "sp": 0}
    assert leased_by_all(path, NOW) == {"ri": 10, "sp": 1}
    assert one.take({"ri": Fraction(2)}, TOTAL, NOW, TTL)["ri"] == 2
    assert other.take({"ri": Fraction(20)}, TOTAL, NOW, TTL)["ri"] == 8
    assert one.take({"ri": Fraction(5)}, TOTAL, NOW, TTL)["ri"] == 2


def test_a_lease_that_is_not_renewed_runs_out(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    one, other = entered(path, "one"), entered(path, "other")
    one.take({"ri": Fraction(10)}, TOTAL, NOW, TTL)
    just = NOW + timedelta(seconds=TTL) - timedelta(microseconds=1)
    assert other.take({"ri": Fraction(1)}, TOTAL, just, TTL)["ri"] == 0
    assert other.take({"ri": Fraction(1)}, TOTAL, NOW + timedelta(seconds=TTL), TTL)["ri"] == 1


def test_a_process_that_was_taken_for_dead_gets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    old = entered(path, "one")
    old.take({"ri": Fraction(4)}, TOTAL, NOW, TTL)
    new = entered(path, "one")
    assert new.take({"ri": Fraction(6)}, TOTAL, NOW, TTL)["ri"] == 6
    with pytest.raises(Fenced, match="belong to a newer process"):
        old.take({"ri": Fraction(4)}, TOTAL, NOW, TTL)
    assert leased_by_all(path, NOW) == {"ri": 6}


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    with pytest.raises(StoreError, match="no ledger of commitments"):
        entered(path, "one")
    path.write_text("not a database at all, but long enough to be taken for one " * 20)
    with pytest.raises(StoreError, match="cannot be used"):
        entered(path, "one")
    with pytest.raises(StoreError, match="cannot be used"):
        entered(tmp_path / "missing" / "shared.db", "one")
    assert leased_by_all(tmp_path / "absent.db", NOW) == {}


def racer(path: Path, holder: str, seconds: float) -> subprocess.Popen[str]:
    """A process that leases what it is told to."""
    command = [sys.executable, "-c", RACER, str(path), holder, str(seconds)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def told(process: subprocess.Popen[str], want: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{want}\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> Fraction:
    assert process.stdout is not None
    return Fraction(process.stdout.readline().strip())


def test_processes_that_race_never_have_more_than_there_is_and_a_killed_one_gives_way(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shared.db"
    seconds = 3.0
    one, other = racer(path, "one", seconds), racer(path, "other", seconds)
    try:
        for turn in range(40):
            for process in (one, other):
                told(process, ("7", "10", "4", "9/2")[turn % 4])
            assert answer(one) + answer(other) <= 10
        told(one, "10")
        had = answer(one)
        told(other, "0")
        answer(other)
        told(one, "10")
        assert had <= answer(one) == 10
        one.send_signal(signal.SIGKILL)
        one.wait(30)
        told(other, "10")
        got, until = answer(other), time.monotonic() + 60
        assert got == 0
        while got < 10 and time.monotonic() < until:
            told(other, "10")
            got = answer(other)
        assert got == 10
    finally:
        for process in (one, other):
            process.kill()
            process.communicate()


def test_a_daemon_counts_on_what_it_has_leased_and_on_nothing_when_it_cannot(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shared.db"
    rules = settings(held=reserved(4, ledger=str(path)))
    first, second = Leasing(), Leasing()
    ours = first.told(readings(), State(), rules)
    assert ours.leases == {"ri": 4}
    theirs = second.told(readings(), State(), settings(held=rules.held, cluster="other"))
    assert theirs.leases == {"ri": 0}
    path.write_text("broken " * 300)
    broken = first.told(readings(100), State(), rules)
    assert broken.leases == {"ri": 4}
    assert [gap.kind for gap in broken.gaps] == ["commitment"]
    late = first.told(readings(LEASE_SECONDS), State(), rules)
    assert late.leases == {}
    assert Leasing().told(readings(), State(), settings(held=reserved(4))).leases is None
    assert after(0) == late.at - timedelta(seconds=LEASE_SECONDS)
