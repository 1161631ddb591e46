"""How well what was bought ahead is used, and how much of what could be covered it covers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One commitment in a period.

    `used_usd` and `unused_usd` are its amortised dollars, `fee_usd` what was billed for it.
    `on_demand_usd` is what its use would have cost on demand.
    """

    commitment_id: str
    kind: str
    used_usd: Decimal
    unused_usd: Decimal
    on_demand_usd: Decimal
    fee_usd: Decimal

    @property
    def committed_usd(self) -> Decimal:
        """Used and unused."""
        return self.used_usd + self.unused_usd

    @property
    def utilisation(self) -> Decimal | None:
        """The share that was used; None where it came to nothing in this period."""
        return self.used_usd / self.committed_usd if self.committed_usd > 0 else None

    @property
    def saved_usd(self) -> Decimal:
        """Against the same on demand, below zero where more was lost unused than saved."""
        return self.on_demand_usd - self.committed_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitments:
    """All of them. `covered_usd` and `uncovered_usd` are on-demand dollars of machines that
    commitments covered, and of those that they could have: spot is neither."""

    uses: tuple[Use, ...]
    covered_usd: Decimal
    uncovered_usd: Decimal

    @property
    def coverage(self) -> Decimal | None:
        """The share of what could be covered that was; None where there was nothing to cover."""
        whole = self.covered_usd + self.uncovered_usd
        return self.covered_usd / whole if whole > 0 else None
