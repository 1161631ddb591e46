"""Habits that no file may take up: swallowing every error, and talking past the renderer."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import PACKAGES, ROOT, calls, files, tree

LONGEST_FILE = 400
PRINTING = {"print", "pprint", "pprint.pprint"}
STREAMS = {"sys.stdout", "sys.stderr"}


def bare_excepts(module: ast.AST) -> list[int]:
    """Lines of handlers that name no error, and so swallow KeyboardInterrupt too."""
    return [
        node.lineno
        for node in ast.walk(module)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def prints(module: ast.AST) -> list[int]:
    """Lines that print, or use the terminal in a file that is no program by itself.

    A program by itself ends with `if __name__ == "__main__":`.
    """
    found = [line for line, name in calls(module) if name in PRINTING]
    if not any(isinstance(node, ast.If) and _asks_for_main(node) for node in ast.walk(module)):
        found += [
            node.lineno
            for node in ast.walk(module)
            if isinstance(node, ast.Attribute) and ast.unparse(node) in STREAMS
        ]
    return found


def _asks_for_main(node: ast.If) -> bool:
    return ast.unparse(node.test) == "__name__ == '__main__'"


def test_no_error_is_swallowed_unnamed() -> None:
    found = {str(path.relative_to(ROOT)): bare_excepts(tree(path)) for path in files(*PACKAGES)}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_only_the_command_line_prints() -> None:
    inner = [package for package in PACKAGES if package != "cli"]
    found = {str(path.relative_to(ROOT)): prints(tree(path)) for path in files(*inner)}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_no_file_is_too_long_to_read_at_once() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files(*PACKAGES)
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("try:\n    pass\nexcept:\n    pass", [3]),
        ("try:\n    pass\nexcept OSError:\n    pass", []),
    ],
)
def test_the_rule_of_named_errors_bites(text: str, lines: list[int]) -> None:
    assert bare_excepts(ast.parse(text)) == lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def f():\n    print('x')", [2]),
        ("sys.stdout.write('x')", [1]),
        ("json.dump(x, sys.stderr)", [1]),
        ("sys.stdout.write('x')\nif __name__ == '__main__':\n    main()", []),
        ("'print(x)'  # print(x)", []),
    ],
)
def test_the_rule_of_printing_bites(text: str, lines: list[int]) -> None:
    assert prints(ast.parse(text)) == lines
