"""What is held and may be used by the machines of a plan.

Amounts are exact rationals (`Fraction`), as everywhere in `planner/commitments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.commitments.values import SPEND_KINDS, Commitment, Owner, Scope
from costplan.planner.types import Gap
from costplan.planner.wording import plain

GAP = "commitment"
_ENDS_SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRate:
    """What a machine costs an hour under commitments of dollars, by kind ('compute_sp') or by kind
    and term ('compute_sp_3y'). Without a region ('') it is so in all of them."""

    provider: str
    instance_type: str
    region: str
    rates: Mapping[str, Fraction]


def _nothing() -> Mapping[str, Fraction]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Commitments, and whose machines are planned.

    `used` is what others use of a commitment, by its id and in its own unit (machines, units of a
    resource, dollars an hour): that much is not counted on. `file` and `ledger` are paths, '' where
    there is none: who needs one reads it.
    """

    commitments: tuple[Commitment, ...] = ()
    rates: tuple[MachineRate, ...] = ()
    owner: Owner = Owner()
    used: Mapping[str, Fraction] = field(default_factory=_nothing)
    file: str = ""
    ledger: str = ""

    @property
    def is_any(self) -> bool:
        """True where there is a commitment."""
        return bool(self.commitments)


NOTHING_HELD = Held()


def usable(held: Held, at: datetime) -> tuple[Held, tuple[Gap, ...]]:
    """What of it machines of ours may use in the hour of `at`, and what may not, and why.

    Commitments that are not in force, of another account, or used up by others are left out; of
    the others there is as much as others leave.
    """
    left, gaps = [], []
    for each in sorted(held.commitments, key=lambda one: one.commitment_id):
        why = _unusable(each, held.owner, at)
        used = held.used.get(each.commitment_id, Fraction(0))
        if not why and used >= each.capacity:
            why = "others use all of it"
        if why:
            gaps.append(
                Gap(
                    kind=GAP,
                    subject=plain(each.commitment_id),
                    assumed=f"not counted on: {why}",
                )
            )
            continue
        left.append(less(each, used))
        if each.end is not None and each.end < at + _ENDS_SOON:
            assumed = f"counted on, and ends on {each.end:%Y-%m-%d %H:%M} UTC"
            gaps.append(Gap(kind=GAP, subject=plain(each.commitment_id), assumed=assumed))
    return replace(held, commitments=tuple(left), used=_nothing()), tuple(gaps)


def leased(held: Held, leases: Mapping[str, Fraction]) -> Held:
    """What is held, of which only so much may be used of each commitment."""
    used = dict(held.used)
    for each in held.commitments:
        name = each.commitment_id
        others = each.capacity - min(each.capacity, leases.get(name, Fraction(0)))
        used[name] = max(used.get(name, Fraction(0)), others)
    return replace(held, used=MappingProxyType(used))


def less(commitment: Commitment, used: Fraction) -> Commitment:
    """The commitment without an amount that others use."""
    if not used:
        return commitment
    if commitment.kind in SPEND_KINDS:
        return replace(commitment, usd_per_hour=commitment.capacity - used)
    return replace(commitment, count=commitment.capacity - used)


def _unusable(commitment: Commitment, owner: Owner, at: datetime) -> str:
    """Why machines of an owner may not use it now, '' where they may."""
    if commitment.start is not None and commitment.start > at:
        return f"it begins on {commitment.start:%Y-%m-%d %H:%M} UTC"
    if commitment.end is not None and commitment.end <= at:
        return f"it ended on {commitment.end:%Y-%m-%d %H:%M} UTC"
    return "" if commitment.scope is Scope.SHARED else _not_ours(commitment, owner)


def _not_ours(commitment: Commitment, owner: Owner) -> str:
    mine, theirs = owner.account, commitment.owner.account
    if not mine:
        return "it is of one account, and commitments_owner does not say which is ours"
    if theirs != mine:
        return f"it is of account {plain(theirs)}, ours is {plain(mine)}"
    in_group = commitment.owner.resource_group
    if commitment.scope is Scope.RESOURCE_GROUP and in_group != owner.resource_group:
        return f"it is of resource group {plain(in_group)}"
    return ""
