"""The statements that make one table, `actuals`, of each provider's own columns.

Amounts are `DECIMAL(38,12)`: `filed_usd` is the file's own (billed, or amortised where the file is
so), `rated_usd` what a machine's time costs before commitments, `effective_usd` after them.
`hours` are a machine's; Google counts cores, which are divided by the machine's later.
"""

from __future__ import annotations

from costplan.adapters.finance.actuals_columns import Format

COLUMNS = (
    "provider", "account", "resource", "start_text", "end_text", "sku", "kind", "quantity",
    "unit", "hours", "core_hours", "instance_type", "market", "filed", "rated", "effective",
    "currency", "category", "commitment_id", "line_id", "tags", "file",
)  # fmt: skip

_MACHINE_METER = "(BoxUsage|SpotUsage|DedicatedUsage|HeavyUsage|HostUsage|SchedUsage)"


def _number(name: str) -> str:
    return f"TRY_CAST({name} AS DECIMAL(38,18))"


def _hours(quantity: str, unit: str) -> str:
    """A quantity in hours where its unit is a time."""
    n = _number(quantity)
    return f"""CASE WHEN lower({unit}) SIMILAR TO '.*(hour|hrs|hr).*' THEN {n}
        WHEN lower({unit}) SIMILAR TO '.*(second|secs).*' THEN {n} / 3600
        WHEN lower({unit}) LIKE '%minute%' THEN {n} / 60 END"""


_AWS_KIND = f"""CASE
    WHEN regexp_matches(meter, '{_MACHINE_METER}') THEN 'machine'
    WHEN regexp_matches(meter, 'EBS:(Volume|Snapshot)') THEN 'disk'
    WHEN regexp_matches(meter, '(PublicIPv4|ElasticIP|IdleAddress)') THEN 'address'
    WHEN regexp_matches(meter, '(DataTransfer|-Bytes|NatGateway|DataProcessing)') THEN 'traffic'
    ELSE 'other' END"""

_CUR = f"""
SELECT 'aws', account, resource, start, "end", meter,
    CASE
        WHEN type = 'Tax' THEN 'tax'
        WHEN type IN ('Credit', 'Refund') OR type LIKE '%Discount' THEN 'credit'
        WHEN coalesce(service, '') LIKE '%Support%' THEN 'support'
        WHEN type IN ('RIFee', 'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee',
            'SavingsPlanNegation') THEN 'commitment'
        WHEN type = 'Fee' THEN 'other'
        ELSE {_AWS_KIND} END,
    quantity, coalesce(unit, ''),
    {_number("quantity")}, NULL,
    coalesce(instance_type, regexp_extract(meter, ':(.+)$', 1)),
    CASE WHEN meter LIKE '%SpotUsage%' THEN 'spot' ELSE 'on_demand' END,
    cost,
    CASE type WHEN 'DiscountedUsage' THEN coalesce("public", ri_effective, cost) ELSE cost END,
    CASE type WHEN 'SavingsPlanCoveredUsage' THEN coalesce(sp_effective, cost)
        WHEN 'DiscountedUsage' THEN coalesce(ri_effective, cost)
        WHEN 'SavingsPlanNegation' THEN '0' WHEN 'SavingsPlanUpfrontFee' THEN '0'
        WHEN 'SavingsPlanRecurringFee' THEN
            coalesce(({_number("sp_total")} - {_number("sp_used")})::VARCHAR, '0')
        WHEN 'RIFee' THEN (coalesce({_number("ri_unused_upfront")}, 0)
            + coalesce({_number("ri_unused_fee")}, 0))::VARCHAR
        ELSE cost END,
    currency, type, coalesce(sp_id, ri_id, ''), coalesce(line_id, ''), tags, file
FROM raw"""  # noqa: S608 - ours

_FOCUS_PROVIDER = """CASE WHEN provider ILIKE '%aws%' OR provider ILIKE '%amazon%' THEN 'aws'
    WHEN provider ILIKE '%microsoft%' OR provider ILIKE '%azure%' THEN 'azure'
    WHEN provider ILIKE '%google%' OR provider ILIKE 'gcp' THEN 'gcp'
    ELSE lower(coalesce(provider, '')) END"""

_IS_MACHINE = """regexp_matches(coalesce(unit, priced_unit), '(?i)^(hours?|hrs?|seconds?)$')
    AND NOT regexp_matches(said, '(?i)(mbps|ebs.?optimi|credit|software|license)')
    AND (regexp_matches(resource, '(?i)((^|/)i-[^/]+$|/virtualmachines/|/instances/)')
        OR service_category = 'Compute' AND service IN ('Virtual Machines', 'Compute Engine'))"""
"""A row of FOCUS without a meter of a name that is known: time of what is named like a machine."""

_FOCUS_KIND = f"""CASE
    WHEN type = 'Tax' THEN 'tax'
    WHEN type IN ('Credit', 'Adjustment') THEN 'credit'
    WHEN service ILIKE '%support%' THEN 'support'
    WHEN type = 'Purchase' AND commitment IS NOT NULL THEN 'commitment'
    WHEN type = 'Purchase' THEN 'other'
    WHEN commitment_status = 'Unused' THEN 'commitment'
    WHEN meter_category = 'Virtual Machines' THEN 'machine'
    WHEN regexp_matches(said, '{_MACHINE_METER}') THEN 'machine'
    WHEN regexp_matches(said, '(?i)(ipv4|elastic ?ip|ip address|external ip)') THEN 'address'
    WHEN regexp_matches(said, '(?i)(data ?transfer|data ingress|-Bytes|nat ?gateway|egress)')
        THEN 'traffic'
    WHEN regexp_matches(said, '(?i)(EBS:|volume|snapshot|provisioned storage|\\bdisks?\\b)')
        THEN 'disk'
    WHEN {_IS_MACHINE} THEN 'machine'
    ELSE 'other' END"""

_FOCUS = f"""
SELECT {_FOCUS_PROVIDER}, account, resource, start, "end", coalesce(meter, ''), {_FOCUS_KIND},
    coalesce(quantity, priced_quantity), coalesce(unit, priced_unit, ''),
    {_hours("coalesce(quantity, priced_quantity)", "coalesce(unit, priced_unit)")}, NULL,
    coalesce(json_extract_string(CASE WHEN json_valid(details) THEN details END,
        '$.InstanceType'), regexp_extract(coalesce(meter, ''), 'Usage:(.+)$', 1)),
    CASE WHEN pricing = 'Dynamic' OR said ILIKE '%spot%' THEN 'spot' ELSE 'on_demand' END,
    cost, coalesce(contracted, CASE WHEN commitment IS NULL THEN cost END, listed, cost),
    effective, currency, type, coalesce(commitment, ''), '', tags, file
FROM (SELECT *, concat_ws(' ', meter, description) AS said FROM raw)"""  # noqa: S608 - ours

_CREDITS = """coalesce(list_sum(list_transform(
    from_json(CASE WHEN json_valid(credits) THEN credits END, '[{"amount":"VARCHAR"}]'),
    lambda c: TRY_CAST(c.amount AS DECIMAL(38,18)))), 0)"""

_GCP_MACHINE = "(instance|custom|optimized)"
"""What stands before Core and Ram in a SKU's name: 'N2 Instance Core', 'Compute optimized Ram'."""

_GCP_KIND = f"""CASE
    WHEN type = 'tax' THEN 'tax'
    WHEN type = 'adjustment' THEN 'credit'
    WHEN type = 'rounding_error' THEN 'other'
    WHEN service ILIKE '%support%' THEN 'support'
    WHEN meter ILIKE 'commitment%' THEN 'commitment'
    WHEN regexp_matches(meter, '(?i)({_GCP_MACHINE} (core|ram)|gpu)') THEN 'machine'
    WHEN regexp_matches(meter, '(?i)(pd capacity|storage|snapshot|hyperdisk)') THEN 'disk'
    WHEN regexp_matches(meter, '(?i)(external ip|static ip)') THEN 'address'
    WHEN regexp_matches(meter, '(?i)(egress|ingress|data transfer|network|nat )') THEN 'traffic'
    ELSE 'other' END"""

_GCP = f"""
SELECT 'gcp', account, resource, start, "end", meter, {_GCP_KIND}, quantity, coalesce(unit, ''),
    NULL,
    CASE WHEN regexp_matches(meter, '(?i){_GCP_MACHINE} core')
        THEN {_hours("quantity", "unit")} END, '',
    CASE WHEN regexp_matches(meter, '(?i)(spot|preemptible)') THEN 'spot' ELSE 'on_demand' END,
    ({_number("cost")} + {_CREDITS})::VARCHAR, cost, ({_number("cost")} + {_CREDITS})::VARCHAR,
    currency, coalesce(type, 'regular'), '', '', tags, file
FROM raw"""  # noqa: S608 - ours

_AZURE_KIND = """CASE
    WHEN type = 'Tax' THEN 'tax'
    WHEN type IN ('Refund', 'RoundingAdjustment') THEN 'credit'
    WHEN type LIKE 'Unused%' OR (type = 'Purchase' AND coalesce(reservation, benefit)
        IS NOT NULL) THEN 'commitment'
    WHEN meter_category ILIKE '%support%' THEN 'support'
    WHEN type = 'Purchase' THEN 'other'
    WHEN meter_category = 'Virtual Machines' THEN 'machine'
    WHEN meter_category = 'Storage' THEN 'disk'
    WHEN meter ILIKE '%ip address%' OR meter ILIKE '%public ip%' THEN 'address'
    WHEN meter_category IN ('Bandwidth', 'Virtual Network') THEN 'traffic'
    ELSE 'other' END"""

_AZURE_COST = "CASE WHEN currency = 'USD' THEN cost ELSE coalesce(usd, cost) END"

_AZURE = f"""
SELECT 'azure', account, resource, start, NULL, meter, {_AZURE_KIND}, quantity,
    coalesce(unit, ''), {_hours("quantity", "unit")}, NULL,
    coalesce(json_extract_string(CASE WHEN json_valid(details) THEN details END,
        '$.ServiceType'), ''),
    CASE WHEN pricing = 'Spot' OR meter ILIKE '% spot%' THEN 'spot' ELSE 'on_demand' END,
    {_AZURE_COST},
    CASE WHEN pricing IN ('Reservation', 'SavingsPlan') THEN
        coalesce(paygo_usd, CASE WHEN coalesce(priced_in, 'USD') = 'USD'
            THEN ({_number("paygo")} * {_number("quantity")})::VARCHAR END, {_AZURE_COST})
        ELSE {_AZURE_COST} END,
    {_AZURE_COST}, CASE WHEN usd IS NOT NULL THEN 'USD' ELSE currency END, type,
    coalesce(reservation, benefit, ''), '', tags, file
FROM raw"""  # noqa: S608 - ours

_BY_FORMAT = {"aws-cur-2.0": _CUR, "focus": _FOCUS, "gcp": _GCP, "azure": _AZURE}


def instant(name: str) -> str:
    """An instant of UTC as microseconds without zone. Text without a zone is UTC, as all three
    providers say of theirs; '... UTC' is how BigQuery writes it, and Azure MM/DD/YYYY."""
    return f"""CASE WHEN length({name}) > 19 AND regexp_matches({name}, '[+-]\\d\\d(:?\\d\\d)?$')
        THEN timezone('UTC', TRY_CAST({name} AS TIMESTAMPTZ))
        ELSE coalesce(TRY_CAST({name} AS TIMESTAMP), try_strptime({name}, '%m/%d/%Y')) END"""


def staged(form: Format) -> str:
    """The statement that makes `texts`: the export's rows in our columns, amounts yet as text."""
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    return f"CREATE TABLE texts AS WITH t ({names}) AS ({_BY_FORMAT[form.name]}) SELECT * FROM t"  # noqa: S608 - ours


_CLUSTER = (
    r"""(?i)costplan[-_:]cluster["']*\s*[,:=]\s*(?:["']*value["']*\s*[:=]\s*)?["']*([a-z0-9._-]+)"""
).replace("'", "''")
"""The cluster's name in tags as the providers write them: an object, a list of keys and values,
or Azure's pairs."""

TYPED = f"""
CREATE TABLE actuals AS
SELECT * EXCLUDE (end_text), start_at >= $1 AND start_at < $2 AS is_here,
    CASE WHEN end_text IS NULL THEN start_at + INTERVAL 1 DAY ELSE {instant("end_text")} END
    AS end_at
FROM (
    SELECT provider, coalesce(account, '') AS account, coalesce(resource, '') AS resource,
        lower(trim(split_part(coalesce(resource, ''), '/', -1))) AS key,
        {instant("start_text")} AS start_at, end_text, coalesce(sku, '') AS sku, kind,
        TRY_CAST(quantity AS DECIMAL(38,12)) AS quantity, unit,
        TRY_CAST(hours AS DECIMAL(38,12)) AS hours,
        TRY_CAST(core_hours AS DECIMAL(38,12)) AS core_hours,
        coalesce(instance_type, '') AS instance_type, market,
        TRY_CAST(filed AS DECIMAL(38,18)) AS exact_usd,
        TRY_CAST(filed AS DECIMAL(38,12)) AS filed_usd,
        TRY_CAST(rated AS DECIMAL(38,12)) AS rated_usd,
        TRY_CAST(effective AS DECIMAL(38,12)) AS effective_usd,
        upper(coalesce(currency, '')) AS currency, coalesce(category, '') AS category,
        commitment_id, line_id, regexp_extract(coalesce(tags, ''), '{_CLUSTER}', 1) AS cluster, file
    FROM texts)
"""  # noqa: S608 - ours
"""The rows with their values. One that cannot be read is NULL here, and is named by the checks."""
