"""What a job with a deadline sits on next: by name, and all under one safety net.

A situation is one job's, or that of many runs of it at once: then what may differ is an array
(runs,), and so is the seat. Seats are numbers of `Seat`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from costplan.planner.deadline.program import Program, Seat
from costplan.planner.deadline.safety import after_loss, may_stay, may_wait

Whole = int | NDArray[Any]
Seats = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A job before its next step. All times are in whole steps.

    `left` are the steps until the deadline, `work` what is left to do, `sits` what it sits on,
    still to get ready for `starting` steps. `state` is of the watcher; `has_spot` says that spot
    can be had in the next step.
    """

    left: int
    work: Whole
    sits: Whole
    starting: Whole
    state: Whole
    has_spot: bool | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was asked for: steps of work, steps until the deadline, steps to sit down.

    A spot machine that goes takes the last `lost_work` steps of work along, the one that it goes
    in among them: with 0 the work of that step is kept.
    """

    work: int
    steps: int
    changeover: int
    lost_work: int = 0


class Policy(Protocol):
    """Chooses a seat; a choice of spot where there is none counts as nothing."""

    def choose(self, job: Job, at: Situation) -> Seats:
        """The seat for the next step."""


class Greedy:
    """Spot wherever it can be had, and nothing otherwise, until the net catches it."""

    def choose(self, job: Job, at: Situation) -> Seats:  # noqa: ARG002
        """The seat for the next step."""
        return np.where(at.has_spot, Seat.SPOT, Seat.NOTHING)


class UniformProgress:
    """Work no later than in proportion to time (Wu et al., Can't Be Late, NSDI 2024).

    Spot where it can be had; else on demand while behind the line, and from then on until spot
    is back and the job is two changeovers ahead.
    """

    def choose(self, job: Job, at: Situation) -> Seats:
        """The seat for the next step."""
        ahead = (job.work - at.work) - job.work * (job.steps - at.left) / job.steps
        is_on_demand = np.equal(at.sits, Seat.ON_DEMAND)
        is_spot = at.has_spot & (~is_on_demand | (ahead >= 2 * job.changeover))
        otherwise = np.where(is_on_demand | (ahead < 0), Seat.ON_DEMAND, Seat.NOTHING)
        return np.where(is_spot, Seat.SPOT, otherwise)


class Planned:
    """What the stochastic program says; `program` may be exchanged as more is learnt."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def choose(self, job: Job, at: Situation) -> Seats:  # noqa: ARG002
        """The seat for the next step."""
        best = self.program.seats[at.left, at.sits, at.work, at.state]
        return np.where(np.greater(at.starting, 0), at.sits, best)


NAMED: dict[str, type[Greedy | UniformProgress]] = {
    "uniform-progress": UniformProgress,
    "greedy": Greedy,
}
"""What else people do, beside what is planned."""


def caught(job: Job, at: Situation, choice: Seats) -> Seats:
    """The choice, or on demand where with it the deadline could not be kept for sure.

    On-demand machines are taken to be there always, after the changeover.
    """
    is_spot = np.equal(choice, Seat.SPOT) & at.has_spot
    is_demand = np.equal(choice, Seat.ON_DEMAND)
    is_ready = np.equal(at.sits, Seat.SPOT) & np.equal(at.starting, 0)
    again = after_loss(at.work, job.lost_work, job.work)
    is_sure = np.where(
        is_spot & (is_ready | (job.changeover == 0)),
        may_stay(at.left, again, job.changeover),
        may_wait(at.left, at.work, job.changeover),
    )
    seat = np.where(is_spot, Seat.SPOT, Seat.NOTHING)
    return np.where(is_demand | ~is_sure, Seat.ON_DEMAND, seat)
