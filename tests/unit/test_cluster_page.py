"""What a person sees of a `CostplanCluster`: dollars, the fleet by pool, and what is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.cluster.folder import Folder, Notes, Owner, living_names, this_process
from costplan.adapters.cluster.page import html_page, long_text, pools, short_text
from costplan.adapters.cluster.seen import (
    Seen,
    Work,
    cost_of,
    plan_of,
    troubles,
    work_from_answer,
)
from costplan.planner.status import BudgetRow, FleetRow, Lease, Status
from costplan.planner.tick import ClassDemand, Control, MovePlan, Waiting
from costplan.planner.types import Market, OfferKey, Phase
from costplan.planner.work_cost import Line

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
RUNNING = Notes(phase="running")


def key(instance_type: str, market: Market = Market.SPOT) -> OfferKey:
    return OfferKey(
        provider="aws", region="r", zone="z-1", instance_type=instance_type, market=market
    )


def row(kind: str, phase: Phase, nodes: int, usd: str | None) -> FleetRow:
    """Nodes of two workers each."""
    dollars = None if usd is None else Decimal(usd)
    return FleetRow(
        key=key(kind), phase=phase, nodes=nodes, workers=2 * nodes, usd_per_hour=dollars
    )


DEMAND = ClassDemand(
    shape="w", wanted=2, present=2, coming=0, work_seconds=7200.0, width=9, reason="there is work"
)
PLAN = MovePlan(
    plan_id="p", snapshot_digest="d", created_at=NOON, horizon_seconds=600, demand=(DEMAND,),
    moves=(), kept=(), verdicts=(), usd_per_hour_before=Decimal(3), usd_per_hour_after=Decimal(4),
    waiting=(Waiting(prefix="fit", tasks=3, need={"GPU": 1.0}, reason="nobody has a GPU"),),
    expected_usd=Decimal(1), do_nothing_usd=Decimal(2), lower_bound_usd=Decimal(1),
    termination="optimal",
)  # fmt: skip
STATUS = Status(
    at=NOON, cluster="c", lease=Lease(holder="h", expires_at=NOON), is_alive=True, last=None,
    fleet=(
        row("small", Phase.READY, 2, "0.2"), row("small", Phase.BOOTING, 1, "0.1"),
        row("large", Phase.CORDONED, 1, "2.5"),
    ),
    machines=(), usd_per_hour=Decimal("2.8"), unpriced_nodes=0, nodes=4, coming=1, draining=1,
    workers_expected=8, workers_joined=6, load_at=NOON, clients=1, tasks=(), waiting=(),
    budget=(BudgetRow(name="hour", used_usd=Decimal("2.8"), limit_usd=Decimal(40)),),
    spent_usd=Decimal(12), plan=PLAN, next_look_at=None, next_plan_at=None, control=Control(),
)  # fmt: skip
WORK = Work(
    usd=Decimal(9), idle_usd=Decimal(1), by_prefix=(), by_run=(),
    by_span=(Line(name="<b>train</b>\x1b[1m", usd=Decimal(8), busy_seconds=1.0, tasks=1),),
)  # fmt: skip
SEEN = Seen(notes=RUNNING, is_kept=True, status=STATUS, threads={"w": 4}, work=WORK)


def test_what_it_has_cost_since_it_was_started_and_will_have() -> None:
    """7,200 s of work on 2 workers of 4 threads take 900 s, at $4 an hour: a dollar more."""
    cost = cost_of(SEEN, Decimal(2))
    assert (cost.usd, cost.usd_per_hour) == (Decimal(10), Decimal("2.8"))
    assert (cost.expected_usd, cost.expected_seconds) == (Decimal(11), 900)
    assert str(cost) == "$10.00 so far, $2.80/h, $11.00 expected when the tasks are done, in 15min"


def test_of_a_cluster_that_has_ended_the_newest_plan_says_nothing() -> None:
    ended = replace(SEEN, notes=Notes(phase="ended", why="it was closed"))
    cost = cost_of(ended, Decimal(2))
    assert (cost.usd, cost.expected_usd, cost.expected_seconds) == (Decimal(10), None, 0)
    said = long_text("title", ended, cost)
    assert "$10.00 so far" in said
    assert "idle $1.00" in said
    for old in ("expected", "queued", "joined", "there is work", "nobody has a GPU"):
        assert old not in said


def test_the_fleet_by_pool() -> None:
    found = pools(STATUS)
    assert [(pool.name, pool.state, pool.workers, pool.usd_per_hour) for pool in found] == [
        ("1 spot large", "1 leaving", 2, Decimal("2.5")),
        ("3 spot small", "2 ready, 1 coming", 6, Decimal("0.3")),
    ]
    unpriced = replace(STATUS, fleet=(row("odd", Phase.READY, 1, None),))
    assert pools(unpriced)[0].usd_per_hour is None


def test_a_line_a_few_lines_and_a_page_say_the_same() -> None:
    cost = cost_of(SEEN, Decimal(2))
    short = short_text(SEEN, cost)
    assert short == "1 spot large, 3 spot small, $2.80/h, $10.00 so far"
    long = long_text("title", SEEN, cost)
    page = html_page("CostplanCluster", "c", 'http://h/"x"', SEEN, cost)
    for said in ("2 ready, 1 coming", "small", "$2.80", "6 joined of 8", "nobody has a GPU"):
        assert said in long
        assert said in page
    assert "\x1b" not in long + page
    assert "&lt;b&gt;train" in page
    assert 'href="http://h/&quot;x&quot;"' in page
    assert "$2.80 of $40.00 an hour" in page


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen(notes=None, is_kept=False, status=None), ""),
        (replace(SEEN, is_kept=False), "its keeper was killed"),
        (replace(SEEN, notes=Notes(phase="ending", why="it was closed")), "It ends: it was closed"),
        (replace(SEEN, notes=Notes(phase="ended", why="x")), "It has ended: x"),
        (replace(SEEN, notes=Notes(phase="running", orphaned=3.0)), "Its owner is gone"),
        (
            replace(
                SEEN,
                status=replace(STATUS, is_alive=False),
                notes=Notes(phase="running", failures=1, trouble="the autoscaler ended: token"),
            ),
            "The autoscaler does not run; 4 machines go on for $2.80/h\n"
            "the autoscaler ended: token\nWaits: 3 tasks of fit (each GPU 1): nobody has a GPU",
        ),
    ],
)
def test_what_is_wrong_is_said(seen: Seen, said: str) -> None:
    assert said in "\n".join(troubles(seen))


def test_while_it_starts_there_is_something_to_see() -> None:
    seen = Seen(notes=Notes(phase="starting"), is_kept=True, status=None)
    cost = cost_of(seen, Decimal(0))
    assert short_text(seen, cost) == "starting, no machines, $0.00/h, $0.00 so far"
    assert "it starts: the autoscaler has not looked" in html_page("C", "c", "", seen, cost)
    assert plan_of(None) is None


def test_a_plan_in_words() -> None:
    found = plan_of(STATUS)
    assert found is not None
    assert found.wanted == {"w": 2}
    assert str(found).splitlines() == [
        "no change: $3.00/h, $2.00 expected over 10min",
        "w: there is work",
        "3 tasks of fit (each GPU 1): nobody has a GPU",
    ]


def test_what_a_scheduler_says_of_costs_is_checked() -> None:
    rows = [["train", "0.5", 2.0, 3, 0]]
    answer = {"usd": "1", "idle_usd": "0.5", "by_span": rows, "by_prefix": [], "by_run": []}
    found = work_from_answer(answer)
    assert found is not None
    assert found.by_span == (Line(name="train", usd=Decimal("0.5"), busy_seconds=2.0, tasks=3),)
    for wrong in ({}, {**answer, "usd": "much"}, {**answer, "by_run": [["x"]]}):
        assert work_from_answer(wrong) is None


def test_an_owner_is_gone_once_its_process_is() -> None:
    ours = this_process("k")
    assert not ours.is_gone
    assert replace(ours, started="another").is_gone
    assert not Owner(state="detached").is_gone


def test_a_folder_that_nobody_keeps_is_not_living(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "c")
    assert not folder.exists
    assert not folder.is_living
    folder.make()
    folder.give_to(this_process("k"))
    assert folder.exists
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert not folder.is_living
    assert living_names(tmp_path) == []
