"""Whether a pool will have a machine when it is asked for one: what was seen, and how it fades.

    P(granted) = (A + granted) / (A + B + granted + refused)

Grants and refusals fade by half in an hour, so that a pool that was empty is tried again; A and B
are what is thought of one that nobody asked. Of one moment's answers a pool has one grant and one
refusal at most, as one shortage is behind them: a hundred machines that are taken at once say no
more than one does. A machine that is taken away says, as a refusal does,
that there are none left. A launch that is refused costs the wait until the next plan: so much is
added to the price of a pool, in the currency of work that waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from costplan.planner.learnt import Capacity, Learnt
from costplan.planner.nodes import Node
from costplan.planner.tick import ActionOutcome, Launch, Outcome, Readings
from costplan.planner.types import Market, OfferKey
from costplan.planner.units import SECONDS_PER_HOUR

HALF_LIFE_HOURS = 1.0
GRANTED = 2.0
REFUSED = 0.1
"""A and B: a pool that nobody asked has a machine in 19 cases of 20."""
_LEAST = 0.02
_NONE_LEFT = (Outcome.NO_CAPACITY, Outcome.QUOTA)


def from_answers(
    learnt: Learnt,
    outcomes: Iterable[ActionOutcome],
    before: Mapping[str, Node],
    readings: Readings,
) -> Learnt:
    """What the answers to launches, and machines that were taken away, say of their pools."""
    granted: set[str] = set()
    refused: set[str] = set()
    for ended in outcomes:
        if not isinstance(ended.action, Launch):
            continue
        keys = ended.action.request.keys
        if ended.outcome is Outcome.DONE and ended.machine is not None:
            granted.add(str(ended.machine.key))
            # What stood before it in the request was asked, and had none.
            named = keys.index(ended.machine.key) if ended.machine.key in keys else 0
            refused.update(map(str, keys[:named]))
        elif ended.outcome in _NONE_LEFT:
            refused.update(map(str, keys))
    gone = {m.provider_id for m in readings.machines or () if m.end_cause == "reclaimed"}
    for node in before.values() if gone else ():
        if node.provider_id in gone and node.key.market is Market.SPOT and node.ended_at is None:
            refused.add(str(node.key))
    if not granted and not refused:
        return learnt
    return replace(learnt, capacity=_merged(learnt, granted, refused, readings.at))


def _merged(
    learnt: Learnt, granted: Collection[str], refused: Collection[str], now: datetime
) -> Mapping[str, Capacity]:
    found: dict[str, Capacity] = {}
    for name in sorted({*learnt.capacity, *granted, *refused}):
        known = _now(learnt.capacity.get(name), now)
        after = Capacity(
            granted=known.granted + (name in granted),
            refused=known.refused + (name in refused),
            at=now,
        )
        if after.granted + after.refused >= _LEAST:
            found[name] = after
    return MappingProxyType(found)


def _now(known: Capacity | None, now: datetime) -> Capacity:
    if known is None:
        return Capacity(granted=0.0, refused=0.0, at=now)
    hours = max(0.0, (now - known.at).total_seconds() / SECONDS_PER_HOUR)
    fade = 0.5 ** (hours / HALF_LIFE_HOURS)
    return Capacity(granted=known.granted * fade, refused=known.refused * fade, at=now)


def refused_share(keys: Sequence[OfferKey], learnt: Learnt, now: datetime) -> float:
    """How likely it is that none of these offers has a machine, over what is usual; 0 where
    nobody asked any of them."""
    share = usual = 1.0
    for key in keys:
        known = _now(learnt.capacity.get(str(key)), now)
        asked = GRANTED + REFUSED + known.granted + known.refused
        share *= (REFUSED + known.refused) / asked
        usual *= REFUSED / (GRANTED + REFUSED)
    return max(0.0, share - usual)
