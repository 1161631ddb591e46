"""What a backtest came to, as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from costplan.adapters.backtest.outcome import KINDS, PolicyOutcome
from costplan.adapters.backtest.prepare import Prepared
from costplan.adapters.backtest.run import foresight, regret
from costplan.cli.view import Block, Column, Facts, Grid, Style, View
from costplan.planner.units import seconds_text
from costplan.planner.wording import counted, percent, plain

VERSION = 1
_KINDS_SHOWN = tuple(kind for kind in KINDS if kind != "work")


def bound_of(prepared: Prepared, found: Sequence[PolicyOutcome]) -> Decimal:
    """What perfect foresight costs, also where it is not among the policies."""
    there = next((one for one in found if one.policy == "foresight"), None)
    return (foresight(prepared.backtest) if there is None else there).usd


def simulate_view(name: str, prepared: Prepared, found: Sequence[PolicyOutcome]) -> View:
    """The table, and what it rests on."""
    bound = bound_of(prepared, found)
    columns = [
        Column(head="policy"),
        Column(head="$", is_number=True),
        *(Column(head=kind, is_number=True, optional=True) for kind in _KINDS_SHOWN),
        Column(head="wait p50", is_number=True),
        Column(head="p95", is_number=True),
        Column(head="late", is_number=True),
        Column(head="interrupted", is_number=True),
        Column(head="launches and ends", is_number=True, optional=True),
        Column(head="over foresight", is_number=True),
    ]
    rows = tuple(_row(one, bound) for one in found)
    plain_rows: tuple[Style, ...] = tuple("plain" for _ in rows)
    grid = Grid(columns=tuple(columns), rows=rows, styles=plain_rows)
    jobs = found[0].jobs if found else 0
    blocks: list[Block] = [
        grid,
        Facts((("rests on", tuple(plain(note) for note in prepared.notes)),)),
    ]
    return View(title=f"{name}: {counted(jobs, 'job')}, simulated", blocks=tuple(blocks))


def _row(one: PolicyOutcome, bound: Decimal) -> tuple[str, ...]:
    return (
        one.policy,
        f"{one.usd:,.2f}",
        *(f"{one.usd_by_kind[kind]:,.2f}" for kind in _KINDS_SHOWN),
        wait_text(one.wait_p50_seconds),
        wait_text(one.wait_p95_seconds),
        f"{one.missed_deadlines:,}",
        f"{one.interruptions:,}",
        f"{one.scale_events:,}",
        regret_text(one, bound),
    )


def regret_text(one: PolicyOutcome, bound: Decimal) -> str:
    """How much dearer than the bound."""
    if one.policy == "foresight":
        return "the bound"
    more = regret(one.usd, bound)
    if more is None:
        return "–"
    return f"+{percent(more)}" if more >= 0 else f"-{percent(-more)}"


def wait_text(seconds: float) -> str:
    """Whole seconds, in words."""
    return seconds_text(round(seconds))


def document_text(name: str, prepared: Prepared, found: Sequence[PolicyOutcome]) -> str:
    """The outcome as JSON; money as text, to the last digit."""
    bound = bound_of(prepared, found)
    backtest = prepared.backtest
    return (
        json.dumps(
            {
                "version": VERSION,
                "simulate": name,
                "days": backtest.seconds / 86400,
                "tick_seconds": backtest.tick_seconds,
                "seed": backtest.seed,
                "one_type": backtest.one_type,
                "notes": list(prepared.notes),
                "policies": [_policy(one, bound) for one in found],
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )


def _policy(one: PolicyOutcome, bound: Decimal) -> dict[str, object]:
    more = regret(one.usd, bound)
    return {
        "policy": one.policy,
        "usd": f"{one.usd:f}",
        "usd_by_kind": {kind: f"{one.usd_by_kind[kind]:f}" for kind in KINDS},
        "wait_p50_seconds": round(one.wait_p50_seconds, 3),
        "wait_p95_seconds": round(one.wait_p95_seconds, 3),
        "missed_deadlines": one.missed_deadlines,
        "interruptions": one.interruptions,
        "scale_events": one.scale_events,
        "regret": None if more is None else round(more, 6),
        "jobs": one.jobs,
        "restarted_tasks": one.restarted_tasks,
        "node_hours": round(one.node_hours, 6),
        "ended_seconds": round(one.ended_seconds, 3),
    }
