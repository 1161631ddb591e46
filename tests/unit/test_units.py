"""Money, memory, time and CPU: what people write, what is counted, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.units import (
    GIB,
    MIB,
    memory_text,
    milli_from_vcpu,
    parse_memory,
    parse_seconds,
    pico_from_usd,
    seconds_text,
    usd_from_pico,
    usd_text,
)


@pytest.mark.parametrize(
    ("usd", "pico"),
    [
        ("0.096", 96_000_000_000),
        (0.1, 100_000_000_000),
        (12, 12 * 10**12),
        (Decimal("1E-12"), 1),
        ("0.0000000000005", 0),
        ("0.0000000000015", 2),
        ("-1.5", -1_500_000_000_000),
    ],
)
def test_dollars_are_counted_in_pico_dollars(usd: Decimal | float | str | int, pico: int) -> None:
    assert pico_from_usd(usd) == pico


@pytest.mark.parametrize("usd", [float("nan"), float("inf"), "NaN", Decimal("-Infinity")])
def test_amounts_that_are_no_amounts_are_refused(usd: Decimal | float | str) -> None:
    with pytest.raises(ValueError, match="not a finite amount"):
        pico_from_usd(usd)


@settings(max_examples=50, derandomize=True)
@given(st.integers(-(10**18), 10**18))
def test_pico_dollars_come_back(pico: int) -> None:
    assert pico_from_usd(usd_from_pico(pico)) == pico
    assert pico_from_usd(usd_text(pico)) == pico


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (96_000_000_000, "0.096"),
        (12 * 10**12, "12.00"),
        (1, "0.000000000001"),
        (0, "0.00"),
        (-2_500_000_000_000, "-2.50"),
    ],
)
def test_amounts_have_at_least_cents(pico: int, text: str) -> None:
    assert usd_text(pico) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16 GiB", 16 * GIB),
        ("16gib", 16 * GIB),
        (" 512 MiB ", 512 * MIB),
        ("1.5 GiB", 3 * GIB // 2),
        ("2 GB", 2 * 10**9),
        ("7 b", 7),
        (4096, 4096),
        ("0", 0),
    ],
)
def test_memory_is_read(text: str | int, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["16", "16 G", "16 Gi", "GiB", "-1 GiB", "1e3 MB", ""])
def test_memory_that_people_disagree_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="memory"):
        parse_memory(text)


def test_memory_is_written() -> None:
    assert memory_text(16 * GIB) == "16 GiB"
    assert memory_text(15 * GIB + GIB // 4) == "15.25 GiB"
    assert memory_text(512 * MIB) == "512 MiB"
    assert [memory_text(n) for n in (2560, 800, 1, 0)] == [
        "2.5 KiB",
        "800 bytes",
        "1 byte",
        "0 bytes",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6h", 21600),
        ("10 min", 600),
        ("1h 30m", 5400),
        ("1h30min", 5400),
        ("1.5h", 5400),
        ("2 days", 172_800),
        ("1w", 604_800),
        ("90 seconds", 90),
        (90, 90),
        (90.0, 90),
    ],
)
def test_durations_are_read(text: str | float, seconds: int) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "6x", "6h and a bit", "-1h", True])
def test_durations_that_are_none_are_refused(text: str | bool) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["0.5s", 0.25, float("inf"), float("nan")])
def test_parts_of_a_second_are_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="whole number of seconds"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(21600, "6h"), (5400, "1h 30min"), (90, "1min 30s"), (0, "0s"), (90000, "1d 1h")],
)
def test_durations_are_written(seconds: int, text: str) -> None:
    assert seconds_text(seconds) == text
    assert seconds == 0 or parse_seconds(text) == seconds


def test_vcpu_are_counted_in_thousandths() -> None:
    assert [milli_from_vcpu(vcpu) for vcpu in (0.5, 2, 0.0004)] == [500, 2000, 0]
    for vcpu in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not a finite number"):
            milli_from_vcpu(vcpu)
