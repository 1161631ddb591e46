"""From a horizon to a plan: the relaxation, whole nodes in the first steps, and what it costs."""

from __future__ import annotations

import numpy as np

from costplan.planner.horizon.inner import Inner, Point
from costplan.planner.horizon.model import Costs, Horizon, Memory, Plan, sizes_of
from costplan.planner.horizon.relaxation import Relaxed, relax_horizon
from costplan.planner.horizon.single import of_one_shape
from costplan.planner.horizon.whole import make_whole
from costplan.planner.optimize.problem import Floats, Ints

GAP = 2.5e-3
NONE = 1e-7


# Some BLAS raise floating-point flags for lanes beyond the end of an array, and numpy then warns of
# products that are right.
@np.errstate(divide="ignore", over="ignore", invalid="ignore")
def plan_horizon(
    horizon: Horizon,
    memory: Memory | None = None,
    *,
    whole_steps: int | None = None,
    gap: float = GAP,
) -> Plan:
    """The cheapest plan that was found, with a proven bound.

    Nodes are whole in the first `whole_steps`: unless said otherwise in all that can only have
    nodes that are there now, and the one after, which is what has to be launched now. `memory`
    is that of the last plan. The search ends within `gap` of the bound, or after so many rounds.
    """
    relaxed = of_one_shape(horizon, memory, gap) or relax_horizon(horizon, memory, gap)
    wanted = min(horizon.steps, horizon.reach + 1 if whole_steps is None else whole_steps)
    point = make_whole(relaxed.inner, relaxed.point, wanted)
    if point is None:
        point, wanted = relaxed.point, 0
    return _plan(horizon, relaxed, point, wanted, gap)


def _plan(horizon: Horizon, relaxed: Relaxed, point: Point, whole_steps: int, gap: float) -> Plan:
    inner = relaxed.inner
    offers = np.array(inner.fleets.offers, dtype=np.int64)
    order = np.argsort(offers, kind="stable")
    there = np.rint(horizon.fleet[offers])
    used = order[(point.nodes.max(axis=0) + there)[order] > NONE]
    nodes = _clean(point.nodes[:, used], whole_steps)
    change = np.diff(nodes, axis=0, prepend=there[None, used])
    change[np.abs(change) <= NONE] = 0.0
    starts, stops = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    classes, patterns, configured = _columns(horizon, inner, point, whole_steps)
    placed = configured @ patterns
    short = np.maximum(horizon.demand - placed, 0.0)
    short[short < NONE * np.maximum(horizon.demand, 1)] = 0.0
    costs = _costs(horizon, offers[used], nodes, starts, stops, short)
    more = relaxed.near
    return Plan(
        offers=offers[used],
        nodes=nodes,
        starts=starts,
        stops=stops,
        classes=classes,
        patterns=patterns,
        configured=configured,
        short=short,
        broken=point.broken if point.broken > NONE else 0.0,
        whole_steps=whole_steps,
        costs=costs,
        bound=relaxed.bound,
        termination="gap" if relaxed.point.cost <= relaxed.bound * (1 + gap) else "steps",
        rounds=relaxed.rounds,
        memory=Memory(
            classes=np.concatenate([classes, more[0]]),
            patterns=np.concatenate([patterns, more[1]]),
            used=len(classes),
            offers=np.sort(offers),
            scales=relaxed.scales,
            earned=relaxed.earned,
            sizes=sizes_of(horizon.problem),
        ),
    )


def _clean(values: Floats, whole_steps: int) -> Floats:
    """Solver values without its tolerances: whole where they are, and no traces of nodes."""
    values = np.where(values > NONE, values, 0.0)
    values[:whole_steps] = np.rint(values[:whole_steps])
    return values


def _columns(
    horizon: Horizon, inner: Inner, point: Point, whole_steps: int
) -> tuple[Ints, Ints, Floats]:
    """Classes [P], workers [P, S] and nodes [T, P] of the patterns that are in use."""
    classes, patterns = inner.known()
    configured = np.zeros((horizon.steps, len(classes)))
    configured[inner.step_of, inner.pattern_of] = point.configured
    configured = _clean(configured, whole_steps)
    used = np.flatnonzero(configured.any(axis=0))
    return classes[used], patterns[used], configured[:, used]


def _costs(
    horizon: Horizon, offers: Ints, nodes: Floats, starts: Floats, stops: Floats, short: Floats
) -> Costs:
    begin = horizon.boots() @ horizon.prices()[:, offers] + horizon.start_usd[offers]
    return Costs(
        run=float((horizon.hours[:, None] * horizon.costs()[:, offers] * nodes).sum()),
        start=float((begin * starts).sum()),
        stop=float((horizon.stop_usd[offers] * stops).sum()),
        shortage=float((horizon.hours[:, None] * horizon.shortage_usd * short).sum()),
    )
