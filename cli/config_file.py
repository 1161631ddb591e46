"""Reads the autoscaler's file."""

from __future__ import annotations

from pathlib import Path

from costplan.adapters.text_file import read_text
from costplan.planner.daemon_config import GUIDE, DaemonConfig, parse_daemon_config


def read_config(path: Path) -> DaemonConfig:
    """What the file says; its relative paths start at its folder.

    Raises InputError, which names the file and every problem of it. Files that it names are not
    opened: who needs one reads it.
    """
    text = read_text(path, absent=f"see {GUIDE} for an example")
    return parse_daemon_config(text, str(path), str(path.absolute().parent))


def default_cluster(path: Path) -> str:
    """A cluster's name from the folder that a file lies in: its letters, digits and `_.-`."""
    folder = path.absolute().parent.name
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in folder)
    return name.strip("-.") or "costplan"
