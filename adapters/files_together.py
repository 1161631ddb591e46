"""Files that belong together, and come to their places when the last of them is whole."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Together:
    """A context manager that moves files to their places when its block ends well.

    Where it does not, nothing of them is left, nor of the folders that were made for them.
    """

    def __init__(self) -> None:
        self.targets: list[Path] = []
        self._parts: list[Path] = []
        self._folders: list[Path] = []
        self._gone: list[Path] = []

    def part_of(self, target: Path) -> Path:
        """Where to write what shall be at `target`; makes the folders on the way."""
        missing = [target.parent, *target.parent.parents]
        missing = [folder for folder in missing if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        self._folders += reversed(missing)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        self.targets.append(target)
        self._parts.append(part)
        return part

    def without(self, target: Path) -> None:
        """Takes a file away, where there is one, when the others come."""
        self._gone.append(target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._move()
                self._folders = []
        finally:
            for part in self._parts:
                part.unlink(missing_ok=True)
            for folder in reversed(self._folders):
                folder.rmdir()

    def _move(self) -> None:
        for part in self._parts:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        for part, target in zip(self._parts, self.targets, strict=True):
            part.replace(target)
        for target in self._gone:
            target.unlink(missing_ok=True)
