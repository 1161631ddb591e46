"""`costplan report --from` around a store with a real ledger in it, as a person types it."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.store.store import Store, TickCommit
from costplan.cli import cluster_store
from costplan.cli.main import app
from costplan.cli.render import plain_text
from costplan.cli.report_page import page_text
from costplan.cli.report_view import report_view
from costplan.planner.amounts import digits_for, dollars, rounded_parts
from costplan.planner.report import summarise
from costplan.planner.tick import Readings, State
from costplan.planner.types import Mode
from tests.accounts import NOON, Books, at, readings
from tests.cli import report_samples, store_samples


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, words)])


DAY = ("--from", "2026-05-04")
"""All of the ledger: what comes before any time is in a stretch of it, too."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    monkeypatch.setattr(cluster_store, "utc_now", lambda: report_samples.MADE_AT)
    return report_samples.MADE_AT


@pytest.fixture
def store(tmp_path: Path, now: datetime) -> Path:
    """A store with the afternoon's ledger."""
    path = tmp_path / "fraud.db"
    books = report_samples.books()
    write(path, books.nodes, books.entries, report_readings())
    return path


def report_readings() -> Readings:
    found = readings(at(300), *report_samples.quotes(300))
    return replace(found, offers=tuple(report_samples.offers()))


def write(
    path: Path, nodes: object, entries: object, read: Readings, meters: object = None
) -> None:
    """A store whose only tick left all of this."""
    state = State(
        nodes={node.node_id: node for node in nodes},  # type: ignore[attr-defined]
        meters=meters or {},  # type: ignore[arg-type]
    )
    with Store.open(path, clock=lambda: NOON) as kept:
        kept.acquire_lease("costplan", NOON, 20)
        kept.commit(
            TickCommit(
                tick_id="20260504T170000-1",
                at=read.at,
                replan=False,
                mode=Mode.FULL,
                gaps=(),
                readings=read,
                state_before=State(),
                state_after=state,
                settings=report_samples.SETTINGS,
                snapshot_digest="1",
                plan=None,
                actions=(),
                entries=tuple(entries),  # type: ignore[arg-type]
                version="test",
                summary={},
            )
        )


def test_all_formats_have_the_same_total(store: Path) -> None:
    table = run("--store", store, *DAY)
    document = json.loads(run("--store", store, *DAY, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(run("--store", store, *DAY, "--format", "csv").stdout)))
    page = run("--store", store, *DAY, "--format", "html").stdout
    markdown = run("--store", store, *DAY, "--format", "md").stdout
    assert table.exit_code == 0
    total = Decimal(document["total"]["usd"])
    assert sum(Decimal(row["usd"]) for row in rows) == total
    assert len(rows) == document["entries"]
    shown = dollars(total, digits_for(total))
    assert f"~{shown} spent" in table.stdout
    assert f"~{shown} spent" in markdown
    assert f">~{shown}<" in page
    assert f"exact total is ${document['total']['usd']}" in page


def test_parts_of_the_document_add_up(store: Path) -> None:
    document = json.loads(run("--store", store, *DAY, "--format", "json").stdout)
    total = Decimal(document["total"]["usd"])
    for part in ("by_market", "by_type", "by_workload", "by_day", "by_rate_source"):
        assert sum(Decimal(row["usd"]) for row in document[part]) == total
    split = {name: Decimal(usd or 0) for name, usd in document["dollars_for"].items()}
    assert split["work_usd"] + split["waste_usd"] == total


def test_each_table_shows_rows_that_add_up(store: Path) -> None:
    """A reader with a pencil finds no cent amiss."""
    text = plain_text(report_view(report_samples.report()), 120)
    tables = [block for block in text.split("\n\n") if re.search(r"^total ", block, re.MULTILINE)]
    assert len(tables) == 3
    for table in tables:
        cells = [Decimal(line.split()[-1].lstrip("~")) for line in table.splitlines()[1:]]
        assert sum(cells[:-1]) == cells[-1]


def test_a_file_is_written_whole(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = run("--store", store, "--format", "html", "--out", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"written to {out}" in result.stderr
    assert out.read_text().rstrip().endswith("</html>")
    missing = run("--store", store, "--out", tmp_path / "no" / "report.html")
    assert missing.exit_code == 1
    assert "there is no folder" in missing.stderr


def test_a_period_and_its_rest_are_the_whole(store: Path) -> None:
    def usd(*words: str) -> Decimal:
        text = run("--store", store, "--format", "json", *words).stdout
        return Decimal(json.loads(text)["total"]["usd"])

    assert usd("--to", "2026-05-04T14:07Z") + usd("--from", "2026-05-04T14:07Z") == usd(*DAY)
    assert usd("--from", "4h") == usd("--from", "2026-05-04T14:00Z")
    assert usd("--from", "2026-05-04", "--to", "2026-05-05") == usd(*DAY)
    assert usd("--to", "2026-05-04T16:07+02:00") == usd("--to", "2026-05-04T14:07Z")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--from", "2026-05-06"), "--from 2026-05-06: is not before the end"),
        (("--from", "2026-05-04", "--to", "2026-05-04"), "is not before the end"),
        (("--to", "2026-05-03"), "the ledger has no entries in this time"),
        (("--from", "yesterday"), "--from yesterday: is no day and no time"),
        (("--to", "2026-05-04T12:00"), "says no time zone"),
        (("--to", "0001-01-01T00:00+14:00"), "is out of range"),
        (("--to", "2026-02-30"), "is no day and no time"),
        ((*DAY, "--format", "xlsx"), "use one of table, json, csv, html, md"),
        ((*DAY, "--month", "2026-05"), "--month 2026-05: does not go with --from and --to"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(store: Path, words: tuple[str, ...], says: str) -> None:
    result = run("--store", store, *words)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_store_and_an_empty_one_say_what_to_do(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "none.db"
    missing = run("--store", path)
    assert missing.exit_code == 1
    assert "there is no store; start one with `costplan run`" in missing.stderr
    assert not path.exists()
    Store.open(path, clock=lambda: NOON).close()
    empty = run("--store", path, *DAY)
    assert empty.exit_code == 1
    assert "the ledger has no entries in this time, so there is nothing to report" in empty.stderr


def test_what_still_runs_is_said_and_not_summed(tmp_path: Path, now: datetime) -> None:
    """m5.xlarge runs from 12:02 on. At 18:00 its entries end at 12:30, five and a half hours
    before, at $0.0712 an hour; half an hour of it was before 13:00."""
    (seen,) = [story.seen(30) for story in report_samples.STORIES if story.name == "f-1"]
    books = Books()
    read = replace(report_readings(), quotes=tuple(report_samples.quotes(30)), at=at(30))
    books.tick([seen], read)
    waits = replace(seen, node_id="f-99")
    path = tmp_path / "fraud.db"
    write(path, [seen, waits], books.entries, read, books.meters)
    document = json.loads(run("--store", path, "--format", "json").stdout)
    assert document["running_usd"] == "0.3916"
    assert len(document["gaps"]) == 1
    table = run("--store", path).stdout
    assert "have run up since the last entries, and are in no figure here" in table
    assert "1 running node without a known price" in table
    until = run("--store", path, "--format", "json", "--to", "2026-05-04T13:00Z").stdout
    assert json.loads(until)["running_usd"] == "0.0356"
    since = run("--store", path, "--format", "json", "--from", "2026-05-04T12:15Z", "--to",
                "2026-05-04T12:30Z").stdout  # fmt: skip
    assert json.loads(since)["running_usd"] == "0.00"


def test_the_ledger_of_the_real_loop_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_store, "utc_now", lambda: store_samples.NOW)
    path = tmp_path / "real.db"
    ticks = store_samples.write_store(path)
    usd = sum((entry.usd for each in ticks for entry in each.entries), Decimal(0))
    words = ("--store", path, "--from", "365d", "--format", "json")
    document = json.loads(run(*words).stdout)
    assert Decimal(document["total"]["usd"]) == usd > 0


class Page(HTMLParser):
    """What a page fetches, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [str(v) for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    page = Page()
    text = page_text(report_samples.report())
    page.feed(text)
    assert page.open == []
    assert page.fetched == []
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "NaN" not in text


def test_names_from_outside_stay_text() -> None:
    """A workload's name is anybody's; it must not become a tag, a formula or a bell."""
    hostile = "<script>alert(1)</script>\x07"
    books = report_samples.books()
    entries = [replace(e, workload=hostile, rate_source="=1+1") for e in books.entries]
    settings = replace(report_samples.SETTINGS, cluster=hostile)
    report = summarise(replace(books, entries=[*entries, *books.entries], settings=settings), NOON)
    assert report is not None
    page = page_text(report)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\x07" not in page + plain_text(report_view(report))
    from costplan.cli.report_document import entries_csv

    assert "'=1+1" in entries_csv(report)
    assert ",=1+1" not in entries_csv(report)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("1234.5", "$1,234.50"), ("12.345", "$12.34"), ("1.5", "$1.5000"), ("0.05", "$0.05000"),
        ("0.0001234", "$0.0001234"), ("0", "$0.00"), ("-0.5", "-$0.5000"),
        ("1e-12", "$0.000000000001"),
    ],
)  # fmt: skip
def test_amounts_have_as_many_digits_as_it_takes(usd: str, text: str) -> None:
    assert dollars(Decimal(usd), digits_for(Decimal(usd))) == text


def test_rounding_gives_what_is_missing_to_the_largest_remainder() -> None:
    """Three thirds of a dollar are 0.34, 0.33 and 0.33, and not 99 cents."""
    third = Decimal(1) / 3
    assert rounded_parts([third, third, 1 - 2 * third], 2) == [
        Decimal("0.33"),
        Decimal("0.33"),
        Decimal("0.34"),
    ]
