"""Which seats leave the deadline sure, whatever the next step brings.

Sure is what on-demand machines can still keep: they are taken to be there always, after a
changeover. All times are in whole steps, `work` an array (n,) of what is left to do. The program
and the net below the other policies ask the same questions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Work = NDArray[np.int64]
Sure = NDArray[np.bool_]


def after_loss(work: ArrayLike, lost_work: ArrayLike, whole: int) -> Work:
    """The work that is left where spot goes in a step of work; no more is lost than was done.

    `lost_work` counts the step that it goes in, so with 0 that step's work is kept.
    """
    return np.asarray(np.minimum(np.asarray(work) - 1 + np.asarray(lost_work), whole))


def may_wait(left: int, work: ArrayLike, changeover: int) -> Sure:
    """Whether a step may pass without work: left - 1 >= work + changeover."""
    return np.asarray(left - 1 >= np.asarray(work) + changeover)


def may_stay(left: int, worst: ArrayLike, changeover: int) -> Sure:
    """Whether to work a step on spot that leaves `worst` if it goes.

    left - 1 >= worst + changeover; or nothing is left even then, and the job is done.
    """
    again = np.asarray(worst)
    return np.asarray((again == 0) | (left - 1 >= again + changeover))


def may_start(left: int, work: ArrayLike, changeover: int) -> Sure:
    """Whether to sit down on spot that may go in the last step of that: left >= work + twice it.

    For a changeover of one step and more; without one, sitting down is work (`may_stay`).
    """
    return np.asarray(left - changeover >= np.asarray(work) + changeover)
