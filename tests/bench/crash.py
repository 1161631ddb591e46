"""Kills the daemon at every named place of launch, drain and terminate, in real processes.

    python -m tests.bench.crash [--only TEXT] [--short]

Each line is one course of work (tests/crash_run.py) on a real Dask scheduler with local machines:
what the daemon died of, how often it was started again, and what was left in the end. `orphans`
are machines that no node knows or that never ended, and processes; `doubles` are second machines
of a node or a token, and machines beyond the two that the work asks for; `lost` are results,
`again` tasks that ran twice. `off` is the ledger less a bill counted from the machines' folders,
in dollars; entries are rounded to 1e-12. Exits with the number of lines where something is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from tests.crash_points import Course, Deaths, campaign, representative
from tests.crash_run import REFUSALS, Aftermath, files, live
from tests.daemon_cluster import scheduler_cluster

WIDTH = 100
HEAD = (
    f"{'place[@phase]:nth':<{WIDTH}} {'restarts':>8} {'machines':>8} {'orphans':>7} {'doubles':>7} "
    f"{'lost':>4} {'again':>5} {'off':>9} {'s':>5}"
)


def line(one: Aftermath) -> str:
    """A course as a row."""
    return (
        f"{one.deaths!s:<{WIDTH}} {one.died:>8} {one.machines:>8} {len(one.orphans):>7} "
        f"{len(one.doubles):>7} {one.lost:>4} {one.again:>5} "
        f"{one.ledger_usd - one.bill_usd:>9.1e} {one.seconds:>5.1f}"
    )


def played(courses: Iterable[Deaths]) -> Iterable[Aftermath | str]:
    """Each course's end, or why it had none. Courses of one scenario share a scheduler, up to
    the first that fails."""
    for _, group in groupby(courses, key=_scenario):
        waiting = list(group)
        while waiting:
            with (
                tempfile.TemporaryDirectory(prefix="costplan-crash-") as folder,
                scheduler_cluster(Path(folder), **files(waiting[0].course)) as cluster,
            ):
                while waiting:
                    deaths = waiting.pop(0)
                    try:
                        yield live(cluster, deaths)
                    except (AssertionError, TimeoutError, RuntimeError) as error:
                        yield f"{deaths!s:<{WIDTH}} {error}"
                        break


def _scenario(deaths: Deaths) -> Course:
    return deaths.course if deaths.course in REFUSALS else Course.PLAIN


def main(arguments: list[str]) -> int:
    """Prints the table; returns how many courses left something wrong."""
    warnings.filterwarnings("ignore", message="Port .* is already in use")
    parser = argparse.ArgumentParser(description="Kill the daemon at every named place.")
    parser.add_argument("--only", default="", help="courses whose name has this text")
    parser.add_argument("--short", action="store_true", help="those of the tests only")
    chosen = parser.parse_args(arguments)
    began, ends = time.monotonic(), []
    print(HEAD, flush=True)
    wrong = 0
    for one in played(
        deaths
        for deaths in (representative() if chosen.short else campaign())
        if chosen.only in str(deaths)
    ):
        if isinstance(one, str):
            print(one, flush=True)
            wrong += 1
            continue
        print(line(one), flush=True)
        for problem in one.broken:
            print(f"    {problem}", flush=True)
        wrong += bool(one.broken)
        ends.append(one)
    places = {fault for one in ends for fault in one.deaths.faults if not one.broken}
    print(
        f"{len(places)} places, {sum(one.died for one in ends)} deaths and restarts, "
        f"{sum(one.machines for one in ends)} machines: "
        f"{sum(len(one.orphans) for one in ends)} orphans, "
        f"{sum(len(one.doubles) for one in ends)} doubles, {sum(one.lost for one in ends)} lost, "
        f"{sum(one.again for one in ends)} again, "
        f"ledger - bill {sum(one.ledger_usd - one.bill_usd for one in ends):.1e} $, "
        f"{wrong} courses wrong, {time.monotonic() - began:.0f} s"
    )
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
