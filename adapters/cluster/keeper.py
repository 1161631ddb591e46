"""The process that keeps a cluster: it starts scheduler and daemon, and sees all of it ended.

    python -m costplan.adapters.cluster.keeper FOLDER

It is in a session of its own, so it outlives who started it, and looks a few times a second whose
the cluster is (`owner.json`). What ends the cluster: its owner says so, the owner's process is gone
for longer than the grace, the scheduler ends, or SIGTERM. Then every machine is ended as by
`costplan down`, then the daemon, then the scheduler; it does not leave before the machines have.

A daemon that ends by itself is started anew, after a second, two, and up to a minute. A keeper that
was killed may be started again in the same folder: it goes on with the processes that it finds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from costplan.adapters.child import plain_environment
from costplan.adapters.cluster.folder import (
    Folder,
    Notes,
    Process,
    StartOrder,
    locked,
    process_of,
)

if TYPE_CHECKING:
    from costplan.adapters.store.store import Store

LOOK_SECONDS = 0.2
LOCK_SECONDS = 5.0
MOST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 60.0
"""A daemon that ran so long did not fail at once: the next try does not wait long."""
DAEMON_STOP_SECONDS = 15.0
SCHEDULER_STOP_SECONDS = 8.0
DISCARD_SECONDS = 60.0
"""So long at a time machines are let end; then it is begun again."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a cluster ends, and whether running tasks are cut off."""

    why: str
    discard: bool = False


class Child:
    """A process of the cluster, started here or by a keeper before this one."""

    def __init__(self, process: Process, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.process, self._popen = process, popen
        self.began = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """True while it runs; collects it where it is a child of ours that has ended."""
        if self._popen is not None:
            return self._popen.poll() is None
        return self.process.is_alive

    def stop(self, seconds: float) -> None:
        """Ends it: asks first, and kills it after a while."""
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
            if not self.is_alive:
                return
            os.kill(self.process.pid, number)
            until = time.monotonic() + patience
            while self.is_alive and time.monotonic() < until:
                time.sleep(0.02)


class Keeper:
    """One cluster, from its start to its end."""

    def __init__(self, folder: Folder, order: StartOrder) -> None:
        self._folder, self._order = folder, order
        self._told = threading.Event()
        self._scheduler: Child | None = None
        self._daemon: Child | None = None
        self._not_before = 0.0
        self._orphaned_at: float | None = None
        self._notes = Notes(phase="starting", keeper=process_of(os.getpid()))

    def run(self) -> None:
        """Returns when nothing of the cluster is left."""
        signal.signal(signal.SIGTERM, lambda *_: self._told.set())
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._take_up()
        ending = self._ending()
        while ending is None:
            self._see_to_daemon()
            self._say(phase="running" if self._daemon is not None else "starting")
            self._told.wait(LOOK_SECONDS)
            ending = self._ending()
        self._end(ending)

    def _take_up(self) -> None:
        """Goes on with what an earlier keeper started, and starts the scheduler where there is
        none yet."""
        before = self._folder.notes()
        if before is not None:
            self._scheduler = None if before.scheduler is None else Child(before.scheduler)
            if before.daemon is not None and before.daemon.is_alive:
                self._daemon = Child(before.daemon)
        if self._scheduler is None:
            self._scheduler = self._started("scheduler", self._order.scheduler, plain_environment())
        self._say()

    def _started(self, name: str, command: Sequence[str], environment: dict[str, str]) -> Child:
        log = self._folder.log(name)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as out:
            popen = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                [sys.executable, *command],
                cwd=self._folder.path,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**environment, **ONE_THREAD},
                start_new_session=True,
            )
        return Child(process_of(popen.pid), popen)

    def _see_to_daemon(self) -> None:
        """Starts the daemon once its file is there, and again where it ended by itself."""
        if self._daemon is not None and not self._daemon.is_alive:
            is_steady = time.monotonic() - self._daemon.began > STEADY_SECONDS
            failures = 1 if is_steady else self._notes.failures + 1
            pause = min(2.0 ** (failures - 1), MOST_PAUSE_SECONDS)
            self._not_before = time.monotonic() + pause
            self._daemon = None
            said = self._folder.tail("daemon")
            self._say(failures=failures, trouble=f"the autoscaler ended: {said}")
        if self._daemon is None and time.monotonic() >= self._not_before:
            if not self._folder.config.exists():
                return
            command = ("-m", "costplan.cli", "run", "--config", str(self._folder.config))
            self._daemon = self._started("daemon", command, dict(os.environ))
            self._say()

    def _say(self, **changes: object) -> None:
        """Notes how it is, where that is news."""
        notes = replace(
            self._notes,
            scheduler=None if self._scheduler is None else self._scheduler.process,
            daemon=None if self._daemon is None else self._daemon.process,
            **changes,  # type: ignore[arg-type]
        )
        if notes != self._notes or self._folder.notes() is None:
            self._notes = notes
            self._folder.note(notes)

    def _ending(self) -> Ending | None:
        """Why it is to end now, None where it goes on."""
        if self._told.is_set():
            return Ending(why="the keeper was told to end")
        if self._scheduler is None or not self._scheduler.is_alive:
            said = self._folder.tail("scheduler", 1)
            return Ending(why=f"the scheduler ended: {said}", discard=True)
        owner = self._folder.owner()
        if owner is None or owner.state == "closing":
            return Ending(why="it was closed", discard=owner is None or owner.discard)
        if not owner.is_gone:
            self._orphaned_at = None
            if self._notes.orphaned:
                self._say(orphaned=0.0)
            return None
        now = time.monotonic()
        self._orphaned_at = self._orphaned_at or now
        gone = now - self._orphaned_at
        self._say(orphaned=max(1.0, float(int(gone))))
        if gone < self._order.grace_seconds:
            return None
        return Ending(why=f"its owner, process {owner.pid}, is gone")

    def _end(self, ending: Ending) -> None:
        """Ends machines, daemon and scheduler, in this order."""
        self._told.clear()
        self._say(phase="ending", why=ending.why)
        discard, tries = ending.discard, 0
        while True:
            if not self._machines_left():
                # A daemon that runs could still buy, so it goes before the last look.
                if self._daemon is not None:
                    self._daemon.stop(DAEMON_STOP_SECONDS)
                    self._daemon = None
                if not self._machines_left():
                    break
            waited = not discard
            is_done, discard = self._down(discard)
            if not is_done and not (waited and discard):
                tries += 1
                self._pause(min(2.0**tries / 2, MOST_PAUSE_SECONDS))
        if self._scheduler is not None:
            self._scheduler.stop(SCHEDULER_STOP_SECONDS)
        self._scheduler = None
        self._folder.forget_secrets()
        self._say(phase="ended", trouble="")

    def _machines_left(self) -> bool:
        """True where the book knows of a machine that has not ended, or cannot be read."""
        if not self._folder.store.exists():
            return False
        from costplan.planner.standing import is_alive

        left: list[bool] = []
        done = self._with_book(
            lambda book: left.append(any(map(is_alive, book.load_state().nodes.values())))
        )
        return not done or left[0]

    def _with_book(self, act: Callable[[Store], None]) -> bool:
        """Does something with the book; false, with a note, where it cannot be used."""
        # At the end only: until then the scheduler starts a second earlier without it.
        from costplan.adapters.clock import utc_now
        from costplan.adapters.store.store import Store
        from costplan.planner.errors import StoreError

        try:
            with Store.open(self._folder.store, clock=utc_now) as book:
                act(book)
        except StoreError as error:
            self._say(trouble=str(error))
            return False
        return True

    def _down(self, discard: bool) -> tuple[bool, bool]:
        """Has the machines ended, by the daemon where it runs, else by `costplan down` in its
        place. Whether that was done, and whether to discard from now on: where the time is over,
        or the owner says meanwhile that tasks need not be waited for."""
        seconds = DISCARD_SECONDS if discard else max(1.0, self._order.patience_seconds)
        until = time.monotonic() + seconds
        self._with_book(lambda book: book.request_down(discard))
        down = None
        while self._machines_left():
            if time.monotonic() > until or (not discard and self._is_discarded()):
                if down is not None:
                    down.stop(2.0)
                self._say(trouble=f"machines are still there: {self._folder.tail('keeper')}")
                return False, True
            if self._daemon is not None and self._daemon.is_alive:
                time.sleep(LOOK_SECONDS / 2)
                continue
            if down is not None and not down.is_alive:
                self._say(trouble=f"machines are still there: {self._folder.tail('keeper')}")
                return False, discard
            if down is None:
                down = self._started("keeper", self._down_command(discard), dict(os.environ))
            time.sleep(LOOK_SECONDS / 2)
        return True, discard

    def _down_command(self, discard: bool) -> tuple[str, ...]:
        said = ("--config", str(self._folder.config), "--yes")
        return ("-m", "costplan.cli", "down", *said, *(("--discard",) if discard else ()))

    def _is_discarded(self) -> bool:
        owner = self._folder.owner()
        return owner is not None and owner.state == "closing" and owner.discard

    def _pause(self, seconds: float) -> None:
        self._told.wait(seconds)
        self._told.clear()


def main(arguments: Sequence[str]) -> int:
    """Keeps the cluster of a folder; 1 where another keeper does, or none was to be started."""
    path = Path(arguments[0])
    folder = Folder(path.parent, path.name)
    until = time.monotonic() + LOCK_SECONDS
    while True:
        with locked(folder.lock) as is_ours:
            if is_ours:
                order = folder.order()
                if order is None:
                    return 1
                Keeper(folder, order).run()
                return 0
        if time.monotonic() > until:
            return 1
        time.sleep(LOOK_SECONDS)  # somebody looks whether there is one


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
