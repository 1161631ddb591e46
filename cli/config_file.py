"""Reads the autoscaler's file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from costplan.adapters.text_file import read_text
from costplan.planner.daemon_config import GUIDE, DaemonConfig, parse_daemon_config


def read_config(path: Path) -> DaemonConfig:
    """What the file says; its relative paths start at its folder.

    Raises InputError, which names the file and every problem of it. Of the files that it names
    that of commitments is read, others are by who needs them.
    """
    text = read_text(path, absent=f"see {GUIDE} for an example")
    config = parse_daemon_config(text, str(path), str(path.absolute().parent))
    held = config.settings.held
    if not held.file:
        return config
    from costplan.cli.held_source import with_files

    with_all = with_files(held, path.absolute().parent)
    return replace(config, settings=replace(config.settings, held=with_all))


def default_cluster(path: Path) -> str:
    """A cluster's name from the folder that a file lies in: its letters, digits and `_.-`."""
    folder = path.absolute().parent.name
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in folder)
    return name.strip("-.") or "costplan"
