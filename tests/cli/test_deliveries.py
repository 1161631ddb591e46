"""Reports by the clock and alerts, through `costplan deliveries`: real sockets, files and kills."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from costplan.cli import cluster_store
from costplan.cli.main import app
from tests.accounts import at
from tests.cli import report_samples, test_report_cli
from tests.cli.receivers import SECRET_PATH, Webhook, webhook
from tests.crash_points import OF_DELIVERIES
from tests.finance import ledgers
from tests.finance.ledgers import OCTOBER
from tests.unit.daemon_files import LEAST

NOW = report_samples.MADE_AT
DAILY = {"cron": "0 20 * * *", "month": "current", "formats": ["html", "csv"], "to": "out/{month}"}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def on(self, **spans: float) -> None:
        self.now += timedelta(**spans)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(cluster_store, "utc_now", lambda: found.now)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Path:
    """A cluster's folder with a store of $2.90 in May 2026."""
    monkeypatch.chdir(tmp_path)
    books = report_samples.books()
    test_report_cli.write(
        tmp_path / "s.db", books.nodes, books.entries, test_report_cli.report_readings()
    )
    return tmp_path


def configure(folder: Path, *schedules: dict[str, Any], **more: Any) -> None:
    file = {**LEAST, "cluster": "fraud", "reports": {"schedule": list(schedules)}, **more}
    (folder / "costplan.yaml").write_text(yaml.safe_dump(file))


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def deliver() -> Result:
    done = run("deliveries", "run")
    assert SECRET_PATH not in done.output
    assert "Traceback" not in done.output
    return done


def listed() -> list[dict[str, Any]]:
    found = run("deliveries", "list", "--format", "json")
    assert found.exit_code == 0, found.output
    return list(json.loads(found.stdout)["deliveries"])


def test_a_report_is_written_when_it_is_due_and_once(folder: Path, clock: Clock) -> None:
    configure(folder, {**DAILY, "by": ["market"], "formats": ["html", "csv", "focus-1.2"]})
    assert deliver().stdout == "0 sent, 0 failed\n"
    clock.now = at(8 * 60)
    before = datetime.fromisoformat("2026-05-04T20:00:00+00:00")
    assert clock.now <= before, "the test is wrong: it starts after the line has fired"
    clock.now = before - timedelta(seconds=1)
    assert deliver().stdout == "0 sent, 0 failed\n"
    clock.on(seconds=1)
    assert deliver().stdout == "3 sent, 0 failed\n"
    out = folder / "out" / "2026-05"
    names = {path.name for path in out.iterdir()}
    assert names >= {f"fraud-2026-05.{end}" for end in ("csv", "html", "focus-1.2.parquet")}
    assert len(names) > 3  # what belongs to FOCUS files is beside them
    assert run("focus", "check", out / "fraud-2026-05.focus-1.2.parquet").exit_code == 0
    typed = run("report", "--month", "2026-05", "--by", "market", "--format", "csv").stdout
    assert (out / "fraud-2026-05.csv").read_text() == typed
    clock.on(hours=1)
    assert deliver().stdout == "0 sent, 0 failed\n"
    assert [path.name for path in (folder / "s.db.outbox").iterdir()] == ["lock"]
    assert {row["state"] for row in listed()} == {"sent"}


def test_what_was_missed_is_made_up_for_once_a_month(folder: Path, clock: Clock) -> None:
    configure(folder, {**DAILY, "formats": ["csv"]})
    deliver()
    clock.on(days=40)  # to the middle of June, of which the ledger has nothing
    assert deliver().exit_code == 0
    june, may = listed()
    assert (may["title"], may["state"]) == ("report of 2026-05 as csv", "sent")
    assert (june["title"], june["state"]) == ("report of 2026-06 as csv", "empty")
    assert "the ledger has no entries of 2026-06" in june["receipt"]
    assert [p.name for p in (folder / "out").iterdir()] == ["2026-05"]
    refused = run("deliveries", "retry", june["id"])
    assert refused.exit_code == 1
    assert "is empty already" in refused.output


def test_a_folder_that_cannot_be_written_is_tried_again_with_longer_waits(
    folder: Path, clock: Clock
) -> None:
    configure(folder, {**DAILY, "formats": ["csv"]})
    deliver()
    (folder / "out").write_text("in the way")
    clock.on(hours=12)
    for attempts, wait in ((1, 10), (2, 30), (3, 90)):
        assert deliver().stdout == "0 sent, 1 failed\n"
        (row,) = listed()
        due = datetime.fromisoformat(row["due_at"])
        assert (row["attempts"], due - clock.now) == (attempts, timedelta(seconds=wait))
        assert "out/2026-05 cannot be written" in row["problem"]
        clock.on(seconds=wait - 1)
        assert deliver().stdout == "0 sent, 0 failed\n"
        clock.on(seconds=1)
    status = run("status")
    assert "1 delivery to be sent" in status.stdout
    assert run("deliveries", "list", "--waiting").stdout.count("cannot be written") == 1
    assert "1 failed: report of 2026-05 as csv: " in " ".join(status.stdout.split())
    assert json.loads(run("status", "--format", "json").stdout)["deliveries"]["failing"] == 1
    assert deliver().stdout == "0 sent, 1 failed\n"
    (folder / "out").unlink()
    assert run("deliveries", "retry", row["id"]).exit_code == 0
    assert deliver().stdout == "1 sent, 0 failed\n"
    assert (folder / "out/2026-05/fraud-2026-05.csv").is_file()
    assert "deliver" not in run("status").stdout


def alerting(folder: Path, hook: Webhook, budget: float, **more: object) -> None:
    configure(
        folder,
        budget={"usd_per_month": budget},
        alerts={"webhook": hook.url, "forecast": False, "anomalies": False, **more},
    )


def test_a_budget_is_told_of_once_for_each_threshold(folder: Path, clock: Clock) -> None:
    with webhook() as hook:
        alerting(folder, hook, 3.5)  # 83 %: half of it has been passed too, and says less
        assert deliver().stdout == "1 sent, 0 failed\n"
        clock.on(hours=1)
        assert deliver().stdout == "0 sent, 0 failed\n"
        alerting(folder, hook, 2.5)  # another limit
        clock.on(hours=1)
        assert deliver().stdout == "1 sent, 0 failed\n"
        alerting(folder, hook, 1000)
        clock.on(hours=1)
        assert deliver().stdout == "0 sent, 0 failed\n"
    (first, text), (second, _) = hook.taken
    assert text.startswith("*fraud: 80% of the month's budget is spent*\n$2.90 of $3.50 (83%)")
    assert first == "budget/month/2026-05-01/3.5/0.8/webhook"
    assert second == "budget/month/2026-05-01/2.5/1/webhook"
    assert [row["state"] for row in listed()].count("covered") == 3


def test_a_webhook_that_is_down_gets_its_alert_later_and_its_address_is_nowhere(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as hook:
        monkeypatch.setenv("HOOK", hook.url)
        hook.answers = [(503, {}), (429, {"Retry-After": "120"}), (302, {"Location": hook.url}),
                        (204, {})]  # fmt: skip
        alerting(folder, hook, 2.5, webhook=None, webhook_env="HOOK")
        file = (folder / "costplan.yaml").read_text().replace("  webhook: null\n", "")
        (folder / "costplan.yaml").write_text(file)
        for problem, wait in (("503", 10), ("429", 120), ("302", 90)):
            done = deliver()
            assert f"the webhook answered {problem}" in done.output
            (row,) = [row for row in listed() if row["state"] == "waiting"]
            assert datetime.fromisoformat(row["due_at"]) - clock.now == timedelta(seconds=wait)
            clock.on(seconds=wait)
        monkeypatch.delenv("HOOK")
        assert "is empty: the environment variable HOOK" in deliver().output
        clock.on(hours=1)
        monkeypatch.setenv("HOOK", hook.url)
        assert deliver().stdout == "1 sent, 0 failed\n"
        assert len(hook.taken) == 1
        assert hook.refused == 3
    shown = run("deliveries", "list").stdout + run("status").stdout
    kept = b"".join(path.read_bytes() for path in folder.glob("s.db*") if path.is_file())
    assert "SECRET" not in shown
    assert b"SECRET" not in kept


def test_nobody_listens(folder: Path) -> None:
    # A port that is taken, so that nobody else comes to listen on it meanwhile.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        alerting(folder, Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/"), 2.5)
        done = deliver()
    assert done.exit_code == 3
    assert "the webhook cannot be reached (ConnectError)" in done.output


def test_a_process_that_is_killed_anywhere_loses_nothing_and_sends_once(
    folder: Path, clock: Clock
) -> None:
    configure(folder, {**DAILY, "formats": ["csv"]})
    deliver()
    clock.on(hours=12)
    spool, out = folder / "s.db.outbox", folder / "out/2026-05/fraud-2026-05.csv"
    (spool / "1.part").write_text("no folder")
    assert "the files cannot be written beside the store" in deliver().output
    (spool / "1.part").unlink()
    configure(folder)  # what waits goes out, and nothing new comes in
    for place in OF_DELIVERIES:
        killed = subprocess.run(
            [sys.executable, "-m", "costplan.cli", "deliveries", "run"],
            env={**os.environ, "COSTPLAN_FAULTS": f"{place}:1"},
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert out.exists() is (place == "deliver.sent")
        (row,) = listed()
        assert (row["state"], row["problem"]) == ("waiting", "it was interrupted")
    before = out.read_bytes()
    assert deliver().stdout == "1 sent, 0 failed\n"
    assert out.read_bytes() == before
    assert before.decode() == run("report", "--month", "2026-05", "--format", "csv").stdout
    assert deliver().stdout == "0 sent, 0 failed\n"
    assert [path.name for path in spool.iterdir()] == ["lock"]


def test_an_unusual_day_and_a_budget_that_will_be_passed_are_told_of(
    folder: Path, clock: Clock
) -> None:
    """$24 each day from the 22nd of October on, and $264 on the last."""
    (folder / "s.db").unlink()
    first = OCTOBER + timedelta(days=21)
    spent = [
        ledgers.entry("n-1", first + timedelta(days=day), lasts=timedelta(days=1), usd_per_hour="1")
        for day in range(10)
    ]
    spike = ledgers.entry(
        "n-2", first + timedelta(days=9), lasts=timedelta(days=1), usd_per_hour="10",
        workload="sweep",
    )  # fmt: skip
    ledgers.write(folder / "s.db", spent[:5], first + timedelta(days=5))
    with webhook() as hook:
        alerting(folder, hook, 200, forecast=True, anomalies=True)
        clock.now = first + timedelta(days=5, hours=6)
        assert deliver().stdout == "2 sent, 0 failed\n"
        ledgers.write(folder / "s.db", [*spent[5:], spike], first + timedelta(days=10))
        clock.now = first + timedelta(days=10, minutes=59)  # November, and the day may not be whole
        assert deliver().stdout == "2 sent, 0 failed\n"
        clock.on(minutes=2)
        assert deliver().stdout == "1 sent, 0 failed\n"
        clock.on(hours=5)
        assert deliver().stdout == "0 sent, 0 failed\n"
    assert [key for key, _ in hook.taken] == [
        "budget/month/2026-10-01/200/0.5/webhook",
        "budget/month/2026-10-01/200/forecast/webhook",
        "budget/month/2026-10-01/200/1/webhook",
        "budget/month/2026-11-01/200/forecast/webhook",
        "anomaly/2026-10-31/webhook",
    ]
    assert "\n$480.00 of $200.00 (240%)" in hook.taken[2][1]
    assert hook.taken[4][1].splitlines() == [
        "*fraud: 2026-10-31 cost $240.00 more than usual*",
        "$264.00, where 9 other days have $24.00 ($21.60 to $26.40). 100% of it is workload "
        "sweep: $240.00 instead of $0.00.",
    ]


def test_an_unusual_day_before_a_month_began_is_told_of_when_the_daemon_is_back(
    folder: Path, clock: Clock
) -> None:
    """$24 each day, and $264 on the 31st of October; nobody looks until the second of November."""
    (folder / "s.db").unlink()
    first = OCTOBER + timedelta(days=21)
    rates = [*["1"] * 9, "11", "1"]
    spent = [
        ledgers.entry("n-1", first + timedelta(days=n), lasts=timedelta(days=1), usd_per_hour=rate)
        for n, rate in enumerate(rates)
    ]
    ledgers.write(folder / "s.db", spent, first + timedelta(days=11))
    with webhook() as hook:
        alerting(folder, hook, 20000, anomalies=True)
        clock.now = first + timedelta(days=11, hours=6)
        assert deliver().stdout == "1 sent, 0 failed\n"
    assert [key for key, _ in hook.taken] == ["anomaly/2026-10-31/webhook"]


def test_a_budget_that_is_passed_just_before_midnight_is_told_of_after_it(
    folder: Path, clock: Clock
) -> None:
    """$24 on the 30th and the 31st of October, the last $7 of each in its last minutes, when
    budgets had been looked at; and nobody looks from the 31st to the fourth of November."""
    (folder / "s.db").unlink()
    first = OCTOBER + timedelta(days=29)
    spent = []
    for day in range(2):
        at = first + timedelta(days=day)
        spent += [
            ledgers.entry("n-1", at, lasts=timedelta(hours=17), usd_per_hour="1"),
            ledgers.entry(
                "n-1", at + timedelta(hours=23, minutes=53), lasts=timedelta(minutes=7),
                usd_per_hour="60",
            ),
        ]  # fmt: skip
    ledgers.write(folder / "s.db", spent[:1], first + timedelta(hours=17))
    with webhook() as hook:
        configure(
            folder,
            budget={"usd_per_month": 45, "usd_per_day": 20},
            alerts={"webhook": hook.url, "forecast": False, "anomalies": False,
                    "budget_thresholds": [1]},
        )  # fmt: skip
        clock.now = first + timedelta(hours=23, minutes=50)
        assert deliver().stdout == "0 sent, 0 failed\n"
        ledgers.write(folder / "s.db", spent[1:2], first + timedelta(days=1))
        clock.now = first + timedelta(days=1, minutes=5)
        assert deliver().stdout == "1 sent, 0 failed\n"
        ledgers.write(folder / "s.db", spent[2:3], first + timedelta(days=1, hours=17))
        clock.now = first + timedelta(days=1, hours=23, minutes=50)
        assert deliver().stdout == "0 sent, 0 failed\n"
        ledgers.write(folder / "s.db", spent[3:], first + timedelta(days=2))
        clock.now = first + timedelta(days=4, hours=22)
        assert deliver().stdout == "2 sent, 0 failed\n"
        clock.on(hours=1)
        assert deliver().stdout == "0 sent, 0 failed\n"
    assert {key for key, _ in hook.taken} == {
        "budget/day/2026-10-30/20/1/webhook",
        "budget/day/2026-10-31/20/1/webhook",
        "budget/month/2026-10-01/45/1/webhook",
    }
    assert "$24.00 of $20.00 (120%) since 2026-10-30." in hook.taken[0][1]
