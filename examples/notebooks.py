"""Writes the notebooks of the examples from their scripts.

    python examples/notebooks.py

A script in Jupytext's percent format is the source, and the notebook beside it is made from it; a
test holds the one to the other. Notebooks are kept without output: it would be of another day.
"""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def scripts() -> list[Path]:
    """The scripts that are notebooks, too."""
    return sorted(path for path in HERE.glob("*/*.py") if path.read_text().startswith("# %%"))


def notebook_of(script: Path) -> str:
    """The notebook of a script, the same text for the same script."""
    book = jupytext.read(script, fmt="py:percent")
    book.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    for number, cell in enumerate(book.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
    return str(nbformat.writes(book)) + "\n"


if __name__ == "__main__":
    for script in scripts():
        script.with_suffix(".ipynb").write_text(notebook_of(script))
        print(script.with_suffix(".ipynb").relative_to(HERE.parent))
