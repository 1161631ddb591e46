"""Eight virtual hours with faults on a real store: nothing grows that should not."""

from __future__ import annotations

import gc
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.sim.demand import bursts, gpu, merged, mixed, until
from costplan.adapters.sim.drive import Driver
from costplan.adapters.sim.faults import Faults, rates
from costplan.adapters.sim.machines import Fates
from costplan.adapters.store import retention
from costplan.planner.nodes import LaunchRequest, ProviderNode, WorkerSpec
from costplan.planner.types import OfferKey, Phase
from tests.sim.checks import Safety, ledger_against_bill, orphans
from tests.sim.kept import Kept
from tests.sim.loops import SETTINGS, driver_of, world_of

HOURS = 8
EVERY_SECONDS = 15.0
MOVE_USD = Decimal("0.04") * 15 / 3600
"""The largest step of a price, for one tick: a node launched in the tick before a price moves is
first priced after it."""
KEEP = 300
"""Ticks of each kind that are kept: an eight-hour day at this pace has fewer than the defaults."""
OF_THE_WORLD = {LaunchRequest, WorkerSpec, OfferKey, ProviderNode}
"""Values that the simulator keeps itself, for its bill."""


def values_held() -> Counter[str]:
    """Live values of the planner and the store, by class."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    return Counter(
        kind.__qualname__
        for kind in kinds
        if str(kind.__module__).startswith(("costplan.planner", "costplan.adapters.store"))
        and kind not in OF_THE_WORLD
    )


def open_files() -> int:
    """File handles of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def soaked(driver: Driver, hours: float) -> None:
    """So many hours more."""
    driver.run(hours * 3600, every=EVERY_SECONDS)


def test_eight_hours_with_faults_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEEP_QUIET", KEEP)
    monkeypatch.setattr(retention, "KEEP_DECIDED", KEEP)
    faults = Faults(seed=9, rates=rates(launch=0.1, terminate=0.1, reads=0.02) | {"quotes": {}})
    fates = Fates(boot_seconds=45.0, boot_spread=0.3, never_boots_share=0.02, fails_per_hour=0.02)
    world = world_of(9, hazard=0.2, fates=fates, faults=faults)
    world.play(until((HOURS - 1) * 3600, merged(mixed(9), bursts(10, tasks=600), gpu(9))))
    kept, safety = Kept(tmp_path / "store.db", world.clock), Safety(SETTINGS)
    driver = driver_of(world, SETTINGS, kept)
    driver.checks.append(safety)
    soaked(driver, 2)
    early, files = values_held(), open_files()
    soaked(driver, HOURS - 3)
    late, files_late = values_held(), open_files()
    world.provider.faults.stop()
    soaked(driver, 1)
    driver.step()
    nodes = kept.load().nodes.values()
    rows = kept.rows()
    entries = kept.store.entries()
    kept.close()
    assert safety.broken == []
    assert ledger_against_bill(world, entries, allowed_usd=MOVE_USD) == []
    assert orphans(world, nodes) == []
    assert [node.node_id for node in nodes if node.phase is not Phase.GONE] == []
    assert world.cluster.open_jobs == 0
    assert len(world.cloud.machines()) > 100
    grown = {name: (early[name], n) for name, n in late.items() if n > 2 * early[name] + 500}
    assert grown == {}
    assert files_late <= files
    assert kept.ticks > 3 * rows["ticks"]
    assert rows["ticks"] <= 2 * KEEP + 102, rows  # pruned each hundredth tick
    assert rows["blobs"] <= 10 * rows["ticks"], rows
    machines = len(world.cloud.machines())
    assert rows["nodes"] <= machines * 1.2, rows
    assert rows["intents"] <= machines * 6, rows
    assert rows["entries"] <= machines * 8, rows
