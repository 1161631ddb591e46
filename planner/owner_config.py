"""Whose the workload is and who bears what is nobody's: sections of the autoscaler's file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from costplan.planner.config_fields import Share as ShareOfOne
from costplan.planner.config_fields import Text, one_of, plain_text, refusal, shown
from costplan.planner.config_section import Section
from costplan.planner.finance.lines import Owner, Purpose
from costplan.planner.finance.sharing import SHAREABLE, Method, Share, Sharing

EXAMPLES = {
    "reports.sharing.shares.share": "share: 0.6",
}
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,127}")


def _account(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        way_out = f'put it in quotes, so that no digit is lost: account: "{value}"'
        raise refusal(f"{value} is a number", way_out)
    text = plain_text(value)
    if _ACCOUNT.fullmatch(text) is None:
        raise refusal(f"{shown(text)} is no account", 'write it like account: "111122223333"')
    return text


Account = Annotated[str, BeforeValidator(_account)]
MethodName = Annotated[str, BeforeValidator(one_of(tuple(Method), "a way of sharing", {}))]
SharedPurpose = Annotated[str, BeforeValidator(one_of(SHAREABLE, "what can be shared", {}))]


class OwnerSection(Section):
    """Whose the workload is."""

    team: Text | None = None
    project: Text | None = None
    cost_center: Text | None = None
    environment: Text | None = None
    account: Account | None = None


class ShareSection(Section):
    """An owner's agreed share."""

    team: Text | None = None
    project: Text | None = None
    cost_center: Text | None = None
    environment: Text | None = None
    share: ShareOfOne


class SharingSection(Section):
    """Who bears what no work can be named for."""

    method: MethodName = Method.APART.value
    purposes: tuple[SharedPurpose, ...] = tuple(each.value for each in SHAREABLE)
    shares: tuple[ShareSection, ...] = ()


def owner_of(section: OwnerSection | ShareSection) -> Owner:
    """The owner that a section names."""
    return Owner(
        team=section.team or "",
        project=section.project or "",
        cost_center=section.cost_center or "",
        environment=section.environment or "",
    )


def sharing_of(section: SharingSection) -> Sharing:
    """The section as the core has it."""
    return Sharing(
        method=Method(section.method),
        purposes=tuple(map(Purpose, section.purposes)),
        shares=tuple(
            Share(owner=owner_of(each), share=Decimal(repr(each.share))) for each in section.shares
        ),
    )


def sharing_contradictions(section: SharingSection) -> Iterator[tuple[str, str, str]]:
    """Path, problem and way out of what each key allows and all keys together do not."""
    path, is_fixed = "reports.sharing", section.method == Method.FIXED
    if is_fixed and not section.shares:
        yield f"{path}.shares", "is missing, and method is fixed", "add who bears which share"
    if section.shares and not is_fixed:
        problem = f"is given, but method is {section.method}"
        yield f"{path}.shares", problem, "write method: fixed, or drop it"
    total = sum(Decimal(repr(each.share)) for each in section.shares)
    if total > 1:
        yield f"{path}.shares", f"are {total} together, above 1", "lower one"
    for place, each in enumerate(section.shares):
        if owner_of(each) == Owner():
            problem = "names nobody"
            yield f"{path}.shares[{place}]", problem, "add a team, project or cost_center"
        if not each.share:
            yield f"{path}.shares[{place}].share", "is 0", "drop it"
