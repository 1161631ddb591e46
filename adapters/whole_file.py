"""Bytes that come to their place as a whole: who reads sees what was there before, or all of the
new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(target: Path, data: bytes) -> Iterator[Path]:
    """A file in the target's folder with the data on the disk, until the block ends; the block
    moves it to its place."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """A name in the target's folder to write a file at; where the block ends well, what is there
    then comes to the target's place, and nothing otherwise."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
