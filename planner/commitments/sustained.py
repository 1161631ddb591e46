"""Google's sustained use discounts: the longer a resource runs in a month, the less it costs.

Usage is stacked into lanes, each of as many units as run at a time: what runs now continues the
lanes that ran longest, so that machines that follow one another count as one (Google's inferred
instances). A lane pays the rate of the quarter of the month that it is in.
https://cloud.google.com/compute/docs/sustained-use-discounts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.commitments.open import OpenLine, moments
from costplan.planner.commitments.values import Usage

Lanes = tuple[tuple[Fraction, Fraction], ...]
"""Units and the hours that they have run this month, longest first."""

Month = Mapping[tuple[str, ...], Lanes]
"""The lanes of each group of usage that is counted together."""

NEW_MONTH: Month = MappingProxyType({})

_UP_TO_30 = tuple(map(Fraction, ("1", "0.8", "0.6", "0.4")))
_UP_TO_20 = tuple(map(Fraction, ("1", "0.8678", "0.733", "0.6")))
"""Google publishes that these come to 20 %; the rates of the quarters are from its price pages of
2020 and come to 19.98 %."""

RATES = {
    **dict.fromkeys(("n1", "m1", "m2", "f1", "g1"), _UP_TO_30),
    **dict.fromkeys(("n2", "n2d", "c2"), _UP_TO_20),
}
"""Shares of the price in each quarter of the month, by machine series; others have no discount."""


def charge(lines: Sequence[OpenLine], month: Month, month_hours: Fraction) -> Month:
    """Books what is left of lines with the discount, at the rates of their lanes; gives the month
    with this hour in it."""
    groups: dict[tuple[str, ...], list[OpenLine]] = {}
    for line in sorted(lines, key=lambda line: line.usage.usage_id):
        if line.left and not line.usage.is_spot and line.usage.product.machine_series in RATES:
            groups.setdefault(_group(line.usage), []).append(line)
    found = dict(month)
    for group, members in groups.items():
        found[group] = _charge(members, found.get(group, ()), month_hours)
    return MappingProxyType(found)


def _group(usage: Usage) -> tuple[str, ...]:
    """What is counted together: a resource of a series in a region, at one price."""
    product = usage.product
    what = product.resource or product.instance_type
    return product.region, product.machine_series, what, str(usage.usd_per_unit)


def _charge(members: Sequence[OpenLine], lanes: Lanes, month_hours: Fraction) -> Lanes:
    """Each line has its share of what the hour has at each rate."""
    rates = RATES[members[0].usage.product.machine_series]
    at_rate: dict[Fraction, Fraction] = {}
    together = [part for line in members for part in line.profile]
    for start, end, running in moments({"all": together}):
        hours = (end - start) / 3600
        taken, lanes = _run(lanes, running.get("all", Fraction(0)), hours)
        for units, before in taken:
            for rate, inside in _tiers(rates, before, hours, month_hours):
                at_rate[rate] = at_rate.get(rate, Fraction(0)) + units * inside
    whole = sum((line.left for line in members), Fraction(0))
    for line in members:
        share, price = line.left / whole, line.usage.usd_per_unit
        for rate, quantity in at_rate.items():
            line.charge(None, share * quantity, price * rate)
    return lanes


def _run(lanes: Lanes, units: Fraction, hours: Fraction) -> tuple[Lanes, Lanes]:
    """The lanes that so many units continue, as they were, and all lanes afterwards."""
    taken, after, idle = [], [], []
    for width, before in (*lanes, (units, Fraction(0))):
        used = min(width, units)
        units -= used
        if used:
            taken.append((used, before))
            after.append((used, before + hours))
        if width > used and before:
            idle.append((width - used, before))
    return tuple(taken), _joined([*after, *idle])


def _joined(lanes: list[tuple[Fraction, Fraction]]) -> Lanes:
    """Lanes of equal length as one."""
    widths: dict[Fraction, Fraction] = {}
    for width, hours in lanes:
        widths[hours] = widths.get(hours, Fraction(0)) + width
    return tuple((widths[hours], hours) for hours in sorted(widths, reverse=True))


def _tiers(
    rates: Sequence[Fraction], before: Fraction, hours: Fraction, month_hours: Fraction
) -> list[tuple[Fraction, Fraction]]:
    """Rate and hours of each quarter that a lane runs through; past the month the last goes on."""
    quarter = month_hours / len(rates)
    found = []
    for place, rate in enumerate(rates):
        is_last = place == len(rates) - 1
        until = before + hours if is_last else (place + 1) * quarter
        inside = min(before + hours, until) - max(before, place * quarter)
        if inside > 0:
            found.append((rate, inside))
    return found
