"""What a provider says was used and billed, as values: kinds of rows, states of a match, totals.

An actual is compared before commitments ("rated": what its time costs for how it was bought), so
that a discount that moves between machines is no difference in price; what commitments change is
a cause of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class ActualKind(StrEnum):
    """What a row of a bill is for. Only machines are matched by id and time."""

    MACHINE = "machine"
    DISK = "disk"
    ADDRESS = "address"
    TRAFFIC = "traffic"
    COMMITMENT = "commitment"
    TAX = "tax"
    CREDIT = "credit"
    SUPPORT = "support"
    OTHER = "other"


class MatchState(StrEnum):
    """How an hour (or day) of a machine in the ledger and in the actuals agree.

    `MISSED` is a machine of ours in an hour that the ledger has no line of; `NOT_BILLED` is a line
    that the actuals have nothing of, which may still come; `INTERRUPTED` is spot time that the
    provider waived; `MIX` is another size or market than we knew of; `FOREIGN` is a machine that
    the ledger does not know: it is listed and not judged.
    """

    MATCHED = "matched"
    PRICE = "price differs"
    QUANTITY = "quantity differs"
    MIX = "mix differs"
    INTERRUPTED = "interrupted"
    MISSED = "missed by us"
    NOT_BILLED = "not in the actuals"
    FOREIGN = "foreign"


RESTATED_STATES = (
    MatchState.PRICE,
    MatchState.QUANTITY,
    MatchState.MIX,
    MatchState.INTERRUPTED,
    MatchState.MISSED,
)
"""What a restatement changes. What is not in the actuals may be late, and stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSum:
    """All machine hours of one state. Hours are machine time; dollars are before commitments,
    `effective` after them; `filed_usd` is what the file has for them, which ties to it."""

    state: MatchState
    count: int
    ours_hours: Decimal
    theirs_hours: Decimal
    ours_usd: Decimal
    theirs_usd: Decimal
    ours_effective_usd: Decimal
    theirs_effective_usd: Decimal
    filed_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """Why the effective dollars of known machines differ: theirs less ours, in exact parts."""

    price_usd: Decimal
    quantity_usd: Decimal
    mix_usd: Decimal
    commitment_usd: Decimal
    interruption_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        """The whole difference."""
        return (
            self.price_usd
            + self.quantity_usd
            + self.mix_usd
            + self.commitment_usd
            + self.interruption_usd
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A machine in one hour or day, in the ledger and in the actuals; None is not there."""

    key: str
    account: str
    node_id: str
    start: datetime
    state: MatchState
    ours_hours: Decimal | None
    theirs_hours: Decimal | None
    ours_usd: Decimal | None
    theirs_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSum:
    """Rows that are no machine's, by kind; `ours_usd` is what the ledger has of that kind."""

    kind: ActualKind
    rows: int
    filed_usd: Decimal
    ours_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSum:
    """Machines the ledger does not know of, by account and type."""

    account: str
    instance_type: str
    machines: int
    hours: Decimal
    filed_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The files that were read: their format, digest and control totals.

    `filed_usd` is the sum of the file's own amounts as they stand there, `rounding_usd` what is
    lost of it by keeping twelve places, `other_months_usd` what lies outside the month.
    """

    files: tuple[str, ...]
    format: str
    sha256: str
    grain: str
    rows: int
    filed_usd: Decimal
    rounding_usd: Decimal
    other_months_rows: int
    other_months_usd: Decimal
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """A month of the ledger against the provider's actuals."""

    month: str
    source: Source
    states: tuple[StateSum, ...]
    causes: Causes
    kinds: tuple[KindSum, ...]
    foreign: tuple[ForeignSum, ...]
    worst: tuple[Pair, ...]

    def state(self, state: MatchState) -> StateSum | None:
        """The sums of one state, None where no hour has it."""
        return next((each for each in self.states if each.state is state), None)

    @property
    def untied_usd(self) -> Decimal:
        """What the parts leave of the file's total: zero, or this program is wrong."""
        parts = sum((each.filed_usd for each in self.states), Decimal(0))
        parts += sum((each.filed_usd for each in self.kinds), Decimal(0))
        source = self.source
        return source.filed_usd - source.rounding_usd - source.other_months_usd - parts

    @property
    def billed_usd(self) -> Decimal:
        """What the bill has for machines of ours, after commitments."""
        ours = (each for each in self.states if each.state is not MatchState.FOREIGN)
        return sum((each.theirs_effective_usd for each in ours), Decimal(0))

    @property
    def differs(self) -> bool:
        """True where a known machine's time is not as the provider has it."""
        fine = (MatchState.MATCHED, MatchState.FOREIGN)
        return any(each.state not in fine and each.count for each in self.states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the ledger is to have for a machine in [start, end): dollars before commitments, and
    hours where the ledger has none of that time."""

    start: datetime
    end: datetime
    usd: Decimal
    hours: Decimal
    is_missed: bool


WantedByKey = Mapping[str, tuple[Wanted, ...]]
"""By the key of a machine, in the order of time."""


def resource_key(resource: str) -> str:
    """What two names of one machine have in common: the last part of a path, in small letters.

    Azure writes `/subscriptions/.../virtualMachines/NAME` in any case, AWS `i-...` or an ARN,
    Google `projects/.../instances/name`; the ledger has what the provider's API calls it.
    """
    return resource.rsplit("/", 1)[-1].strip().lower()
