"""How many machines there may be, and which offers are worth asking for now."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from costplan.planner.asking import is_on_trial, under_way
from costplan.planner.guard import GuardView, Judgement, Refusal, judged, launches, missing_workers
from costplan.planner.learnt import Learnt
from costplan.planner.nodes import Node
from costplan.planner.standing import is_alive, possible_keys
from costplan.planner.tick import Move, MovePlan, NewNode
from costplan.planner.types import Decision, OfferKey, Verdict
from costplan.planner.workload import Quota


class WithinQuota:
    """Holds launches to `limits.max_nodes`, to the quotas, and to offers not refused lately.

    All nodes alive count, draining ones too. A machine that may become one of several offers
    counts for each of them. Offers without room, that a cloud refused a moment ago, or that
    refused before and are being tried with another launch, are struck out of a launch; one
    without any left waits for the first of them.

    A plan keeps to the quotas by itself: where workers are missing for that, it is said which.
    """

    name = "quota"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves whose launches have room, each with the offers that have."""
        limits, short = view.settings.limits, missing_workers(plan)
        if not launches(plan.moves) and not (short and limits.quotas):
            return Judgement(moves=plan.moves)
        room = _room(view, plan)
        judgement = judged(self.name, _sorted_out(plan, view, room))
        full = tuple(_full(room, view, short, self.name)) if short else ()
        return replace(judgement, verdicts=(*judgement.verdicts, *full))


@dataclass(slots=True, kw_only=True)
class _Room:
    """What is left of each quota while launches are given room one after the other."""

    nodes: int | None
    quotas: tuple[Quota, ...]
    left: list[int]
    vcpu_milli: dict[OfferKey, int]
    tried: Counter[OfferKey]
    matched: dict[OfferKey, tuple[int, ...]]

    def quotas_of(self, key: OfferKey) -> tuple[int, ...]:
        """Numbers of the quotas that an offer falls under."""
        if key not in self.matched:
            self.matched[key] = tuple(n for n, q in enumerate(self.quotas) if falls_under(key, q))
        return self.matched[key]

    def amount(self, number: int, key: OfferKey) -> int:
        """What a machine of an offer takes of a quota: one, or its milli-vCPU."""
        return 1 if self.quotas[number].nodes is not None else self.vcpu_milli[key]

    def full(self, key: OfferKey) -> int | None:
        """The first quota without room for a machine of this offer, None where all have."""
        for number in self.quotas_of(key):
            if self.amount(number, key) > self.left[number]:
                return number
        return None

    def take(self, keys: tuple[OfferKey, ...]) -> None:
        """Takes room for a machine that becomes any one of these offers."""
        self.tried.update(keys)
        if self.nodes is not None:
            self.nodes -= 1
        most: dict[int, int] = {}
        for key in keys:
            for number in self.quotas_of(key):
                most[number] = max(most.get(number, 0), self.amount(number, key))
        for number, amount in most.items():
            self.left[number] -= amount


def falls_under(key: OfferKey, quota: Quota) -> bool:
    """True where an offer is one of those that a quota limits."""
    return (
        quota.provider in (None, key.provider)
        and quota.region in (None, key.region)
        and quota.market in (None, key.market)
        and (
            not quota.instance_types
            or any(fnmatch.fnmatchcase(key.instance_type, each) for each in quota.instance_types)
        )
    )


def _room(view: GuardView, plan: MovePlan) -> _Room:
    """The room that the nodes alive leave."""
    limits = view.settings.limits
    alive = [node for node in view.snapshot.nodes if is_alive(node)]
    room = _Room(
        nodes=limits.max_nodes,
        quotas=limits.quotas,
        left=[q.nodes if q.nodes is not None else q.vcpu_milli or 0 for q in limits.quotas],
        vcpu_milli=_sizes(view, plan, alive) if limits.quotas else {},
        tried=Counter(),
        matched={},
    )
    for node in alive:
        room.take(possible_keys(node) if limits.quotas else ())
    room.tried = under_way(alive)
    return room


def _sizes(view: GuardView, plan: MovePlan, alive: list[Node]) -> dict[OfferKey, int]:
    """Milli-vCPU of every offer that matters; a node's own word where it is not offered now."""
    needed = {key for move in launches(plan.moves) for key in move.keys}
    needed |= {key for node in alive for key in possible_keys(node)}
    sizes = {key: node.resources.vcpu_milli for node in alive for key in possible_keys(node)}
    for offer in view.snapshot.offers:
        if offer.key in needed:
            sizes[offer.key] = offer.resources.vcpu_milli
    return sizes


def _sorted_out(plan: MovePlan, view: GuardView, room: _Room) -> Iterator[Move | Refusal]:
    now, learnt = view.snapshot.at, view.state.learnt
    for move in plan.moves:
        if not isinstance(move, NewNode):
            yield move
            continue
        if room.nodes is not None and room.nodes <= 0:
            most = view.settings.limits.max_nodes
            yield Refusal(
                move=move,
                decision=Decision.DENY,
                reason=f"limits.max_nodes is {most}, and all are in use or still paid for",
                numbers={"max_nodes": str(most)},
            )
            continue
        struck = {key: why for key in move.keys if (why := _why_not(key, room, learnt, now))}
        left = tuple(key for key in move.keys if key not in struck)
        if left:
            room.take(left)
            yield move if not struck else replace(move, keys=left)
        if struck:
            yield _refusal(move, struck, is_trimmed=bool(left))


def _why_not(
    key: OfferKey, room: _Room, learnt: Learnt, now: datetime
) -> tuple[str, datetime | None] | None:
    """Why an offer is not asked for now, and until when where that is known."""
    until = learnt.refused.get(str(key), now)
    if until > now:
        return f"{key} was refused a moment ago", until
    if room.tried[key] and is_on_trial(key, learnt, now):
        return f"{key} refused lately, and another launch tries it first", now
    if room.quotas and key not in room.vcpu_milli:
        return f"{key} is not offered now", None
    number = room.full(key)
    if number is None:
        return None
    return f"{_named(number, room.quotas[number])} has no room for it", None


def _named(number: int, quota: Quota) -> str:
    if quota.name:
        return quota.name
    amount = f"{quota.nodes} nodes" if quota.nodes is not None else _vcpu(quota.vcpu_milli)
    return f"limits.quotas[{number}] of {amount}"


def _full(room: _Room, view: GuardView, short: Mapping[str, int], policy: str) -> Iterator[Verdict]:
    """The quotas that have no room for any machine of theirs that a missing worker fits on."""
    needs = [kind.need for kind in view.settings.kinds if kind.name in short]
    least: dict[int, int] = {}
    for offer in view.snapshot.offers:
        key = offer.key
        if offer.available and any(need.fits_in(offer.resources) for need in needs):
            room.vcpu_milli[key] = offer.resources.vcpu_milli
            for number in room.quotas_of(key):
                amount = room.amount(number, key)
                least[number] = min(amount, least.get(number, amount))
    for number, amount in sorted(least.items()):
        if amount > room.left[number]:
            yield Verdict(
                policy=policy,
                decision=Decision.TRIM,
                reason=f"{_named(number, room.quotas[number])} has no room for another machine",
                numbers={"moves": "0", "missing_workers": str(sum(short.values()))},
            )


def _vcpu(milli: int | None) -> str:
    return f"{(milli or 0) / 1000:g} vCPU"


def _refusal(
    move: NewNode, struck: Mapping[OfferKey, tuple[str, datetime | None]], *, is_trimmed: bool
) -> Refusal:
    reasons = list(dict.fromkeys(why for why, _ in struck.values()))
    untils = [until for _, until in struck.values() if until is not None]
    more = f"; and {len(reasons) - 2} more reasons" if len(reasons) > 2 else ""
    refused = Decision.DEFER if untils else Decision.DENY
    numbers = {"offers_struck": str(len(struck)), "offers_asked": str(len(move.keys))}
    if untils and not is_trimmed:
        numbers["until"] = f"{min(untils):%Y-%m-%d %H:%M:%S} UTC"
    return Refusal(
        move=move,
        decision=Decision.TRIM if is_trimmed else refused,
        reason="; ".join(reasons[:2]) + more,
        numbers=numbers,
    )
