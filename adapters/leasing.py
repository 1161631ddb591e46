"""A daemon's part of commitments that clusters share: leased, renewed, and given back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

from costplan.adapters.store.commitment_leases import CommitmentLedger
from costplan.planner.errors import StoreError
from costplan.planner.held.values import GAP, Held
from costplan.planner.settings import Settings
from costplan.planner.tick import Readings, State
from costplan.planner.types import Gap

LEASE_SECONDS = 300.0
"""A daemon that is gone keeps others from its part for so long."""
RENEW_SECONDS = 60.0


class Leasing:
    """What one cluster may use of the commitments that it shares, tick by tick."""

    def __init__(self) -> None:
        self._ledger: CommitmentLedger | None = None
        self._of = ""
        self._granted: Mapping[str, Fraction] = {}
        self._wants: Mapping[str, Fraction] | None = None
        self._renewed: datetime | None = None
        self._ends: datetime | None = None

    def told(self, readings: Readings, state: State, settings: Settings) -> Readings:
        """The readings with what is leased; all is ours where no ledger is named.

        What cannot be leased is not counted on, and a gap says why.
        """
        held = settings.held
        if not held.ledger or not held.is_any:
            return readings
        try:
            self._lease(held, state, settings.cluster, readings.at)
        except StoreError as error:
            gap = Gap(kind=GAP, subject=str(error), assumed="only what was leased before")
            readings = replace(readings, gaps=(*readings.gaps, gap))
        is_good = self._ends is not None and readings.at < self._ends
        return replace(readings, leases=dict(self._granted) if is_good else {})

    def _lease(self, held: Held, state: State, cluster: str, now: datetime) -> None:
        """Leases what the last plan could use, and before there is one all that is free."""
        if self._ledger is None or self._of != held.ledger:
            ledger = CommitmentLedger(Path(held.ledger), cluster)
            ledger.enter()
            self._ledger, self._of, self._renewed = ledger, held.ledger, None
        totals = {
            each.commitment_id: each.capacity - held.used.get(each.commitment_id, Fraction(0))
            for each in held.commitments
        }
        wants = totals if state.held is None else state.held.wants
        is_due = self._renewed is None or not (
            timedelta(0) <= now - self._renewed < timedelta(seconds=RENEW_SECONDS)
        )
        if not is_due and wants == self._wants:
            return
        self._granted = self._ledger.take(wants, totals, now, LEASE_SECONDS)
        self._wants, self._renewed = wants, now
        self._ends = now + timedelta(seconds=LEASE_SECONDS)
