"""Savings, commitments, emissions and the price of units of work, asked of the cells of a book."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from costplan.adapters.finance.book import Book, aware, decimal_of, naive
from costplan.adapters.finance.cells import machines
from costplan.planner.finance.carbon import Footprint, PlaceEmission
from costplan.planner.finance.coverage import Commitments, Use
from costplan.planner.finance.grid import grid_of
from costplan.planner.finance.savings import (
    Before,
    Hour,
    OnDemand,
    Otherwise,
    Type,
    adaptive,
    fleet_before,
    on_demand,
)
from costplan.planner.finance.statement import Period, Sums
from costplan.planner.finance.units_of_work import UnitCost

_HOUR = Decimal(3_600_000_000)
_MOST_NAMED = 10
_WORK = "month = ?3 AND purpose IN ('work', 'recompute')"
_THEN = "step_at >= ?1 AND step_at < ?2"

_TASKS = f"""
WITH done AS (
    SELECT prefix, sum(tasks) AS tasks FROM work
    WHERE prefix <> '' AND node_id <> '' AND {_THEN} GROUP BY 1
), spent AS (
    SELECT prefix, sum({{usd}}) AS usd FROM lines WHERE prefix <> '' AND {_WORK} GROUP BY 1
)
SELECT prefix, tasks, usd FROM done JOIN spent USING (prefix) WHERE tasks > 0
ORDER BY usd DESC, 1 LIMIT {{most}}"""  # noqa: S608 - ours
"""Tasks of the machines that the dollars are of."""

_ROWS = f"""
WITH reported AS (
    SELECT span, sum("rows") AS told FROM work WHERE span <> '' AND {_THEN} GROUP BY 1
), by_span AS (
    SELECT span, sum({{usd}}) AS usd FROM lines WHERE span <> '' AND {_WORK} GROUP BY 1
)
SELECT r.span, any_value(r.told), sum(s.usd) AS usd FROM reported r JOIN by_span s
ON s.span = r.span OR starts_with(s.span, r.span || '/')
WHERE r.told > 0 GROUP BY 1 ORDER BY usd DESC, 1 LIMIT {{most}}"""  # noqa: S608 - ours
"""Rows are reported of a span; what the spans inside it cost is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many different machines and runs the lines are of, and the dollars of runs."""

    nodes: int
    runs: int
    runs_usd: Decimal


def ask_counts(book: Book, period: Period, usd: str) -> Counts:
    """What only the lines themselves can tell."""
    nodes, runs, spent = book.rows(
        f"""SELECT count(DISTINCT node_id) FILTER (node_id <> ''),
        count(DISTINCT run) FILTER (run <> ''), sum({usd}) FILTER (run <> '')
        FROM lines WHERE month = ?""",  # noqa: S608 - ours
        period.name,
    )[0]
    return Counts(nodes=nodes, runs=runs, runs_usd=decimal_of(spent))


def ask_otherwise(book: Book, period: Period, before: Before | None) -> tuple[Otherwise, ...]:
    """The alternatives; that of the fleet before only where somebody says what it was."""
    hours, types = _hours(book, period), _types(book)
    paid = decimal_of(
        book.rows(
            """SELECT sum(effective_usd) FROM costs
            WHERE is_mine AND charge IN ('machine', 'commitment')"""
        )[0][0]
    )
    found = [on_demand(_on_demand(book))]
    if before is not None:
        first = book.rows("SELECT min(first_at) FROM costs WHERE is_mine")[0][0]
        start = max(period.start, aware(first).replace(minute=0, second=0, microsecond=0))
        span = (start, period.until)
        used = sum(1 for hour in hours if hour.all_vcpu > 0)
        found.append(fleet_before(before, types, span, used, paid))
    return (*found, adaptive(hours, types, paid))


def _on_demand(book: Book) -> OnDemand:
    row = book.rows(
        """SELECT sum(on_demand_usd),
        sum(CASE WHEN purpose = 'recompute' THEN on_demand_usd END),
        sum(CASE WHEN purpose IN ('boot', 'drain') AND charge = 'machine' THEN on_demand_usd END),
        sum(CASE WHEN charge = 'commitment' OR kind = 'credit' THEN effective_usd
            ELSE known_usd END),
        sum(effective_usd)
        FROM costs WHERE is_mine"""
    )[0]
    unknown = book.rows(
        """SELECT DISTINCT instance_type FROM costs WHERE is_mine AND n_unknown > 0
        AND charge <> 'commitment' AND kind <> 'credit' ORDER BY 1"""
    )
    return OnDemand(
        usd=decimal_of(row[0]),
        recompute_usd=decimal_of(row[1]),
        churn_usd=decimal_of(row[2]),
        paid_usd=decimal_of(row[3]),
        total_usd=decimal_of(row[4]),
        unknown=tuple(name for (name,) in unknown),
    )


def _types(book: Book) -> tuple[Type, ...]:
    rows = book.rows(
        """SELECT provider, region, instance_type, vcpu, gpus, sum(on_demand_usd),
        sum(known_micros)::BIGINT, min(least_rate), max(most_rate)
        FROM costs WHERE is_mine AND charge = 'machine' AND kind = 'usage'
        GROUP BY 1, 2, 3, 4, 5 HAVING sum(known_micros) > 0 ORDER BY 1, 2, 3, 4, 5"""
    )
    return tuple(
        Type(
            provider=provider, region=region, instance_type=instance_type, vcpu=vcpu, gpus=gpus,
            usd_per_hour=usd * _HOUR / micros, least_usd_per_hour=least, most_usd_per_hour=most,
        )
        for provider, region, instance_type, vcpu, gpus, usd, micros, least, most in rows
    )  # fmt: skip


def _hours(book: Book, period: Period) -> tuple[Hour, ...]:
    """What ran in each clock hour of the period: a line counts for the hour that it begins in."""
    parts = ", ".join(
        f"sum(CASE WHEN {which} THEN signed * {of} ELSE 0 END)"
        for of in ("vcpu", "gpus")
        for which in ("purpose = 'work'", "purpose IN ('work', 'idle')", "true")
    )
    rows = book.rows(
        f"""SELECT {parts} FROM (SELECT start_at, purpose, vcpu, gpus,
            CASE WHEN kind = 'correction' AND (effective_usd < 0 OR billed_usd < 0)
            THEN -micros ELSE micros END AS signed
            FROM lines WHERE month = ?1 AND charge = 'machine' AND kind IN ('usage', 'correction')
            AND start_at >= ?2)
        GROUP BY date_trunc('hour', start_at) ORDER BY date_trunc('hour', start_at)""",  # noqa: S608 - ours
        period.name, period.start.replace(tzinfo=None),
    )  # fmt: skip
    names = ("work_vcpu", "ready_vcpu", "all_vcpu", "work_gpu", "ready_gpu", "all_gpu")
    return tuple(
        Hour(**{name: decimal_of(v) / _HOUR for name, v in zip(names, row, strict=True)})
        for row in rows
    )


def ask_commitments(book: Book) -> Commitments:
    """Each commitment's use, and how much of what could be covered was."""
    rows = book.rows(
        """SELECT commitment_id, max(commitment_kind),
        sum(CASE WHEN charge <> 'commitment' THEN effective_usd ELSE 0 END),
        sum(CASE WHEN charge = 'commitment' THEN effective_usd ELSE 0 END),
        sum(CASE WHEN charge <> 'commitment' THEN on_demand_usd ELSE 0 END),
        sum(CASE WHEN charge = 'commitment' THEN billed_usd ELSE 0 END)
        FROM costs WHERE is_mine AND commitment_id IS NOT NULL GROUP BY 1 ORDER BY 1"""
    )
    uses = tuple(
        Use(
            commitment_id=name, kind=kind or "", used_usd=decimal_of(used),
            unused_usd=decimal_of(unused), on_demand_usd=decimal_of(other),
            fee_usd=decimal_of(fee),
        )
        for name, kind, used, unused, other, fee in rows
    )  # fmt: skip
    covered, uncovered = book.rows(
        """SELECT sum(CASE WHEN commitment_status = 'used' THEN on_demand_usd END),
        sum(CASE WHEN commitment_status IS NULL AND market <> 'spot' THEN on_demand_usd END)
        FROM costs WHERE is_mine AND charge = 'machine'"""
    )[0]
    return Commitments(
        uses=uses, covered_usd=decimal_of(covered), uncovered_usd=decimal_of(uncovered)
    )


def ask_carbon(book: Book) -> Footprint:
    """What machines of the period emitted, by region."""
    rows = book.rows(
        """SELECT provider, region, sum(watts), sum(grams), sum(grams_low), sum(grams_high)
        FROM costs WHERE is_mine AND charge = 'machine' AND grams IS NOT NULL
        GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2"""
    )
    places = []
    for provider, region, watts, grams, *_ in rows:
        grid = grid_of(provider, region)
        if grid is not None:
            kwh = watts / _HOUR / 1000
            places.append(
                PlaceEmission(
                    provider=provider, region=region, kwh=kwh, grams=grams / _HOUR, grid=grid
                )
            )
    gaps = sorted({rates for _, rates in machines(book) if isinstance(rates, str)})
    whole, unknown = book.rows(
        """SELECT sum(node_micros)::BIGINT, sum(CASE WHEN is_unknown THEN node_micros END)::BIGINT
        FROM costs WHERE is_mine"""
    )[0]

    def summed(place: int) -> Decimal:
        return sum((row[place] for row in rows), Decimal(0)) / _HOUR

    return Footprint(
        kwh=summed(2) / 1000, grams=summed(3), grams_low=summed(4), grams_high=summed(5),
        places=tuple(places), gaps=tuple(gaps),
        node_hours=Decimal(whole or 0) / _HOUR, gap_node_hours=Decimal(unknown or 0) / _HOUR,
    )  # fmt: skip


def ask_units(
    book: Book, period: Period, usd: str, total: Sums, counts: Counts
) -> tuple[UnitCost, ...]:
    """Dollars for a run, a vCPU-hour and a GPU-hour; where work was counted, for a thousand tasks
    of a prefix and a million rows."""
    found = []
    if counts.runs:
        runs = Decimal(counts.runs)
        found.append(UnitCost(unit="run", of="", units=runs, usd=counts.runs_usd))
    machine, gpu = book.rows(
        f"""SELECT sum(CASE WHEN charge = 'machine' THEN {usd} END),
        sum(CASE WHEN charge = 'machine' AND gpus > 0 THEN {usd} END)
        FROM costs WHERE is_mine"""  # noqa: S608 - ours
    )[0]
    if total.vcpu_micros > 0:
        hours = total.vcpu_hours
        found.append(UnitCost(unit="vCPU-hour", of="", units=hours, usd=decimal_of(machine)))
    if total.gpu_micros > 0:
        hours = total.gpu_hours
        found.append(UnitCost(unit="GPU-hour", of="", units=hours, usd=decimal_of(gpu)))
    return (*found, *_of_work(book, period, usd))


def _of_work(book: Book, period: Period, usd: str) -> list[UnitCost]:
    """What the period's tasks and reported rows cost, by their work and what of it ran again."""
    if not book.has("work"):
        return []
    asked = (naive(period.start), naive(period.end), period.name)
    found = []
    for unit, size, query in (("1,000 tasks", 1000, _TASKS), ("million rows", 1_000_000, _ROWS)):
        for of, count, spent in book.rows(query.format(usd=usd, most=_MOST_NAMED), *asked):
            units = decimal_of(count) / size
            found.append(UnitCost(unit=unit, of=of, units=units, usd=decimal_of(spent)))
    return found
