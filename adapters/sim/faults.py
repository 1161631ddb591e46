"""What goes wrong between us and a simulated cloud: by script, by seed, or both."""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

READS = ("offers", "nodes", "notices", "quotes")


class Fault(StrEnum):
    """What may become of a call.

    An unknown outcome is of a change that was done, was not done, or is done later, when nobody
    waits for it any more.
    """

    UNKNOWN_DONE = "unknown, done"
    UNKNOWN_NOT_DONE = "unknown, not done"
    UNKNOWN_LATE = "unknown, done later"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    NO_CAPACITY = "no capacity"
    QUOTA = "quota"
    CREDENTIALS = "credentials"


Rates = Mapping[str, Mapping[Fault, float]]


def rates(launch: float = 0.0, terminate: float = 0.0, reads: float = 0.0) -> Rates:
    """Shares of calls that go wrong, spread evenly over the ways that each verb can."""
    unclear = (Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE, Fault.UNKNOWN_LATE)
    refused = (Fault.THROTTLED, Fault.UNREACHABLE)
    table: dict[str, Mapping[Fault, float]] = {
        "launch": _spread(launch, (*unclear, *refused, Fault.NO_CAPACITY)),
        "terminate": _spread(terminate, (*unclear, *refused)),
    }
    table |= {verb: _spread(reads, refused) for verb in READS}
    return MappingProxyType(table)


def _spread(share: float, faults: tuple[Fault, ...]) -> Mapping[Fault, float]:
    return MappingProxyType({fault: share / len(faults) for fault in faults})


@dataclass(slots=True)
class Faults:
    """Draws the fate of each call: scripted faults of its verb first, then by the rates."""

    seed: int = 0
    rates: Rates = field(default_factory=rates)
    drawn: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    _script: dict[str, deque[Fault | None]] = field(default_factory=lambda: defaultdict(deque))
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(f"faults/{self.seed}")  # noqa: S311 - not for secrets

    def script(self, verb: str, *faults: Fault | None) -> None:
        """The next calls of a verb fare like this; None is a call that goes well."""
        self._script[verb].extend(faults)

    def stop(self) -> None:
        """From now on nothing goes wrong."""
        self.rates = rates()
        self._script.clear()

    def draw(self, verb: str) -> Fault | None:
        """What goes wrong with this call, None where nothing does."""
        fault = self._script[verb].popleft() if self._script[verb] else self._chance(verb)
        if fault is not None:
            self.drawn[verb, fault] += 1
        return fault

    def _chance(self, verb: str) -> Fault | None:
        share = self._dice.random()
        for fault, rate in self.rates.get(verb, {}).items():
            if share < rate:
                return fault
            share -= rate
        return None
