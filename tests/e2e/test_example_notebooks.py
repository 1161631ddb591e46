"""The notebooks are their scripts, and run as well.

That of the checkpointed training is not run: it starts the same processes for the same minute as
its script, which is.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.e2e.example_programs import CHECKS, EXAMPLES, ROOT, SECONDS


@pytest.mark.parametrize("name", sorted(set(CHECKS) - {"checkpointed_training"}))
def test_a_notebook_ends_with_what_it_cost(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMPLE_FOLDER", str(tmp_path / "work"))
    folder = EXAMPLES / name
    book = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    NotebookClient(
        book, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    said = "".join(out.text for out in outputs if out.get("name") == "stdout")
    CHECKS[name](said)


def test_notebooks_are_made_from_their_scripts() -> None:
    code = (
        "import sys; sys.path.insert(0, 'examples')\n"
        "from notebooks import notebook_of, scripts\n"
        "print(*(path.stem for path in scripts()))\n"
        "for path in scripts():\n"
        "    if path.with_suffix('.ipynb').read_text() != notebook_of(path):\n"
        "        sys.exit(f'{path.stem}.ipynb is not of its script: python examples/notebooks.py')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == sorted(CHECKS)
