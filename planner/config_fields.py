"""The leaf values of a workload file: each type refuses what it cannot mean, and says the way out.

A check is a function from what YAML gave to the planner's own number; pydantic runs it before
its own conversion, so `yes` never becomes 1 and '4' never becomes 4 behind the reader's back.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from costplan.planner.types import Market
from costplan.planner.units import MIB, parse_memory, parse_seconds, pico_from_usd

MAX_WORKERS = 10_000_000
"""Workers of one shape; four orders above the largest Dask clusters, far below 64-bit overflow."""

_MAX_MACHINE_VCPU = 100_000
_MAX_FLEET_VCPU = 10**9
_MAX_MEMORY_BYTES = 2**50
MOST_SECONDS = 10 * 365 * 86400
_MAX_USD = 9_000_000  # pico-dollars of more do not fit in 64 bits
_LEAST_BARE_MEMORY = 64 * MIB
_LONGEST_SHOWN = 60
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]*")
_ARCHITECTURES = ("x86_64", "arm64")
_ARCHITECTURE_ALIASES = {"amd64": "x86_64", "x86-64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}


def shown(value: object) -> str:
    """A value as a message shows it: short, on one line, and as it stands in the file."""
    match value:
        case bool() | None:
            text = {True: "true", False: "false", None: "no value"}[value]
        case str():
            text = repr(value)
            text = text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 4]}...'"
        case int() | float():
            text = str(value)
        case dict():
            text = "a mapping"
        case list() | tuple():
            text = "a list"
        case _:
            text = f"{value} (a {type(value).__name__})"
    return text


def suggestion(word: str, words: Iterable[str]) -> str:
    """\"did you mean 'spot'?\" for the closest of `words`, '' where none is close."""
    close = difflib.get_close_matches(word.lower(), [str(known) for known in words], n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def refusal(problem: str, remedy: str) -> PydanticCustomError:
    """The error that carries a problem and its way out through pydantic."""
    return PydanticCustomError(
        "refused", "{problem}; {remedy}", {"problem": problem, "remedy": remedy}
    )


def finite_number(value: object, remedy: str) -> int | float:
    """The number that YAML gave; refuses text, true and what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal(f"{shown(value)} is not a number", remedy)
    if not math.isfinite(value):
        raise refusal(f"{value} is not a finite number", remedy)
    return value


def whole_from(least: int, most: int, remedy: str) -> Callable[[object], int]:
    """The check of a whole number from `least` to `most`."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refusal(f"{shown(value)} is not a whole number", remedy)
        if not least <= value <= most:
            raise refusal(f"{shown(value)} is not from {least} to {most}", remedy)
        return value

    return check


def _vcpu_milli(least_milli: int, most_vcpu: int, remedy: str) -> Callable[[object], int]:
    def check(value: object) -> int:
        milli = Decimal(repr(finite_number(value, remedy))) * 1000
        if milli < least_milli or milli > most_vcpu * 1000:
            least = "above 0" if least_milli else "0 or more"
            raise refusal(f"{shown(value)} is not {least} and at most {most_vcpu}", remedy)
        if milli != milli.to_integral_value():
            raise refusal(f"{shown(value)} is finer than 0.001 vCPU", "round it to 0.001")
        return int(milli)

    return check


def _memory_bytes(least: int) -> Callable[[object], int]:
    remedy = "write it like 16 GiB"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise refusal(f"{shown(value)} is not an amount of memory", remedy)
        try:
            amount = parse_memory(value)
        except ValueError as error:
            problem, _, way_out = str(error).partition("; ")
            raise refusal(problem, way_out) from None
        if isinstance(value, int) and least <= amount < _LEAST_BARE_MEMORY and amount:
            raise refusal(f"{amount} means {amount} bytes", f"did you mean {amount} GiB?")
        if not least <= amount <= _MAX_MEMORY_BYTES:
            bound = "above 0" if least else "0 or more"
            raise refusal(
                f"{shown(value)} is not {bound} and at most 1024 TiB",
                remedy,
            )
        return amount

    return check


def _seconds(least: int) -> Callable[[object], int]:
    remedy = "write it like 10min, 6h or 1h 30m"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise refusal(f"{shown(value)} is not a duration", remedy)
        if isinstance(value, float):
            finite_number(value, remedy)
        try:
            seconds = parse_seconds(value)
        except ValueError as error:
            raise refusal(str(error).partition("; ")[0], remedy) from None
        if not least <= seconds <= MOST_SECONDS:
            bound = "above 0" if least else "0 or more"
            raise refusal(f"{shown(value)} is not {bound} and at most 10 years", remedy)
        return seconds

    return check


def _share(value: object) -> float:
    remedy = "a share is written from 0 to 1"
    share = float(finite_number(value, remedy))
    if 1 < share <= 100:
        raise refusal(f"{shown(value)} is above 1", f"did you mean {share / 100:g}?")
    if not 0 <= share <= 1:
        raise refusal(f"{shown(value)} is not from 0 to 1", remedy)
    return share


def _memory_share(value: object) -> float:
    share = _share(value)
    if share == 1:
        raise refusal(f"{shown(value)} leaves workers no memory", "a usual share is 0.05")
    return share


def _hazard(value: object) -> float:
    hazard = float(finite_number(value, "write interruptions per node-hour, such as 0.02"))
    if hazard < 0:
        raise refusal(f"{shown(value)} is below 0", "write interruptions per node-hour")
    return hazard


def usd_pico(what: str, *, may_be_zero: bool = False) -> Callable[[object], int]:
    """The check of an amount of dollars, as pico-dollars; `what` is like 'dollars per hour'."""
    remedy = f"write {what} as a number, such as 60 or 12.50"

    def check(value: object) -> int:
        if isinstance(value, str):
            try:
                amount = Decimal(value.strip())
            except InvalidOperation:
                raise refusal(f"{shown(value)} is not a number", remedy) from None
        else:
            amount = Decimal(repr(finite_number(value, remedy)))
        if not amount.is_finite():
            raise refusal(f"{shown(value)} is not a finite number", remedy)
        if may_be_zero and amount == 0:
            return 0
        if not 0 < amount <= _MAX_USD or pico_from_usd(amount) == 0:
            least = "0 or more" if may_be_zero else "above 0"
            raise refusal(f"{shown(value)} is not {least} and at most {_MAX_USD}", remedy)
        return pico_from_usd(amount)

    return check


def plain_text(value: object) -> str:
    """Text on one line, without space around it."""
    if not isinstance(value, str):
        raise refusal(f"{shown(value)} is not text", "put it in quotes if it is meant")
    if not value or value != value.strip() or not value.isprintable():
        raise refusal(f"{shown(value)} is empty or has stray space", "write one word")
    return value


def _name(value: object) -> str:
    name = plain_text(value)
    if not _NAME.fullmatch(name):
        raise refusal(f"{shown(name)} is not a name", "use letters, digits, '_', '.' and '-'")
    return name


def _provider(value: object) -> str:
    name = plain_text(value)
    if not _PROVIDER.fullmatch(name):
        way_out = f"did you mean {name.lower()!r}?" if _PROVIDER.fullmatch(name.lower()) else ""
        raise refusal(
            f"{shown(name)} is not a provider's name", way_out or "names are like aws, gcp, azure"
        )
    return name


def _location(value: object) -> str:
    text = plain_text(value)
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts) or not _PROVIDER.fullmatch(parts[0]):
        raise refusal(
            f"{shown(text)} is not a place",
            "write provider/region or provider/region/zone, like aws/us-east-1",
        )
    return text


def one_of(words: tuple[str, ...], what: str, aliases: dict[str, str]) -> Callable[[object], str]:
    """The check of a word that is one of these; other people's words for it are suggested."""

    def check(value: object) -> str:
        word = plain_text(value)
        if word not in words:
            alias = aliases.get(word.lower())
            way_out = f"did you mean {alias!r}?" if alias else suggestion(word, words)
            raise refusal(
                f"{shown(word)} is not {what}",
                f"{way_out} valid are {', '.join(words)}".strip(),
            )
        return word

    return check


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise refusal(f"{shown(value)} is not true or false", "write true or false")
    return value


def _filled(value: Any) -> Any:
    if isinstance(value, list | tuple) and not value:
        raise refusal("the list is empty", "write at least one entry")
    return value


Name = Annotated[str, BeforeValidator(_name)]
Text = Annotated[str, BeforeValidator(plain_text)]
Provider = Annotated[str, BeforeValidator(_provider)]
Architecture = Annotated[
    str, BeforeValidator(one_of(_ARCHITECTURES, "an architecture", _ARCHITECTURE_ALIASES))
]
MarketName = Annotated[
    Market,
    BeforeValidator(
        one_of(
            tuple(Market),
            "a market",
            {"ondemand": "on_demand", "preemptible": "spot", "od": "on_demand"},
        )
    ),
]
Filled = BeforeValidator(_filled)
"""Added to a list that must not be empty."""

WorkerCount = Annotated[
    int, BeforeValidator(whole_from(1, MAX_WORKERS, "count is how many such workers are needed"))
]
GpuCount = Annotated[
    int, BeforeValidator(whole_from(1, 1024, "GPUs are counted whole; leave gpu out for none"))
]
NodeLimit = Annotated[int, BeforeValidator(whole_from(1, MAX_WORKERS, "leave it out for no limit"))]
NodeQuota = Annotated[int, BeforeValidator(whole_from(0, MAX_WORKERS, "write a number of nodes"))]
MachineVcpuMilli = Annotated[
    int, BeforeValidator(_vcpu_milli(1, _MAX_MACHINE_VCPU, "write vCPU like 4 or 0.5"))
]
OverheadVcpuMilli = Annotated[
    int, BeforeValidator(_vcpu_milli(0, _MAX_MACHINE_VCPU, "write vCPU like 0.5"))
]
FleetVcpuMilli = Annotated[
    int, BeforeValidator(_vcpu_milli(0, _MAX_FLEET_VCPU, "write vCPU like 16 or 2000"))
]
MemoryBytes = Annotated[int, BeforeValidator(_memory_bytes(1))]
MemoryFloorBytes = Annotated[int, BeforeValidator(_memory_bytes(0))]
DurationSeconds = Annotated[int, BeforeValidator(_seconds(1))]
LossSeconds = Annotated[int, BeforeValidator(_seconds(0))]
Share = Annotated[float, BeforeValidator(_share)]
MemoryShare = Annotated[float, BeforeValidator(_memory_share)]
Hazard = Annotated[float, BeforeValidator(_hazard)]
PicoPerHour = Annotated[int, BeforeValidator(usd_pico("dollars per hour"))]
PicoRate = Annotated[int, BeforeValidator(usd_pico("dollars", may_be_zero=True))]
Location = Annotated[str, BeforeValidator(_location)]
Flag = Annotated[bool, BeforeValidator(_flag)]
