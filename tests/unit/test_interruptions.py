"""Whom an interruption takes: dealt once, to the machine that the scenario means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from costplan.adapters.local.events import Dealer
from costplan.adapters.local.folders import LOCK, REQUEST, machines_folder, take_lock, write_json

START = datetime(2026, 11, 1, tzinfo=UTC)
EVENT = {
    "id": "e",
    "at": 10.0,
    "offers": ["spot", "other-spot"],
    "which": "oldest",
    "notice": 30.0,
    "kind": "reclaim",
    "min_age": 0.0,
    "wait": False,
    "keep": None,
}


class Yard:
    """A state folder whose machines are held by the test instead of supervisors."""

    def __init__(self, folder: Path, holding: ExitStack) -> None:
        self.folder, self._holding, self.now = folder, holding, START

    def play(self, **event: Any) -> None:
        scenario = {"started_at": START.isoformat(), "interruptions": [{**EVENT, **event}]}
        write_json(self.folder / "scenario.json", scenario)

    def machine(self, name: str, offer: str = "spot", launched: float = 0.0) -> int:
        folder = machines_folder(self.folder) / name
        folder.mkdir(parents=True)
        at = START + timedelta(seconds=launched)
        write_json(folder / REQUEST, {"offer": offer, "launched_at": at.isoformat()})
        lock = take_lock(folder / LOCK)
        assert lock is not None
        self._holding.callback(os.close, lock)
        return lock

    def dealer(self) -> Dealer:
        return Dealer(self.folder, lambda: self.now)

    def taken(self) -> list[str]:
        """Names of the machines that have a notice."""
        return sorted(p.parent.name for p in machines_folder(self.folder).glob("*/notice-*.json"))

    def after(self, seconds: float) -> list[str]:
        """Who is taken once a new machine's supervisor has dealt at this second."""
        self.now = START + timedelta(seconds=seconds)
        self.dealer().deal()
        return self.taken()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ExitStack() as holding:
        yield Yard(tmp_path, holding)


def four(yard: Yard) -> None:
    """An on-demand machine, and three on spot, of which 'b' is the oldest and 'a' the newest."""
    yard.machine("on-demand", offer="plain", launched=0)
    yard.machine("b", launched=1)
    yard.machine("c", offer="other-spot", launched=2)
    yard.machine("a", launched=3)


@pytest.mark.parametrize(
    ("event", "taken"),
    [
        ({"which": "oldest"}, ["b"]),
        ({"which": "newest"}, ["a"]),
        ({"which": 2}, ["c"]),
        ({"which": 4}, []),
        ({"offers": ["spot"], "which": 2}, ["a"]),
        ({"offers": []}, []),
        ({"min_age": 7.5, "which": "newest"}, ["c"]),
        ({"keep": 1}, ["a", "c"]),
        ({"keep": 3}, []),
        ({"notice": None}, ["b"]),
        ({"kind": "rebalance"}, ["b"]),
    ],
)
def test_it_takes_whom_it_means(yard: Yard, event: dict[str, Any], taken: list[str]) -> None:
    yard.play(**event)
    four(yard)
    assert yard.after(9.9) == []
    assert yard.after(10) == taken


def test_it_is_dealt_once_by_however_many(yard: Yard) -> None:
    yard.play()
    four(yard)
    dealers = [yard.dealer() for _ in range(4)]
    yard.now = START + timedelta(seconds=10.1)
    for dealer in (*dealers, *dealers):
        dealer.deal()
    assert yard.after(11) == ["b"]


def test_one_that_nobody_saw_has_passed(yard: Yard) -> None:
    """All machines were gone; one that is launched later is not taken for it."""
    yard.play()
    yard.machine("late", launched=15)
    assert yard.after(16) == []
    assert yard.after(17) == []


def test_one_that_waits_takes_the_first_that_comes(yard: Yard) -> None:
    yard.play(wait=True, min_age=2.0)
    dealer = yard.dealer()
    yard.now = START + timedelta(seconds=20)
    dealer.deal()
    yard.machine("late", launched=20)
    for seconds, taken in ((20.6, []), (21.9, []), (22.5, ["late"])):
        yard.now = START + timedelta(seconds=seconds)
        dealer.deal()
        assert yard.taken() == taken


def test_nobody_is_taken_twice_nor_when_dead(yard: Yard) -> None:
    yard.play()
    dead = yard.machine("dead", launched=0)
    four(yard)
    os.dup2(os.open(os.devnull, os.O_RDONLY), dead)  # closes what held the lock
    write_json(machines_folder(yard.folder) / "b" / "terminate.json", {})
    assert yard.after(10) == ["c"]


def test_a_death_between_telling_and_recording_takes_nobody_else(yard: Yard) -> None:
    yard.play()
    four(yard)
    assert yard.after(10) == ["b"]
    (yard.folder / "events" / "e.json").unlink()
    assert yard.after(10.5) == ["b"]
    assert (yard.folder / "events" / "e.json").exists()
