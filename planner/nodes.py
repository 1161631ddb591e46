"""Machines: what is asked of a cloud, what it reports, and what we know of each of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from costplan.planner.types import OfferKey, Phase, Resources, require, require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """One Dask worker of a node. `name` is unique in the cluster and what Dask calls it.

    `resources` are Dask's own (`--resources`), `gpus` is how many of the machine's it gets.
    """

    name: str
    shape: str
    threads: int
    memory_bytes: int
    gpus: int = 0
    resources: Mapping[str, float]


class _Asked:
    """Room on a request for what follows from its workers, which a tick asks for again and
    again."""

    __slots__ = ("_kinds", "_names", "_packing")
    _kinds: tuple[WorkerSpec, ...]
    _names: tuple[str, ...]
    _packing: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest(_Asked):
    """One machine, please: acceptable offers in order of preference, the plan priced the worst.

    The same request is sent again after a crash, letter for letter.
    """

    token: str
    node_id: str
    cluster: str
    keys: tuple[OfferKey, ...]
    workers: tuple[WorkerSpec, ...]
    image_ref: str = ""
    user_data_ref: str = ""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        require(bool(self.keys), "a launch request names at least one offer")
        require(0 < len(self.token) <= 64, "a token has 1 to 64 characters")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its workers."""
        try:
            return self._names
        except AttributeError:
            object.__setattr__(self, "_names", tuple(worker.name for worker in self.workers))
            return self._names

    @property
    def kinds(self) -> tuple[WorkerSpec, ...]:
        """A worker of each kind that it has."""
        try:
            return self._kinds
        except AttributeError:
            one_of_each = {worker.shape: worker for worker in self.workers}
            object.__setattr__(self, "_kinds", tuple(one_of_each.values()))
            return self._kinds

    @property
    def packing(self) -> tuple[tuple[str, int], ...]:
        """How many workers of each kind it has, by kind."""
        try:
            return self._packing
        except AttributeError:
            counts = Counter(worker.shape for worker in self.workers)
            object.__setattr__(self, "_packing", tuple(sorted(counts.items())))
            return self._packing


class MachineState(StrEnum):
    """What a cloud says a machine is doing; an ended one is listed for a while."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderNode:
    """A machine as its cloud reports it. It is billed in [`launched_at`, `ended_at`).

    `ended_at` is known at the latest when the state is ENDED; `end_cause` is 'terminated' (asked
    for), 'reclaimed' (the cloud took it) or 'failed'. `remains` is true of an ended one that is
    paid for in part, such as for its disk, until it is terminated.
    """

    provider_id: str
    key: OfferKey
    state: MachineState
    launched_at: datetime
    node_id: str | None = None
    token: str | None = None
    private_address: str | None = None
    ended_at: datetime | None = None
    end_cause: str | None = None
    remains: bool = False

    def __post_init__(self) -> None:
        require_utc(self.launched_at, "launched_at")
        require(
            (self.state is not MachineState.ENDED) or self.ended_at is not None,
            "a machine ended at no time:",
            self.provider_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a cloud warns of: a 'reclaim', 'maintenance' or 'rebalance', and when it happens."""

    provider_id: str
    kind: str
    effective_at: datetime
    observed_at: datetime


class Cause(StrEnum):
    """Why a node is drained."""

    SURPLUS = "surplus"
    DEARER = "dearer"
    BUDGET = "budget"
    NOTICE = "notice"
    OPERATOR = "operator"
    DOWN = "down"
    BOOT_FAILED = "boot failed"


VOLUNTARY = frozenset({Cause.SURPLUS, Cause.DEARER, Cause.BUDGET})
"""Causes that break nothing off, and can be called off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOrder:
    """That a node is to be emptied and ended.

    Running tasks are waited for until `wait_until`; where `must_end_by` is set the machine is
    gone then, whatever it holds. A voluntary order can be called off, and a refusal to let a
    worker go stands. `token` names the drain towards the scheduler. Nothing is
    begun before all nodes of `after` are ready, which are to take its place.
    """

    token: str
    cause: Cause
    ordered_at: datetime
    wait_until: datetime
    must_end_by: datetime | None = None
    after: tuple[str, ...] = ()
    discard: bool = False
    """Only an operator's word sets it: results that nobody else holds may be lost."""

    @property
    def is_voluntary(self) -> bool:
        """True where nothing forces it."""
        return self.cause in VOLUNTARY


class _Lined:
    """Room on a node for what each snapshot says of it."""

    __slots__ = ("_line",)
    _line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(_Lined):
    """A machine of ours. It exists from the intention on and keeps the history of its phases.

    `request` is what is or was sent to the cloud. `key` is the offer that it was launched as,
    until then the first that would do. Billed in [`launched_at`, `ended_at`), by the cloud's
    word where it gives one. `attempts` counts launches sent. `ready_at` is when the last of its
    workers joined. `is_called_back` where a drain was called off and the scheduler may not have
    heard of it yet. `missing_since` is since when the scheduler has known none of them,
    `unlisted_since` since when the cloud has not listed its machine.
    """

    node_id: str
    key: OfferKey
    resources: Resources
    phase: Phase
    phase_since: datetime
    workload: str
    request: LaunchRequest
    provider_id: str | None = None
    launched_at: datetime | None = None
    ready_at: datetime | None = None
    ended_at: datetime | None = None
    drain: DrainOrder | None = None
    refused_until: datetime | None = None
    missing_since: datetime | None = None
    unlisted_since: datetime | None = None
    attempts: int = 0
    is_called_back: bool = False
    history: tuple[tuple[Phase, datetime, str], ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.phase_since, "phase_since")

    @property
    def workers(self) -> tuple[str, ...]:
        """Names of its Dask workers."""
        return self.request.names

    @property
    def token(self) -> str:
        """What makes its launch one launch."""
        return self.request.token

    @property
    def is_adopted(self) -> bool:
        """True where nobody here intended it: what its request says of it is made up."""
        return bool(self.history) and self.history[0][0] is Phase.BOOTING

    @property
    def line(self) -> str:
        """What names the state that it is in."""
        try:
            return self._line
        except AttributeError:
            line = f"{self.node_id},{self.phase.value},{self.phase_since},{self.drain!r}"
            object.__setattr__(self, "_line", line)
            return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What has become of a drain: workers that left with nothing lost, workers that refused with
    the reason, workers lost on the way, and the others, still under way."""

    done: tuple[str, ...]
    refused: Mapping[str, str]
    lost: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
