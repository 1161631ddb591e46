"""The arguments of `CostAwareAdaptive`: what is refused and how, and what a worker is and costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from distributed import Nanny

from costplan.adapters.dask import CostAwareAdaptive
from costplan.adapters.dask.adaptive_options import ArgumentError, read_options, worker_kind
from costplan.adapters.dask.adaptive_price import MachineType, machine_type
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.types import Market

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOBODY = Load(at=NOW, window_seconds=0.0, groups=(), workers={})
ANY = (0, float("inf"))


def cluster(cls: Any = None, **options: Any) -> Any:
    """As much of a cluster object as is looked at: the template of its workers."""
    return SimpleNamespace(new_spec={"cls": cls, "options": options})


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"usd_per_hour": 40}, "usd_per_hour: 40 cannot be kept, as this cluster does not say of"),
        ({"usd_total": 1}, "worker_usd_per_hour="),
        ({"usd_per_hour": 40, "worker_usd_per_hour": 50}, "usd_per_hour: 40 pays for no worker of"),
        ({"worker_usd_per_hour": "cheap"}, "worker_usd_per_hour: 'cheap' is no amount of dollars"),
        ({"worker_usd_per_hour": 0}, "worker_usd_per_hour: 0 is no amount of dollars above 0"),
        ({"worker_usd_per_hour": True}, "no amount of dollars"),
        ({"worker_usd_per_hour": float("nan")}, "no amount of dollars"),
        (
            {"deadline": "soon"},
            "deadline: 'soon' is no time ahead of now; write '8h', or an instant",
        ),
        ({"deadline": "-1h"}, "deadline: '-1h' is no time ahead of now"),
        ({"deadline": True}, "deadline: True is no time ahead of now"),
        ({"deadline": "2026-11-01T13:00"}, "2026-11-01T13:00 has no time zone; add +00:00"),
        ({"deadline": "2026-11-01T12:30+01:00"}, "is not ahead of now"),
        ({"deadline": NOW.replace(tzinfo=None)}, "deadline: 2026-11-01 12:00:00 has no time zone"),
        ({"deadline": NOW - timedelta(hours=1)}, "is not ahead of now"),
        ({"boot": -1}, "boot: -1 is no duration"),
        ({"boot_timeout": "long"}, "boot_timeout: 'long' is no duration"),
        ({"gang": "all"}, "gang: 'all' is no number of workers"),
        ({"worker_resources": "GPU"}, "worker_resources: 'GPU' is no mapping"),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        read_options(cluster(), said, NOW)
    assert problem in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "said",
    ["8h", 28_800, timedelta(hours=8), NOW.replace(hour=20), "2026-11-01T21:00+01:00",
     "2026-11-01 20:00Z"],
)  # fmt: skip
def test_a_deadline_is_a_duration_or_an_instant(said: object) -> None:
    found = read_options(cluster(), {"deadline": said}, NOW)
    assert found.deadline == NOW.replace(hour=20)


def test_a_floor_above_the_cap_is_refused_and_nothing_begins() -> None:
    with pytest.raises(ArgumentError, match=r"minimum: 5 workers cost 5 USD/h, above usd_per_hou"):
        CostAwareAdaptive(None, interval=0, minimum=5, usd_per_hour=4, worker_usd_per_hour=1)


def test_a_floor_above_the_maximum_is_refused() -> None:
    for name in ("minimum", "gang"):
        with pytest.raises(ArgumentError, match=f"{name}: 5 workers are more than maximum=2"):
            CostAwareAdaptive(None, interval=0, maximum=2, **{name: 5})


def test_durations_and_instants() -> None:
    said = {"deadline": "8h", "boot": "90s", "boot_timeout": 600, "idle_timeout": "10 minutes"}
    found = read_options(cluster(), said, NOW)
    assert found.deadline == NOW + timedelta(hours=8)
    assert (found.boot_seconds, found.boot_timeout_seconds, found.idle_seconds) == (90, 600, 600)


EC2 = {"instance_type": "m5.large", "region": "us-east-1"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (EC2, ("aws", "m5.large", "us-east-1", Market.ON_DEMAND)),
        (
            {"instance_type": "m5.large", "availability_zone": "us-east-1a", "spot": True},
            ("aws", "m5.large", "us-east-1", Market.SPOT),
        ),
        (
            {"vm_size": "Standard_DS1_v2", "location": "West Europe"},
            ("azure", "Standard_DS1_v2", "westeurope", Market.ON_DEMAND),
        ),
        (
            {"machine_type": "zones/x/machineTypes/n1-standard-1", "zone": "us-east1-c"},
            ("gcp", "n1-standard-1", "us-east1", Market.ON_DEMAND),
        ),
        ({"machine_type": "n1-standard-1", "zone": "us-east1-c", "ngpus": 1}, None),
        ({"instance_type": "m5.large"}, None),
        ({}, None),
    ],
)
def test_machine_types_are_found_as_cloud_clusters_say_them(
    options: dict[str, Any], found: tuple[str, str, str, Market] | None
) -> None:
    said = machine_type(cluster(**options))
    if found is None:
        assert said is None
    else:
        names = ("provider", "name", "region", "market")
        assert said == MachineType(**dict(zip(names, found, strict=True)))  # type: ignore[arg-type]


def test_the_price_is_the_bundled_one_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/nowhere")
    found = read_options(cluster(**EC2), {"usd_per_hour": "40"}, NOW + timedelta(days=30))
    assert found.worker_usd_per_hour == Decimal("0.096")
    assert found.usd_per_hour == Decimal(40)
    assert found.boot_seconds == 90.0  # a machine, not a process
    given = read_options(cluster(**EC2), {"worker_usd_per_hour": 0.05}, NOW)
    assert given.worker_usd_per_hour == Decimal("0.05")
    nobody = cluster(instance_type="zz9.huge", region="us-east-1")
    with pytest.raises(ArgumentError, match=r"no price list has aws zz9.huge in us-east-1"):
        read_options(nobody, {"usd_per_hour": 1}, NOW + timedelta(days=30))


@pytest.mark.parametrize(
    ("cls", "options", "threads", "resources"),
    [
        (None, {}, 1, {}),
        (Nanny, {"nthreads": 4, "resources": {"GPU": 2}}, 4, {"GPU": 2.0}),
        (None, {"cores": 8, "processes": 2}, 4, {}),
        (None, {"worker_options": {"nthreads": 3, "resources": {"X": 1}}}, 3, {"X": 1.0}),
        (None, {"worker_extra_args": ["--resources", "GPU=1,MEM=2e9"]}, 1, {"GPU": 1, "MEM": 2e9}),
        (None, {"env_vars": {"DASK_DISTRIBUTED__WORKER__RESOURCES__GPU": "1"}}, 1, {"GPU": 1.0}),
    ],
)
def test_a_new_worker_is_as_its_template_says(
    cls: Any, options: dict[str, Any], threads: int, resources: dict[str, float]
) -> None:
    made = cluster(cls, **options)
    kind = worker_kind(made, NOBODY, read_options(made, {}, NOW), ANY)
    assert (kind.threads, dict(kind.resources)) == (threads, resources)
    assert kind.maximum is None


def test_a_new_worker_is_as_those_that_are_here_and_as_the_configuration_says() -> None:
    here = WorkerLoad(
        threads=2, memory_bytes=2**30, resources={"GPU": 1.0}, executing=0, managed_bytes=0
    )
    seen = Load(at=NOW, window_seconds=0.0, groups=(), workers={"a": here})
    made = cluster()
    kind = worker_kind(made, seen, read_options(made, {}, NOW), (1, 7))
    assert (kind.threads, kind.need.memory_bytes, dict(kind.resources)) == (2, 2**30, {"GPU": 1.0})
    assert (kind.minimum, kind.maximum) == (1, 7)
    ours = cluster(Nanny)
    with dask.config.set({"distributed.worker.resources": {"DISK": 1}}):
        kind = worker_kind(ours, seen, read_options(ours, {}, NOW), ANY)
    assert dict(kind.resources) == {"DISK": 1.0}
    told = read_options(ours, {"worker_resources": {"GPU": 1}}, NOW)
    assert dict(worker_kind(ours, seen, told, ANY).resources) == {"GPU": 1.0}
