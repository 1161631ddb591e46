"""What the fleet may cost: a rate at any moment, and an amount a UTC day and month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal

from costplan.planner.guard import GuardView, Judgement, Refusal, judged, launches
from costplan.planner.settings import Budget
from costplan.planner.spending import day_end, month_end
from costplan.planner.standing import ENDING, Rates, rates
from costplan.planner.tick import Move, MovePlan, NewNode
from costplan.planner.types import Decision, Verdict

_HOUR = 3600
_SHOWN = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cap:
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


class WithinBudget:
    """Holds launches to the budget: those for demand to come are refused first, and of the others
    the dearest a worker.

    Everything still paid for counts, draining nodes too, at the rate of its meter or quote.

    - fleet rate + launches <= `usd_per_hour`;
    - spent since midnight UTC + (fleet rate + launches) x time left in the day <= `usd_per_day`,
      and the same of the month, where the time left is at least the horizon. A machine that is
      being ended counts for the horizon at most.

    So a day's budget is never passed by machines that run on until midnight. Where a price is
    not known nothing is launched; a budget that is passed already is told, and no node is ended
    for it.
    """

    name = "budget"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves without launches that the budget has no room for."""
        if view.settings.budget == Budget():
            return Judgement(moves=plan.moves)
        fleet = rates(view.snapshot, view.state)
        if fleet.unknown:
            return judged(self.name, _unpriced(plan, fleet))
        caps = _caps(view, fleet, plan.horizon_seconds)
        judgement = judged(self.name, _sorted_out(plan, caps, fleet))
        passed = tuple(_passed(self.name, cap, fleet) for cap in caps if not cap.holds(Decimal(0)))
        return Judgement(moves=judgement.moves, verdicts=(*passed, *judgement.verdicts))


def _caps(view: GuardView, fleet: Rates, horizon_seconds: int) -> tuple[_Cap, ...]:
    budget, snapshot = view.settings.budget, view.snapshot
    caps = []
    if budget.usd_per_hour is not None:
        caps.append(
            _Cap(
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
            seconds = max(_seconds_up(end(snapshot.at) - snapshot.at), horizon_seconds, 1)
            running = (fleet.total - leaving) * seconds + leaving * min(seconds, horizon_seconds)
            caps.append(
                _Cap(
                    key=key,
                    limit_usd=limit,
                    spent_usd=spent,
                    committed_usd=spent + running / _HOUR,
                    seconds=seconds,
                )
            )
    return tuple(caps)


def _seconds_up(left: timedelta) -> int:
    return -(-left // timedelta(seconds=1))


def _sorted_out(plan: MovePlan, caps: Sequence[_Cap], fleet: Rates) -> Iterator[Move | Refusal]:
    """Moves in the plan's order; launches are given room from the cheapest a worker on, those for
    work that is there first."""
    order = sorted(
        (place for place, move in enumerate(plan.moves) if isinstance(move, NewNode)),
        key=lambda place: (
            _is_ahead(plan.moves[place]),
            _usd_per_worker(plan.moves[place]),
            place,
        ),
    )
    more, full = Decimal(0), dict[int, _Cap]()
    for place in order:
        usd = _usd(plan.moves[place])
        cap = next((cap for cap in caps if not cap.holds(more + usd)), None)
        if cap is None:
            more += usd
        else:
            full[place] = cap
    asked = _sum(launches(plan.moves))
    for place, move in enumerate(plan.moves):
        cap = full.get(place)
        yield move if cap is None else _refusal(move, cap, fleet, asked)


def _usd(move: Move) -> Decimal:
    return move.usd_per_hour if isinstance(move, NewNode) else Decimal(0)


def _is_ahead(move: Move) -> bool:
    return isinstance(move, NewNode) and move.is_ahead


def _usd_per_worker(move: Move) -> Decimal:
    workers = sum(move.workers.values()) if isinstance(move, NewNode) else 0
    return _usd(move) / max(workers, 1)


def _sum(moves: Sequence[NewNode]) -> Decimal:
    return sum((move.usd_per_hour for move in moves), Decimal(0))


def _refusal(move: Move, cap: _Cap, fleet: Rates, asked: Decimal) -> Refusal:
    room = max(cap.room_usd_per_hour, Decimal(0))
    return Refusal(
        move=move,
        decision=Decision.DENY,
        reason=f"{cap.key} of ${cap.limit_usd} has no room for it",
        numbers={
            **_numbers(cap, fleet),
            "asked_usd_per_hour": f"{asked}",
            "room_usd_per_hour": f"{room.quantize(_SHOWN, rounding=ROUND_DOWN)}",
            "short_usd_per_hour": f"{(asked - room).quantize(_SHOWN)}",
        },
    )


def _passed(policy: str, cap: _Cap, fleet: Rates) -> Verdict:
    """That a budget will be passed by what runs now, and by how much."""
    over = (cap.committed_usd - cap.limit_usd).quantize(_SHOWN)
    return Verdict(
        policy=policy,
        decision=Decision.DENY,
        reason=f"{cap.key} of ${cap.limit_usd} is passed by ${over} if what runs now goes on",
        numbers={"moves": "0", "over_usd": f"{over}", **_numbers(cap, fleet)},
    )


def _numbers(cap: _Cap, fleet: Rates) -> dict[str, str]:
    numbers = {"limit_usd": f"{cap.limit_usd}", "running_usd_per_hour": f"{fleet.total}"}
    if cap.key != "budget.usd_per_hour":
        numbers |= {"spent_usd": f"{cap.spent_usd}", "left_seconds": str(cap.seconds)}
    return numbers


def _unpriced(plan: MovePlan, fleet: Rates) -> Iterator[Move | Refusal]:
    named = ", ".join(fleet.unknown[:3])
    for move in plan.moves:
        if isinstance(move, NewNode):
            yield Refusal(
                move=move,
                decision=Decision.DEFER,
                reason=f"what {named} costs is not known, so the budget's room is not either",
                numbers={"unpriced_nodes": str(len(fleet.unknown))},
            )
        else:
            yield move
