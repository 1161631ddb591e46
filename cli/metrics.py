"""The daemon's figures for Prometheus, in a registry of their own.

Names start with `costplan_`, carry their unit, and have labels of few values only: node and task
names are not among them. Money is a float here, for graphs; the ledger has it exactly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import prometheus_client as prometheus

from costplan.planner.delivered import Deliveries
from costplan.planner.explain_actions import action_name
from costplan.planner.ledger import LedgerEntry
from costplan.planner.nodes import Notice
from costplan.planner.status import PAID, Status
from costplan.planner.tick import (
    ActionOutcome,
    DrainNode,
    HeldUse,
    Launch,
    MovePlan,
    NewNode,
    Outcome,
)
from costplan.planner.types import Mode

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TASKS = ("queued", "running", "waiting", "unrunnable")


class Metrics:
    """What is counted; the daemon says what happened, and `text` is what /metrics answers."""

    def __init__(self, load_age_seconds: Callable[[], float | None]) -> None:
        self.registry = prometheus.CollectorRegistry()
        self._load_age = load_age_seconds
        self._seen: set[tuple[str, str]] = set()

        def gauge(name: str, text: str, *labels: str) -> prometheus.Gauge:
            return prometheus.Gauge(f"costplan_{name}", text, labels, registry=self.registry)

        def counter(name: str, text: str, *labels: str) -> prometheus.Counter:
            return prometheus.Counter(f"costplan_{name}", text, labels, registry=self.registry)

        self._nodes = gauge("nodes", "Nodes that are not gone.", "market", "phase")
        self._usd = gauge("usd_per_hour", "What the running nodes cost an hour.", "market")
        self._unpriced = gauge("unpriced_nodes", "Running nodes whose price is not known.")
        self._workers = gauge("workers", "Workers of running nodes, and those joined.", "state")
        self._tasks = gauge("tasks", "Tasks that the scheduler has.", "state")
        self._draining = gauge("draining_nodes", "Nodes that are being emptied or ended.")
        self._mode = gauge("mode", "1 for the mode of the last tick.", "mode")
        self._gaps = gauge("gaps", "What the last tick did not know.", "kind")
        self._notices = gauge("notices", "Warnings of the clouds in force.", "kind")
        self._left = gauge("budget_left_usd", "What may still be spent.", "period")
        self._held = gauge("commitment_used", "What is used of a commitment.", "commitment", "unit")
        self._idle = gauge("commitment_idle", "What of it stays idle.", "commitment", "unit")
        self._pays = gauge("commitments_pay_usd_per_hour", "What they pay of the running nodes.")
        self._paused = gauge("paused", "1 while the operator has it paused.")
        self._tick_at = gauge("last_tick_timestamp_seconds", "When the last tick was.")
        self._tick_seconds = prometheus.Histogram(
            "costplan_tick_seconds",
            "How long a tick took.",
            ("kind",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._spent = counter("spent_usd", "Dollars of the ledger since the start.", "use")
        self._moves = counter("moves", "Moves that were planned.", "kind")
        self._verdicts = counter("verdicts", "What the policies said.", "policy", "decision")
        self._drains = counter("drains", "Drains that were planned.", "cause")
        self._launches = counter("launches", "Machines asked for, by what came of it.", "outcome")
        self._actions = counter("actions", "Actions done.", "action", "outcome")
        self._deliveries = gauge("deliveries_waiting", "Reports and alerts to be sent.")
        self._failed = gauge("deliveries_failed", "Of them those whose last try failed.")
        age = gauge("load_age_seconds", "How old the load is that decisions rest on; -1: none.")
        age.set_function(self._age)
        self._start_at_nothing()

    def _age(self) -> float:
        age = self._load_age()
        return -1.0 if age is None else age

    def _start_at_nothing(self) -> None:
        """Series with known labels are there from the start, so that a rate has a beginning."""
        for mode in Mode:
            self._mode.labels(mode)
        for outcome in Outcome:
            self._launches.labels(outcome)
        for kind in ("launch", "drain"):
            self._moves.labels(kind)

    def tick(self, status: Status, *, kind: str, seconds: float) -> None:
        """What is there after a tick of this kind ('observe' or 'plan')."""
        self._tick_seconds.labels(kind).observe(seconds)
        self._tick_at.set(status.at.timestamp())
        nodes: Counter[tuple[str, str]] = Counter()
        dollars: dict[str, float] = defaultdict(float)
        for row in status.fleet:
            nodes[row.key.market, row.phase] += row.nodes
        for machine in status.machines:
            if machine.phase in PAID:
                dollars[machine.key.market] += float(machine.usd_per_hour or 0)
        # What had nodes once must be said to have none.
        self._seen |= set(nodes)
        for market, phase in sorted(self._seen):
            self._nodes.labels(market, phase).set(nodes[market, phase])
            self._usd.labels(market).set(dollars[market])
        self._unpriced.set(status.unpriced_nodes)
        self._workers.labels("expected").set(status.workers_expected)
        self._workers.labels("joined").set(status.workers_joined or 0)
        for state in _TASKS:
            self._tasks.labels(state).set(sum(getattr(row, state) for row in status.tasks))
        self._draining.set(status.draining)
        self._commitments(status.held)
        self._of_last(status)

    def _commitments(self, held: HeldUse | None) -> None:
        self._held.clear()
        self._idle.clear()
        self._pays.set(0.0 if held is None else float(held.pays_usd_per_hour))
        for use in () if held is None else held.uses:
            self._held.labels(use.commitment_id, use.unit).set(float(use.used))
            self._idle.labels(use.commitment_id, use.unit).set(float(use.idle))

    def _of_last(self, status: Status) -> None:
        if status.last is not None:
            for mode in Mode:
                self._mode.labels(mode).set(mode is status.last.mode)
            _replace(self._gaps, (gap.kind for gap in status.last.gaps))
        self._left.clear()  # a limit may be gone since
        for row in status.budget:
            if row.left_usd is not None:
                self._left.labels(row.name).set(float(row.left_usd))
        until = status.control.paused_until
        self._paused.set(until is not None and until > status.at)

    def plan(self, plan: MovePlan) -> None:
        """A plan was made."""
        for move in plan.moves:
            match move:
                case NewNode():
                    self._moves.labels("launch").inc()
                case DrainNode():
                    self._moves.labels("drain").inc()
                    self._drains.labels(move.cause).inc()
        for verdict in plan.verdicts:
            self._verdicts.labels(verdict.policy, verdict.decision).inc()

    def outcome(self, outcome: ActionOutcome) -> None:
        """An action ended."""
        self._actions.labels(action_name(outcome.action), outcome.outcome).inc()
        if isinstance(outcome.action, Launch):
            self._launches.labels(outcome.outcome).inc()

    def entries(self, entries: Iterable[LedgerEntry]) -> None:
        """Dollars went into the ledger; corrections downwards are left to the ledger."""
        for entry in entries:
            if entry.usd > 0:
                self._spent.labels(entry.use).inc(float(entry.usd))

    def notices(self, notices: Iterable[Notice]) -> None:
        """These warnings are in force now."""
        _replace(self._notices, (notice.kind for notice in notices))

    def deliveries(self, found: Deliveries) -> None:
        """How deliveries stand now."""
        self._deliveries.set(found.waiting)
        self._failed.set(found.failing)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return bytes(prometheus.generate_latest(self.registry))


def _replace(gauge: Any, kinds: Iterable[str]) -> None:
    counts = Counter(kinds)
    gauge.clear()
    for kind, count in counts.items():
        gauge.labels(kind).set(count)
