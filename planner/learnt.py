"""What past ticks have taught, kept across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from costplan.planner.speed import Paces, no_paces


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What a spot pool has done with machines of ours: hours in which it had some, how often it
    took some away (both fade with time), and when it last did."""

    hours: float = 0.0
    episodes: float = 0.0
    last_episode: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How often an offer was granted and refused, as of `at`; both fade with time."""

    granted: float
    refused: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How a pool has answered of late: refusals in a row, each after it was tried again, or
    machines granted in a row. `at` is of the last grant, or when it may be tried again."""

    at: datetime
    refusals: int = 0
    granted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What past ticks have taught, kept across restarts.

    `durations` are (tasks, mean seconds) by prefix over all runs. `boot_seconds` are the last
    boots seen, `idle_gaps` the last pauses between bursts of work (seconds), `bursts` the
    task-seconds of those. `idle_since` is when the cluster last ran out of work, None while it
    has some, and `busy_before` how many task-seconds the scheduler had counted then. `refused`
    says until when an offer is not asked for again, `answers` how it has answered. `exposure` is
    what each spot pool has done, and `boots` the last boots of each offer, by the offer's name.
    `exchanged` says when nodes of an offer were last exchanged for another's, by 'from > to'.
    `hints` says when a spot pool was last said to be in danger, `capacity` what asking for each
    offer came to. `scheduler_id` is of the scheduler that was last heard of, and `reborn_at` when
    it was found to be another. `paces` are what its tasks took, by prefix and type of machine,
    and `past_paces` those of schedulers before it.
    """

    durations: Mapping[str, tuple[int, float]] = field(
        default_factory=lambda: MappingProxyType(dict[str, tuple[int, float]]())
    )
    boot_seconds: tuple[float, ...] = ()
    idle_gaps: tuple[float, ...] = ()
    bursts: tuple[float, ...] = ()
    idle_since: datetime | None = None
    busy_before: float = 0.0
    surplus_since: Mapping[str, datetime] = field(
        default_factory=lambda: MappingProxyType(dict[str, datetime]())
    )
    refused: Mapping[str, datetime] = field(
        default_factory=lambda: MappingProxyType(dict[str, datetime]())
    )
    answers: Mapping[str, Answers] = field(
        default_factory=lambda: MappingProxyType(dict[str, Answers]())
    )
    exposure: Mapping[str, Exposure] = field(
        default_factory=lambda: MappingProxyType(dict[str, Exposure]())
    )
    boots: Mapping[str, tuple[float, ...]] = field(
        default_factory=lambda: MappingProxyType(dict[str, tuple[float, ...]]())
    )
    exchanged: Mapping[str, datetime] = field(
        default_factory=lambda: MappingProxyType(dict[str, datetime]())
    )
    hints: Mapping[str, datetime] = field(
        default_factory=lambda: MappingProxyType(dict[str, datetime]())
    )
    capacity: Mapping[str, Capacity] = field(
        default_factory=lambda: MappingProxyType(dict[str, Capacity]())
    )
    scheduler_id: str = ""
    reborn_at: datetime | None = None
    paces: Paces = field(default_factory=no_paces)
    past_paces: Paces = field(default_factory=no_paces)
