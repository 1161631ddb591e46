"""Waits for the daemon to get somewhere, and says each step."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import typer

from costplan.cli.errors import NOT_YET, Ended

EVERY_SECONDS = 0.5


def wait_until(
    read: Callable[[], str],
    goal: str,
    *,
    subject: str,
    seconds: int | None,
    is_alive: Callable[[], bool],
) -> None:
    """Returns once `read` answers `goal`; says every new answer.

    Ends the command with NOT_YET where the time is over or the daemon has ended, and says that
    the request stands. Ctrl-C ends the waiting only.
    """
    never = Event()
    said, waited = "", 0.0
    while (now := read()) != goal:
        if now != said:
            typer.echo(f"{subject}: {now}")
            said = now
        if seconds is not None and waited >= seconds:
            raise Ended(f"{subject} is {now} after {seconds} s; the request stands", NOT_YET)
        if not is_alive():
            raise Ended(f"{subject} is {now} and no daemon runs; the request stands", NOT_YET)
        never.wait(EVERY_SECONDS)
        waited += EVERY_SECONDS
    typer.echo(f"{subject}: {goal}")
