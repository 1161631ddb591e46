"""What ends soon: what it saves, what its loss would cost, and how much of it to let go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np

from costplan.planner.advice.choose import aim, tail_mean
from costplan.planner.advice.cover import ORDER, Book, book_of, parts_of
from costplan.planner.advice.layers import World, costs_of
from costplan.planner.advice.scenarios import drawn
from costplan.planner.advice.steps import Steps, Tell, silent
from costplan.planner.advice.types import Mapper, Question
from costplan.planner.commitments.values import Commitment

_NEVER = datetime.max.replace(tzinfo=UTC)
_SHARES = tuple(Fraction(n, 8) for n in range(8, -1, -1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A commitment that ends within the time asked about.

    Over the horizon that begins now, all else as it is: `loss_usd` is what it costs to let it all
    go, less its price, with the tail of that; `keep` is the share worth renewing as it is, and
    `saving_usd` what that saves against letting all go. `used_share` is how much of it would be
    used after its end.
    """

    commitment: Commitment
    used_share: float
    loss_usd: float
    loss_tail_usd: float
    keep: Fraction
    saving_usd: float


def renewals(
    question: Question, within: timedelta, mapped: Mapper = map, tell: Tell = silent
) -> tuple[Renewal, ...]:
    """What ends within that time, what ends first at the top; one without a price is left out.
    `tell` hears of each that is looked at."""
    parts = parts_of(question.lines)
    world = World(
        parts=parts,
        scenarios=drawn(parts, question.settings),
        question=question,
        mapped=mapped,
    )
    ending = [
        each
        for each in question.held
        if each.end is not None
        and question.now < each.end <= question.now + within
        and each.kind in ORDER
        and each.unit_usd is not None
    ]
    ending.sort(key=lambda each: (each.end or _NEVER, each.commitment_id))
    steps = Steps(tell, len(ending))
    found = []
    for each in ending:
        steps.begin(each.commitment_id)
        found.append(_renewal(world, each))
    return tuple(found)


def _renewal(world: World, ending: Commitment) -> Renewal:
    gone = costs_of(_book(world, ending, Fraction(0)), world.scenarios, world.mapped)
    by_share = {Fraction(0): gone}
    for share in _SHARES[:-1]:
        book = _book(world, ending, share)
        by_share[share] = costs_of(book, world.scenarios, world.mapped)
    whole = by_share[Fraction(1)]
    keep = min(_SHARES, key=lambda share: (aim(by_share[share], world.settings), share))
    risk = world.settings.risk
    return Renewal(
        commitment=ending,
        used_share=_used_share(world, ending),
        loss_usd=float((gone - whole).mean()),
        loss_tail_usd=tail_mean(gone, risk) - tail_mean(whole, risk),
        keep=keep,
        saving_usd=float((gone - by_share[keep]).mean()),
    )


def _book(world: World, ending: Commitment, share: Fraction) -> Book:
    """What is held, with that share of the ending one renewed at its end."""
    question = world.question
    held = question.held
    if share:
        held = (*held, _renewed(ending, share))
    return book_of(world.parts, held, question.now, world.scenarios.hours.shape[1])


def _renewed(ending: Commitment, share: Fraction) -> Commitment:
    # A name that no file can hold.
    again = replace(ending, commitment_id=f"{ending.commitment_id}\n", start=ending.end, end=None)
    if ending.count is not None:
        return replace(again, count=ending.count * share)
    return replace(again, usd_per_hour=(ending.usd_per_hour or Fraction(0)) * share)


def _used_share(world: World, ending: Commitment) -> float:
    book = _book(world, ending, Fraction(1))
    used, pool = np.zeros(len(book.rooms)), len(book.rooms) - 1
    few = world.scenarios.some(8)
    for number in range(few.count):
        book.cover(few.demand(number), used)
    room = float(book.rooms[pool].sum()) * few.count
    return float(used[pool]) / room if room else 0.0
