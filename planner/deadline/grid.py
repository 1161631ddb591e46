"""A job with a deadline in whole steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from costplan.planner.deadline.types import Rules, Terms

WORTH = 4
"""More time than so many times the work changes nothing that is worth its steps: what a deadline
costs is flat by then. Short jobs have their LEAST_WORTH_SECONDS: spot takes hours to come back,
however short the job."""
LEAST_WORTH_SECONDS = 6 * 3600
STEPS = 1_440
"""Steps in that time: a minute for six hours of work."""
LEAST_STEP_SECONDS = 15
STEPS_TO_START = 24
"""A changeover needs no finer steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A job in steps of `step_seconds`, which say nothing of its deadline.

    A loss takes `lost_work` steps of work in the mean and `at_risk` at the most, which counts all
    of the step that it comes in: the most is what the deadline has to bear. `most` is the longest
    deadline that is told from a longer one. What is kept in steps is kept in seconds, as everything
    is rounded up but the slack. `start_price` is what a step of a changeover costs, in steps of
    work: both are paid for by the second, however long a step is.
    """

    step_seconds: int
    work: int
    changeover: int
    lost_work: float
    at_risk: int
    most: int
    start_price: float
    work_seconds: int
    least_seconds: int

    @classmethod
    def of(cls, terms: Terms) -> Grid:
        """The grid of a job. More time must never cost more, so no deadline changes its step."""
        work_seconds, start_seconds = terms.work_seconds, terms.changeover_seconds
        worth = max(WORTH * work_seconds, LEAST_WORTH_SECONDS)
        step = max(
            LEAST_STEP_SECONDS,
            math.ceil(worth / STEPS),
            math.ceil(start_seconds / STEPS_TO_START),
        )
        work, changeover = math.ceil(work_seconds / step), math.ceil(start_seconds / step)
        # A step of work may take less than a step, so lost work is counted by what it does take.
        lost_steps = terms.lost_work_seconds * work
        start = start_seconds / changeover if changeover else 0.0
        return cls(
            step_seconds=step,
            work=work,
            changeover=changeover,
            lost_work=min(lost_steps / work_seconds, work),
            at_risk=min(-(-lost_steps // work_seconds) + 1, work),
            most=work + changeover + math.ceil(worth / step),
            start_price=start / (work_seconds / work),
            work_seconds=work_seconds,
            least_seconds=work_seconds + start_seconds,
        )

    def steps(self, deadline_seconds: int) -> int:
        """The steps until a deadline that on-demand machines can keep."""
        return min(self.work + self.changeover + self._slack(deadline_seconds), self.most)

    def rules(self, deadline_seconds: int) -> Rules:
        """When on demand is bought at the latest: the bounds of `safety`, as times."""
        at_risk = self.at_risk - 1  # the step under way is counted as time
        slack = self._slack(deadline_seconds)
        return Rules(
            wait_spare_seconds=self.changeover * self.step_seconds,
            wait_slack_seconds=slack * self.step_seconds,
            spot_spare_seconds=(self.changeover + at_risk) * self.step_seconds,
            spot_slack_seconds=max(slack - at_risk, 0) * self.step_seconds,
            at_risk_seconds=at_risk * self.step_seconds,
        )

    def _slack(self, deadline_seconds: int) -> int:
        return (deadline_seconds - self.least_seconds) // self.step_seconds
