"""Ends machines by force, whoever holds them: what is left when nobody is there to ask."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

from costplan.adapters.clock import utc_now
from costplan.adapters.local.folders import (
    ENDED,
    LOCK,
    REQUEST,
    folders,
    is_alive,
    machines_folder,
    processes,
    read_json,
    signal_process,
    take_lock,
    write_json,
)

_KILL_SECONDS = 10.0
_LOOK_SECONDS = 0.02


def end_leftovers(folder: Path) -> bool:
    """Kills every process that runs for a machine; True where none is left.

    A machine whose supervisor still lives loses that too.
    """
    deadline = time.monotonic() + _KILL_SECONDS
    while left := processes(folder):
        for pid, ticks in left.items():
            signal_process(pid, ticks, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(_LOOK_SECONDS)
    return True


def sweep(state_dir: Path, cluster: str | None = None) -> tuple[str, ...]:
    """Ends every machine of a cluster, or of all, and returns the ids of those it ended.

    For when the daemon cannot do it. Each machine's record says when it ended.
    """
    ended = []
    for folder in folders(state_dir.absolute()):
        request = read_json(folder / REQUEST)
        if request is None or cluster not in (None, request["cluster"]):
            continue
        if not is_alive(folder) and not processes(folder):
            continue
        end_leftovers(folder)
        lock = take_lock(folder / LOCK)
        if lock is not None:  # else somebody has started it anew, which is theirs to end
            _record_end(folder)
            os.close(lock)
        ended.append(folder.name)
    return tuple(ended)


def running_processes(state_dir: Path) -> tuple[int, ...]:
    """Ids of all processes that run for any machine of a state folder."""
    return tuple(sorted(processes(machines_folder(state_dir.absolute()))))


def _record_end(folder: Path) -> None:
    """Writes the end of a machine whose supervisor could not."""
    if not (folder / ENDED).exists():
        write_json(folder / ENDED, {"at": utc_now().isoformat(), "cause": "terminated"})


def main() -> None:
    """Ends the machines of the folder and cluster on the command line, and names them."""
    parser = argparse.ArgumentParser(
        prog="costplan.adapters.local.sweep", description="End local machines by force."
    )
    parser.add_argument("state_dir", type=Path, help="the provider's state_dir")
    parser.add_argument("cluster", nargs="?", help="only the machines of this cluster")
    given = parser.parse_args()
    if not machines_folder(given.state_dir).is_dir():
        parser.error(f"{given.state_dir} has no machines; name the provider's state_dir")
    for name in sweep(given.state_dir, given.cluster):
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
