"""How often the daemon calls Google when it looks and there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from costplan.adapters.gcp.gpus import hardware_of
from costplan.adapters.reading import Reader
from costplan.cli.wiring import LISTS_SECONDS, MOST_ADVICE, SPOT_SECONDS, connect
from costplan.planner.daemon_config import daemon_config_from_mapping
from costplan.planner.tick import Readings
from costplan.planner.types import Market
from tests.emulators.gcp.world import SETTINGS, GcpWorld, gcp_world, request

ADVICE = ("compute.advice.capacity", "compute.advice.capacityHistory")


@pytest.fixture
def world() -> Iterator[GcpWorld]:
    with gcp_world() as found:
        yield found


class Looking:
    """What the daemon reads the world with, and how many calls each look makes."""

    def __init__(self, world: GcpWorld, folder: Path, **more: Any) -> None:
        self.world, self.ahead = world, timedelta(0)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text("t" * 32 + "\n")
        file = {
            "cluster": world.cluster,
            "workload": "w",
            "scheduler": {"endpoint": "http://127.0.0.1:1", "token_file": "token",
                          "address": "tcp://127.0.0.1:1"},
            "provider": {"kind": "gcp", "project": SETTINGS.project, "zones": list(SETTINGS.zones),
                         "image": SETTINGS.images["x86_64"], "endpoint": world.rig.endpoint},
            "store": {"path": "s.db"},
            "workers": [{"name": "a", "vcpu": 1, "memory": "1 GiB"}],
            **more,
        }  # fmt: skip
        self.ports = connect(daemon_config_from_mapping(file, "c.yaml", str(folder)), self.now)
        self._reader = Reader(self.ports.provider, self.ports.prices, self.ports.cluster, self.now)

    def now(self) -> datetime:
        return self.world.now() + self.ahead

    def looks(self, seconds: float = 0.0) -> tuple[Readings, dict[str, int]]:
        """What is read so many seconds after the last look, and the calls that it takes."""
        self.ahead += timedelta(seconds=seconds)
        self.world.rig.calls.clear()
        return self._reader.read(()), dict(self.world.rig.calls)

    def close(self) -> None:
        self._reader.close()
        self.ports.close()


@pytest.fixture
def looking(world: GcpWorld, tmp_path: Path) -> Iterator[Looking]:
    found = Looking(world, tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize(("machines", "calls"), [(10, 3), (100, 3), (1000, 4)])
def test_a_quiet_look(world: GcpWorld, looking: Looking, machines: int, calls: int) -> None:
    """The table of docs/clouds/gcp.md; what is sold and what it costs is remembered."""
    project = world.rig.project
    world.make_provider().launch(request())
    (first,) = project.machines.values()
    with world.rig.lock:
        for n in range(1, machines):
            name = first.resource["name"].replace("token-a", f"t{n}")
            project.insert("us-central1-a", {**first.resource, "name": name}, "")
        for operation in project.operations.values():
            operation.inserted -= timedelta(hours=3)
            operation.ends -= timedelta(hours=3)
    looking.looks()
    readings, made = looking.looks(1.0)
    assert readings.machines is not None
    assert len(readings.machines) == machines
    assert readings.quotes
    assert sum(made.values()) == calls


def test_advice_is_asked_for_in_parts_and_lists_once_an_hour(looking: Looking) -> None:
    first, made = looking.looks()
    spot = [quote.key for quote in first.quotes if quote.key.market is Market.SPOT]
    assert len(spot) > MOST_ADVICE
    asked = made["compute.advice.capacity"]
    assert 0 < asked <= MOST_ADVICE
    assert made["cloudbilling.services.skus.list"] == 1
    assert made["compute.zones.list"] == 1
    second, made = looking.looks(SPOT_SECONDS)
    whole = [key for key in spot if not hardware_of(key.instance_type).accelerator]
    assert asked + made["compute.advice.capacity"] == len(whole)
    assert set(made) <= {*ADVICE, "compute.instances.aggregatedList",
                         "compute.globalOperations.aggregatedList"}  # fmt: skip
    assert [quote.observed_at for quote in second.quotes] == [q.observed_at for q in first.quotes]
    _, made = looking.looks(SPOT_SECONDS)
    assert not set(made) & set(ADVICE)
    _, made = looking.looks(LISTS_SECONDS)
    assert made["cloudbilling.services.skus.list"] == 1
    assert not set(made) & set(ADVICE)


def test_prices_are_read_again_before_they_are_too_old(world: GcpWorld, tmp_path: Path) -> None:
    """Where they were remembered for an hour all the same, it would hold for most of each hour."""
    looking = Looking(world, tmp_path, cadence={"prices_stale": "20min"})
    for _ in range(12):
        seen, _ = looking.looks(300)
        oldest = min(quote.observed_at for quote in seen.quotes)
        assert seen.at - oldest <= timedelta(minutes=20)
    looking.close()
