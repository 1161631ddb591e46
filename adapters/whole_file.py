"""Bytes that come to their place as a whole: who reads sees what was there before, or all of the
new."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    """A new file that its owner alone may read from its first byte on; an old one goes first."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


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
