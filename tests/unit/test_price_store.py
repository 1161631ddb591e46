"""What is kept of synced prices, and what happens to files that somebody has damaged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.feeds.bundled import bundled_prices
from costplan.adapters.feeds.price_store import NO_HISTORY, PriceStore, default_folder, with_synced
from costplan.planner.errors import InputError
from costplan.planner.types import Market, Offer, OfferKey, Quote, Resources

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def key(market: Market = Market.SPOT, instance_type: str = "m5.large") -> OfferKey:
    return OfferKey(
        provider="aws", region="us-east-1", zone="us-east-1a", instance_type=instance_type,
        market=market,
    )  # fmt: skip


def row(of: OfferKey, usd: str) -> tuple[Offer, Quote]:
    size = Resources(vcpu_milli=2000, memory_bytes=8 << 30)
    return Offer(key=of, resources=size, arch="x86_64"), quote(of, usd, NOW)


def quote(of: OfferKey, usd: str, at: datetime) -> Quote:
    return Quote(
        key=of, usd_per_hour=Decimal(usd), hazard_per_hour=None, observed_at=at, source="test"
    )


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    store = PriceStore(tmp_path)
    rows = [row(key(), "0.0123456789"), row(key(Market.ON_DEMAND), "0.096")]
    store.write_region("aws", "us-east-1", rows, {Market.SPOT: frozenset({"m5.large"})})
    (region,) = store.regions(NOW)
    assert sorted(region.rows(), key=lambda one: one[0].key) == sorted(
        rows, key=lambda one: one[0].key
    )
    assert region.read == {Market.SPOT: frozenset({"m5.large"})}


def test_only_what_was_read_replaces_what_is_bundled(tmp_path: Path) -> None:
    store, bundled = PriceStore(tmp_path), bundled_prices(now=NOW)
    read = {Market.SPOT: frozenset({"m5.large", "m5.xlarge"})}
    store.write_region("aws", "us-east-1", [row(key(), "0.03")], read)
    merged = with_synced(bundled, store.regions(NOW))
    catalogue = merged.catalogue
    found = {
        (one.market, one.instance_type)
        for one in map(catalogue.key, range(len(catalogue)))
        if one.region == "us-east-1" and one.instance_type.startswith("m5.")
    }
    # m5.xlarge was asked for and has no price there now
    assert (Market.SPOT, "m5.large") in found
    assert (Market.SPOT, "m5.xlarge") not in found
    assert (Market.ON_DEMAND, "m5.xlarge") in found
    assert len({str(catalogue.key(place)) for place in range(len(catalogue))}) == len(catalogue)
    assert merged.digest != bundled.digest


def test_a_history_has_each_change_once(tmp_path: Path) -> None:
    first = NO_HISTORY.and_then([quote(key(), "0.03", NOW - 2 * HOUR)], ["m5.large"], NOW)
    again = [quote(key(), "0.03", NOW - 2 * HOUR), quote(key(), "0.04", NOW)]
    both = first.and_then(again, ["m5.large"], NOW + HOUR)
    assert (len(first), len(both)) == (1, 2)
    store = PriceStore(tmp_path)
    store.write_history("aws", "us-east-1", both)
    kept = store.history("aws", "us-east-1")
    assert kept.read_until == {"m5.large": NOW + HOUR}
    assert kept.changes.column("spot_usd_h").to_pylist() == [0.03, 0.04]


@pytest.mark.parametrize("name", ["us-east-1.parquet", "us-east-1.spot.parquet"])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "aws").mkdir()
    (tmp_path / "aws" / name).write_bytes(b"PAR1 and no more")
    store = PriceStore(tmp_path)
    with pytest.raises(InputError, match="take it away") as error:
        store.history("aws", "us-east-1") if ".spot" in name else store.regions(NOW)
    assert name in str(error.value)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "aws").write_text("a file in its way")
    with pytest.raises(InputError, match="cannot be written"):
        PriceStore(tmp_path).write_region("aws", "us-east-1", [row(key(), "1")], {})


def test_a_relative_home_of_data_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert default_folder() == tmp_path / ".local/share/costplan/prices"
    monkeypatch.setenv("XDG_DATA_HOME", "/srv")
    assert default_folder() == Path("/srv/costplan/prices")
