"""The statements that put the ledger's machine time and the provider's side by side.

`known` are the keys of our machines, `ours` and `theirs` a row for each machine and hour (or day),
`matched` both of them with a state and the parts of the difference.
"""

from __future__ import annotations

_KEY = """lower(trim(split_part(
    CASE WHEN resource_id = '' THEN node_id ELSE resource_id END, '/', -1)))"""


SLIM = f"""
CREATE TABLE slim AS SELECT {_KEY} AS key, node_id, cluster, provider, account, instance_type,
    market, vcpu, charge, kind, start_at, end_at, micros, list_usd, effective_usd, billed_usd
FROM lines"""  # noqa: S608 - ours
"""What of the lines is looked at, read once."""


def known(*, has_items: bool) -> str:
    """The statement that makes `known`: machines of the book, and those of other months where the
    store's own names are at hand."""
    more = ""
    if has_items:
        more = f" UNION SELECT DISTINCT {_KEY}, node_id, vcpu FROM items WHERE charge = 'machine'"  # noqa: S608
    return f"""CREATE TABLE known AS SELECT key, min(node_id) AS node_id, max(vcpu) AS vcpu FROM (
        SELECT DISTINCT key, node_id, vcpu FROM slim WHERE charge = 'machine'{more}) GROUP BY 1"""  # noqa: S608 - ours


OURS = """
CREATE TABLE ours AS
WITH cells AS (
    SELECT key, account, instance_type, market, vcpu, start_at, end_at,
        kind != 'credit' AS is_time, CASE WHEN list_usd < 0 THEN -micros ELSE micros END AS micros,
        list_usd, effective_usd
    FROM slim WHERE charge = 'machine' AND start_at >= $1 AND start_at < $2
        AND provider IN (SELECT DISTINCT provider FROM actuals)
), whole AS (
    SELECT *, date_trunc('{grain}', start_at) AS bucket FROM cells
    WHERE end_at <= date_trunc('{grain}', start_at) + INTERVAL 1 {grain}
), marks AS (
    SELECT *, unnest(generate_series(date_trunc('{grain}', start_at),
        end_at - INTERVAL 1 MICROSECOND, INTERVAL 1 {grain})) AS bucket FROM cells
    WHERE end_at > date_trunc('{grain}', start_at) + INTERVAL 1 {grain}
), reach AS (
    SELECT *, epoch_us(greatest(bucket, start_at)) - epoch_us(start_at) AS from_us,
        epoch_us(least(bucket + INTERVAL 1 {grain}, end_at)) - epoch_us(start_at) AS to_us,
        epoch_us(end_at) - epoch_us(start_at) AS whole_us
    FROM marks
), cut AS (
    SELECT key, account, instance_type, market, vcpu, is_time, bucket,
        (micros * to_us::HUGEINT // whole_us - micros * from_us::HUGEINT // whole_us)::BIGINT
            AS micros,
        CASE WHEN to_us = whole_us THEN list_usd ELSE
            (list_usd * (to_us::DOUBLE / whole_us))::DECIMAL(38,12) END
        - CASE WHEN from_us = 0 THEN 0 ELSE
            (list_usd * (from_us::DOUBLE / whole_us))::DECIMAL(38,12) END AS list_usd,
        CASE WHEN to_us = whole_us THEN effective_usd ELSE
            (effective_usd * (to_us::DOUBLE / whole_us))::DECIMAL(38,12) END
        - CASE WHEN from_us = 0 THEN 0 ELSE
            (effective_usd * (from_us::DOUBLE / whole_us))::DECIMAL(38,12) END AS effective_usd
    FROM reach
)
SELECT key, bucket, any_value(account) AS account,
    any_value(instance_type) AS instance_type, any_value(market) AS market,
    max(vcpu) AS vcpu, sum(list_usd) AS usd, sum(effective_usd) AS effective_usd,
    ((coalesce(sum(micros) FILTER (is_time), 0)::BIGINT * 2500 // 9)::DECIMAL(38,0)
        * 0.000000000001::DECIMAL(13,12))::DECIMAL(38,12) AS hours
FROM (SELECT key, account, instance_type, market, vcpu, is_time, bucket, micros,
        list_usd, effective_usd FROM whole UNION ALL SELECT * FROM cut)
GROUP BY key, bucket
HAVING sum(micros) != 0 OR sum(list_usd) != 0
"""
"""The ledger's machines by hour; what lies over a border is cut there, by time. A list price is
what time costs for how it was bought, before commitments."""

THEIRS = """
CREATE TABLE theirs AS
SELECT key, date_trunc('{grain}', start_at) AS bucket, any_value(account) AS account,
    max(instance_type) AS instance_type, any_value(market) AS market,
    sum(rated_usd) AS usd, sum(effective_usd) AS effective_usd, sum(filed_usd) AS filed_usd,
    sum(hours) AS hours, sum(core_hours) AS core_hours, max(cluster) AS cluster
FROM actuals WHERE is_here AND kind = 'machine'
GROUP BY 1, 2
"""
"""The provider's machines by hour; all SKUs of one together."""


def matched() -> str:
    """The statement that makes `matched`, for a tolerance in dollars; an hour may differ by a
    second of time where its dollars do not."""
    return """
CREATE TABLE matched AS
WITH pairs AS (
    SELECT coalesce(o.key, t.key) AS key, coalesce(o.bucket, t.bucket) AS bucket,
        k.node_id, coalesce(t.account, o.account) AS account,
        coalesce(nullif(t.instance_type, ''), o.instance_type, '') AS instance_type,
        o.key IS NOT NULL AS has_ours, t.key IS NOT NULL AS has_theirs,
        k.key IS NOT NULL OR t.cluster IN (SELECT cluster FROM slim WHERE cluster != '')
            AS is_known,
        o.hours AS ours_hours,
        coalesce(t.hours, CASE WHEN coalesce(o.vcpu, k.vcpu) > 0 THEN
            (t.core_hours::DOUBLE / coalesce(o.vcpu, k.vcpu)::DOUBLE)::DECIMAL(38,12)
            ELSE t.core_hours END) AS theirs_hours,
        o.usd AS ours_usd, t.usd AS theirs_usd, o.effective_usd AS ours_effective_usd,
        t.effective_usd AS theirs_effective_usd, coalesce(t.filed_usd, 0) AS filed_usd,
        coalesce(t.usd, 0) - coalesce(o.usd, 0) AS apart_usd,
        o.market AS ours_market,
        (t.market != o.market OR (t.instance_type != '' AND o.instance_type != ''
            AND lower(t.instance_type) != lower(o.instance_type))) AS is_mix
    FROM ours o FULL JOIN theirs t ON o.key = t.key AND o.bucket = t.bucket
    LEFT JOIN known k ON k.key = coalesce(t.key, o.key)
), judged AS (
    SELECT *, CASE
        WHEN NOT is_known THEN 'foreign'
        WHEN abs(apart_usd) <= $1 AND (has_theirs OR ours_usd = 0)
            AND (has_ours OR theirs_usd = 0) THEN 'matched'
        WHEN NOT has_theirs THEN 'not in the actuals'
        WHEN NOT has_ours THEN 'missed by us'
        WHEN ours_market = 'spot' AND theirs_usd = 0 THEN 'interrupted'
        WHEN is_mix THEN 'mix differs'
        WHEN abs(theirs_hours - ours_hours) > 0.0002778 THEN 'quantity differs'
        ELSE 'price differs' END AS state
    FROM pairs
)
SELECT *, CASE
        WHEN state IN ('missed by us', 'not in the actuals') THEN apart_usd
        WHEN state = 'quantity differs' AND ours_hours > 0 THEN
            (ours_usd::DOUBLE / ours_hours::DOUBLE
                * (theirs_hours - ours_hours)::DOUBLE)::DECIMAL(38,12)
        WHEN state = 'quantity differs' THEN apart_usd
        ELSE 0 END::DECIMAL(38,12) AS quantity_usd
FROM judged"""


STATES = """
SELECT state, count(*), sum(ours_hours), sum(theirs_hours), sum(ours_usd), sum(theirs_usd),
    sum(ours_effective_usd), sum(theirs_effective_usd), sum(filed_usd)
FROM matched GROUP BY state
ORDER BY list_position(['matched', 'price differs', 'quantity differs', 'mix differs',
    'interrupted', 'missed by us', 'not in the actuals', 'foreign'], state)"""

CAUSES = """
SELECT sum(apart_usd - quantity_usd) FILTER (state IN ('matched', 'price differs',
        'quantity differs')),
    sum(quantity_usd), sum(apart_usd) FILTER (state = 'mix differs'),
    sum(coalesce(theirs_effective_usd, 0) - coalesce(ours_effective_usd, 0) - apart_usd),
    sum(apart_usd) FILTER (state = 'interrupted')
FROM matched WHERE state != 'foreign'"""
"""Price, quantity, mix, commitment and interruption; they add up to the effective difference."""

KINDS = """
SELECT a.kind, a.rows, a.usd, o.usd FROM (
    SELECT kind, count(*) AS rows, sum(filed_usd) AS usd FROM actuals
    WHERE is_here AND kind != 'machine' GROUP BY 1
) a LEFT JOIN (
    SELECT charge AS kind, sum(billed_usd) AS usd FROM slim WHERE charge != 'machine'
    AND provider IN (SELECT DISTINCT provider FROM actuals) GROUP BY 1
) o USING (kind) ORDER BY a.kind"""

FOREIGN = """
SELECT account, instance_type, count(DISTINCT key), sum(theirs_hours), sum(filed_usd) AS usd
FROM matched WHERE state = 'foreign' GROUP BY 1, 2 ORDER BY usd DESC, 1, 2 LIMIT 50"""

PAIRS = """key, account, node_id, bucket, state, ours_hours, theirs_hours, ours_usd, theirs_usd"""
