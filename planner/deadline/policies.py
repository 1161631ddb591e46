"""What a job with a deadline sits on next: by name, and all under one safety net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from costplan.planner.deadline.program import Program, Seat
from costplan.planner.deadline.safety import after_loss, may_stay, may_wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A job before its next step. All times are in whole steps.

    `work` is what is left to do, `sits` what it sits on, still to get ready for `starting` steps.
    `state` is of the watcher; `has_spot` says that spot can be had in the next step.
    """

    left: int
    work: int
    sits: Seat
    starting: int
    state: int
    has_spot: bool


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

    def choose(self, job: Job, at: Situation) -> Seat:
        """The seat for the next step."""


class Greedy:
    """Spot wherever it can be had, and nothing otherwise, until the net catches it."""

    def choose(self, job: Job, at: Situation) -> Seat:  # noqa: ARG002
        """The seat for the next step."""
        return Seat.SPOT if at.has_spot else Seat.NOTHING


class UniformProgress:
    """Work no later than in proportion to time (Wu et al., Can't Be Late, NSDI 2024).

    Spot where it can be had; else on demand while behind the line, and from then on until spot
    is back and the job is two changeovers ahead.
    """

    def choose(self, job: Job, at: Situation) -> Seat:
        """The seat for the next step."""
        ahead = (job.work - at.work) - job.work * (job.steps - at.left) / job.steps
        if at.sits is Seat.ON_DEMAND:
            moves = at.has_spot and ahead >= 2 * job.changeover
            return Seat.SPOT if moves else Seat.ON_DEMAND
        if at.has_spot:
            return Seat.SPOT
        return Seat.ON_DEMAND if ahead < 0 else Seat.NOTHING


class Planned:
    """What the stochastic program says; `program` may be exchanged as more is learnt."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def choose(self, job: Job, at: Situation) -> Seat:  # noqa: ARG002
        """The seat for the next step."""
        if at.starting:
            return at.sits
        return self.program.best(at.left, at.work, at.sits, at.state)


def caught(job: Job, at: Situation, choice: Seat) -> Seat:
    """The choice, or on demand where with it the deadline could not be kept for sure.

    On-demand machines are taken to be there always, after the changeover.
    """
    if choice is Seat.SPOT and not at.has_spot:
        choice = Seat.NOTHING
    if choice is Seat.ON_DEMAND:
        return choice
    is_sure = may_wait(at.left, at.work, job.changeover)
    starting = at.starting if at.sits is Seat.SPOT else job.changeover
    if choice is Seat.SPOT and starting == 0:
        again = after_loss(at.work, job.lost_work, job.work)
        is_sure = may_stay(at.left, again, job.changeover)
    return choice if is_sure else Seat.ON_DEMAND
