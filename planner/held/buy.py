"""Machines that commitments would pay for, beside those that could be bought anyway.

What of a commitment nothing uses yet is a row of the transition program: machines that it pays for
take so many units of that, and cost what is left of their price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from costplan.planner.buying import Column, Shelf, Shop
from costplan.planner.held.fleet import LEAST_SHARE, HeldNow
from costplan.planner.held.reach import Pool, reach_of
from costplan.planner.optimize.offers import candidates
from costplan.planner.settings import Settings
from costplan.planner.types import Market, OfferKey
from costplan.planner.units import PICO_PER_USD, usd_from_pico
from costplan.planner.workload import Workload

PREFIX = "commitments."
LEAST_PART = 0.05
"""A machine of which less is paid for is bought without counting on it."""
MOST_ALTERNATIVES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What of pools of commitments nothing uses yet, in their units, by the names of their rows,
    and what machines take of it: (dollars that it pays of an offer, units by row)."""

    rows: Mapping[str, float]
    names: Mapping[str, tuple[str, ...]]
    paid: Mapping[OfferKey, tuple[tuple[Decimal, Mapping[str, float]], ...]]
    most_usd_per_hour: float


def left_of(now: HeldNow, settings: Settings) -> Left:
    """What is left to buy with of what is held now, by the rules about machines."""
    catalogue = now.tariff.catalogue
    rules = Workload(name="", shapes=(), machines=settings.machines, market=settings.market)
    reach = reach_of(now.tariff, candidates(catalogue, rules).rows)
    used = {each.commitment_id: float(each.used_quantity) for each in now.uses}
    rows = {PREFIX + "+".join(pool.names): _left(pool, used) for pool in reach.pools}
    names = list(rows)
    paid: dict[OfferKey, list[tuple[Decimal, Mapping[str, float]]]] = {}
    saves = np.zeros(len(reach.pools))
    for each in reach.paid:
        usd = catalogue.price_pico[each.rows] / PICO_PER_USD - each.left_usd
        for pool, units in each.units:
            saves[pool] = max(saves[pool], float((usd / units).max(initial=0.0)))
        for place, row in enumerate(each.rows.tolist()):
            takes = {names[pool]: float(units[place]) for pool, units in each.units}
            if min(rows[name] / units for name, units in takes.items()) >= LEAST_PART:
                pico = int(catalogue.price_pico[row]) - round(each.left_usd[place] * PICO_PER_USD)
                paid.setdefault(catalogue.key(row), []).append((usd_from_pico(pico), takes))
    most = float(sum(saves[place] * pool.most for place, pool in enumerate(reach.pools)))
    return Left(
        rows=rows,
        names={PREFIX + "+".join(pool.names): pool.names for pool in reach.pools},
        paid={key: tuple(ways) for key, ways in paid.items()},
        most_usd_per_hour=most,
    )


def _left(pool: Pool, used: Mapping[str, float]) -> float:
    taken = sum(
        used.get(name, 0.0) * scale for name, scale in zip(pool.names, pool.scales, strict=True)
    )
    left = pool.most - taken
    return left if left > 1e-9 * max(pool.most, 1.0) else 0.0


def with_paid(shelf: Shelf, shop: Shop, left: Left, wanted: Mapping[str, int]) -> Shelf:
    """The shelf with machines that commitments would pay for; no fleet costs less than its bound
    less all that they could pay, in dollars for the work of a machine of speed 1."""
    found: dict[tuple[object, ...], Column] = {}
    slowest = min((shop.speeds.factor(key.instance_type) for key in left.paid), default=1.0)
    for column in (*shelf.columns, *_plain(shop, left, wanted)):
        for paid in _paid(column, shop, left):
            like = (paid.keys, tuple(sorted(paid.workers.items())), tuple(sorted(paid.takes)))
            best = found.get((*like, paid.usd_per_hour))
            if best is None:
                found[(*like, paid.usd_per_hour)] = paid
    return replace(
        shelf,
        columns=(*shelf.columns, *found.values()),
        bound_usd_per_hour=max(0.0, shelf.bound_usd_per_hour - left.most_usd_per_hour / slowest),
        left=left.rows,
    )


def _plain(shop: Shop, left: Left, wanted: Mapping[str, int]) -> Iterator[Column]:
    """For each kind and row of commitments, the machine that takes least of it for a worker when it
    is full, and the one that takes least at all."""
    for kind, most in wanted.items():
        if not most:
            continue
        places = shop.places(kind)
        by_row: dict[str, list[tuple[int, float]]] = {}
        for row in places:
            for _, takes in left.paid.get(shop.key[row], ()):
                for name, units in takes.items():
                    by_row.setdefault(name, []).append((row, units))
        for able in by_row.values():
            full = min(able, key=lambda each: (each[1] / min(most, places[each[0]]), each[0]))
            small = min(able, key=lambda each: (each[1], each[0]))
            yield shop.column(full[0], {kind: min(most, places[full[0]])})
            yield shop.column(small[0], {kind: min(most, places[small[0]])})


def _paid(column: Column, shop: Shop, left: Left) -> Iterator[Column]:
    """The column as commitments would pay for it: in full, and for what is left after full ones."""
    key = column.keys[0]
    if key.market is not Market.ON_DEMAND:
        return
    price, speed = shop.usd_of(key), shop.speeds.factor(key.instance_type)
    for usd, takes in left.paid.get(key, ()):
        shares = {1.0 if min(left.rows[n] / u for n, u in takes.items()) >= 1 else 0.0}
        for name, units in takes.items():
            rest = left.rows[name] % units / units
            shares.add(rest if rest >= LEAST_PART and len(takes) == 1 else 0.0)
        for share in sorted(shares - {0.0}, reverse=True):
            part = (usd * Decimal(repr(share))).quantize(Decimal("1e-12"))
            rest_usd = max(price - part, price * LEAST_SHARE)
            names = sorted({name for row in takes for name in left.names[row]})
            yield replace(
                column,
                keys=_alike(key, takes, shop, left),
                usd_per_hour=rest_usd,
                expected_usd_per_hour=float(rest_usd) / speed,
                risk_usd_per_hour=float(rest_usd) / speed - float(rest_usd),
                takes={name: units * share for name, units in takes.items()},
                paid_by=tuple(names),
            )


def _alike(
    key: OfferKey,
    takes: Mapping[str, float],
    shop: Shop,
    left: Left,
) -> tuple[OfferKey, ...]:
    """The offer and others of its type, in other zones, that the same commitments pay for."""
    others = [
        other
        for other in shop.key.values()
        if other != key
        and (other.provider, other.region, other.instance_type, other.market)
        == (key.provider, key.region, key.instance_type, key.market)
        and any(way == takes for _, way in left.paid.get(other, ()))
    ]
    return (key, *sorted(others)[: MOST_ALTERNATIVES - 1])
