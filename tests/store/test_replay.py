"""A stored tick, computed again from what was stored, gives the same to the byte."""

from __future__ import annotations

import pytest

from costplan.adapters.store.store import Store, StoredTick
from costplan.cli.replay import stored_text, text_again
from tests.store.ticking import ran

TICKS = 180


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> list[StoredTick]:
    path = tmp_path_factory.mktemp("store") / "sim.db"
    world, _, record = ran(path, TICKS * 5.0)
    record.close()
    with Store.open(path, read_only=True, clock=world.clock) as store:
        return list(store.ticks(1000))


def test_every_tick_replays_to_the_byte(stored: list[StoredTick]) -> None:
    assert len(stored) == TICKS
    for tick in stored:
        assert stored_text(tick) == text_again(tick), tick.tick_id


def test_the_run_had_plans_actions_and_entries(stored: list[StoredTick]) -> None:
    assert sum(tick.plan is not None for tick in stored) >= 10
    assert sum(bool(tick.actions) for tick in stored) >= 3
    assert sum(bool(tick.entries) for tick in stored) >= 10
    outlooks = {tick.readings.outlook.at for tick in stored if tick.readings.outlook is not None}
    assert len(outlooks) >= 10


def test_entries_rest_on_the_load_before(stored: list[StoredTick]) -> None:
    """Without it some entries would be others: it has to be stored."""
    from dataclasses import replace

    without = [replace(tick, state_before=replace(tick.state_before, load=None)) for tick in stored]
    assert any(stored_text(tick) != text_again(tick) for tick in without)


def test_what_was_before_is_what_the_last_tick_left(stored: list[StoredTick]) -> None:
    newer, older = stored[0], stored[1]
    assert newer.state_before.load == older.readings.load
    assert newer.state_before.plan is not None
    assert newer.state_before.at == older.at


def test_a_tick_that_was_tampered_with_differs(stored: list[StoredTick]) -> None:
    from dataclasses import replace

    tick = next(tick for tick in stored if tick.entries)
    assert stored_text(replace(tick, entries=tick.entries[1:])) != text_again(tick)
