"""A book's lines as rows of FOCUS, in SQL: one expression for each column.

Three steps, each a query on the one before: what a line is (category, sign), its quantity, and its
unit prices. Money is decimal all the way; doubles only decide whether a known unit price fits,
and derive one where none does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from costplan.adapters.finance.book import quoted
from costplan.planner.finance import focus_words as words
from costplan.planner.finance.focus_columns import (
    COST_SCALE,
    PRICE_SCALE,
    QUANTITY_SCALE,
    X_COLUMNS,
    Column,
    DataType,
    Version,
    columns_of,
)

# SQL is put together from the tables of this program and quoted words; lines are read, not run.
# ruff: noqa: S608

_QUANTITY = f"DECIMAL(38,{QUANTITY_SCALE})"
_PRICE = f"DECIMAL(38,{PRICE_SCALE})"
_HOURS_OF = "((({micros}) * 1000000 + 18) // 36)::DECIMAL(19,0) * 0.00000000000001::DECIMAL(14,14)"
"""Hours of microseconds to 14 places, in whole numbers: a decimal divided becomes a double."""
_FITS = "2.5e-10"
"""A quarter of what FOCUS's validators allow between cost and unit price times quantity."""


LINES = (
    "SELECT * FROM book_lines WHERE line_id BETWEEN ? AND ? ORDER BY line_id, entry_id, start_at"
)
"""Some lines, in an order that does not depend on how they came into the book."""

ROUNDING = """
SELECT * REPLACE (
  -row_number() OVER (ORDER BY provider, account, month) AS line_id, usd AS billed_usd,
  amortised AS effective_usd
) FROM (
  SELECT book_lines.* REPLACE (
    0 AS entry_id, '' AS node_id, '' AS resource_id, '' AS region, '' AS zone,
    '' AS instance_type, '' AS market, 0 AS gpus, 'rounding' AS charge, 'rounding' AS kind,
    'rounding' AS purpose, (month || '-01')::TIMESTAMP AS start_at,
    (month || '-01')::TIMESTAMP + INTERVAL 1 MONTH AS end_at, 0 AS micros, false AS is_estimate,
    NULL AS commitment_id, '' AS plan_id, '' AS rate_source, '' AS cluster, '' AS workload,
    '' AS team, '' AS project, '' AS cost_center, '' AS environment, '' AS "user", '' AS run,
    '' AS span, '' AS prefix, '{{}}' AS tags, 0 AS on_demand_usd, recorded AS recorded_at
  ), usd, amortised FROM (
    SELECT provider, account, month, min(line_id) AS line_id, max(recorded_at) AS recorded,
      {billed} AS usd, {effective} AS amortised
    FROM book_lines GROUP BY provider, account, month HAVING usd <> 0 OR amortised <> 0
  ) JOIN book_lines USING (provider, account, month, line_id)
)"""


def rounding(places: int) -> str:
    """For each account and month a line of what its amounts lose by being rounded one by one."""
    lost = "sum({0})::DECIMAL(38,{1}) - sum({0}::DECIMAL(38,{1}))"
    return ROUNDING.format(
        billed=lost.format("billed_usd", places), effective=lost.format("effective_usd", places)
    )


def rows_sql(
    version: Version, *, places: int, contracts: Collection[str], source: str = LINES
) -> str:
    """The query of all columns of the lines that `source` selects, with its parameters.

    `contracts` are the commitments that the ContractCommitment dataset has: version 1.4 names
    them in the rows that they cover.
    """
    made = expressions(version, places=places, contracts=contracts)
    listed = ",\n  ".join(f'{sql} AS "{name}"' for name, sql in made.items())
    return f"""
WITH part AS ({source}),
kinds AS ({_KINDS}),
quantities AS ({_QUANTITIES}),
priced AS ({_PRICED})
SELECT
  {listed}
FROM priced"""


_KINDS = f"""
SELECT *,
  (month || '-01')::TIMESTAMP AS issued_at,
  date_trunc('month', start_at) <> (month || '-01')::TIMESTAMP AS is_late,
  kind NOT IN ('credit', 'rounding') AND commitment_id IS NOT NULL
    AND commitment_kind <> '{words.CAPACITY}' AS is_committed,
  kind IN ('credit', 'rounding') AS is_plain,
  CASE WHEN kind = 'credit' THEN 'Credit' WHEN kind = 'rounding' THEN 'Adjustment'
    WHEN kind = 'purchase'
      OR (kind = 'correction' AND charge = 'commitment' AND commitment_status IS NULL)
      THEN 'Purchase'
    ELSE 'Usage' END AS category,
  CASE WHEN coalesce(nullif(sign(billed_usd), 0), nullif(sign(list_usd), 0),
    nullif(sign(effective_usd), 0), 1) < 0 THEN -1 ELSE 1 END::INTEGER AS direction
FROM part"""

_IS_UPFRONT = (
    "(category = 'Purchase' AND abs(billed_usd::DOUBLE)"
    " > usd_per_hour::DOUBLE * (epoch_us(end_at) - epoch_us(start_at)) / 1.8e9)"
)
"""More than twice the price of the time: paid at once for a term."""

_QUANTITIES = f"""
SELECT *,
  category = 'Usage' AND is_committed AS is_covering,
  {_IS_UPFRONT} AS is_upfront,
  CASE WHEN is_plain THEN billed_usd ELSE list_usd END AS list_cost,
  CASE WHEN category = 'Usage' AND is_committed THEN list_usd ELSE billed_usd END
    AS contracted_cost,
  CASE WHEN category = 'Purchase' OR market = 'spot' OR commitment_status = 'unused'
    THEN usd_per_hour ELSE coalesce(on_demand_usd_per_hour, usd_per_hour) END AS list_price,
  CASE WHEN is_plain THEN NULL
    WHEN {_IS_UPFRONT} THEN direction::{_QUANTITY}
    WHEN category = 'Purchase'
      THEN direction * ({_HOURS_OF.format(micros="epoch_us(end_at) - epoch_us(start_at)")})
    WHEN micros > 0 THEN direction * ({_HOURS_OF.format(micros="micros")})
    WHEN usd_per_hour > 0
      THEN (list_usd::DOUBLE / usd_per_hour::DOUBLE)::{_QUANTITY}
    ELSE direction::{_QUANTITY} END::{_QUANTITY} AS quantity
FROM kinds"""


def _unit_price(cost: str, known: str) -> str:
    """The known price where it makes the cost, else cost by quantity; none without a quantity."""
    return (
        f"CASE WHEN quantity IS NULL THEN NULL WHEN quantity = 0"
        f" OR abs({cost}::DOUBLE - {known}::DOUBLE * quantity::DOUBLE)"
        f" <= {_FITS} * greatest(1, abs({cost}::DOUBLE)) THEN {known}::{_PRICE}"
        f" ELSE abs({cost}::DOUBLE / quantity::DOUBLE)::{_PRICE} END"
    )


_PRICED = f"""
SELECT *,
  {_unit_price("list_cost", "list_price")} AS list_unit_price,
  {_unit_price("contracted_cost", "CASE WHEN is_covering THEN list_price ELSE usd_per_hour END")}
    AS contracted_unit_price
FROM quantities"""


def expressions(
    version: Version, *, places: int, contracts: Collection[str]
) -> dict[str, str]:  # fmt: skip
    """SQL for each column of the version, by name and in its order, ours last."""
    known = {**_money(places), **_WHAT, **_WHERE, **_WHEN, **_COMMITTED, **_OWN}
    if version is Version.V1_4:
        known |= _SPLIT | {"ContractApplied": _contract_applied(contracts)}
    wanted = (*columns_of(version), *X_COLUMNS)
    return {column.name: _typed(column, known.get(column.name), places) for column in wanted}


def _typed(column: Column, sql: str | None, places: int) -> str:
    """The expression in the column's own type, so that a column of nulls has one too."""
    if column.type is DataType.DECIMAL:
        scale = min(column.scale, places) if column.scale == COST_SCALE else column.scale
        return f"({sql or 'NULL'})::DECIMAL(38,{scale})"
    return f"({sql})" if sql else "NULL::VARCHAR"


def _money(places: int) -> dict[str, str]:
    """Amounts, quantities and prices; with fewer places each amount is rounded by itself."""
    effective = f"effective_usd::DECIMAL(38,{min(places, COST_SCALE)})"
    return {
        "BilledCost": "billed_usd",
        "EffectiveCost": effective,
        "ListCost": "list_cost",
        "ContractedCost": "contracted_cost",
        "ListUnitPrice": "list_unit_price",
        "ContractedUnitPrice": "contracted_unit_price",
        "BillingCurrency": "'USD'",
        "PricingCurrency": "'USD'",
        "PricingCurrencyEffectiveCost": effective,
        "PricingCurrencyListUnitPrice": "list_unit_price",
        "PricingCurrencyContractedUnitPrice": "contracted_unit_price",
        "PricingQuantity": "quantity",
        "PricingUnit": "CASE WHEN quantity IS NULL THEN NULL WHEN is_upfront THEN 'Units'"
        " ELSE 'Hours' END",
        "ConsumedQuantity": f"CASE WHEN {_CONSUMED} THEN quantity END",
        "ConsumedUnit": f"CASE WHEN {_CONSUMED} THEN 'Hours' END",
        "x_OnDemandCost": "on_demand_usd",
    }


_CONSUMED = "category = 'Usage' AND NOT (is_covering AND commitment_status = 'unused')"


def _case(subject: str, answers: Mapping[str, str], otherwise: str) -> str:
    """A CASE that maps words to words; `otherwise` is SQL."""
    whens = " ".join(
        f"WHEN {quoted(word)} THEN {quoted(answer)}" for word, answer in answers.items()
    )
    return f"CASE {subject} {whens} ELSE {otherwise} END"


def _seller(pick: Callable[[words.Seller], str]) -> str:
    """What a provider calls something; of an unknown one the general word, or its own name."""
    other = pick(words.OTHER_SELLER)
    answers = {name: pick(seller) for name, seller in words.SELLERS.items()}
    return _case("provider", answers, quoted(other) if other else "provider")


def _or_null(name: str) -> str:
    return f"nullif({name}, '')"


_PLACE = (
    "CASE WHEN region = '' THEN '' ELSE ' in ' || CASE WHEN zone = '' THEN region ELSE zone END END"
)
_IS_TYPED = "charge = 'machine' AND instance_type <> ''"
_THING = (
    f"CASE WHEN {_IS_TYPED} THEN instance_type"
    f" ELSE {_case('charge', words.RESOURCES, 'charge')} END"
)
_TYPE_OF_COMMITMENT = _case("commitment_kind", words.COMMITMENT_TYPES, "commitment_kind")
_COMMITMENT_NAME = f"({_TYPE_OF_COMMITMENT}) || ' ' || commitment_id"
_SKU = (
    f"CASE WHEN {_IS_TYPED} THEN instance_type"
    " WHEN charge = 'commitment' THEN coalesce(commitment_kind, charge) ELSE charge END"
)
_IS_OF_COMMITMENT = "is_committed AND (category = 'Purchase' OR commitment_status = 'unused')"
_HAS_SKU = "NOT is_plain"

_WHAT: dict[str, str] = {
    "ChargeCategory": "category",
    "ChargeClass": "CASE WHEN is_late THEN 'Correction' END",
    "ChargeFrequency": "CASE WHEN category = 'Usage' THEN 'Usage-Based'"
    " WHEN category = 'Purchase' AND NOT is_upfront THEN 'Recurring' ELSE 'One-Time' END",
    "ChargeDescription": (
        f"CASE WHEN {_IS_OF_COMMITMENT} THEN {_COMMITMENT_NAME}"
        " || CASE WHEN category = 'Purchase' THEN ', its price' ELSE ', not used' END"
        f" ELSE ({_THING}) || CASE WHEN market = '' THEN '' ELSE ', ' || replace(market, '_', ' ')"
        f" END || {_PLACE} || CASE kind WHEN 'credit' THEN ', a credit'"
        " WHEN 'correction' THEN ', a correction' ELSE '' END END"
    ),
    "PricingCategory": "CASE WHEN is_plain THEN NULL WHEN is_covering THEN 'Committed'"
    " WHEN market = 'spot' AND charge = 'machine' THEN 'Dynamic' ELSE 'Standard' END",
    "ProviderName": _seller(lambda seller: seller.provider),
    "ServiceProviderName": _seller(lambda seller: seller.provider),
    "HostProviderName": _seller(lambda seller: seller.provider),
    "PublisherName": _seller(lambda seller: seller.publisher),
    "InvoiceIssuerName": _seller(lambda seller: seller.provider),
    "ServiceCategory": _case("charge", {k: v[0] for k, v in words.CATEGORIES.items()}, "'Other'"),
    "ServiceSubcategory": _case(
        "charge", {k: v[1] for k, v in words.CATEGORIES.items()}, "'Other (Other)'"
    ),
    "ServiceName": f"CASE charge WHEN 'disk' THEN {_seller(lambda seller: seller.disks)}"
    f" WHEN 'address' THEN {_seller(lambda seller: seller.addresses)} WHEN 'rounding'"
    " THEN 'Rounding'"
    f" ELSE {_seller(lambda seller: seller.machines)} END",
    "SkuId": f"CASE WHEN {_HAS_SKU} THEN {_SKU} END",
    "SkuMeter": f"CASE WHEN {_HAS_SKU} THEN {_case('charge', words.METERS, 'charge')} END",
    "SkuPriceId": f"CASE WHEN {_HAS_SKU} THEN concat_ws('/', provider,"
    f" {_or_null('region')}, {_SKU},"
    f" CASE WHEN charge = 'machine' THEN {_or_null('market')}"
    " WHEN is_upfront THEN 'upfront' END) END",
    "SkuPriceDetails": (
        f"CASE WHEN {_HAS_SKU} AND charge = 'machine' AND instance_type <> '' THEN '{{'"
        " || CASE WHEN vcpu > 0 THEN '\"CoreCount\": ' || printf('%g', vcpu::DOUBLE) || ', '"
        " ELSE '' END"
        " || CASE WHEN gpus > 0 THEN '\"GpuCount\": ' || gpus || ', ' ELSE '' END"
        " || '\"InstanceType\": ' || to_json(instance_type)"
        " || CASE WHEN memory_gib > 0 THEN ', \"MemorySize\": ' || printf('%g', memory_gib::DOUBLE)"
        " ELSE '' END || '}' END"
    ),
}

_ACCOUNT = f"CASE WHEN account = '' THEN '{words.UNKNOWN_ACCOUNT}' ELSE account END"
_IS_RESOURCE = "resource_id <> ''"

_WHERE: dict[str, str] = {
    "BillingAccountId": _ACCOUNT,
    "BillingAccountName": _ACCOUNT,
    "BillingAccountType": _seller(lambda seller: seller.account),
    "SubAccountId": _or_null("account"),
    "SubAccountName": _or_null("account"),
    "SubAccountType": f"CASE WHEN account <> '' THEN {_seller(lambda seller: seller.account)} END",
    "RegionId": _or_null("region"),
    "RegionName": _or_null("region"),
    "AvailabilityZone": _or_null("zone"),
    "ResourceId": f"CASE WHEN {_IS_OF_COMMITMENT} THEN commitment_id"
    f" ELSE {_or_null('resource_id')} END",
    "ResourceName": f"CASE WHEN {_IS_OF_COMMITMENT} THEN {_COMMITMENT_NAME}"
    f" WHEN {_IS_RESOURCE} THEN coalesce({_or_null('node_id')},"
    f" {_case('charge', words.RESOURCES, 'charge')} || ' ' || resource_id) END",
    "ResourceType": f"CASE WHEN {_IS_OF_COMMITMENT} THEN {_TYPE_OF_COMMITMENT}"
    f" WHEN {_IS_RESOURCE} THEN {_case('charge', words.RESOURCES, 'charge')} END",
    "Tags": "CASE WHEN tags NOT IN ('', '{}') THEN tags END",
}

_WHEN: dict[str, str] = {
    "BillingPeriodStart": "issued_at",
    "BillingPeriodEnd": "issued_at + INTERVAL 1 MONTH",
    "ChargePeriodStart": "date_trunc('second', start_at)",
    # FOCUS knows whole seconds only: what begins and ends in one is charged in that second.
    "ChargePeriodEnd": "greatest(date_trunc('second', end_at),"
    " date_trunc('second', start_at) + INTERVAL 1 SECOND)",
    "x_RecordedAt": "date_trunc('second', recorded_at)",
}

_CAPACITY = f"NOT is_plain AND commitment_kind = '{words.CAPACITY}'"
_STATUS = _case("commitment_status", {"used": "Used", "unused": "Unused"}, "NULL")
_SPEND = ", ".join(quoted(kind) for kind in sorted(words.SPEND))

_COMMITTED: dict[str, str] = {
    "CommitmentDiscountId": "CASE WHEN is_committed THEN commitment_id END",
    "CommitmentDiscountName": f"CASE WHEN is_committed THEN {_COMMITMENT_NAME} END",
    "CommitmentDiscountCategory": f"CASE WHEN is_committed THEN CASE WHEN commitment_kind"
    f" IN ({_SPEND}) THEN 'Spend' ELSE 'Usage' END END",
    "CommitmentDiscountType": f"CASE WHEN is_committed THEN {_TYPE_OF_COMMITMENT} END",
    "CommitmentDiscountStatus": f"CASE WHEN is_covering THEN {_STATUS} END",
    "CommitmentDiscountQuantity": "CASE WHEN is_committed"
    " THEN direction * abs(commitment_quantity) END",
    "CommitmentDiscountUnit": "CASE WHEN is_committed THEN commitment_unit END",
    "CapacityReservationId": f"CASE WHEN {_CAPACITY} THEN commitment_id END",
    "CapacityReservationStatus": f"CASE WHEN {_CAPACITY} THEN {_STATUS} END",
}

_OWN: dict[str, str] = {
    "x_Cluster": _or_null("cluster"),
    "x_CostCenter": _or_null("cost_center"),
    "x_EntryId": "entry_id::VARCHAR",
    "x_Environment": _or_null("environment"),
    "x_IsEstimate": "CASE WHEN is_estimate THEN 'true' ELSE 'false' END",
    "x_LineId": "line_id::VARCHAR",
    "x_PlanId": _or_null("plan_id"),
    "x_PriceSource": _or_null("rate_source"),
    "x_Project": _or_null("project"),
    "x_Purpose": "purpose",
    "x_Run": _or_null("run"),
    "x_Span": _or_null("span"),
    "x_TaskPrefix": _or_null("prefix"),
    "x_Team": _or_null("team"),
    "x_User": _or_null('"user"'),
    "x_Workload": _or_null("workload"),
}

_PART = f"concat_ws('/', {_or_null('run')}, {_or_null('span')}, {_or_null('prefix')})"
_IS_PART = "charge <> 'commitment' AND (run <> '' OR span <> '' OR prefix <> '')"

_SPLIT: dict[str, str] = {
    "AllocatedMethodId": f"CASE WHEN {_IS_PART} THEN 'costplan-busy-time' END",
    "AllocatedResourceId": f"CASE WHEN {_IS_PART} THEN {_PART} END",
    "AllocatedResourceName": f"CASE WHEN {_IS_PART} THEN coalesce({_or_null('prefix')},"
    f" {_or_null('span')}, run) END",
}
"""A part of a machine's time by the tasks that kept it busy, as 1.3 and later have it."""


def _contract_applied(contracts: Collection[str]) -> str:
    if not contracts:
        return "NULL::VARCHAR"
    named = ", ".join(quoted(name) for name in sorted(contracts))
    number = "trim((direction * abs(commitment_quantity))::VARCHAR)"
    return (
        f'CASE WHEN is_covering AND commitment_id IN ({named}) THEN \'{{"Elements": [{{'
        '"ContractId": \' || to_json(commitment_id) || \', "ContractCommitmentId": \''
        f" || to_json(commitment_id) || CASE WHEN commitment_kind IN ({_SPEND})"
        f" THEN ', \"ContractCommitmentAppliedCost\": ' || {number}"
        f" ELSE ', \"ContractCommitmentAppliedQuantity\": ' || {number}"
        " || ', \"ContractCommitmentAppliedUnit\": ' || to_json(commitment_unit) END"
        " || '}]}' END"
    )
