"""The ledger against the bill that the simulated cloud works out from its machines' lives."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.bench.ledger_month import compare, make_month

PICO = Decimal("1e-12")


@pytest.mark.parametrize("seed", [1, 2])
def test_the_ledger_is_the_clouds_own_bill(tmp_path: Path, seed: int) -> None:
    """To a pico-dollar a machine and price, with prices that change, machines that are taken away
    (some within the hour that is free) or ended, and two commitments. The whole month of 500
    machines is `python -m tests.bench.ledger --month`."""
    month = make_month(tmp_path / "s.db", nodes=24, days=1, seed=seed)
    month.run()
    found = compare(month)
    assert found.machines > 30
    assert found.taken > found.refunded > 0
    assert found.on_demand_usd > 10
    assert found.worst_machine_usd <= 30 * PICO
    assert found.commitments_off_usd <= PICO
    assert found.on_demand_off_usd <= 2 * found.machines * PICO
    assert found.refunds_off_usd <= 5 * found.refunded * PICO
    assert found.total_off_usd <= 4 * found.machines * PICO
