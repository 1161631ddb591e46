"""How often a spot pool takes its machines away, as seen here: a gamma-Poisson belief a pool.

What the price list says is the prior, own exposure is the evidence:

    hazard = (h0 T0 + episodes) / (T0 + hours)

h0 is the list's hazard (or the prior of `risk.py` where it has none), T0 how many hours of our own
the list's word is worth, hours the time in which the pool had a machine of ours, episodes how
often it took some away. A pool that takes all of its machines at once has had one episode, not
as many as it had machines: they shared their luck. Hours and episodes fade by half in a week,
since a pool that was quiet in spring need not be so in autumn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from costplan.planner.learnt import Exposure, Learnt
from costplan.planner.nodes import Node
from costplan.planner.risk import ANY_PROVIDER, PRIORS
from costplan.planner.tick import Readings
from costplan.planner.types import Market, Phase, Quote
from costplan.planner.units import SECONDS_PER_HOUR

PRIOR_HOURS = 48.0
"""T0: published rates are means over months and all customers, so two days outweigh them."""
HALF_LIFE_HOURS = 7 * 24.0
EPISODE_SECONDS = 900.0
"""Machines of a pool that go within so long of each other go together."""
LONGEST_STEP_SECONDS = 900.0
"""Nobody looked for longer than this: what happened meanwhile is not known, and not counted."""
_KEPT_HOURS = 0.01
_RUNNING = frozenset(
    {Phase.BOOTING, Phase.READY, Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING, Phase.LOST}
)


def from_exposure(
    learnt: Learnt, before: Mapping[str, Node], readings: Readings, since: datetime | None
) -> Learnt:
    """What the time since the last tick teaches of the pools that had machines of ours in it."""
    now = readings.at
    step = 0.0 if since is None else (now - since).total_seconds()
    taken = _taken(before, readings)
    if not 0 < step <= LONGEST_STEP_SECONDS and not taken:
        return learnt
    hours = step / SECONDS_PER_HOUR if 0 < step <= LONGEST_STEP_SECONDS else 0.0
    there = {
        str(node.key)
        for node in before.values()
        if node.key.market is Market.SPOT and node.phase in _RUNNING
    }
    fade = 0.5 ** (hours / HALF_LIFE_HOURS)
    found: dict[str, Exposure] = {}
    for name in sorted({*learnt.exposure, *there, *taken}):
        known = learnt.exposure.get(name, Exposure())
        after = replace(
            known,
            hours=known.hours * fade + (hours if name in there else 0.0),
            episodes=known.episodes * fade,
        )
        if name in taken:
            after = _another(after, now)
        if after.hours >= _KEPT_HOURS or after.episodes >= _KEPT_HOURS:
            found[name] = after
    return replace(learnt, exposure=MappingProxyType(found))


def _another(known: Exposure, now: datetime) -> Exposure:
    """One more episode, unless the last one goes on."""
    last = known.last_episode
    goes_on = last is not None and (now - last).total_seconds() < EPISODE_SECONDS
    return replace(known, episodes=known.episodes + (not goes_on), last_episode=now)


def _taken(before: Mapping[str, Node], readings: Readings) -> set[str]:
    """Pools of which a machine of ours has been taken away, or has notice."""
    ids = {notice.provider_id for notice in readings.notices or () if notice.kind == "reclaim"}
    ids |= {m.provider_id for m in readings.machines or () if m.end_cause == "reclaimed"}
    return {
        str(node.key)
        for node in before.values()
        if node.provider_id in ids
        and node.key.market is Market.SPOT
        and node.phase is not Phase.GONE
    }


def hazard_of(quote: Quote, learnt: Learnt) -> float:
    """Interruptions an hour that are expected of a machine of this pool now."""
    quoted = quote.hazard_per_hour
    if quoted is None:
        quoted = PRIORS.get(quote.key.provider, ANY_PROVIDER).middle
    seen = learnt.exposure.get(str(quote.key))
    if seen is None:
        return quoted
    return (quoted * PRIOR_HOURS + seen.episodes) / (PRIOR_HOURS + seen.hours)


def believed(quotes: Sequence[Quote], learnt: Learnt) -> tuple[Quote, ...]:
    """The quotes with what is believed of their pools where there is experience of our own."""
    if not learnt.exposure:
        return tuple(quotes)
    return tuple(_believed(quotes, learnt))


def _believed(quotes: Iterable[Quote], learnt: Learnt) -> Iterable[Quote]:
    for quote in quotes:
        if str(quote.key) in learnt.exposure:
            yield replace(quote, hazard_per_hour=hazard_of(quote, learnt))
        else:
            yield quote
