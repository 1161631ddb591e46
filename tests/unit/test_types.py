"""The words of the house hold what they say of themselves, or are not made at all."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.errors import InvariantBroken
from costplan.planner.ledger import LedgerEntry, Use
from costplan.planner.load import Load, TaskGroup
from costplan.planner.nodes import LaunchRequest, Node, WorkerSpec
from costplan.planner.types import (
    Market,
    OfferKey,
    Packing,
    Phase,
    PoolPlan,
    Quote,
    Resources,
    WorkerShape,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = OfferKey(
    provider="aws",
    region="us-east-1",
    zone="us-east-1a",
    instance_type="m5.large",
    market=Market.SPOT,
)
RESOURCES = Resources(vcpu_milli=2000, memory_bytes=8, gpus=1, gpu_kind="T4")
QUOTE = Quote(
    key=KEY,
    usd_per_hour=Decimal("0.04"),
    hazard_per_hour=None,
    observed_at=NOON,
    source="made up",
)
REQUEST = LaunchRequest(
    token="t1",  # noqa: S106 - a name for a request, no secret
    node_id="n1",
    cluster="c",
    keys=(KEY,),
    workers=(WorkerSpec(name="n1-0", shape="w", threads=2, memory_bytes=8, resources={}),),
    tags={},
)
NODE = Node(
    node_id="n1",
    key=KEY,
    resources=RESOURCES,
    phase=Phase.INTENDED,
    phase_since=NOON,
    workload="w",
    request=REQUEST,
)
GROUP = TaskGroup(
    prefix="inc", need={}, queued=1, running=0, mean_task_seconds=1.5, observed_tasks=2
)
LOAD = Load(at=NOON, window_seconds=5.0, groups=(GROUP,), workers={})
SHAPE = WorkerShape(name="train", count=2, need=RESOURCES, gpu_kinds=("T4",))
POOL = PoolPlan(
    key=KEY,
    nodes=3,
    usd_per_hour_each=Decimal("0.04"),
    packings=(Packing(nodes=2, workers={"a": 1}), Packing(nodes=1, workers={})),
)
ENTRY = LedgerEntry(
    node_id="n1",
    key=KEY,
    start=NOON,
    end=NOON + timedelta(hours=1),
    usd=Decimal("0.04"),
    usd_per_hour=Decimal("0.04"),
    kind="usage",
    use=Use.READY,
    busy_seconds=0.0,
    thread_seconds=7200.0,
    rate_source="made up",
    workload="w",
)
NAIVE = NOON.replace(tzinfo=None)
ELSEWHERE = NOON.astimezone(timezone(timedelta(hours=1)))

BROKEN: list[tuple[Any, dict[str, Any], str]] = [
    (RESOURCES, {"vcpu_milli": -1}, "negative resource"),
    (RESOURCES, {"memory_bytes": -1}, "negative resource"),
    (RESOURCES, {"gpus": 0}, "a kind without GPUs"),
    (QUOTE, {"usd_per_hour": Decimal(0)}, "above zero"),
    (QUOTE, {"hazard_per_hour": -0.1}, "hazard"),
    (QUOTE, {"observed_at": NAIVE}, "observed_at is not aware UTC"),
    (QUOTE, {"observed_at": ELSEWHERE}, "observed_at is not aware UTC"),
    (NODE, {"phase_since": NAIVE}, "phase_since is not aware UTC"),
    (GROUP, {"queued": -1}, "negative count"),
    (GROUP, {"pinned": -1}, "negative count"),
    (GROUP, {"observed_tasks": 0}, "a mean needs observed tasks"),
    (GROUP, {"mean_task_seconds": None}, "a mean needs observed tasks"),
    (LOAD, {"at": NAIVE}, "at is not aware UTC"),
    (SHAPE, {"count": 0}, "has count 0"),
    (SHAPE, {"need": Resources(vcpu_milli=1, memory_bytes=1)}, "names kinds, no GPUs"),
    (POOL, {"nodes": 4}, "do not add up to 4 nodes"),
    (POOL, {"nodes": 0, "packings": ()}, "do not add up to 0 nodes"),
    (ENTRY, {"end": NOON}, "must not be empty"),
    (ENTRY, {"start": NAIVE}, "start is not aware UTC"),
    (REQUEST, {"keys": ()}, "at least one offer"),
    (REQUEST, {"token": ""}, "1 to 64 characters"),
    (REQUEST, {"token": "t" * 65}, "1 to 64 characters"),
]


@pytest.mark.parametrize(
    ("whole", "change", "message"),
    [
        pytest.param(*case, id=f"{type(case[0]).__name__}-{'-'.join(case[1])}-{number}")
        for number, case in enumerate(BROKEN)
    ],
)
def test_what_must_hold_is_held_to(whole: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvariantBroken, match=message):
        replace(whole, **change)


@pytest.mark.parametrize("value", [KEY, RESOURCES, QUOTE, NODE, SHAPE, POOL, ENTRY])
def test_values_do_not_change(value: Any) -> None:
    field = next(iter(type(value).__dataclass_fields__))
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, None)


def sized(vcpu: int, memory: int, gpus: int = 0, kind: str | None = None) -> Resources:
    """So much of everything."""
    return Resources(vcpu_milli=vcpu, memory_bytes=memory, gpus=gpus, gpu_kind=kind)


@pytest.mark.parametrize(
    ("need", "fits"),
    [
        (sized(2000, 8), True),
        (sized(2000, 8, 1, "T4"), True),
        (sized(2000, 8, 1), True),
        (sized(2001, 8), False),
        (sized(2000, 9), False),
        (sized(2000, 8, 2), False),
        (sized(1, 1, 1, "L4"), False),
    ],
)
def test_a_need_fits_where_there_is_as_much_of_all_and_of_its_kind(
    need: Resources, fits: bool
) -> None:
    assert need.fits_in(RESOURCES) is fits


def test_offers_are_named_by_place_type_and_market() -> None:
    assert str(KEY) == "aws/us-east-1a/m5.large/spot"
    assert str(replace(KEY, zone="")) == "aws/us-east-1/m5.large/spot"


def test_offers_sort_by_place_first() -> None:
    later = replace(KEY, zone="us-east-1b", instance_type="a1.large")
    assert sorted([later, KEY]) == [KEY, later]
