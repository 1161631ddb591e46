"""The folder of a cluster: where its files are, whose it is, and how it is.

<root>/<name>/          0700
  costplan.yaml         the autoscaler's file; written anew, as a whole, for each change
  costplan.db           its store
  token, tls/           secrets of this start, 0600
  start.json            how the scheduler is started, and how long an owner is waited for
  owner.json            whose it is: a process, nobody (detached), or to be closed
  keeper.json           how it is, by the keeper's own word
  keeper.lock           held for as long as the keeper lives
  start.lock            held while somebody starts it
  change.lock           held while somebody changes costplan.yaml
  *.log                 what keeper, scheduler and daemon said
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from costplan.adapters.local.folders import read_json, write_json
from costplan.adapters.store.lease import started
from costplan.planner.wording import plain

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_LINE_BYTES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose a cluster is. `state` is 'held' by a process, 'detached' (it goes on by itself), or
    'closing' ('discard': running tasks are not waited for). `key` tells one cluster object from
    another in the same process."""

    state: str
    pid: int = 0
    started: str = ""
    key: str = ""
    discard: bool = False

    @property
    def is_gone(self) -> bool:
        """True where it was held by a process that is not there any more."""
        return self.state == "held" and started(self.pid) != self.started


def this_process(key: str) -> Owner:
    """This process as an owner."""
    pid = os.getpid()
    return Owner(state="held", pid=pid, started=started(pid), key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process, told from others that get its number later."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """True while it runs."""
        return bool(self.started) and started(self.pid) == self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """How a cluster is. `phase` is 'starting', 'running', 'ending' or 'ended', `why` says why it
    ends, and `trouble` what does not go as it should. `failures` are ends of the daemon in a row
    that nobody asked for. `orphaned` is for how long its owner has been gone, in seconds."""

    phase: str
    why: str = ""
    trouble: str = ""
    failures: int = 0
    orphaned: float = 0.0
    keeper: Process | None = None
    scheduler: Process | None = None
    daemon: Process | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOrder:
    """How the keeper starts a cluster: the scheduler's command line, the seconds for which an owner
    that is gone may be replaced, and those for which running tasks are waited for after that. Its
    processes are on `host`, and its book said `spent_before_usd` when it was started."""

    scheduler: tuple[str, ...]
    grace_seconds: float
    patience_seconds: float
    spent_before_usd: str
    host: str


class Folder:
    """The folder of one cluster."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.path = root / name
        self.config = self.path / "costplan.yaml"
        self.store = self.path / "costplan.db"
        self.token = self.path / "token"
        self.tls = self.path / "tls"
        self.scenario = self.path / "scenario.yaml"
        self.scheduler_file = self.path / "scheduler.json"
        self.lock = self.path / "keeper.lock"
        self.start_lock = self.path / "start.lock"
        self.change_lock = self.path / "change.lock"
        self._start = self.path / "start.json"
        self._owner = self.path / "owner.json"
        self._notes = self.path / "keeper.json"

    def log(self, name: str) -> Path:
        """The log of 'keeper', 'scheduler' or 'daemon'."""
        return self.path / f"{name}.log"

    def make(self) -> None:
        """Makes the folder, for its owner alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    def clear(self) -> None:
        """Takes away what an earlier start left that does not hold any more; the book stays."""
        for path in (self._notes, self.scheduler_file, self.config, self._start):
            path.unlink(missing_ok=True)

    def forget_secrets(self) -> None:
        """Takes away token and keys, of which each start has its own."""
        self.token.unlink(missing_ok=True)
        if self.tls.exists():
            shutil.rmtree(self.tls)

    @property
    def exists(self) -> bool:
        """True where a cluster of this name was ever started here."""
        return self._owner.exists()

    @property
    def is_kept(self) -> bool:
        """True while a keeper lives."""
        with locked(self.lock) as is_ours:
            return not is_ours

    @property
    def is_living(self) -> bool:
        """True while any of its processes lives."""
        notes = self.notes()
        there = () if notes is None else (notes.scheduler, notes.daemon)
        return self.is_kept or any(each is not None and each.is_alive for each in there)

    def owner(self) -> Owner | None:
        """Whose it is, None where nobody said."""
        found = read_json(self._owner)
        return None if found is None else Owner(**found)

    def give_to(self, owner: Owner) -> None:
        """Says whose it is from now on."""
        write_json(self._owner, asdict(owner))

    def notes(self) -> Notes | None:
        """How it is by the keeper's word, None before it has said anything."""
        found = read_json(self._notes)
        if found is None:
            return None
        for name in ("keeper", "scheduler", "daemon"):
            found[name] = _process(found[name])
        return Notes(**found)

    def note(self, notes: Notes) -> None:
        """Says how it is."""
        write_json(self._notes, asdict(notes))

    def order(self) -> StartOrder | None:
        """How it is started, None before that was said."""
        found = read_json(self._start)
        if found is None:
            return None
        return StartOrder(**{**found, "scheduler": tuple(found["scheduler"])})

    def give_order(self, order: StartOrder) -> None:
        """Says how it is started."""
        write_json(self._start, asdict(order))

    def tail(self, name: str, lines: int = 4) -> str:
        """The last lines of a log, without what would steer a terminal."""
        try:
            with self.log(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - lines * _LINE_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        said = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
        return "\n".join(map(plain, said))


def _process(found: dict[str, Any] | None) -> Process | None:
    return None if found is None else Process(**found)


def process_of(pid: int) -> Process:
    """The process that has this number now."""
    return Process(pid=pid, started=started(pid))


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Tries to hold the lock of a file until the block ends; false where somebody else does. It
    ends with the process, whichever way that dies."""
    try:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield not path.parent.is_dir()
        return
    try:
        is_ours = True
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_ours = False
        yield is_ours
    finally:
        with suppress(OSError):
            os.close(held)


def default_root() -> Path:
    """Where clusters are: `$XDG_STATE_HOME/costplan/clusters`, `~/.local/state/...` without it."""
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return home / "costplan" / "clusters"


def living_names(root: Path) -> list[str]:
    """The names of clusters that live there."""
    try:
        found = sorted(path.name for path in root.iterdir() if path.is_dir())
    except OSError:
        return []
    return [name for name in found if NAME.fullmatch(name) and Folder(root, name).is_living]


def let_go(folder: Folder, key: str, pid: int) -> None:
    """Has a cluster ended whose object is gone without `close`; in its own process only."""
    owner = folder.owner()
    if os.getpid() == pid and owner is not None and owner.key == key:
        folder.give_to(Owner(state="closing", discard=True))
