"""How long idle workers are kept: the ski-rental question, for a fleet.

Keeping a worker over a pause of g seconds costs g, letting it go costs a boot when work comes back,
and the work waits for it meanwhile: together c = 1.5 boots. Not knowing g, workers are let go one
after the other, a share u of them by c ln(1 + (e - 1) u): then a fleet costs at most e / (e - 1)
times the best, where all at once could cost twice (Karlin et al., 1990, "Competitive randomized
algorithms for non-uniform problems"). Once a pause has been seen, the threshold that would have
been cheapest over those seen is better, and is used.

That says how long, and not how many: a large fleet that is kept through long pauses works little.
No more are kept through pauses than would be busy for LEAST_BUSY of the time. But a few that are
kept begin at once, and are done as soon as more that must boot first. With W of work in a burst,
boots of b and h for each new worker (`sizing`), K = W / (b + h) that are here do it in the time
that n = W / h new ones take. So K are worth n boots: each is kept through pauses of n b / K.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from costplan.planner.sizing import new_worker_seconds

BOOT_FACTOR = 1.5
"""A boot is paid for, and delays work: half as much again."""
ENOUGH_GAPS = 1
MARGIN = 1.25
"""Pauses vary; a threshold right at the longest one seen would miss the next by a moment."""
LEAST_BUSY = 0.65
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Few:
    """So many `threads` that stay do the next burst as soon as new ones would; keeping each of
    them is worth `boots` boots."""

    threads: float
    boots: float


NO_FEW = Few(threads=0.0, boots=BOOT_FACTOR)


def few(bursts: Sequence[float], boot_seconds: float, target_seconds: float) -> Few:
    """The threads to keep rather than buy new ones for a burst like those seen (task-seconds).

    Example: bursts of 20 s, boots of 6 s, a target of 5 s: 20 / 5 = 4 new ones would be done
    after 11 s, as 20 / 11 = 2 are that stay; so each of the two is worth two boots.
    """
    if not bursts:
        return NO_FEW
    work = _median(bursts)
    each = new_worker_seconds(work, boot_seconds, target_seconds)
    fresh, here = (max(1, math.floor(work / s + 0.5)) for s in (each, boot_seconds + each))
    return Few(threads=float(here), boots=max(BOOT_FACTOR, fresh / here))


def share_of(number: int) -> float:
    """The place of a worker among others, in (0, 1]. Those of any consecutive numbers are spread
    evenly, however many they are: the golden ratio is the least rational number."""
    return 1.0 - number * GOLDEN % 1.0


def hold_seconds(
    boot_seconds: float,
    gaps: Sequence[float],
    most_seconds: float,
    share: float = 1.0,
    boots: float = BOOT_FACTOR,
) -> float:
    """Seconds that an idle worker is kept, from what a boot costs and the pauses seen (seconds).

    `share` in (0, 1] is its place among the others, of which the last is kept longest. Keeping it
    is worth so many `boots`.

    Example: boots of 6 s cost 9 s each. Before any pause half of the fleet is let go by
    9 ln(1 + 0.5 (e - 1)) = 5.6 s and the last one after 9 s. After pauses of 5 s keeping is
    cheaper, for 5 x 1.25 s at least; after pauses of 10 s letting go at once is: 0 s.
    """
    cost = boots * boot_seconds
    blind = cost * math.log(1.0 + (math.e - 1.0) * share)
    if len(gaps) < ENOUGH_GAPS:
        return min(blind, most_seconds)
    candidates = [0.0, *sorted(gap * MARGIN for gap in gaps)]
    best = min(candidates, key=lambda limit: (_cost(limit, cost, gaps), limit))
    if best >= max(gaps):
        # Of pauses longer than any seen nothing is known yet.
        best = max(best, blind)
    return min(best, most_seconds)


def most_threads(bursts: Sequence[float], gaps: Sequence[float]) -> float:
    """Threads worth keeping through a pause, from bursts (task-seconds) and pauses (seconds) seen.

    With W task-seconds a burst and pauses of g, k threads are busy for W / (W + k g) of the time.
    Example: bursts of 20 s and pauses of 5 s: 20 x (1 / 0.65 - 1) / 5 = 2.15 threads.
    """
    if not bursts or len(gaps) < ENOUGH_GAPS:
        return math.inf
    pause = _median(gaps)
    return _median(bursts) * (1.0 / LEAST_BUSY - 1.0) / pause if pause > 0 else math.inf


def is_within(before: float, own: float, threads: float) -> bool:
    """True where a worker of so many own threads is among those to keep, after `before` that go
    later; the first one always is, unless none is to be kept."""
    return threads > 0 and (not before or before + own <= threads)


def _cost(limit: float, cost: float, gaps: Sequence[float]) -> float:
    return sum(gap if gap <= limit else limit + cost for gap in gaps)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
