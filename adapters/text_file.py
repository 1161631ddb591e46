"""Text that a person named by a path: read whole, or refused in one line that says why."""

from __future__ import annotations

from pathlib import Path

from costplan.planner.errors import InputError


def read_text(
    path: Path, *, kind: str = "YAML file", absent: str = "", most_bytes: int | None = None
) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    `kind` is what a folder should have been, `absent` the way out where there is no such file. A
    file of more than `most_bytes` is not opened. Raises InputError, which names the path.
    """
    name = str(path)
    try:
        if most_bytes is not None and path.stat().st_size > most_bytes:
            raise InputError(name, f"is too large for a {kind}", absent)
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(name, "there is no such file", absent) from error
    except IsADirectoryError as error:
        raise InputError(name, "is a folder", f"name a {kind} in it") from error
    except UnicodeDecodeError as error:
        raise InputError(name, "is not text in UTF-8") from error
    except OSError as error:
        raise InputError(name, f"cannot be read: {error.strerror}") from error
