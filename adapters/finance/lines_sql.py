"""The statements that turn staged ledger entries into charge lines.

Each step is a table or a view of the same rows, made finer: `busy` and `shares` (what of an entry's
time ran tasks), `paid` (by whom: nobody, or a commitment), `parts` (what it did), `told` and
`redone` (for which work), `owned` and `borne` (for whom), `facts` (numbered), `lines`. Everything
is split in whole pico-dollars and microseconds so that the lines of an entry add up to it exactly;
a float says where to cut, and the rest is a difference.
"""

from __future__ import annotations

from collections.abc import Sequence

from costplan.adapters.finance.book import COLUMNS
from costplan.adapters.store.entries import KINDS, USES
from costplan.planner.ledger import Use

PARTS_OF_ENTRY = 65_536
"""A line's number is its entry's times this, and its place in it."""
LABELS = 4_294_967_296
"""Whose a line is: the number of an owner times this, and of a label of work (0: none)."""

BARE = ("micros", "billed_pico", "on_demand_pico")
FULL = (*BARE, "effective_pico", "list_pico", "quantity_pico")
"""What is split of a part, without commitments and with them. What is on demand, and how much of a
commitment it takes, is NULL where there is none."""

USAGE, CORRECTION = KINDS.index("usage"), KINDS.index("correction")
PURCHASE, CREDIT, MOVED = range(len(KINDS), len(KINDS) + 3)
"""Kinds of parts; the last three are no ledger entry's."""

_USD = "DECIMAL(38,12)"

SHARES = f"""
CREATE TABLE shares AS
SELECT entry_id, used_us / thread_us AS share, entry_id AS of_entry FROM busy WHERE thread_us > 0
UNION ALL
SELECT e.entry_id, b.used_us / b.thread_us, b.entry_id
FROM busy b JOIN items i USING (node_id)
JOIN entries e ON e.item = i.item AND e.start_us = b.start_us AND e.end_us = b.end_us
JOIN recordings k USING (recording)
WHERE i.charge != 'machine' AND e.kind = {USAGE} AND k.reason = '' AND b.thread_us > 0
UNION ALL
SELECT e.entry_id, b.used_us / b.thread_us, b.entry_id
FROM (
    SELECT entry_id, node_id, e.start_us, e.end_us FROM entries e JOIN items i USING (item)
    JOIN recordings k USING (recording) WHERE k.reason != ''
) e ASOF JOIN busy b ON b.node_id = e.node_id AND e.start_us >= b.start_us
WHERE e.end_us <= b.end_us AND b.thread_us > 0
"""  # noqa: S608 - ours
"""The share of an entry that did work. That of a disk or an address is its machine's; what charges
the same time anew, and what takes it back before, did what the first charge did."""

_ON_DEMAND = """CASE WHEN r.on_demand_usd_per_hour = r.usd_per_hour THEN e.pico
    ELSE sign(e.pico) * round(
        r.on_demand_usd_per_hour::DOUBLE * 1e12 * (e.end_us - e.start_us) / 3.6e9)::BIGINT END"""

PAID = f"""
CREATE VIEW paid AS
SELECT entry_id, 0 AS held, end_us - start_us AS micros, pico AS billed_pico,
    {_ON_DEMAND} AS on_demand_pico
FROM entries e JOIN rates r USING (rate)
"""  # noqa: S608 - ours
"""Without commitments every entry is billed as it is."""

PAID_COVERED = f"""
CREATE OR REPLACE TABLE paid_now AS
WITH whole AS (
    SELECT entry_id, end_us - start_us AS micros, pico, {_ON_DEMAND} AS on_demand_pico
    FROM issued e JOIN rates r USING (rate)
), reached AS (
    SELECT c.*, w.pico, w.micros AS whole_us,
        sum(c.micros) OVER held_so_far AS sum_us, sum(c.exact_us) OVER held_so_far AS sum_exact_us,
        sum(c.exact_us) OVER (PARTITION BY entry_id ORDER BY held
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) = c.exact_us AS is_last
    FROM covered c JOIN whole w USING (entry_id)
    WINDOW held_so_far AS (PARTITION BY entry_id ORDER BY held ROWS UNBOUNDED PRECEDING)
), placed AS (
    SELECT *, CASE WHEN is_last AND whole_us - sum_exact_us < 0.01 THEN whole_us
        ELSE least(sum_us, whole_us) END AS to_us,
        CASE WHEN is_last AND whole_us - sum_exact_us < 0.01 THEN whole_us
        ELSE least(sum_exact_us, whole_us) END AS to_exact_us
    FROM reached
), parts AS (
    SELECT entry_id, held, (to_us - lag(to_us, 1, 0) OVER so_far)::BIGINT AS micros,
        effective_pico, quantity_pico,
        round(pico::DOUBLE * (to_exact_us / whole_us))::BIGINT
        - round(pico::DOUBLE * (lag(to_exact_us, 1, 0) OVER so_far / whole_us))::BIGINT AS list_pico
    FROM placed WINDOW so_far AS (PARTITION BY entry_id ORDER BY held)
), sums AS (
    SELECT entry_id, sum(micros) AS micros, sum(list_pico) AS list_pico FROM parts GROUP BY 1
)
SELECT entry_id, held, micros, 0::BIGINT AS billed_pico, list_pico AS on_demand_pico,
    effective_pico, list_pico, quantity_pico FROM parts
UNION ALL
SELECT entry_id, 0, micros, pico, on_demand_pico, pico, pico, NULL FROM whole
WHERE entry_id NOT IN (SELECT entry_id FROM sums)
UNION ALL
SELECT entry_id, 0, (w.micros - s.micros)::BIGINT, (pico - list_pico)::BIGINT,
    (pico - list_pico)::BIGINT, (pico - list_pico)::BIGINT, (pico - list_pico)::BIGINT, NULL
FROM whole w JOIN sums s USING (entry_id) WHERE w.micros > s.micros OR w.pico != s.list_pico
"""  # noqa: S608 - ours
"""Each entry that is `issued` by who pays for it: what commitments cover is billed at nothing."""

_MOVES = ", ".join(
    f"CASE WHEN coalesce(n.{m}, b.{m}) IS NOT NULL"
    f" THEN {'abs' if m == 'micros' else ''}(coalesce(n.{m}, 0) - coalesce(b.{m}, 0)) END AS {m}"
    for m in FULL
)
MOVED_COVER = f"""
INSERT INTO moved BY NAME
SELECT ?::BIGINT AS recording, entry_id, held, {_MOVES}
FROM (SELECT * FROM paid_now WHERE entry_id IN (SELECT entry_id FROM paid)) n
FULL JOIN paid_before b USING (entry_id, held)
WHERE (n.micros, n.billed_pico, n.effective_pico, n.list_pico)
    IS DISTINCT FROM (b.micros, b.billed_pico, b.effective_pico, b.list_pico)
"""  # noqa: S608 - ours
"""What a later month changes of who pays for entries of earlier ones: lines of that month."""


def parts(measures: Sequence[str], *, is_final: bool) -> str:
    """The statement that makes `parts`: what each entry did, in one or two parts. They are final
    where none is added."""
    made = "VIEW" if is_final else "TABLE"
    return f"CREATE {made} parts AS {_parts_of('paid', 'e.recording', 'e.kind', measures)}"


def moved(measures: Sequence[str]) -> str:
    """The statement that adds to `parts` what was `moved`, split as the entry itself is."""
    return f"INSERT INTO parts BY NAME {_parts_of('moved', 'p.recording', str(MOVED), measures)}"


def _parts_of(source: str, recording: str, kind: str, measures: Sequence[str]) -> str:
    split = ", ".join(
        f"CASE WHEN part = 0 THEN round({m} * share)::BIGINT "
        f"ELSE {m} - round({m} * share)::BIGINT END AS {m}"
        for m in measures
    )
    boot, ready = USES.index(Use.BOOT), USES.index(Use.READY)
    amounts = ", ".join(f"p.{m}" for m in measures)
    return f"""
WITH shared AS (
    SELECT p.entry_id, p.held, {amounts}, e.item, e.rate, {recording} AS recording,
        {kind} AS kind, e.start_us, e.end_us, coalesce(s.share, 0.0) AS share, s.of_entry,
        CASE e."use" WHEN {boot} THEN 'boot' WHEN {ready} THEN 'idle' ELSE 'drain' END AS otherwise
    FROM {source} p JOIN entries e USING (entry_id) LEFT JOIN shares s USING (entry_id)
)
SELECT entry_id, held, item, rate, recording, kind, start_us, end_us, of_entry,
    CASE WHEN part = 0 THEN 'work' ELSE otherwise END AS purpose, {split}
FROM shared CROSS JOIN (VALUES (0), (1)) two (part)
WHERE CASE WHEN part = 0 THEN share > 0 ELSE share < 1 END"""  # noqa: S608 - ours


def refunds(measures: Sequence[str]) -> str:
    """The statement that adds the provider's refunds to `parts`: of each entry in `given_back` as
    much as stands of it, shared out over its parts so that it adds up, and what a later recording
    changes of that."""
    sums = ", ".join(
        f"sum({m}) OVER so_far AS to_{m}, sum({m}) OVER whole_entry AS all_{m}" for m in measures
    )
    back = ", ".join(
        f"({'' if m == 'micros' else '-sign(back_pico) * '}(coalesce({_back(f'to_{m}', m)}, 0)"
        f" - coalesce({_back(f'(to_{m} - {m})', m)}, 0)))::BIGINT AS {m}"
        for m in measures
    )
    return f"""INSERT INTO parts BY NAME
WITH due AS (
    SELECT p.* REPLACE (coalesce(g.recording, p.recording) AS recording), pico, back_pico, {sums}
    FROM parts p JOIN given_back g USING (entry_id)
    WHERE kind = {USAGE} AND held = 0
    WINDOW so_far AS (PARTITION BY entry_id, g.recording ORDER BY purpose
        ROWS UNBOUNDED PRECEDING), whole_entry AS (PARTITION BY entry_id, g.recording)
)
SELECT entry_id, held, item, rate, recording, {CREDIT} AS kind, start_us, end_us, of_entry,
    purpose, {back} FROM due"""  # noqa: S608 - ours


def _back(reached: str, measure: str) -> str:
    """What is given back of an entry's `measure`, rounded, for as much of it as is reached."""
    whole = f"all_{measure}::HUGEINT"
    due = f"(({whole} * abs(back_pico) * 2 + pico) // (pico * 2))"
    return f"{due} * {reached}::HUGEINT // nullif({whole}, 0)"


def owned(source: str) -> str:
    """The statement that makes `owned`: whose each part is."""
    return f"""CREATE VIEW owned AS
SELECT t.*, o.owner FROM {source} t JOIN items i USING (item)
JOIN owners o ON o.workload = i.workload AND t.start_us >= o.since_us AND t.start_us < o.until_us"""  # noqa: S608 - ours


def facts(source: str, measures: Sequence[str], *, is_simple: bool) -> str:
    """The statement that makes `facts`: the parts with their numbers, and whose they are.

    Where it is simple an entry has one part that did work and one other at most.
    """
    who = f"owner * {LABELS} + label"
    place = "(purpose != 'work')::BIGINT"
    if not is_simple:
        place = (
            "row_number() OVER (PARTITION BY entry_id "
            f"ORDER BY kind, recording, held, (purpose != 'work'), purpose, {who}) - 1"
        )
    return f"""CREATE TABLE facts AS
SELECT entry_id * {PARTS_OF_ENTRY} + {place} AS line_id, entry_id, held, item, rate, recording,
    kind, purpose, start_us, end_us, {who} AS who, {", ".join(measures)} FROM {source}"""  # noqa: S608 - ours


def usd(pico: str) -> str:
    """An amount of whole pico-dollars as dollars, exactly."""
    return f"({pico}::DECIMAL(38,0) * 0.000000000001::DECIMAL(13,12))::{_USD}"


def view(measures: Sequence[str]) -> str:
    """The statement that makes `lines` of the facts and what they refer to."""
    made = {
        "kind": f"""CASE WHEN f.kind = {PURCHASE} THEN 'purchase' WHEN f.kind = {CREDIT}
            THEN 'credit' WHEN f.kind = {CORRECTION}
            OR f.start_us < k.month_us THEN 'correction'
            ELSE 'usage' END""",
        "start_at": "make_timestamp(f.start_us)",
        "end_at": "make_timestamp(f.end_us)",
        "commitment_id": "h.commitment_id",
        "commitment_kind": "h.kind",
        "commitment_status": f"""CASE WHEN f.held = 0 OR f.kind = {PURCHASE} THEN NULL
            WHEN f.purpose = 'stranded' THEN 'unused' ELSE 'used' END""",
        "commitment_quantity": "NULL",
        "commitment_unit": "h.unit",
    }
    for name in ("billed", "effective", "list", "on_demand"):
        there = f"{name}_pico" if f"{name}_pico" in measures else "billed_pico"
        made[f"{name}_usd"] = usd(f"f.{there}")
    if "quantity_pico" in measures:
        made["commitment_quantity"] = usd("f.quantity_pico")
    tables = {
        "f": ("line_id", "entry_id", "purpose", "micros"),
        "k": ("recorded_at", "plan_id", "month"),
        "r": ("usd_per_hour", "on_demand_usd_per_hour", "rate_source", "is_estimate"),
        "w": ("cluster", "workload", "team", "project", "cost_center", "environment", "user",
              "run", "span", "prefix", "tags"),
    }  # fmt: skip
    for table, names in tables.items():
        made |= {name: f'{table}."{name}"' for name in names}
    columns = [f'{made.get(name, "i." + name)}::{kind} AS "{name}"' for name, kind in COLUMNS]
    return f"""CREATE VIEW lines AS SELECT {", ".join(columns)} FROM facts f
JOIN items i USING (item) JOIN rates r USING (rate) JOIN recordings k USING (recording)
JOIN whose w USING (who) LEFT JOIN held h USING (held)"""  # noqa: S608 - ours
