"""Text files that people name: what is read, and what is said of those that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from costplan.adapters.text_file import read_text
from costplan.planner.errors import InputError


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfdays: 3\n")
    assert read_text(path) == "days: 3\n"


def test_each_reason_is_one_line_with_the_way_out(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "latin.yaml"
    folder.mkdir()
    other.write_bytes(b"name: Z\xfcrich\n")
    none = tmp_path / "none.yaml"
    said = {}
    for path in (none, folder, other):
        with pytest.raises(InputError) as caught:
            read_text(path, kind="plan", absent="write one")
        said[path] = str(caught.value)
    assert said == {
        none: f"{none}: there is no such file; write one",
        folder: f"{folder}: is a folder; name a plan in it",
        other: f"{other}: is not text in UTF-8",
    }


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("123456")
    assert read_text(path, most_bytes=6) == "123456"
    with pytest.raises(InputError, match="is too large for a plan"):
        read_text(path, kind="plan", most_bytes=5)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("x")
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        read_text(path)
