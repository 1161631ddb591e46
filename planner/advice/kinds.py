"""Demand that a cluster recorded, as machines: hour by hour, on the cheapest type on demand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

import numpy as np

from costplan.planner.advice.file import Demand, PriceOf, priced
from costplan.planner.advice.types import Line
from costplan.planner.asked import DemandPart
from costplan.planner.buying import fits, room, workers_on
from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.commitments.metering import hour_start
from costplan.planner.commitments.values import Product
from costplan.planner.errors import InputError
from costplan.planner.optimize.offers import candidates
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.types import Market
from costplan.planner.units import PICO_PER_USD
from costplan.planner.workload import Workload

SERVICES = {"aws": "ec2", "gcp": "compute", "azure": "virtual-machines"}
_HOUR = timedelta(hours=1)


class ListedPrices:
    """On-demand, spot and committed prices of machines in a price list, the cheapest zone's."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._cheapest: dict[tuple[int, int, int, int], int] = {}
        self._catalogue = catalogue
        keys = zip(
            catalogue.provider.codes.tolist(),
            catalogue.region.codes.tolist(),
            catalogue.instance_type.codes.tolist(),
            catalogue.market.tolist(),
            strict=True,
        )
        for key, price in zip(keys, catalogue.price_pico.tolist(), strict=True):
            self._cheapest[key] = min(price, self._cheapest.get(key, price))

    def __call__(self, product: Product, market: Market) -> Fraction | None:
        """Dollars an hour of a machine, None where the list has no such price."""
        listed = self._catalogue
        key = (
            listed.provider.code_of(product.provider),
            listed.region.code_of(product.region),
            listed.instance_type.code_of(product.instance_type),
            MARKETS.index(market),
        )
        pico = self._cheapest.get(key)
        return None if pico is None else Fraction(pico, PICO_PER_USD)


def recorded_demand(
    parts: Iterable[DemandPart],
    settings: Settings,
    catalogue: Catalogue,
    price_of: PriceOf,
    name: str,
) -> Demand:
    """What a cluster asked for, as hours of the machine that is cheapest for each kind of worker
    on demand; an hour that nobody saw has what the one before it had. Raises InputError."""
    kinds = {kind.name: kind for kind in settings.kinds}
    seen = [part for part in parts if part.kind in kinds]
    if not seen:
        raise InputError(name, "has no demand of a kind of worker that is configured")
    first = hour_start(min(part.start for part in seen))
    count = (max(part.start for part in seen) - first) // _HOUR + 1
    lines = []
    for kind in settings.kinds:
        mine = [part for part in seen if part.kind == kind.name]
        if mine:
            product, per_machine, usd = _machine(kind, settings, catalogue, name)
            hours = _hours(mine, first, count) / per_machine
            lines.append(Line(usage_id=kind.name, product=product, hours=hours, usd_per_unit=usd))
    done, offers = priced(lines, price_of)
    return Demand(start=first, lines=done, offers=offers)


def _hours(parts: Iterable[DemandPart], first: datetime, count: int) -> np.ndarray:
    seconds, work = np.zeros(count), np.zeros(count)
    for part in parts:
        place = (part.start - first) // _HOUR
        seconds[place] += part.seconds
        work[place] += part.worker_seconds
    known = np.flatnonzero(seconds)
    means = work[known] / seconds[known]
    before = np.searchsorted(known, np.arange(count), side="right") - 1
    return np.asarray(np.where(before >= 0, means[np.maximum(before, 0)], 0.0))


def _machine(
    kind: WorkerKind, settings: Settings, catalogue: Catalogue, name: str
) -> tuple[Product, int, Fraction]:
    """The type that costs least a worker, how many it holds, and its price."""
    market = replace(settings.market, allow=(Market.ON_DEMAND,))
    rules = Workload(
        name="", shapes=(), where=settings.where, machines=settings.machines, market=market
    )
    best: tuple[float, int, int] | None = None
    for row in candidates(catalogue, rules).rows.tolist():
        offer = catalogue.offer(row)
        free = room(offer.resources, settings.overhead)
        if not fits(kind, free) or bool(kind.need.gpus) != bool(free.gpus):
            continue
        held = workers_on(kind, free)
        if held:
            usd = int(catalogue.price_pico[row]) / held
            best = min(best or (usd, row, held), (usd, row, held))
    if best is None:
        raise InputError(
            f"{name}: {kind.name}",
            "fits no machine on demand of the price list",
            "give a price list that has one, with --prices",
        )
    _, row, held = best
    provider, instance_type = catalogue.provider[row], catalogue.instance_type[row]
    product = Product(
        provider=provider,
        service=SERVICES.get(provider, ""),
        region=catalogue.region[row],
        instance_type=instance_type,
        machine_series=instance_type.partition("-")[0] if provider == "gcp" else "",
    )
    return product, held, Fraction(int(catalogue.price_pico[row]), PICO_PER_USD)
