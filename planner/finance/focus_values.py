"""What is wrong with a single value of a FOCUS file: units, currencies and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from costplan.planner.finance.focus_words import (
    CURRENCIES,
    DATA_UNITS,
    SAID_WRONG,
    SKU_KEYS,
    TIME_UNITS,
)

_NUMBERED = re.compile(r"(\d+) (.+)")
_NUMBER_KEYS = SKU_KEYS - {
    "DiskType", "InstanceType", "InstanceSeries", "OperatingSystem", "Redundancy", "StorageClass",
}  # fmt: skip
_ELEMENT_KEYS = {
    "ContractId", "ContractCommitmentId", "ContractCommitmentAppliedCost",
    "ContractCommitmentAppliedQuantity", "ContractCommitmentAppliedUnit",
}  # fmt: skip


def currency_problem(text: str) -> str | None:
    """Why it is no currency of ISO 4217; None where it is one."""
    return None if text in CURRENCIES else "is no currency code of ISO 4217, such as USD"


def unit_problem(text: str) -> str | None:
    """Why FOCUS would not write a unit so; None where it would.

    Units are capitalised and in the plural ('Hours', 'GB', '1000 Tokens'), joined by '-' where
    they are multiplied and by '/' where one is divided; a spend's unit is its currency.
    """
    numbered = _NUMBERED.fullmatch(text)
    name = numbered.group(2) if numbered else text
    for part in re.split(r"[-/]", name):
        problem = _word_problem(part, is_divisor=f"/{part}" in name)
        if problem:
            return problem
    return None


def _word_problem(part: str, *, is_divisor: bool) -> str | None:
    if part in TIME_UNITS or part in DATA_UNITS or part in CURRENCIES:
        return None
    if is_divisor and f"{part}s" in TIME_UNITS:
        return None
    if part.casefold() in SAID_WRONG or part.casefold() in {u.casefold() for u in TIME_UNITS}:
        return "is not how FOCUS spells a unit: Hours, GB, Units"
    if part != part.strip() or not part[:1].isupper() or not part.isprintable():
        return "is no unit: it begins with a capital letter and has no spaces around it"
    return None


def tags_problem(text: str) -> str | None:
    """Why it is no object of keys and scalars."""
    return _key_values(text)[1]


def sku_details_problem(text: str) -> str | None:
    """Why it is no object of the keys that FOCUS defines, or of our own with x_ before them."""
    pairs, problem = _key_values(text)
    if problem:
        return problem
    for key, value in pairs:
        if key not in SKU_KEYS and not key.startswith("x_"):
            return f"has the key {key}, which FOCUS does not define; its name would begin with x_"
        if key in _NUMBER_KEYS and (isinstance(value, bool) or not isinstance(value, int | float)):
            return f"has {value!r} for {key}, which is a number"
    return None


def contract_applied_problem(text: str) -> str | None:
    """Why it does not say which contract commitments were applied, with a cost or a quantity."""
    value, problem = _parsed(text)
    if problem:
        return problem
    elements = dict(value).get("Elements") if isinstance(value, _Pairs) else None
    if not isinstance(elements, list) or not elements:
        return "has no list of Elements with one or more in it"
    for element in elements:
        if not isinstance(element, _Pairs):
            return "has an element that is no object"
        problem = _element_problem(dict(element))
        if problem:
            return problem
    return None


def _element_problem(element: dict[str, Any]) -> str | None:
    for key in element:
        if key not in _ELEMENT_KEYS and not key.startswith("x_"):
            return f"has the key {key}, which FOCUS does not define"
    for key in ("ContractId", "ContractCommitmentId"):
        if not isinstance(element.get(key), str) or not element[key]:
            return f"has an element without {key}"
    cost = element.get("ContractCommitmentAppliedCost")
    quantity = element.get("ContractCommitmentAppliedQuantity")
    unit = element.get("ContractCommitmentAppliedUnit")
    if (cost is None) == (quantity is None) or (quantity is None) != (unit is None):
        return "has an element that has not either a cost, or a quantity with its unit"
    return None


def object_problem(text: str) -> str | None:
    """Why it is no JSON object with each key once."""
    value, problem = _parsed(text)
    return problem or (None if isinstance(value, _Pairs) else "is no JSON object")


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON as it was written, with keys that come twice."""


def _key_values(text: str) -> tuple[Sequence[tuple[str, Any]], str | None]:
    value, problem = _parsed(text)
    if problem:
        return (), problem
    if not isinstance(value, _Pairs):
        return (), "is no JSON object"
    for key, item in value:
        if isinstance(item, list):
            return (), f"has a value for {key} that is no text, number or truth value"
    return value, None


def _parsed(text: str) -> tuple[Any, str | None]:
    twice: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> _Pairs:
        names = [key for key, _ in found]
        twice.extend(key for key in names if names.count(key) > 1)
        return _Pairs(found)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None, "is no JSON"
    return value, f"has the key {twice[0]} twice" if twice else None


PROBLEMS: dict[str, Callable[[str], str | None]] = {
    "AllocatedMethodDetails": object_problem,
    "AllocatedTags": tags_problem,
    "CommitmentProgramEligibilityDetails": object_problem,
    "ContractApplied": contract_applied_problem,
    "ContractCommitmentApplicability": object_problem,
    "SkuPriceDetails": sku_details_problem,
    "Tags": tags_problem,
}
"""By the name of the JSON column."""
