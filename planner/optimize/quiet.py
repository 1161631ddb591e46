"""HiGHS as it is used here: silent, on one thread, with a fixed seed."""

from __future__ import annotations

import highspy

from costplan.planner.errors import InvariantBroken


def run_to_optimum(solver: highspy.Highs) -> None:
    """Solves a program that has an optimum; from scratch where a warm start loses its way."""
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        solver.clearSolver()
        solver.setOptionValue("presolve", "on")
        solver.run()
        solver.setOptionValue("presolve", "off")
    status = solver.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise InvariantBroken(f"a program that has an optimum ended {status}")


def quiet_solver() -> highspy.Highs:
    """A silent simplex solver on one thread with a fixed seed."""
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, value in (
        ("output_flag", False),
        ("threads", 1),
        ("random_seed", 1),
        ("solver", "simplex"),
        ("presolve", "off"),
    ):
        solver.setOptionValue(option, value)
    return solver
