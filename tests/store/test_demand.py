"""What is kept of demand: steps add up, gaps stay gaps, and no more is kept than is learnt from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from costplan.adapters.store.demand import KEEP_DEMAND_DAYS
from costplan.adapters.store.parts import blob_of
from costplan.adapters.store.store import Store, StoreError
from costplan.planner.asked import STEP, DemandPart
from costplan.planner.codec import text_of
from costplan.planner.outlook import Outlook
from costplan.planner.tick import State
from tests.store.ticking import NOON, SETTINGS, clock, held, tick_at


def part(steps: int, seconds: float = 300.0, workers: float = 2.0, kind: str = "a") -> DemandPart:
    return DemandPart(
        kind=kind, start=NOON + steps * STEP, seconds=seconds, worker_seconds=workers * seconds
    )


def test_parts_of_a_step_add_up_and_gaps_stay_gaps(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with held(path) as store:
        store.commit(replace(tick_at(1, State()), demand=(part(0, 60), part(0, 60, kind="b"))))
        store.commit(replace(tick_at(2, State()), demand=(part(0, 120, 5), part(2))))
        store.commit(tick_at(3, State()))
    with Store.open(path, read_only=True, clock=clock) as store:
        assert store.demand("test") == (
            DemandPart(kind="a", start=NOON, seconds=180, worker_seconds=720),
            part(2),
            part(0, 60, kind="b"),
        )
        assert store.demand("other") == ()
        assert store.demand_clusters() == ("test",)


def test_each_cluster_has_its_own(tmp_path: Path) -> None:
    with held(tmp_path / "s.db") as store:
        store.commit(replace(tick_at(1, State()), demand=(part(0),)))
        other = replace(SETTINGS, cluster="other")
        store.commit(replace(tick_at(2, State()), demand=(part(1),), settings=other))
        assert store.demand_clusters() == ("other", "test")
        assert store.demand("test") == (part(0),)


def test_a_tick_that_is_not_kept_leaves_no_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(tmp_path / "s.db") as store:

        def crash(point: str) -> None:
            if point == "store.commit.in":
                raise KeyboardInterrupt

        monkeypatch.setattr("costplan.adapters.store.store.reach", crash)
        with pytest.raises(KeyboardInterrupt):
            store.commit(replace(tick_at(1, State()), demand=(part(0),)))
        assert store.demand("test") == ()


def test_what_no_forecast_learns_from_is_let_go_of(tmp_path: Path) -> None:
    per_day = timedelta(days=1) // STEP
    with held(tmp_path / "s.db") as store:
        old, young = part(0), part(per_day)
        store.commit(replace(tick_at(1, State()), demand=(old, young)))
        store.prune(NOON + timedelta(days=KEEP_DEMAND_DAYS))
        assert store.demand("test") == (old, young)
        store.prune(NOON + timedelta(days=KEEP_DEMAND_DAYS) + STEP)
        assert store.demand("test") == (young,)


def test_an_outlook_is_kept_once_for_all_ticks_that_read_it(tmp_path: Path) -> None:
    outlook = Outlook(
        at=NOON, ends_seconds=(300, 600), shares=(0.5,), workers={"a": ((1.0, 2.5),)},
        notes=("few",),
    )  # fmt: skip
    path = tmp_path / "s.db"
    with held(path) as store:
        for second in range(3):
            tick = tick_at(second, State())
            told = outlook if second else None
            store.commit(replace(tick, readings=replace(tick.readings, outlook=told)))
        assert [tick.readings.outlook for tick in store.ticks(3)] == [outlook, outlook, None]
        digest = blob_of(text_of(outlook, Outlook)).digest
        store._db.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
        with pytest.raises(StoreError, match="is missing"):
            store.last_tick()
