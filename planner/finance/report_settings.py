"""What a person wants of reports, as values: accounts of the ledger, and the fleet before."""

from __future__ import annotations

from dataclasses import dataclass

from costplan.planner.finance.delivery import Schedule
from costplan.planner.finance.journal import AccountRule
from costplan.planner.finance.savings import Before


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """`accounts` are rules of which the first that matches names a cost's account in the general
    ledger. `before` is the fleet that savings are held against, None where nobody says it.
    `schedules` are what the daemon delivers of itself."""

    accounts: tuple[AccountRule, ...] = ()
    before: Before | None = None
    schedules: tuple[Schedule, ...] = ()
