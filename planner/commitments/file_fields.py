"""The leaf values of files of usage and commitments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import BeforeValidator

from costplan.planner.commitments.values import SPEND_KINDS
from costplan.planner.config_fields import (
    finite_number,
    one_of,
    plain_text,
    refusal,
    shown,
    whole_from,
)

_MOST = Decimal(10) ** 12
_MOST_USD = Decimal(10) ** 7
_FINEST = Decimal(10) ** -18
_MOST_SECONDS = 86400
_FIRST_YEAR, _LAST_YEAR = 1970, 2200

_SYSTEMS = {
    "linux/unix": "linux",
    "amazon linux": "linux",
    "windows server": "windows",
    "red hat enterprise linux": "rhel",
    "suse linux": "suse",
    "suse linux enterprise server": "suse",
}

RATE_NAMES = tuple(name for kind in SPEND_KINDS for name in (str(kind), f"{kind}_1y", f"{kind}_3y"))
"""Keys of `rates`: a kind of commitment of dollars an hour, for any term or for one."""


def _number(value: object, remedy: str) -> Decimal:
    if isinstance(value, str):
        try:
            amount = Decimal(value.strip())
        except InvalidOperation:
            raise refusal(f"{shown(value)} is not a number", remedy) from None
    else:
        amount = Decimal(repr(finite_number(value, remedy)))
    if not amount.is_finite():
        raise refusal(f"{shown(value)} is not a finite number", remedy)
    if amount and abs(amount) < _FINEST:
        raise refusal(f"{shown(value)} is too small", f"the finest is {_FINEST}")
    return amount


def _between(
    least: Decimal, remedy: str, *, above: bool = False, most: Decimal = _MOST
) -> Callable[[object], Decimal]:
    """The check of a number from `least`, or above it, to `most`."""

    def check(value: object) -> Decimal:
        amount = _number(value, remedy)
        if amount < least or (above and amount == least) or amount > most:
            bound = f"above {least}" if above else f"{least} or more"
            raise refusal(f"{shown(value)} is not {bound} and at most {most:.0e}", remedy)
        return amount

    return check


def _share(value: object) -> Decimal:
    remedy = "a discount is written from 0 to 1, such as 0.28"
    share = _number(value, remedy)
    if 1 < share <= 100:
        raise refusal(f"{shown(value)} is above 1", f"did you mean {share / 100}?")
    if not 0 <= share <= 1:
        raise refusal(f"{shown(value)} is not from 0 to 1", remedy)
    return share


def _instant(value: object) -> datetime:
    remedy = "write it like 2026-05-04T12:00:00Z"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise refusal(f"{shown(value)} is no point in time", remedy) from None
    if not isinstance(value, datetime):
        raise refusal(f"{shown(value)} is no point in time", remedy)
    if value.tzinfo is None:
        raise refusal(f"{value} says no time zone", "end it with Z for UTC")
    if not _FIRST_YEAR <= value.year < _LAST_YEAR:
        raise refusal(f"{value} is not from {_FIRST_YEAR} to {_LAST_YEAR}", remedy)
    return value.astimezone(UTC)


def _hour(value: object) -> datetime:
    instant = _instant(value)
    if (instant.minute, instant.second, instant.microsecond) != (0, 0, 0):
        raise refusal(f"{instant:%H:%M:%S} is not the start of an hour", "write it like 12:00:00Z")
    return instant


def _lower(value: object) -> str:
    return plain_text(value).lower()


def system_name(value: object) -> str:
    """An operating system in one word, from the provider's words for it too."""
    name = _lower(value)
    return _SYSTEMS.get(name, name)


def _choice(words: tuple[str, ...], what: str, aliases: dict[str, str] | None = None) -> object:
    return BeforeValidator(one_of(words, what, aliases or {}))


_PRICE = "write dollars as a number, such as 0.096"
_PER_HOUR = "write dollars per hour as a number, such as 60 or 12.50"
_COUNT = "write how many, such as 4 or 0.5"

Usd = Annotated[Decimal, BeforeValidator(_between(Decimal(0), _PRICE, most=_MOST_USD))]
UsdPerHour = Annotated[
    Decimal, BeforeValidator(_between(Decimal(0), _PER_HOUR, above=True, most=_MOST_USD))
]
Quantity = Annotated[Decimal, BeforeValidator(_between(Decimal(0), _COUNT))]
Count = Annotated[Decimal, BeforeValidator(_between(Decimal(0), _COUNT, above=True))]
Discount = Annotated[Decimal, BeforeValidator(_share)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
HourStart = Annotated[datetime, BeforeValidator(_hour)]
Lower = Annotated[str, BeforeValidator(_lower)]
System = Annotated[str, BeforeValidator(system_name)]
Seconds = Annotated[
    int, BeforeValidator(whole_from(0, _MOST_SECONDS, "write whole seconds, such as 60"))
]
Step = Annotated[
    int, BeforeValidator(whole_from(1, _MOST_SECONDS, "write whole seconds, such as 1 or 60"))
]
Cloud = Annotated[
    str, _choice(("aws", "gcp", "azure"), "a provider", {"amazon": "aws", "google": "gcp"})
]
RateName = Annotated[str, _choice(RATE_NAMES, "a kind of commitment of dollars an hour")]
Tenancy = Annotated[
    str, _choice(("shared", "dedicated", "host"), "a tenancy", {"default": "shared"})
]
Term = Annotated[str, _choice(("1y", "3y"), "a term", {"1": "1y", "3": "3y", "1yr": "1y"})]
Payment = Annotated[
    str, _choice(("all_upfront", "partial_upfront", "no_upfront"), "a payment option")
]
OfferingClass = Annotated[str, _choice(("standard", "convertible"), "a class of reservations")]
OwnerScope = Annotated[
    str, _choice(("shared", "account"), "a scope", {"single": "account", "region": "shared"})
]
AzureScope = Annotated[
    str,
    _choice(("shared", "account", "resource_group"), "a scope", {"subscription": "account"}),
]
