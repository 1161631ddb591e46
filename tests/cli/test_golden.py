"""What a person and a program see, letter for letter."""

from __future__ import annotations

import pytest

from tests.cli.golden import FOLDER, texts

EXPECTED = dict(texts())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_looks_as_it_did(name: str) -> None:
    """A published schema that changes without anybody meaning it would break its readers."""
    assert EXPECTED[name] == (FOLDER / name).read_text(encoding="utf-8")


def test_no_file_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "kind",
    [
        "plan",
        "diff",
        "infeasible",
        "status",
        "status_dead",
        "status_nodes",
        "explain_tick",
        "explain_node",
    ],
)
def test_no_line_is_wider_than_the_terminal_or_ends_in_blanks(kind: str, width: int) -> None:
    lines = EXPECTED[f"{kind}_{width}.txt"].splitlines()
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\x1b" not in EXPECTED[f"{kind}_{width}.txt"]
