"""The product's Python files, as the rules of the house see them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("planner", "policies", "adapters", "cli")


def files(*packages: str) -> list[Path]:
    """Every Python file of these packages, in sorted order."""
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), str(path))


def imports(module: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported anywhere in a module, inside functions too.

    `from a.b import c` is a.b.c, so that `from costplan import cli` is seen for what it is.
    """
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            for alias in node.names:
                yield node.lineno, f"{dots}{node.module or ''}.{alias.name}"


def calls(module: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and written name of everything called: 'print', 'datetime.now', 'sys.stdout.write'."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)
