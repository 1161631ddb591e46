"""What doctor makes of what it reads, and how it runs its checks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event

import pytest

from costplan.adapters.checks import run_checks
from costplan.adapters.dask.doctor import address_findings
from costplan.adapters.store.doctor import store_findings
from costplan.adapters.store.entries import Known, Recording, write_entries
from costplan.adapters.store.ledger import read_recorded
from costplan.cli.doctor_view import doctor_view
from costplan.cli.render import terminal_text
from costplan.planner.doctor import (
    Allowance,
    Check,
    Finding,
    Health,
    Wanted,
    clock_finding,
    machine_findings,
    ok,
    permission_findings,
    price_findings,
    problem,
    quota_findings,
)
from costplan.planner.errors import InputError, StoreError
from costplan.planner.nodes import MachineState, ProviderNode
from costplan.planner.types import Phase
from tests.cli.fleet_samples import NOW, offers, quotes, state
from tests.cli.store_samples import machines, write_store

NODES = tuple(state().nodes.values())
PRICES = {quote.key: quote.usd_per_hour for quote in quotes()}


def test_the_file_of_worker_tls_that_is_wrong_is_named(tmp_path: Path) -> None:
    tls = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    for path in (tls[0], tls[2]):
        path.write_text("no certificate")
    for cert, named in ((None, "worker_tls.cert"), ("none either", "scheduler.worker_tls")):
        if cert is not None:
            tls[1].write_text(cert)
        (found,) = address_findings("tls://127.0.0.1:9", tls, is_cloud=False)
        assert found.health is Health.PROBLEM
        assert named in found.text
        assert str(tls[1]) in found.text
        assert found.remedy == "correct scheduler.worker_tls"


def test_a_check_that_hangs_or_fails_hides_no_other() -> None:
    never = Event()

    def hangs() -> Iterator[Finding]:
        never.wait()
        yield ok("slow", "at last")

    def fails() -> Iterator[Finding]:
        raise ZeroDivisionError("division by zero")

    def refuses() -> Iterator[Finding]:
        raise InputError("token", "is not there", "make one")

    checks = [
        Check("slow", hangs),
        Check("broken", fails),
        Check("wrong", refuses),
        Check("fine", lambda: [ok("fine", "well")]),
    ]
    found = run_checks(checks, 0.5)
    never.set()
    assert [(one.area, one.health, one.text) for one in found] == [
        ("slow", Health.PROBLEM, "no answer in 0.5 s"),
        ("broken", Health.PROBLEM, "a bug in costplan: ZeroDivisionError: division by zero"),
        ("wrong", Health.PROBLEM, "token: is not there"),
        ("fine", Health.OK, "well"),
    ]
    assert found[2].remedy == "make one"


@pytest.mark.parametrize(
    ("skew", "within", "health"),
    [
        (0.4, 0.0, Health.OK),
        (-2.5, 1.0, Health.OK),
        (4.0, 1.0, Health.WARNING),
        (-31.5, 1.0, Health.PROBLEM),
    ],
)
def test_a_clock_is_off_by_what_is_certain(skew: float, within: float, health: Health) -> None:
    found = clock_finding("AWS", skew, within)
    assert found.health is health
    if health is Health.PROBLEM:
        assert found.text == "our clock is 32 s behind that of AWS"


def test_machines_that_the_store_does_not_know_cost_money() -> None:
    ours = machines(NODES)
    (found,) = machine_findings(ours, NODES, PRICES, is_driven=True, now=NOW)
    assert found.health is Health.OK
    strange = replace(ours[0], provider_id="i-strange", token=None)
    (found,) = machine_findings([*ours, strange], NODES, PRICES, is_driven=False, now=NOW)
    assert found.health is Health.PROBLEM
    assert found.text.startswith("1 machine with the cluster's tag that the store does not know, $")
    assert "i-strange" in found.text
    (found,) = machine_findings([*ours, strange], NODES, {}, is_driven=True, now=NOW)
    assert found.health is Health.WARNING
    assert "1 at a price that is not known" in found.text


def test_an_answer_that_was_lost_is_no_stranger() -> None:
    """Its node knows the token, and not yet the machine."""
    node = NODES[0]
    asked = replace(node, provider_id=None, phase=Phase.UNCERTAIN)
    machine = ProviderNode(
        provider_id="i-new",
        key=node.key,
        state=MachineState.RUNNING,
        launched_at=NOW,
        token=node.request.token,
    )
    (found,) = machine_findings([machine], [asked], PRICES, is_driven=False, now=NOW)
    assert found.health is Health.OK


def test_nodes_that_no_cloud_lists_are_named_after_a_while() -> None:
    node = next(node for node in NODES if node.phase is Phase.READY)
    later = node.phase_since + timedelta(hours=1)
    (found,) = machine_findings([], [node], PRICES, is_driven=False, now=later)
    assert found.health is Health.WARNING
    assert node.node_id in found.text
    soon = node.phase_since + timedelta(seconds=5)
    (found,) = machine_findings([], [node], PRICES, is_driven=False, now=soon)
    assert found.health is Health.OK


def test_an_offer_without_a_price_is_told() -> None:
    assert [one.health for one in price_findings(offers(), quotes(), NOW, 86400)] == [Health.OK]
    some = quotes()[1:]
    assert [one.health for one in price_findings(offers(), some, NOW, 86400)] == [
        Health.OK,
        Health.WARNING,
    ]
    late = NOW + timedelta(days=2)
    told = [one.text for one in price_findings(offers(), quotes(), late, 86400)]
    assert any("too old" in text for text in told)
    (none,) = price_findings(offers(), (), NOW, 86400)
    assert none.health is Health.PROBLEM


def allowance(limit: float, used: float, ours: float = 0.0) -> Allowance:
    return Allowance(name=f"of {limit:g}", unit="vCPU", limit=limit, used=used, ours=ours)


@pytest.mark.parametrize(
    ("allowed", "floor", "ceiling", "health"),
    [
        # 64 - 40 used by others = 24; our own 16 count for us
        ([allowance(64, 56, 16)], 24, 24, Health.OK),
        ([allowance(64, 56, 16)], 25, None, Health.PROBLEM),
        ([allowance(64, 56, 16)], 8, 100, Health.WARNING),
        # two quotas together
        ([allowance(8, 0), allowance(0, 0)], 8, 8, Health.OK),
        ([allowance(0, 0)], 0, None, Health.PROBLEM),
        ([], 4, None, Health.NOT_CHECKED),
    ],
)
def test_a_quota_has_room_for_the_fleet_or_not(
    allowed: list[Allowance], floor: float, ceiling: float | None, health: Health
) -> None:
    wanted = Wanted(unit="vCPU", floor=floor, ceiling=ceiling)
    (found,) = quota_findings(allowed, [wanted])
    assert found.health is health


def test_a_refusal_of_what_can_be_done_without_is_a_warning() -> None:
    found = permission_findings("reads", ["a"], ["b", "c"], [], dispensable=["c"])
    assert [(one.health, one.text) for one in found] == [
        (Health.PROBLEM, "reads refused: b"),
        (Health.WARNING, "reads refused, without which less is known: c"),
    ]


def test_a_store_is_whole_and_says_who_drives(tmp_path: Path) -> None:
    path = tmp_path / "costplan.db"
    (missing,) = store_findings(path, NOW)
    assert (missing.health, path.exists()) == (Health.OK, False)
    write_store(path)
    found = {one.area: one for one in store_findings(path, NOW)}
    assert [one.health for one in found.values()] == [Health.OK] * 3
    assert "none of which overlap and none of which is missing" in found["ledger"].text
    assert "drives the cluster; last tick 3s ago" in found["daemon"].text


def test_a_second_that_is_charged_twice_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "costplan.db"
    write_store(path)
    with closing(sqlite3.connect(path)) as db, db:
        (again,) = [row for row in read_recorded(db, path) if row.entry_id == 1]
        write_entries(db, [again.entry], Recording(at=NOW), Known())
    node = again.entry.node_id
    found = {one.area: one for one in store_findings(path, NOW)}
    assert found["ledger"].health is Health.PROBLEM
    assert f"{node} (machine)" in found["ledger"].text
    assert "charged twice" in found["ledger"].text


def test_a_store_of_an_older_version_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "costplan.db"
    write_store(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=1")
    db.close()
    (found,) = store_findings(path, NOW)
    assert found.health is Health.WARNING
    assert "is of version 1, older than" in found.text


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    path = tmp_path / "costplan.db"
    path.write_text("text, and a good deal of it, that is no database")
    with pytest.raises(StoreError, match="is no SQLite database"):
        list(store_findings(path, datetime.now(UTC)))


def test_dollars_are_those_of_what_runs() -> None:
    ours = machines(NODES)
    (found,) = machine_findings(
        ours, NODES, {one.key: Decimal("0.25") for one in ours}, is_driven=True, now=NOW
    )
    assert f"${len(ours) / 4:.2f}/h" in found.text


def test_each_problem_of_a_file_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = problem("configuration", "costplan.yaml: 2 problems\n  cluster: a\x1b\n  store: b", "")
    lines = terminal_text(doctor_view([found])).splitlines()
    assert [line.strip() for line in lines[2:5]] == [
        "problem  configuration  costplan.yaml: 2 problems", "cluster: a?", "store: b",
    ]  # fmt: skip
