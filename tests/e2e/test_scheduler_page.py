"""What a scheduler shows of costs: figures for Prometheus, and a page on its dashboard."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest
from dask import config
from distributed import Client, LocalCluster, Scheduler, Worker
from prometheus_client.parser import text_string_to_metric_families

from costplan.adapters.dask import CostAwareAdaptive, span
from costplan.adapters.dask.costs import Figures
from costplan.adapters.dask.dashboard import (
    MOST_LABEL,
    MOST_LINES,
    bars_of,
    columns_of,
    headline,
)
from costplan.adapters.dask.preload import install
from costplan.planner.work_cost import Line
from tests.e2e.dask_cluster import TOKEN, cluster, run
from tests.e2e.test_endpoint_work import naps

CLAIM = {"type": "m5.large", "market": "spot", "usd_per_hour": "360"}


def line(name: str, usd: str, **more: Any) -> Line:
    return Line(name=name, usd=Decimal(usd), **{"busy_seconds": 1.0, "tasks": 1, **more})


async def figures_at(scheduler: Scheduler) -> dict[str, float]:
    """Our figures on a scheduler's /metrics, by name and labels."""
    url = f"http://127.0.0.1:{scheduler.http_server.port}/metrics"
    answer = await asyncio.to_thread(httpx.get, url, timeout=20)
    return {
        "|".join(
            (sample.name.removeprefix("costplan_scheduler_"), *sample.labels.values())
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name.startswith("costplan_scheduler_")
    }


def test_prometheus_is_told_load_drains_and_dollars_and_no_names() -> None:
    async def test() -> None:
        async with cluster() as at:
            await at.add_claiming("a", CLAIM)
            await at.add_worker("b")
            with span("secret-customer"):
                await at.client.gather(at.client.map(naps, [0.05] * 3, range(3), workers=["a"]))
            await at.ask(at.endpoint.cordon, ["b"], "drain-1")
            found = await figures_at(at.scheduler)
            assert found["finished_tasks_total"] == 3
            assert 0.14 < found["task_seconds_total"] < 10
            assert (found["cordoned_workers"], found["protected_workers"]) == (1, 1)
            assert (found["workers|m5.large|spot"], found["workers||"]) == (1, 1)
            assert (found["usd_per_hour|m5.large|spot"], found["unpriced_workers"]) == (360, 1)
            assert 0 < found["idle_usd"] < found["spent_usd_total"]
            assert not any("secret" in name or "naps" in name for name in found)
        async with cluster() as again:  # one that is closed shows nothing; the next shows itself
            assert (await figures_at(again.scheduler))["finished_tasks_total"] == 0

    run(test())


def test_a_page_says_what_it_does_not_know_and_sums_what_it_does_not_show() -> None:
    figures = Figures(
        usd=Decimal("3.42"), idle_usd=Decimal("0.9"), usd_per_hour=Decimal("1.08"), workers=2,
        unpriced=1, by_span=(), by_prefix=(), by_run=(), pools=(), told_usd=Decimal(5),
    )  # fmt: skip
    assert headline(figures) == (
        "$3.42 so far, $1.08 an hour on 2 workers; $0.90 (26.3 %) of it idle. With machines that "
        "boot or have gone: $5.00. Nobody has said what 1 worker of these cost"
    )
    lines = [line(f"s{place}", "0.5", rows=2_000_000) for place in range(MOST_LINES + 2)]
    told = columns_of(lines, Decimal(10))
    assert told["name"][-1] == "2 others"
    assert (told["usd"][-1], told["share"][-1], told["per_million"][-1]) == ("$1.00", "10 %", "")
    assert (told["usd"][0], told["share"][0], told["per_million"][0]) == ("$0.50", "5 %", "$0.25")


def test_spans_that_show_one_name_are_one_bar() -> None:
    long = "nightly / load-the-customers-of-yesterday / "
    lines = (line(long + "eu", "3"), line(long + "us", "2"), line("idle", "1"), line("etl", "0.5"))
    figures = Figures(
        usd=Decimal(7), idle_usd=Decimal("0.5"), usd_per_hour=Decimal(1), workers=1, unpriced=0,
        by_span=lines, by_prefix=(), by_run=(), pools=(), told_usd=None,
    )  # fmt: skip
    assert list(bars_of(figures).items()) == [
        (f"{long[: MOST_LABEL - 1]}…", 5), ("idle (span)", 1), ("etl", Decimal("0.5")),
        ("idle", Decimal("0.5")),
    ]  # fmt: skip


def test_the_dashboard_has_a_page_of_costs() -> None:
    pytest.importorskip("bokeh", reason="the page needs Bokeh: pip install 'costplan[dashboard]'")
    from bokeh.client import pull_session
    from bokeh.models import DataTable, PreText

    async def test() -> None:
        quiet = {"distributed.scheduler.active-memory-manager.start": False}
        with config.set(quiet):
            async with Scheduler(
                host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0", dashboard=True
            ) as scheduler:
                install(scheduler, TOKEN)
                said = {"costplan": lambda _: CLAIM}
                async with (
                    Worker(scheduler.address, name="a", nthreads=1, host="127.0.0.1",
                           dashboard=False, startup_information=said),
                    Client(scheduler.address, asynchronous=True) as client,
                ):  # fmt: skip
                    with span("train", run="r1"):
                        await client.submit(naps, 0.1)
                    url = f"http://127.0.0.1:{scheduler.http_server.port}/costplan"
                    page = await asyncio.to_thread(httpx.get, url, timeout=20)
                    assert page.status_code == 200
                    session = await asyncio.to_thread(pull_session, url=url)
                    (root,) = session.document.roots
                    tables = [t.source.data for t in root.select({"type": DataTable})]
                    named = {tuple(table["name"]) for table in tables if "name" in table}
                    assert named == {("train",), ("naps",), ("r1",)}
                    (pool,) = [table for table in tables if "type" in table]
                    assert list(pool["type"]) == ["m5.large"]
                    assert list(pool["usd_per_hour"]) == ["$360.00"]
                    (head,) = root.select({"type": PreText})
                    assert "an hour on 1 worker" in head.text
                    await asyncio.to_thread(session.close)

    run(test())


def test_a_cluster_that_a_session_adapts_shows_what_it_costs_without_a_token() -> None:
    pytest.importorskip("bokeh", reason="the page needs Bokeh: pip install 'costplan[dashboard]'")
    address = "127.0.0.1:0"
    with LocalCluster(n_workers=0, processes=False, dashboard_address=address) as local:
        for _ in range(2):  # the second finds what the first has added
            local.adapt(Adaptive=CostAwareAdaptive, maximum=1, worker_usd_per_hour=360)
            with local.get_client() as client:
                assert client.submit(naps, 0.01).result() == 0
        url = f"http://127.0.0.1:{local.scheduler.http_server.port}"
        assert httpx.get(f"{url}/costplan", timeout=20).status_code == 200
        lines = httpx.get(f"{url}/metrics", timeout=20).text.splitlines()
        told = [x for x in lines if x.startswith("costplan_scheduler_finished_tasks_total")]
        assert len(told) == 1
