"""What `costplan doctor` found, as a table and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from costplan.cli.view import Column, Grid, Line, Style, View
from costplan.cli.wording import counted, plain
from costplan.planner.doctor import Finding, Health

SCHEMA_VERSION = 1
_STYLES: dict[Health, Style] = {
    Health.OK: "plain",
    Health.WARNING: "change",
    Health.PROBLEM: "drop",
    Health.NOT_CHECKED: "quiet",
}


def doctor_view(found: Sequence[Finding]) -> View:
    """A row a finding, with the way out below it, and how many there are of each kind."""
    counts = Counter(one.health for one in found)
    rows = Grid(
        columns=(Column(head=""), Column(head="check"), Column(head="finding")),
        rows=tuple((str(one.health), one.area, _text(one)) for one in found),
        styles=tuple(_STYLES[one.health] for one in found),
    )
    problems, warnings = counts[Health.PROBLEM], counts[Health.WARNING]
    parts = [counted(problems, "problem") if problems else "no problem"]
    parts.append(counted(warnings, "warning") if warnings else "no warning")
    parts.append(f"{counts[Health.OK]:,} ok")
    if counts[Health.NOT_CHECKED]:
        parts.append(f"{counts[Health.NOT_CHECKED]:,} not checked")
    return View(title="What a run needs", blocks=(rows, Line(", ".join(parts), "strong")))


def _text(one: Finding) -> str:
    text = "\n".join(plain(line) for line in one.text.splitlines())
    return text + (f"\n→ {plain(one.remedy)}" if one.remedy else "")


def document_text(found: Sequence[Finding], at: datetime) -> str:
    """The findings as JSON text, version 1: may gain fields, never loses one."""
    counts = Counter(one.health for one in found)
    document = {
        "schema_version": SCHEMA_VERSION,
        "at": at.isoformat().replace("+00:00", "Z"),
        "counts": {_word(health): counts[health] for health in Health},
        "findings": [
            {"check": one.area, "health": _word(one.health), "text": one.text, "remedy": one.remedy}
            for one in found
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _word(health: Health) -> str:
    """The health as programs read it: without blanks."""
    return health.replace(" ", "_")
