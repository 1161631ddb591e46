"""Price lists as people hand them over: right ones become catalogues, wrong ones are named."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from costplan.adapters.feeds.price_columns import Place, check_unique
from costplan.adapters.feeds.price_file import REQUIRED, PriceList, read_price_file, read_prices
from costplan.planner.errors import InputError
from costplan.planner.types import Market

NOW = datetime(2026, 8, 2, tzinfo=UTC)
SEEN = datetime(2026, 8, 1, 12, tzinfo=UTC)
HEADER = ",".join(REQUIRED)
LINE = "aws,us-east-1,us-east-1a,m5.large,on_demand,x86_64,2,8589934592,0,,0.096,0,{seen},list"
GOOD_LINE = LINE.format(seen="2026-08-01T12:00:00Z")

ROW: dict[str, Any] = {
    "provider": "aws",
    "region": "us-east-1",
    "zone": "us-east-1a",
    "instance_type": "m5.large",
    "market": "on_demand",
    "arch": "x86_64",
    "vcpu": 2.0,
    "memory_bytes": 8 * 2**30,
    "gpus": 0,
    "gpu_kind": None,
    "usd_per_hour": 0.096,
    "hazard_per_hour": 0.0,
    "observed_at": SEEN,
    "source": "list",
}
OTHER = {**ROW, "instance_type": "g4dn.xlarge", "gpus": 1, "gpu_kind": "T4", "usd_per_hour": 0.526}


def parquet(*rows: dict[str, Any]) -> bytes:
    """A Parquet file of these rows, with columns as wide as the first row."""
    out = io.BytesIO()
    pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]}), out)
    return out.getvalue()


def read(data: bytes, name: str = "p.parquet") -> PriceList:
    return read_prices(data, name=name, now=NOW)


def csv(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join((header, *lines, "")).encode()


def test_parquet_becomes_a_catalogue() -> None:
    prices = read(parquet(ROW, OTHER))
    catalogue = prices.catalogue
    assert len(catalogue) == 2
    assert str(catalogue.key(0)) == "aws/us-east-1a/m5.large/on_demand"
    assert catalogue.offer(1).resources.gpu_kind == "T4"
    assert catalogue.offer(0).resources.vcpu_milli == 2000
    assert catalogue.quote(0).usd_per_hour == Decimal("0.096")
    assert catalogue.quote(0).observed_at == SEEN
    assert prices.gaps == ()
    assert prices.name == "p.parquet"
    assert len(prices.digest) == 64


def test_csv_and_parquet_give_the_same_catalogue(tmp_path: Path) -> None:
    data = parquet(ROW, OTHER, {**ROW, "market": "spot", "hazard_per_hour": None, "zone": None})
    path = tmp_path / "prices.csv"
    pacsv.write_csv(pq.read_table(io.BytesIO(data)), path)
    one, other = read(data).catalogue, read_price_file(path, now=NOW).catalogue
    for row in range(3):
        assert one.offer(row) == other.offer(row)
        assert one.quote(row) == other.quote(row)
    assert other.zone[2] == ""
    assert np.isnan(other.hazard_per_hour[2])


def test_labels_are_sorted_and_minus_one_is_absent() -> None:
    catalogue = read(parquet(ROW, OTHER)).catalogue
    assert catalogue.instance_type.names == ("g4dn.xlarge", "m5.large")
    assert catalogue.instance_type.codes.tolist() == [1, 0]
    assert catalogue.gpu_kind.codes.tolist() == [-1, 0]
    assert catalogue.market.tolist() == [0, 0]
    assert catalogue.key(0).market is Market.ON_DEMAND


@pytest.mark.parametrize(
    ("usd", "pico"),
    [
        (0.096, 96_000_000_000),
        (0.1, 100_000_000_000),
        (1e-12, 1),
        (0.0000000000016, 2),
        (2999.999999999999, 2_999_999_999_999_999),
        (Decimal("0.096"), 96_000_000_000),
        (Decimal("0.0000000000015"), 2),
        (Decimal("0.0000000000025"), 2),
        (12, 12_000_000_000_000),
    ],
)
def test_prices_are_rounded_half_even_at_a_pico_dollar(usd: object, pico: int) -> None:
    assert read(parquet({**ROW, "usd_per_hour": usd})).catalogue.price_pico.tolist() == [pico]


@pytest.mark.parametrize(
    "instant",
    [
        SEEN,
        SEEN.replace(tzinfo=None),
        SEEN.astimezone(timezone(timedelta(hours=2))),
        "2026-08-01T12:00:00Z",
        "2026-08-01 12:00:00",
        "2026-08-01T14:00:00+02:00",
    ],
)
def test_instants_are_utc_and_naive_ones_are_taken_as_utc(instant: object) -> None:
    catalogue = read(parquet({**ROW, "observed_at": instant})).catalogue
    assert catalogue.quote(0).observed_at == SEEN


@pytest.mark.parametrize(
    ("source", "is_estimate"),
    [("list", False), ("prices x advisor", True), ("estimate: by family", True), ("max", False)],
)
def test_a_source_that_derives_is_an_estimate(source: str, is_estimate: bool) -> None:
    assert read(parquet({**ROW, "source": source})).catalogue.quote(0).is_estimate is is_estimate


def test_the_column_is_estimate_wins_over_the_source() -> None:
    row = {**ROW, "source": "a x b", "is_estimate": False}
    assert not read(parquet(row)).catalogue.is_estimate.any()
    line = GOOD_LINE + ",True"
    assert read(csv(line, header=HEADER + ",is_estimate"), "p.csv").catalogue.is_estimate.all()


def test_columns_that_start_with_x_are_ignored() -> None:
    assert len(read(parquet({**ROW, "x_note": "ours", "currency": "USD"})).catalogue) == 1


@pytest.mark.parametrize("missing", [{"vcpu": None}, {"memory_bytes": 0}, {"arch": None}])
def test_machines_of_unknown_size_are_gaps(missing: dict[str, Any]) -> None:
    prices = read(parquet(OTHER, {**ROW, **missing}))
    assert len(prices.catalogue) == 1
    (gap,) = prices.gaps
    assert gap.kind == "machine_size"
    assert gap.subject == "1 prices of 1 instance types such as m5.large"


def test_accelerators_without_a_kind_are_gaps() -> None:
    prices = read(parquet(ROW, {**OTHER, "gpu_kind": None}))
    assert [gap.kind for gap in prices.gaps] == ["gpu_kind"]
    assert prices.catalogue.gpus.tolist() == [0]


def changed(**columns: object) -> Callable[[], bytes]:
    """A file whose second row has these values."""
    return lambda: parquet({**OTHER, **dict.fromkeys(columns.keys() - OTHER.keys())}, ROW | columns)


def without(column: str, **instead: object) -> Callable[[], bytes]:
    return lambda: parquet({k: v for k, v in ROW.items() if k != column} | instead)


def both(**columns: object) -> Callable[[], bytes]:
    return lambda: parquet(ROW | columns)


def no_rows() -> bytes:
    out = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(parquet(ROW))).slice(0, 0), out)
    return out.getvalue()


BROKEN: list[tuple[str, Callable[[], bytes], str]] = [
    ("p.parquet", lambda: b"", "p.parquet: is empty"),
    ("p.csv", lambda: b" \n \n", "p.csv: is empty"),
    ("p.parquet", lambda: csv(GOOD_LINE), "is not a Parquet file; give CSV the ending .csv"),
    ("p.parquet", lambda: parquet(ROW)[:-9], "is a broken Parquet file"),
    ("p.bin", lambda: b"\0\1\2\3", "is neither Parquet nor CSV"),
    ("p.csv", lambda: b"\xff\xfe\xfa,b\n1,2\n", "is neither Parquet nor CSV in UTF-8"),
    ("p.csv", csv, "p.csv: has no rows"),
    ("p.parquet", no_rows, "p.parquet: has no rows"),
    ("p.parquet", without("zone"), "has no column 'zone'; docs/prices.md lists them"),
    (
        "p.parquet",
        without("usd_per_hour", usd_per_hr=0.096),
        "has no column 'usd_per_hour'; is it called 'usd_per_hr'?",
    ),
    ("p.parquet", both(curency="USD"), "unknown column 'curency'; did you mean 'currency'?"),
    ("p.parquet", both(note=1), "unknown column 'note'; start its name with 'x_'"),
    ("p.csv", lambda: csv(GOOD_LINE, header=HEADER + ",zone"), "'zone' more than once"),
    ("p.parquet", both(region=7), "p.parquet: region: is of type int64, not text"),
    ("p.parquet", both(vcpu=True), "p.parquet: vcpu: is of type bool, not a number"),
    ("p.parquet", changed(usd_per_hour=-0.096), "row 2, usd_per_hour: -0.096 is not above zero"),
    ("p.parquet", changed(usd_per_hour=0.0), "row 2, usd_per_hour: 0 is not above zero"),
    ("p.parquet", changed(usd_per_hour=None), "row 2, usd_per_hour: is empty"),
    ("p.parquet", changed(usd_per_hour=float("nan")), "row 2, usd_per_hour: nan is not a price"),
    ("p.parquet", changed(usd_per_hour=float("inf")), "row 2, usd_per_hour: inf is not a price"),
    ("p.parquet", changed(usd_per_hour=9001.0), "9001 is above 9000 USD per hour; check the unit"),
    ("p.parquet", changed(usd_per_hour=1e-14), "1e-14 is below 1e-12 USD per hour"),
    ("p.parquet", both(usd_per_hour="cheap"), "row 1, usd_per_hour: 'cheap' is not a number"),
    ("p.parquet", lambda: parquet(ROW, OTHER, ROW), "row 3: has the same key as row 1"),
    ("p.csv", lambda: csv(GOOD_LINE, GOOD_LINE), "p.csv: line 3: has the same key as line 2"),
    ("p.parquet", changed(currency="EUR"), "row 1, currency: is empty"),
    ("p.parquet", both(currency="EUR"), "row 1, currency: 'EUR' is not USD"),
    ("p.parquet", changed(market="spott"), "row 2, market: 'spott' is not a market; did you mean"),
    ("p.parquet", changed(market="x"), "use one of on_demand, spot, commitment_1y"),
    ("p.parquet", changed(provider="AWS"), "row 2, provider: 'AWS' is not a lower-case word"),
    ("p.parquet", changed(provider=None), "row 2, provider: is empty"),
    ("p.parquet", changed(region=None), "row 2, region: is empty"),
    ("p.parquet", changed(instance_type=""), "row 2, instance_type: is empty"),
    ("p.parquet", changed(market=None), "row 2, market: is empty"),
    ("p.parquet", changed(source=None), "row 2, source: is empty"),
    ("p.parquet", changed(vcpu=-2.0), "row 2, vcpu: -2 is below zero"),
    ("p.parquet", changed(memory_bytes=-1), "row 2, memory_bytes: -1 is below zero"),
    ("p.parquet", changed(gpus=-1), "row 2, gpus: -1 is below zero"),
    ("p.parquet", both(gpus=0.5, gpu_kind="T4"), "row 1, gpus: 0.5 is not a whole number"),
    ("p.parquet", changed(gpu_kind="T4"), "row 2, gpu_kind: 'T4' stands without gpus"),
    ("p.parquet", changed(hazard_per_hour=-0.1), "row 2, hazard_per_hour: -0.1 is below zero"),
    ("p.parquet", changed(hazard_per_hour=101.0), "row 2, hazard_per_hour: 101 is above 100"),
    ("p.parquet", changed(observed_at=None), "row 2, observed_at: is empty"),
    ("p.parquet", both(observed_at="yesterday"), "observed_at: 'yesterday' is not a timestamp"),
    ("p.parquet", both(observed_at=17), "observed_at: is of type int64, not a timestamp"),
    (
        "p.parquet",
        changed(observed_at=NOW + timedelta(days=2)),
        "row 2, observed_at: 2026-08-04T00:00:00Z lies in the future",
    ),
    ("p.parquet", both(is_estimate="maybe"), "row 1, is_estimate: 'maybe' is not true or false"),
    ("p.parquet", both(is_estimate=1), "is_estimate: is of type int64, not true or false"),
    ("p.parquet", both(vcpu=None), "has no row whose machine is known"),
    ("p.csv", lambda: csv(GOOD_LINE, "aws,us-east-1"), "p.csv: line 3: has 2 columns"),
    (
        "p.csv",
        lambda: csv(GOOD_LINE, GOOD_LINE.replace("0.096", "nine")),
        "p.csv: line 3, usd_per_hour: 'nine' is not a number",
    ),
    ("p.csv", lambda: csv(LINE.format(seen="1 August")), "line 2, observed_at: '1 August' is not"),
]


@pytest.mark.parametrize(("name", "build", "message"), BROKEN, ids=[m for _, _, m in BROKEN])
def test_a_broken_file_is_named_with_row_and_value(
    name: str, build: Callable[[], bytes], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(build(), name)
    assert message in str(caught.value)
    assert str(caught.value).startswith(name)


def test_keys_of_very_long_lists_are_compared_exactly() -> None:
    place, wide = Place("p.parquet", is_csv=False), 2**40
    first = np.array([7, 7, 8, 7]), np.array([-1, 3, -1, 3]), np.array([0, 1, 0, 2])
    check_unique(place, [(codes, wide) for codes in first])
    with pytest.raises(InputError, match="row 4: has the same key as row 2"):
        check_unique(place, [(codes, wide) for codes in first[:2]])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.parquet: there is no such file"):
        read_price_file(tmp_path / "none.parquet", now=NOW)
    with pytest.raises(InputError, match="is a folder; name a Parquet or CSV file in it"):
        read_price_file(tmp_path, now=NOW)


@pytest.mark.shared_data
def test_the_reference_list_is_read_fast(shared_data: Path) -> None:
    path = shared_data / "catalog.parquet"
    read_price_file(path, now=datetime(2026, 11, 22, tzinfo=UTC))
    started = time.process_time()
    prices = read_price_file(path, now=datetime(2026, 11, 22, tzinfo=UTC))
    seconds = time.process_time() - started
    assert len(prices.catalogue) == 244_518
    assert [gap.kind for gap in prices.gaps] == ["gpu_kind"]
    # 0.1 s of processor time on an idle machine; four times that is a regression, not noise.
    assert seconds < 0.5
