"""What the fleet may cost: a rate at any moment, and an amount a UTC day and month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_DOWN, Decimal

from costplan.planner.caps import CHEAPER_SHARE, SLACK_SHARE, WARN_SHARE, Cap, caps
from costplan.planner.guard import GuardView, Judgement, Refusal, judged, launches
from costplan.planner.standing import Rates, rates
from costplan.planner.tick import Move, MovePlan, NewNode
from costplan.planner.types import Decision, Verdict
from costplan.planner.wording import usd

_SHOWN = Decimal("0.0001")


class WithinBudget:
    """Holds launches to the budget: those for demand to come are refused first, and of the others
    the dearest a worker.

    Everything still paid for counts, draining nodes too, at the rate of its meter or quote.

    - fleet rate + launches <= `usd_per_hour`;
    - spent since midnight UTC + (fleet rate + launches) x time left in the day <= `usd_per_day`,
      and the same of the month, where launches are counted for the horizon at least. A machine
      that is being ended counts for the horizon at most.

    So a day's budget is never passed by machines that run on until midnight. Where a price is
    not known nothing is launched. How far a budget is used up is told from 80 % on, and what is
    done about it (`caps.py`); what it does not pay for any more, the plan drains.
    """

    name = "budget"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves without launches that the budget has no room for."""
        if not view.settings.budget.is_limited:
            return Judgement(moves=plan.moves)
        fleet = rates(view.snapshot, view.state)
        if fleet.unknown:
            return judged(self.name, _unpriced(plan, fleet))
        found = caps(view.snapshot, view.settings, fleet, plan.horizon_seconds)
        judgement = judged(self.name, _sorted_out(plan, found, fleet))
        said = tuple(_said(self.name, cap, fleet, plan, view) for cap in found)
        passed = tuple(verdict for verdict in said if verdict is not None)
        return Judgement(moves=judgement.moves, verdicts=(*passed, *judgement.verdicts))


def _sorted_out(plan: MovePlan, caps: Sequence[Cap], fleet: Rates) -> Iterator[Move | Refusal]:
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
    more, full = Decimal(0), dict[int, Cap]()
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


def _refusal(move: Move, cap: Cap, fleet: Rates, asked: Decimal) -> Refusal:
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


def _said(policy: str, cap: Cap, fleet: Rates, plan: MovePlan, view: GuardView) -> Verdict | None:
    """How far a limit is used up and what is done about it, None below the first step.

    A limit that is below the cheapest machine is told where a worker is missing: no plan names it,
    as none has a machine to be refused.
    """
    short = sum(max(0, d.wanted - d.present - d.coming) for d in plan.demand)
    missing = f" ({short:,} wanted workers are missing)" if short else ""
    over = (cap.committed_usd - cap.limit_usd).quantize(_SHOWN)
    numbers = {"moves": "0", "over_usd": f"{over}"} if over > 0 else {"moves": "0"}
    denies = over > 0
    if not cap.holds(Decimal(0)):
        done = (
            "nodes it does not pay for are drained"
            if view.settings.budget.drain
            else "nothing is launched"
        )
        what = f"is passed by ${over} if what runs now goes on: {done}"
    elif cap.share >= WARN_SHARE:
        what = f"is {cap.share:.0%} committed: {_step(cap, short)}{missing}"
    elif short and (prices := _beyond(cap, view)):
        denies = True
        what = f"has no room for a machine, the cheapest costs {usd(min(prices))}/h{missing}"
    else:
        return None
    return Verdict(
        policy=policy,
        decision=Decision.DENY if denies else Decision.TRIM if short else Decision.ALLOW,
        reason=f"{cap.key} of ${cap.limit_usd} {what}",
        numbers={**numbers, **_numbers(cap, fleet)},
    )


def _beyond(cap: Cap, view: GuardView) -> list[Decimal]:
    """What every machine costs where the limit has room for none; empty where it has for one."""
    prices = [quote.usd_per_hour for quote in view.snapshot.quotes]
    return [] if any(map(cap.holds, prices)) else prices


def _step(cap: Cap, short: int) -> str:
    if short and cap.share >= 1 - SLACK_SHARE:
        return "nothing that costs more is launched"
    if short:
        return "the work is stretched"
    if cap.share >= CHEAPER_SHARE:
        return "exchanged for any saving that pays back"
    return "nothing is done yet"


def _numbers(cap: Cap, fleet: Rates) -> dict[str, str]:
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
