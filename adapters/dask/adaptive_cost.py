"""What an adapted cluster has cost and what for, as values and as lines to print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from costplan.adapters.dask.costs import Figures
from costplan.planner.amounts import digits_for, dollars, rounded_parts
from costplan.planner.wording import counted, percent, usd
from costplan.planner.work_cost import IDLE, Line


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Cost:
    """What an adapted cluster's workers cost, from each request to each end. Dollars are None where
    nobody knows the price.

    `work` is the scheduler's account of what for, from when workers joined, so without their boots;
    None where the scheduler is not in this process. Printed, it is a table by span.
    """

    worker_seconds: Decimal
    usd: Decimal | None
    usd_per_hour: Decimal | None
    price_source: str
    work: Figures | None = None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return str(self)

    def _lines(self) -> Iterator[str]:
        spent = f"{self.worker_seconds:,.1f} worker-seconds from request to end"
        if self.usd is None:
            yield f"cost         {spent}; in dollars unknown: {self.price_source}"
        else:
            amount = dollars(self.usd, digits_for(self.usd))
            yield f"cost         {amount} for {spent} (price: {self.price_source})"
        if self.work is not None:
            yield from _work_lines(self.work)


def _work_lines(work: Figures) -> Iterator[str]:
    """The table by span. Its dollars are rounded so that those shown add up to what is shown."""
    total = dollars(work.usd, digits_for(work.usd))
    said = f"since workers joined {total}, of which"
    if work.unpriced:
        said += f" (without {counted(work.unpriced, 'worker')} of unknown price)"
    yield f"by span      {said}"
    spans = list(work.by_span)
    digits = digits_for(work.usd)
    shown = rounded_parts([*(line.usd for line in spans), work.idle_usd], digits)
    width = max(len(name) for name in (IDLE, *(line.name for line in spans)))
    for line, amount in zip(spans, shown, strict=False):
        share = percent(line.usd / work.usd) if work.usd else ""
        yield (
            f"  {line.name:<{width}}  {dollars(amount, digits)}  {share:>7}  {_done(line)}"
        ).rstrip()
    share = percent(work.idle_usd / work.usd) if work.usd else ""
    yield f"  {IDLE:<{width}}  {dollars(shown[-1], digits)}  {share:>7}".rstrip()


def _done(line: Line) -> str:
    """'12 tasks, 3.4 s; 1,000 rows, $0.0021 a million'."""
    said = f"{counted(line.tasks, 'task')}, {line.busy_seconds:,.1f} s"
    dear = line.usd_per_million_rows
    return said if dear is None else f"{said}; {line.rows:,} rows, {usd(dear)} a million"
