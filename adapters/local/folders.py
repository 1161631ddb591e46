"""A machine as a folder: what stands in it, who holds it, and which processes are its own.

    <state_dir>/scenario.json            the scenario as it was started, with its first instant
    <state_dir>/events/<id>.json         an interruption that has been dealt, and to whom
    <state_dir>/ended/<id>.json          what is kept of a machine whose folder is gone
    <state_dir>/machines/<id>/           one machine
        request.json                     what was asked for; there before anything else is
        lock                             held for as long as the supervisor lives, touched by it
        accepted                         its launch was answered, or is about to be
        supervisor.json, workers.json    processes of it, with the ticks that they started at
        terminate.json                   it is to end
        notice-<event>.json              it is to be taken away, and whether it is told
        ended.json                       when its processes were gone, and why

Uses the standard library only: every machine's supervisor imports it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARK = "COSTPLAN_MACHINE"
"""Every process of a machine has its folder under this name in its environment."""

REQUEST, LOCK, ACCEPTED = "request.json", "lock", "accepted"
SUPERVISOR, WORKERS = "supervisor.json", "workers.json"
TERMINATE, ENDED, NOTICE = "terminate.json", "ended.json", "notice-"

_FLOCK = "hhqqi4x"
_START_SECONDS = 1.0
_LOOK_SECONDS = 0.001
_FIELDS_OF_STAT = 20  # `starttime` is the 22nd field of /proc/PID/stat, the 20th after the name


def machines_folder(state_dir: Path) -> Path:
    """Where the machines of a state folder are."""
    return state_dir / "machines"


def ended_folder(state_dir: Path) -> Path:
    """Where the records of machines are kept whose folders are gone."""
    return state_dir / "ended"


def events_folder(state_dir: Path) -> Path:
    """Where the interruptions are that have been dealt."""
    return state_dir / "events"


def write_json(path: Path, value: object) -> None:
    """Writes a file so that it is there whole or not at all, whenever this process dies."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    draft.write_text(json.dumps(value, sort_keys=True))
    draft.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """What a file of ours holds, None where there is none."""
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return value


def folders(state_dir: Path) -> list[Path]:
    """The folders of all machines of a state folder, in order of their ids."""
    try:
        found = sorted(machines_folder(state_dir).iterdir())
    except FileNotFoundError:
        return []
    return [folder for folder in found if folder.name[0] != "."]


def take_lock(path: Path, *, wait: bool = False) -> int | None:
    """A file descriptor that holds the lock of a file, None where somebody else holds it.

    The lock belongs to the open file: a process that inherits the descriptor holds it too, and
    it ends with the last of them, whichever way that dies.
    """
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        fcntl.fcntl(held, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, asked)
    except (BlockingIOError, PermissionError):
        os.close(held)
        return None
    return held


def is_held(path: Path) -> bool:
    """True while somebody holds the lock of a file; asking takes nothing from anybody."""
    try:
        asked = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(asked, fcntl.F_OFD_GETLK, question)
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)
    finally:
        os.close(asked)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file while the block runs; waits for whoever has it."""
    held = take_lock(path, wait=True)
    try:
        yield
    finally:
        if held is not None:
            os.close(held)


def is_alive(folder: Path) -> bool:
    """True while the machine's supervisor lives."""
    return is_held(folder / LOCK)


def started_ticks(pid: int) -> int | None:
    """Clock ticks since boot at which a process started, None where it is gone or a zombie.

    A process id comes back to another process one day; together with this it does not.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[_FIELDS_OF_STAT - 1])


def signal_process(pid: int, ticks: int | None, number: signal.Signals) -> bool:
    """Signals the process of this id that started at these ticks; False where it is gone.

    The id is pinned before it is compared, so no other process can be hit.
    """
    try:
        pinned = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return False
    try:
        found = started_ticks(pid)
        if found is None or (ticks is not None and found != ticks):
            return False
        signal.pidfd_send_signal(pinned, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(pinned)
    return True


def processes(place: Path) -> dict[int, int]:
    """Process id -> start ticks of every process that runs for a machine folder.

    `place` may also be a folder of machines, for the processes of all of them.
    """
    wanted = f"{MARK}={place}".encode()
    found: dict[int, int] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        variables = _variables(process)
        if any(v == wanted or v.startswith(wanted + b"/") for v in variables):
            ticks = started_ticks(int(process.name))
            if ticks is not None:
                found[int(process.name)] = ticks
    return found


def _variables(process: Path) -> list[bytes]:
    """The environment that a process of /proc was started with, nothing where it has none to show.

    While the kernel lays out a program that is just being started, both its environment and its
    command line are empty. Who spawned it may already have been told that all went well.
    """
    deadline = time.monotonic() + _START_SECONDS
    has_command = False
    try:
        while not (found := (process / "environ").read_bytes()):
            (process / "exe").readlink()  # a thread of the kernel and a zombie have no program
            if has_command or time.monotonic() > deadline:
                break
            has_command = bool((process / "cmdline").read_bytes())
            threading.Event().wait(_LOOK_SECONDS)
    except OSError:  # gone meanwhile, or another user's
        return []
    return found.split(b"\0")
