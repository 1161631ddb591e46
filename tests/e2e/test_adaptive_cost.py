"""What an adapted cluster's work costs by span, at the price that the session knows."""

from __future__ import annotations

from decimal import Decimal

import dask.dataframe as dd
import pandas as pd
import pytest
from dask.dataframe.dask_expr import _collection as dask_expr
from distributed import Client, LocalCluster

from costplan.adapters.dask import CostAwareAdaptive, span
from costplan.adapters.dask.adaptive_cost import Cost
from tests.adapted_cluster import GATES, RUNS, World, adapted, gated, number, run, until
from tests.printed_costs import spans

A_DOLLAR_A_SECOND = 3600


def test_dollars_are_told_by_span_with_what_was_idle() -> None:
    async def scene() -> None:
        async with adapted(World()) as (cluster, client):
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, interval="20ms", minimum=2, maximum=2,
                worker_usd_per_hour=A_DOLLAR_A_SECOND,
            )  # fmt: skip
            await until(lambda: len(cluster.scheduler.workers) == 2)
            with span("train") as train:
                await client.gather(client.map(number, range(4), seconds=0.1))
                train.rows(1_000)
            with span("etl"):
                await client.submit(number, 9, seconds=0.1)
            await until(lambda: adaptive.cost.work.by_span[0].rows)
            cost = adaptive.cost
            assert cost.work is not None
            assert [line.name for line in cost.work.by_span] == ["train", "etl"]
            assert [line.tasks for line in cost.work.by_span] == [4, 1]
            assert cost.work.by_span[0].usd >= Decimal("0.39")
            shares = sum(line.usd for line in cost.work.by_span)
            assert cost.work.usd == shares + cost.work.idle_usd
            assert (cost.work.unpriced, cost.work.usd_per_hour) == (0, 2 * A_DOLLAR_A_SECOND)
            # From their requests on, so more than from their joining.
            assert cost.usd is not None
            assert cost.usd == cost.worker_seconds
            assert cost.usd >= cost.work.usd
            assert set(spans(str(cost))) == {"train", "etl", "idle"}
            assert "1,000 rows, $" in str(cost)

            # Another price counts from when it was said.
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, worker_usd_per_hour=2 * A_DOLLAR_A_SECOND
            )
            await until(lambda: adaptive.cost.work.usd_per_hour == 4 * A_DOLLAR_A_SECOND)
            assert adaptive.cost.work.by_span[0].usd == cost.work.by_span[0].usd

    run(scene())


def test_frames_that_are_computed_in_a_span_count_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask warns, once a process, that it would ignore the annotation; that is kept from people."""
    monkeypatch.setattr(dask_expr, "_WARN_ANNOTATIONS", True)

    with LocalCluster(
        n_workers=1, processes=False, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, minimum=1)
        with Client(cluster), span("etl"):
            assert dd.from_map(rows, range(3))["x"].sum().compute() == 3
        assert adaptive.cost.work is not None
        assert [line.name for line in adaptive.cost.work.by_span] == ["etl"]


def rows(number: int) -> pd.DataFrame:
    return pd.DataFrame({"x": [number]})


def test_workers_of_unknown_price_are_not_free() -> None:
    async def scene() -> None:
        async with adapted(World(), count=1) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, interval="20ms", minimum=1)
            with span("train"):
                await client.submit(number, 1)
            text = str(adaptive.cost)
            assert "in dollars unknown: this cluster does not say of what type" in text
            assert "(without 1 worker of unknown price)" in text

    run(scene())


def test_what_goes_on_is_counted_until_nobody_looks() -> None:
    async def scene() -> None:
        async with adapted(World()) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, interval="1h", maximum=1)
            future = client.submit(gated, "a")
            await until(lambda: cluster.scheduler.tasks)
            await adaptive.adapt()
            before = adaptive.cost.worker_seconds
            await until(lambda: adaptive.cost.worker_seconds > before)
            adaptive.stop()
            stopped = adaptive.cost
            await until(lambda: cluster.scheduler.workers)
            assert adaptive.cost.worker_seconds == stopped.worker_seconds
            GATES["a"].set()
            await future

    run(scene())


def test_without_a_scheduler_here_there_are_worker_seconds_only() -> None:
    cost = Cost(
        worker_seconds=Decimal("90.04"), usd=Decimal("0.0024"), usd_per_hour=Decimal("0.096"),
        price_source="aws m5.large in us-east-1, on_demand",
    )  # fmt: skip
    assert str(cost) == (
        "cost         $0.002400 for 90.0 worker-seconds from request to end "
        "(price: aws m5.large in us-east-1, on_demand)"
    )


def test_where_the_money_is_spent_what_is_held_stays_and_nothing_new_begins() -> None:
    """Two workers of a dollar a second: one brings what it holds to the other, which stays."""

    async def scene() -> None:
        async with adapted(World()) as (cluster, client):
            said = {
                "Adaptive": CostAwareAdaptive,
                "interval": "20ms",
                "maximum": 2,
                "boot": "100ms",
            }
            said |= {"worker_usd_per_hour": A_DOLLAR_A_SECOND, "target_duration": "500ms"}
            adaptive = cluster.adapt(usd_total=8, **said)
            values = range(10_000, 10_400)
            held = client.map(number, values, seconds=0.05)
            await until(lambda: len(cluster.scheduler.workers) == 2)
            await until(adaptive._keeper.leaving.stuck)
            assert len(cluster.scheduler.workers) == 1
            begun = sum(RUNS[value] for value in values)
            await until(lambda: sum(future.status == "finished" for future in held) == begun)
            finished = [future for future in held if future.status == "finished"]
            assert 0 < len(finished) < 400
            (told,) = [line for line in adaptive.explain() if "takes nothing new" in line]
            assert told.endswith(
                "the cap on all that is spent is reached, and "
                "no running worker can take what it alone holds"
            )
            assert set(await client.gather(finished)) < set(values)

            cluster.adapt(usd_total=1_000, **said)
            assert await client.gather(held) == list(values)
            assert [RUNS[value] for value in values] == [1] * 400

    run(scene())
