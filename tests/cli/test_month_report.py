"""`costplan report` of a month and `costplan budget status` around a store, as people type them."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest
import yaml
from typer.testing import CliRunner, Result

from costplan.adapters.store.store import Store
from costplan.cli import cluster_store, errors
from costplan.cli.main import app
from costplan.planner.finance.expected import expected_fleet
from costplan.planner.tick import Control, Readings
from tests import accounts
from tests.accounts import at
from tests.cli import report_samples, test_report_cli
from tests.finance import ledgers
from tests.finance.readers import Page, csv_rows, pair, shown
from tests.store.ticking import ran
from tests.unit.daemon_files import LEAST

DAY = timedelta(days=1)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster's folder: its file, and a store with the afternoon's ledger."""
    monkeypatch.chdir(tmp_path)
    clock(monkeypatch, report_samples.MADE_AT)
    books = report_samples.books()
    test_report_cli.write(tmp_path / "s.db", books.nodes, books.entries, books_read())
    write_config(tmp_path)
    return tmp_path


def books_read() -> Readings:
    return test_report_cli.report_readings()


def clock(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(cluster_store, "utc_now", lambda: now)


def write_config(folder: Path, **more: object) -> None:
    (folder / "costplan.yaml").write_text(yaml.safe_dump({**LEAST, "cluster": "fraud", **more}))


def ledger_usd() -> Decimal:
    return sum((entry.usd for entry in report_samples.books().entries), Decimal(0))


def test_the_month_so_far_is_what_the_ledger_has(folder: Path) -> None:
    table = run("report")
    assert table.exit_code == 0
    assert "fraud: ~$2.9034 in May 2026 so far" in table.stdout
    document = json.loads(run("report", "--format", "json").stdout)
    assert pair(document["control_totals"]) == (ledger_usd(), ledger_usd())
    stretch = json.loads(run("report", "--from", "2026-05-01", "--format", "json").stdout)
    assert Decimal(stretch["total"]["usd"]) == ledger_usd()
    page = Page(run("report", "--format", "html").stdout)
    assert shown(page.facts["amortised"]) == ledger_usd()
    rows, last = csv_rows(run("report", "--format", "csv", "--by", "market,day").stdout)
    assert pair(last) == (ledger_usd(), ledger_usd())
    assert {(row["market"], row["day"]) for row in rows} == {
        ("spot", "2026-05-04"), ("on_demand", "2026-05-04"),
    }  # fmt: skip


def test_every_line_comes_out_piece_by_piece(folder: Path) -> None:
    text = run("report", "--format", "csv", "--by", "line").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(Decimal(row["effective_usd"]) for row in rows) == ledger_usd()
    assert run("report", "--format", "csv", "--by", "line", "--out", "lines.csv").exit_code == 0
    assert (folder / "lines.csv").read_text() == text


def test_files_are_the_same_whenever_a_month_that_is_over_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    for days in (40, 400):
        clock(monkeypatch, report_samples.MADE_AT + timedelta(days=days))
        for form in ("html", "xlsx", "pdf", "json", "journal"):
            words = (
                "report",
                "--month",
                "2026-05",
                "--format",
                form,
                "--out",
                f"may-{days}.{form}",
            )
            done = run(*words)
            assert (done.exit_code, done.stdout) == (0, ""), done.output
        kept.append({p.suffix: p.read_bytes() for p in folder.glob(f"may-{days}.*")})
    assert kept[0] == kept[1]
    assert len(kept[0]) == 5
    book = openpyxl.load_workbook(folder / "may-40.xlsx", read_only=True)
    cells = {row[0]: row[1] for row in book["Summary"].iter_rows(values_only=True)}
    assert cells["amortised USD"] == pytest.approx(float(ledger_usd()))
    assert not [p for p in folder.iterdir() if p.suffix == ".part"]


def test_accounts_of_the_journal_come_from_the_file(folder: Path) -> None:
    bare = run("report", "--format", "journal")
    assert "4 entries have no account; set reports.gl_accounts" in bare.stderr
    rules = [{"account": "6900", "purpose": "idle"}, {"account": "6100"}]
    write_config(folder, reports={"gl_accounts": rules})
    ruled = run("report", "--format", "journal")
    rows, last = csv_rows(ruled.stdout)
    assert {row["gl_account"] for row in rows} == {"6900", "6100"}
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(last["amount"])
    assert "no account" not in ruled.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--month", "2026-13"), "--month 2026-13: is no month; write it like 2026-10"),
        (("--month", "26-10"), "--month 26-10: is no month"),
        (("--month", "2026-06"), "--month 2026-06: has not begun; this month is 2026-05"),
        (("--month", "2026-03"), "the ledger has no entries of 2026-03, so there is nothing"),
        (("--by", "teem"), "--by teem: teem is nothing to report by; did you mean 'team'?"),
        (("--by", "team,"), "nothing is nothing to report by; name some of workload, team"),
        (("--by", "team,team"), "names one twice"),
        (("--by", "tag:a'b"), "is nothing to report by"),
        (("--by", "tag:team"), "the tag team has a column of its own; write --by team"),
        (("--by", "line"), "--by line: is a CSV of every charge line; add --format csv"),
        (("--by", "team", "--format", "journal"), "--by: is fixed for a journal"),
        (("--format", "xls"), "use one of table, html, xlsx, csv, journal, json, md, pdf"),
        (("--format", "xlsx"), "is written to a file; name one: --out report.xlsx"),
        (("--view", "net"), "--view net: is not known; use one of amortised, cash"),
        (("--out", "no/where.html"), "there is no folder"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(folder: Path, words: tuple[str, ...], says: str) -> None:
    before = sorted(path.name for path in folder.iterdir() if not path.name.startswith("s.db"))
    result = run("report", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    after = sorted(path.name for path in folder.iterdir() if not path.name.startswith("s.db"))
    assert after == before


def test_budgets_say_where_they_stand(folder: Path) -> None:
    """$2.90 were spent until 18:00; nothing whole was seen, so nothing is foretold."""
    none = run("budget", "status")
    assert none.exit_code == 1
    assert "no limit is set; set budget.usd_per_month" in none.stderr
    write_config(folder, budget={"usd_per_month": 100, "usd_per_day": 2, "usd_per_hour": 5})
    table = run("budget", "status")
    assert table.exit_code == 0
    assert table.stdout.startswith("Over budget\n")
    assert "passed on 04 May" in table.stdout
    assert run("budget", "status", "--detailed-exitcode").exit_code == 3
    document = json.loads(run("budget", "status", "--format", "json").stdout)
    month, day = document["budgets"]
    assert Decimal(month["burnt_usd"]) >= ledger_usd()
    assert (month["is_passed"], month["forecast_usd"]) == (False, None)
    assert (day["is_passed"], day["passed_on"]) == (True, "2026-05-04")


def test_a_budget_that_will_be_passed_has_an_exit_code_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same afternoon on the 3rd, in which the ledger began, and on the 4th: $2.90 a day are
    expected, so that $20 are passed on the 9th."""
    books = report_samples.books()
    before = [
        replace(e, node_id=f"b-{e.node_id}", start=e.start - DAY, end=e.end - DAY)
        for e in books.entries
    ]
    path = folder / "two.db"
    test_report_cli.write(path, books.nodes, [*before, *books.entries], books_read())
    clock(monkeypatch, at(12 * 60))
    words = {"store": {"path": "two.db"}}
    write_config(folder, **words, budget={"usd_per_month": 20})
    done = run("budget", "status", "--detailed-exitcode")
    assert done.exit_code == 2
    assert "Will pass" in done.stdout
    assert "will be passed on 09 May" in " ".join(done.stdout.split())
    write_config(folder, **words, budget={"usd_per_month": 2000})
    kept = run("budget", "status", "--detailed-exitcode")
    assert (kept.exit_code, kept.stdout.splitlines()[0]) == (0, "Within budget")


def test_plans_are_kept_when_they_change_and_priced_as_they_were(tmp_path: Path) -> None:
    """What a plan says the fleet costs afterwards is what is held against the month."""
    _, driver, record = ran(tmp_path / "sim.db", 90.0)
    planned = [tick for tick in driver.history if tick.plan is not None]
    record.close()
    first, last = (tick.state.at for tick in (planned[0], planned[-1]))
    assert first is not None
    assert last is not None
    end = last + timedelta(hours=1)
    with Store.open(tmp_path / "sim.db", read_only=True, clock=lambda: last) as store:
        stretches, half = store.plans(first, end), store.plans(last, end)
    assert 3 < len(stretches) <= len(planned)
    assert all(a.start < b.start for a, b in pairwise(stretches))
    assert all(a.fleet != b.fleet for a, b in pairwise(stretches))
    assert half == stretches[-1:]
    by_plan = {stretch.plan_id: stretch for stretch in stretches}
    compared = 0
    for tick in planned:
        assert tick.plan is not None
        stretch = by_plan.get(tick.plan.plan_id)
        if stretch is None or any(node.drain for node in tick.state.nodes.values()):
            continue
        compared += 1
        rate = sum((each.nodes * each.usd_per_hour for each in stretch.fleet), Decimal(0))
        assert rate == tick.plan.usd_per_hour_after
    assert compared > 3


def test_nothing_is_expected_once_the_fleet_must_go(tmp_path: Path) -> None:
    _, driver, record = ran(tmp_path / "sim.db", 240.0)
    state = driver.history[-1].state
    record.close()
    settings = driver.settings
    assert expected_fleet(state, (), settings) != ()
    down = replace(state, control=replace(state.control or Control(), down=True))
    assert expected_fleet(down, (), settings) == ()


def test_an_error_ends_the_report_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise errors.Ended("the disk is full", 1)

    (folder / "old.xlsx").write_bytes(b"before")
    monkeypatch.setattr("costplan.adapters.finance.workbook._lines", breaks)
    done = run("report", "--format", "xlsx", "--out", "old.xlsx")
    assert done.exit_code == 1
    assert (folder / "old.xlsx").read_bytes() == b"before"
    assert not list(folder.glob(".old*"))


@pytest.mark.parametrize("version", ["1.2", "1.4"])
def test_a_month_as_focus_files_that_our_own_checks_pass(folder: Path, version: str) -> None:
    result = run("report", "--month", "2026-05", "--format", f"focus-{version}", "--out", "may.csv")
    assert result.exit_code == 0, result.output
    assert run("focus", "check", "may.csv").exit_code == 0
    billed = sum((Decimal(row["BilledCost"]) for row in csv_of("may.csv")), Decimal(0))
    assert billed == ledger_usd()


def csv_of(name: str) -> list[dict[str, str]]:
    with Path(name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_focus_files_are_of_every_charge_and_go_to_files(folder: Path) -> None:
    assert (
        "leave it out"
        in run(
            "report", "--month", "2026-05", "--by", "team", "--format", "focus-1.2", "--out", "x"
        ).output
    )
    assert (
        "is written to files" in run("report", "--month", "2026-05", "--format", "focus-1.2").output
    )


def table_of() -> str:
    return run("report", "--config", "costplan.yaml").output


def test_what_the_configuration_holds_pays_for_machines_of_the_ledger(folder: Path) -> None:
    held = {"id": "ri-1", "kind": "regional_ri", "region": accounts.KEY.region, "count": 1,
            "instance_type": "m5.xlarge", "usd_per_hour": 0.12}  # fmt: skip
    plain = json.loads(run("report", "--format", "json").output)
    write_config(folder, commitments=[held])
    result = run("report", "--config", "costplan.yaml", "--format", "json")
    assert result.exit_code == 0, result.output
    made = json.loads(result.output)
    assert not plain["commitments"]["held"]
    [use] = made["commitments"]["held"]
    assert use["commitment_id"] == "ri-1"
    assert Decimal(use["used_usd"]) + Decimal(use["unused_usd"]) == Decimal(use["billed_usd"])
    assert Decimal(use["billed_usd"]) == 90 * Decimal("0.12")
    assert Decimal(use["used_usd"]) > 0
    assert "ri-1" in table_of()
    issued = run("ledger", "issue", "2026-05", "--config", "costplan.yaml").output
    amounts = [Decimal(usd) for usd in re.findall(r"\$([0-9.]+) (?:billed|amortised)", issued)]
    amortised, cash = pair(made["control_totals"])
    assert amounts == [cash, amortised]


def test_what_is_held_is_paid_for_when_nothing_runs_any_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last machine ends on the fourth of May; a reservation by the hour goes on."""
    held = {"id": "ri-1", "kind": "regional_ri", "region": accounts.KEY.region, "count": 1,
            "instance_type": "m5.xlarge", "usd_per_hour": 0.12}  # fmt: skip
    write_config(folder, commitments=[held])
    clock(monkeypatch, datetime(2026, 6, 3, 5, 59, tzinfo=UTC))
    for month, hours in (("2026-05", 31 * 24), ("2026-06", 2 * 24 + 5)):
        asked = ("report", "--month", month, "--config", "costplan.yaml")
        [use] = json.loads(run(*asked, "--format", "json").output)["commitments"]["held"]
        assert Decimal(use["billed_usd"]) == hours * Decimal("0.12")
        assert Decimal(use["used_usd"]) + Decimal(use["unused_usd"]) == hours * Decimal("0.12")
        assert run(*asked, "--format", "focus-1.4", "--out", month).exit_code == 0
        file = f"{month}/cost-and-usage.parquet"
        assert run("focus", "check", file).exit_code == 0, run("focus", "check", file).output
        for output in ("table", "html", "md", "csv", "journal"):
            assert run(*asked, "--format", output).exit_code == 0


def test_what_ran_while_nobody_looked_is_told_with_the_month_that_it_ran_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """m5.xlarge at $0.0712 an hour, whose entries end at 12:30 on the fourth of May: 659.5 hours of
    May and 54 of June are in no entry."""
    (seen,) = [story.seen(30) for story in report_samples.STORIES if story.name == "f-1"]
    books = accounts.Books()
    read = replace(books_read(), quotes=tuple(report_samples.quotes(30)), at=at(30))
    books.tick([seen], read)
    path = folder / "left.db"
    test_report_cli.write(path, [seen], books.entries, read, books.meters)
    june = [replace(e, node_id="j", start=e.start + 29 * DAY, end=e.end + 29 * DAY)
            for e in books.entries]  # fmt: skip
    ledgers.write(path, june, at(30) + 29 * DAY)
    clock(monkeypatch, datetime(2026, 6, 3, 6, tzinfo=UTC))
    for month, hours in (("2026-05", "659.5"), ("2026-06", "54")):
        asked = ("report", "--store", path, "--month", month)
        document = json.loads(run(*asked, "--format", "json").stdout)
        assert Decimal(document["running_usd"]) == Decimal(hours) * Decimal("0.0712")
        assert "have run up since the last entries" in run(*asked).stdout
    write_config(folder, store={"path": "left.db"}, budget={"usd_per_month": 9, "usd_per_day": 2})
    month, day = json.loads(run("budget", "status", "--format", "json").stdout)["budgets"]
    spent = sum((entry.usd for entry in june), Decimal(0))
    assert Decimal(month["burnt_usd"]) == spent + 54 * Decimal("0.0712")
    assert Decimal(day["burnt_usd"]) == 6 * Decimal("0.0712")
