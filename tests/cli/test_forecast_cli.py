"""`costplan forecast` around a store with nine days of demand, as a person types it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from costplan.cli import cluster_store
from costplan.cli.forecast_page import page_text
from costplan.cli.main import app
from costplan.planner.forecast.types import QUANTILES
from costplan.planner.foretell import Foreteller
from costplan.planner.tick import Readings, State
from tests.cli import forecast_samples
from tests.cli.forecast_samples import NOW, SETTINGS


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["forecast", *map(str, words)])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cluster_store, "utc_now", lambda: NOW)
    path = tmp_path / "fraud.db"
    forecast_samples.write_store(path, forecast_samples.parts())
    return path


def test_it_says_what_a_tick_of_that_moment_is_told(store: Path) -> None:
    document = json.loads(run("--store", store, "--format", "json").stdout)
    foreteller = Foreteller(forecast_samples.parts(), NOW)
    foreteller.learn(NOW)
    read = Readings(
        at=NOW, load=forecast_samples.load(), machines=(), notices=(), offers=(), quotes=()
    )
    outlook = foreteller.told(read, State(), SETTINGS, refresh=True).outlook
    assert outlook is not None
    assert document["quantiles"] == list(QUANTILES)
    for kind in document["kinds"]:
        told = outlook.workers[kind["kind"]]
        assert [step["workers"] for step in kind["steps"]] == [
            list(each) for each in zip(*told, strict=True)
        ]
    worker, gpu = document["kinds"]
    assert document["at"] == worker["steps"][0]["start"] == NOW.isoformat()
    assert worker["graph"] == {"workers": 24, "full_seconds": 0.0, "tail_seconds": 3600.0}
    assert set(worker["member_shares"]) == {"last value", "like moments", "ridge"}
    assert [job["start"] for job in gpu["calendar"]] == ["2026-03-11T02:00:00+00:00"]


def test_the_table_has_each_kind_and_why(store: Path) -> None:
    answer = run("--store", store)
    assert answer.exit_code == 0
    for said in ("worker: workers", "gpu: workers",
                 "24 workers ever fewer until 1h from now, in the median",
                 "nightly: 4 workers from Wed 02:00 UTC for 3h", "of the steps were not seen",
                 "no history: the graph and the calendar only"):  # fmt: skip
        assert said in " ".join(answer.stdout.split()), said
    assert "gpu" not in run("--store", store, "--kind", "worker").stdout
    assert run("--store", store, "--format", "md").stdout.count("| Tue 15:02–15:07 |") == 2


def test_the_page_is_one_file_with_a_chart_a_kind(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "forecast.html"
    assert run("--store", store, "--html", page).exit_code == 0
    text = page.read_text()
    assert text == page_text(forecast_samples.made())
    assert "<script" not in text
    assert not re.search(r"(src|href)=", text)

    found: list[tuple[str, str]] = []

    class Shapes(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in ("polygon", "polyline"):
                found.append((tag, dict(attrs)["points"] or ""))

    Shapes().feed(text)
    kinds = [tag for tag, _ in found]
    # Of the workers three bands, the past cut at the outage, and the median; of the GPUs no past.
    assert kinds == ["polygon"] * 3 + ["polyline"] * 3 + ["polygon"] * 3 + ["polyline"]
    for _, points in found:
        for pair in points.split():
            x, y = map(float, pair.split(","))
            assert 64 <= x <= 940
            assert 14 <= y <= 230
    # Before the nightly job is due the line lies at 0, and it rises at once.
    job = [tuple(map(float, pair.split(","))) for pair in found[-1][1].split()]
    assert {x for x, y in job if y > 200} & {x for x, y in job if y < 60}


def test_little_history_is_said(tmp_path: Path) -> None:
    path = tmp_path / "young.db"
    forecast_samples.write_store(path, forecast_samples.parts()[-13:])
    answer = run("--store", path, "--kind", "worker")
    assert answer.exit_code == 0
    said = " ".join(answer.stdout.split())
    assert "1.0 h of history: the spread is a guess of 50 %" in said


def test_a_cluster_of_the_past_has_its_history_only(store: Path) -> None:
    later = replace(SETTINGS, cluster="other")
    forecast_samples.write_store(store, forecast_samples.parts()[-20:], later)
    document = json.loads(run("--store", store, "--format", "json").stdout)
    assert document["cluster"] == "other"
    past = json.loads(run("--store", store, "--format", "json", "--cluster", "fraud").stdout)
    assert [kind["kind"] for kind in past["kinds"]] == ["worker"]
    assert past["kinds"][0]["graph"] is None
    assert past["at"] == "2026-03-10T15:05:00+00:00"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "gqu"), "--kind gqu: is no kind of worker of fraud; did you mean 'gpu'?"),
        (("--kind", "x"), "--kind x: is no kind of worker of fraud; there are worker, gpu"),
        (("--cluster", "x"), "is not in FRAUD; it has fraud"),
        (("--format", "xml"), "--format xml: is not known"),
        (("--html", "/none/x.html"), "--html /none/x.html: there is no folder /none"),
        (("--html", "/"), "--html /: is a folder; name a file in it"),
    ],
)
def test_bad_input_is_one_line(store: Path, words: tuple[str, ...], said: str) -> None:
    answer = run("--store", store, *words)
    assert answer.exit_code == 1, answer.output
    assert said.replace("FRAUD", str(store)) in answer.stderr
    assert "Traceback" not in answer.output


def test_where_there_is_nothing_it_says_what_to_do(tmp_path: Path) -> None:
    none = run("--store", tmp_path / "none.db")
    assert (none.exit_code, none.stdout) == (1, "")
    assert "there is no store; start one with `costplan run`" in none.stderr
    folder = run("--store", tmp_path)
    assert (folder.exit_code, folder.stdout) == (1, "")
    assert f"{tmp_path}: is a folder; name the store's file in it" in folder.stderr
    for name, is_ticked in (("new.db", False), ("ticked.db", True)):
        forecast_samples.write_store(tmp_path / name, (), is_ticked=is_ticked)
        empty = run("--store", tmp_path / name)
        assert empty.exit_code == 1
        assert "nothing of demand was recorded yet" in empty.stderr
