"""The words of the house as values.

Every class is frozen and says in its docstring what must hold; `__post_init__` holds it to that.
Money is `Decimal` US dollars, instants are aware UTC, intervals are half-open, shares are 0 to 1.
Bulk data (a price list of a million offers) lives in arrays, see `catalogue.py`; these are the
values that cross module borders one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from costplan.planner.errors import InvariantBroken

_NO_OFFSET = timedelta(0)


class Market(StrEnum):
    """How an offer is paid for. A commitment is bought for a term and billed used or not."""

    ON_DEMAND = "on_demand"
    SPOT = "spot"
    COMMITMENT_1Y = "commitment_1y"
    COMMITMENT_3Y = "commitment_3y"


class Mode(StrEnum):
    """What a tick may still do with what it knows: everything, no scale-down, or only look."""

    FULL = "full"
    HOLD = "hold"
    OBSERVE = "observe"


class Decision(StrEnum):
    """What a policy says of a move; it can only say less than the plan did."""

    ALLOW = "allow"
    TRIM = "trim"
    DEFER = "defer"
    DENY = "deny"


class Phase(StrEnum):
    """Where a node is in its life, from the intention on; it ends GONE and is never deleted."""

    INTENDED = "intended"
    REQUESTED = "requested"
    UNCERTAIN = "uncertain"
    BOOTING = "booting"
    READY = "ready"
    CORDONED = "cordoned"
    RETIRING = "retiring"
    TERMINATING = "terminating"
    LOST = "lost"
    GONE = "gone"


def require(condition: bool, message: str, *about: object) -> None:
    """Raises InvariantBroken where the condition does not hold; what it is about is put into words
    only then, for values are made by the thousand and are mostly right."""
    if not condition:
        raise InvariantBroken(" ".join((message, *map(str, about))))


def require_utc(instant: datetime, field: str) -> None:
    """Raises InvariantBroken, which names the field, where an instant is not aware UTC."""
    if instant.tzinfo is not UTC and instant.utcoffset() != _NO_OFFSET:
        raise InvariantBroken(f"{field} is not aware UTC: {instant!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a machine has or a worker needs: milli-vCPU, bytes, whole GPUs of one kind.

    A need may leave `gpu_kind` open; a machine with GPUs names it.
    """

    vcpu_milli: int
    memory_bytes: int
    gpus: int = 0
    gpu_kind: str | None = None

    def __post_init__(self) -> None:
        require(
            min(self.vcpu_milli, self.memory_bytes, self.gpus) >= 0, "negative resource in", self
        )
        require(self.gpus > 0 or self.gpu_kind is None, "a kind without GPUs in", self)

    def fits_in(self, other: Resources) -> bool:
        """True where `other` has at least as much of everything, of the kind asked for."""
        return (
            self.vcpu_milli <= other.vcpu_milli
            and self.memory_bytes <= other.memory_bytes
            and self.gpus <= other.gpus
            and self.gpu_kind in (None, other.gpu_kind)
        )


class _Named:
    """Room on a key for what follows from it: a tick asks for both hundreds of times a key."""

    __slots__ = ("_hash", "_text")
    _hash: int
    _text: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OfferKey(_Named):
    """What names a thing that can be bought. `zone` is '' where the source prices by region."""

    provider: str
    region: str
    zone: str
    instance_type: str
    market: Market

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            parts = (self.provider, self.region, self.zone, self.instance_type, self.market)
            object.__setattr__(self, "_hash", hash(parts))
            return self._hash

    def __str__(self) -> str:
        try:
            return self._text
        except AttributeError:
            place = self.zone or self.region
            text = f"{self.provider}/{place}/{self.instance_type}/{self.market}"
            object.__setattr__(self, "_text", text)
            return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """How time is charged: at least `minimum_seconds`, then in steps of `step_seconds`."""

    minimum_seconds: int = 60
    step_seconds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What can be bought. It carries no price; `headroom` is how many more nodes may start."""

    key: OfferKey
    resources: Resources
    arch: str
    available: bool = True
    billing: Billing = Billing()
    headroom: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price seen for an offer: marginal dollars per hour, and the hazard of losing the node.

    `hazard_per_hour` is expected interruptions per node-hour, None where nobody knows.
    `is_estimate` is true where the source derived the price instead of reading it.
    """

    key: OfferKey
    usd_per_hour: Decimal
    hazard_per_hour: float | None
    observed_at: datetime
    source: str
    is_estimate: bool = False
    valid_until: datetime | None = None

    def __post_init__(self) -> None:
        require(self.usd_per_hour > 0, "a price must be above zero:", self)
        require(self.hazard_per_hour is None or self.hazard_per_hour >= 0, "hazard of", self)
        require_utc(self.observed_at, "observed_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something not known: what kind, of what, and what is done instead (never zero)."""

    kind: str
    subject: str
    assumed: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerShape:
    """Workers that need the same. `markets` empty means any; `gpu_kinds` empty means any kind."""

    name: str
    count: int
    need: Resources
    gpu_kinds: tuple[str, ...] = ()
    markets: tuple[Market, ...] = ()

    def __post_init__(self) -> None:
        require(self.count > 0, f"worker shape {self.name!r} has count {self.count}")
        require(self.need.gpus > 0 or not self.gpu_kinds, f"{self.name!r} names kinds, no GPUs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """`nodes` machines that each run the same workers: shape name -> workers on one node."""

    nodes: int
    workers: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """Machines of one offer in a plan: how many, at what each, and which workers they run."""

    key: OfferKey
    nodes: int
    usd_per_hour_each: Decimal
    packings: tuple[Packing, ...]

    def __post_init__(self) -> None:
        require(
            self.nodes == sum(p.nodes for p in self.packings) and self.nodes > 0,
            f"packings of {self.key} do not add up to {self.nodes} nodes",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a policy said of a move, and the numbers it said it with."""

    policy: str
    decision: Decision
    reason: str
    numbers: Mapping[str, str]
