"""Health and figures over a real port, in one loop with whatever else runs there."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from time import monotonic

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from costplan.cli.http_service import Health, HttpService
from costplan.cli.metrics import Metrics
from costplan.cli.signals import signals_as_events
from costplan.planner.errors import InputError
from costplan.planner.ledger import LedgerEntry, Use
from costplan.planner.nodes import Notice
from costplan.planner.status import LastTick, status_of
from costplan.planner.tick import ActionOutcome, Control, Launch, Outcome
from costplan.planner.types import Gap, Mode
from tests.cli import fleet_samples
from tests.cli.fleet_samples import NOW, SPOT

WELL = Health(
    seconds_since_beat=1.0,
    beat_limit_seconds=60.0,
    seconds_since_tick=2.0,
    tick_limit_seconds=30.0,
    lease_held=True,
)
Ask = Callable[[str], Awaitable[httpx.Response]]


def served(health: Health, scenario: Callable[[Ask], Awaitable[None]], metrics: Metrics) -> None:
    async def run() -> None:
        service = HttpService("127.0.0.1", 0, health=lambda: health, metrics=metrics)
        await service.start()
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}") as client:
                await scenario(client.get)
        finally:
            begun = monotonic()
            await service.stop()
            assert monotonic() - begun < 1.0

    asyncio.run(run())


def no_load() -> float | None:
    return None


@pytest.mark.parametrize(
    ("health", "alive", "ready", "problem"),
    [
        (WELL, 200, 200, None),
        (replace(WELL, seconds_since_beat=61.0), 503, 503, "come round for 61 s"),
        (replace(WELL, seconds_since_tick=None), 200, 503, "no tick yet"),
        (replace(WELL, seconds_since_tick=31.0), 200, 503, "last tick is 31 s old"),
        (replace(WELL, lease_held=False), 200, 503, "lease is not held"),
        (replace(WELL, store_problem="disk full"), 200, 503, "disk full"),
        (replace(WELL, stopping=True), 200, 503, "stopping"),
    ],
)
def test_health_and_readiness(health: Health, alive: int, ready: int, problem: str | None) -> None:
    async def scenario(ask: Ask) -> None:
        answer = await ask("/healthz")
        assert answer.status_code == alive
        assert answer.json()["status"] == ("alive" if alive == 200 else "not alive")
        answer = await ask("/readyz")
        assert answer.status_code == ready
        problems = answer.json()["problems"]
        assert problems == [] if problem is None else problem in problems[0]

    served(health, scenario, Metrics(no_load))


def test_other_paths_and_verbs_are_refused() -> None:
    async def scenario(ask: Ask) -> None:
        assert (await ask("/")).status_code == 404
        address = str((await ask("/healthz")).url)
        async with httpx.AsyncClient() as client:
            assert (await client.post(address)).status_code == 405

    served(WELL, scenario, Metrics(no_load))


def figures(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_figures_of_a_tick() -> None:
    metrics = Metrics(lambda: 4.5)
    last = LastTick(
        tick_id="t-1",
        at=NOW,
        mode=Mode.HOLD,
        gaps=(Gap(kind="load", subject="scheduler", assumed="the last one is kept"),),
    )
    control = Control(paused_until=NOW.replace(hour=13))
    status = status_of(
        fleet_samples.state(control), fleet_samples.settings(), lease=None, last=last, now=NOW
    )
    metrics.tick(status, kind="plan", seconds=0.03)
    metrics.plan(fleet_samples.plan())
    node = fleet_samples.nodes()["n-1"]
    launch = Launch(node_id=node.node_id, request=node.request)
    metrics.outcome(ActionOutcome(action=launch, outcome=Outcome.NO_CAPACITY, at=NOW))
    metrics.notices(
        [Notice(provider_id="pid-2", kind="reclaim", effective_at=NOW, observed_at=NOW)]
    )
    metrics.entries([entry("0.5"), entry("0.25"), entry("-0.1")])
    found: dict[tuple[str, tuple[str, ...]], float] = {}

    async def scenario(ask: Ask) -> None:
        answer = await ask("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        found.update(figures(answer.text))

    served(WELL, scenario, metrics)
    expected = {
        ("costplan_nodes", ("spot", "ready")): 2,
        ("costplan_nodes", ("on_demand", "ready")): 1,
        ("costplan_nodes", ("spot", "retiring")): 1,
        ("costplan_usd_per_hour", ("spot",)): 0.16,
        ("costplan_usd_per_hour", ("on_demand",)): 0.10,
        ("costplan_workers", ("expected",)): 5,
        ("costplan_workers", ("joined",)): 4,
        ("costplan_tasks", ("queued",)): 43,
        ("costplan_tasks", ("unrunnable",)): 3,
        ("costplan_draining_nodes", ()): 1,
        ("costplan_mode", ("hold",)): 1,
        ("costplan_mode", ("full",)): 0,
        ("costplan_gaps", ("load",)): 1,
        ("costplan_notices", ("reclaim",)): 1,
        ("costplan_budget_left_usd", ("hour",)): -0.01,
        ("costplan_paused", ()): 1,
        ("costplan_load_age_seconds", ()): 4.5,
        ("costplan_moves_total", ("launch",)): 2,
        ("costplan_moves_total", ("drain",)): 1,
        ("costplan_drains_total", ("surplus",)): 1,
        ("costplan_verdicts_total", ("trim", "budget")): 1,
        ("costplan_launches_total", ("no capacity",)): 1,
        ("costplan_launches_total", ("done",)): 0,
        ("costplan_actions_total", ("launch", "no capacity")): 1,
        ("costplan_spent_usd_total", ("ready",)): 0.75,
        ("costplan_tick_seconds_count", ("plan",)): 1,
        ("costplan_last_tick_timestamp_seconds", ()): NOW.timestamp(),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_what_is_gone_counts_as_none_and_not_as_before() -> None:
    metrics = Metrics(no_load)
    full, empty = fleet_samples.state(), replace(fleet_samples.state(), nodes={})
    for state in (full, empty):
        status = status_of(state, None, lease=None, last=None, now=NOW)
        metrics.tick(status, kind="observe", seconds=0.01)
    found = figures(metrics.text().decode())
    assert found["costplan_nodes", ("spot", "ready")] == 0
    assert found["costplan_usd_per_hour", ("spot",)] == 0
    assert found["costplan_load_age_seconds", ()] == -1


def entry(usd: str) -> LedgerEntry:
    return LedgerEntry(
        node_id="n-2",
        key=SPOT,
        start=NOW,
        end=NOW.replace(minute=1),
        usd=Decimal(usd),
        usd_per_hour=Decimal("0.04"),
        kind="usage",
        use=Use.READY,
        busy_seconds=10.0,
        thread_seconds=120.0,
        rate_source="our list",
        workload="fraud-training",
    )


def test_a_port_in_use_is_a_clear_error() -> None:
    async def run(port: int) -> None:
        service = HttpService("127.0.0.1", port, health=lambda: WELL, metrics=Metrics(no_load))
        with pytest.raises(InputError, match=f"port {port} is in use; is another daemon running"):
            await service.start()
        await service.stop()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        asyncio.run(run(taken.getsockname()[1]))


def test_a_host_that_is_none_is_a_clear_error() -> None:
    async def run() -> None:
        service = HttpService("no such host", 0, health=lambda: WELL, metrics=Metrics(no_load))
        with pytest.raises(InputError, match="use 127"):
            await service.start()

    asyncio.run(run())


def test_it_stops_within_a_second_while_a_client_holds_a_connection() -> None:
    async def run() -> None:
        service = HttpService("127.0.0.1", 0, health=lambda: WELL, metrics=Metrics(no_load))
        await service.start()
        assert service.port is not None
        _, idle = await asyncio.open_connection("127.0.0.1", service.port)
        _, half = await asyncio.open_connection("127.0.0.1", service.port)
        half.write(b"GET /healthz HTTP/1.1\r\nHost:")
        await half.drain()
        begun = monotonic()
        await service.stop()
        assert monotonic() - begun < 1.0
        idle.close()
        half.close()
        again = HttpService(
            "127.0.0.1", service.port, health=lambda: WELL, metrics=Metrics(no_load)
        )
        await again.start()
        await again.stop()

    asyncio.run(run())


def test_signals_become_events_and_the_server_leaves_them_alone() -> None:
    async def run() -> None:
        stop, reload = asyncio.Event(), asyncio.Event()
        service = HttpService("127.0.0.1", 0, health=lambda: WELL, metrics=Metrics(no_load))
        with signals_as_events(stop, reload):
            await service.start()
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.wait_for(reload.wait(), 5)
            assert not stop.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(stop.wait(), 5)
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://127.0.0.1:{service.port}/healthz")
            assert answer.status_code == 200
            await service.stop()
        stop.clear()
        with signals_as_events(stop, reload):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.wait_for(stop.wait(), 5)

    hang_up = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        asyncio.run(run())
        assert {s: signal.getsignal(s) for s in before} == before
    finally:
        signal.signal(signal.SIGHUP, hang_up)
