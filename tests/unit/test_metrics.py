"""What /metrics tells of a fleet and of budgets."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from costplan.cli.metrics import Metrics
from costplan.planner.settings import Budget
from costplan.planner.status import Status, status_of
from costplan.planner.tick import State
from costplan.planner.types import Phase
from tests.fleets import NOON, node, rented, rules
from tests.unit.test_loop import WORK, Daemon


def figures(metrics: Metrics, status: Status) -> dict[str, float]:
    """The figures after a tick, by name and labels."""
    metrics.tick(status, kind="plan", seconds=0.1)
    lines = [line for line in metrics.text().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_what_was_asked_for_and_is_not_there_costs_nothing_yet() -> None:
    """As in `status`."""
    daemon = Daemon(settings=rules())
    daemon.state = State(nodes={"a": rented("a"), "b": node("b", phase=Phase.REQUESTED)})
    ticked = daemon.tick(WORK, replan=False)
    status = status_of(ticked.state, daemon.settings, lease=None, last=None, now=NOON)
    assert status.usd_per_hour == Decimal(1)
    found = figures(Metrics(lambda: None), status)
    assert found['costplan_usd_per_hour{market="on_demand"}'] == 1
    assert found['costplan_nodes{market="on_demand",phase="requested"}'] == 1


def test_a_price_that_is_not_known_hides_no_other() -> None:
    daemon = Daemon(settings=rules(), state=State(nodes={"a": rented("a")}))
    ticked = daemon.tick(replan=False)
    nodes = {**ticked.state.nodes, "c": rented("c")}
    state = replace(ticked.state, nodes=nodes)
    status = status_of(state, daemon.settings, lease=None, last=None, now=NOON)
    found = figures(Metrics(lambda: None), status)
    assert found['costplan_usd_per_hour{market="on_demand"}'] == 1
    assert found["costplan_unpriced_nodes"] == 1


def test_a_limit_that_is_taken_back_has_nothing_left() -> None:
    metrics, limited = Metrics(lambda: None), rules(budget=Budget(usd_per_day=Decimal(9)))
    name = 'costplan_budget_left_usd{period="day"}'
    with_one = status_of(State(), limited, lease=None, last=None, now=NOON)
    assert figures(metrics, with_one)[name] == 9
    without = status_of(State(), rules(), lease=None, last=None, now=NOON)
    assert name not in figures(metrics, without)
