"""How often a spot pool takes its machines away, as seen here: a gamma-Poisson belief a pool.

What the price list says is the prior, own exposure is the evidence:

    hazard = ((1 - c) h0 T0 + episodes) / (T0 + hours)  +  (c h0 T0 + shocks) / (T0 + zone hours)

h0 is the list's hazard (or the prior of `risk.py` where it has none), T0 how many hours of our own
the list's word is worth, hours the time in which the pool had a machine of ours, episodes how
often it took some away. A pool that takes all of its machines at once has had one episode, not
as many as it had machines: they shared their luck. Where several pools of a zone take machines
within minutes of each other, that is one shock of the zone and no episode of theirs, and makes
every pool of that zone less safe, those without a machine of ours too; c is how much of a published
rate is taken for such. A pool that we never had a machine in is at h0 but for its zone.

A cloud's rebalance hint says that a pool is in danger now. It is believed for two hours, at a
rate that is learnt from what became of earlier hints.

Hours and episodes fade by half in a week, since a pool that was quiet in spring need not be so in
autumn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from costplan.planner.learnt import Exposure, Learnt
from costplan.planner.nodes import Node
from costplan.planner.risk import ANY_PROVIDER, PRIORS
from costplan.planner.tick import Readings
from costplan.planner.types import Market, OfferKey, Phase, Quote
from costplan.planner.units import SECONDS_PER_HOUR

PRIOR_HOURS = 48.0
"""T0: published rates are means over months and all customers, so two days outweigh them."""
HALF_LIFE_HOURS = 7 * 24.0
EPISODE_SECONDS = 900.0
"""Machines of a pool that go within so long of each other go together."""
LONGEST_STEP_SECONDS = 900.0
"""Nobody looked for longer than this: what happened meanwhile is not known, and not counted."""
SHOCK_SHARE = 0.3
"""c: nobody publishes it. In recorded availability, pools of a zone go together about so often."""
HINT_PER_HOUR = 0.5
HINT_PRIOR_HOURS = 6.0
"""What a hint is taken to mean, and how many hours under hints that is worth: a guess that own
experience soon outweighs, since the clouds say no more than 'elevated'."""
HINT_SECONDS = 7200.0
_KEPT_HOURS = 0.01
_RUNNING = frozenset(
    {Phase.BOOTING, Phase.READY, Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING, Phase.LOST}
)


def from_exposure(
    learnt: Learnt, before: Mapping[str, Node], readings: Readings, since: datetime | None
) -> Learnt:
    """What the time since the last tick teaches of the pools that had machines of ours in it."""
    learnt = _from_hints(learnt, before, readings)
    now = readings.at
    step = 0.0 if since is None else (now - since).total_seconds()
    taken = _taken(before, readings)
    if not 0 < step <= LONGEST_STEP_SECONDS and not taken:
        return learnt
    hours = step / SECONDS_PER_HOUR if 0 < step <= LONGEST_STEP_SECONDS else 0.0
    spot = {str(n.key): n.key for n in before.values() if n.key.market is Market.SPOT}
    there = {
        str(node.key)
        for node in before.values()
        if node.key.market is Market.SPOT and node.phase in _RUNNING
    }
    hinted = {hint_name(spot[name]) for name in there if name in learnt.hints}
    episodes = _episodes(learnt, taken, spot, now)
    fade = 0.5 ** (hours / HALF_LIFE_HOURS)
    observed = {*there, *(zone_name(spot[name]) for name in there), *hinted}
    found: dict[str, Exposure] = {}
    for name in sorted({*learnt.exposure, *observed, *taken, *episodes}):
        known = learnt.exposure.get(name, Exposure())
        after = replace(
            known,
            hours=known.hours * fade + (hours if name in observed else 0.0),
            episodes=max(0.0, known.episodes * fade + episodes.get(name, 0.0)),
            last_episode=now if name in taken or name in episodes else known.last_episode,
        )
        if after.hours >= _KEPT_HOURS or after.episodes >= _KEPT_HOURS:
            found[name] = after
    return replace(learnt, exposure=MappingProxyType(found))


def zone_name(key: OfferKey) -> str:
    """Under which name a zone's shocks are kept."""
    return f"zone {key.provider}/{key.region}/{key.zone or ''}"


def hint_name(key: OfferKey) -> str:
    """Under which name is kept what becomes of a cloud's hints."""
    return f"hint {key.provider}"


def _from_hints(learnt: Learnt, before: Mapping[str, Node], readings: Readings) -> Learnt:
    """The pools that were said to be in danger, and when last."""
    oldest = readings.at - timedelta(seconds=HINT_SECONDS)
    hints = {name: at for name, at in learnt.hints.items() if at > oldest}
    warned = {n.provider_id: n for n in readings.notices or () if n.kind == "rebalance"}
    for node in before.values() if warned else ():
        notice = warned.get(node.provider_id or "")
        if notice is not None and node.key.market is Market.SPOT:
            name = str(node.key)
            hints[name] = max(notice.observed_at, hints.get(name, notice.observed_at))
    if hints == dict(learnt.hints):
        return learnt
    return replace(learnt, hints=MappingProxyType(dict(sorted(hints.items()))))


def _episodes(
    learnt: Learnt, taken: Set[str], spot: Mapping[str, OfferKey], now: datetime
) -> dict[str, float]:
    """By how much the episodes of pools, zones and hints change with what was taken now.

    A pool's episode of a moment ago, counted as its own, becomes part of the zone's shock when
    another pool of the zone follows.
    """

    def goes_on(name: str) -> bool:
        last = learnt.exposure.get(name, Exposure()).last_episode
        return last is not None and (now - last).total_seconds() < EPISODE_SECONDS

    changes: dict[str, float] = {}
    for zone in sorted({zone_name(spot[name]) for name in taken}):
        here = [name for name, key in spot.items() if zone_name(key) == zone]
        hit = [name for name in here if name in taken or goes_on(name)]
        if goes_on(zone):
            changes[zone] = 0.0
        elif len(hit) > 1:
            changes[zone] = 1.0
            changes |= {name: -1.0 for name in hit if goes_on(name)}
        else:
            changes |= {name: float(not goes_on(name)) for name in hit}
    for name in sorted(taken):
        hint = hint_name(spot[name])
        if name in learnt.hints and not goes_on(name):
            changes[hint] = changes.get(hint, 0.0) + 1.0
    return changes


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
    seen, name = learnt.exposure, str(quote.key)
    own = _posterior((1.0 - SHOCK_SHARE) * quoted, seen.get(name), PRIOR_HOURS)
    shared = _posterior(SHOCK_SHARE * quoted, seen.get(zone_name(quote.key)), PRIOR_HOURS)
    if name not in learnt.hints:
        return own + shared
    hinted = _posterior(HINT_PER_HOUR, seen.get(hint_name(quote.key)), HINT_PRIOR_HOURS)
    return max(own + shared, hinted)


def _posterior(prior: float, seen: Exposure | None, worth_hours: float) -> float:
    if seen is None:
        return prior
    return (prior * worth_hours + seen.episodes) / (worth_hours + seen.hours)


def believed(quotes: Sequence[Quote], learnt: Learnt) -> tuple[Quote, ...]:
    """The quotes with what is believed of their pools where there is experience of our own."""
    if not learnt.exposure and not learnt.hints:
        return tuple(quotes)
    return tuple(_believed(quotes, learnt))


def _believed(quotes: Iterable[Quote], learnt: Learnt) -> Iterable[Quote]:
    known = learnt.exposure.keys() | learnt.hints.keys()
    for quote in quotes:
        key = quote.key
        if key.market is Market.SPOT and (zone_name(key) in known or str(key) in known):
            yield replace(quote, hazard_per_hour=hazard_of(quote, learnt))
        else:
            yield quote
