"""How far the budgets reach: what is committed of each, and what the fleet may cost from now on.

A budget is degraded through in this order, by how much of it is spent or will be by what runs:

    warn      from 80 % on it is said
    cheaper   from 90 % on a machine is exchanged for any saving that pays back
    stretch   the model buys the fleet that does most of the work for the money, and it takes longer
    freeze    nothing that costs more is launched
    drain     what the budget does not pay for any more is emptied, the least useful first

A day's and a month's budget are paced: what runs is taken to run until the day or month ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from costplan.planner.fleet_limits import FleetRow
from costplan.planner.fleet_view import Asset
from costplan.planner.settings import Settings
from costplan.planner.spending import day_end, month_end
from costplan.planner.standing import ENDING, Rates, rates
from costplan.planner.tick import Snapshot, State

WARN_SHARE = Decimal("0.8")
CHEAPER_SHARE = Decimal("0.9")
SLACK_SHARE = Decimal("0.02")
"""A fleet that costs so much more than its pace is left alone: prices move, and machines are
whole. The pace falls as time goes by, so that the budget is kept at its end all the same."""
_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A limit: `committed_usd` of `limit_usd` are spent or will be by what runs now, and another
    dollar an hour of fleet takes `seconds` / 3600 more."""

    key: str
    limit_usd: Decimal
    spent_usd: Decimal
    committed_usd: Decimal
    seconds: int

    def holds(self, more_usd_per_hour: Decimal) -> bool:
        """True where the limit has room for that much more an hour."""
        return more_usd_per_hour * self.seconds <= (self.limit_usd - self.committed_usd) * _HOUR

    @property
    def room_usd_per_hour(self) -> Decimal:
        """How much more an hour the limit has room for; negative where it is passed already."""
        return (self.limit_usd - self.committed_usd) * _HOUR / self.seconds

    @property
    def share(self) -> Decimal:
        """The committed part of the limit."""
        return self.committed_usd / self.limit_usd


def caps(
    snapshot: Snapshot, settings: Settings, fleet: Rates, horizon_seconds: int
) -> tuple[Cap, ...]:
    """The limits of the budget. The time left of a day or month is at least the horizon for what
    is not there yet: a minute of it does not pay for a fleet. What runs needs no more than that."""
    budget = settings.budget
    found = []
    if budget.usd_per_hour is not None:
        found.append(
            Cap(
                key="budget.usd_per_hour",
                limit_usd=budget.usd_per_hour,
                spent_usd=Decimal(0),
                committed_usd=fleet.total,
                seconds=_HOUR,
            )
        )
    ending = {node.node_id for node in snapshot.nodes if node.phase in ENDING}
    leaving = sum((usd for n, usd in fleet.usd_per_hour.items() if n in ending), Decimal(0))
    for key, limit, spent, end in (
        ("budget.usd_per_day", budget.usd_per_day, snapshot.spent_today_usd, day_end),
        ("budget.usd_per_month", budget.usd_per_month, snapshot.spent_month_usd, month_end),
    ):
        if limit is not None:
            left = max(_seconds_up(end(snapshot.at) - snapshot.at), 1)
            running = (fleet.total - leaving) * left + leaving * min(left, horizon_seconds)
            found.append(
                Cap(
                    key=key,
                    limit_usd=limit,
                    spent_usd=spent,
                    committed_usd=spent + running / _HOUR,
                    seconds=max(left, horizon_seconds),
                )
            )
    return tuple(found)


def budget_rows(
    snapshot: Snapshot, state: State, settings: Settings, fleet: Sequence[Asset]
) -> tuple[FleetRow, ...]:
    """What the nodes of `fleet` and new ones may cost an hour together, by each limit.

    None where a node's price is not known: then nothing is launched either.
    """
    if not settings.budget.is_limited:
        return ()
    known = rates(snapshot, state)
    if known.unknown:
        return ()
    now = sum((asset.usd_per_hour or Decimal(0) for asset in fleet), Decimal(0))
    found = []
    for cap in caps(snapshot, settings, known, settings.scaling.horizon_seconds):
        most = now + cap.room_usd_per_hour
        if most < now and (not settings.budget.drain or now - most <= SLACK_SHARE * now):
            most = now
        found.append(FleetRow(name=cap.key, kind="usd", most=float(max(most, Decimal(0)))))
    return tuple(found)


def is_tight(snapshot: Snapshot, state: State, settings: Settings) -> bool:
    """True where so much of a budget is committed that any saving is worth an exchange."""
    if not settings.budget.is_limited:
        return False
    known = rates(snapshot, state)
    found = caps(snapshot, settings, known, settings.scaling.horizon_seconds)
    return any(cap.share >= CHEAPER_SHARE for cap in found)


def over(rows: Iterable[FleetRow], fleet: Sequence[Asset]) -> FleetRow | None:
    """The first budget that does not pay for the fleet, None where each does."""
    now = sum((asset.usd_per_hour or Decimal(0) for asset in fleet), Decimal(0))
    most = float(now) * (1 - 1e-9)
    return next((row for row in rows if row.kind == "usd" and row.most < most), None)


def _seconds_up(left: timedelta) -> int:
    return -(-left // timedelta(seconds=1))
