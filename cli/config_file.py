"""Reads the autoscaler's file."""

from __future__ import annotations

from pathlib import Path

from costplan.planner.daemon_config import GUIDE, DaemonConfig, parse_daemon_config
from costplan.planner.errors import InputError


def read_config(path: Path) -> DaemonConfig:
    """What the file says; its relative paths start at its folder.

    Raises InputError, which names the file and every problem of it. Files that it names are not
    opened: who needs one reads it.
    """
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(name, "there is no such file", f"see {GUIDE} for an example") from error
    except IsADirectoryError as error:
        raise InputError(name, "is a folder", "name a YAML file in it") from error
    except UnicodeDecodeError as error:
        raise InputError(name, "is not text in UTF-8") from error
    except OSError as error:
        raise InputError(name, f"cannot be read: {error.strerror}") from error
    return parse_daemon_config(text, name, str(path.absolute().parent))
