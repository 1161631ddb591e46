"""By which terms a ledger becomes charge lines: whose it is, who bears what, what is held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from costplan.planner.catalogue import Catalogue
from costplan.planner.commitments.values import Commitment, Rules
from costplan.planner.finance.held_tariff import HeldTariff
from costplan.planner.finance.lines import Owner
from costplan.planner.finance.sharing import Sharing
from costplan.planner.held.values import NOTHING_HELD
from costplan.planner.market import catalogue_of
from costplan.planner.settings import Settings

NO_RATES = HeldTariff(catalogue_of(()), NOTHING_HELD)
"""Bills machines as they are where no commitment has a rate for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the configuration says beside the ledger.

    `owner` has the defaults of what nobody said when it was spent, `tags` are those of every
    machine, `account` is whose machines are that the ledger says no account of. `tariff` is what
    machines cost under the `commitments`, and `rules` are those of their bill. Commitments are paid
    for up to `until`, whether anything ran or not; None is as far as the ledger goes.
    """

    cluster: str = ""
    account: str = ""
    owner: Owner = Owner()
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict[str, str]()))
    sharing: Sharing = Sharing()
    commitments: tuple[Commitment, ...] = ()
    tariff: HeldTariff = NO_RATES
    rules: Rules = Rules(sustained_use=False)
    until: datetime | None = None


def terms_of(
    settings: Settings, catalogue: Catalogue | None = None, until: datetime | None = None
) -> Terms:
    """What the settings say of it, and what is held, where there is a price list to apply it by."""
    bought: tuple[Commitment, ...] = ()
    tariff = NO_RATES
    if catalogue is not None and settings.held.is_any:
        held = HeldTariff(catalogue, settings.held)
        bought, tariff = held.commitments, held
    return Terms(
        commitments=bought,
        tariff=tariff,
        cluster=settings.cluster,
        account=settings.account,
        owner=settings.owner,
        tags=settings.tags,
        sharing=settings.sharing,
        until=until,
    )
