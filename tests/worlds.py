"""Small worlds to test in: price lists from a few rows, workloads, and strategies for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from costplan.planner.catalogue import MARKETS, Catalogue, Labels
from costplan.planner.optimize.offers import candidates
from costplan.planner.optimize.problem import Problem, build
from costplan.planner.types import Market, OfferKey, Resources, WorkerShape
from costplan.planner.units import GIB, milli_from_vcpu, pico_from_usd
from costplan.planner.workload import (
    Limits,
    MarketRules,
    Overhead,
    Quota,
    Where,
    Workload,
)

OBSERVED_AT = 1_760_000_000
NO_OVERHEAD = Overhead(memory_share=0.0, memory_floor_bytes=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a price list; a hazard of None is one that the list does not know."""

    instance_type: str = "m.large"
    vcpu: float = 2
    gib: float = 8
    usd: str = "0.1"
    market: Market = Market.ON_DEMAND
    provider: str = "aws"
    region: str = "us-east-1"
    zone: str = "us-east-1a"
    arch: str = "x86_64"
    gpus: int = 0
    gpu_kind: str = ""
    hazard: float | None = 0.0

    @property
    def key(self) -> OfferKey:
        """The name of what this row offers."""
        return OfferKey(
            provider=self.provider,
            region=self.region,
            zone=self.zone,
            instance_type=self.instance_type,
            market=self.market,
        )


def _labels(values: Sequence[str]) -> Labels:
    names = tuple(sorted(set(values) - {""}))
    codes = [names.index(value) if value else -1 for value in values]
    return Labels(np.array(codes, dtype=np.int32), names)


def catalogue(rows: Sequence[Row]) -> Catalogue:
    """The price list of these rows, in their order."""
    hazards = [np.nan if row.hazard is None else row.hazard for row in rows]
    return Catalogue(
        provider=_labels([row.provider for row in rows]),
        region=_labels([row.region for row in rows]),
        zone=_labels([row.zone for row in rows]),
        instance_type=_labels([row.instance_type for row in rows]),
        market=np.array([MARKETS.index(row.market) for row in rows], dtype=np.int8),
        arch=_labels([row.arch for row in rows]),
        vcpu_milli=np.array([milli_from_vcpu(row.vcpu) for row in rows], dtype=np.int64),
        memory_bytes=np.array([int(row.gib * GIB) for row in rows], dtype=np.int64),
        gpus=np.array([row.gpus for row in rows], dtype=np.int64),
        gpu_kind=_labels([row.gpu_kind for row in rows]),
        price_pico=np.array([pico_from_usd(row.usd) for row in rows], dtype=np.int64),
        hazard_per_hour=np.array(hazards, dtype=np.float64),
        observed_at=np.full(len(rows), OBSERVED_AT, dtype=np.int64),
        source=_labels(["made up"] * len(rows)),
        is_estimate=np.zeros(len(rows), dtype=bool),
    )


def shape(
    name: str = "work", count: int = 1, vcpu: float = 1, gib: float = 2, gpus: int = 0, **more: Any
) -> WorkerShape:
    """`count` workers of so much each; `more` are fields of WorkerShape."""
    need = Resources(vcpu_milli=milli_from_vcpu(vcpu), memory_bytes=int(gib * GIB), gpus=gpus)
    return WorkerShape(name=name, count=count, need=need, **more)


def workload(*shapes: WorkerShape, **rules: Any) -> Workload:
    """These workers under the default rules and no overhead, but for what `rules` says."""
    return Workload(**{"name": "test", "shapes": shapes, "overhead": NO_OVERHEAD, **rules})


def problem(prices: Catalogue, wanted: Workload) -> Problem:
    """The optimizer's problem of a workload and a price list."""
    return build(prices, candidates(prices, wanted), wanted)


SIZES = (
    (1, 2, 0),
    (2, 4, 0),
    (2, 16, 0),
    (4, 16, 0),
    (8, 16, 0),
    (8, 64, 0),
    (4, 16, 1),
    (16, 64, 4),
)


@st.composite
def catalogues(draw: st.DrawFn, *, regions: int = 2) -> Catalogue:
    """Up to 40 offers of up to eight types, on demand and on spot, in up to `regions` regions.

    Prices are near what the machine's size suggests, and at times far from it.
    """
    rows = []
    for region in range(draw(st.integers(1, regions))):
        kinds = draw(st.lists(st.integers(0, len(SIZES) - 1), min_size=1, max_size=5, unique=True))
        for number in kinds:
            vcpu, gib, gpus = SIZES[number]
            worth = 40 * vcpu + 5 * gib + 600 * gpus
            milli_usd = max(1, worth * draw(st.integers(60, 150)) // 100)
            for zone in range(draw(st.integers(1, 2))):
                for market in draw(st.sampled_from(((0,), (0, 1), (1,)))):
                    off = draw(st.integers(15, 60)) if market else 100
                    rows.append(
                        Row(
                            instance_type=f"size{number}.x",
                            vcpu=vcpu,
                            gib=gib,
                            gpus=gpus,
                            gpu_kind=draw(st.sampled_from(("T4", "L4"))) if gpus else "",
                            usd=f"{milli_usd * off / 100000:.5f}",
                            market=MARKETS[market],
                            region=f"region{region}",
                            zone=f"region{region}{'ab'[zone]}",
                            hazard=draw(st.sampled_from((0.0, 0.001, 0.05, None))) if market else 0,
                        )
                    )
    return catalogue(rows)


def _shapes(gpu_share: int) -> st.SearchStrategy[tuple[int, int, int, int]]:
    gpus = st.sampled_from((0,) * (10 - gpu_share) + (1,) * gpu_share)
    return st.tuples(st.sampled_from((500, 1000, 2000, 3000)), st.integers(1, 12), gpus,
                     st.integers(1, 30))  # fmt: skip


@st.composite
def workloads(draw: st.DrawFn, *, limits: bool = True) -> Workload:
    """One to four worker shapes of up to 30 workers, at times under caps of every kind."""
    sizes = draw(st.lists(_shapes(gpu_share=1), min_size=1, max_size=4))
    shapes = [
        shape(f"shape{n}", count, milli / 1000, gib, gpus)
        for n, (milli, gib, gpus, count) in enumerate(sizes)
    ]
    overhead = draw(st.sampled_from((NO_OVERHEAD, Overhead())))
    where = draw(st.sampled_from((Where(), Where(single_region=False), Where(single_zone=True))))
    if not limits:
        return workload(*shapes, overhead=overhead, where=where)
    market = MarketRules(
        spot_max_share=draw(st.sampled_from((1.0, 1.0, 0.8, 1 / 3, 0.0))),
        pool_max_share=draw(st.sampled_from((1.0, 1.0, 0.5, 0.3))),
        on_demand_base_vcpu_milli=draw(st.sampled_from((0, 0, 3000, 40000))),
        max_hazard_per_hour=draw(st.sampled_from((None, None, 0.02))),
    )
    quotas = draw(
        st.sampled_from(
            (
                (),
                (),
                (Quota(market=Market.SPOT, vcpu_milli=16000),),
                (Quota(region="region0", nodes=4), Quota(instance_types=("size3*",), nodes=1)),
            )
        )
    )
    return workload(
        *shapes,
        overhead=overhead,
        where=where,
        market=market,
        limits=Limits(max_nodes=draw(st.sampled_from((None, None, 12, 60))), quotas=quotas),
        budget_pico_per_hour=draw(
            st.sampled_from((None, None, pico_from_usd("1.5"), pico_from_usd("6")))
        ),
    )
