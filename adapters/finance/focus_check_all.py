"""Rules that no single row can break: ids that are one's own, sums of a commitment, totals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

from costplan.adapters.finance.book import decimal_of
from costplan.adapters.finance.focus_rules import ONE_FOR
from costplan.adapters.finance.focus_source import Source
from costplan.planner.finance.focus_columns import Dataset

# The SQL is of names that FOCUS has.
# ruff: noqa: S608

Said = tuple[str, str, str, int | None, str | None]
"""Rule, column, text, row and value."""
_MOST_SHOWN = 3


def all_rows(source: Source, dataset: Dataset) -> Iterator[Said]:
    """What is wrong with the rows together."""
    if dataset is Dataset.CONTRACT_COMMITMENT:
        yield from _own_id(source, "ContractCommitmentId")
        return
    yield from _own_id(source, "x_LineId")
    for each in ONE_FOR:
        if each.key in source.names and each.value in source.names:
            yield from _one_for(source, each.key, each.value)
    if set(source.names) >= _COMMITMENT_COLUMNS:
        yield from _commitments(source)
    yield from _control_totals(source)


def _own_id(source: Source, column: str) -> Iterator[Said]:
    if column not in source.names:
        return
    found = source.rows(
        f'SELECT "{column}", count(*), max(row) FROM charges WHERE "{column}" IS NOT NULL'
        f' GROUP BY "{column}" HAVING count(*) > 1 ORDER BY 3 LIMIT {_MOST_SHOWN}'
    )
    for value, count, row in found:
        yield "twice", column, f"is that of {count} rows, and each has its own", row, str(value)


def _one_for(source: Source, key: str, column: str) -> Iterator[Said]:
    found = source.rows(
        f'SELECT "{key}", min("{column}"), max("{column}"), max_by(row, "{column}") FROM charges'
        f' WHERE "{key}" IS NOT NULL GROUP BY "{key}"'
        f' HAVING count(DISTINCT "{column}") > 1 ORDER BY 1 LIMIT {_MOST_SHOWN}'
    )
    for value, one, other, row in found:
        text = f"is {one} and {other} for the {key} {value}, and there is one only"
        yield f"one-{column}-for-{key}", column, text, row, str(other)


_COMMITMENT_COLUMNS = {
    "CommitmentDiscountId", "CommitmentDiscountCategory", "CommitmentDiscountQuantity",
    "CommitmentDiscountUnit", "ChargeCategory", "ChargeFrequency", "BilledCost", "EffectiveCost",
}  # fmt: skip

_SUMS = """
SELECT CommitmentDiscountId, any_value(CommitmentDiscountCategory), count(*),
  count_if(ChargeCategory = 'Usage'),
  count_if(ChargeCategory = 'Purchase' AND ChargeFrequency = 'One-Time'),
  count_if(ChargeCategory = 'Purchase' AND ChargeFrequency = 'Recurring'),
  sum(EffectiveCost) FILTER (ChargeCategory = 'Usage'),
  sum(BilledCost) FILTER (ChargeCategory = 'Purchase'),
  sum(CommitmentDiscountQuantity) FILTER (ChargeCategory = 'Usage'),
  sum(CommitmentDiscountQuantity) FILTER (ChargeCategory = 'Purchase'), min(row)
FROM charges WHERE CommitmentDiscountId IS NOT NULL
GROUP BY CommitmentDiscountId ORDER BY CommitmentDiscountId"""


def _commitments(source: Source) -> Iterator[Said]:
    """That what was used and not used of a commitment is what was bought.

    Of a file of some months this can be said where all of the price is paid as it goes: what was
    paid upfront is spread over months that are not in the file.
    """
    for (name, category, rows, used, once, regular, effective, billed, of_use, of_fee, row) in (
        source.rows(_SUMS)
    ):  # fmt: skip
        if once or not regular or not used:
            continue
        slack = Decimal(rows).scaleb(-9)
        if abs(decimal_of(of_use) - decimal_of(of_fee)) > slack:
            yield (
                "commitment-quantity", "CommitmentDiscountQuantity",
                f"adds up to {_plain(of_use)} used and not used of {name},"
                f" of which {_plain(of_fee)} was bought",
                row, None,
            )  # fmt: skip
        is_paid_as_it_goes = (
            category == "Spend" and abs(decimal_of(billed) - decimal_of(of_fee)) <= slack
        )
        difference = decimal_of(effective) - decimal_of(billed)
        if difference < -slack or (is_paid_as_it_goes and difference > slack):
            yield (
                "commitment-cost", "EffectiveCost",
                f"adds up to {_plain(effective)} used and not used of {name},"
                f" for which {_plain(billed)} was billed",
                row, None,
            )  # fmt: skip


def _plain(value: object) -> str:
    return f"{decimal_of(value).normalize():f}"


def _control_totals(source: Source) -> Iterator[Said]:
    """That the file adds up to the control totals beside it, where there are some of this file."""
    stated = _stated(source.path)
    amounts = [name for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
               if name in source.names]  # fmt: skip
    if stated is None or not amounts:
        return
    asked = ", ".join(f'sum("{name}")' for name in amounts)
    [(rows, *sums)] = source.rows(f"SELECT count(*), {asked} FROM charges")
    if rows != stated.get("Rows"):
        text = f"the file has {rows} rows, and its control totals say {stated.get('Rows')}"
        yield "control-totals", "", text, None, None
    for name, found in zip(amounts, sums, strict=True):
        try:
            wanted = Decimal(str(stated.get(name)))
        except InvalidOperation:
            wanted = Decimal("NaN")
        if decimal_of(found) != wanted:
            text = f"adds up to {_plain(found)}, and the control totals say {stated.get(name)}"
            yield "control-totals", name, text, None, None


def _stated(path: Path) -> dict[str, object] | None:
    """The control totals of a file, which are in its folder or in the one of its own beside it."""
    for folder in (path.with_name(f"{path.name}.metadata"), path.parent):
        try:
            found = json.loads((folder / "control-totals.json").read_text())
        except (OSError, ValueError):
            continue
        if isinstance(found, dict) and found.get("File") == path.name:
            return found
    return None
