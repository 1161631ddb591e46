"""What the demo says at the end: the model, the interruptions, and what other ways would cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from costplan.adapters.clock import utc_now
from costplan.adapters.local.bill import bill
from costplan.adapters.local.folders import folders
from costplan.adapters.local.prices import LocalPrices
from costplan.adapters.local.records import machine_records, record_of
from costplan.adapters.local.stage import read_stage
from costplan.planner.nodes import Node, ProviderNode
from costplan.planner.tick import State
from costplan.planner.types import Market, Phase

FIXED_MACHINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Machines, the seconds they are billed for, and dollars: as paid, the same all on demand, and
    for a fixed number of the cheapest on demand from the first launch to the last end."""

    machines: int = 0
    seconds: int = 0
    paid_usd: Decimal = Decimal(0)
    on_demand_usd: Decimal = Decimal(0)
    fixed_usd: Decimal = Decimal(0)


def machines_of(state_dir: Path) -> tuple[ProviderNode, ...]:
    """Every machine that there was, in order of its launch, by the provider's own record."""
    records = (record_of(folder) for folder in folders(state_dir))
    found = [record.machine for record in records if record is not None]
    return tuple(sorted(found, key=lambda machine: machine.launched_at))


def bill_of(state_dir: Path) -> Bill:
    """What the machines cost, and what they would have cost in simpler ways.

    The bill is the provider's, from the machines' own records; the ledger is not asked.
    """
    stage = read_stage(state_dir)
    records = machine_records(state_dir)
    if stage is None or not records:
        return Bill()
    end = max(record.machine.ended_at or utc_now() for record in records)
    prices = LocalPrices(stage, utc_now).history(stage.started_at, end)
    lines = bill(records, prices, stage.started_at, end)
    start = min(line.start for line in lines)
    seconds = [math.ceil((line.end - line.start).total_seconds()) for line in lines]
    listed = {
        key.instance_type: stage.price_at(key, start)[1] / 3600
        for key in stage.offers
        if key.market is Market.ON_DEMAND
    }
    span = math.ceil((end - start).total_seconds())
    return Bill(
        machines=len(lines),
        seconds=sum(seconds),
        paid_usd=sum((line.usd for line in lines), Decimal(0)),
        on_demand_usd=sum(
            (listed[line.key.instance_type] * n for line, n in zip(lines, seconds, strict=True)),
            Decimal(0),
        ),
        fixed_usd=min(listed.values()) * span * FIXED_MACHINES,
    )


def interruption_lines(
    state_dir: Path, machines: tuple[ProviderNode, ...], nodes: Mapping[str, Node]
) -> list[str]:
    """A line for each machine that was taken away: which, with what notice, and what became."""
    said = []
    for machine in machines:
        notice = _notice(state_dir, machine.provider_id)
        if notice is None:
            continue
        warned = (_instant(notice["effective_at"]) - _instant(notice["observed_at"])).seconds
        node = nodes.get(machine.node_id or "")
        name = f"{machine.node_id} ({machine.key.instance_type} {machine.key.market.value})"
        how = f"taken with {warned} s of notice" if notice["told"] else "taken without notice"
        said.append(f"{name}: {how}; {_what_became(node, notice)}")
    return said


def task_line(state: State) -> str:
    """How many tasks there were, and how many of them were computed or begun twice."""
    if state.load is None:
        return "the scheduler could not be asked at the end"
    totals = state.load.totals
    return (
        f"{totals.finished_tasks} finished; {totals.recomputed_tasks} computed again "
        f"({totals.recomputed_seconds:.1f} s of work), {totals.restarted_tasks} restarted"
    )


def _notice(state_dir: Path, provider_id: str) -> dict[str, Any] | None:
    """The reclaim that befell a machine, None where none did."""
    for folder in folders(state_dir):
        if folder.name == provider_id:
            for path in sorted(folder.glob("notice*.json")):
                notice: dict[str, Any] = json.loads(path.read_text())
                if notice["kind"] == "reclaim":
                    return notice
    return None


def _what_became(node: Node | None, notice: Mapping[str, Any]) -> str:
    """What the autoscaler did about it, from the node's history."""
    if node is None:
        return "nobody had asked for it"
    since = _instant(notice["observed_at"])
    after = [(phase, at) for phase, at, _ in node.history if at >= since]
    if not after:
        return "not noticed until the end"
    if not notice["told"] or any(phase is Phase.LOST for phase, _ in after):
        return f"noticed after {(after[0][1] - since).total_seconds():.1f} s"
    end = _instant(notice["effective_at"])
    for phase, at in after:
        if phase in (Phase.TERMINATING, Phase.GONE) and at < end:
            return f"empty after {(at - since).total_seconds():.1f} s, before its end"
    return "in use until its end"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
