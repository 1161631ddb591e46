"""Which processes are a machine's, also in the moment of their start."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from costplan.adapters.local import folders
from costplan.adapters.local.folders import MARK, processes


def process(place: Path, environ: bytes, cmdline: bytes) -> Path:
    """A process as /proc shows it."""
    (place / "environ").write_bytes(environ)
    (place / "cmdline").write_bytes(cmdline)
    (place / "exe").symlink_to("/bin/true")
    return place


def test_a_process_is_found_once_its_start_is_told() -> None:
    """Over many starts: the kernel tells of one a moment before it shows its environment."""
    place = Path("/nowhere/machines")
    for _ in range(100):
        marked = {**os.environ, MARK: f"{place}/m"}
        with subprocess.Popen(["/bin/sleep", "100"], env=marked) as started:
            found = processes(place)
            started.kill()
        assert set(found) == {started.pid}


def test_what_is_just_starting_is_looked_at_again(tmp_path: Path) -> None:
    starting = process(tmp_path, b"", b"")
    told = threading.Timer(0.05, (starting / "environ").write_bytes, [b"A=1\0B=2\0"])
    told.start()
    assert folders._variables(starting) == [b"A=1", b"B=2", b""]
    told.join()


def test_what_has_no_environment_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_START_SECONDS", 3600.0)
    bare = process(tmp_path, b"", b"sleep\0100\0")
    assert folders._variables(bare) == [b""]
    (bare / "cmdline").write_bytes(b"")
    (bare / "exe").unlink()
    assert folders._variables(bare) == []


def test_what_never_shows_any_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_START_SECONDS", 0.01)
    assert folders._variables(process(tmp_path, b"", b"")) == [b""]
