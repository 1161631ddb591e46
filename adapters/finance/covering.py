"""Commitments in a book: which entries they cover, what they cost, and what of them nobody used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any

from costplan.adapters.finance.lines_sql import PURCHASE, USAGE
from costplan.adapters.store.entries import instant_of, micros
from costplan.planner.commitments.bill import unit_of
from costplan.planner.commitments.metering import hour_start
from costplan.planner.commitments.values import PROVIDERS, Commitment
from costplan.planner.finance.cover import HOUR_US, Covered, Fee, Segment, Use, cover_hours
from costplan.planner.finance.held_tariff import Machine
from costplan.planner.finance.terms import Terms
from costplan.planner.ledger_months import month_bounds
from costplan.planner.units import PICO_PER_USD, rounded_usd

if TYPE_CHECKING:
    import duckdb

_HOUR = timedelta(hours=1)

_PIECES = f"""
CREATE TABLE pieces AS
WITH kinds AS (
    SELECT item, rate, dense_rank() OVER (ORDER BY provider, account, region, zone, instance_type,
        vcpu, memory_gib, gpus, exact) AS machine
    FROM (SELECT DISTINCT item, rate FROM entries) JOIN items USING (item) JOIN rates USING (rate)
    WHERE charge = 'machine' AND market = 'on_demand'
), firm AS (
    SELECT entry_id, machine, node_id, s.start_us, s.end_us
    FROM standing s JOIN entries e USING (entry_id) JOIN kinds USING (item, rate)
    JOIN items USING (item) WHERE e.start_us >= ? AND e.start_us < ?
), hours AS (
    SELECT *, unnest(range(start_us // {HOUR_US}, (end_us - 1) // {HOUR_US} + 1)) AS hour
    FROM firm
), cut AS (
    SELECT entry_id, machine, node_id, hour, greatest(start_us - hour * {HOUR_US}, 0) AS start_us,
        least(end_us - hour * {HOUR_US}, {HOUR_US}) AS end_us
    FROM hours
)
SELECT *, sum(end_us - start_us) OVER (
    PARTITION BY hour, machine ORDER BY node_id, start_us, entry_id ROWS UNBOUNDED PRECEDING
    )::BIGINT AS to_us
FROM cut
"""  # noqa: S608 - ours
"""What of entries commitments may cover, by hour and kind of machine, one after the other by node.
What was taken back later was never there; what was charged anew is."""

_COVERED = """
CREATE TABLE covered AS
WITH met AS (
    SELECT p.entry_id, s.held, s.share, s.from_us AS begin_us, s.to_us - s.from_us AS long_us,
        greatest(p.to_us - (p.end_us - p.start_us), s.from_us) - s.from_us AS low_us,
        least(p.to_us, s.to_us) - s.from_us AS high_us, s.effective_pico, s.quantity_pico
    FROM segments s JOIN pieces p USING (hour, machine)
    WHERE p.to_us > s.from_us AND p.to_us - (p.end_us - p.start_us) < s.to_us
), parts AS (
    SELECT entry_id, held, round((begin_us + high_us) * share)::BIGINT
        - round((begin_us + low_us) * share)::BIGINT AS micros,
        (high_us - low_us) * share AS exact_us,
        round(effective_pico::DOUBLE * (high_us / long_us))::BIGINT
        - round(effective_pico::DOUBLE * (low_us / long_us))::BIGINT AS effective_pico,
        round(quantity_pico::DOUBLE * (high_us / long_us))::BIGINT
        - round(quantity_pico::DOUBLE * (low_us / long_us))::BIGINT AS quantity_pico
    FROM met
)
SELECT entry_id, held, sum(micros)::BIGINT AS micros,
    sum(exact_us ORDER BY exact_us) AS exact_us, sum(effective_pico)::BIGINT AS effective_pico,
    sum(quantity_pico)::BIGINT AS quantity_pico
FROM parts GROUP BY ALL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A line of a commitment's own: its fee, or what of it nobody used."""

    hour: datetime
    commitment: int
    purpose: str
    billed_pico: int
    effective_pico: int
    quantity: Fraction


def apply_commitments(
    duck: duckdb.DuckDBPyConnection, terms: Terms, hours: tuple[datetime, datetime],
    told: Callable[[str], None],
) -> list[Charge]:  # fmt: skip
    """Makes `covered` of what is `standing`; gives the lines of the commitments' own.

    `hours` are the first and the end of those in which commitments are looked at.
    """
    first, end = hour_start(hours[0]), hours[1]
    duck.execute(_PIECES, [micros(first), micros(end)])
    machines = _machines(duck)
    uses = _uses(duck)
    segments, charges = list[Segment](), list[Charge]()
    days = -1
    for covered in cover_hours(
        _every_hour(first, end, uses), machines, terms.commitments, terms.tariff, terms.rules
    ):
        if covered.fees and covered.fees[0].hour.day != days:
            days = covered.fees[0].hour.day
            told(f"applying commitments: {covered.fees[0].hour:%Y-%m-%d}")
        segments += covered.segments
        charges += _charges(covered)
    _fill_segments(duck, segments)
    duck.execute(_COVERED)
    return charges


def _machines(duck: duckdb.DuckDBPyConnection) -> dict[int, Machine]:
    rows = duck.execute(
        """SELECT DISTINCT machine, provider, account, region, zone, instance_type, vcpu,
        memory_gib, gpus, exact FROM pieces JOIN entries USING (entry_id) JOIN items USING (item)
        JOIN rates USING (rate) ORDER BY 1"""
    ).fetchall()
    found = {}
    for number, provider, account, region, zone, name, vcpu, memory, gpus, exact in rows:
        found[number] = Machine(
            provider=provider,
            account=account,
            region=region,
            zone=zone,
            instance_type=name,
            vcpu=Fraction(vcpu),
            memory_gib=Fraction(memory),
            gpus=gpus,
            usd_per_hour=Fraction(exact),
        )
    return found


def _uses(duck: duckdb.DuckDBPyConnection) -> Iterator[tuple[int, list[Use]]]:
    """What ran in each hour that something ran in, in their order."""
    rows = duck.execute(
        """SELECT hour, machine, start_us, end_us, count(*) FROM pieces
        GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    for hour, group in groupby(rows, key=lambda row: int(row[0])):
        yield (
            hour,
            [
                Use(machine=machine, start_us=start, end_us=end, count=count)
                for _, machine, start, end, count in group
            ],
        )


def _every_hour(
    first: datetime, end: datetime, uses: Iterator[tuple[int, list[Use]]]
) -> Iterator[tuple[datetime, Sequence[Use]]]:
    """All hours, those in which nothing ran as well: a commitment costs then, too."""
    found = next(uses, None)
    hour = first
    while hour < end:
        number = micros(hour) // HOUR_US
        if found is not None and found[0] == number:
            yield hour, found[1]
            found = next(uses, None)
        else:
            yield hour, ()
        hour += _HOUR


def _charges(covered: Covered) -> Iterator[Charge]:
    for fee in covered.fees:
        if fee.billed_pico:
            yield _charge(fee, "fee", billed=fee.billed_pico, effective=0, quantity=fee.quantity)
        if fee.unused_pico or fee.unused:
            yield _charge(fee, "stranded", billed=0, effective=fee.unused_pico, quantity=fee.unused)
    for idle in covered.idle:
        yield Charge(
            hour=idle.hour,
            commitment=idle.commitment,
            purpose="stranded",
            billed_pico=idle.billed_pico,
            effective_pico=idle.effective_pico,
            quantity=idle.units,
        )


def _charge(fee: Fee, purpose: str, *, billed: int, effective: int, quantity: Fraction) -> Charge:
    return Charge(
        hour=fee.hour,
        commitment=fee.commitment,
        purpose=purpose,
        billed_pico=billed,
        effective_pico=effective,
        quantity=quantity,
    )


def _fill_segments(duck: duckdb.DuckDBPyConnection, segments: Sequence[Segment]) -> None:
    import pyarrow as pa

    columns: dict[str, Any] = {
        "hour": pa.array([micros(s.hour) // HOUR_US for s in segments], pa.int64()),
        "machine": pa.array([s.machine for s in segments], pa.int64()),
        "held": pa.array([s.commitment + 1 for s in segments], pa.int64()),
        "from_us": pa.array([float(s.from_us) for s in segments], pa.float64()),
        "to_us": pa.array([float(s.to_us) for s in segments], pa.float64()),
        "share": pa.array([float(s.share) for s in segments], pa.float64()),
        "effective_pico": pa.array([s.effective_pico for s in segments], pa.int64()),
        "quantity_pico": pa.array([round(s.units * PICO_PER_USD) for s in segments], pa.int64()),
    }
    duck.register("batch", pa.table(columns))
    duck.execute("CREATE TABLE segments AS SELECT * FROM batch WHERE to_us > from_us")
    duck.unregister("batch")


def held_rows(commitments: Sequence[Commitment]) -> list[tuple[Any, ...]]:
    """Rows of the table `held`: number, id, kind and unit."""
    return [
        (place + 1, each.commitment_id, str(each.kind), _unit(each))
        for place, each in enumerate(commitments)
    ]


def _unit(commitment: Commitment) -> str:
    unit = unit_of(commitment)
    return unit if unit == "USD" else "Hours"


def add_charges(
    duck: duckdb.DuckDBPyConnection, charges: Sequence[Charge], terms: Terms, month: str | None
) -> None:
    """Adds commitments' own lines to `parts`, with items, rates and recordings of their own.

    Their numbers are below zero: they are of no ledger entry.
    """
    for place, each in enumerate(terms.commitments, start=1):
        product = each.product
        duck.execute(
            "INSERT INTO items VALUES (?, '', ?, ?, ?, ?, ?, ?, '', 0, 0, 0, 'commitment', '')",
            [-place, each.commitment_id, PROVIDERS.get(each.kind, "aws"),
             each.owner.account or terms.account, product.region, product.zone,
             product.instance_type],
        )  # fmt: skip
        usd = Decimal(each.hourly_usd.numerator) / Decimal(each.hourly_usd.denominator)
        duck.execute(
            "INSERT INTO rates VALUES (?, ?, NULL, ?, ?, ?)",
            [-place, rounded_usd(usd), f"commitment {each.kind}",
             each.unit_usd is None, str(usd)],
        )  # fmt: skip
    rows, said = [], {}
    for number, charge in enumerate(charges, start=1):
        begin, end = micros(charge.hour), micros(charge.hour + _HOUR)
        named = month or f"{charge.hour:%Y-%m}"
        at = instant_of(end).replace(tzinfo=None)
        first = micros(month_bounds(named)[0])
        said[-begin] = (-begin, at, "", "", "commitment", named, first)
        is_fee = charge.purpose == "fee"
        rows.append((
            -number, charge.commitment + 1, -charge.commitment - 1, -charge.commitment - 1, -begin,
            PURCHASE if is_fee else USAGE, begin, end, charge.purpose, charge.billed_pico,
            charge.effective_pico, charge.billed_pico if is_fee else charge.effective_pico,
            round(charge.quantity * PICO_PER_USD),
        ))  # fmt: skip
    if rows:
        _insert_charges(duck, rows, list(said.values()))


def _insert_charges(
    duck: duckdb.DuckDBPyConnection,
    rows: Sequence[tuple[Any, ...]],
    said: Sequence[tuple[Any, ...]],
) -> None:
    import pyarrow as pa

    names = (
        "entry_id", "held", "item", "rate", "recording", "kind", "start_us", "end_us", "purpose",
        "billed_pico", "effective_pico", "list_pico", "quantity_pico",
    )  # fmt: skip
    columns = zip(*rows, strict=True)
    table = pa.table({n: pa.array(c) for n, c in zip(names, columns, strict=True)})
    duck.register("batch", table)
    duck.execute("""INSERT INTO parts BY NAME SELECT *, 0 AS micros FROM batch""")
    duck.unregister("batch")
    duck.executemany("INSERT INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?)", [list(r) for r in said])
