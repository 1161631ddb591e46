"""Commitments in a book: which entries they cover, what they cost, and what of them nobody used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any

from costplan.adapters.finance.lines_sql import MOVED_COVER, PAID_COVERED, PURCHASE, USAGE
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
    import pyarrow

_HOUR = timedelta(hours=1)

_KINDS = """
CREATE TABLE kinds AS
SELECT item, rate, dense_rank() OVER (ORDER BY provider, account, region, zone, instance_type,
    vcpu, memory_gib, gpus, exact) AS machine
FROM (SELECT DISTINCT item, rate FROM entries) JOIN items USING (item) JOIN rates USING (rate)
WHERE charge = 'machine' AND market = 'on_demand'
"""

_PIECES = f"""
CREATE OR REPLACE TABLE pieces AS
WITH firm AS (
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

_TOUCHED = f"""
CREATE OR REPLACE TABLE touched AS
SELECT DISTINCT unnest(range(e.start_us // {HOUR_US}, (e.end_us - 1) // {HOUR_US} + 1)) AS hour
FROM entries e JOIN recordings USING (recording) JOIN kinds USING (item, rate)
WHERE month_us = ? AND e.start_us < month_us
"""  # noqa: S608 - ours
"""Hours of which a later month changes what ran."""

_COVERED = """
CREATE OR REPLACE TABLE covered AS
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
    """A line of a commitment's own: its fee, or what of it nobody used; `recording` is the later
    one that changed it, where one did."""

    hour: datetime
    commitment: int
    purpose: str
    billed_pico: int
    effective_pico: int
    quantity: Fraction
    recording: int | None = None


class Covering:
    """Commitments applied to a book in `hours` (the first and the end of them): first to what was
    issued in time, then anew to the hours of which each later month changes something."""

    def __init__(
        self, duck: duckdb.DuckDBPyConnection, terms: Terms, hours: tuple[datetime, datetime],
        told: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._duck, self._terms, self._told = duck, terms, told
        self._first, self._end = hour_start(hours[0]), hours[1]
        self._now = dict[datetime, list[Charge]]()
        self._last = "paid"
        self.charges = list[Charge]()
        duck.execute(_KINDS)

    def begin(self) -> None:
        """Makes `paid` of what is `issued`, and the lines of the commitments' own."""
        self._pieces()
        hours = _every_hour(self._first, self._end, _uses(self._duck))
        segments = self._cover(hours)
        self.charges += [charge for hour in self._now.values() for charge in hour]
        self._duck.register("batch", segments)
        self._duck.execute("CREATE TABLE segments AS SELECT * FROM batch WHERE to_us > from_us")
        self._duck.unregister("batch")
        self._duck.execute(_COVERED)
        self._duck.execute(PAID_COVERED)
        self._duck.execute("ALTER TABLE paid_now RENAME TO paid")
        self._duck.execute("CREATE TABLE moved AS SELECT 0 AS recording, * FROM paid LIMIT 0")

    def go_on(self, month_us: int, recording: int) -> None:
        """Takes in what is `issued` in a later month: what was said stays, and what is otherwise
        now is `moved`, by that recording."""
        duck = self._duck
        before = dict(self._now)
        self._pieces()
        duck.execute(_TOUCHED, [month_us])
        ran = dict(_uses(duck))
        numbers = [n for (n,) in duck.execute("SELECT hour FROM touched ORDER BY 1").fetchall()]
        hours = [(instant_of(n * HOUR_US), ran.get(n, ())) for n in numbers]
        inside = [(at, uses) for at, uses in hours if self._first <= at < self._end]
        self._now.update((at, []) for at, _ in inside)
        segments = self._cover(inside)
        for at, _ in inside:
            self.charges += _less(self._now.get(at, ()), before.get(at, ()), recording)
        duck.execute("DELETE FROM segments WHERE hour IN (SELECT hour FROM touched)")
        duck.register("batch", segments)
        duck.execute("INSERT INTO segments SELECT * FROM batch WHERE to_us > from_us")
        duck.unregister("batch")
        duck.execute(_COVERED)
        duck.execute(f"CREATE OR REPLACE TABLE paid_before AS FROM {self._last}")
        self._last = "paid_now"
        duck.execute(PAID_COVERED)
        duck.execute(MOVED_COVER, [recording])
        duck.execute(
            """INSERT INTO paid FROM paid_now
            WHERE entry_id NOT IN (SELECT entry_id FROM paid_before)"""
        )

    def _pieces(self) -> None:
        self._duck.execute(_PIECES, [micros(self._first), micros(self._end)])

    def _cover(self, hours: Iterable[tuple[datetime, Sequence[Use]]]) -> pyarrow.Table:
        """Notes the commitments' own lines of each hour; gives what they cover."""
        terms, machines = self._terms, _machines(self._duck)
        segments, days = list[Segment](), -1
        for covered in cover_hours(hours, machines, terms.commitments, terms.tariff, terms.rules):
            if covered.fees and covered.fees[0].hour.day != days:
                days = covered.fees[0].hour.day
                self._told(f"applying commitments: {covered.fees[0].hour:%Y-%m-%d}")
            segments += covered.segments
            for charge in _charges(covered):
                self._now.setdefault(charge.hour, []).append(charge)
        return _segments(segments)


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


def _less(now: Iterable[Charge], before: Iterable[Charge], recording: int) -> Iterator[Charge]:
    """What an hour's charges are now less what they were, as charges of that recording."""
    sums = dict[tuple[int, str], list[Fraction]]()
    hour = None
    for sign, charges in ((1, now), (-1, before)):
        for each in charges:
            hour = each.hour
            so_far = sums.setdefault((each.commitment, each.purpose), [Fraction(0)] * 3)
            sums[each.commitment, each.purpose] = [
                so_far[0] + sign * each.billed_pico,
                so_far[1] + sign * each.effective_pico,
                so_far[2] + sign * each.quantity,
            ]
    for (commitment, purpose), (billed, effective, quantity) in sorted(sums.items()):
        if hour is not None and (billed or effective or quantity):
            yield Charge(
                hour=hour, commitment=commitment, purpose=purpose, billed_pico=int(billed),
                effective_pico=int(effective), quantity=quantity, recording=recording,
            )  # fmt: skip


def _charge(fee: Fee, purpose: str, *, billed: int, effective: int, quantity: Fraction) -> Charge:
    return Charge(
        hour=fee.hour,
        commitment=fee.commitment,
        purpose=purpose,
        billed_pico=billed,
        effective_pico=effective,
        quantity=quantity,
    )


def _segments(segments: Sequence[Segment]) -> pyarrow.Table:
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
    return pa.table(columns)


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
        recording = -begin if charge.recording is None else charge.recording
        if charge.recording is None:
            said[-begin] = (-begin, at, "", "", "commitment", named, first)
        is_fee = charge.purpose == "fee"
        rows.append((
            -number, charge.commitment + 1, -charge.commitment - 1, -charge.commitment - 1,
            recording, PURCHASE if is_fee else USAGE, begin, end, charge.purpose,
            charge.billed_pico, charge.effective_pico,
            charge.billed_pico if is_fee else charge.effective_pico,
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
    if said:
        duck.executemany(
            "INSERT INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?)", [list(r) for r in said]
        )
