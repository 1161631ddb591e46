"""Who bears what no work can be named for: idle machines, boots, drains, stranded commitments."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from costplan.planner.finance.lines import Owner, Purpose
from costplan.planner.types import require


class Method(StrEnum):
    """How it is shared, day by day (UTC).

    `APART`: not at all; it stays with the owner of its workload, and what has none is
    unattributed. `PROPORTIONAL`: by what each owner's work cost that day. `EVEN`: the same for
    each owner who worked that day. `FIXED`: by shares that are agreed on, worked or not.
    """

    APART = "apart"
    PROPORTIONAL = "proportional"
    EVEN = "even"
    FIXED = "fixed"


SHAREABLE = (Purpose.IDLE, Purpose.BOOT, Purpose.DRAIN, Purpose.STRANDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """An owner's agreed share of all that is shared, 0 to 1."""

    owner: Owner
    share: Decimal

    def __post_init__(self) -> None:
        require(0 < self.share <= 1, "a share is above 0 and at most 1:", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How what is for these purposes is shared. Fixed shares add up to at most 1; what they leave
    stays apart."""

    method: Method = Method.APART
    purposes: tuple[Purpose, ...] = SHAREABLE
    shares: tuple[Share, ...] = ()

    def __post_init__(self) -> None:
        require(sum(each.share for each in self.shares) <= 1, "shares are above 1 together:", self)
        require((self.method is Method.FIXED) == bool(self.shares), "shares go with 'fixed':", self)
