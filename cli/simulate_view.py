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


def notes_of(prepared: Prepared, found: Sequence[PolicyOutcome]) -> tuple[str, ...]:
    """What the answer rests on, a line each, and which policies did not get their work done."""
    return (*prepared.notes, *undone_notes(found))


def undone_notes(found: Sequence[PolicyOutcome]) -> tuple[str, ...]:
    """A line for each policy that did not get its work done."""
    return tuple(
        f"{one.policy} was given up after {one.ended_seconds / 86400:,.3g} days, "
        f"{one.given_up}, with {one.unfinished_jobs:,} of {counted(one.jobs, 'job')} undone: "
        "they count as late and their waits until then, and its dollars are not compared with "
        "foresight"
        for one in found
        if one.unfinished_jobs
    )


def simulate_view(name: str, prepared: Prepared, found: Sequence[PolicyOutcome]) -> View:
    """What each policy costs, how long its jobs wait, and what that rests on."""
    jobs = found[0].jobs if found else 0
    blocks: list[Block] = [
        money_grid(found, bound_of(prepared, found)),
        service_grid(found),
        Facts((("rests on", tuple(plain(note) for note in notes_of(prepared, found))),)),
    ]
    return View(title=f"{name}: {counted(jobs, 'job')}, simulated", blocks=tuple(blocks))


def money_grid(found: Sequence[PolicyOutcome], bound: Decimal) -> Grid:
    """Dollars, what of them was waste by kind, and what is over the bound."""
    columns = (
        Column(head="policy"),
        Column(head="$", is_number=True),
        *(Column(head=k, is_number=True, optional=k != "idle") for k in _KINDS_SHOWN),
        Column(head="over foresight", is_number=True),
    )
    rows = tuple(
        (
            one.policy,
            f"{one.usd:,.2f}",
            *(f"{one.usd_by_kind[kind]:,.2f}" for kind in _KINDS_SHOWN),
            regret_text(one, bound),
        )
        for one in found
    )
    return Grid(columns=columns, rows=rows, styles=_plain(rows))


def service_grid(found: Sequence[PolicyOutcome]) -> Grid:
    """How long jobs waited, and what they and the fleet went through."""
    heads = ("wait p50", "p95", "late", "interrupted", "launches and ends")
    columns = (Column(head="policy"), *(Column(head=head, is_number=True) for head in heads))
    rows = tuple(
        (
            one.policy,
            wait_text(one.wait_p50_seconds),
            wait_text(one.wait_p95_seconds),
            f"{one.missed_deadlines:,}",
            f"{one.interruptions:,}",
            f"{one.scale_events:,}",
        )
        for one in found
    )
    return Grid(columns=columns, rows=rows, styles=_plain(rows))


def _plain(rows: Sequence[object]) -> tuple[Style, ...]:
    return tuple("plain" for _ in rows)


def regret_text(one: PolicyOutcome, bound: Decimal) -> str:
    """How much dearer than the bound."""
    if one.policy == "foresight":
        return "the bound"
    if one.unfinished_jobs:
        return "undone"
    more = regret_of(one, bound)
    if more is None:
        return "–"
    return f"+{percent(more)}" if more >= 0 else f"-{percent(-more)}"


def regret_of(one: PolicyOutcome, bound: Decimal) -> float | None:
    """How much more than the bound, as a share; None without a bound, and for one that did not
    get its work done."""
    return None if one.unfinished_jobs else regret(one.usd, bound)


def wait_text(seconds: float) -> str:
    """Whole seconds, in words."""
    return seconds_text(round(seconds))


def document_text(name: str, prepared: Prepared, found: Sequence[PolicyOutcome]) -> str:
    """The outcome as JSON; money as text, to the last digit."""
    return json.dumps(document(name, prepared, found), indent=2, ensure_ascii=False) + "\n"


def document(name: str, prepared: Prepared, found: Sequence[PolicyOutcome]) -> dict[str, object]:
    """The outcome as what JSON is made of."""
    bound = bound_of(prepared, found)
    backtest = prepared.backtest
    return {
        "version": VERSION,
        "simulate": name,
        "days": backtest.seconds / 86400,
        "tick_seconds": backtest.tick_seconds,
        "seed": backtest.seed,
        "one_type": backtest.one_type,
        "notes": list(notes_of(prepared, found)),
        "policies": [_policy(one, bound) for one in found],
    }


def _policy(one: PolicyOutcome, bound: Decimal) -> dict[str, object]:
    more = regret_of(one, bound)
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
        "unfinished_jobs": one.unfinished_jobs,
        "restarted_tasks": one.restarted_tasks,
        "recomputed_tasks": one.recomputed_tasks,
        "node_hours": round(one.node_hours, 6),
        "ended_seconds": round(one.ended_seconds, 3),
    }
