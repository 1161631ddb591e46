"""From what is needed to moves: what to launch and what to let go now, and what that is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from costplan.planner.ahead import look
from costplan.planner.buying import Shelf, Shop
from costplan.planner.capacity import refused_share
from costplan.planner.caps import over
from costplan.planner.fleet_view import Asset, at_speed, fleet_usd_per_hour
from costplan.planner.foresee import Asked, foresee, held_nodes, in_order
from costplan.planner.guard import launches
from costplan.planner.held.buy import Left, left_of, with_paid
from costplan.planner.held.fleet import HeldNow
from costplan.planner.learn import speeds_of
from costplan.planner.learnt import Learnt
from costplan.planner.market import buyable
from costplan.planner.needs import Needs
from costplan.planner.nodes import Cause
from costplan.planner.optimize.transition import Choice, Item, choose
from costplan.planner.price_trust import doubts
from costplan.planner.replacing import replacements
from costplan.planner.settings import Settings
from costplan.planner.speed import PLAIN, Speeds
from costplan.planner.tick import (
    DrainNode,
    KeepNode,
    Move,
    MovePlan,
    NewNode,
    RejectedPlan,
    Snapshot,
    State,
)
from costplan.planner.transition_question import (
    TransitionQuestion,
    first_to_go,
    items_of,
    new_cost,
    transition_question,
)
from costplan.planner.types import Offer, OfferKey
from costplan.planner.units import usd_of
from costplan.planner.wording import usd as usd_text

DOUBTFUL_SHARE = 0.2
"""Pools that refuse so often, over what is usual, have others put beside them."""
MOST_DOUBTS = 5
"""So often it is planned again without what was chosen; what is left then, the guard strikes."""


def plan_moves(
    snapshot: Snapshot,
    state: State,
    settings: Settings,
    fleet: Sequence[Asset],
    wanted: Needs,
    held: HeldNow | None = None,
) -> MovePlan:
    """The moves that take the fleet to what is needed at the least cost over the horizon.

    Where it would launch at a price that cannot be trusted, it plans again without that offer.
    """
    left = None if held is None else left_of(held, settings)
    offers = _at_place(buyable(snapshot.offers, state.learnt.refused, snapshot.at), fleet, settings)
    speeds = speeds_of(state.learnt, settings) if wanted.is_for_work else PLAIN
    fleet = at_speed(fleet, speeds)
    for _ in range(MOST_DOUBTS):
        shop = Shop(offers, snapshot.quotes, settings, speeds)
        made = _planned(shop, left, snapshot, state, fleet, wanted)
        keys = {key for move in launches(made.moves) for key in move.keys}
        doubted = doubts(keys, snapshot.quotes, settings, snapshot.at)
        if not doubted:
            break
        offers = tuple(offer for offer in offers if offer.key not in doubted)
    return made


def _planned(
    shop: Shop,
    left: Left | None,
    snapshot: Snapshot,
    state: State,
    fleet: Sequence[Asset],
    wanted: Needs,
) -> MovePlan:
    settings = shop.settings
    on_offer = shop.shelf(wanted.target, wanted.short)
    on_offer = _beside_doubtful(on_offer, shop, snapshot, state.learnt, wanted)
    on_offer = _for_later(on_offer, shop, snapshot, state.learnt, settings, wanted)
    if left is not None:
        on_offer = with_paid(on_offer, shop, left, wanted.target)
    question = transition_question(on_offer, snapshot, state, settings, fleet, wanted)
    items = items_of(question)
    most = [row.most for row in question.rows]
    today = choose(items, question.demand, most, question.shortage_cost)
    asked = Asked(
        question=question,
        items=items,
        today=today,
        snapshot=snapshot,
        learnt=state.learnt,
        settings=settings,
    )
    chosen = foresee(asked)
    choice = chosen.choice
    new, drains, kept = _moves(question, choice, wanted, state.learnt, shop.speeds)
    new = in_order(new, wanted.short, chosen.ahead)
    known = {keep.node_id for keep in kept}
    kept += tuple(keep for keep in held_nodes(asked, chosen) if keep.node_id not in known)
    before = fleet_usd_per_hour(snapshot.nodes, snapshot.quotes, state.meters)
    before -= sum(snapshot.paid_usd.values(), Decimal(0))
    moves: tuple[Move, ...] = (*new, *drains)
    after = (
        before
        + sum((move.usd_per_hour for move in new), Decimal(0))
        - sum((move.saving_usd_per_hour for move in drains), Decimal(0))
    )
    do_nothing = _do_nothing_usd(question, wanted)
    expected = usd_of(_cost(question, choice))
    text = f"{snapshot.digest}|{moves!r}|{wanted.demand!r}"
    return MovePlan(
        plan_id=hashlib.sha256(text.encode()).hexdigest()[:16],
        snapshot_digest=snapshot.digest,
        created_at=snapshot.at,
        horizon_seconds=settings.scaling.horizon_seconds,
        demand=wanted.demand,
        moves=moves,
        kept=kept,
        waiting=wanted.waiting,
        verdicts=(),
        usd_per_hour_before=before,
        usd_per_hour_after=after,
        expected_usd=expected,
        do_nothing_usd=do_nothing,
        lower_bound_usd=min(usd_of(on_offer.bound_usd_per_hour * question.hours), expected),
        termination=choice.termination,
        runner_up=_runner_up(question, items, choice, do_nothing) if moves else None,
        ahead=chosen.ahead,
        speeds=shop.speeds.told,
    )


def _for_later(
    on_offer: Shelf,
    shop: Shop,
    snapshot: Snapshot,
    learnt: Learnt,
    settings: Settings,
    wanted: Needs,
) -> Shelf:
    """The shelf with what could be bought for the most that is foretold, where that is more."""
    outlook = snapshot.outlook
    if outlook is None or snapshot.load is None:
        return on_offer
    boot = float(settings.scaling.boot_seconds)
    seen = look(outlook, boot, snapshot, learnt, settings)
    if seen is None:
        return on_offer
    names = [kind.name for kind in settings.kinds]
    most = dict(zip(names, seen.most.tolist(), strict=True))
    if all(most[kind] <= wanted.here.get(kind, 0) for kind in names):
        return on_offer
    wider = {kind: max(count, wanted.target.get(kind, 0)) for kind, count in most.items()}
    short = {kind: max(0, count - wanted.here.get(kind, 0)) for kind, count in wider.items()}
    return _with(on_offer, shop.shelf(wider, short))


def _beside_doubtful(
    on_offer: Shelf, shop: Shop, snapshot: Snapshot, learnt: Learnt, wanted: Needs
) -> Shelf:
    """The shelf with what would be on it without pools that have probably no machine, which the
    cheapest ones may be."""
    keys = {column.keys[0] for column in on_offer.columns} if learnt.capacity else set()
    doubtful = {k for k in keys if refused_share([k], learnt, snapshot.at) >= DOUBTFUL_SHARE}
    if not doubtful:
        return on_offer
    others = tuple(
        offer
        for offer in shop.offers
        if refused_share([offer.key], learnt, snapshot.at) < DOUBTFUL_SHARE
    )
    beside = Shop(others, snapshot.quotes, shop.settings, shop.speeds)
    return _with(on_offer, beside.shelf(wanted.target, wanted.short))


def _with(on_offer: Shelf, more: Shelf) -> Shelf:
    """The shelf with the columns of another that it does not have."""
    columns = {(c.keys, tuple(sorted(c.workers.items()))): c for c in more.columns}
    known = {(c.keys, tuple(sorted(c.workers.items()))) for c in on_offer.columns}
    fresh = tuple(column for key, column in columns.items() if key not in known)
    return replace(on_offer, columns=on_offer.columns + fresh)


def _at_place(
    offers: Sequence[Offer], fleet: Sequence[Asset], settings: Settings
) -> tuple[Offer, ...]:
    """Offers where the fleet is: a cluster that runs does not move to another region."""
    where = settings.where
    allowed = [offer for offer in offers if _allowed(offer.key, settings)]
    if not fleet or not (where.single_region or where.single_zone):
        return tuple(allowed)
    places = {(a.node.key.provider, a.node.key.region) for a in fleet}
    zones = {a.node.key.zone for a in fleet}
    return tuple(
        offer
        for offer in allowed
        if (offer.key.provider, offer.key.region) in places
        and (not where.single_zone or offer.key.zone in zones)
    )


def _allowed(key: OfferKey, settings: Settings) -> bool:
    where = settings.where
    if where.providers and key.provider not in where.providers:
        return False
    regions = where.regions.get(key.provider)
    return regions is None or key.region in regions


def _moves(
    question: TransitionQuestion,
    choice: Choice,
    wanted: Needs,
    learnt: Learnt,
    speeds: Speeds,
) -> tuple[list[NewNode], list[DrainNode], tuple[KeepNode, ...]]:
    """The choice as moves. What goes because it is too much, goes once the rest is ready; what
    goes for a better price names the new nodes that take its place."""
    groups, many = question.groups, len(question.groups)
    victims = [
        asset
        for group, stays in zip(groups, choice.counts[:many], strict=True)
        for asset in group.assets[: len(group.assets) - stays]
    ]
    bought = [
        column
        for column, count in zip(question.columns, choice.counts[many:], strict=True)
        for _ in range(count)
    ]
    ready = dict.fromkeys(question.kinds, 0)
    for group in groups:
        for asset in group.assets:
            for kind, count in asset.workers if asset.is_ready else ():
                ready[kind] = ready.get(kind, 0) + count
    spare = {
        k: wanted.here.get(k, 0) - n for k, n in zip(question.kinds, question.demand, strict=True)
    }
    need = dict(zip(question.kinds, question.demand, strict=True))
    drains: list[DrainNode] = []
    dearer: list[Asset] = []
    kept = [KeepNode(node_id=n, reason=r) for n, r in sorted(wanted.kept.items())]
    for asset in sorted(
        victims, key=lambda a: (-(a.expected_usd_per_hour or 0.0), *first_to_go(a))
    ):
        workers = {kind: count for kind, count in asset.workers if kind in need}
        is_named = bool(workers)
        # What no kind is asked for any more goes, once those that are have what they need.
        workers = workers or dict.fromkeys(need, 0)
        if not is_named or all(spare.get(kind, 0) >= count for kind, count in workers.items()):
            if any(ready[kind] - count < need[kind] for kind, count in workers.items()):
                reason = "what is to take its place still boots"
                kept.append(KeepNode(node_id=asset.node.node_id, reason=reason))
                continue
            for kind, count in workers.items():
                spare[kind] -= count
                ready[kind] -= count
            drains.append(_drain(asset, Cause.SURPLUS, _why_surplus(asset, wanted, need)))
        else:
            dearer.append(asset)
    new, replaced = replacements(bought, dearer)
    drains.extend(_drain(a, Cause.DEARER, _why_dearer(a, learnt, speeds)) for a in replaced)
    broken = over(question.rows, [asset for group in groups for asset in group.assets])
    if broken is not None:
        stays = {asset.node.node_id for asset in replaced}
        reason = f"{broken.name} does not pay for it any more"
        drains.extend(
            _drain(asset, Cause.BUDGET, reason)
            for asset in dearer
            if asset.node.node_id not in stays
        )
    return new, drains, tuple(kept)


def _drain(asset: Asset, cause: Cause, reason: str) -> DrainNode:
    return DrainNode(
        node_id=asset.node.node_id,
        cause=cause,
        saving_usd_per_hour=asset.usd_per_hour or Decimal(0),
        drain_usd=asset.drain_usd,
        drain_seconds=asset.drain_seconds,
        reason=reason,
        risk_usd_per_hour=_risk_usd(asset),
    )


def _risk_usd(asset: Asset) -> Decimal:
    """What interruptions are expected to cost of a node an hour, less what its speed is worth."""
    price = float(asset.usd_per_hour or 0)
    return usd_of((asset.expected_usd_per_hour or price) - price)


def _why_dearer(asset: Asset, learnt: Learnt, speeds: Speeds) -> str:
    warned = learnt.hints.get(str(asset.node.key))
    if warned is None:
        return f"the same {'workers cost' if speeds.is_plain else 'work costs'} less elsewhere"
    return f"its pool was said to be in danger at {warned:%H:%M:%S} UTC, others are worth the move"


def _why_surplus(asset: Asset, wanted: Needs, need: Mapping[str, int]) -> str:
    others = [kind for kind, _ in asset.workers if kind not in need]
    if others:
        return f"{others[0]} is no kind of worker in the configuration any more"
    return wanted.let_go.get(asset.node.node_id, "fewer workers do the work in time")


def _cost(question: TransitionQuestion, choice: Choice) -> float:
    """Expected dollars of a choice over the horizon, without the discount of what stays."""
    many = len(question.groups)
    total = question.shortage_cost * sum(choice.short)
    for group, stays in zip(question.groups, choice.counts[:many], strict=True):
        total += (group.assets[0].expected_usd_per_hour or 0.0) * question.hours * stays
        total += sum(float(a.drain_usd) for a in group.assets[: len(group.assets) - stays])
    for column, count in zip(question.columns, choice.counts[many:], strict=True):
        total += new_cost(column, question) * count
    return total


def _do_nothing_usd(question: TransitionQuestion, wanted: Needs) -> Decimal:
    stay = sum(
        (asset.expected_usd_per_hour or 0.0) * question.hours
        for group in question.groups
        for asset in group.assets
    )
    return usd_of(stay + question.shortage_cost * sum(wanted.short.values()))


def _runner_up(
    question: TransitionQuestion, items: list[Item], choice: Choice, do_nothing: Decimal
) -> RejectedPlan:
    """The best of what was not done: nothing at all, or the plan without its main new offer."""
    many = len(question.groups)
    spent: dict[str, float] = {}
    for column, count in zip(question.columns, choice.counts[many:], strict=True):
        name = column.keys[0].instance_type
        spent[name] = spent.get(name, 0.0) + count * new_cost(column, question)
    options = [("change nothing", do_nothing)]
    main = max(sorted(spent), key=lambda name: spent[name], default=None)
    if main is not None and spent[main] > 0:
        others = [
            Item(cost=i.cost, least=i.least, most=0, covers=i.covers, rows=i.rows)
            if place >= many and question.columns[place - many].keys[0].instance_type == main
            else i
            for place, i in enumerate(items)
        ]
        most = [row.most for row in question.rows]
        found = choose(others, question.demand, most, question.shortage_cost)
        options.append((f"the same without {main}", usd_of(_cost(question, found))))
    name, usd = min(options, key=lambda option: (option[1], option[0]))
    more = usd - usd_of(_cost(question, choice))
    return RejectedPlan(
        description=name,
        expected_usd=usd,
        reason=f"costs {usd_text(more)} more over the horizon, work that waits counted",
    )
