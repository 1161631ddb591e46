"""Commitments as the text of a file, which `parse_commitments` reads as the same values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import yaml

from costplan.planner.commitments.values import SPEND_KINDS, Commitment, Kind, Scope
from costplan.planner.units import PICO_PER_USD, usd_text

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_PLAIN_DIGITS = 15
"""So many digits of a number YAML gives back as they were written."""

_PLACES = 18
Value = str | bool | Fraction | Mapping[str, Fraction]
"""What stands at a key."""

_RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
"""What YAML takes for no text, whichever its version."""


def commitments_text(
    held: Sequence[Commitment],
    comments: Iterable[str] = (),
    beside: Mapping[str, Any] = _NOTHING,
) -> str:
    """YAML of the commitments, ordered by kind and id, with comments above them and what else the
    file has `beside` them below.

    Amounts that no decimal number equals are rounded to twelve places.
    """
    order = tuple(Kind)
    ordered = sorted(held, key=lambda each: (order.index(each.kind), each.commitment_id))
    lines = [f"# {line}".rstrip() for comment in comments for line in comment.splitlines()]
    lines.append("commitments:" if ordered else "commitments: []")
    lines += [f"  - {_flow(record_of(each))}" for each in ordered]
    more = yaml.safe_dump(dict(beside), sort_keys=False, allow_unicode=True) if beside else ""
    return "\n".join(lines) + "\n" + more


def record_of(bought: Commitment) -> dict[str, Value]:
    """The keys of a commitment in a file and their values, without those that say no more than
    their absence."""
    return {
        "id": bought.commitment_id,
        "kind": str(bought.kind),
        **_product(bought),
        **_amount(bought),
        **_terms(bought),
    }


def _product(bought: Commitment) -> dict[str, Value]:
    product = bought.product
    found: dict[str, Value] = {
        "zone": product.zone,
        "region": product.region,
        "family": product.family,
        "instance_type": product.instance_type,
        "os": "" if product.os == "linux" else product.os,
        "tenancy": "" if product.tenancy == "shared" else product.tenancy,
        "machine_series": product.machine_series,
        "resource": product.resource,
        "size_group": product.size_group,
        "size_ratio": product.size_ratio or "",
    }
    if bought.kind is Kind.FLEXIBLE_CUD or (
        bought.kind is Kind.AZURE_RESERVATION and product.service != "virtual-machines"
    ):
        found["service"] = product.service
    return {key: value for key, value in found.items() if value}


def _amount(bought: Commitment) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if bought.count is not None:
        key = "amount" if bought.kind is Kind.RESOURCE_CUD else "count"
        found[key] = bought.count
    if bought.usd_per_hour is not None:
        is_reserved = bought.kind is Kind.CAPACITY_RESERVATION
        found["on_demand_usd" if is_reserved else "usd_per_hour"] = bought.usd_per_hour
    if bought.upfront_usd and bought.kind not in SPEND_KINDS:
        found["upfront_usd"] = bought.upfront_usd
    if bought.discount is not None:
        found["discount"] = bought.discount
    if bought.idle_rates:
        found["rates"] = dict(sorted(bought.idle_rates.items()))
    if not bought.is_size_flexible:
        found["size_flexible"] = False
    return found


def _terms(bought: Commitment) -> dict[str, str]:
    is_standard = bought.offering_class in ("", "standard")
    found = {
        "term": bought.term,
        "payment": bought.payment,
        "offering_class": "" if is_standard else bought.offering_class,
        "account": bought.owner.account,
        "resource_group": bought.owner.resource_group,
        "scope": "" if bought.scope is Scope.SHARED else str(bought.scope),
        "start": _instant(bought.start),
        "end": _instant(bought.end),
    }
    return {key: value for key, value in found.items() if value}


def _instant(instant: datetime | None) -> str:
    if instant is None:
        return ""
    return instant.isoformat().replace("+00:00", "Z")


def _number(amount: Fraction) -> str:
    """A decimal number: exact where there is one of at most eighteen places."""
    exact = amount * 10**_PLACES
    if exact.denominator != 1:
        return usd_text(round(amount * PICO_PER_USD))
    whole, rest = divmod(exact.numerator, 10**_PLACES)
    return f"{whole}.{rest:0{_PLACES}d}".rstrip("0").removesuffix(".")


def _flow(record: Mapping[str, Value]) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(each)}" for key, each in record.items()) + "}"


def _scalar(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
        case Fraction():
            text = _number(value)
            is_short = len(text.replace(".", "").lstrip("0")) <= _PLAIN_DIGITS
            return text if is_short else f'"{text}"'
    return _flow(value)


def _is_plain(text: str) -> bool:
    """True where text needs no quotes in YAML."""
    letters = text.replace("-", "").replace("_", "").replace(".", "")
    is_word = letters.isalnum() and letters.isascii() and text[0].isalpha()
    return is_word and text.lower() not in _RESERVED
