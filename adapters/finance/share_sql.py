"""The statements that share lines out: over the work that was done, and over who bears what is
nobody's. See `lines_sql` for the tables."""

from __future__ import annotations

from collections.abc import Sequence

from costplan.planner.finance.lines import Purpose

_STEP_US = 900_000_000
_HOUR_US = 3_600_000_000
_DAY_US = 86_400_000_000

WEIGHTS = f"""
CREATE TABLE weights AS
WITH told AS (
    SELECT node_id, step_us, label, busy_us AS weight FROM done WHERE busy_us > 0 AND node_id != ''
), steps AS (
    SELECT DISTINCT node_id, step_us FROM told
), asked AS (
    SELECT entry_id, node_id, start_us // {_STEP_US} * {_STEP_US} AS step_us, own_us
    FROM busy WHERE used_us > 0
), found AS (
    SELECT a.entry_id, a.node_id, s.step_us
    FROM asked a ASOF JOIN steps s ON a.node_id = s.node_id AND a.step_us <= s.step_us
    WHERE s.step_us = a.step_us OR a.own_us = 0
)
SELECT f.entry_id, t.label, t.weight FROM found f JOIN told t USING (node_id, step_us)
"""  # noqa: S608 - ours
"""By what each entry's work is shared out: what its node finished in its quarter of an hour; where
only tasks that ended later ran in it, what was finished next."""


def split(
    source: str, weights: str, key: Sequence[str], kept: Sequence[str], measures: Sequence[str]
) -> str:
    """A query that shares each row of `source` out over its `weights` (of the same `key`, with
    `label` and `weight`): whole numbers by largest remainder, which add up to the row's.

    Equal remainders go by label. Quotients are guessed as floats and made exact in 128 bits.
    """
    keys = ", ".join(key)
    of_row = ", ".join(f"s.{name}" for name in (*key, *kept, *measures))
    names = ", ".join((*key, *kept, *measures, "label", "weight", "total"))
    guess = ", ".join(f"floor({m}::DOUBLE * (weight / total))::BIGINT AS q_{m}" for m in measures)
    rest = ", ".join(
        f"q_{m}, {m}::HUGEINT * weight - q_{m}::HUGEINT * total AS r_{m}" for m in measures
    )
    again = ", ".join(
        f"q_{m} + floor(r_{m} / total)::BIGINT AS q_{m}, "
        f"r_{m} - floor(r_{m} / total)::HUGEINT * total AS r_{m}"
        for m in measures
    )
    done = ", ".join(
        f"(q_{m} + (row_number() OVER (PARTITION BY {keys} ORDER BY r_{m} DESC, label) "
        f"<= {m} - sum(q_{m}) OVER (PARTITION BY {keys}))::BIGINT)::BIGINT AS {m}"
        for m in measures
    )
    return f"""
    WITH summed AS (
        SELECT {of_row}, w.label, w.weight::HUGEINT AS weight,
            sum(w.weight) OVER (PARTITION BY {keys}) AS total
        FROM {source} s JOIN {weights} w USING ({keys})
    ), guessed AS (SELECT {names}, {guess} FROM summed),
    first AS (SELECT {names}, {rest} FROM guessed),
    second AS (SELECT {names}, {again} FROM first),
    third AS (SELECT {names}, {again} FROM second)
    SELECT {", ".join((*key, *kept, "label"))}, {done} FROM third"""  # noqa: S608 - ours


def told(measures: Sequence[str]) -> str:
    """The statement that makes `told`: the parts, with work shared out over its labels."""
    kept = ("item", "rate", "recording", "start_us", "end_us", "purpose")
    names = ", ".join(("entry_id", "held", "kind", *kept))
    amounts = ", ".join(measures)
    shared = split("labelled", "of_labels", ("entry_id", "held", "kind"), kept, measures)
    return f"""CREATE TABLE told AS
WITH labelled AS (
    SELECT * FROM parts WHERE purpose = 'work' AND of_entry IN (SELECT entry_id FROM weights)
), of_labels AS (
    SELECT l.entry_id, l.held, l.kind, w.label, w.weight
    FROM labelled l JOIN weights w ON w.entry_id = l.of_entry
)
SELECT {names}, label, {amounts} FROM ({shared})
UNION ALL
SELECT {names}, 0, {amounts} FROM parts
WHERE purpose != 'work' OR of_entry NOT IN (SELECT entry_id FROM weights)"""  # noqa: S608 - ours


UNTOLD = "CREATE VIEW told AS SELECT *, 0 AS label FROM parts"
"""Where nobody told of work, all of it is the workload's."""

REDO = f"""
CREATE TABLE redo AS
WITH hours AS (
    SELECT unnest(range(begin_us // {_HOUR_US}, (end_us - 1) // {_HOUR_US} + 1)) AS hour, *
    FROM again WHERE end_us > begin_us
), lost AS (
    SELECT hour, sum(recomputed_us::DOUBLE
        * (least(end_us, (hour + 1) * {_HOUR_US}) - greatest(begin_us, hour * {_HOUR_US}))
        / (end_us - begin_us) ORDER BY begin_us, end_us) AS lost_us
    FROM hours GROUP BY hour
), worked AS (
    SELECT start_us // {_HOUR_US} AS hour, sum(used_us) AS used_us FROM busy GROUP BY 1
)
SELECT hour, least(1.0, lost_us / used_us) AS share FROM lost JOIN worked USING (hour)
WHERE used_us > 0
"""  # noqa: S608 - ours
"""The share of each hour's work that ran again what had been lost."""


def redone(measures: Sequence[str]) -> str:
    """The statement that makes `redone`: what ran again apart from other work of its hour."""
    names = "entry_id, held, kind, item, rate, recording, start_us, end_us, label"
    amounts = ", ".join(measures)
    cut = ", ".join(
        f"CASE WHEN part = 1 THEN round({m} * share)::BIGINT "
        f"ELSE {m} - round({m} * share)::BIGINT END AS {m}"
        for m in measures
    )
    return f"""CREATE TABLE redone AS
SELECT {names}, CASE WHEN part = 0 THEN 'work' ELSE 'recompute' END AS purpose, {cut}
FROM told JOIN redo ON hour = start_us // {_HOUR_US} CROSS JOIN (VALUES (0), (1)) two (part)
WHERE purpose = 'work' AND CASE WHEN part = 0 THEN share < 1 ELSE share > 0 END
UNION ALL
SELECT {names}, purpose, {amounts} FROM told
WHERE purpose != 'work' OR start_us // {_HOUR_US} NOT IN (SELECT hour FROM redo)"""  # noqa: S608 - ours


def borne(purposes: Sequence[Purpose], measures: Sequence[str]) -> str:
    """The statement that makes `borne`: the parts, with what is for these purposes shared out over
    the `payers` of its day. Payer 0 is whose it is anyhow."""
    kept = ("item", "rate", "recording", "start_us", "end_us", "owner")
    names = ", ".join(("entry_id", "held", "kind", "purpose", *kept[:-1]))
    amounts = ", ".join(measures)
    which = ", ".join(f"'{purpose.value}'" for purpose in purposes)
    is_shared = f"purpose IN ({which}) AND start_us // {_DAY_US} IN (SELECT day FROM payers)"  # noqa: S608 - ours
    key = ("entry_id", "held", "kind", "purpose")
    query = split("shareable", "of_payers", key, kept, measures)
    return f"""CREATE TABLE borne AS
WITH shareable AS (SELECT * FROM owned WHERE {is_shared}),
of_payers AS (
    SELECT s.entry_id, s.held, s.kind, s.purpose, p.payer AS label, p.weight
    FROM shareable s JOIN payers p ON p.day = s.start_us // {_DAY_US}
)
SELECT {names}, CASE WHEN label > 0 THEN label ELSE owner END AS owner, 0 AS label, {amounts}
FROM ({query})
UNION ALL
SELECT {names}, owner, label, {amounts} FROM owned WHERE NOT ({is_shared})"""  # noqa: S608 - ours


WORKED = f"""
SELECT start_us // {_DAY_US} AS day, owner, label, sum({{effective}})::BIGINT AS pico
FROM owned JOIN recordings USING (recording)
WHERE purpose IN ('work', 'recompute') AND month_us <= start_us
GROUP BY ALL HAVING pico > 0 ORDER BY ALL
"""  # noqa: S608 - ours
"""What each owner's work cost on each day, without what later months changed of it: who bears what
of a month that is closed stays."""
DAYS = f"SELECT DISTINCT start_us // {_DAY_US} AS day FROM owned ORDER BY 1"  # noqa: S608 - ours
