"""Commitments from the files that a workload, a configuration or a flag names."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from costplan.adapters.text_file import read_text

if TYPE_CHECKING:
    from costplan.planner.held.values import Held

_MOST_BYTES = 64 * 2**20


def with_files(held: Held, base: Path, flag: Path | None = None) -> Held:
    """What is held with what its file holds, and that of a flag; relative paths start at `base`.

    Raises InputError where a file is wrong, or names what is held already.
    """
    from costplan.planner.held.config import joined

    named = [base / held.file] if held.file else []
    for path in (*named, *(() if flag is None else (flag,))):
        held = joined(held, _read(path), str(path))
    return held


def without_leased(held: Held, base: Path, now: datetime) -> Held:
    """What is held, less what clusters have leased of it in its ledger."""
    if not held.ledger:
        return held
    from costplan.adapters.store.commitment_leases import leased_by_all

    used = dict(held.used)
    for name, amount in leased_by_all(base / held.ledger, now).items():
        used[name] = used.get(name, Fraction(0)) + amount
    return replace(held, used=MappingProxyType(used))


def _read(path: Path) -> Held:
    from costplan.planner.commitments.file import GUIDE
    from costplan.planner.held.config import parse_held

    text = read_text(path, absent=f"see {GUIDE} for an example", most_bytes=_MOST_BYTES)
    return parse_held(text, str(path))
