"""What a cloud says is held: commitments, what of it is not taken, and what it does not tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from costplan.planner.commitments.values import Commitment
from costplan.planner.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A purchase that is no commitment of ours now: ended, not paid, or of another kind."""

    commitment_id: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What was read of one cloud. `account` is the account, project or tenant that was asked, and
    `notes` say what the cloud does not tell, or what was assumed."""

    provider: str
    account: str
    held: tuple[Commitment, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def joined(parts: Sequence[Holdings]) -> Holdings:
    """What was read in several regions of one cloud as one; what all of them told stands once."""
    first = parts[0]
    held = {each.commitment_id: each for part in parts for each in part.held}
    left_out = {each.commitment_id: each for part in parts for each in part.left_out}
    return replace(
        first,
        held=tuple(held.values()),
        left_out=tuple(left_out.values()),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a file holds after a reading: all of it, and the names of what changed."""

    held: tuple[Commitment, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    dropped: tuple[str, ...]
    kept: tuple[str, ...]
    """What the reading says nothing of, such as what was written by hand."""
    ended: tuple[str, ...] = ()
    """What has come to its end, and stays: reports of the time before it are made of the file."""


def merged(before: Sequence[Commitment], read: Holdings, now: datetime) -> Merged:
    """The commitments of a file with what was read in their place, by id: new ones are added,
    those that are not in force any more leave unless their own end has come, and what was not read
    stays."""
    old = {each.commitment_id: each for each in before}
    new = {each.commitment_id: each for each in read.held}
    over = {each.commitment_id for each in read.left_out}
    kept = [name for name in old if name not in new and name not in over]
    gone = [name for name in old if name in over and name not in new]
    ended = [name for name in gone if (end := old[name].end) is not None and end <= now]
    return Merged(
        held=(*(old[name] for name in (*kept, *ended)), *new.values()),
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name, each in new.items() if name in old and old[name] != each),
        dropped=tuple(name for name in gone if name not in ended),
        kept=tuple(kept),
        ended=tuple(ended),
    )


def reasons(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """'3 reserved instances: retired', the most frequent first, then by words."""
    counts = Counter((each.what, each.reason) for each in left_out)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(f"{counted(count, what)}: {reason}" for (what, reason), count in ordered)
