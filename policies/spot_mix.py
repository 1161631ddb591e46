"""How much of the fleet may rest on the spot market, and on one pool of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from costplan.planner.guard import GuardView, Judgement, Refusal, drains, judged, launches
from costplan.planner.standing import is_firm, is_staying, possible_keys
from costplan.planner.tick import Move, MovePlan, NewNode
from costplan.planner.types import Decision, OfferKey
from costplan.planner.workload import MarketRules

_Strike = tuple[int, tuple[OfferKey, ...], str]


class SpotMix:
    """Holds launches on spot to the shares of `market`, over the fleet after the moves.

    - spot vCPU <= `spot_max_share` x all vCPU;
    - vCPU of one spot pool <= `pool_max_share` x all vCPU;
    - nothing more is launched on spot while fewer than `on_demand_base_vcpu` are not on spot.

    A launch that may become a spot machine counts as one, in the pool of its first offer; its
    other pools stay only where they have room too. A launch loses its spot offers where it has
    others, and is refused where it has none. A fleet that breaks a rule by itself, as after an
    interruption, is left as it is.
    """

    name = "spot_mix"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves without the launches, or the offers of them, that lean too much on spot."""
        rules = view.settings.market
        free = rules.spot_max_share >= 1 and rules.pool_max_share >= 1
        if (free and not rules.on_demand_base_vcpu_milli) or not launches(plan.moves):
            return Judgement(moves=plan.moves)
        return judged(self.name, _sorted_out(plan, view))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fleet:
    """milli-vCPU of all nodes, of those on spot, and of each pool of spot."""

    total: int
    spot: int
    pools: Mapping[OfferKey, int]


def _sorted_out(plan: MovePlan, view: GuardView) -> Iterator[Move | Refusal]:
    rules = view.settings.market
    there = _standing(plan, view)
    sizes = {offer.key: offer.resources.vcpu_milli for offer in view.snapshot.offers}
    left = {
        place: tuple(key for key in move.keys if key in sizes)
        for place, move in enumerate(plan.moves)
        if isinstance(move, NewNode)
    }
    reasons: dict[int, str] = {
        place: "its size is not known" for place, keys in left.items() if not keys
    }
    while True:
        strike = _strike(_with(there, left, sizes), left, rules)
        if strike is None:
            break
        place, struck, reasons[place] = strike
        left[place] = tuple(key for key in left[place] if key not in struck)
    _strike_alternatives(_with(there, left, sizes), left, sizes, rules)
    numbers = _numbers(_with(there, left, sizes), rules)
    for place, move in enumerate(plan.moves):
        keys = left.get(place)
        if not isinstance(move, NewNode) or keys is None or len(keys) == len(move.keys):
            yield move
            continue
        if keys:
            yield replace(move, keys=keys)
        yield Refusal(
            move=move,
            decision=Decision.TRIM if keys else Decision.DENY,
            reason=reasons.get(place, "its other pools have no room"),
            numbers=numbers,
        )


def _standing(plan: MovePlan, view: GuardView) -> _Fleet:
    """The nodes that stay once the plan's drains are done."""
    drained = {move.node_id for move in drains(plan.moves)}
    total, spot, pools = 0, 0, Counter[OfferKey]()
    for node in view.snapshot.nodes:
        if not is_staying(node) or node.node_id in drained:
            continue
        size = node.resources.vcpu_milli
        total += size
        if not all(is_firm(key) for key in possible_keys(node)):
            spot += size
        if not is_firm(node.key):
            pools[node.key] += size
    return _Fleet(total=total, spot=spot, pools=pools)


def _with(
    there: _Fleet, left: Mapping[int, tuple[OfferKey, ...]], sizes: Mapping[OfferKey, int]
) -> _Fleet:
    """The fleet with the launches: each adds its least to all vCPU, and its most to spot."""
    total, spot, pools = there.total, there.spot, Counter(there.pools)
    for keys in left.values():
        if keys:
            total += min(sizes[key] for key in keys)
            spot += max((sizes[key] for key in keys if not is_firm(key)), default=0)
            if not is_firm(keys[0]):
                pools[keys[0]] += sizes[keys[0]]
    return _Fleet(total=total, spot=spot, pools=pools)


def _strike(
    fleet: _Fleet, left: Mapping[int, tuple[OfferKey, ...]], rules: MarketRules
) -> _Strike | None:
    """The launch to lose offers next, which, and why; None where every rule holds."""
    on_spot = [place for place, keys in left.items() if not all(is_firm(key) for key in keys)]
    if not on_spot:
        return None
    reason = ""
    if fleet.total - fleet.spot < rules.on_demand_base_vcpu_milli:
        base = rules.on_demand_base_vcpu_milli
        reason = f"market.on_demand_base_vcpu is {base / 1000:g}, and less is not on spot"
    elif rules.spot_max_share < 1 and fleet.spot > fleet.total * _exact(rules.spot_max_share):
        reason = f"more than market.spot_max_share ({rules.spot_max_share:g}) would be on spot"
    if reason:
        mixed = [place for place in on_spot if any(is_firm(key) for key in left[place])]
        place = max(mixed or on_spot)
        return place, tuple(key for key in left[place] if not is_firm(key)), reason
    if rules.pool_max_share >= 1:
        return None
    most = fleet.total * _exact(rules.pool_max_share)
    full = {pool for pool, milli in fleet.pools.items() if milli > most}
    crowding = [place for place in on_spot if left[place][0] in full]
    if not crowding:
        return None
    place = max(crowding)
    pool = left[place][0]
    share = f"market.pool_max_share ({rules.pool_max_share:g})"
    return place, (pool,), f"more than {share} would be in {pool}"


def _strike_alternatives(
    fleet: _Fleet,
    left: dict[int, tuple[OfferKey, ...]],
    sizes: Mapping[OfferKey, int],
    rules: MarketRules,
) -> None:
    """Takes from `left` the pools after the first that have no room, should it come to them."""
    if rules.pool_max_share >= 1:
        return
    most, pools = fleet.total * _exact(rules.pool_max_share), Counter(fleet.pools)
    for place, keys in left.items():
        kept = list(keys[:1])
        for key in keys[1:]:
            if is_firm(key):
                kept.append(key)
            elif pools[key] + sizes[key] <= most:
                pools[key] += sizes[key]
                kept.append(key)
        left[place] = tuple(kept)


def _exact(share: float) -> Decimal:
    return Decimal(repr(share))


def _numbers(fleet: _Fleet, rules: MarketRules) -> dict[str, str]:
    return {
        "spot_vcpu": f"{fleet.spot / 1000:g}",
        "all_vcpu": f"{fleet.total / 1000:g}",
        "spot_max_share": f"{rules.spot_max_share:g}",
        "pool_max_share": f"{rules.pool_max_share:g}",
        "on_demand_base_vcpu": f"{rules.on_demand_base_vcpu_milli / 1000:g}",
    }
