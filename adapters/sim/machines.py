"""The machines of a simulated cloud: what can be bought, what becomes of it, and its bill."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from costplan.adapters.sim.clock import MICROS, Alarm, VirtualClock
from costplan.adapters.sim.steps import Steps, always, dollars
from costplan.planner.nodes import LaunchRequest, MachineState, ProviderNode
from costplan.planner.types import Offer, OfferKey

_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Machines of one offer: their price, and how many may run at once (None is any number).

    `hazard_per_hour` is how often one is really taken away, `quoted_hazard_per_hour` what the
    price feed says of it; `notice_seconds` is how long before it is said.
    """

    offer: Offer
    usd_per_hour: Steps[Decimal]
    capacity: Steps[int | None] = field(default_factory=lambda: always(None))
    hazard_per_hour: float = 0.0
    quoted_hazard_per_hour: float | None = 0.0
    notice_seconds: float = 120.0

    @property
    def key(self) -> OfferKey:
        """What names the offer."""
        return self.offer.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """What may become of a machine; rates are of one machine and hour.

    A boot takes `boot_seconds` in the median, lognormal with `boot_spread`. A machine that
    fails is listed as ended; one that vanishes is listed no more; one that hangs runs on and is
    paid for, but its workers do nothing and say nothing.
    """

    boot_seconds: float = 60.0
    boot_spread: float = 0.2
    never_boots_share: float = 0.0
    fails_per_hour: float = 0.0
    vanishes_per_hour: float = 0.0
    hangs_per_hour: float = 0.0
    stop_seconds: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What will become of one machine, in seconds from its launch; None is never."""

    boots: float | None
    reclaimed: float | None
    fails: float | None
    vanishes: float | None
    hangs: float | None


def draw_fate(seed: str, fates: Fates, hazard_per_hour: float) -> Fate:
    """The fate of the machine of that seed: the same one whatever happens around it."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    boots = fates.boot_seconds * math.exp(fates.boot_spread * dice.gauss(0.0, 1.0))
    never = dice.random() < fates.never_boots_share
    return Fate(
        boots=None if never else boots,
        reclaimed=_lifetime(dice, hazard_per_hour),
        fails=_lifetime(dice, fates.fails_per_hour),
        vanishes=_lifetime(dice, fates.vanishes_per_hour),
        hangs=_lifetime(dice, fates.hangs_per_hour),
    )


def _lifetime(dice: random.Random, per_hour: float) -> float | None:
    share = dice.random()  # drawn even where it is not used, so that fates stay comparable
    return -math.log(1.0 - share) * _HOUR / per_hour if per_hour > 0 else None


@dataclass(slots=True, kw_only=True)
class Machine:
    """A machine from its launch on. Instants are microseconds of the virtual clock."""

    machine_id: str
    request: LaunchRequest
    pool: Pool
    launched: int
    state: MachineState = MachineState.PENDING
    ended: int | None = None
    end_cause: str | None = None
    is_listed: bool = True
    seen: ProviderNode | None = None
    alarms: list[Alarm] = field(default_factory=list)

    def change(self, state: MachineState) -> None:
        """It is in that state from now on."""
        self.state, self.seen = state, None

    def view(self, clock: VirtualClock, provider: str) -> ProviderNode:
        """What the cloud says of it."""
        if self.seen is None:
            number = self.machine_id.rpartition("-")[2]
            self.seen = ProviderNode(
                provider_id=self.machine_id,
                key=self.pool.key,
                state=self.state,
                launched_at=clock.instant(self.launched),
                node_id=self.request.node_id,
                token=self.request.token,
                private_address=f"{provider}-{number}.internal",
                ended_at=None if self.ended is None else clock.instant(self.ended),
                end_cause=self.end_cause,
            )
        return self.seen


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """What one machine costs in [`start`, `end`) microseconds; it still runs where `runs`."""

    machine_id: str
    node_id: str
    token: str
    key: OfferKey
    start: int
    end: int
    runs: bool
    usd: Decimal


def bill_line(machine: Machine, now: int) -> BillLine:
    """What the machine has cost until `now`: price x time from its launch to its end.

    Once it has ended, at least the minimum of its billing is paid for, in whole steps, at the
    price of its last moment.
    """
    over = machine.ended is not None and machine.ended <= now
    end = machine.ended if machine.ended is not None and over else now
    usd = dollars(machine.pool.usd_per_hour, machine.launched, end)
    if over:
        price = always(machine.pool.usd_per_hour.at(end))
        usd += dollars(price, end, _paid_until(machine, end))
    return BillLine(
        machine_id=machine.machine_id,
        node_id=machine.request.node_id,
        token=machine.request.token,
        key=machine.pool.key,
        start=machine.launched,
        end=end,
        runs=not over,
        usd=usd,
    )


def _paid_until(machine: Machine, end: int) -> int:
    billing = machine.pool.offer.billing
    seconds = max(Fraction(end - machine.launched, MICROS), Fraction(billing.minimum_seconds))
    steps = math.ceil(seconds / billing.step_seconds)
    return machine.launched + steps * billing.step_seconds * MICROS
