"""What plans expected to run, kept for good: a row whenever it changes."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from decimal import Decimal

from costplan.adapters.instants import sorting_text
from costplan.adapters.store.records import TickCommit
from costplan.planner.finance.expected import Expected, Stretch, expected_fleet

TABLE = """CREATE TABLE plans (
    at TEXT PRIMARY KEY, plan_id TEXT NOT NULL, fleet TEXT NOT NULL) WITHOUT ROWID"""
"""Since when a fleet was expected, by which plan, and its machines: a JSON list of provider,
region, type, market, vCPU, how many, and dollars an hour of one."""


def write_plan(db: sqlite3.Connection, tick: TickCommit) -> None:
    """Keeps what the tick's plan expects, where that is not what was expected before; without a
    plan, that nothing is when the whole fleet must go."""
    if tick.plan is None and not tick.state_after.control.down:
        return
    fleet = expected_fleet(tick.state_after, tick.readings.quotes, tick.settings)
    text = json.dumps(
        [
            [e.provider, e.region, e.instance_type, e.market, str(e.vcpu), e.nodes,
             str(e.usd_per_hour)]
            for e in fleet
        ],
        separators=(",", ":"),
    )  # fmt: skip
    last = db.execute("SELECT fleet FROM plans ORDER BY at DESC LIMIT 1").fetchone()
    if last is not None and last[0] == text:
        return
    plan_id = "" if tick.plan is None else tick.plan.plan_id
    row = (sorting_text(tick.at), plan_id, text)
    db.execute("INSERT OR REPLACE INTO plans (at, plan_id, fleet) VALUES (?, ?, ?)", row)


def read_plans(db: sqlite3.Connection, start: datetime, end: datetime) -> tuple[Stretch, ...]:
    """What was expected during [start, end), the fleet of the plan before it first."""
    rows = db.execute(
        """SELECT at, plan_id, fleet FROM plans WHERE at < ?2 AND at >= coalesce(
        (SELECT max(at) FROM plans WHERE at <= ?1), ?1) ORDER BY at""",
        (sorting_text(start), sorting_text(end)),
    )
    return tuple(
        Stretch(
            start=datetime.fromisoformat(at),
            plan_id=plan_id,
            fleet=tuple(_expected(row) for row in json.loads(text)),
        )
        for at, plan_id, text in rows
    )


def _expected(row: list[str | int]) -> Expected:
    provider, region, instance_type, market, vcpu, nodes, rate = row
    return Expected(
        provider=str(provider), region=str(region), instance_type=str(instance_type),
        market=str(market), vcpu=Decimal(vcpu), nodes=int(nodes), usd_per_hour=Decimal(rate),
    )  # fmt: skip
