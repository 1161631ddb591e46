"""The statement that says what of machines' charges stands, as `ledger_net` does one by one."""

from __future__ import annotations

from costplan.adapters.finance.lines_sql import USAGE

_DAY_US = 86_400_000_000

STANDING = f"""
CREATE TABLE standing AS
WITH machine AS (
    SELECT entry_id, node_id, kind, usd_per_hour, start_us, end_us
    FROM entries JOIN items USING (item) JOIN rates USING (rate) WHERE charge = 'machine'
), usage AS (
    SELECT * FROM machine WHERE kind = {USAGE}
), by_day AS (
    SELECT *, unnest(range(start_us // {_DAY_US}, (end_us - 1) // {_DAY_US} + 1)) AS day
    FROM machine
), met AS (
    SELECT DISTINCT u.entry_id, u.start_us, u.end_us,
        greatest(b.start_us, u.start_us) AS from_us, least(b.end_us, u.end_us) AS to_us
    FROM by_day u JOIN by_day b USING (node_id, usd_per_hour, day)
    WHERE u.kind = {USAGE} AND b.kind != {USAGE} AND b.entry_id > u.entry_id
        AND b.start_us < u.end_us AND u.start_us < b.end_us
), ordered AS (
    SELECT *, coalesce(max(to_us) OVER (PARTITION BY entry_id ORDER BY from_us, to_us
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), start_us) AS reached_us
    FROM met
)
SELECT entry_id, start_us, end_us FROM usage WHERE entry_id NOT IN (SELECT entry_id FROM met)
UNION ALL
SELECT entry_id, reached_us, from_us FROM ordered WHERE reached_us < from_us
UNION ALL
SELECT entry_id, max(to_us), max(end_us) FROM ordered GROUP BY entry_id
HAVING max(to_us) < max(end_us)
"""  # noqa: S608 - ours
"""What of each charge was not taken back later: a correction takes back what it lies over, of the
same node at the rate that was charged, and nothing that was charged after it."""
