"""A second opinion on a plan over several steps: what it costs, and every rule that it breaks.

Nothing here is shared with the solver: it goes through the plan step by step and node by node in
plain arithmetic, with its own reading of the horizon's rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import fsum

from costplan.planner.horizon.model import Horizon, Plan

CLOSE = 1e-6
"""What a sum may be off by, as a share: the solver's own tolerances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Expected dollars over the horizon by kind, `billed_usd` by step, and what is wrong.

    Every violation is a sentence with numbers; none means that the plan keeps every rule.
    """

    run_usd: float
    start_usd: float
    stop_usd: float
    shortage_usd: float
    billed_usd: tuple[float, ...]
    violations: tuple[str, ...]

    @property
    def total_usd(self) -> float:
        """All kinds of cost."""
        return fsum((self.run_usd, self.start_usd, self.stop_usd, self.shortage_usd))


def evaluate_plan(horizon: Horizon, plan: Plan) -> Evaluation:
    """What a plan costs and which rules it breaks.

    Ten nodes at $0.10 through two steps of half an hour, launched 6 minutes before, cost $1.00 to
    run and $0.10 to start, and the latter is billed in the step before.
    """
    run, begin, end, billed = [], [], [], [0.0] * len(horizon.hours)
    clock = _clock(horizon)
    for t, hours in enumerate(horizon.hours.tolist()):
        for b, o in enumerate(plan.offers.tolist()):
            run.append(plan.nodes[t, b] * hours * horizon.problem.cost[o] * _factor(horizon, t, o))
            price = float(horizon.problem.price[o])
            billed[t] += plan.nodes[t, b] * hours * price * _factor(horizon, t, o)
            if plan.starts[t, b]:
                begin.append(plan.starts[t, b] * horizon.start_usd[o])
                for q, booting in _booting(horizon, clock, t):
                    paid = plan.starts[t, b] * booting * price * _factor(horizon, q, o)
                    begin.append(paid)
                    billed[q] += paid
            end.append(plan.stops[t, b] * horizon.stop_usd[o])
    missing = (
        plan.short[t, s] * hours * horizon.shortage_usd[s]
        for t, hours in enumerate(horizon.hours.tolist())
        for s in range(len(horizon.shortage_usd))
    )
    return Evaluation(
        run_usd=fsum(run),
        start_usd=fsum(begin),
        stop_usd=fsum(end),
        shortage_usd=fsum(missing),
        billed_usd=tuple(billed),
        violations=tuple(
            chain(
                _count_violations(plan),
                _flow_violations(horizon, plan, clock),
                _fit_violations(horizon, plan),
                _demand_violations(horizon, plan),
                _limit_violations(horizon, plan, clock),
                _pool_violations(horizon, plan),
                _window_violations(horizon, billed),
            )
        ),
    )


def _clock(horizon: Horizon) -> list[float]:
    """Where the steps begin, and where the last one ends, in hours from now."""
    clock = [0.0]
    for hours in horizon.hours.tolist():
        clock.append(clock[-1] + hours)
    return clock


def _factor(horizon: Horizon, step: int, offer: int) -> float:
    return 1.0 if horizon.price_factor is None else float(horizon.price_factor[step, offer])


def _booting(horizon: Horizon, clock: list[float], step: int) -> Iterator[tuple[int, float]]:
    """Steps in which a node boots that works from `step` on, and for how many hours."""
    launched, ready = clock[step] - horizon.boot_hours, clock[step]
    for q in range(step):
        hours = min(ready, clock[q + 1]) - max(launched, clock[q])
        if hours > 0:
            yield q, hours


def _above(value: float, most: float) -> bool:
    return value > most + CLOSE * max(1.0, abs(most))


def _count_violations(plan: Plan) -> Iterator[str]:
    for name in ("nodes", "starts", "stops", "configured", "short"):
        values = getattr(plan, name)
        for t, row in enumerate(values.tolist()):
            if min(row, default=0.0) < 0:
                yield f"step {t}: {name} has {min(row)}"
            if t < plan.whole_steps and any(value != int(value) for value in row):
                yield f"step {t}: {name} is not whole: {row}"


def _flow_violations(horizon: Horizon, plan: Plan, clock: list[float]) -> Iterator[str]:
    known = set(plan.offers.tolist())
    for o, nodes in enumerate(horizon.fleet.tolist()):
        if nodes and o not in known:
            yield f"offer {o}: {nodes} nodes of the fleet are not in the plan"
    for b, o in enumerate(plan.offers.tolist()):
        there = float(horizon.fleet[o])
        for t in range(len(horizon.hours)):
            started, stopped = float(plan.starts[t, b]), float(plan.stops[t, b])
            nodes = float(plan.nodes[t, b])
            if abs(there + started - stopped - nodes) > CLOSE * max(1.0, nodes):
                yield f"step {t}: offer {o} has {there} + {started} - {stopped}, not {nodes} nodes"
            if started and clock[t] < horizon.boot_hours - CLOSE:
                yield f"step {t}: {started} nodes of offer {o} work before they have booted"
            if _above(stopped, there):
                yield f"step {t}: {stopped} of {there} nodes of offer {o} stop"
            there = nodes


def _fit_violations(horizon: Horizon, plan: Plan) -> Iterator[str]:
    problem = horizon.problem
    for klass, pattern in zip(plan.classes.tolist(), plan.patterns.tolist(), strict=True):
        for s, workers in enumerate(pattern):
            if workers < 0 or (workers and not problem.admits[klass, s]):
                yield f"class {klass} may not run {workers} workers of shape {s}"
        for axis in range(3):
            used = sum(n * int(problem.needs[s, axis]) for s, n in enumerate(pattern))
            if used > int(problem.capacity[klass, axis]):
                yield f"class {klass} has {problem.capacity[klass, axis]}, {pattern} needs {used}"
    for t in range(len(horizon.hours)):
        there: dict[int, float] = {}
        for b, o in enumerate(plan.offers.tolist()):
            klass = int(problem.klass[o])
            there[klass] = there.get(klass, 0.0) + float(plan.nodes[t, b])
        running: dict[int, float] = {}
        for p, klass in enumerate(plan.classes.tolist()):
            running[klass] = running.get(klass, 0.0) + float(plan.configured[t, p])
        for klass, nodes in running.items():
            if _above(nodes, there.get(klass, 0.0)):
                yield f"step {t}: {nodes} nodes of class {klass} run, {there.get(klass)} are there"


def _demand_violations(horizon: Horizon, plan: Plan) -> Iterator[str]:
    for t, wanted in enumerate(horizon.demand.tolist()):
        for s, workers in enumerate(wanted):
            placed = fsum(
                float(plan.configured[t, p]) * int(plan.patterns[p, s])
                for p in range(len(plan.classes))
                if plan.configured[t, p]
            )
            if _above(workers, placed + float(plan.short[t, s])):
                yield f"step {t}: {placed} of {workers} workers of shape {s} have a place"


def _limit_violations(horizon: Horizon, plan: Plan, clock: list[float]) -> Iterator[str]:
    """Limits of each step; before a node can boot, a base asks for what the fleet can give."""
    for limit in horizon.problem.limits:
        given = fsum(
            min(float(limit.per_node[o]), 0.0) * nodes
            for o, nodes in enumerate(horizon.fleet.tolist())
            if nodes
        )
        for t in range(len(horizon.hours)):
            most = limit.most
            if most < 0 and clock[t] < horizon.boot_hours - CLOSE:
                most = max(most, given)
            held = [
                float(limit.per_node[o]) * float(plan.nodes[t, b])
                for b, o in enumerate(plan.offers.tolist())
            ]
            if fsum(held) > most + CLOSE * max(1.0, abs(most), fsum(map(abs, held))):
                yield f"step {t}: {limit.name} is {fsum(held)}, above {most}"


def _pool_violations(horizon: Horizon, plan: Plan) -> Iterator[str]:
    problem = horizon.problem
    for t in range(len(horizon.hours)):
        vcpu = [
            float(problem.vcpu[o]) * float(plan.nodes[t, b])
            for b, o in enumerate(plan.offers.tolist())
        ]
        for b, o in enumerate(plan.offers.tolist()):
            if problem.is_spot[o] and _above(vcpu[b], problem.pool_share * fsum(vcpu)):
                yield f"step {t}: pool {o} has {vcpu[b]} of {fsum(vcpu)} vCPU"


def _window_violations(horizon: Horizon, billed: list[float]) -> Iterator[str]:
    for window in horizon.windows:
        paid = fsum(billed[window.first : window.stop])
        if _above(paid, window.usd):
            yield f"steps {window.first} to {window.stop}: ${paid} are billed, above ${window.usd}"
