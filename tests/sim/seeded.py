"""Campaigns from a seed: which troubles come, in which order, and under which rules."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from costplan.adapters.sim.faults import Fault
from tests.sim.campaign import STEPS, Campaign

Move = Callable[[Campaign, random.Random], None]
MOVES: Sequence[tuple[int, Move]] = (
    (4, lambda c, d: c.pass_time(d.randint(1, 8))),
    (4, lambda c, d: c.work(d.choice((8, 60, 300)), d.choice((2, 15, 60)), **d.choice(RESULTS))),
    (2, lambda c, d: c.answer("launch", d.choice(LAUNCH_FAULTS), d.randint(1, 6))),
    (1, lambda c, d: c.answer("terminate", d.choice(TERMINATE_FAULTS), d.randint(1, 4))),
    (1, lambda c, d: c.bad_line(d.choice((0.0, 0.1, 0.4)))),
    (3, lambda c, d: c.die(d.choice(STEPS))),
    (1, lambda c, d: c.sleep(d.choice((45.0, 300.0, 1800.0)))),
    (1, lambda c, d: c.skew_clock(d.choice((-3600.0, -30.0, 30.0, 3600.0)))),
    (1, lambda c, _: c.set_clock()),
    (2, lambda c, d: c.notice(d.choice(NOTICES), d.choice((10.0, 120.0)), d)),
    (1, lambda c, d: c.late_notice(d)),
    (2, lambda c, d: c.lose(d.choice(("reclaim", "fail", "hang")), d)),
    (1, lambda c, _: c.stranger()),
    (1, lambda c, d: c.prices(d.choice(("nonsense", "nothing", "true")), d)),
    (1, lambda c, d: c.scheduler(d.choice(("away", "stale", "restart")), d.choice((20.0, 90.0)))),
    (1, lambda c, d: c.operator(d.choice(("pause", "resume", "drain")), d)),
)  # fmt: skip
RESULTS: Sequence[Mapping[str, Any]] = (
    {"result_mib": 1}, {"result_mib": 64, "keeps_seconds": 400.0},
)  # fmt: skip
NOTICES = ("reclaim", "rebalance", "false")
LAUNCH_FAULTS = (
    Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE, Fault.UNKNOWN_LATE, Fault.NO_CAPACITY,
    Fault.THROTTLED, Fault.UNREACHABLE, Fault.QUOTA, Fault.CREDENTIALS,
)  # fmt: skip
TERMINATE_FAULTS = (
    Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE, Fault.UNKNOWN_LATE, Fault.THROTTLED,
    Fault.UNREACHABLE,
)  # fmt: skip
LONGEST = 14
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it


def rules_of(dice: random.Random) -> dict[str, object]:
    """The budget and floor of a world: none, a floor, or an amount an hour."""
    which = dice.randrange(3)
    return {"floor": 3} if which == 0 else {"budget": "2.50"} if which == 1 else {}


def memory() -> str | None:
    """Where files of worlds that are gone in a moment need no disk, None where they do."""
    return str(_SHARED_MEMORY) if os.access(_SHARED_MEMORY, os.W_OK) else None


def world(seed: int) -> Counter[str]:
    """One world, from the first move to the last; raises AssertionError where it is broken."""
    dice = random.Random(f"campaign/{seed}")  # noqa: S311 - not for secrets
    weights = [weight for weight, _ in MOVES]
    with tempfile.TemporaryDirectory(prefix="costplan-campaign-", dir=memory()) as folder:
        campaign = Campaign(seed, Path(folder), **rules_of(dice))  # type: ignore[arg-type]
        try:
            campaign.work(60, 15.0, 16)
            campaign.pass_time(dice.randint(2, 12))
            for _ in range(dice.randint(3, LONGEST)):
                (move,) = dice.choices([move for _, move in MOVES], weights)
                move(campaign, dice)
            campaign.pass_time(3)
            campaign.recover()
        finally:
            campaign.close()
    return campaign.counts
