"""Dollars, times and shares of a report as people read them, so that what is shown adds up."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from costplan.planner.amounts import dollars
from costplan.planner.report import Interruptions, Report, Row
from costplan.planner.units import SECONDS_PER_HOUR
from costplan.planner.wording import counted, percent


def share_text(part: Decimal, whole: Decimal) -> str:
    """A part of a whole as per cent, '' where there is no whole."""
    return percent(part / whole) if whole > 0 else ""


def busy_text(row: Row) -> str:
    """How much of its thread-time a row had tasks, '' where it had none."""
    if row.thread_seconds <= 0:
        return ""
    return percent(min(1.0, row.busy_seconds / row.thread_seconds))


def hours_text(seconds: Decimal | float) -> str:
    """Hours with as many digits as it takes: '12.50', '0.0042'."""
    hours = float(seconds) / SECONDS_PER_HOUR
    return f"{hours:,.2f}" if hours >= 1 else f"{hours:.4f}"


def instant_text(instant: datetime, *, seconds: bool = False) -> str:
    """'2026-05-04 12:00', with seconds for short times."""
    return f"{instant:%Y-%m-%d %H:%M:%S}" if seconds else f"{instant:%Y-%m-%d %H:%M}"


def period_text(report: Report) -> str:
    """'2026-05-04 12:00 to 13:30 UTC'."""
    start, end = report.start, report.end
    seconds = (end - start).total_seconds() < SECONDS_PER_HOUR
    until = instant_text(end, seconds=seconds)
    if start.date() == end.date():
        until = until.partition(" ")[2]
    return f"{instant_text(start, seconds=seconds)} to {until} UTC"


def interruption_lines(seen: Interruptions) -> tuple[str, ...]:
    """What ended against our will, a line each; one that says none where there was none."""
    lines = []
    if seen.noticed:
        emptied = f"{seen.emptied} of them emptied in time"
        lines.append(f"{counted(seen.noticed, 'machine')} warned of, {emptied}")
    if seen.reclaimed:
        lines.append(f"{counted(seen.reclaimed, 'machine')} taken by the cloud while in use")
    if seen.lost:
        lines.append(f"{counted(seen.lost, 'machine')} vanished without a word")
    if seen.failed:
        lines.append(f"{counted(seen.failed, 'machine')} failed or never came up")
    return tuple(lines) or ("none",)


def verdict_text(report: Report, digits: int) -> str:
    """The saving against the first alternative whose price is known."""
    for other in report.counterfactuals:
        saved = other.saved_usd
        if other.usd is None or saved is None or other.usd <= 0:
            continue
        mark = "~" if other.is_estimate or report.total.estimated_usd else ""
        amount = f"{mark}{dollars(abs(saved), digits)} ({share_text(abs(saved), other.usd)})"
        if saved >= 0:
            return f"{amount} saved against {other.name}"
        return f"{amount} more than with {other.name}"
    return "What it would have cost otherwise is not known"


def split_parts(report: Report) -> tuple[tuple[str, str, Decimal], ...]:
    """What the dollars did: a word, what it means, and how many; what is not known is not there."""
    split = report.split
    work = "tasks that were useful"
    if split.recompute_usd is None:
        work = "tasks, with those that ran again: how many is not known for this time"
    parts = (
        ("work", work, split.work_usd),
        ("recompute", "tasks run again for results that were lost", split.recompute_usd),
        ("idle", "ready threads without a task", split.idle_usd),
        ("boot", "machines that were not ready yet", split.boot_usd),
        ("drain", "machines being emptied or ended", split.drain_usd),
    )
    return tuple((name, words, usd) for name, words, usd in parts if usd is not None)


def notes(report: Report, digits: int) -> tuple[str, ...]:
    """What a reader must know besides, a sentence each."""
    found = []
    if report.running_usd:
        now = dollars(report.running_usd, digits)
        found.append(f"{now} have run up since the last entries, and are in no figure here")
    if report.gaps:
        nodes = counted(len(report.gaps), "running node")
        found.append(f"{nodes} without a known price: what they cost is in no figure here")
    if report.corrections:
        back = dollars(report.corrections_usd, digits)
        count = counted(report.corrections, "correction")
        found.append(f"The total has {count} of {back} for machines that ended before it was known")
    if report.total.estimated_usd:
        share = share_text(report.total.estimated_usd, report.total.usd)
        found.append(f"~ marks estimates: {share} of the dollars are at prices derived, not read")
    totals = report.totals
    if totals is not None and (totals.recomputed_tasks or totals.restarted_tasks):
        again = counted(totals.recomputed_tasks, "task")
        begun = counted(totals.restarted_tasks, "task")
        found.append(
            f"{again} ran again for lost results, {begun} began again, since the scheduler started"
        )
    return tuple(found)
