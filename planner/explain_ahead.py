"""What a plan did for demand to come, in sentences with their numbers."""

from __future__ import annotations

from collections.abc import Iterable

from costplan.planner.outlook import Ahead, Foreseen
from costplan.planner.units import seconds_text
from costplan.planner.wording import counted, percent, plain, usd


def ahead_text(ahead: Ahead) -> str:
    """'1 node launched and 2 kept for demand to come', or why none is."""
    if ahead.bought or ahead.held:
        done = [f"{counted(ahead.bought, 'node')} launched"] if ahead.bought else []
        done += [f"{counted(ahead.held, 'node')} kept"] if ahead.held else []
        return f"{' and '.join(done)} for demand to come"
    return "nothing is bought or kept for demand to come"


def ahead_gap(ahead: Ahead) -> float | None:
    """How far the plan over time is above its bound, as a share; None without one above zero."""
    if ahead.bound_usd <= 0:
        return None
    return float(ahead.expected_usd / ahead.bound_usd) - 1.0


def ahead_lines(ahead: Ahead | None) -> Iterable[str]:
    """What was foretold, what was done for it and how good that is, and what the outlook lacks."""
    if ahead is None:
        return
    left = f"; left out: {plain(ahead.left_out)}" if ahead.left_out else ""
    yield f"{ahead_text(ahead)}{left}"
    yield from map(_foreseen, ahead.demand)
    if ahead.steps:
        yield (
            f"looked {seconds_text(ahead.seconds)} ahead in {counted(ahead.steps, 'step')} from "
            f"the outlook of {ahead.outlook_at:%H:%M:%S} UTC, at the demand that is not exceeded "
            f"in {percent(ahead.share)} of cases; machines take "
            f"{seconds_text(round(ahead.boot_seconds))} to boot"
        )
    yield from _proof(ahead)
    yield from notes_text(ahead)


def notes_text(ahead: Ahead) -> Iterable[str]:
    """What the outlook had to do without."""
    return (f"the outlook: {plain(note)}" for note in ahead.notes)


def _foreseen(demand: Foreseen) -> str:
    when = f" in {seconds_text(demand.in_seconds)}" if demand.in_seconds else ""
    return f"{plain(demand.shape)}: {demand.now:,} wanted now, at most {demand.most:,}{when}"


def _proof(ahead: Ahead) -> Iterable[str]:
    gap = ahead_gap(ahead)
    if gap is not None:
        yield (
            f"the plan over time costs {usd(ahead.expected_usd)}, what is missing for demand to "
            f"come counted; none costs less than {usd(ahead.bound_usd)}: it is at most "
            f"{percent(max(gap, 0.0))} above, and the search ended with "
            f"'{plain(ahead.termination)}'"
        )
