"""How much of the fleet may rest on the spot market, and on one pool of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypedDict

from costplan.planner.guard import GuardView, Judgement, Refusal, drains, judged, launches
from costplan.planner.spread import Spread, spreads
from costplan.planner.standing import is_firm, is_staying, possible_keys
from costplan.planner.tick import Move, MovePlan, NewNode
from costplan.planner.types import Decision, OfferKey
from costplan.planner.workload import MarketRules

_Group = tuple[str, str]
"""A rule and one of its groups."""


class SpotMix:
    """Holds launches on spot to the shares of `market`, over the fleet after the moves.

    - spot vCPU <= `spot_max_share` x all vCPU;
    - vCPU of one spot pool <= `pool_max_share` x all vCPU, and likewise of the spot machines of a
      zone and of a family (`safety.max_zone_spot_share`, `safety.max_family_spot_share`);
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
        free = rules.spot_max_share >= 1 and not spreads(view.settings)
        if (free and not rules.on_demand_base_vcpu_milli) or not launches(plan.moves):
            return Judgement(moves=plan.moves)
        return judged(self.name, _sorted_out(plan, view))


def _sorted_out(plan: MovePlan, view: GuardView) -> Iterator[Move | Refusal]:
    asked = launches(plan.moves)
    wanted = {key for move in asked for key in move.keys}
    sizes = {o.key: o.resources.vcpu_milli for o in view.snapshot.offers if o.key in wanted}
    mix = _Mix(
        rules=view.settings.market,
        spreads=spreads(view.settings),
        sizes=sizes,
        **_standing(plan, view),
    )
    for place, launch in enumerate(asked):
        mix.add(place, tuple(key for key in launch.keys if key in sizes))
    mix.strike()
    mix.strike_alternatives()
    numbers = mix.numbers()
    place = -1
    for move in plan.moves:
        if not isinstance(move, NewNode):
            yield move
            continue
        place += 1
        keys = mix.left[place]
        if len(keys) == len(move.keys):
            yield move
            continue
        if keys:
            yield replace(move, keys=keys)
        yield Refusal(
            move=move,
            decision=Decision.TRIM if keys else Decision.DENY,
            reason=mix.reasons.get(place, "the size of its offers is not known"),
            numbers=numbers,
        )


class _Standing(TypedDict):
    """milli-vCPU of all nodes that stay, of those on spot, and of each group that shares luck."""

    total: int
    spot: int
    groups: Counter[_Group]


def _standing(plan: MovePlan, view: GuardView) -> _Standing:
    """The nodes that stay once the plan's drains are done."""
    drained = {move.node_id for move in drains(plan.moves)}
    total, spot, groups = 0, 0, Counter[_Group]()
    rules = spreads(view.settings)
    for node in view.snapshot.nodes:
        if not is_staying(node) or node.node_id in drained:
            continue
        size = node.resources.vcpu_milli
        total += size
        if not all(is_firm(key) for key in possible_keys(node)):
            spot += size
        if not is_firm(node.key):
            groups.update({(each.rule, each.group(node.key)): size for each in rules})
    return _Standing(total=total, spot=spot, groups=groups)


@dataclass(slots=True, kw_only=True)
class _Mix:
    """The fleet while launches lose offers; sums are kept up to date with what is `left`.

    A launch adds the least of its offers' milli-vCPU to all, and the most of its spot offers'
    to spot; its first offer is of the groups that it counts in.
    """

    rules: MarketRules
    spreads: tuple[Spread, ...]
    sizes: Mapping[OfferKey, int]
    total: int
    spot: int
    groups: Counter[_Group]
    left: dict[int, tuple[OfferKey, ...]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, place: int, keys: tuple[OfferKey, ...], sign: int = 1) -> None:
        """Counts a launch with these offers, or no longer where `sign` is -1."""
        self.left[place] = keys
        if not keys:
            return
        self.total += sign * min(self.sizes[key] for key in keys)
        self.spot += sign * max((self.sizes[key] for key in keys if not is_firm(key)), default=0)
        if not is_firm(keys[0]):
            for each in self.spreads:
                self.groups[each.rule, each.group(keys[0])] += sign * self.sizes[keys[0]]

    def narrow(self, place: int, keys: tuple[OfferKey, ...], reason: str) -> None:
        """Leaves a launch with these offers only."""
        self.add(place, self.left[place], sign=-1)
        self.add(place, keys)
        self.reasons[place] = reason

    def strike(self) -> None:
        """Takes offers from launches, the last first, until every rule holds or none is on spot.

        Launches that have another market are asked first.
        """
        if self.rules.spot_max_share < 1 or self.rules.on_demand_base_vcpu_milli:
            mixed = [p for p, keys in self.left.items() if any(is_firm(key) for key in keys)]
            others = [p for p in self.left if p not in set(mixed)]
            order = [*reversed(mixed), *reversed(others)]
            for place in (p for p in order if not all(is_firm(key) for key in self.left[p])):
                if not (reason := self._leans_too_much()):
                    break
                firm = tuple(key for key in self.left[place] if is_firm(key))
                self.narrow(place, firm, reason)
        self._strike_groups()

    def _leans_too_much(self) -> str:
        """Why there is too much on spot, '' where there is not."""
        base, share = self.rules.on_demand_base_vcpu_milli, self.rules.spot_max_share
        if self.total - self.spot < base:
            return f"market.on_demand_base_vcpu is {base / 1000:g}, and less is not on spot"
        if share < 1 and self.spot > self.total * _exact(share):
            return f"more than market.spot_max_share ({share:g}) would be on spot"
        return ""

    def _strike_groups(self) -> None:
        """Takes offers of full groups from launches; what one loses may fill or empty others."""
        changed = bool(self.spreads)
        while changed:
            changed = False
            for place in reversed(self.left):
                keys = self.left[place]
                if not keys or is_firm(keys[0]):
                    continue
                full = next((each for each in self.spreads if self._is_full(each, keys[0])), None)
                if full is not None:
                    reason = f"more than {full.rule} ({full.share:g}) would be in one {full.what}"
                    self.narrow(place, keys[1:], reason)
                    changed = True

    def _is_full(self, spread: Spread, key: OfferKey) -> bool:
        return self.groups[spread.rule, spread.group(key)] > self.total * _exact(spread.share)

    def strike_alternatives(self) -> None:
        """Takes the offers after the first that have no room, should it come to them."""
        groups = Counter(self.groups)
        for place, keys in self.left.items():
            kept, lost = list(keys[:1]), ""
            for key in keys[1:]:
                full = None if is_firm(key) else self._without_room(key, groups)
                if full is not None:
                    lost = f"its other pools have no room within {full.rule} ({full.share:g})"
                    continue
                kept.append(key)
                for each in () if is_firm(key) else self.spreads:
                    groups[each.rule, each.group(key)] += self.sizes[key]
            if lost:
                self.left[place] = tuple(kept)
                self.reasons.setdefault(place, lost)

    def _without_room(self, key: OfferKey, groups: Counter[_Group]) -> Spread | None:
        """The share that a machine of this offer would pass."""
        for each in self.spreads:
            most = self.total * _exact(each.share)
            if groups[each.rule, each.group(key)] + self.sizes[key] > most:
                return each
        return None

    def numbers(self) -> dict[str, str]:
        """The fleet that is left, and the rules."""
        return {
            "spot_vcpu": f"{self.spot / 1000:g}",
            "all_vcpu": f"{self.total / 1000:g}",
            "spot_max_share": f"{self.rules.spot_max_share:g}",
            **{each.rule.partition(".")[2]: f"{each.share:g}" for each in self.spreads},
            "on_demand_base_vcpu": f"{self.rules.on_demand_base_vcpu_milli / 1000:g}",
        }


def _exact(share: float) -> Decimal:
    return Decimal(repr(share))
