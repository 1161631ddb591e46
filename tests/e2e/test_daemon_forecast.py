"""A real daemon records what is asked for, foretells it, and its ticks replay with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distributed import Client

from tests.daemon_cluster import daemon_cluster
from tests.e2e.daemon_tasks import nap
from tests.e2e.driven import WORKER, config, last_tick, scenario, when


def test_a_run_fills_the_table_and_forecast_reads_it(tmp_path: Path) -> None:
    file = config({**WORKER, "maximum": 2})
    job = {"name": "soon", "kind": "worker", "workers": 2, "at": "00:00", "duration": "1d"}
    file["calendar"] = [job]
    files: dict[str, Any] = {"config": file, "scenario": scenario()}
    with daemon_cluster(tmp_path, **files) as cluster, Client(cluster.address) as client:
        tasks = client.map(nap, range(2), [4, 4])

        def foretold() -> dict[str, Any] | None:
            answer = cluster.command("forecast", "--format", "json")
            (kind,) = json.loads(answer.stdout)["kinds"] if answer.returncode == 0 else (None,)
            return kind if kind and kind["seen_seconds"] > 2 else None

        when(cluster, lambda: foretold() is not None, "some demand is in the store")
        client.gather(tasks)
        kind = foretold()
        assert kind is not None
        assert "of history: the spread is a guess of 50 %" in kind["notes"][0]
        assert {step["workers"][0] for step in kind["steps"]} == {2.0}  # the calendar's, at most 2
        when(cluster, lambda: last_tick(cluster).readings.outlook is not None, "a tick is told")
        page = tmp_path / "forecast.html"
        assert cluster.command("forecast", "--html", str(page)).returncode == 0
        assert "<polygon" in page.read_text()
        again = cluster.command("replay", last_tick(cluster).tick_id)
        assert again.returncode == 0, again.stdout
