"""What a plan over several steps is asked for, and what it is.

Step t is the half-open interval [start_t, start_t + hours_t) of hours from now. A node that is to
work from a step on is launched `boot_hours` before the step begins and paid from then on, so no
step before `Horizon.reach` can have nodes that are not there now. Nodes stop where a step begins.

All money is float64 dollars, here and in this package only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costplan.planner.errors import InputError
from costplan.planner.optimize.problem import Bools, Floats, Ints, Problem

_AT_ONCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most `usd` are billed for the steps [first, stop): nodes at work and nodes that boot."""

    first: int
    stop: int
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What nodes of the fleet run now: `patterns` [R, S] of workers on nodes of `classes` [R].

    Workers may change places for nothing, so it is a hint where a packing is hard to find.
    """

    classes: Ints
    patterns: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """Axes: T steps, S shapes, O offers of `problem`, whose `count` is not looked at.

    `hours` [T] are the steps' lengths, `demand` [T, S] the workers wanted, and a worker that is
    not there costs `shortage_usd` [S] an hour. `fleet` [O] are the nodes there are: they work at
    once. A start costs `start_usd` [O] and the price of `boot_hours`, a stop `stop_usd` [O].
    Prices and expected costs of step t are those of the problem, times `price_factor` [T, O].
    The problem's limits and its pools' share hold in every step. Raises InputError where the
    axes do not agree or a number is out of its range.
    """

    problem: Problem
    hours: Floats
    demand: Ints
    shortage_usd: Floats
    fleet: Ints
    start_usd: Floats
    stop_usd: Floats
    boot_hours: float = 0.0
    price_factor: Floats | None = None
    windows: tuple[Window, ...] = ()
    running: Running | None = None

    def __post_init__(self) -> None:
        steps, offers, shapes = len(self.hours), self.problem.offers, len(self.problem.needs)
        wanted = {
            "demand": (steps, shapes),
            "shortage_usd": (shapes,),
            "fleet": (offers,),
            "start_usd": (offers,),
            "stop_usd": (offers,),
        }
        if self.price_factor is not None:
            wanted["price_factor"] = (steps, offers)
        for name, axes in wanted.items():
            values = getattr(self, name)
            if values.shape != axes:
                raise InputError(f"horizon.{name}", f"{values.shape} are not the axes {axes}")
            if not (np.isfinite(values).all() and (values >= 0).all()):
                raise InputError(f"horizon.{name}", "not all are finite and at least 0")
        if not steps or not (self.hours > 0).all():
            raise InputError("horizon.hours", f"{self.hours} are not one or more lengths above 0")
        if not self.boot_hours >= 0:
            raise InputError("horizon.boot_hours", f"{self.boot_hours} is below 0")
        for window in self.windows:
            if not (0 <= window.first < window.stop <= steps and window.usd >= 0):
                raise InputError("horizon.windows", f"{window} is not within {steps} steps")

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.hours)

    @property
    def begins(self) -> Floats:
        """Where each step begins [T], in hours from now."""
        return np.cumsum(self.hours) - self.hours

    @property
    def reach(self) -> int:
        """The first step in which a node that is launched now works; T where there is none."""
        return int(np.searchsorted(self.begins, self.boot_hours - _AT_ONCE))

    def boots(self) -> Floats:
        """Hours [T, T] that a node which works from step t on (row) boots in each step (column).

        0.25 h of boot before a step that begins at 1 h, with steps of half an hour, is a quarter
        of an hour in the second step.
        """
        begins = self.begins
        late = np.minimum(begins[:, None], (begins + self.hours)[None, :])
        early = np.maximum((begins - self.boot_hours)[:, None], begins[None, :])
        overlap: Floats = np.maximum(late - early, 0.0)
        overlap[: self.reach] = 0.0
        return overlap

    def limits_most(self) -> Floats:
        """The right-hand sides [T, J] of the problem's limits.

        Before `reach` a limit that asks for nodes asks for no more than the fleet can give.
        """
        limits = self.problem.limits
        most = np.tile(np.array([limit.most for limit in limits]), (self.steps, 1))
        for j, limit in enumerate(limits):
            if limit.most < 0:
                given = float(np.minimum(limit.per_node, 0.0) @ self.fleet)
                most[: self.reach, j] = max(limit.most, given)
        return most

    def prices(self) -> Floats:
        """Billed dollars per node-hour [T, O]."""
        return self._by_step(self.problem.price)

    def costs(self) -> Floats:
        """Expected dollars per node-hour [T, O]: the price and the interruptions."""
        return self._by_step(self.problem.cost)

    def _by_step(self, usd: Floats) -> Floats:
        if self.price_factor is None:
            return np.broadcast_to(usd, (self.steps, len(usd)))
        return usd * self.price_factor


def rate_windows(hours: Floats, usd_per_hour: float) -> tuple[Window, ...]:
    """One window a step of `hours` [T], in each of which the mean rate is capped."""
    return tuple(
        Window(first=t, stop=t + 1, usd=usd_per_hour * float(length))
        for t, length in enumerate(hours)
    )


def least_billed(problem: Problem, hours: Floats, boot_hours: float, least_hours: float) -> Floats:
    """What a least billed time adds to the cost of a start [O], in dollars.

    A node that is started boots and works through a step, of which the shortest is what is sure:
    it is charged for the rest of the least time as if it always ended there. With an hour at
    least, 5 minutes of boot and steps from 10 minutes on, that is 45 minutes.
    """
    unused = max(0.0, least_hours - boot_hours - float(hours.min()))
    return problem.price * unused


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Expected dollars over the horizon by what they are for.

    `run` is nodes at work, `start` is boots and what else a start costs, `stop` is drains and
    `shortage` is workers that are not there.
    """

    run: float
    start: float
    stop: float
    shortage: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.run + self.start + self.stop + self.shortage


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What decides which workers fit on a node: `needs` [S, 3], `capacity` [K, 3] and `admits`
    [K, S] of a problem."""

    needs: Ints
    capacity: Ints
    admits: Bools

    def are_of(self, problem: Problem) -> bool:
        """Whether the problem's nodes and workers are the same ones."""
        return (
            np.array_equal(self.needs, problem.needs)
            and np.array_equal(self.capacity, problem.capacity)
            and np.array_equal(self.admits, problem.admits)
        )


def sizes_of(problem: Problem) -> Sizes:
    """The sizes of a problem's nodes and workers."""
    return Sizes(needs=problem.needs, capacity=problem.capacity, admits=problem.admits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the plan of the next tick starts from: columns, offers and multipliers of this one.

    `classes` [P] and `patterns` [P, S] are patterns, of which the first `used` were in use and the
    others lost little; `offers` [B] are what was looked at, `scales` [A, S] the worths of workers
    that the bound rests on. All of it is a hint: what no longer fits is passed over. `earned`
    [A, K] is at least what a node can earn at a scale, proven for nodes and workers of `sizes`; for
    others it is found anew.
    """

    classes: Ints
    patterns: Ints
    used: int
    offers: Ints
    scales: Floats
    earned: Floats
    sizes: Sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Nodes and what runs on them, step by step; whole numbers in the first `whole_steps`.

    Axes: B offers of the problem that have nodes at any time (`offers` [B] are their numbers), P
    patterns in use. `nodes` [T, B] work in a step, `starts` [T, B] of them from this step on, and
    `stops` [T, B] did until it began. `configured` [T, P] nodes of class `classes` [P] run
    `patterns` [P, S]; `short` [T, S] workers are not there. `broken` is by how much limits that
    ask for nodes (a base) are missed at most: 0 but where budget or boot leave no way.

    `bound` is proven: no plan, of whole or of divided nodes, costs less. `termination` is 'gap'
    where the rounds ended within the gap that was asked for, and otherwise 'steps'.
    """

    offers: Ints
    nodes: Floats
    starts: Floats
    stops: Floats
    classes: Ints
    patterns: Ints
    configured: Floats
    short: Floats
    broken: float
    whole_steps: int
    costs: Costs
    bound: float
    termination: str
    rounds: int
    memory: Memory

    @property
    def gap(self) -> float:
        """(cost - bound) / bound; 0 where both are 0, infinite where limits are broken."""
        if self.broken:
            return float("inf")
        if self.costs.total <= self.bound:
            return 0.0
        return self.costs.total / self.bound - 1.0 if self.bound > 0 else float("inf")
