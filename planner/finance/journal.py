"""Journal entries for an ERP: cost centre, account, period and whole cents that tie.

Each entry is rounded to the cent by itself, half to even, so that it can be checked against the
exact file; an entry of its own carries what the cents then lack of the rounded total.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from costplan.planner.units import whole_cents

ROUNDING = "rounding"
"""The charge of the entry that makes the cents tie."""

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRule:
    """An account of the general ledger for what matches all that is given; '' matches anything."""

    account: str
    charge: str = ""
    purpose: str = ""
    cost_center: str = ""

    def matches(self, charge: str, purpose: str, cost_center: str) -> bool:
        """True where nothing that is given differs."""
        mine = (self.charge, self.purpose, self.cost_center)
        pairs = zip(mine, (charge, purpose, cost_center), strict=True)
        return all(want in ("", have) for want, have in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Exact dollars of a cost centre, by charge and purpose."""

    cost_center: str
    charge: str
    purpose: str
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One entry; `account` is '' where no rule names one."""

    cost_center: str
    account: str
    period: str
    amount_usd: Decimal
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Entries in cents that add up to `total_usd`, which is `exact_usd` in whole cents."""

    entries: tuple[JournalEntry, ...]
    total_usd: Decimal
    exact_usd: Decimal


def journal(
    costs: Iterable[Cost], rules: Sequence[AccountRule], *, period: str, what: str
) -> Journal:
    """The journal of a period; costs of one centre and account are one entry a purpose.

    `what` begins each description ('costplan trainer, amortised').
    """
    found: dict[tuple[str, str, str], Decimal] = {}
    for cost in costs:
        account = _account(rules, cost.charge, cost.purpose, cost.cost_center)
        key = (cost.cost_center, account, f"{cost.charge}: {cost.purpose}")
        found[key] = found.get(key, _ZERO) + cost.usd
    entries = [
        JournalEntry(
            cost_center=center,
            account=account,
            period=period,
            amount_usd=whole_cents(usd),
            description=f"{what}, {words}, {period}",
        )
        for (center, account, words), usd in sorted(found.items())
    ]
    exact = sum(found.values(), _ZERO)
    total = whole_cents(exact)
    rest = total - sum((entry.amount_usd for entry in entries), _ZERO)
    entries.append(
        JournalEntry(
            cost_center="",
            account=_account(rules, ROUNDING, "", ""),
            period=period,
            amount_usd=rest,
            description=f"{what}, rounding to cents, {period}",
        )
    )
    return Journal(entries=tuple(entries), total_usd=total, exact_usd=exact)


def _account(rules: Sequence[AccountRule], charge: str, purpose: str, cost_center: str) -> str:
    return next((r.account for r in rules if r.matches(charge, purpose, cost_center)), "")
