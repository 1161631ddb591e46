"""What the store takes and gives: a tick to be kept, and a tick that was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from costplan.planner.asked import DemandPart
from costplan.planner.ledger import LedgerEntry
from costplan.planner.settings import Settings
from costplan.planner.tick import Action, MovePlan, Readings, State
from costplan.planner.types import Gap, Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class TickCommit:
    """One tick, whole: what it saw, what it decided, and what is to be done once this is on disk.

    `replan` says that it was asked for a plan. `version` is of the code that ran it, `summary`
    is for people: what JSON can hold. `demand` was asked for since the tick before.
    """

    tick_id: str
    at: datetime
    replan: bool
    mode: Mode
    gaps: tuple[Gap, ...]
    readings: Readings
    state_before: State
    state_after: State
    settings: Settings
    snapshot_digest: str
    plan: MovePlan | None
    actions: tuple[Action, ...]
    entries: tuple[LedgerEntry, ...]
    version: str
    summary: Mapping[str, Any]
    demand: tuple[DemandPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTick:
    """A tick as it was stored, with all that it takes to run it again.

    `seq` counts ticks, `entries` are what it added to the ledger.
    """

    seq: int
    tick_id: str
    at: datetime
    replan: bool
    mode: Mode
    gaps: tuple[Gap, ...]
    readings: Readings
    state_before: State
    settings: Settings
    snapshot_digest: str
    plan: MovePlan | None
    actions: tuple[Action, ...]
    entries: tuple[LedgerEntry, ...]
    version: str
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The part of a stored tick that no other tick shares."""

    readings: Readings
    state_before: State
    gaps: tuple[Gap, ...]
    actions: tuple[Action, ...]
    entries: tuple[LedgerEntry, ...]
