"""What a report says of a ledger, with dollars that can be checked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from costplan.planner.ledger import LedgerEntry, Use
from costplan.planner.load import Totals
from costplan.planner.nodes import Cause, DrainOrder, Node
from costplan.planner.report import Books, Report, summarise
from costplan.planner.report_savings import Counterfactual
from costplan.planner.report_timeline import timeline
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.spans import amount_usd
from costplan.planner.types import Market, Offer, OfferKey, Phase, Resources
from costplan.planner.units import GIB
from costplan.planner.workload import Overhead
from tests.accounts import KEY, NOON, at, node, quote

SECOND = Decimal("3.60")
"""At this rate a second costs a tenth of a cent."""
FIRM = replace(KEY, market=Market.ON_DEMAND)
BARE = Overhead(memory_share=0.0, memory_floor_bytes=0)


def entry(
    start: float,
    seconds: float,
    use: Use = Use.READY,
    *,
    name: str = "n1",
    usd_per_hour: Decimal = SECOND,
    key: OfferKey = KEY,
    busy: float = 0.0,
    threads: int = 4,
    workload: str = "fraud",
    correction: bool = False,
    is_estimate: bool = False,
) -> LedgerEntry:
    """Seconds of a node of four threads, from so many seconds after noon on."""
    begin = NOON + timedelta(seconds=start)
    end = begin + timedelta(seconds=seconds)
    sign = -1 if correction else 1
    return LedgerEntry(
        node_id=name,
        key=key,
        start=begin,
        end=end,
        usd=sign * amount_usd(usd_per_hour, begin, end),
        usd_per_hour=usd_per_hour,
        kind="correction" if correction else "usage",
        use=use,
        busy_seconds=busy,
        thread_seconds=sign * threads * seconds if use in (Use.READY, Use.DRAIN) else 0.0,
        rate_source="list",
        workload=workload,
        is_estimate=is_estimate,
    )


def settings(**need: object) -> Settings:
    """One kind of worker of four threads."""
    size = Resources(**{"vcpu_milli": 4000, "memory_bytes": 8 * GIB, **need})  # type: ignore[arg-type]
    kind = WorkerKind(name="w", need=size, threads=4, resources={})
    return Settings(cluster="c", workload="fraud", kinds=(kind,), overhead=BARE)


def offer(name: str, vcpu: int, gib: int, **more: object) -> Offer:
    size = Resources(vcpu_milli=vcpu * 1000, memory_bytes=gib * GIB, **more)  # type: ignore[arg-type]
    return Offer(key=replace(FIRM, instance_type=name), resources=size, arch="x86_64")


def made(entries: Sequence[LedgerEntry], **more: object) -> Report:
    found = summarise(Books(entries=entries, **{"nodes": (), **more}), at(600))  # type: ignore[arg-type]
    assert found is not None
    return found


LIFE = (
    entry(0, 100, Use.BOOT),
    entry(100, 1000, busy=3000),
    entry(1100, 50, Use.DRAIN),
    entry(1150, 10, Use.END),
)


def test_dollars_by_what_they_did() -> None:
    """A tenth of a cent a second: 100 s of boot are $0.10. Of the $1.00 of 1,000 ready seconds
    three quarters had tasks: $0.75 and $0.25. 50 s of drain and 10 to the end are $0.06."""
    split = made(LIFE, totals=Totals()).split
    assert split.work_usd == Decimal("0.75")
    assert split.idle_usd == Decimal("0.25")
    assert split.boot_usd == Decimal("0.10")
    assert split.drain_usd == Decimal("0.06")
    assert split.recompute_usd == 0
    assert split.work_usd + split.waste_usd == Decimal("1.16")


def test_a_task_that_ends_in_the_drain_is_work() -> None:
    """4,000 of 4,000 thread-seconds are full, and 100 of the 200 of the drain: half its $0.05."""
    split = made((entry(0, 1000), entry(1000, 50, Use.DRAIN, busy=4100))).split
    assert split.work_usd == Decimal("1.025")
    assert split.idle_usd == 0
    assert split.drain_usd == Decimal("0.025")


def test_no_node_pays_for_the_idleness_of_another() -> None:
    """One full and one idle node of $1.00 each: half is idle, whatever the order."""
    pair = (entry(0, 1000, busy=9999, name="a"), entry(0, 1000, name="b"))
    assert made(pair).split.idle_usd == Decimal("1.00")
    assert made(pair[::-1]).split == made(pair).split


def test_tasks_that_ran_again_are_waste_at_the_mean_price() -> None:
    """4,000 thread-seconds for $1.00 and 200 for $0.05: 400 s of tasks are $0.10 of the $0.75."""
    split = made(LIFE, totals=Totals(recomputed_tasks=9, recomputed_seconds=400)).split
    assert split.recompute_usd == Decimal("0.10")
    assert split.work_usd == Decimal("0.65")
    assert split.waste_usd == Decimal("0.51")


def test_what_ran_again_is_never_more_than_the_work() -> None:
    split = made(LIFE, totals=Totals(recomputed_seconds=1e6)).split
    assert (split.work_usd, split.recompute_usd) == (0, Decimal("0.75"))


def test_of_a_part_of_the_time_nobody_knows_what_ran_again() -> None:
    """The scheduler's counters are of its whole life."""
    books = Books(entries=LIFE, nodes=(), totals=Totals(recomputed_seconds=400))
    cut = summarise(books, at(600), start=NOON, end=at(10))
    assert cut is not None
    assert cut.split.recompute_usd is None
    assert cut.split.work_usd + cut.split.waste_usd == cut.total.usd


def test_rows_by_market_type_workload_and_day() -> None:
    """$0.90 on spot and $0.10 on demand; $0.40 of it for another workload."""
    report = made(
        (
            entry(0, 500, busy=1000),
            entry(0, 400, name="n2", workload="other", is_estimate=True),
            entry(0, 100, name="n3", key=replace(FIRM, instance_type="big")),
        )
    )
    assert [(r.name, r.nodes, r.usd) for r in report.by_market] == [
        ("spot", 2, Decimal("0.90")),
        ("on_demand", 1, Decimal("0.10")),
    ]
    assert [(r.name, r.usd) for r in report.by_type] == [
        ("m.large", Decimal("0.90")),
        ("big", Decimal("0.10")),
    ]
    assert [(r.name, r.usd) for r in report.by_workload] == [
        ("fraud", Decimal("0.60")),
        ("other", Decimal("0.40")),
    ]
    assert [(r.name, r.usd) for r in report.by_day] == [("2026-05-04", Decimal("1.00"))]
    assert report.total.estimated_usd == Decimal("0.40")
    assert report.total.node_seconds == 1000
    assert (report.total.busy_seconds, report.total.thread_seconds) == (1000, 4000)


def test_an_entry_over_midnight_is_of_two_days() -> None:
    """Noon plus 43,100 s is 100 s before midnight: $0.10 and, of the 300 s, $0.20."""
    report = made((entry(43_100, 300, busy=600),))
    assert [(r.name, r.usd, r.busy_seconds) for r in report.by_day] == [
        ("2026-05-04", Decimal("0.10"), pytest.approx(200)),
        ("2026-05-05", Decimal("0.20"), pytest.approx(400)),
    ]


def test_periods_side_by_side_add_up() -> None:
    """Thirds of ten cents do not, unless each is what is left of the others."""
    books = Books(entries=(entry(0, 3600, usd_per_hour=Decimal("0.1")),), nodes=())
    cuts = [None, at(20), at(40), None]
    parts = [summarise(books, at(600), start=a, end=b) for a, b in pairwise(cuts)]
    assert sum(part.total.usd for part in parts if part) == Decimal("0.1")
    assert [part.start for part in parts if part] == [NOON, at(20), at(40)]


def test_nothing_spent_is_no_report() -> None:
    books = Books(entries=LIFE, nodes=())
    assert summarise(Books(entries=(), nodes=()), at(600)) is None
    assert summarise(books, at(600), start=at(60)) is None


def test_a_correction_takes_time_and_dollars_back() -> None:
    """$1.00 for 1,000 s, of which 400 were too many."""
    report = made((entry(0, 1000, busy=1200), entry(600, 400, correction=True)))
    assert report.total.usd == Decimal("0.60")
    assert report.total.node_seconds == 600
    assert report.total.thread_seconds == 2400
    assert (report.corrections, report.corrections_usd) == (1, Decimal("-0.40"))
    assert report.split.work_usd == report.split.idle_usd == Decimal("0.30")


def by_name(report: Report) -> tuple[Counterfactual, Counterfactual]:
    single, same = report.counterfactuals
    return single, same


def test_the_same_types_on_demand() -> None:
    """1,000 s on spot for $1.00 are $2.50 at $9.00 an hour; 100 s on demand stay $0.10."""
    ran = (entry(0, 1000), entry(0, 100, name="n2", key=FIRM), entry(500, 500, correction=True))
    _, same = by_name(made(ran, quotes=(quote("9.00", NOON, key=FIRM),)))
    assert same.usd == Decimal("1.35")
    assert same.paid_usd == Decimal("0.60")
    assert same.saved_usd == Decimal("0.75")
    assert "2026-05-04" in same.words


def test_a_type_without_an_on_demand_price_is_on_neither_side() -> None:
    other = replace(KEY, instance_type="rare")
    ran = (entry(0, 1000), entry(0, 1000, name="n2", key=other))
    _, same = by_name(made(ran, quotes=(quote("9.00", NOON, key=FIRM),)))
    assert (same.usd, same.paid_usd) == (Decimal("2.50"), Decimal("1.00"))
    assert "without rare" in same.words
    _, none = by_name(made(ran))
    assert none.usd is None
    assert none.saved_usd is None


def test_the_on_demand_price_of_the_zone_comes_before_that_of_the_region() -> None:
    prices = (
        quote("7.20", NOON, key=replace(FIRM, zone="")),
        quote("3.60", NOON, key=replace(FIRM, zone="us-east-1b")),
        quote("9.00", NOON, key=FIRM),
        quote("1.00", NOON, key=replace(FIRM, region="eu-west-1", zone="")),
    )
    _, zone = by_name(made((entry(0, 1000),), quotes=prices))
    _, region = by_name(made((entry(0, 1000),), quotes=prices[:2]))
    _, other = by_name(made((entry(0, 1000),), quotes=(prices[1], prices[3])))
    assert [each.usd for each in (zone, region, other)] == [
        Decimal("2.50"),
        Decimal("2.00"),
        Decimal("1.00"),
    ]


def test_one_on_demand_type_for_the_same_ready_threads() -> None:
    """1,000 ready seconds of four threads; boot and drain are not charged. On 'twin' (two
    workers, eight threads, $10.80 an hour) that is half a machine: $1.50. 'small' is cheaper
    and holds no worker; 'wide' has room for one and costs $7.20: $2.00."""
    offers = (offer("small", 2, 64), offer("wide", 96, 8), offer("twin", 8, 16))
    prices = (
        quote("0.10", NOON, key=offers[0].key),
        quote("7.20", NOON, key=offers[1].key),
        quote("10.80", NOON, key=offers[2].key, estimate=True),
    )
    ran = {"nodes": (w_node(),), "settings": settings(), "offers": offers, "quotes": prices}
    single, _ = by_name(made(LIFE, **ran))
    assert single.usd == Decimal("1.50")
    assert single.paid_usd == Decimal("1.16")
    assert single.is_estimate
    assert "twin in aws/us-east-1a at $10.80/h" in single.words


def w_node(drain: DrainOrder | None = None) -> Node:
    return replace(node(history=((Phase.READY, at(2)),)), drain=drain)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"settings": settings()}, "no on-demand type with a known price holds"),
        ({}, "the worker kinds are not known"),
        ({"settings": settings(), "nodes": ()}, "no worker was ready"),
        (
            {
                "settings": settings(gpus=1, gpu_kind="T4"),
                "offers": (offer("m.large", 96, 96),),
                "quotes": (quote("1", NOON, key=FIRM),),
            },
            "no on-demand type with a known price holds",
        ),
    ],
)
def test_an_alternative_that_is_not_known_says_why(more: dict[str, object], why: str) -> None:
    single, _ = by_name(made(LIFE, **{"nodes": (w_node(),), **more}))
    assert single.usd is None
    assert why in single.words


def order(cause: Cause) -> DrainOrder:
    return DrainOrder(
        token="t",  # noqa: S106
        cause=cause,
        ordered_at=at(5),
        wait_until=at(6),
    )


def ended(name: str, steps: Sequence[tuple[Phase, datetime, str]], drain: Cause | None) -> Node:
    found = node(name, ended=at(10))
    return replace(found, history=tuple(steps), drain=None if drain is None else order(drain))


def test_interruptions_are_told_apart() -> None:
    gone = (Phase.GONE, at(10), "terminated")
    nodes = (
        ended("a", [(Phase.TERMINATING, at(9), ""), gone], Cause.NOTICE),
        ended("b", [(Phase.GONE, at(10), "reclaimed")], Cause.NOTICE),
        ended("c", [(Phase.LOST, at(10), ""), (Phase.GONE, at(10), "accounted for")], None),
        ended("d", [(Phase.TERMINATING, at(9), ""), gone], Cause.BOOT_FAILED),
        ended("e", [(Phase.TERMINATING, at(9), ""), gone], Cause.SURPLUS),
        replace(ended("f", [(Phase.GONE, at(10), "reclaimed")], None), ended_at=at(900)),
    )
    seen = made(LIFE, nodes=nodes).interruptions
    assert (seen.noticed, seen.emptied, seen.reclaimed) == (2, 1, 1)
    assert (seen.lost, seen.failed) == (1, 1)


def test_the_chart_has_all_dollars() -> None:
    """1,160 s in buckets of 15 s, the first of boot at $3.60 an hour."""
    report = made((*LIFE, entry(3, 333, name="n2", key=FIRM), entry(50, 9, correction=True)))
    line = timeline(report.entries, report.start, report.end)
    assert line.bucket_seconds == 15
    assert sum(sum(row, Decimal(0)) for row in line.usd) == report.total.usd
    assert line.markets == (Market.ON_DEMAND, Market.SPOT)
    assert line.usd_per_hour(1, 0) == SECOND
    assert line.nodes[1][0] == pytest.approx(1)


@pytest.mark.parametrize("seconds", [1, 96, 97, 90 * 86400, 4000 * 86400])
def test_a_chart_has_a_hundred_buckets_at_most(seconds: int) -> None:
    line = timeline((entry(0, 1),), at(0), NOON + timedelta(seconds=seconds))
    assert 1 <= len(line.usd[0]) <= 98
