"""How a command ends when something is wrong: one line on standard error, and an exit code.

0  done
1  what was given is wrong; a replay differs
2  the command line is wrong; with --detailed-exitcode: changes are advised, a budget will be passed
3  no fleet does; with --detailed-exitcode: a budget is passed
4  the prices, or a plan, are too old
5  a plan does not fit what runs here
6  the time to wait is over
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

BAD_INPUT = 1
DIFFERS = 1
CHANGES_ADVISED = 2
INFEASIBLE = 3
TOO_OLD = 4
REFUSED = 5
NOT_YET = 6

_DETAILED = "--detailed-exitcode"
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What typer raises for a wrong command line; its module is not the same in all versions."""


class Ended(Exception):
    """A command ends early, with this to say and this exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class CommandGroup(TyperGroup):
    """A group of commands whose errors are one line each: the only place that reports them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remembers whether exit code 2 means a change, so that a wrong flag is not one."""
        if _DETAILED in args:
            ctx.meta[_DETAILED] = True
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """What the command answers; errors that costplan raises on purpose end it quietly."""
        from costplan.planner.errors import CostplanError, InvariantBroken

        try:
            return super().invoke(ctx)
        except InvariantBroken as bug:
            _say(f"error: a bug in costplan, please report it: {bug}")
            raise typer.Exit(BAD_INPUT) from None
        except CostplanError as error:
            _say(f"error: {error}")
            raise typer.Exit(BAD_INPUT) from None
        except Ended as end:
            _say(f"error: {end}")
            raise typer.Exit(end.exit_code) from None
        except _UsageError as error:
            if ctx.meta.get(_DETAILED):
                error.exit_code = BAD_INPUT  # type: ignore[attr-defined]
            raise


def note(text: str) -> None:
    """Tells the person at the terminal something that is no part of the answer."""
    _say(text)


def check_word(option: str, word: str, known: Sequence[str]) -> None:
    """Returns where an option's word is one of those known; raises InputError otherwise."""
    from costplan.planner.errors import InputError

    if word not in known:
        raise InputError(f"{option} {word}", "is not known", "use one of " + ", ".join(known))


def _say(text: str) -> None:
    typer.echo(text, err=True)
