"""Asks before something that cannot be taken back."""

from __future__ import annotations

import sys

import typer

from costplan.planner.errors import InputError


def confirm(question: str, *, yes: bool) -> None:
    """Returns where a person agrees, or did so with --yes.

    Raises InputError where nobody can be asked, and ends the command with 1 on a no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("--yes", "is needed where nobody can be asked", "nothing was done")
    if not typer.confirm(question, err=True):
        typer.echo("nothing was done", err=True)
        raise typer.Exit(1)
