"""What was computed and for what, on real workers: spans, machines, windows and rates."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy
import pytest
from dask import delayed
from dask.base import get_annotations
from distributed import Client
from distributed import span as dask_span
from distributed.deploy.local import LocalCluster

from costplan.adapters.dask import span
from costplan.adapters.dask.endpoint import DaskEndpoint
from costplan.adapters.dask.plugin import NAME
from costplan.adapters.dask.preload import install
from costplan.adapters.dask.spans import Span
from costplan.planner.errors import InputError
from costplan.planner.learn import from_load, speeds_of
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.loop import tick
from costplan.planner.tick import Launch, State
from costplan.planner.units import pico_from_usd
from costplan.planner.work import WorkBatch, WorkerRate
from costplan.policies.default import default_policies
from tests.e2e.dask_cluster import DEADLINE_SECONDS, GATES, TOKEN, cluster, first, gated, run
from tests.fleets import NOON, after, key, offers, quote, readings, rules, tasks


def naps(seconds: float, number: int = 0) -> int:
    threading.Event().wait(seconds)
    return number


def paced(slow: float, fast: float, number: int) -> int:
    """Takes as long as the machine that it runs on does: the worker's own resources say which."""
    from distributed import get_worker

    claim = get_worker().startup_information["costplan"](None)
    threading.Event().wait(slow if claim["type"] == "slow.large" else fast)
    return number


def reports(number: int) -> int:
    with span("inner") as inner:
        inner.rows(number)
    return number


def claims(worker: Any, **said: str) -> None:
    worker.startup_information["costplan"] = lambda _: said


def summed(batches: list[WorkBatch]) -> dict[tuple[str, ...], tuple[int, float]]:
    """Tasks and seconds by worker, prefix and span."""
    found: dict[tuple[str, ...], tuple[int, float]] = {}
    for batch in batches:
        for window in batch.windows:
            for each in window.work:
                key = (each.worker, each.prefix, *each.span)
                tasks, seconds = found.get(key, (0, 0.0))
                found[key] = tasks + each.tasks, seconds + each.busy_seconds
    return found


def test_tasks_are_booked_for_the_span_they_were_submitted_in() -> None:
    async def test() -> None:
        async with cluster(a={"nthreads": 2}) as at:
            book = at.scheduler.plugins[NAME].counters.book
            with span("train", team="risk", run=7) as train:
                outer = at.client.map(naps, [0.02] * 3, range(3))
                with span("folds", team="fraud"):
                    inner = at.client.map(naps, [0.02] * 2, range(3, 5))
                await at.client.gather([*outer, *inner])
                train.rows(numpy.int64(1_000))
            with dask_span("etl"):
                await at.client.submit(len, [1])
            with span("lazy"):
                value = delayed(sum)([1, 2])
                assert await at.client.compute(value) == 3
            await at.client.submit(naps, 0.01, 99)
            await at.client.submit(reports, 5)
            await first(_rows_of(book), lambda rows: len(rows) == 2)
            book.close_window(at.scheduler.plugins[NAME].now() + 60)
            batch = await at.ask(at.endpoint.work, 0, "")
            (window,) = batch.windows
            found = summed([batch])
            assert {key: tasks for key, (tasks, _) in found.items()} == {
                ("a", "naps", "train"): 3,
                ("a", "naps", "train", "folds"): 2,
                ("a", "len", "etl"): 1,
                ("a", "sum", "lazy"): 1,
                ("a", "naps"): 1,
                ("a", "reports"): 1,
            }
            assert 0.055 < found["a", "naps", "train"][1] < 10
            tags = {each.span: dict(each.tags) for each in window.work}
            assert tags["train",] == {"team": "risk", "run": "7"}
            assert tags["train", "folds"] == {"team": "fraud", "run": "7"}
            rows = {(each.span, each.rows) for each in window.reported}
            assert rows == {(("train",), 1_000), (("inner",), 5)}
            again = await at.ask(at.endpoint.work, 0, "")
            assert again == batch  # asking takes nothing away
            assert not (await at.ask(at.endpoint.work, window.number, batch.scheduler_id)).windows
            # A cursor of another scheduler is none of this one's.
            assert (await at.ask(at.endpoint.work, 17, "another")).windows == batch.windows

    run(test())


def test_a_span_may_be_entered_again_and_in_several_threads() -> None:
    def marked(shared: Span, inside: threading.Barrier) -> Any:
        with shared:
            inside.wait()  # all are in it when the first leaves it
            return get_annotations()

    etl = span("etl", team="risk")
    with span("nightly", run=7):
        with etl, etl:
            assert etl.path == ("nightly", "etl", "etl")
        with etl:
            assert (etl.path, etl.tags) == (("nightly", "etl"), {"team": "risk", "run": "7"})
    with etl:
        assert (etl.path, etl.tags) == (("etl",), {"team": "risk"})
    assert not get_annotations()
    inside = threading.Barrier(2, timeout=DEADLINE_SECONDS)
    with ThreadPoolExecutor(2) as pool:
        first_mark, second_mark = pool.map(marked, [etl] * 2, [inside] * 2)
    assert first_mark == second_mark != {}


def _rows_of(book: Any) -> Any:
    async def rows() -> dict[Any, int]:
        return dict(book.rows)

    return rows


def test_a_span_says_what_it_does_not_take() -> None:
    for bad in ({"name": ""}, {"name": "a\nb"}, {"name": "ok", "team": "x" * 101}):
        with pytest.raises(InputError, match="printable characters"):
            span(**bad)
    for count in (-1, True, 1.0, "3"):
        with pytest.raises(InputError, match="is no count"), span("ok") as ok:
            ok.rows(count)  # type: ignore[arg-type]


def bought_for(load: Load) -> set[str]:
    """The types that a tick asks for where there is work and nobody, the fast one dearer by 1.3."""
    prices = (quote(key("slow.large"), "1.00"), quote(key("fast.large"), "1.30"))
    types = offers(("slow.large", "fast.large"))
    there = replace(load, at=after(5), groups=(tasks(queued=2880),), workers={}, clients=1)
    read = readings(
        5, load=there, machines=(), quotes=prices,
        offers=tuple(offer for offer in types if offer.key.market == "on_demand"),
    )  # fmt: skip
    asked = tick(read, State(), rules(), default_policies(), replan=True).actions
    return {act.request.keys[0].instance_type for act in asked if isinstance(act, Launch)}


def test_workers_say_what_their_machines_are_and_types_are_compared() -> None:
    async def test() -> None:
        async with cluster() as at:
            for name, kind, usd in (("s", "slow.large", "0.36"), ("f", "fast.large", "0.72")):
                claim = {"type": kind, "market": "spot", "zone": "z-a", "usd_per_hour": usd}
                await at.add_claiming(name, claim, nthreads=8)
            # 200 tasks; the slow machine takes 96 ms where the fast one takes 60 ms.
            done = at.client.map(paced, [0.096] * 200, [0.060] * 200, range(200))
            await at.client.gather(done)
            load = await at.load_when(lambda load: load.paces)
            assert {(w.instance_type, w.market) for w in load.workers.values()} == {
                ("slow.large", "spot"), ("fast.large", "spot"),
            }  # fmt: skip
            assert sum(cell[0] for cell in load.paces["paced"].values()) > 0
            # The next sample of what types took comes some seconds later.
            load = await at.load_when(
                lambda load: sum(cell[0] for cell in load.paces["paced"].values()) == 200
            )
            speeds = speeds_of(from_load(Learnt(), load, NOON), rules())
            factor = speeds.factor("fast.large") / speeds.factor("slow.large")
            assert 1.3 < factor < 1.8, load.paces
            assert bought_for(load) == {"fast.large"}
            assert bought_for(replace(load, paces={})) == {"slow.large"}
            figures = at.scheduler.plugins[NAME].costs.figures()
            assert figures.usd_per_hour == Decimal("1.08")
            assert 0 < figures.usd < Decimal("0.1")
            assert figures.usd == figures.idle_usd + sum(line.usd for line in figures.by_prefix)

    run(test())


def test_rates_are_told_and_work_is_priced_by_them() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            costs = at.scheduler.plugins[NAME].costs
            assert (costs.figures().unpriced, costs.figures().usd) == (2, 0)
            rates = [WorkerRate(worker="a", usd_per_hour=Decimal(3600))]
            await at.ask(at.endpoint.tell_rates, rates, Decimal("12.5"))
            with span("train", run="r1"):
                await at.client.submit(naps, 0.3, workers=["a"])
            await at.workers["a"].close()
            await first(_gone(at.scheduler), lambda workers: len(workers) == 1)
            figures = costs.figures()
            assert (figures.unpriced, figures.told_usd, figures.usd_per_hour) == (
                1, Decimal("12.5"), 0,
            )  # fmt: skip
            (train,) = figures.by_span
            # A dollar a second: of a worker that is gone the cost stays, what was not used apart.
            assert Decimal("0.29") <= train.usd < figures.usd
            assert figures.usd == train.usd + figures.idle_usd
            assert [(line.name, line.usd) for line in figures.by_run] == [("r1", train.usd)]

    run(test())


def test_a_long_task_takes_the_time_that_it_ran_in_whoever_looked_meanwhile() -> None:
    async def test() -> None:
        async with cluster(a={"nthreads": 2}) as at:
            costs = at.scheduler.plugins[NAME].costs
            rates = [WorkerRate(worker="a", usd_per_hour=Decimal(3600))]
            await at.ask(at.endpoint.tell_rates, rates, Decimal(0))
            with span("train"):
                long = at.client.submit(naps, 1.5)
            with span("etl"):
                number = 0
                while not long.done():
                    number += 1
                    await at.client.submit(naps, 0.1, number)
                    costs.figures_now()  # a page, or a scrape
            await long
            figures = costs.figures_now()
            train, etl = sorted(figures.by_span, key=lambda line: line.tasks)
            assert (train.tasks, etl.tasks) == (1, number)
            # Each had one of two threads of a worker at a dollar a second.
            for line in (train, etl):
                assert float(line.usd) == pytest.approx(line.busy_seconds / 2, rel=0.05)
            assert figures.usd == train.usd + etl.usd + figures.idle_usd

    run(test())


def test_a_rate_is_supposed_of_workers_that_nobody_has_told_one_of() -> None:
    async def test() -> None:
        async with cluster(told={}, silent={}) as at:
            await at.add_claiming("claims", {"type": "t", "usd_per_hour": "0.36"})
            costs = at.scheduler.plugins[NAME].costs
            rates = [WorkerRate(worker="told", usd_per_hour=Decimal(2))]
            await at.ask(at.endpoint.tell_rates, rates, Decimal(0))
            for supposed in (5, 7):
                costs.suppose(pico_from_usd(supposed))
                figures = costs.figures_now()
                assert (figures.unpriced, figures.usd_per_hour) == (0, supposed + Decimal("2.36"))

    run(test())


def _busy(scheduler: Any, address: str) -> Any:
    async def tasks() -> list[Any]:
        return list(scheduler.workers[address].processing)

    return tasks


def _gone(scheduler: Any) -> Any:
    async def workers() -> list[str]:
        return list(scheduler.workers)

    return workers


def test_stock_adaptive_leaves_a_worker_that_is_drained_to_us() -> None:
    async def test() -> None:
        async with LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, asynchronous=True,
            dashboard_address="127.0.0.1:0", host="127.0.0.1", protocol="tcp",
        ) as own, Client(own, asynchronous=True) as client:  # fmt: skip
            GATES.clear()
            install(own.scheduler, TOKEN)
            url = f"http://127.0.0.1:{own.scheduler.http_server.port}"
            with DaskEndpoint(url, TOKEN, timeout_seconds=DEADLINE_SECONDS) as endpoint:
                mine = own.workers[0].address
                held = client.submit(gated, "drained", workers=[mine])
                await first(_busy(own.scheduler, mine), len)
                await asyncio.to_thread(endpoint.cordon, ["0"], "drain-1")
                # Asked for two, stock scaling may not have the one that leaves anyway.
                assert own.scheduler.workers_to_close(n=2) == [own.workers[1].address]
                own.adapt(minimum=1, maximum=1, interval="20ms", wait_count=1)
                await first(_gone(own.scheduler), lambda workers: len(workers) == 1)
                assert list(own.scheduler.workers) == [mine]
                GATES["drained"].set()
                assert len(await held) == 1000

    run(test())
