"""The status of a cluster as blocks for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from costplan.cli.deliveries_view import summary_facts
from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View
from costplan.cli.wording import counted, market_text, place_text, plain, span_text, usd, usd_column
from costplan.planner.explain import (
    MODE_TEXT,
    decision_text,
    gap_text,
    moves_text,
    names_text,
    refusals,
    speed_lines,
    waiting_lines,
)
from costplan.planner.explain_ahead import ahead_text, notes_text
from costplan.planner.explain_held import held_lines
from costplan.planner.speed import TypeSpeed
from costplan.planner.status import BudgetRow, Status
from costplan.planner.tick import Control
from costplan.planner.types import Phase

_MOST_PREFIXES = 8
_MOST_GAPS = 4
_MOST_REFUSALS = 3
_MOST_SPEEDS = 4
_ADDING = (Phase.INTENDED, Phase.REQUESTED, Phase.BOOTING)
_LEAVING = (Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING)
_WRONG = (Phase.UNCERTAIN, Phase.LOST)
_Fact = tuple[str, tuple[str, ...]]


def status_view(status: Status, *, nodes: bool = False) -> View:
    """What runs, what it costs, what waits and why, and what comes next; `nodes` one by one."""
    blocks: list[Block] = [Facts((*_daemon(status), *_control(status.control, status.at)))]
    if status.fleet:
        blocks.append(_machines(status) if nodes else _fleet(status))
    else:
        blocks.append(Line("No machines", "strong"))
    blocks.append(Facts(tuple(_work(status))))
    if status.tasks:
        blocks.append(_tasks(status))
    waiting = () if status.plan is None else tuple(waiting_lines(status.plan))
    if waiting:
        blocks.append(Line("Waits, and nothing is bought for it:", "change"))
        blocks += [Line(f"  {line}", "change") for line in waiting]
    sent = summary_facts(status.deliveries, status.at)
    money = (*_budget(status), *_held(status), *_decision(status), *sent)
    blocks.append(Facts(money))
    name = plain(status.cluster) or "cluster"
    return View(title=f"{name} at {status.at:%Y-%m-%d %H:%M:%S} UTC", blocks=tuple(blocks))


def _daemon(status: Status) -> Iterable[_Fact]:
    yield "daemon", (_alive(status),)
    last = status.last
    if last is None:
        yield "last tick", ("none yet",)
        return
    age = _ago(last.at, status.at)
    yield "last tick", (f"{plain(last.tick_id)}, {age}",)
    said = f"{last.mode}: {MODE_TEXT[last.mode]}"
    if not status.is_alive:
        said = f"{last.mode} when it last looked"
    gaps = [gap_text(gap) for gap in last.gaps[:_MOST_GAPS]]
    if len(last.gaps) > _MOST_GAPS:
        gaps.append(f"and {counted(len(last.gaps) - _MOST_GAPS, 'other thing')} not known")
    yield "mode", (said, *gaps)


def _alive(status: Status) -> str:
    lease = status.lease
    if lease is None:
        return "not running; nothing is decided or drained, the machines go on"
    holder = plain(lease.holder)
    if status.is_alive:
        return f"running, {holder}"
    return (
        f"not running: {holder} went without giving back its lease; "
        "nothing is decided or drained, the machines go on"
    )


def _control(control: Control, now: datetime) -> Iterable[_Fact]:
    until = control.paused_until
    if until is not None and until > now:
        yield "paused", (pause_text(until, now),)
    if control.down:
        how = ", results may be lost" if control.down_discard else ""
        yield "going down", (f"the whole fleet is to end{how}",)
    if control.drains:
        names = names_text([request.node_id for request in control.drains])
        yield "drains", (f"asked for by the operator: {names}",)
    applied = control.applied
    if applied is None:
        return
    held = applied.hold_until
    if control.applied_plan != applied.plan_id:
        yield "applied", (f"plan {plain(applied.plan_id)} is being executed",)
    elif held is not None and held > now:
        until_text = f"held until {held:%Y-%m-%d %H:%M:%S} UTC"
        yield "applied", (f"plan {plain(applied.plan_id)} is executed, {until_text}",)


def pause_text(until: datetime, now: datetime) -> str:
    """'until 12:30:00 UTC, for 30min more', or 'until resumed'."""
    if until.year >= 9999:
        return "until resumed; notices are still answered, the ledger goes on"
    left = span_text((until - now).total_seconds())
    return (
        f"until {until:%Y-%m-%d %H:%M:%S} UTC, {left} more; "
        "notices are still answered, the ledger goes on"
    )


def _fleet(status: Status) -> Grid:
    rows: list[tuple[str, ...]] = []
    styles: list[Style] = []
    dollars = usd_column((*(row.usd_per_hour for row in status.fleet), status.usd_per_hour), 2)
    for row, price in zip(status.fleet, dollars, strict=False):
        key = row.key
        kind = plain(key.instance_type)
        where = (market_text(key.market), kind, place_text(key), str(row.phase))
        rows.append((*where, f"{row.nodes:,}", f"{row.workers:,}", price))
        styles.append(_style(row.phase))
    workers = sum(row.workers for row in status.fleet)
    total = ("", "", "", "", f"{status.nodes:,}", f"{workers:,}", dollars[-1])
    return Grid(
        columns=(
            Column(head="market"),
            Column(head="type"),
            Column(head="place", under="type"),
            Column(head="phase"),
            Column(head="nodes", is_number=True),
            Column(head="workers", is_number=True),
            Column(head="$/h", is_number=True),
        ),
        rows=(*rows, total),
        styles=(*styles, "strong"),
    )


def _machines(status: Status) -> Grid:
    """Every node by itself, with the id that `drain` and `explain` take."""
    dollars = usd_column((row.usd_per_hour for row in status.machines), 2)
    rows = [
        (
            plain(row.node_id),
            market_text(row.key.market),
            plain(row.key.instance_type),
            place_text(row.key),
            str(row.phase),
            span_text((status.at - row.since).total_seconds()),
            price,
            plain(row.why),
        )
        for row, price in zip(status.machines, dollars, strict=True)
    ]
    return Grid(
        columns=(
            Column(head="node"),
            Column(head="market"),
            Column(head="type"),
            Column(head="place", under="type"),
            Column(head="phase"),
            Column(head="for"),
            Column(head="$/h", is_number=True),
            Column(head="why", optional=True),
        ),
        rows=tuple(rows),
        styles=tuple(_style(row.phase) for row in status.machines),
    )


def _style(phase: Phase) -> Style:
    if phase in _ADDING:
        return "add"
    if phase in _LEAVING:
        return "drop"
    return "change" if phase in _WRONG else "plain"


def _work(status: Status) -> Iterable[_Fact]:
    if status.unpriced_nodes:
        yield "prices", (f"{counted(status.unpriced_nodes, 'node')} without a known price",)
    if status.load_at is None or status.workers_joined is None:
        yield "workers", (f"{status.workers_expected:,} expected; the load is not known",)
        return
    joined = f"{status.workers_joined:,} joined, {status.workers_expected:,} expected"
    yield "workers", (f"{joined}; load seen {_ago(status.load_at, status.at)}",)
    clients = "not known" if status.clients is None else f"{status.clients:,}"
    yield "clients", (clients,)
    if not status.tasks:
        yield "tasks", ("none",)


def _tasks(status: Status) -> Grid:
    shown = status.tasks[:_MOST_PREFIXES]
    rows: list[tuple[str, ...]] = [
        (
            plain(row.prefix),
            f"{row.running:,}",
            f"{row.queued:,}",
            f"{row.waiting:,}",
            f"{row.unrunnable:,}" if row.unrunnable else "",
            "?" if row.mean_task_seconds is None else f"{row.mean_task_seconds:.3g}",
        )
        for row in shown
    ]
    others = status.tasks[_MOST_PREFIXES:]
    if others:
        sums = [sum(getattr(r, name) for r in others) for name in ("running", "queued", "waiting")]
        stuck = sum(row.unrunnable for row in others)
        name = f"{len(others)} other prefixes"
        rows.append((name, *(f"{n:,}" for n in sums), f"{stuck:,}" if stuck else "", ""))
    return Grid(
        columns=(
            Column(head="tasks"),
            Column(head="running", is_number=True),
            Column(head="queued", is_number=True),
            Column(head="waiting", is_number=True),
            Column(head="no worker", is_number=True),
            Column(head="s each", is_number=True, optional=True),
        ),
        rows=tuple(rows),
        styles=tuple("change" if row[4] else "plain" for row in rows),
    )


def _budget(status: Status) -> Iterable[_Fact]:
    names = {"hour": "an hour", "day": "today", "month": "this month"}
    said = [f"{_of_limit(row)} {names[row.name]}" for row in status.budget]
    yield "money", (*said, f"{usd(status.spent_usd)} in all")


def _of_limit(row: BudgetRow) -> str:
    if row.limit_usd is None or row.left_usd is None:
        return usd(row.used_usd)
    over = "left" if row.left_usd >= 0 else "over"
    return f"{usd(row.used_usd)} of {usd(row.limit_usd)} ({usd(abs(row.left_usd))} {over})"


def _held(status: Status) -> Iterable[_Fact]:
    lines = tuple(held_lines(status.held))
    if lines:
        yield "commitments", lines


def _decision(status: Status) -> Iterable[_Fact]:
    plan = status.plan
    if plan is None:
        yield "decision", ("none yet",)
    else:
        why = [plain(demand.reason) for demand in plan.demand if demand.reason]
        denied = list(refusals(plan.verdicts))
        if len(denied) > _MOST_REFUSALS:
            more = len(denied) - _MOST_REFUSALS
            denied[_MOST_REFUSALS:] = [f"{counted(more, 'refusal')} more in `costplan explain`"]
        ahead = () if plan.ahead is None else (ahead_text(plan.ahead), *notes_text(plan.ahead))
        age = _ago(plan.created_at, status.at)
        yield "decision", (f"{age}: {decision_text(plan)}", *why, *ahead, *denied)
        if plan.speeds:
            yield "speed", tuple(_speeds(plan.speeds))
    if status.next_look_at is not None and status.next_plan_at is not None:
        look, planned = (_ahead(at, status.at) for at in (status.next_look_at, status.next_plan_at))
        yield "next", (f"look {look}, plan {planned} or on an event",)


def _speeds(speeds: Sequence[TypeSpeed]) -> Iterable[str]:
    """Those that most tasks were measured on."""
    by_tasks = sorted(speeds, key=lambda speed: (-speed.tasks, speed.instance_type))
    *lines, what = speed_lines(by_tasks[:_MOST_SPEEDS])
    yield from lines
    if len(speeds) > _MOST_SPEEDS:
        more = counted(len(speeds) - _MOST_SPEEDS, "type")
        yield f"{more} more in `costplan explain`"
    yield what


def _ago(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    if seconds < 0:
        return f"{span_text(-seconds)} ahead of this clock"
    return f"{span_text(seconds)} ago"


def _ahead(at: datetime, now: datetime) -> str:
    seconds = round((at - now).total_seconds())
    return f"in {span_text(seconds)}" if seconds > 0 else "now"


def status_line(status: Status) -> str:
    """The status in one line that is the same while nothing changes."""
    mode = "no tick yet" if status.last is None else str(status.last.mode)
    moving = [f"{status.coming} coming"] if status.coming else []
    moving += [f"{status.draining} leaving"] if status.draining else []
    nodes = counted(status.nodes, "node") + (f" ({', '.join(moving)})" if moving else "")
    joined = "?" if status.workers_joined is None else f"{status.workers_joined:,}"
    running = sum(row.running for row in status.tasks)
    queued = sum(row.queued for row in status.tasks)
    parts = [
        mode if status.is_alive else f"{mode}, daemon not running",
        nodes,
        f"{joined}/{status.workers_expected:,} workers",
        f"{running:,} tasks running, {queued:,} queued",
        f"{usd(status.usd_per_hour)}/h",
    ]
    if status.plan is not None:
        parts.append(moves_text(status.plan))
    return " | ".join(parts)
