"""The daemon delivers beside its ticks: what it missed, what failed, and what it was killed in."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from costplan.adapters.clock import utc_now
from costplan.adapters.store.outbox import Delivery, Outbox
from tests.cli.receivers import webhook
from tests.daemon_cluster import DaemonCluster, daemon_cluster, start_daemon
from tests.e2e.driven import (
    WORKER,
    config,
    lines,
    looks_again,
    scenario,
    when,
    when_empty,
    when_ready,
    write_config,
)

STOP_SECONDS = 20.0


def outbox(cluster: DaemonCluster) -> Outbox:
    return Outbox.open(cluster.folder / "costplan.db")


def found(cluster: DaemonCluster) -> dict[str, Delivery]:
    """Deliveries by channel."""
    with outbox(cluster) as box:
        return {each.channel: each for each in box.listed() if each.state != "covered"}


def failed(cluster: DaemonCluster) -> float:
    text = httpx.get(f"{cluster.health}/metrics", timeout=10).text
    (line,) = [line for line in text.splitlines() if line.startswith("costplan_deliveries_failed ")]
    return float(line.split()[1])


def kill(cluster: DaemonCluster) -> None:
    cluster.daemon.send_signal(signal.SIGKILL)
    cluster.daemon.wait(STOP_SECONDS)


def test_a_report_that_was_missed_and_an_alert_that_nobody_took_arrive_once(
    tmp_path: Path,
) -> None:
    now = utc_now()
    # It fires in the minute that is now, each day.
    schedule = {
        "cron": f"{now.minute} {now.hour} * * *", "month": "current", "formats": ["csv"],
        "to": "reports/{month}",
    }  # fmt: skip
    with webhook() as hook:
        hook.answers = [(503, {})]
        files: dict[str, Any] = {
            "config": config(
                {**WORKER, "minimum": 1, "maximum": 1},
                budget={"usd_per_month": 1000},
                reports={"schedule": [schedule]},
            ),
            "scenario": scenario(),
        }
        # Nearly nothing, as a quick computer has its machine for a second or two.
        alerts: dict[str, object] = {
            "webhook": hook.url, "budget_thresholds": [1e-9], "forecast": False,
            "anomalies": False,
        }  # fmt: skip
        with daemon_cluster(tmp_path / "c", **files) as cluster:
            when_ready(cluster, 1)
            assert cluster.command("down", "--yes").returncode == 0
            when_empty(cluster)  # so that the ledger has something
            kill(cluster)
            with outbox(cluster) as box:  # as if it had been away for a day
                box.add((), dict.fromkeys(box.marks(), now - timedelta(hours=23)), now)

            write_config(cluster, alerts=alerts)
            start_daemon(cluster)
            when(cluster, lambda: hook.refused >= 1, "the alert is tried")
            written = cluster.folder / f"reports/{now:%Y-%m}/tested-{now:%Y-%m}.csv"
            when(cluster, written.exists, "the report is there")
            when(cluster, lambda: failed(cluster) == 1, "it is counted as failed")
            assert found(cluster)["file"].state == "sent"
            assert cluster.status()["deliveries"]["problem"] == "the webhook answered 503"
            looks_again(cluster, 2)  # scaling goes on
            kill(cluster)

            hook.answers = [(200, {})]
            alert = found(cluster)["webhook"]
            assert cluster.command("deliveries", "retry", str(alert.delivery_id)).returncode == 0
            start_daemon(cluster)
            when(cluster, lambda: found(cluster)["webhook"].state == "sent", "it is sent")
            when(cluster, lambda: failed(cluster) == 0, "nothing is failed any more")
            seen = len(lines(cluster, "tick"))
            when(cluster, lambda: len(lines(cluster, "tick")) >= seen + 20, "and six seconds more")
            assert [key for key, _ in hook.taken] == [alert.key]
            assert len(found(cluster)) == 2
            assert "SECRET" not in cluster.log()
            assert "SECRET" not in cluster.command("status").stdout
            assert not lines(cluster, "deliveries failed")
