"""Writes a file as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from costplan.adapters.whole_file import beside
from costplan.planner.errors import InputError


def check_out(path: Path, option: str = "--out") -> None:
    """Returns where a file can be put at `path`; raises InputError, of that option, otherwise.

    To be asked before the work is done, so that an answer is not lost to a misspelt folder.
    """
    subject = f"{option} {path}"
    if path.is_dir():
        raise InputError(subject, "is a folder", "name a file in it")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise InputError(subject, f"there is no folder {folder}", "make it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(subject, "may not be written", "name another file")


def write_out(path: Path, content: str | bytes, option: str = "--out") -> None:
    """Puts the text or bytes at `path`; a reader sees what was there before or all of the new.

    A device or pipe is written to as it is: replacing it would take it away.
    Raises InputError, of that option, where the disk refuses.
    """
    data = _encoded(content)
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        with beside(target, data) as partial:
            partial.replace(target)
    except OSError as error:
        raise InputError(f"{option} {path}", f"cannot be written: {error.strerror}") from error


def write_new(path: Path, content: str | bytes, option: str = "--out") -> None:
    """Puts the text or bytes at `path`, as a whole, where nothing is yet: also where somebody
    else puts a file there at the same moment. Raises InputError otherwise."""
    target = path.resolve()
    try:
        with beside(target, _encoded(content)) as partial:
            # A link is made or is not; a rename would take away what came in between.
            target.hardlink_to(partial)
    except FileExistsError as error:
        raise InputError(str(path), "is there already", "name another file") from error
    except OSError as error:
        raise InputError(f"{option} {path}", f"cannot be written: {error.strerror}") from error


def _encoded(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
