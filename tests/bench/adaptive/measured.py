"""What was measured of one workload on one cluster, in the same way for every cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A machine from the request to its end, in seconds since the epoch, at a rate."""

    name: str
    requested: float
    ended: float
    usd_per_hour: float

    @property
    def seconds(self) -> float:
        """How long it is paid for."""
        return self.ended - self.requested


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What workers ran: task-seconds of the runs that ended, each task counted once, and how
    many runs were begun beyond the first of a task."""

    tasks: int
    busy_seconds: float
    again: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One workload on one cluster. `makespan` is from the first submit to the last result, `events`
    are the adaptive loop's own: 'up' and 'down'."""

    cluster: str
    workload: str
    boot: float
    makespan: float
    machines: tuple[Paid, ...]
    runs: Runs
    failure: str = ""
    events: tuple[str, ...] = ()

    @property
    def paid(self) -> float:
        """Worker-seconds from request to end."""
        return sum(machine.seconds for machine in self.machines)

    @property
    def usd(self) -> float:
        """What those cost."""
        return sum(machine.seconds * machine.usd_per_hour / 3600 for machine in self.machines)

    @property
    def paid_per_busy(self) -> float:
        """Paid seconds for each second of work; infinite where there was none."""
        return self.paid / self.runs.busy_seconds if self.runs.busy_seconds else float("inf")


def read_runs(folder: Path) -> Runs:
    """What the `tasks.Runs` plugins wrote into a folder."""
    begun: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for path in sorted(folder.glob("*.runs")):
        since: dict[str, float] = {}
        for line in path.read_text().splitlines():
            key, what, at = line.split("\t")
            if what == "began":
                begun[key] += 1
                since[key] = float(at)
            elif what == "put off":
                begun[key] -= 1
            elif key in since:
                seconds[key] = float(at) - since.pop(key)
    again = sum(max(0, count - 1) for count in begun.values())
    return Runs(tasks=len(begun), busy_seconds=sum(seconds.values()), again=again)


HEAD = (
    f"{'workload':<10}{'boot':>5} {'cluster':<9}{'makespan':>9}{'paid':>8}{'busy':>7}"
    f"{'paid/busy':>10}{'machines':>9}{'again':>6}{'usd':>10}"
)


def line(one: Measured) -> str:
    """A row of the table."""
    return (
        f"{one.workload:<10}{one.boot:>4.0f}s {one.cluster:<9}{one.makespan:>8.1f}s"
        f"{one.paid:>7.1f}s{one.runs.busy_seconds:>6.0f}s{one.paid_per_busy:>10.2f}"
        f"{len(one.machines):>9}{one.runs.again:>6}{one.usd:>10.6f}"
        f"{'  ' + one.failure if one.failure else ''}"
    )


def ratios(ours: Measured, stock: Measured) -> str:
    """Ours over stock: below 1 is better."""
    cost = ours.usd / stock.usd if stock.usd else float("nan")
    paid = ours.paid / stock.paid if stock.paid else float("nan")
    return (
        f"{ours.workload:<10}{ours.boot:>4.0f}s {'ratio':<9}{ours.makespan / stock.makespan:>8.2f} "
        f"{paid:>7.2f} {'':>6} {'':>9}{'':>9}{'':>6}{cost:>10.2f}"
    )


def total_again(measured: Iterable[Measured]) -> int:
    """Runs begun beyond the first, over several workloads."""
    return sum(one.runs.again for one in measured)
