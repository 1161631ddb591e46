"""What a tick teaches the next ones: durations, boots, pauses between bursts, exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.nodes import Node
from costplan.planner.settings import Settings
from costplan.planner.speed import (
    NO_PACES,
    Paces,
    Speeds,
    faded,
    is_news,
    merged,
    type_speeds,
)
from costplan.planner.tick import MovePlan, NewNode
from costplan.planner.types import OfferKey, Phase

MOST_PREFIXES = 5_000
REJOIN_SECONDS = 60.0
"""Workers are back within so long of their scheduler."""
MOST_BOOTS = 20
MOST_GAPS = 20
MOST_BOOTS_OF_ONE = 5
MOST_BOOTED_OFFERS = 200


def boot_seconds(learnt: Learnt, settings: Settings) -> float:
    """What a boot takes, from the asking to the last worker's joining: the median of those seen,
    the configured guess before any."""
    seen = sorted(learnt.boot_seconds)
    return seen[len(seen) // 2] if seen else float(settings.scaling.boot_seconds)


def boots_of_offer(learnt: Learnt, settings: Settings, offer: str) -> float:
    """What a boot of an offer takes: the median of its own last boots, else of all offers'."""
    seen = sorted(learnt.boots.get(offer, ()))
    return seen[len(seen) // 2] if seen else boot_seconds(learnt, settings)


def from_load(learnt: Learnt, load: Load | None, now: datetime) -> Learnt:
    """Durations by prefix, and pauses in which nothing was runnable while clients were there."""
    if load is None:
        return learnt
    seen = {
        group.prefix: (group.observed_tasks, group.mean_task_seconds)
        for group in load.groups
        if group.mean_task_seconds is not None
    }
    durations: Mapping[str, tuple[int, float]] = learnt.durations
    if any(durations.get(prefix) != value for prefix, value in seen.items()):
        merged = {k: v for k, v in durations.items() if k not in seen} | seen
        durations = MappingProxyType(dict(list(merged.items())[-MOST_PREFIXES:]))
    works = any(group.queued or group.running for group in load.groups)
    gaps, idle_since = learnt.idle_gaps, learnt.idle_since
    bursts, busy_before = learnt.bursts, learnt.busy_before
    if works and idle_since is not None:
        # Where the clock went back nobody knows how long the pause was.
        gap = (now - idle_since).total_seconds()
        gaps = (*gaps, gap)[-MOST_GAPS:] if gap >= 0 else gaps
        idle_since = None
    elif not works and idle_since is None and load.workers:
        idle_since, busy = now, load.totals.busy_seconds
        # A scheduler that was born again counts from zero.
        burst = busy - busy_before if busy >= busy_before else busy
        bursts, busy_before = (*bursts, burst)[-MOST_GAPS:] if burst > 0 else bursts, busy
    is_another = is_of_another(load, learnt)
    reborn_at = now if is_another else learnt.reborn_at
    paces, past_paces = _paces(learnt, load, is_another=is_another)
    if load.clients == 0:
        # The pause until somebody connects again is not one between bursts of a session.
        idle_since = None
    return replace(
        learnt,
        durations=durations,
        idle_gaps=gaps,
        bursts=bursts,
        idle_since=idle_since,
        busy_before=busy_before,
        scheduler_id=load.scheduler_id,
        reborn_at=reborn_at,
        paces=paces,
        past_paces=past_paces,
    )


def _paces(learnt: Learnt, load: Load, *, is_another: bool) -> tuple[Paces, Paces]:
    """What tasks took by type of machine: of this scheduler, and of those before it."""
    paces, past = learnt.paces, learnt.past_paces
    if is_another and paces:
        past, paces = faded(merged(past, paces)), NO_PACES
    return (load.paces if is_news(paces, load.paces) else paces), past


def speeds_of(learnt: Learnt, settings: Settings) -> Speeds:
    """How fast types of machines are, as multiples: measured where that is wanted, or given."""
    rules = settings.speed
    known = merged(learnt.past_paces, learnt.paces) if rules.learn else NO_PACES
    told = type_speeds(known, rules.factors, rules.prior)
    return Speeds(told=told, given=rules.factors, believed=rules.prior)


def is_of_another(load: Load, learnt: Learnt) -> bool:
    """True of a load that another scheduler tells than the one that was last heard of."""
    return learnt.scheduler_id not in ("", load.scheduler_id)


def is_reborn(learnt: Learnt, now: datetime) -> bool:
    """True while workers may still be on their way to a scheduler that has just been born again:
    one that it does not know has not left."""
    at = learnt.reborn_at
    return at is not None and now - at < timedelta(seconds=REJOIN_SECONDS)


def from_boots(learnt: Learnt, before: Mapping[str, Node], after: Mapping[str, Node]) -> Learnt:
    """Seconds that each node took that became ready in this tick, of all and by its offer."""
    found: list[float] = []
    boots = dict(learnt.boots)
    ready = (
        node_id
        for node_id, node in after.items()
        if node.ready_at is not None and node_id in before and before[node_id].ready_at is None
    )
    for node in (after[node_id] for node_id in sorted(ready)):
        asked = node.launched_at or _asked_at(node)
        if asked is not None and node.ready_at is not None and node.ready_at > asked:
            seconds = (node.ready_at - asked).total_seconds()
            found.append(seconds)
            own = boots.pop(str(node.key), ())
            boots[str(node.key)] = (*own, seconds)[-MOST_BOOTS_OF_ONE:]
    if not found:
        return learnt
    return replace(
        learnt,
        boot_seconds=(*learnt.boot_seconds, *found)[-MOST_BOOTS:],
        boots=MappingProxyType(dict(list(boots.items())[-MOST_BOOTED_OFFERS:])),
    )


def _asked_at(node: Node) -> datetime | None:
    return next((at for phase, at, _ in node.history if phase is Phase.REQUESTED), None)


def exchange_name(given: OfferKey, taken: OfferKey) -> str:
    """'from > to' of an exchange of nodes of one offer for another's."""
    return f"{given} > {taken}"


def no_return_seconds(settings: Settings) -> float:
    """For how long what was exchanged is not exchanged back: as long as it was to pay for itself,
    twice."""
    return 2.0 * settings.scaling.horizon_seconds


def from_exchanges(
    learnt: Learnt, plan: MovePlan, nodes: Mapping[str, Node], settings: Settings, now: datetime
) -> Learnt:
    """What a plan exchanges, and what earlier ones did not long ago."""
    oldest = now - timedelta(seconds=no_return_seconds(settings))
    found = {name: at for name, at in learnt.exchanged.items() if at > oldest}
    for move in plan.moves:
        if isinstance(move, NewNode):
            for node_id in move.replaces:
                if node_id in nodes:
                    found[exchange_name(nodes[node_id].key, move.keys[0])] = now
    if found == dict(learnt.exchanged):
        return learnt
    return replace(learnt, exchanged=MappingProxyType(dict(sorted(found.items()))))


def surplus_since(learnt: Learnt, surplus: Mapping[str, bool], now: datetime) -> Learnt:
    """Since when each kind has had more workers than its work asks for, without a break; where the
    clock was set back since, from now on."""
    known = learnt.surplus_since
    kept = {kind: min(known.get(kind, now), now) for kind, is_one in surplus.items() if is_one}
    if kept == dict(learnt.surplus_since):
        return learnt
    return replace(learnt, surplus_since=MappingProxyType(kept))
