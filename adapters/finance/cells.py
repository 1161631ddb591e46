"""The lines of a book added up once into cells, which everything in a statement is asked of.

A cell is what lines have in common that a statement tells apart: its day, place, size, what was
paid for and why, and what the tables are by. Ten million lines are some ten thousand cells. All
is exact: dollars are DECIMAL(38,12), time whole microseconds, watts and grams decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from costplan.adapters.finance.book import Book, decimal_of, naive
from costplan.planner.finance.anomalies import WINDOW_DAYS
from costplan.planner.finance.carbon import Machine, Rates, rates_of
from costplan.planner.finance.dimensions import TAG
from costplan.planner.finance.statement import Period, Sums

KEYS = (
    "provider", "region", "instance_type", "market", "vcpu", "memory_gib", "gpus", "charge",
    "kind", "purpose", "is_estimate", "commitment_id", "commitment_kind", "commitment_status",
    "workload", "team",
)  # fmt: skip
"""Columns of the lines that every cell has; those that tables are by are added."""

_SIGNED = """CASE WHEN kind IN ('purchase', 'credit') THEN 0
    WHEN kind = 'correction' AND (billed_usd < 0 OR effective_usd < 0 OR list_usd < 0)
    THEN -micros ELSE micros END"""
"""A correction below zero takes its time back; a refund takes none, and a fee has none."""

_MACHINE = ("provider", "region", "instance_type", "vcpu", "memory_gib", "gpus")

SUMS = """sum(n)::BIGINT, sum(billed_usd), sum(effective_usd), sum(list_usd),
    sum(CASE WHEN is_estimate THEN effective_usd ELSE 0 END),
    sum(node_micros)::BIGINT, sum(node_micros * vcpu), sum(node_micros * gpus)::BIGINT,
    sum(grams), bool_or(is_unknown)"""
"""What `sums_of` reads."""


def column(name: str) -> str:
    """A dimension as a column of the cells."""
    return '"' + name.replace('"', '""') + '"'


def make_cells(
    book: Book, period: Period, by: Sequence[str], planned_since: datetime | None
) -> None:
    """Makes the tables `cells`, of the period's lines and those of eight weeks before it, and
    `costs`, the cells with what their machines drew.

    `is_mine` says which lines are issued in the period, `is_planned` which began under a plan. What
    is issued in it for time before it counts for its first day.
    """
    more = [name for name in by if name not in KEYS and name != "day"]
    names = ", ".join(
        [*map(column, KEYS), *(f"{_source(name)} AS {column(name)}" for name in more)]
    )
    book.db.execute("DROP TABLE IF EXISTS costs; DROP TABLE IF EXISTS cells")
    book.db.execute(
        f"""CREATE TEMP TABLE cells AS SELECT month = ?1 AS is_mine,
            CASE WHEN month = ?1 THEN greatest(start_at, ?2) ELSE start_at END::DATE AS day,
            coalesce(start_at >= ?4, false) AS is_planned, {names},
            count(*) AS n, sum(billed_usd) AS billed_usd, sum(effective_usd) AS effective_usd,
            sum(list_usd) AS list_usd, sum(on_demand_usd) AS on_demand_usd,
            sum(CASE WHEN on_demand_usd IS NULL THEN 0 ELSE effective_usd END) AS known_usd,
            count(*) FILTER (on_demand_usd IS NULL) AS n_unknown,
            sum({_SIGNED})::BIGINT AS micros,
            sum(CASE WHEN on_demand_usd IS NULL THEN 0 ELSE {_SIGNED} END)::BIGINT AS known_micros,
            max(recorded_at) AS recorded_at, min(start_at) AS first_at,
            min(on_demand_usd_per_hour) AS least_rate, max(on_demand_usd_per_hour) AS most_rate,
            count(*) FILTER (kind = 'correction' AND start_at < ?2 AND month = ?1) AS n_earlier
        FROM lines WHERE month = ?1 OR (month < ?1 AND start_at >= ?3) GROUP BY ALL""",  # noqa: S608
        [period.name, naive(period.start), naive(period.start - timedelta(days=WINDOW_DAYS)),
         None if planned_since is None else naive(planned_since)],
    )  # fmt: skip
    _make_costs(book)


def _source(name: str) -> str:
    if not name.startswith(TAG):
        return column(name)
    key = name.removeprefix(TAG)  # of letters, digits and signs that need no quoting
    return f"coalesce(json_extract_string(tags, '$.\"{key}\"'), '')"


def machines(book: Book) -> list[tuple[Machine, Rates | str]]:
    """Each size and place of machine in the period, and its rates or what is not known of it."""
    rows = book.rows(
        f"""SELECT DISTINCT {", ".join(_MACHINE)} FROM cells
        WHERE is_mine AND charge = 'machine' ORDER BY ALL"""  # noqa: S608 - ours
    )
    found = []
    for row in rows:
        machine = Machine(**dict(zip(_MACHINE, row, strict=True)))
        found.append((machine, rates_of(machine)))
    return found


def _make_costs(book: Book) -> None:
    watts = ("rest_watts", "half_watts", "full_watts")
    columns = ", ".join(
        [f"{name} VARCHAR" for name in _MACHINE[:3]]
        + ["vcpu DECIMAL(18,3)", "memory_gib DECIMAL(18,3)", "gpus INTEGER"]
        + [f"{name} DECIMAL(18,6)" for name in (*watts, "rest_g", "half_g", "full_g")]
    )
    book.db.execute(f"CREATE OR REPLACE TEMP TABLE footprints ({columns})")
    for machine, rates in machines(book):
        if isinstance(rates, str):
            continue
        drawn = [rates.rest_watts, rates.half_watts, rates.full_watts]
        values = [getattr(machine, name) for name in _MACHINE]
        values += [*drawn, *(rates.grams_per_hour(each) for each in drawn)]
        marks = ", ".join("?" for _ in values)
        book.db.execute(f"INSERT INTO footprints VALUES ({marks})", values)  # noqa: S608 - marks
    busy = "c.purpose IN ('work', 'recompute')"
    same = " AND ".join(f"c.{name} = f.{name}" for name in _MACHINE)
    book.db.execute(
        f"""CREATE TEMP TABLE costs AS SELECT c.*,
            CASE WHEN charge = 'machine' THEN micros ELSE 0 END AS node_micros,
            node_micros * CASE WHEN {busy} THEN full_g ELSE rest_g END AS grams,
            node_micros * CASE WHEN {busy} THEN half_g ELSE rest_g END AS grams_low,
            node_micros * full_g AS grams_high,
            node_micros * CASE WHEN {busy} THEN full_watts ELSE rest_watts END AS watts,
            charge = 'machine' AND node_micros <> 0 AND full_g IS NULL AS is_unknown
        FROM cells c LEFT JOIN footprints f ON {same}"""  # noqa: S608 - ours
    )


def sums_of(row: Sequence[object]) -> Sums:
    """What a row of `SUMS` says."""
    lines, billed, effective, listed, estimated, node, vcpu, gpu, grams, is_unknown = row
    return Sums(
        lines=_int(lines),
        billed_usd=decimal_of(billed),
        effective_usd=decimal_of(effective),
        list_usd=decimal_of(listed),
        estimated_usd=decimal_of(estimated),
        node_micros=_int(node),
        vcpu_micros=decimal_of(vcpu),
        gpu_micros=_int(gpu),
        grams_co2e=None if is_unknown else decimal_of(grams) / 3_600_000_000,
    )


def _int(value: object) -> int:
    return 0 if value is None else int(str(value))
