"""Starting a cluster in its folder, changing its file, and waiting for what comes of it.

All of it blocks, and is called in a thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from costplan.adapters.clock import utc_now
from costplan.adapters.cluster.file import check_file, text_of
from costplan.adapters.cluster.folder import Folder, Owner, StartOrder, locked
from costplan.adapters.cluster.seen import Seen, is_ready, look
from costplan.adapters.cluster.tls import TlsFiles
from costplan.adapters.store.store import Store
from costplan.adapters.whole_file import beside, write_secret
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.daemon_config import daemon_config_from_mapping
from costplan.planner.errors import CostplanError
from costplan.planner.settings import Settings
from costplan.planner.wording import counted

LOOK_SECONDS = 0.1
RELOAD_SECONDS = 60.0
END_SECONDS = 120.0
KEEPER_SECONDS = 20.0
CONNECT_SECONDS = 60.0

Change = Callable[[Mapping[str, Any]], dict[str, Any]]
"""From the autoscaler's file to another one."""


class ClusterFailed(CostplanError, RuntimeError):
    """A cluster could not be started, changed, reached or ended: says what, and what was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a scheduler is: its address, and the port of its HTTP server on loopback."""

    address: str
    http_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A cluster that is to be started: the autoscaler's file but for the scheduler's place, and
    what stands beside it. Seconds are as in `StartOrder`, `start_seconds` is for all of it."""

    file: Mapping[str, Any]
    scenario: Mapping[str, Any] | None
    tls: TlsFiles | None
    host: str
    port: int
    dashboard_port: int
    grace_seconds: float
    patience_seconds: float
    start_seconds: float
    owner: Owner


def start(folder: Folder, launch: Launch, say: Callable[[str], None]) -> Place:
    """Starts scheduler and daemon; returns when the daemon has looked at the cluster once.

    Raises ClusterFailed; what was begun goes on then, and ends with `end`.
    """
    began = utc_now()
    until = time.monotonic() + launch.start_seconds
    write_secret(folder.token, secrets.token_hex(32) + "\n")
    if launch.scenario is not None:
        _write(folder.scenario, json.dumps(launch.scenario, indent=2) + "\n")
    folder.give_order(
        StartOrder(
            scheduler=_scheduler_command(folder, launch),
            grace_seconds=launch.grace_seconds,
            patience_seconds=launch.patience_seconds,
            spent_before_usd=str(_reopened(folder)),
            host=socket.gethostname(),
        )
    )
    folder.give_to(launch.owner)
    keep(folder)
    say("the scheduler starts")
    written = partial(has_place, folder)
    _until(folder, written, until, "the scheduler did not start", "scheduler")
    place = _place(folder)
    write_file(folder, with_scheduler(launch.file, place, launch.tls))
    say(f"the scheduler is at {place.address}, the autoscaler starts")

    def looked() -> bool:
        seen = look(folder)
        if seen.notes is not None and seen.notes.failures:
            raise ClusterFailed(_told(folder, "the autoscaler does not run", "daemon"))
        return is_ready(seen, began)

    _until(folder, looked, until, "the autoscaler has not looked at the cluster", "daemon")
    say("the autoscaler runs")
    return place


def keep(folder: Folder) -> None:
    """Starts the keeper of a folder; nobody's child, so that it need not be collected. Returns when
    it has begun; raises ClusterFailed where it does not."""
    log = os.open(folder.log("keeper"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    module = "costplan.adapters.cluster.keeper"
    try:
        subprocess.run(  # noqa: S603 - our own interpreter and module
            ["/bin/sh", "-c", '"$@" </dev/null &', "sh", sys.executable, "-m", module,
             str(folder.path)],
            cwd=folder.path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=True,
        )  # fmt: skip
    finally:
        os.close(log)
    until = time.monotonic() + KEEPER_SECONDS
    while not folder.is_kept:
        notes = folder.notes()
        if notes is not None and notes.phase == "ended":
            return
        if time.monotonic() > until:
            raise ClusterFailed(_told(folder, "its keeper did not start", "keeper"))
        time.sleep(LOOK_SECONDS)


def _scheduler_command(folder: Folder, launch: Launch) -> tuple[str, ...]:
    protocol = "tls" if launch.tls else "tcp"
    return (
        "-m", "distributed.cli.dask_scheduler",
        "--host", f"{protocol}://{launch.host}", "--port", str(launch.port),
        "--dashboard-address", f"127.0.0.1:{launch.dashboard_port}",
        "--scheduler-file", str(folder.scheduler_file),
        *([] if launch.tls is None else launch.tls.flags("scheduler")),
        "--preload", "costplan.adapters.dask.preload",
        "--costplan-token-file", str(folder.token),
    )  # fmt: skip


def _reopened(folder: Folder) -> Decimal:
    """Takes back what ended the cluster the last time; what it had cost until then."""
    if not folder.store.exists():
        return Decimal(0)
    with Store.open(folder.store, clock=utc_now) as store:
        store.clear_down()
        store.resume()
        return store.total_usd()


def _place(folder: Folder) -> Place:
    found = json.loads(folder.scheduler_file.read_text())
    return Place(address=str(found["address"]), http_port=int(found["services"]["dashboard"]))


def has_place(folder: Folder) -> bool:
    """Whether the scheduler has said where it is: Dask does not write its file at once, so it may
    be there and be empty."""
    try:
        _place(folder)
    except (FileNotFoundError, ValueError):
        return False
    return True


def place_of(folder: Folder) -> Place:
    """Where the scheduler of a cluster is; raises ClusterFailed where it was never there."""
    try:
        return _place(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ClusterFailed(f"{folder.name}: no scheduler has started there: {error}") from error


def with_scheduler(file: Mapping[str, Any], place: Place, tls: TlsFiles | None) -> dict[str, Any]:
    """The file with the scheduler's place in it."""
    scheduler: dict[str, Any] = {
        "endpoint": f"http://127.0.0.1:{place.http_port}",
        "address": place.address,
        "token_file": "token",
    }
    if tls is not None and file["provider"]["kind"] == "local":
        scheduler["worker_tls"] = tls.worker_section()
    return {**file, "scheduler": scheduler}


async def answered(asking: Awaitable[None], folder: Folder, place: Place) -> None:
    """Returns when the scheduler has answered; raises ClusterFailed where it does not. Dask waits
    for the answer of one that it has reached for as long as that takes."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asking
    except OSError as error:
        why = str(error) or f"not in {CONNECT_SECONDS:g} s"
        problem = f"the scheduler at {place.address} does not answer: {why}"
        raise ClusterFailed(_told(folder, problem, "scheduler")) from error


def read_file(folder: Folder) -> dict[str, Any]:
    """The autoscaler's file as it is now."""
    found = mapping_from_yaml(folder.config.read_text(), str(folder.config), "docs/cluster.md")
    return dict(found)


def write_file(folder: Folder, file: Mapping[str, Any]) -> None:
    """Puts the autoscaler's file in its place, as a whole."""
    with beside(folder.config, text_of(file).encode()) as partial:
        partial.chmod(0o600)
        partial.replace(folder.config)


def checked(folder: Folder, change: Change) -> dict[str, Any]:
    """The file as it is now with a change; raises ArgumentError where the daemon would not take
    it."""
    file = change(read_file(folder))
    check_file(file, folder.path, "adapt")
    return file


def reload(folder: Folder, change: Change) -> None:
    """Changes the file, and returns when the daemon has taken that in. One change comes after the
    other, whoever makes them, so that none takes another back.

    Raises ClusterFailed where it has not within a minute: the file stays, and is read when the
    daemon starts.
    """
    until = time.monotonic() + RELOAD_SECONDS
    with ExitStack() as held:
        while not held.enter_context(locked(folder.change_lock)):
            held.pop_all().close()
            if time.monotonic() > until:
                raise ClusterFailed(f"{folder.name}: an earlier change is not taken in yet")
            time.sleep(LOOK_SECONDS)
        file = checked(folder, change)
        meant = daemon_config_from_mapping(file, str(folder.config), str(folder.path)).settings
        write_file(folder, file)
        with Store.open(folder.store, clock=utc_now) as store:
            store.request_reload(utc_now())
        until = time.monotonic() + RELOAD_SECONDS
        problem = "the autoscaler has not taken the change in"
        _until(folder, lambda: _has(folder, meant), until, problem, "daemon")


def _has(folder: Folder, meant: Settings) -> bool:
    """True once the newest tick went by these numbers of workers, limits and times."""
    with Store.open(folder.store, read_only=True, clock=utc_now) as store:
        stored = store.last_tick()
    if stored is None:
        return False
    now = stored.settings
    return (now.kinds, now.budget, now.scaling) == (meant.kinds, meant.budget, meant.scaling)


def _until(
    folder: Folder, condition: Callable[[], bool], until: float, problem: str, log: str
) -> None:
    """Returns once the condition holds; raises ClusterFailed where the time is over before, or the
    cluster ends meanwhile."""
    while not condition():
        notes = folder.notes()
        if notes is not None and notes.phase in ("ending", "ended"):
            raise ClusterFailed(_told(folder, f"{problem}: {notes.why}", log))
        if time.monotonic() > until:
            raise ClusterFailed(_told(folder, f"{problem} in time", log))
        time.sleep(LOOK_SECONDS)


def _told(folder: Folder, problem: str, log: str) -> str:
    said = folder.tail(log) or folder.tail("keeper")
    end = f":\n{said}" if said else ""
    return f"{folder.name}: {problem}; {folder.log(log)} ends with{end}" if end else problem


def end(folder: Folder, seconds: float | None = None, *, discard: bool) -> None:
    """Has the cluster ended, and returns when nothing of it is left.

    Raises ClusterFailed where that takes longer than `seconds` (None: as long as it may): its
    keeper goes on with it.
    """
    order = folder.order()
    if seconds is None:
        seconds = END_SECONDS
        if not discard and order is not None:
            seconds += order.patience_seconds
    folder.give_to(Owner(state="closing", discard=discard))
    until = time.monotonic() + seconds
    if folder.is_living and not folder.is_kept:
        keep(folder)
    while folder.is_living:
        if time.monotonic() > until:
            raise ClusterFailed(
                f"{folder.name}: {_left(look(folder))} after {seconds:g} s; its keeper goes on "
                "ending it, and close() again waits for that"
                + ("" if discard else "; close(discard=True) lets results go")
            )
        time.sleep(LOOK_SECONDS)


def _left(seen: Seen) -> str:
    """What is still there, and why the first of it is."""
    status = seen.status
    if status is None or not status.nodes:
        return "its processes still run"
    trouble = "" if seen.notes is None else seen.notes.trouble
    why = trouble or next((f"{row.node_id}: {row.why}" for row in status.machines if row.why), "")
    return f"{counted(status.nodes, 'machine')} still there{f' ({why})' if why else ''}"


def _write(path: Path, text: str) -> None:
    with beside(path, text.encode()) as partial:
        partial.replace(path)
