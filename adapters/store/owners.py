"""For whom a workload ran since when: what reports attribute its dollars to.

A change of the configuration counts from then on; what was before stays whose it was.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from costplan.adapters.instants import sorting_text
from costplan.planner.finance.lines import Owner
from costplan.planner.settings import Settings

TABLE = """CREATE TABLE owners (
    id INTEGER PRIMARY KEY, since TEXT NOT NULL, cluster TEXT NOT NULL, workload TEXT NOT NULL,
    team TEXT NOT NULL, project TEXT NOT NULL, cost_center TEXT NOT NULL,
    environment TEXT NOT NULL, tags TEXT NOT NULL)"""

_SAID = "cluster, workload, team, project, cost_center, environment, tags"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Whose a workload is from `since` on; `tags` is a JSON object with its keys in order."""

    since: datetime
    cluster: str
    owner: Owner
    tags: str


def write_owner(db: sqlite3.Connection, settings: Settings, at: datetime) -> None:
    """Notes whose the workload is, where that is not what was noted last."""
    owner = settings.owner
    tags = json.dumps(dict(settings.tags), sort_keys=True, ensure_ascii=False)
    said = (
        settings.cluster, settings.workload, owner.team, owner.project, owner.cost_center,
        owner.environment, tags,
    )  # fmt: skip
    last = db.execute(
        f"SELECT {_SAID} FROM owners WHERE workload = ? ORDER BY id DESC LIMIT 1",  # noqa: S608 - ours
        (settings.workload,),
    ).fetchone()
    if last != said:
        since = sorting_text(at)
        db.execute(
            f"INSERT INTO owners (since, {_SAID}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - ours
            (since, *said),
        )


def read_owners(db: sqlite3.Connection) -> tuple[Owned, ...]:
    """All that was noted, in that order."""
    return tuple(
        Owned(
            since=datetime.fromisoformat(since),
            cluster=cluster,
            owner=Owner(
                workload=workload,
                team=team,
                project=project,
                cost_center=cost_center,
                environment=environment,
            ),
            tags=tags,
        )
        for since, cluster, workload, team, project, cost_center, environment, tags in db.execute(
            f"SELECT since, {_SAID} FROM owners ORDER BY id"  # noqa: S608 - ours
        )
    )
