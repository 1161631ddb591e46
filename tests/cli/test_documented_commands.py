"""Commands that README and docs show: each exists, and has the options that are written there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from costplan.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
COMMANDS: Any = typer.main.get_command(app)
_SHOWN = re.compile(r"^(?:    |\$ )\s*costplan (.*)$|`costplan ([^`]+)`", re.MULTILINE)
_OPTION = re.compile(r"--?[a-z][a-z-]*")


def shown(page: Path) -> list[str]:
    """What follows `costplan` in the lines of commands of a page, and between its backquotes."""
    text = page.read_text().replace("\\\n", " ")
    return [line or word for line, word in _SHOWN.findall(text)]


def unknown(words: list[str]) -> str:
    """What of a command does not exist, '' where all of it does."""
    command, path = COMMANDS, list[str]()
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        inner = command.commands.get(words[0])
        if inner is None:
            return f"no command {' '.join([*path, words[0]])}"
        command, path, words = inner, [*path, words[0]], words[1:]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    for word in words:
        option = word.partition("=")[0].strip("[]()")
        if _OPTION.fullmatch(option) and option not in {*known, "--help"}:
            return f"{' '.join(path)} has no {option}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_shown_exist(page: Path) -> None:
    wrong = []
    for text in shown(page):
        line = re.split(r"\s#|\s[|>&;]+(?:\s|$)", text)[0].replace("[", " ").replace("]", " ")
        words = shlex.split(line.replace("'", ""))
        if words and (problem := unknown(words)):
            wrong.append(f"{text}: {problem}")
    assert not wrong


def test_the_readme_shows_every_command() -> None:
    """Every group and every command that stands by itself has a line there."""
    text = "\n".join(shown(ROOT / "README.md"))
    visible = [name for name, each in COMMANDS.commands.items() if not each.hidden]
    assert [name for name in visible if not re.search(rf"\b{re.escape(name)}\b", text)] == []


def test_what_does_not_exist_is_found() -> None:
    assert unknown(["prices", "sync", "--region", "eastus"]) == ""
    assert unknown(["prices", "synch"]) == "no command prices synch"
    assert unknown(["prices", "sync", "--regions", "eastus"]) == "prices sync has no --regions"
