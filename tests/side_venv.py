"""Virtual environments beside `.venv`, for programs whose packages do not go with those in it.

One is made in the checkout by the first test that wants it, and stays until `make clean`.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 600.0


class Unavailable(Exception):
    """An environment cannot be had here, and why."""


def side_venv(name: str, pins: Sequence[str], python: str) -> Path:
    """The `bin` of the environment `name` in the checkout, with these requirements on this Python;
    several test processes make it once. Raises Unavailable."""
    folder = ROOT / name
    ready = folder / ".ready"
    with (ROOT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (ready.is_file() and ready.read_text().splitlines() == list(pins)):
            _make(folder, pins, python)
            ready.write_text("\n".join(pins))
    return folder / "bin"


def _make(folder: Path, pins: Sequence[str], python: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    for command in ([python, "-m", "venv", str(folder)], [*pip, "install", *pins]):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=MOST_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{' '.join(command)}: {error}") from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["?"]
            raise Unavailable(f"{' '.join(command)}: {said[-1]}")
