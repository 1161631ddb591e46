"""How long an idle worker is kept: the ski-rental question.

Keeping a worker over a pause of g seconds costs g, letting it go costs a boot of b seconds when
work comes back. Not knowing g, keeping for b and then letting go never costs more than twice the
best (Karlin et al., 1988, "Competitive snoopy caching"). Once pauses have been seen, the
threshold that would have been cheapest over them is better, and is used.
"""

from __future__ import annotations

from collections.abc import Sequence

ENOUGH_GAPS = 3
MARGIN = 1.25
"""Pauses vary; a threshold right at the longest one seen would miss the next by a moment."""


def hold_seconds(boot_seconds: float, gaps: Sequence[float], most_seconds: float) -> float:
    """Seconds that an idle worker is kept, from what a boot costs and the pauses seen (seconds).

    Example: boots of 6 s and pauses of 5, 5, 5 s: keeping through costs 15 s, letting go 18 s,
    so 5 x 1.25 s. With pauses of 10 s letting go at once (18 s) beats keeping (30 s): 0 s.
    """
    if len(gaps) < ENOUGH_GAPS:
        return min(boot_seconds, most_seconds)
    candidates = [0.0, *sorted(gap * MARGIN for gap in gaps)]
    best = min(candidates, key=lambda limit: (_cost(limit, boot_seconds, gaps), limit))
    return min(best, most_seconds)


def _cost(limit: float, boot_seconds: float, gaps: Sequence[float]) -> float:
    return sum(gap if gap <= limit else limit + boot_seconds for gap in gaps)
