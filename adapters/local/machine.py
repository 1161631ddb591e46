"""The supervisor of one local machine: boots it, watches over it, and ends it.

    python -m costplan.adapters.local.machine FOLDER [LOCK_FD]

It is to its workers what a virtual machine is: it goes on when the daemon dies, and when it dies
itself the kernel kills the workers. A second supervisor of the same folder finds the lock held
and leaves. It writes what happens into the folder (`folders.py`) and takes orders from there.
Uses the standard library only, so that an idle machine costs about 15 MB.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from costplan.adapters.clock import utc_now
from costplan.adapters.faults import VARIABLE as FAULTS
from costplan.adapters.faults import reach
from costplan.adapters.local.events import Dealer
from costplan.adapters.local.folders import (
    ENDED,
    LOCK,
    NOTICE,
    REQUEST,
    SUPERVISOR,
    TERMINATE,
    WORKERS,
    processes,
    read_json,
    signal_process,
    started_ticks,
    take_lock,
    write_json,
)

LOOK_SECONDS = 0.2
"""How often orders are looked for; a signal makes it look at once."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Runs the machine of a folder until it has ended."""
    folder = Path(sys.argv[1])
    lock = int(sys.argv[2]) if len(sys.argv) > 2 else take_lock(folder / LOCK)
    request = read_json(folder / REQUEST)
    if lock is None or request is None or (folder / ENDED).exists():
        return
    os.set_inheritable(lock, False)
    with contextlib.suppress(PermissionError):  # already the leader of its session
        os.setsid()
    # A shell starts what it puts in the background deaf to these two.
    for deaf in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(deaf, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    Machine(folder, request).run()


class Machine:
    """One machine from its boot to its end."""

    def __init__(self, folder: Path, request: Mapping[str, Any]) -> None:
        self._folder, self._request = folder, request
        self._workers: list[subprocess.Popen[bytes]] = []
        self._dealer = Dealer(folder.parents[1], utc_now)

    def run(self) -> None:
        """Returns when the machine is no more; what became of it stands in its folder."""
        pid = os.getpid()
        write_json(self._folder / SUPERVISOR, {"pid": pid, "ticks": started_ticks(pid)})
        reach("local.machine.up")
        cause = self._wait(time.monotonic() + self._request["boot_seconds"])
        if cause is None:
            self._start_workers()
            reach("local.machine.booted")
            cause = self._wait(None)
        self._end(gently=cause == "terminated")
        reach("local.machine.before_ended")
        write_json(self._folder / ENDED, {"at": utc_now().isoformat(), "cause": cause})
        shutil.rmtree(self._folder / "scratch", ignore_errors=True)

    def _wait(self, until: float | None) -> str | None:
        """The cause to end for, None where the monotonic clock reaches `until` before one."""
        while until is None or time.monotonic() < until:
            os.utime(self._folder / LOCK)  # the last sign of life, should there be no other
            with contextlib.suppress(OSError):  # a full disk: it is dealt when there is room
                self._dealer.deal()
            cause = self._cause()
            if cause is not None:
                return cause
            left = LOOK_SECONDS if until is None else until - time.monotonic()
            told = signal.sigtimedwait(
                {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}, max(0.0, min(LOOK_SECONDS, left))
            )
            if told is not None and told.si_signo != signal.SIGCHLD:
                return "terminated"
        return None

    def _cause(self) -> str | None:
        """Why the machine must end now, None where it goes on."""
        if (self._folder / TERMINATE).exists():
            return "terminated"
        for path in self._folder.glob(f"{NOTICE}*.json"):
            notice = read_json(path)
            if (
                notice
                and notice["kind"] == "reclaim"
                and datetime.fromisoformat(notice["effective_at"]) <= utc_now()
            ):
                return "reclaimed"
        self._reap()
        statuses = [worker.poll() for worker in self._workers]
        if not statuses or None in statuses or not self._request["powers_off"]:
            return None
        # As a cloud machine whose start script ends in `shutdown`.
        return "failed" if any(statuses) else "terminated"

    def _reap(self) -> None:
        """Collects orphans of the workers, which the kernel hands to this process."""
        own = {worker.pid for worker in self._workers}
        for pid in _children():
            if pid not in own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _start_workers(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != FAULTS}
        environment |= _claim(self._request["key"])
        for place, command in enumerate(self._request["commands"]):
            with (self._folder / f"worker-{place}.log").open("ab") as log:
                worker = subprocess.Popen(  # noqa: S603 - the command that the provider wrote
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    env=environment,
                    process_group=0,
                    preexec_fn=_tie_to_parent,  # noqa: PLW1509 - this process has one thread
                )
            self._workers.append(worker)
        started = [{"pid": one.pid, "ticks": started_ticks(one.pid)} for one in self._workers]
        write_json(self._folder / WORKERS, {"at": utc_now().isoformat(), "processes": started})

    def _end(self, *, gently: bool) -> None:
        """Ends every process of the machine but this one: asks, waits for the grace, kills."""
        if gently:
            for worker in self._workers:
                if worker.poll() is None:
                    os.killpg(worker.pid, signal.SIGTERM)
            deadline = time.monotonic() + self._request["grace_seconds"]
            while self._others() and time.monotonic() < deadline:
                os.utime(self._folder / LOCK)
                signal.sigtimedwait({signal.SIGCHLD}, 0.05)
        deadline = time.monotonic() + _KILL_SECONDS
        while (others := self._others()) and time.monotonic() < deadline:
            for pid, ticks in others.items():
                signal_process(pid, ticks, signal.SIGKILL)
            os.utime(self._folder / LOCK)
            signal.sigtimedwait({signal.SIGCHLD}, 0.02)

    def _others(self) -> dict[int, int]:
        """Processes of this machine that still live, this one left out, with start ticks."""
        for worker in self._workers:
            worker.poll()
        self._reap()
        found = processes(self._folder)
        found.pop(os.getpid(), None)
        return found


def _claim(value: list[str]) -> dict[str, str]:
    """What the workers of a machine of an offer say that it is."""
    _, _, zone, instance_type, market = value
    return {
        "COSTPLAN_TYPE": instance_type, "COSTPLAN_MARKET": market, "COSTPLAN_ZONE": zone,
    }  # fmt: skip


def _tie_to_parent() -> None:
    """Runs in a worker's process before the worker: the kernel kills it when its parent dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def _children() -> list[int]:
    """Process ids of this process's children, dead ones that wait to be collected included."""
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in text.split()]


if __name__ == "__main__":
    main()
