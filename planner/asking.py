"""How many launches may be under way to a pool: few before it answers, none after a refusal.

A pool is asked for FIRST machines; each that it grants within GRANT_SECONDS lets one more be under
way, up to MOST. So a pool that has none answers FIRST calls with a refusal and not as many as the
plan has machines. What has not been asked for when it refuses is called off, and planned anew.

A pool that refused is closed for `safety.refused_for`, and for twice as long after each further
refusal in a row, up to LONGEST_SECONDS. Then one launch tries it: where that is granted the
refusals are forgotten, where it is refused the pool is closed again. With 5 minutes a pool that has
nothing for an hour is asked FIRST times at the start and once after 5, 15 and 35 minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from costplan.planner.learnt import Answers, Learnt
from costplan.planner.nodes import Node
from costplan.planner.phases import enter
from costplan.planner.settings import Settings
from costplan.planner.tick import ActionOutcome, Launch, Outcome
from costplan.planner.types import OfferKey, Phase

FIRST = 5
"""EC2 takes so many RunInstances at once, and two a second from then on (its bucket of request
tokens), so waiting for answers costs little there."""
MOST = 32
GRANT_SECONDS = 60.0
"""What was granted longer ago says nothing of what there is now."""
LONGEST_SECONDS = 3600
FORGET_SECONDS = 3600
"""So long after it was opened again a pool that nobody asked is like any other."""
WAIT_SECONDS = 60.0
"""An intention that could not be asked for in this time is planned anew."""
_REFUSALS = (Outcome.NO_CAPACITY, Outcome.QUOTA, Outcome.REJECTED)
_UNDER_WAY = (Phase.REQUESTED, Phase.UNCERTAIN)


def from_outcomes(
    learnt: Learnt, outcomes: Iterable[ActionOutcome], settings: Settings, now: datetime
) -> Learnt:
    """What launches came to: which pools are closed until when, and how each has answered."""
    refused = {name: until for name, until in learnt.refused.items() if until > now}
    answers = {name: a for name, a in learnt.answers.items() if not _is_forgotten(a, now)}
    no, yes = _answered(outcomes)
    for name, asked_seconds in no.items():
        if name in refused:
            # Of the same batch: it has refused once.
            wait = now + timedelta(seconds=asked_seconds)
            refused[name] = max(refused[name], wait)
            answers.setdefault(name, Answers(at=now, refusals=1))
        else:
            refusals = answers.get(name, Answers(at=now)).refusals + 1
            seconds = max(asked_seconds, closed_seconds(refusals, settings))
            refused[name] = now + timedelta(seconds=seconds)
            answers[name] = Answers(at=now, refusals=refusals)
        answers[name] = replace(answers[name], at=max(now, refused[name]))
    for name, granted in yes.items():
        if refused.get(name, now) <= now:
            before = fresh_grants(answers.get(name), now)
            answers[name] = Answers(at=now, granted=min(MOST, before + granted))
    if refused == dict(learnt.refused) and answers == dict(learnt.answers):
        return learnt
    return replace(
        learnt,
        refused=MappingProxyType(dict(sorted(refused.items()))),
        answers=MappingProxyType(dict(sorted(answers.items()))),
    )


def _answered(outcomes: Iterable[ActionOutcome]) -> tuple[dict[str, int], Counter[str]]:
    """Pools that refused with the seconds that they asked for, and how often each granted."""
    no: dict[str, int] = {}
    yes: Counter[str] = Counter()
    for ended in outcomes:
        if not isinstance(ended.action, Launch):
            continue
        keys = ended.action.request.keys
        refusing: Sequence[OfferKey] = ()
        if ended.outcome in _REFUSALS:
            refusing = keys
        elif ended.outcome is Outcome.DONE and ended.machine is not None:
            yes[str(ended.machine.key)] += 1
            # What stood before it in the request was asked, and had none.
            named = keys.index(ended.machine.key) if ended.machine.key in keys else 0
            refusing = keys[:named]
        for key in refusing:
            no[str(key)] = max(no.get(str(key), 0), ended.retry_after_seconds or 0)
    return no, yes


def closed_seconds(refusals: int, settings: Settings) -> int:
    """For how long a pool is closed after so many refusals in a row."""
    first = settings.safety.refused_seconds
    return min(first << min(refusals - 1, 32), max(first, LONGEST_SECONDS))


def _is_forgotten(answers: Answers, now: datetime) -> bool:
    kept = FORGET_SECONDS if answers.refusals else GRANT_SECONDS
    return now - answers.at >= timedelta(seconds=kept)


def fresh_grants(answers: Answers | None, now: datetime) -> int:
    """How many machines a pool has granted of late, one shortly after the other."""
    if answers is None or now - answers.at >= timedelta(seconds=GRANT_SECONDS):
        return 0
    return answers.granted


def window(key: OfferKey, learnt: Learnt, now: datetime) -> int:
    """How many launches that name this offer may be under way."""
    name = str(key)
    if learnt.refused.get(name, now) > now:
        return 0
    answers = learnt.answers.get(name)
    if answers is not None and answers.refusals and not _is_forgotten(answers, now):
        return 1
    return min(MOST, FIRST + fresh_grants(answers, now))


def is_on_trial(key: OfferKey, learnt: Learnt, now: datetime) -> bool:
    """True of an offer that refused, and that one launch may try again now."""
    answers = learnt.answers.get(str(key))
    return answers is not None and bool(answers.refusals) and window(key, learnt, now) == 1


def under_way(nodes: Iterable[Node]) -> Counter[OfferKey]:
    """How many launches that have no answer yet name each offer."""
    return Counter(key for node in nodes if node.phase in _UNDER_WAY for key in node.request.keys)


def may_be_asked(nodes: Mapping[str, Node], learnt: Learnt, now: datetime) -> frozenset[str]:
    """The intended nodes that may be asked for now, those of the earliest launches first."""
    waiting = [n for _, n in sorted(nodes.items()) if n.phase is Phase.INTENDED]
    if not waiting:
        return frozenset()
    taken, rooms = under_way(nodes.values()), dict[OfferKey, int]()
    found = set()
    for node in waiting:
        keys = node.request.keys
        for key in keys:
            if key not in rooms:
                rooms[key] = window(key, learnt, now)
        if all(taken[key] < rooms[key] for key in keys):
            taken.update(keys)
            found.add(node.node_id)
    return frozenset(found)


def called_off(
    nodes: Mapping[str, Node], learnt: Learnt, now: datetime, held: str = ""
) -> dict[str, Node]:
    """The nodes, without intentions that are not to be asked for any more: nothing was sent for
    them. `held` says why nothing is asked for at all now."""
    found = dict(nodes)
    for node_id, node in nodes.items():
        if node.phase is not Phase.INTENDED:
            continue
        closed = [k for k in node.request.keys if learnt.refused.get(str(k), now) > now]
        why = held or (f"{closed[0]} has refused meanwhile" if closed else "")
        if not why and (now - node.phase_since).total_seconds() >= WAIT_SECONDS:
            why = "launches before it have no answer yet"
        if why:
            cause = f"called off before it was asked for: {why}"
            found[node_id] = enter(node, Phase.GONE, now, cause)
    return found
