"""Typst source as PDF, without fonts of the system, so that bytes are the same everywhere."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from costplan.planner.errors import InputError


def check_typst() -> None:
    """Returns where PDF can be made; raises InputError otherwise."""
    if find_spec("typst") is None:
        way_out = "install it with `pip install 'costplan[pdf]'`"
        raise InputError("--format pdf", "needs typst", way_out)


def pdf_of(source: str, files: Mapping[str, str]) -> bytes:
    """The document; `files` are those that it names, by name."""
    import typst

    with tempfile.TemporaryDirectory(prefix="costplan-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        main = Path(folder) / "main.typ"
        main.write_text(source, encoding="utf-8")
        made = typst.compile(
            str(main), root=folder, format="pdf", ignore_system_fonts=True, font_paths=[]
        )
    return bytes(made)
