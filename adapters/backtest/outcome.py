"""What a simulated policy cost, and what it did for it: from the cloud's bill and the cluster's
own record, and never from what a policy says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

import numpy as np

from costplan.adapters.backtest.cluster import TraceCluster
from costplan.adapters.backtest.workers import JobRun, Stint
from costplan.adapters.sim.clock import MICROS
from costplan.adapters.sim.cloud import SimCloud

KINDS = ("work", "idle", "boot", "drain", "recompute")
PICO = Decimal("1e-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a job is to be done: `times` its duration and `seconds` after it came."""

    times: float = 1.5
    seconds: float = 900.0

    def is_missed(self, run: JobRun) -> bool:
        """True where the job was done later, or never."""
        if run.ended is None:
            return True
        took = (run.ended - run.submitted) / MICROS
        return took > run.job.seconds * self.times + self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOutcome:
    """What became of one policy.

    `usd` is the cloud's bill and the sum of `usd_by_kind` (work, idle, boot, drain, recompute).
    A job's wait lasts until the last of its tasks has begun, or until the end where that never
    came. `unfinished_jobs` were not done when the policy was given up. `scale_events` are
    launches and ends asked for, `machines_at` and `waiting_at` (tasks) a course over time, at
    `at_seconds`. Restarted tasks had begun when their worker went, recomputed ones had ended there.
    `given_up` says why the policy was, '' where it was not.
    """

    policy: str
    usd: Decimal
    usd_by_kind: dict[str, Decimal]
    wait_p50_seconds: float
    wait_p95_seconds: float
    missed_deadlines: int
    interruptions: int
    scale_events: int
    restarted_tasks: int
    recomputed_tasks: int
    jobs: int
    unfinished_jobs: int
    node_hours: float
    ended_seconds: float
    at_seconds: tuple[float, ...] = ()
    machines_at: tuple[int, ...] = ()
    waiting_at: tuple[int, ...] = ()
    given_up: str = ""


def outcome(
    policy: str,
    cloud: SimCloud,
    cluster: TraceCluster,
    deadline: Deadline,
    course: Sequence[tuple[float, int, int]],
) -> PolicyOutcome:
    """The outcome of a simulation that is over and whose machines are stopped."""
    kinds = dict.fromkeys(KINDS, Decimal(0))
    stints: dict[str, list[Stint]] = {}
    for stint in cluster.stints:
        stints.setdefault(stint.machine_id, []).append(stint)
    hours, ends, total = 0.0, 0, Decimal(0)
    machines = {machine.machine_id: machine for machine in cloud.machines()}
    for line in cloud.bill():
        usd = line.usd.quantize(PICO)
        total += usd
        hours += (line.end - line.start) / MICROS / 3600
        ends += machines[line.machine_id].end_cause == "terminated"
        for kind, part in _split(usd, line.start, line.end, stints.get(line.machine_id, [])):
            kinds[kind] += part
    waits = np.array([_wait_seconds(run, cloud.clock.micros) for run in cluster.runs])
    return PolicyOutcome(
        policy=policy,
        usd=total,
        usd_by_kind=kinds,
        wait_p50_seconds=float(np.quantile(waits, 0.5)),
        wait_p95_seconds=float(np.quantile(waits, 0.95)),
        missed_deadlines=sum(deadline.is_missed(run) for run in cluster.runs),
        interruptions=sum(m.end_cause == "reclaimed" for m in machines.values()),
        scale_events=len(machines) + ends,
        restarted_tasks=cluster.restarted,
        recomputed_tasks=cluster.recomputed,
        jobs=len(cluster.runs),
        unfinished_jobs=sum(run.ended is None for run in cluster.runs),
        node_hours=hours,
        ended_seconds=cloud.clock.seconds,
        at_seconds=tuple(at for at, _, _ in course),
        machines_at=tuple(machines for _, machines, _ in course),
        waiting_at=tuple(waiting for _, _, waiting in course),
    )


def _split(
    usd: Decimal, start: int, end: int, stints: Sequence[Stint]
) -> list[tuple[str, Decimal]]:
    """A machine's dollars by kind, by the time of its slots; they add up exactly.

    Until its workers joined it booted, after they left it was drained. Parts are rounded down, so
    that the rest, which is idle, is never below 0.
    """
    slots = sum(stint.slots for stint in stints)
    if not slots or end <= start:
        return [("boot", usd)]
    whole = (end - start) * slots
    worked = sum(stint.worked for stint in stints)
    lost = sum(stint.lost for stint in stints)
    draining = sum(stint.draining + (end - stint.left) * stint.slots for stint in stints)
    boot = sum((stint.joined - start) * stint.slots for stint in stints)
    parts = [
        (kind, (usd * micros / whole).quantize(PICO, rounding=ROUND_DOWN))
        for kind, micros in (("work", worked), ("recompute", lost), ("drain", draining),
                             ("boot", boot))
    ]  # fmt: skip
    return [*parts, ("idle", usd - sum((part for _, part in parts), Decimal(0)))]


def _wait_seconds(run: JobRun, end: int) -> float:
    return ((end if run.all_began is None else run.all_began) - run.submitted) / MICROS
