"""Turns the machines of a rig into processes: each runs its start script, and so its Dask workers.

    with hypervisor(AwsGuests(rig.cloud), folder) as host:
        ...    # what is launched on the rig boots, joins, is warned of, drains and powers off

It only follows the rig. A machine that runs there is booted here: a shell runs the script that was
handed over at the launch, unchanged, in a folder and a process group of its own. Its metadata
service says where and what it is, and warns as the rig does. A machine that the rig has ended,
whether by call or because a notice is over, is killed with all of its processes; one whose script
powers it off is told to the rig. Nothing here needs root: what would write to /var/log or /run, or
end this computer, is led elsewhere by variables that the script reads and by commands on its PATH.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from tests.emulators.fork_server import READY, shim
from tests.emulators.metadata import Machine, Service, values_of

ROOT = Path(__file__).parents[2]
LOOK_SECONDS = 0.05
START_SECONDS = 60.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A machine that a rig says is on. `name` is what its metadata call it, `zone` and `kind` are
    as costplan's offers have them; the instants are of warnings that are in force."""

    id: str
    name: str
    script: str
    zone: str
    kind: str
    is_spot: bool
    reclaim_at: datetime | None = None
    rebalance_at: datetime | None = None
    maintenance_at: datetime | None = None


class Guests(Protocol):
    """What is needed of a rig. Called from a thread of the hypervisor."""

    cloud: str

    def on(self) -> Sequence[Guest]:
        """Every machine that runs now, after what is due by now has happened."""

    def powered_off(self, guest_id: str) -> None:
        """A machine has shut itself down."""


@dataclass(slots=True, kw_only=True)
class Hosted:
    """A machine here. `end` is '' while it runs, then 'powered off' or 'killed'."""

    guest: Guest
    folder: Path
    metadata: Machine
    process: subprocess.Popen[bytes]
    booted_at: datetime
    end: str = ""

    def log(self) -> str:
        """What its script and workers have written."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


@dataclass(slots=True)
class Hypervisor:
    """The machines by their ids, ended ones too."""

    guests: Guests
    folder: Path
    hosted: dict[str, Hosted] = field(default_factory=dict)
    _service: Service = field(init=False)
    _server: subprocess.Popen[bytes] = field(init=False)
    _stop: threading.Event = field(default_factory=threading.Event)
    _failure: Exception | None = None

    def alive(self) -> list[Hosted]:
        """Machines that run."""
        return [one for one in list(self.hosted.values()) if not one.end]

    def start(self, modules: Sequence[str]) -> threading.Thread:
        """Begins to follow the rig, once workers can be forked."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._service = Service(self.guests.cloud)
        address = str(self.folder / "fork")
        self._make_commands(address)
        # In this process's session, so that its children can be put into the scripts' groups.
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.emulators.fork_server", address, *modules],
            cwd=ROOT,
            env={**os.environ, **_ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert self._server.stdout is not None
        said = self._server.stdout.readline().decode().strip()
        assert said == READY, f"the fork server said {said!r}"
        thread = threading.Thread(target=self._follow, daemon=True, name="hypervisor")
        thread.start()
        return thread

    def stop(self, thread: threading.Thread) -> None:
        """Kills all that runs; raises what went wrong meanwhile."""
        self._stop.set()
        thread.join(START_SECONDS)
        for one in self.alive():
            self._kill(one, "killed")
        self._server.kill()
        self._server.wait()
        assert self._server.stdout is not None
        self._server.stdout.close()
        self._service.close()
        if self._failure is not None:
            raise RuntimeError("the hypervisor did not go on") from self._failure

    def _make_commands(self, address: str) -> None:
        """What scripts find on their PATH before the system's own."""
        commands = self.folder / "bin"
        commands.mkdir()
        off = '#!/bin/sh\nexec touch "$HYPERVISOR_OFF"\n'
        python = shim(address)
        texts = {"shutdown": off, "poweroff": off, "python3": python, "python": python}
        for name, text in texts.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)

    def _follow(self) -> None:
        try:
            while not self._stop.wait(LOOK_SECONDS):
                self._look()
        except Exception as failure:  # raised again where the hypervisor is stopped
            self._failure = failure

    def _look(self) -> None:
        there = {guest.id: guest for guest in self.guests.on()}
        for guest in there.values():
            hosted = self.hosted.get(guest.id)
            if hosted is None:
                self.hosted[guest.id] = self._boot(guest)
            else:
                _warn(hosted.metadata, guest)
        for one in self.alive():
            if one.guest.id not in there:
                self._kill(one, "killed")
            elif (one.folder / "off").exists():
                self._kill(one, "powered off")
                self.guests.powered_off(one.guest.id)

    def _boot(self, guest: Guest) -> Hosted:
        number = len(self.hosted)
        folder = self.folder / f"machine-{number}"
        folder.mkdir()
        values = values_of(
            self.guests.cloud, guest.name, guest.zone, guest.kind, is_spot=guest.is_spot
        )
        metadata = self._service.add(values, f"/machine-{number}")
        _warn(metadata, guest)
        script = folder / "script"
        script.write_text(guest.script)
        script.chmod(0o700)
        environment = {
            **_ONE_THREAD,
            "PATH": f"{self.folder / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
            "COSTPLAN_METADATA": metadata.address,
            "COSTPLAN_LOG": str(folder / "log"),
            "COSTPLAN_RUN": str(folder),
            "HYPERVISOR_OFF": str(folder / "off"),
        }
        process = subprocess.Popen(
            [str(script)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        return Hosted(
            guest=guest,
            folder=folder,
            metadata=metadata,
            process=process,
            booted_at=datetime.now(UTC),
        )

    def _kill(self, one: Hosted, end: str) -> None:
        """Its leader is not waited for before, so that the group's number is still its own."""
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()
        one.end = end


def _warn(machine: Machine, guest: Guest) -> None:
    machine.reclaim_at = guest.reclaim_at
    machine.rebalance_at = guest.rebalance_at
    machine.maintenance_at = guest.maintenance_at


@contextmanager
def hypervisor(guests: Guests, folder: Path, *modules: str) -> Iterator[Hypervisor]:
    """Follows a rig until the block ends, and leaves no process behind. `modules` are imported
    once for all workers, as those of their tasks may be."""
    host = Hypervisor(guests, folder)
    thread = host.start(modules)
    try:
        yield host
    finally:
        host.stop(thread)
