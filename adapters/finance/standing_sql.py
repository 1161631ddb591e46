"""What of machines' charges stands, as `ledger_net` says it one by one, with a month's issues or
without: a month's own lines are by what was issued until then, and what a later one changes of
their time is that one's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costplan.adapters.finance.lines_sql import USAGE

if TYPE_CHECKING:
    import duckdb

_DAY_US = 86_400_000_000

_STANDING = f"""
CREATE OR REPLACE TABLE standing AS
WITH machine AS (
    SELECT entry_id, node_id, kind, usd_per_hour, start_us, end_us
    FROM issued JOIN items USING (item) JOIN rates USING (rate) WHERE charge = 'machine'
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


def late_months(duck: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    """Months in which charges of machines of earlier time are issued, by when they begin, each
    with the first recording of such a charge."""
    return duck.execute(
        """SELECT month_us, min(recording) FROM entries JOIN recordings USING (recording)
        JOIN items USING (item) WHERE charge = 'machine' AND start_us < month_us
        GROUP BY 1 ORDER BY 1"""
    ).fetchall()


def make_standing(duck: duckdb.DuckDBPyConnection, month_us: int) -> None:
    """Makes `issued` and `standing` anew: the ledger without what is issued after the month that
    begins then for time before it."""
    duck.execute(
        f"""CREATE OR REPLACE VIEW issued AS SELECT e.* FROM entries e JOIN recordings k
        USING (recording) WHERE k.month_us <= greatest(e.start_us, {month_us})"""  # noqa: S608
    )
    duck.execute(_STANDING)
