"""Writes a file as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

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


def write_out(path: Path, text: str, option: str = "--out") -> None:
    """Puts the text at `path`; a reader sees what was there before or all of the new text.

    A device or pipe is written to as it is: replacing it would take it away.
    Raises InputError, of that option, where the disk refuses.
    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
            return
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with partial.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{option} {path}", f"cannot be written: {error.strerror}") from error
