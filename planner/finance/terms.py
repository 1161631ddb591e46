"""By which terms a ledger becomes charge lines: whose cluster it is, and who pays for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from costplan.planner.finance.lines import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the configuration says beside the ledger.

    `owner` has the defaults of what nobody said more about, `tags` are those of every machine.
    """

    cluster: str = ""
    account: str = ""
    owner: Owner = Owner()
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict[str, str]()))
