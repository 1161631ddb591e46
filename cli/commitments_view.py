"""What is held, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from costplan.cli.bill_document import quantity_text
from costplan.cli.view import Column, Grid, Line, Style, View
from costplan.planner.commitments.bill import unit_of
from costplan.planner.commitments.values import SPEND_KINDS, Commitment, Kind, Scope
from costplan.planner.units import PICO_PER_USD, usd_from_pico, usd_text
from costplan.planner.wording import counted, percent, plain, usd

if TYPE_CHECKING:
    from costplan.cli.commitments_use import Used
    from costplan.planner.commitments.in_use import InUse, Spent

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_UNKNOWN = "What of it is used is not known: name a store, --store costplan.db"
_PLAIN: Style = "plain"
_QUIET: Style = "quiet"


def held_view(held: Sequence[Commitment], now: datetime, used: Used | None = None) -> View:
    """A row a commitment, what ends first at the top, what all of them cost an hour, and what of
    them is used where that is known."""
    active = [each for each in held if is_in_force(each, now)]
    unpriced = [each.commitment_id for each in _by_end(active) if each.unit_usd is None]
    total = sum((each.hourly_usd for each in active), Fraction(0))
    more = f", and {', '.join(map(plain, unpriced))} without a price" if unpriced else ""
    in_force = f"{counted(len(active), 'commitment')} in force"
    grid = held_grid(held, now, None if used is None else used.use)
    said = _use_lines(used) if used is not None else (Line(_UNKNOWN, "quiet"),)
    return View(title=f"{in_force}: {usd(_decimal(total))} an hour{more}", blocks=(grid, *said))


def held_grid(held: Sequence[Commitment], now: datetime, use: InUse | None = None) -> Grid:
    """A row a commitment, what ends first at the top; with its use where that is known."""
    ordered = _by_end(held)
    columns = (
        Column(head="commitment"),
        Column(head="kind", optional=True),
        Column(head="covers"),
        Column(head="amount", is_number=True),
        Column(head="$/h", is_number=True),
        *_use_columns(use),
        Column(head="until", under="commitment" if use is not None else None),
    )
    rows = tuple(
        (
            plain(each.commitment_id),
            str(each.kind),
            plain(covers_text(each)),
            _amount_text(each),
            _hourly_text(each),
            *_use_cells(each, use, is_in_force(each, now)),
            until_text(each, now),
        )
        for each in ordered
    )
    styles = tuple(_PLAIN if is_in_force(each, now) else _QUIET for each in ordered)
    return Grid(columns=columns, rows=rows, styles=styles)


def _use_columns(use: InUse | None) -> tuple[Column, ...]:
    if use is None:
        return ()
    heads = ("used", "$ idle", "month")
    return tuple(Column(head=head, is_number=True) for head in heads)


def _use_cells(bought: Commitment, use: InUse | None, is_active: bool) -> tuple[str, ...]:
    """The share that is used this hour, the dollars of the rest, and the share this month; '?'
    where it is not known."""
    if use is None:
        return ()
    if not is_active:
        return "", "", ""
    this_hour = use.this_hour.get(bought.commitment_id)
    month = use.month.get(bought.commitment_id)
    if bought.commitment_id in use.unknown:
        return "?", "?", "?"
    is_priced = bought.unit_usd is not None and bought.kind is not Kind.CAPACITY_RESERVATION
    idle = "" if this_hour is None else usd(_decimal(this_hour.unused_usd)).removeprefix("$")
    return _share_text(this_hour), idle if is_priced else "", _share_text(month)


def _share_text(spent: Spent | None) -> str:
    share = None if spent is None else spent.used_share
    return "" if share is None else percent(float(share))


def _use_lines(used: Used) -> tuple[Line, ...]:
    use, until = used.use, used.use.hour + _HOUR
    known = [each for name, each in use.this_hour.items() if name not in use.unknown]
    idle = sum((each.unused_usd for each in known), Fraction(0))
    lines = [
        Line(
            f"{_machines_text(use.machines)}; as it goes, {usd(_decimal(idle))} of "
            f"commitments stay idle from {use.hour:%H:%M} to {until:%H:%M} UTC"
        )
    ]
    if use.coverage is not None:
        lines.append(
            Line(
                f"Since {use.since:%Y-%m-%d} commitments covered {percent(float(use.coverage))} of "
                "what its machines would have cost on demand"
            )
        )
    lines += [
        Line(
            f"The use of {plain(name)} is not known: {plain(why)}; add commitment_rates, or "
            "--prices with committed prices"
        )
        for name, why in sorted(use.unknown.items())
    ]
    if used.unpriced:
        lines.append(Line(f"No price on demand: {', '.join(map(plain, used.unpriced))}"))
    lines.append(Line(f"Machines are those of {plain(used.source)}, and no others", "quiet"))
    return tuple(lines)


def _machines_text(count: int) -> str:
    return f"{counted(count, 'machine')} running" if count else "No machine is running"


def held_text(held: Sequence[Commitment], now: datetime, used: Used | None = None) -> str:
    """The commitments as JSON, what ends first at the top, with their use where it is known."""
    use = None if used is None else used.use
    document: dict[str, Any] = {"commitments": []}
    for each in _by_end(held):
        said = record(each, now)
        if use is not None:
            said |= _use_record(each, use)
        document["commitments"].append(said)
    if used is not None and use is not None:
        document["use"] = {
            "store": used.source,
            "machines": use.machines,
            "hour": f"{use.hour:%Y-%m-%dT%H:%M:%SZ}",
            "month_since": f"{use.since:%Y-%m-%dT%H:%M:%SZ}",
            "month_coverage": None if use.coverage is None else _share(use.coverage),
            "unpriced": list(used.unpriced),
        }
    return json.dumps(document, indent=2)


def _use_record(bought: Commitment, use: InUse) -> dict[str, Any]:
    """The use of a commitment; null where it is not known."""
    why = use.unknown.get(bought.commitment_id)
    return {
        "this_hour": None if why else _spent_record(use.this_hour.get(bought.commitment_id)),
        "month": None if why else _spent_record(use.month.get(bought.commitment_id)),
        "use_unknown": why,
    }


def _spent_record(spent: Spent | None) -> dict[str, Any] | None:
    if spent is None:
        return None
    return {
        "used_quantity": quantity_text(round(spent.used_quantity * PICO_PER_USD)),
        "unused_quantity": quantity_text(round(spent.unused_quantity * PICO_PER_USD)),
        "used_usd": usd_text(round(spent.used_usd * PICO_PER_USD)),
        "unused_usd": usd_text(round(spent.unused_usd * PICO_PER_USD)),
        "used_share": None if spent.used_share is None else _share(spent.used_share),
    }


def _share(share: Fraction) -> str:
    return quantity_text(round(share * PICO_PER_USD))


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


def record(bought: Commitment, now: datetime) -> dict[str, Any]:
    """A commitment as it stands in JSON."""
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
