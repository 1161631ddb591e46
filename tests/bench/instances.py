"""Instances to measure on, cut by seed from the real price list and from real demand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from costplan.adapters.feeds.price_file import read_price_file
from costplan.planner.catalogue import Catalogue
from costplan.planner.optimize.offers import candidates
from costplan.planner.types import Resources, WorkerShape
from costplan.planner.units import GIB
from costplan.planner.workload import Machines, MarketRules, Where, Workload

DATA = Path(__file__).parents[3] / "shared" / "data"
PRICES = DATA / "catalog.parquet"
DEMAND = DATA / "demand_alibaba_gpu_2023.parquet"

MACHINES = Machines(max_vcpu=96)
CAPPED = MarketRules(spot_max_share=0.8, pool_max_share=0.3)
FREE = MarketRules()

Size = tuple[int, int, int]
"""milli-vCPU, GiB, GPUs of one worker."""


class DataAbsent(Exception):
    """The reference data folder is not there, so there is nothing to measure on."""


@cache
def price_list() -> Catalogue:
    """The real price list; raises DataAbsent where there is none."""
    if not PRICES.is_file():
        raise DataAbsent(f"{PRICES} is absent: nothing to measure on")
    return read_price_file(PRICES, now=datetime.now(UTC)).catalogue


def instance(
    offers: int,
    shapes: int,
    workers: int,
    seed: int,
    kind: str = "synthetic",
    *,
    single_region: bool = True,
    market: MarketRules = CAPPED,
) -> tuple[Catalogue, Workload]:
    """A price list of `offers` rows that the rules allow, and workers to place on it.

    `kind` is 'synthetic' (Dask-like sizes) or 'real' (the most frequent pods of a GPU cluster).
    With `single_region` the rows are whole regions, largest first from a random place on, so
    that every region has the choice it has in reality; without, they are drawn one by one.
    """
    dice = np.random.default_rng([offers, shapes, workers, seed])
    sizes = _synthetic(dice, shapes) if kind == "synthetic" else _real(dice, shapes)
    shares = dice.dirichlet(np.full(len(sizes), 1.0))
    counts = 1 + dice.multinomial(max(workers - len(sizes), 0), shares)
    wanted = Workload(
        name=f"{kind}-{shapes}x{workers}-seed{seed}",
        shapes=tuple(
            WorkerShape(
                name=f"w{n}",
                count=int(count),
                need=Resources(vcpu_milli=milli, memory_bytes=gib * GIB, gpus=gpus),
            )
            for n, ((milli, gib, gpus), count) in enumerate(zip(sizes, counts, strict=True))
        ),
        where=Where(single_region=single_region),
        machines=MACHINES,
        market=market,
    )
    return _cut(price_list(), wanted, offers, dice), wanted


def _cut(prices: Catalogue, wanted: Workload, offers: int, dice: np.random.Generator) -> Catalogue:
    """Rows of the list that the rules allow; more than there are means all of them, repeated
    in zones of other names."""
    rows = candidates(prices, wanted).rows
    if offers > len(rows):
        return _repeated(prices.take(rows), offers)
    if not wanted.where.single_region:
        return prices.take(np.sort(dice.choice(rows, offers, replace=False)))
    region = prices.provider.codes[rows].astype(np.int64) * len(prices.region.names)
    region += prices.region.codes[rows]
    names, members, sizes = np.unique(region, return_inverse=True, return_counts=True)
    order = dice.permutation(len(names))
    order = order[np.argsort(sizes[order] < min(offers, 2000), kind="stable")]
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    chosen = np.argsort(rank[members], kind="stable")[:offers]
    return prices.take(np.sort(rows[chosen]))


def _repeated(prices: Catalogue, offers: int) -> Catalogue:
    """The list over and over, each time in zones of another name and a little dearer."""
    copies = -(-offers // len(prices))
    rows = np.tile(np.arange(len(prices)), copies)[:offers]
    copy = np.repeat(np.arange(copies), len(prices))[:offers]
    zones = prices.zone.names
    labels = [*zones, *(f"{zone}+{n:02d}" for n in range(1, copies) for zone in ("", *zones))]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    place = np.full(len(labels) + 1, -1, dtype=np.int32)
    place[1 + np.array(order)] = np.arange(len(labels), dtype=np.int32)
    codes = place[copy * (len(zones) + 1) + prices.zone.codes[rows] + 1]
    more = prices.take(rows)
    return replace(
        more,
        zone=replace(more.zone, codes=codes, names=tuple(sorted(labels))),
        price_pico=more.price_pico + more.price_pico * copy // 1000,
    )


def _synthetic(dice: np.random.Generator, shapes: int) -> list[Size]:
    """Workers as Dask users size them: 0.5 to 16 vCPU, 2 to 8 GiB each, 15 % with GPUs."""
    sizes: dict[Size, None] = {}
    while len(sizes) < shapes:
        milli = int(dice.choice([500, 1000, 2000, 3000, 4000, 6000, 8000, 12000, 16000]))
        gib = max(1, round(milli / 1000 * dice.uniform(2, 8)))
        gpus = int(dice.choice([1, 2, 4], p=[0.7, 0.2, 0.1])) if dice.random() < 0.15 else 0
        sizes[milli, gib, gpus] = None
    return list(sizes)


def _real(dice: np.random.Generator, shapes: int) -> list[Size]:
    """Pod sizes of a GPU cluster by frequency, to 0.5 vCPU and 1 GiB, of those that some
    machine of 96 vCPU and 8 GPUs can hold; the seed leaves out one in five."""
    if not DEMAND.is_file():
        raise DataAbsent(f"{DEMAND} is absent: nothing to measure on")
    pods = pq.read_table(DEMAND, columns=["cpu_milli", "memory_mib", "num_gpu"]).to_pydict()
    seen = Counter(
        (max(500, -(-cpu // 500) * 500), max(1, -(-mib // 1024)), gpus)
        for cpu, mib, gpus in zip(*pods.values(), strict=True)
        if cpu <= 64_000 and mib <= 256 * 1024 and gpus <= 4
    )
    frequent = [size for size, _ in seen.most_common(2 * shapes)]
    kept = [size for size in frequent if dice.random() < 0.8]
    return (kept or frequent)[:shapes]
