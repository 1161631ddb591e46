"""What is held, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from costplan.cli.bill_document import quantity_text
from costplan.cli.view import Column, Grid, Line, Style, View
from costplan.planner.commitments.bill import unit_of
from costplan.planner.commitments.values import SPEND_KINDS, Commitment, Kind, Scope
from costplan.planner.units import PICO_PER_USD, usd_from_pico, usd_text
from costplan.planner.wording import counted, plain, usd

_DAY = timedelta(days=1)
_PLAIN: Style = "plain"
_QUIET: Style = "quiet"


def held_view(held: Sequence[Commitment], now: datetime) -> View:
    """A row a commitment, what ends first at the top, and what all of them cost an hour."""
    ordered = _by_end(held)
    columns = (
        Column(head="commitment"),
        Column(head="kind", optional=True),
        Column(head="covers"),
        Column(head="amount", is_number=True),
        Column(head="$/h", is_number=True),
        Column(head="until"),
    )
    rows = tuple(
        (
            plain(each.commitment_id),
            str(each.kind),
            plain(covers_text(each)),
            _amount_text(each),
            _hourly_text(each),
            until_text(each, now),
        )
        for each in ordered
    )
    styles = tuple(_PLAIN if is_in_force(each, now) else _QUIET for each in ordered)
    active = [each for each in ordered if is_in_force(each, now)]
    unpriced = [each.commitment_id for each in active if each.unit_usd is None]
    total = sum((each.hourly_usd for each in active), Fraction(0))
    more = f", and {', '.join(map(plain, unpriced))} without a price" if unpriced else ""
    in_force = f"{counted(len(active), 'commitment')} in force"
    return View(
        title=f"{in_force}: {usd(_decimal(total))} an hour{more}",
        blocks=(
            Grid(columns=columns, rows=rows, styles=styles),
            Line("What of it was used, `costplan commitments bill` says", "quiet"),
        ),
    )


def held_text(held: Sequence[Commitment], now: datetime) -> str:
    """The commitments as JSON, what ends first at the top."""
    return json.dumps({"commitments": [_record(each, now) for each in _by_end(held)]}, indent=2)


def is_in_force(bought: Commitment, now: datetime) -> bool:
    """True where its term has begun and is not over."""
    begun = bought.start is None or bought.start <= now
    return begun and (bought.end is None or now < bought.end)


def until_text(bought: Commitment, now: datetime) -> str:
    """'2027-03-01, in 92 days', 'not told', 'ended 2026-01-01', 'from 2027-01-01'."""
    if bought.start is not None and now < bought.start:
        return f"from {bought.start:%Y-%m-%d}"
    if bought.end is None:
        return "not told"
    if bought.end <= now:
        return f"ended {bought.end:%Y-%m-%d}"
    return f"{bought.end:%Y-%m-%d}, in {counted((bought.end - now) // _DAY, 'day')}"


def covers_text(bought: Commitment) -> str:
    """What it is of, and whose usage it covers: 'm5.large in us-east-1a', 'compute of 123 only'."""
    product = bought.product
    what = {
        Kind.COMPUTE_SP: "compute",
        Kind.AZURE_SAVINGS_PLAN: "compute",
        Kind.FLEXIBLE_CUD: product.service or "compute",
        Kind.EC2_INSTANCE_SP: product.family,
        Kind.RESOURCE_CUD: f"{product.machine_series} {product.resource}",
    }.get(bought.kind, product.instance_type)
    extra = [each for each in (product.os, product.tenancy) if each not in ("linux", "shared")]
    place = product.zone or product.region
    words = [what, *extra, *([f"in {place}"] if place else [])]
    if bought.scope is not Scope.SHARED:
        owner = bought.owner
        group = owner.resource_group if bought.scope is Scope.RESOURCE_GROUP else ""
        words.append(f"of {group or owner.account} only")
    return " ".join(words)


def _by_end(held: Sequence[Commitment]) -> list[Commitment]:
    return sorted(
        held,
        key=lambda each: (
            each.end is None,
            each.end.timestamp() if each.end is not None else 0,
            each.commitment_id,
        ),
    )


def _amount_text(bought: Commitment) -> str:
    if bought.kind in SPEND_KINDS:
        return ""
    return quantity_text(round(bought.capacity * PICO_PER_USD))


def _hourly_text(bought: Commitment) -> str:
    if bought.kind is Kind.CAPACITY_RESERVATION:
        return "on demand"
    return "?" if bought.unit_usd is None else usd(_decimal(bought.hourly_usd)).removeprefix("$")


def _record(bought: Commitment, now: datetime) -> dict[str, Any]:
    is_priced = bought.unit_usd is not None and bought.kind is not Kind.CAPACITY_RESERVATION
    hourly = usd_text(round(bought.hourly_usd * PICO_PER_USD))
    return {
        "id": bought.commitment_id,
        "kind": str(bought.kind),
        "covers": covers_text(bought),
        "quantity": quantity_text(round(bought.capacity * PICO_PER_USD)),
        "unit": unit_of(bought),
        "usd_per_hour": hourly if is_priced else None,
        "term": bought.term or None,
        "payment": bought.payment or None,
        "account": bought.owner.account or None,
        "start": None if bought.start is None else f"{bought.start:%Y-%m-%dT%H:%M:%SZ}",
        "end": None if bought.end is None else f"{bought.end:%Y-%m-%dT%H:%M:%SZ}",
        "in_force": is_in_force(bought, now),
    }


def _decimal(amount: Fraction) -> Decimal:
    return usd_from_pico(round(amount * PICO_PER_USD))
