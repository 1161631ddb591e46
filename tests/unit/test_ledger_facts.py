"""What an entry says of its machine, and the month that it is issued in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from costplan.planner.ledger_facts import with_facts
from costplan.planner.ledger_months import cut_by_month, issue_month, month_bounds
from costplan.planner.types import Market, OfferKey, Quote
from tests.finance.ledgers import KEY, OCTOBER, SPOT, entry

NOVEMBER = OCTOBER.replace(month=11)


def quote(key: OfferKey, usd: str) -> Quote:
    return Quote(
        key=key, usd_per_hour=Decimal(usd), hazard_per_hour=None, observed_at=OCTOBER, source="list"
    )


def test_the_price_on_demand_is_the_zones_else_the_lowest_of_the_region() -> None:
    elsewhere = replace(KEY, zone="us-east-1b")
    spot = entry("n-1", OCTOBER, key=SPOT, usd_per_hour="0.07")
    for quotes, wanted in (
        ([quote(KEY, "0.2"), quote(elsewhere, "0.1")], Decimal("0.2")),
        ([quote(replace(KEY, zone="c"), "0.3"), quote(elsewhere, "0.1")], Decimal("0.1")),
        ([quote(replace(KEY, region="eu-west-1"), "0.1"), quote(SPOT, "0.07")], None),
    ):
        [found] = with_facts([spot], {}, quotes, "1")
        assert (found.on_demand_usd_per_hour, found.account) == (wanted, "1")


def test_what_is_bought_on_demand_and_disks_cost_what_they_cost() -> None:
    firm = entry("n-1", OCTOBER, usd_per_hour="0.19")
    disk = replace(entry("n-1", OCTOBER, key=SPOT, usd_per_hour="0.01"), charge="disk")
    found = with_facts([firm, disk], {}, [quote(KEY, "0.2")], "")
    assert [each.on_demand_usd_per_hour for each in found] == [Decimal("0.19"), Decimal("0.01")]
    assert [each.vcpu_milli for each in found] == [0, 0]
    assert firm.key.market is Market.ON_DEMAND


@pytest.mark.parametrize(
    ("at", "closed", "issued"),
    [
        (NOVEMBER + timedelta(days=2), {"2026-09"}, "2026-10"),
        (NOVEMBER + timedelta(days=2), {"2026-10"}, "2026-11"),
        (OCTOBER + timedelta(days=2), {"2026-10"}, "2026-11"),
        (NOVEMBER + timedelta(days=62), {"2026-10", "2027-01"}, "2027-02"),
    ],
)
def test_a_closed_month_is_added_to_later(at: datetime, closed: set[str], issued: str) -> None:
    assert issue_month("2026-10", at, closed) == issued


def test_an_entry_over_months_is_cut_exactly() -> None:
    whole = entry("n-1", OCTOBER - timedelta(hours=1), lasts=timedelta(days=62), usd_per_hour="0.1")
    parts = cut_by_month(whole)
    assert [f"{part.start:%m-%d}" for part in parts] == ["09-30", "10-01", "11-01", "12-01"]
    assert sum(part.usd for part in parts) == whole.usd
    assert month_bounds("2026-12")[1] == datetime(2027, 1, 1, tzinfo=UTC)
