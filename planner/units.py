"""Conversions between what people write and what the planner counts in.

Money is counted in pico-dollars (10^-12 USD, `int`): coarse enough to live in 64 bits for any
hourly price, fine enough that unit price x quantity identities of billing exports hold to 1e-9
(micro- and nano-dollars are not; FOCUS tolerances are relative to the row's cost).
CPU is counted in milli-vCPU and memory in bytes, both `int`, so that packing is exact.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

PICO_PER_USD = 10**12
KIB = 2**10
GIB = 2**30
MIB = 2**20
SECONDS_PER_HOUR = 3600

_PICO = Decimal(1).scaleb(-12)
_CENT = Decimal(1).scaleb(-2)
_DURATION_UNITS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "seconds": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "minutes": 60,
    "h": 3600,
    "hour": 3600,
    "hours": 3600,
    "d": 86400,
    "day": 86400,
    "days": 86400,
    "w": 604800,
    "week": 604800,
    "weeks": 604800,
}
_DURATION_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
_MEMORY_UNITS = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def usd_from_pico(pico: int) -> Decimal:
    """US dollars, exact, from pico-dollars: 96_000_000_000 -> Decimal('0.096000000000')."""
    return Decimal(int(pico)).scaleb(-12).quantize(_PICO)


def usd_from_fraction(usd: Fraction) -> Decimal:
    """US dollars to twelve places from an exact amount: Fraction(1, 3) -> 0.333333333333."""
    return usd_from_pico(round(usd * PICO_PER_USD))


def usd_of(amount: float) -> Decimal:
    """Dollars of the optimizer as money."""
    return rounded_usd(Decimal(repr(float(amount))))


def pico_from_usd(usd: Decimal | float | str | int) -> int:
    """Pico-dollars from dollars, rounded half-even at 1e-12.

    A float goes through its shortest decimal text, so 0.1 is 10^11 pico-dollars exactly.
    Raises ValueError where the amount is not finite.
    """
    amount = Decimal(repr(usd)) if isinstance(usd, float) else Decimal(usd)
    if not amount.is_finite():
        raise ValueError(f"not a finite amount of dollars: {usd!r}")
    return int((amount * PICO_PER_USD).to_integral_value(rounding=ROUND_HALF_EVEN))


def rounded_usd(usd: Decimal) -> Decimal:
    """Dollars rounded half-even at 1e-12, which is as fine as money is kept."""
    return usd.quantize(_PICO, rounding=ROUND_HALF_EVEN)


def whole_cents(usd: Decimal) -> Decimal:
    """Dollars rounded half-even to cents, as bills and journals have them."""
    return usd.quantize(_CENT, rounding=ROUND_HALF_EVEN)


def usd_text(pico: int) -> str:
    """The exact decimal text of an amount, without trailing zeros but with at least cents.

    96_000_000_000 -> '0.096'; 12 * 10**12 -> '12.00'; 1 -> '0.000000000001'.
    """
    sign = "-" if pico < 0 else ""
    whole, fraction = divmod(abs(int(pico)), PICO_PER_USD)
    digits = f"{fraction:012d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def parse_memory(text: str | int) -> int:
    """Bytes from '16 GiB', '16GiB', '512 MB', '0' or a bare count of bytes.

    Raises ValueError on anything else; 'G' and 'Gi' are refused because people disagree
    whether they mean 10^9 or 2^30.
    """
    if isinstance(text, int):
        return text
    if text.strip() == "0":
        return 0
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount of memory; write it like '16 GiB'")
    number, unit = match.groups()
    factor = _MEMORY_UNITS.get(unit.lower())
    if factor is None:
        raise ValueError(f"{unit!r} in {text!r} is not a unit of memory; use MiB, GiB, MB or GB")
    return int(Decimal(number) * factor)


def parse_seconds(text: str | int | float) -> int:
    """Whole seconds from '6h', '10 min', '1h 30m' or a bare number of seconds.

    Raises ValueError on anything else and on fractions of a second.
    """
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is not a duration; write it like '10min' or '6h'")
    if isinstance(text, int | float):
        seconds = Decimal(repr(text))
    else:
        seconds, position = Decimal(0), 0
        while position < len(text):
            match = _DURATION_PART.match(text, position)
            if match is None or match.group(2).lower() not in _DURATION_UNITS:
                break
            seconds += Decimal(match.group(1)) * _DURATION_UNITS[match.group(2).lower()]
            position = match.end()
        if position != len(text) or position == 0:
            raise ValueError(f"{text!r} is not a duration; write it like '10min', '6h' or '1h 30m'")
    if not seconds.is_finite() or seconds != seconds.to_integral_value():
        raise ValueError(f"{text!r} is not a whole number of seconds")
    return int(seconds)


def seconds_text(seconds: int) -> str:
    """A duration as people write it: 21600 -> '6h', 5400 -> '1h 30min', 90 -> '1min 30s'."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def memory_text(memory_bytes: int) -> str:
    """An amount of memory in the largest unit that it has one of: 17179869184 -> '16 GiB'."""
    for size, unit in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if memory_bytes >= size:
            return f"{memory_bytes / size:.4g} {unit}"
    return f"{memory_bytes} byte{'s' * (memory_bytes != 1)}"


def milli_from_vcpu(vcpu: float) -> int:
    """Milli-vCPU from vCPU: 0.5 -> 500. Raises ValueError where it is not finite."""
    if not math.isfinite(vcpu):
        raise ValueError(f"not a finite number of vCPU: {vcpu!r}")
    return round(vcpu * 1000)
