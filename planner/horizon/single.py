"""A horizon of one shape of workers that is known whole: one linear program is the relaxation.

With one shape a node of class k earns V_k(w) = w x its places, so the outer program says what the
inner one does, and no pattern but the full one of each class is of use.
"""

from __future__ import annotations

import numpy as np

from costplan.planner.horizon.certificate import Certifier
from costplan.planner.horizon.inner import Inner
from costplan.planner.horizon.model import Horizon, Memory
from costplan.planner.horizon.outer import Worth
from costplan.planner.horizon.relaxation import Relaxed
from costplan.planner.optimize.problem import Ints, Problem


def of_one_shape(horizon: Horizon, memory: Memory | None, gap: float) -> Relaxed | None:
    """The relaxation where there is one shape, and every offer and full pattern is known before.

    Then no column is missing: a node earns its places times what one is worth, and the inner
    program's own multipliers prove its value. None where there is more to search for.
    """
    problem = horizon.problem
    if memory is None or len(problem.needs) > 1 or len(memory.offers) < problem.offers:
        return None
    inner = Inner(horizon)
    if horizon.running is not None:
        inner.add_patterns(horizon.running.classes, horizon.running.patterns)
    inner.add_patterns(memory.classes, memory.patterns)
    classes, patterns = inner.known()
    places = np.zeros(len(problem.capacity))
    np.maximum.at(places, classes, patterns[:, 0].astype(np.float64))
    if (places < _most_places(problem)).any():
        return None
    inner.add_offers(np.arange(problem.offers).tolist())
    inner.use(np.ones((len(classes), horizon.steps), dtype=bool))
    point, rents = inner.solve_with_rents()
    # No worker is worth more than its shortage costs, not even by the solver's tolerance.
    pi = np.minimum(point.pi, np.outer(horizon.hours, horizon.shortage_usd))
    worth = Worth(
        value=point.cost,
        pi=pi,
        upper=pi * places,
        rents=rents,
        in_use=np.ones(1, dtype=bool),
    )
    bound = Certifier(horizon).certify(worth).bound
    if point.cost - bound > gap * bound:
        return None
    return Relaxed(
        inner=inner,
        point=point,
        bound=bound,
        scales=horizon.shortage_usd[None],
        earned=float(horizon.shortage_usd[0]) * places[None],
        near=(classes, patterns),
        rounds=0,
    )


def _most_places(problem: Problem) -> Ints:
    """How many workers of the one shape a node of each class [K] has room for."""
    need = problem.needs[0]
    fit = np.where(need > 0, problem.capacity // np.maximum(need, 1), np.iinfo(np.int64).max)
    most: Ints = np.where(problem.admits[:, 0], fit.min(axis=1), 0)
    return most
