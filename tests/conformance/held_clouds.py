"""What tests of `costplan commitments import` share: the command, and what came of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from costplan.cli.main import app
from costplan.planner.commitments.file import parse_commitments
from costplan.planner.commitments.values import Commitment

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
YEAR = timedelta(days=365)
YEAR_SECONDS = 365 * 86_400
GUIDES = Path(__file__).parents[2] / "docs/clouds"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["commitments", *words], env={"COLUMNS": "200"})


def held_in(path: Path) -> dict[str, Commitment]:
    return {each.commitment_id: each for each in parse_commitments(path.read_text(), str(path))}


def text_of(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def left_out(done: Result) -> dict[str, str]:
    assert done.exit_code == 0, done.output
    return {one["id"]: one["reason"] for one in json.loads(done.stdout)["left_out"]}


GUIDE_ROW = re.compile(r"^- `([\w.]+)`: (.*)$", re.MULTILINE)


def documented_calls(cloud: str) -> set[str]:
    """The calls that a cloud's guide names the permission of."""
    page = (GUIDES / f"{cloud}.md").read_text()
    section = page.partition("### What commitments need")[2].partition("\n## ")[0]
    return set(dict(GUIDE_ROW.findall(section)))


def plain_file() -> dict[str, Any]:
    return {
        "cluster": "ours", "workload": "ours", "store": {"path": "costplan.db"},
        "scheduler": {"endpoint": "http://127.0.0.1:9", "token_file": "token",
                      "address": "tcp://127.0.0.1:9"},
        "workers": [{"name": "worker", "vcpu": 1, "memory": "1 GiB"}],
    }  # fmt: skip
