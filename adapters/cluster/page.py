"""A cluster as people look at it: a line, a few lines for a terminal, and a page for a notebook.

The page takes its colours from the notebook, so that it is readable on light and on dark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any

from costplan.adapters.cluster.seen import ClusterCost, Seen, has_ended, troubles
from costplan.planner.fleet_view import COMING
from costplan.planner.status import BudgetRow, FleetRow, Status
from costplan.planner.types import OfferKey, Phase
from costplan.planner.units import memory_text
from costplan.planner.wording import counted, market_text, place_text, plain, span_text, usd

_LEAVING = (Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING, Phase.LOST)
_PERIODS = {"hour": "an hour", "day": "today", "month": "this month"}
_MOST_POOLS = 12
_MOST_LINES = 5
_LINE = "1px solid rgba(128,128,128,0.35)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Machines of one type, market and place. `usd_per_hour` is None where a price is unknown."""

    key: OfferKey
    nodes: int
    ready: int
    coming: int
    leaving: int
    workers: int
    usd_per_hour: Decimal | None

    @property
    def name(self) -> str:
        """'2 spot m5.large'."""
        return f"{self.nodes:,} {market_text(self.key.market)} {plain(self.key.instance_type)}"

    @property
    def state(self) -> str:
        """'1 ready, 1 coming'."""
        parts = (("ready", self.ready), ("coming", self.coming), ("leaving", self.leaving))
        return ", ".join(f"{count:,} {word}" for word, count in parts if count)


def size_text(workers: Collection[Mapping[str, Any]]) -> str:
    """What workers have together, as Dask's cluster objects say it: of the scheduler's word."""
    memory = memory_text(sum(each["memory_limit"] or 0 for each in workers))
    threads = sum(each["nthreads"] for each in workers)
    return f"workers={len(workers)}, threads={threads}, memory={memory}"


def pools(status: Status | None) -> list[Pool]:
    """The fleet by pool, the dearest first."""
    groups: dict[OfferKey, list[FleetRow]] = {}
    for row in () if status is None else status.fleet:
        groups.setdefault(row.key, []).append(row)
    found = [_pool(key, rows) for key, rows in groups.items()]
    return sorted(found, key=lambda pool: (-(pool.usd_per_hour or Decimal(0)), pool.key))


def _pool(key: OfferKey, rows: Sequence[FleetRow]) -> Pool:
    dollars = [row.usd_per_hour for row in rows if row.usd_per_hour is not None]
    return Pool(
        key=key,
        nodes=sum(row.nodes for row in rows),
        ready=sum(row.nodes for row in rows if row.phase is Phase.READY),
        coming=sum(row.nodes for row in rows if row.phase in COMING),
        leaving=sum(row.nodes for row in rows if row.phase in _LEAVING),
        workers=sum(row.workers for row in rows),
        usd_per_hour=sum(dollars, Decimal(0)) if len(dollars) == len(rows) else None,
    )


def short_text(seen: Seen, cost: ClusterCost) -> str:
    """'2 spot m5.large, $0.07/h, $0.0021 so far'; what is wrong comes first."""
    parts = [pool.name for pool in pools(seen.status)] or ["no machines"]
    parts += [f"{usd(cost.usd_per_hour)}/h", f"{usd(cost.usd)} so far"]
    notes = seen.notes
    if notes is not None and notes.phase in ("ending", "ended"):
        parts.insert(0, notes.phase)
    elif seen.status is None or not seen.status.is_alive:
        parts.insert(0, "no autoscaler" if notes and notes.phase == "running" else "starting")
    return ", ".join(parts)


def long_text(title: str, seen: Seen, cost: ClusterCost) -> str:
    """A few lines for a terminal: troubles, dollars, work, and the fleet by pool."""
    lines = [title, *(f"  ! {said}" for said in _few(troubles(seen)))]
    lines += [f"  {name:<8}  {said}" for name, said in _facts(seen, cost)]
    rows = _rows(seen)
    if rows:
        table = [("machines", "type", "market", "place", "workers", "$/h"), *rows]
        widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
        lines.append("")
        lines += [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in table
        ]
    return "\n".join(line.rstrip() for line in lines)


def _facts(seen: Seen, cost: ClusterCost) -> Iterable[tuple[str, str]]:
    """What there is to say in words, as name and text."""
    yield "cost", str(cost)
    limits = [_of_limit(row) for row in cost.budget if row.limit_usd is not None]
    if limits:
        yield "budget", ", ".join(limits)
    status = seen.status
    if status is None:
        yield "state", "it starts: the autoscaler has not looked at it yet"
        return
    if not has_ended(seen):
        yield from _doing(status)
    work = cost.work
    if work is not None and work.by_span and work.usd:
        spans = [f"{plain(line.name)} {usd(line.usd)}" for line in work.by_span[:_MOST_LINES]]
        yield "for", f"{', '.join(spans)}, idle {usd(work.idle_usd)}"


def _doing(status: Status) -> Iterable[tuple[str, str]]:
    """Workers, tasks and the newest plan."""
    joined = "?" if status.workers_joined is None else f"{status.workers_joined:,}"
    yield "workers", f"{joined} joined of {status.workers_expected:,} expected"
    running, queued, waiting = (
        sum(getattr(row, name) for row in status.tasks) for name in ("running", "queued", "waiting")
    )
    yield "tasks", f"{running:,} running, {queued:,} queued, {waiting:,} waiting"
    if status.plan is not None:
        why = [f"{d.shape}: {d.reason}" for d in status.plan.demand if d.reason]
        age = span_text((status.at - status.plan.created_at).total_seconds())
        yield "plan", f"{age} ago; {'; '.join(map(plain, _few(why)))}"


def _of_limit(row: BudgetRow) -> str:
    limit = usd(row.limit_usd or Decimal(0))
    return f"{usd(row.used_usd)} of {limit} {_PERIODS[row.name]}"


def _rows(seen: Seen) -> list[tuple[str, ...]]:
    """The fleet by pool as cells: machines, type, market, place, workers, dollars an hour."""
    found = pools(seen.status)
    rows: list[tuple[str, ...]] = [
        (
            pool.state,
            plain(pool.key.instance_type),
            market_text(pool.key.market),
            place_text(pool.key),
            f"{pool.workers:,}",
            "?" if pool.usd_per_hour is None else usd(pool.usd_per_hour),
        )
        for pool in found[:_MOST_POOLS]
    ]
    others = found[_MOST_POOLS:]
    if others:
        workers = sum(pool.workers for pool in others)
        known = sum((pool.usd_per_hour or Decimal(0) for pool in others), Decimal(0))
        many = f"{sum(pool.nodes for pool in others):,} in {len(others)} other pools"
        rows.append((many, "", "", "", f"{workers:,}", usd(known)))
    return rows


def _few(lines: Sequence[str]) -> list[str]:
    if len(lines) <= _MOST_LINES:
        return list(lines)
    more = counted(len(lines) - _MOST_LINES, "more line")
    return [*lines[:_MOST_LINES], f"and {more}: explain() has all"]


def html_page(title: str, name: str, dashboard: str, seen: Seen, cost: ClusterCost) -> str:
    """The cluster as HTML for a notebook."""
    head = (
        f'<div style="font-weight:600;font-size:1.1em">{escape(title)} '
        f'<span style="font-weight:400;opacity:0.65">{escape(plain(name))}</span></div>'
    )
    facts = [(f, escape(said)) for f, said in _facts(seen, cost)]
    if dashboard:
        link = escape(dashboard, quote=True)
        style = "color:inherit;text-decoration:underline"
        shown = f'<a href="{link}" target="_blank" style="{style}">{link}</a>'
        facts.append(("dashboard", shown))
    figures = _figures(seen, cost)
    return (
        '<div style="border-left:4px solid #e8833a;padding:2px 0 2px 14px;margin:4px 0;'
        'color:inherit;background:transparent;max-width:60em;line-height:1.45">'
        f"{head}{''.join(map(_notice, _few(troubles(seen))))}{figures}"
        f"{_facts_table(facts[1:])}{_fleet_table(seen, cost)}</div>"
    )


def _notice(said: str) -> str:
    return (
        '<div style="margin:6px 0;padding:4px 10px;border-left:3px solid #d9534f;'
        f'background:rgba(217,83,79,0.12);white-space:pre-wrap">{escape(plain_lines(said))}</div>'
    )


def plain_lines(text: str) -> str:
    """Text of several lines without other control characters."""
    return "\n".join(map(plain, text.split("\n")))


def _figures(seen: Seen, cost: ClusterCost) -> str:
    """The four numbers that everybody looks for."""
    expected = "–" if cost.expected_usd is None else usd(cost.expected_usd)
    nodes = 0 if seen.status is None else seen.status.nodes
    shown = (
        (usd(cost.usd), "so far"),
        (f"{usd(cost.usd_per_hour)}/h", "now"),
        (expected, "expected when the tasks are done"),
        (f"{nodes:,}", "machine" if nodes == 1 else "machines"),
    )
    cells = "".join(
        '<div style="margin:6px 28px 6px 0;display:inline-block">'
        f'<div style="font-size:1.35em;font-weight:600">{escape(number)}</div>'
        f'<div style="opacity:0.65">{escape(word)}</div></div>'
        for number, word in shown
    )
    return f"<div>{cells}</div>"


def _facts_table(facts: Sequence[tuple[str, str]]) -> str:
    """Facts of which the second part is HTML already."""
    rows = "".join(
        '<tr style="background:transparent">'
        f'<td style="text-align:left;vertical-align:top;opacity:0.65;padding:1px 12px 1px 0;'
        f'border:none">{escape(name)}</td>'
        f'<td style="text-align:left;padding:1px 0;border:none">{said}</td></tr>'
        for name, said in facts
    )
    return f'<table style="border-collapse:collapse;color:inherit;margin:0">{rows}</table>'


def _fleet_table(seen: Seen, cost: ClusterCost) -> str:
    rows = _rows(seen)
    if not rows:
        return ""
    heads = ("machines", "type", "market", "place", "workers", "$/h")
    total = ("all", "", "", "", f"{sum(p.workers for p in pools(seen.status)):,}",
             usd(cost.usd_per_hour))  # fmt: skip
    body = _row(heads, "th", "opacity:0.65;font-weight:400")
    body += "".join(_row(row, "td", "") for row in rows)
    body += _row(total, "td", "font-weight:600")
    return (
        f'<table style="border-collapse:collapse;color:inherit;margin:8px 0 2px 0">{body}</table>'
    )


def _row(cells: Sequence[str], tag: str, style: str) -> str:
    right = len(cells) - 2
    made = "".join(
        f'<{tag} style="text-align:{"right" if place >= right else "left"};padding:2px 14px 2px 0;'
        f'border:none;border-bottom:{_LINE};{style}">{escape(cell)}</{tag}>'
        for place, cell in enumerate(cells)
    )
    return f'<tr style="background:transparent">{made}</tr>'
