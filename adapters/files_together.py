"""Files that belong together, and come to their places when the last of them is whole."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Together:
    """Files that come to their places all at once: a context manager that moves them there when
    its block ends well, and leaves nothing of them when it does not."""

    def __init__(self) -> None:
        self.targets: list[Path] = []
        self._parts: list[Path] = []

    def part_of(self, target: Path) -> Path:
        """Where to write what shall be at `target`; makes the folders on the way."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        self.targets.append(target)
        self._parts.append(part)
        return part

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
                for part in self._parts:
                    with part.open("rb+") as file:
                        os.fsync(file.fileno())
                for part, target in zip(self._parts, self.targets, strict=True):
                    part.replace(target)
        finally:
            for part in self._parts:
                part.unlink(missing_ok=True)
