"""What `costplan commitments import` read, as a table and as JSON."""

from __future__ import annotations

import json
from datetime import datetime

from costplan.cli.commitments_view import held_grid, record
from costplan.cli.view import Block, Line, View
from costplan.planner.commitments.holdings import Holdings, Merged, reasons
from costplan.planner.wording import counted, plain


def import_view(read: Holdings, done: Merged, path: str, now: datetime) -> View:
    """What was read and where it stands now, what was left out and why, and what else is in the
    file."""
    source = f" from {read.provider} {plain(read.account)}" if read.provider else ""
    blocks: list[Block] = [held_grid(read.held, now)] if read.held else []
    blocks += [Line(f"Left out: {plain(each)}") for each in reasons(read.left_out)]
    for words, names in (
        ("Changed", done.changed),
        ("Not in force any more, and taken out of the file", done.dropped),
        ("Ended, and in the file for reports of the time before", done.ended),
        ("In the file as it was", done.kept),
    ):
        if names:
            blocks.append(Line(f"{words}: {', '.join(map(plain, names))}"))
    held = counted(len(read.held), "commitment") if read.held else "No commitments"
    return View(title=f"{held}{source}, written to {plain(path)}", blocks=tuple(blocks))


def import_text(read: Holdings, done: Merged, path: str, now: datetime) -> str:
    """The same as JSON."""
    document = {
        "out": path,
        "provider": read.provider or None,
        "account": read.account or None,
        "read_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "commitments": [record(each, now) for each in read.held],
        "left_out": [
            {"id": each.commitment_id, "what": each.what, "reason": each.reason}
            for each in read.left_out
        ],
        "added": list(done.added),
        "changed": list(done.changed),
        "dropped": list(done.dropped),
        "kept": list(done.kept),
        "ended": list(done.ended),
        "notes": list(read.notes),
    }
    return json.dumps(document, indent=2) + "\n"
