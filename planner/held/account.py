"""What commitments paid of the machines, by UTC day: what budgets do not count.

The ledger has machines at their price, and what a commitment pays is worked out hour by hour from
it later. Budgets need it at once: each tick adds what is paid at the moment for the time since the
last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from costplan.planner.spending import day_end, recent
from costplan.planner.tick import State

_PICO = Decimal("1e-12")
_LONGEST = timedelta(minutes=10)
"""After a longer sleep nobody knows what ran: nothing is taken for paid, and budgets count all."""


def paid_since(state: State, now: datetime) -> Mapping[str, Decimal]:
    """What commitments paid, by day, up to now."""
    if state.at is None or not state.paid_usd_per_hour or not state.at < now:
        return state.paid_by_day
    if now - state.at > _LONGEST:
        return state.paid_by_day
    days = dict(state.paid_by_day)
    start = state.at
    while start < now:
        end = min(day_end(start), now)
        hours = Decimal((end - start) // timedelta(microseconds=1)) / Decimal(3_600_000_000)
        day = start.strftime("%Y-%m-%d")
        usd = (state.paid_usd_per_hour * hours).quantize(_PICO)
        days[day] = days.get(day, Decimal(0)) + usd
        start = end
    return recent(days, now)
