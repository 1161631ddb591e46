"""The section `reports` of the autoscaler's file."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from costplan.planner.config_fields import (
    MAX_WORKERS,
    PicoPerHour,
    Text,
    one_of,
    plain_text,
    refusal,
    shown,
    whole_from,
)
from costplan.planner.config_section import Section
from costplan.planner.delivery_config import ScheduleSection, schedules_of
from costplan.planner.finance.journal import ROUNDING, AccountRule
from costplan.planner.finance.lines import Charge, Purpose
from costplan.planner.finance.report_settings import ReportSettings
from costplan.planner.finance.savings import Before
from costplan.planner.owner_config import SharingSection
from costplan.planner.units import usd_text

_MOST_ACCOUNT = 64


def _account(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        raise refusal(f"{shown(value)} is a number", f'put it in quotes: account: "{value}"')
    text = plain_text(value)
    if len(text) > _MOST_ACCOUNT:
        raise refusal(f"{shown(text)} is longer than {_MOST_ACCOUNT} letters", "shorten it")
    return text


Account = Annotated[str, BeforeValidator(_account)]
ChargeName = Annotated[
    str, BeforeValidator(one_of((*Charge, ROUNDING), "something that is paid for", {}))
]
PurposeName = Annotated[
    str,
    BeforeValidator(one_of(tuple(Purpose), "something that dollars did", {"waste": "idle"})),
]
MachineCount = Annotated[
    int, BeforeValidator(whole_from(1, MAX_WORKERS, "write how many machines there were"))
]


class AccountSection(Section):
    """An account of the general ledger, for costs that match all that is given."""

    account: Account
    charge: ChargeName | None = None
    purpose: PurposeName | None = None
    cost_center: Text | None = None


class BeforeSection(Section):
    """The fleet that ran before, all the time."""

    instance_type: Text
    count: MachineCount
    usd_per_hour: PicoPerHour | None = None


class ReportsSection(Section):
    """Reports."""

    sharing: SharingSection = SharingSection()
    gl_accounts: tuple[AccountSection, ...] = ()
    before: BeforeSection | None = None
    schedule: tuple[ScheduleSection, ...] = ()


def reports_of(section: ReportsSection, base: str) -> ReportSettings:
    """The section as the core has it; relative folders start at `base`."""
    before = section.before
    return ReportSettings(
        accounts=tuple(
            AccountRule(
                account=rule.account,
                charge=rule.charge or "",
                purpose=rule.purpose or "",
                cost_center=rule.cost_center or "",
            )
            for rule in section.gl_accounts
        ),
        before=None
        if before is None
        else Before(
            instance_type=before.instance_type,
            count=before.count,
            usd_per_hour=None
            if before.usd_per_hour is None
            else Decimal(usd_text(before.usd_per_hour)),
        ),
        schedules=schedules_of(section.schedule, base),
    )
