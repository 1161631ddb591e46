"""The statements that turn staged ledger entries into charge lines.

Everything is split in whole pico-dollars and microseconds, and the last part takes what is left,
so that the lines of an entry add up to it exactly. No amount is a float but where a share is
taken of it, and there the other part is the rest.
"""

from __future__ import annotations

from costplan.adapters.finance.book import COLUMNS

PARTS_OF_ENTRY = 65_536
"""A line's number is its entry's times this, and its place in it."""

_BACK = """WINDOW back AS (
        PARTITION BY node_id ORDER BY start_us DESC, entry_id DESC ROWS UNBOUNDED PRECEDING)"""

BUSY = f"""
CREATE TEMP TABLE busy AS
WITH worked AS (
    SELECT entry_id, node_id, start_us, end_us, busy_us,
        CASE WHEN "use" IN ('ready', 'drain') THEN thread_us ELSE 0 END AS thread_us
    FROM entries JOIN items USING (item)
    WHERE charge = 'machine' AND kind = 'usage' AND (busy_us > 0 OR thread_us > 0)
), summed AS (
    SELECT *, sum(busy_us - thread_us) OVER back AS over_us FROM worked
    {_BACK}
), carried AS (
    SELECT *, over_us - least(0, min(over_us) OVER back) AS carry_us FROM summed
    {_BACK}
)
SELECT entry_id, node_id, start_us, end_us, thread_us,
    busy_us + lag(carry_us, 1, 0) OVER back - carry_us AS used_us
FROM carried
{_BACK}
"""
"""How much of each entry's thread-time ran tasks. A task counts where it ended, and it ran before:
what is more than an entry's thread-time goes to the entry before it, and so on."""

SHARES = """
CREATE TEMP TABLE shares AS
SELECT e.entry_id, b.used_us / b.thread_us AS share
FROM busy b JOIN items i USING (node_id)
JOIN entries e ON e.item = i.item AND e.start_us = b.start_us AND e.end_us = b.end_us
WHERE e.kind = 'usage' AND b.thread_us > 0 AND b.used_us > 0
"""
"""The share of an entry that did work; that of a disk or an address is its machine's."""

FACTS = f"""
CREATE TABLE facts AS
WITH shared AS (
    SELECT e.*, r.on_demand_usd_per_hour, coalesce(s.share, 0.0) AS share,
        CASE WHEN "use" = 'boot' THEN 'boot' WHEN "use" = 'ready' THEN 'idle' ELSE 'drain' END
        AS otherwise, end_us - start_us AS whole_us,
        CASE WHEN r.on_demand_usd_per_hour = r.usd_per_hour THEN pico
        ELSE sign(pico) * round(
            r.on_demand_usd_per_hour::DOUBLE * 1e12 * (end_us - start_us) / 3.6e9)::BIGINT
        END AS on_demand_pico
    FROM entries e JOIN rates r USING (rate) LEFT JOIN shares s USING (entry_id)
), worked AS (
    SELECT *, round(whole_us * share)::BIGINT AS worked_us,
        round(pico * share)::BIGINT AS worked_pico,
        round(on_demand_pico * share)::BIGINT AS worked_on_demand_pico
    FROM shared
)
SELECT entry_id * {PARTS_OF_ENTRY} + part AS line_id, entry_id, item, rate, recording, month, kind,
    CASE WHEN part = 0 THEN 'work' ELSE otherwise END AS purpose, start_us, end_us,
    CASE WHEN part = 0 THEN worked_us ELSE whole_us - worked_us END AS micros,
    CASE WHEN part = 0 THEN worked_pico ELSE pico - worked_pico END AS billed_pico,
    CASE WHEN part = 0 THEN worked_on_demand_pico ELSE on_demand_pico - worked_on_demand_pico END
    AS on_demand_pico
FROM worked CROSS JOIN (VALUES (0), (1)) parts (part)
WHERE CASE WHEN part = 0 THEN share > 0 ELSE share < 1 END
"""  # noqa: S608 - ours

_USD = "DECIMAL(38,12)"


def usd(pico: str) -> str:
    """An amount of whole pico-dollars as dollars, exactly."""
    return f"({pico}::DECIMAL(38,0) * 0.000000000001::DECIMAL(13,12))::{_USD}"


def view() -> str:
    """The statement that makes `lines` of the facts and what they refer to."""
    made = {
        "recorded_at": "k.recorded_at",
        "plan_id": "k.plan_id",
        "start_at": "make_timestamp(f.start_us)",
        "end_at": "make_timestamp(f.end_us)",
        "billed_usd": usd("f.billed_pico"),
        "effective_usd": usd("f.billed_pico"),
        "list_usd": usd("f.billed_pico"),
        "on_demand_usd": usd("f.on_demand_pico"),
        "commitment_id": "NULL::VARCHAR",
        "commitment_kind": "NULL::VARCHAR",
        "commitment_status": "NULL::VARCHAR",
        "commitment_quantity": f"NULL::{_USD}",
        "commitment_unit": "NULL::VARCHAR",
        "cluster": "t.cluster",
        "team": "t.team",
        "project": "t.project",
        "cost_center": "t.cost_center",
        "environment": "t.environment",
        "user": "''",
        "run": "''",
        "span": "''",
        "prefix": "''",
        "tags": "t.tags",
    }
    of_table = dict.fromkeys(
        ("line_id", "entry_id", "month", "kind", "purpose", "micros"), "f"
    ) | dict.fromkeys(("usd_per_hour", "on_demand_usd_per_hour", "rate_source", "is_estimate"), "r")
    columns = [
        f'{made.get(name) or of_table.get(name, "i") + "." + name}::{kind} AS "{name}"'
        for name, kind in COLUMNS
    ]
    return (
        f"CREATE VIEW lines AS SELECT {', '.join(columns)} FROM facts f JOIN items i USING (item) "  # noqa: S608 - ours
        "JOIN rates r USING (rate) JOIN recordings k USING (recording) CROSS JOIN terms t"
    )
