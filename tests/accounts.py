"""Small lives of machines to account for, and a bill that is made up in another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from costplan.planner.accrual import accrue
from costplan.planner.ledger import LedgerEntry, Meter
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.nodes import LaunchRequest, Node, WorkerSpec
from costplan.planner.tick import Readings
from costplan.planner.types import (
    Billing,
    Market,
    Offer,
    OfferKey,
    Phase,
    Quote,
    Resources,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SIZE = Resources(vcpu_milli=4000, memory_bytes=16 * 2**30)
KEY = OfferKey(
    provider="aws",
    region="us-east-1",
    zone="us-east-1a",
    instance_type="m.large",
    market=Market.SPOT,
)
PER_SECOND = Billing(minimum_seconds=0)

_PHASES = (Phase.BOOTING, Phase.READY, Phase.CORDONED, Phase.TERMINATING)


def at(minutes: float = 0) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def node(
    name: str = "n1",
    *,
    launched: datetime = NOON,
    history: Sequence[tuple[Phase, datetime]] = (),
    ended: datetime | None = None,
    key: OfferKey = KEY,
    workload: str = "fraud",
    threads: Sequence[int] = (4,),
) -> Node:
    """A node with a worker for each of `threads`; it booted when it was launched."""
    workers = tuple(
        WorkerSpec(name=f"{name}-{i}", shape="w", threads=n, memory_bytes=2**30, resources={})
        for i, n in enumerate(threads)
    )
    request = LaunchRequest(
        token=f"t-{name}", node_id=name, cluster="c", keys=(key,), workers=workers, tags={}
    )
    steps = ((Phase.BOOTING, launched), *history)
    return Node(
        node_id=name,
        key=key,
        resources=SIZE,
        phase=steps[-1][0],
        phase_since=steps[-1][1],
        workload=workload,
        request=request,
        launched_at=launched,
        ended_at=ended,
        history=tuple((phase, instant, "") for phase, instant in steps),
    )


def quote(usd: str, observed: datetime, *, key: OfferKey = KEY, estimate: bool = False) -> Quote:
    """A price of `KEY` seen then."""
    return Quote(
        key=key,
        usd_per_hour=Decimal(usd),
        hazard_per_hour=None,
        observed_at=observed,
        source="list",
        is_estimate=estimate,
    )


def offer(billing: Billing, key: OfferKey = KEY) -> Offer:
    """`KEY` as it can be bought."""
    return Offer(key=key, resources=SIZE, arch="x86_64", billing=billing)


def load(instant: datetime, workers: Mapping[str, tuple[float, datetime]]) -> Load:
    """Workers of four threads by name: finished task-time, and when each joined."""
    return Load(
        at=instant,
        window_seconds=5,
        groups=(),
        workers={
            name: WorkerLoad(
                threads=4,
                memory_bytes=None,
                resources={},
                executing=0,
                managed_bytes=0,
                busy_seconds=busy,
                joined_at=joined,
            )
            for name, (busy, joined) in workers.items()
        },
    )


def readings(
    instant: datetime,
    *quotes: Quote,
    seen: Load | None = None,
    billing: Billing = PER_SECOND,
) -> Readings:
    """What a tick reads: prices, a load, and how time is charged."""
    keys = {each.key for each in quotes} | {KEY}
    return Readings(
        at=instant,
        load=seen,
        machines=None,
        notices=None,
        offers=tuple(offer(billing, key) for key in sorted(keys)),
        quotes=quotes,
    )


@dataclass(slots=True)
class Books:
    """A ledger that is kept from tick to tick."""

    entries: list[LedgerEntry] = field(default_factory=list)
    meters: Mapping[str, Meter] = field(default_factory=dict)
    last_load: Load | None = None
    every_seconds: int = 900

    def tick(self, nodes: Sequence[Node], read: Readings) -> tuple[LedgerEntry, ...]:
        """What a tick adds."""
        new, self.meters = accrue(
            {each.node_id: each for each in nodes},
            self.meters,
            read,
            last_load=self.last_load,
            every_seconds=self.every_seconds,
        )
        self.last_load = read.load or self.last_load
        self.entries += new
        return new

    @property
    def usd(self) -> Decimal:
        """The sum of all entries."""
        return sum((entry.usd for entry in self.entries), Decimal(0))


@dataclass(frozen=True, slots=True)
class Life:
    """What really happens to a machine, in seconds after noon.

    `prices` are dollars an hour since a second; `steps` are when it is ready, cordoned and
    terminating; it is over at `ended`.
    """

    name: str
    launched: int
    steps: tuple[int, int, int]
    ended: int
    prices: tuple[tuple[int, Decimal], ...]

    @property
    def key(self) -> OfferKey:
        """Each life has an offer, and so prices, of its own."""
        return replace(KEY, instance_type=self.name)

    def seen_at(self, second: int) -> Node | None:
        """The node as a daemon that looks then knows it."""
        if second < self.launched:
            return None
        instants = (self.launched, *self.steps)
        history = tuple(
            (phase, NOON + timedelta(seconds=step))
            for phase, step in zip(_PHASES[1:], instants[1:], strict=True)
            if step <= second and step < self.ended
        )
        over = second >= self.ended
        if over:
            history = (*history, (Phase.GONE, NOON + timedelta(seconds=second)))
        return node(
            self.name,
            launched=NOON + timedelta(seconds=self.launched),
            history=history,
            ended=NOON + timedelta(seconds=self.ended) if over else None,
            key=self.key,
        )

    def quote_at(self, second: int) -> Quote:
        """The price in force then, observed when it came into force."""
        since, usd = max(step for step in self.prices if step[0] <= second)
        return quote(str(usd), NOON + timedelta(seconds=since), key=self.key)

    def bill(self, until: int) -> Fraction:
        """Dollars up to a second, a second at a time: slow, and nothing like the ledger."""
        per_hour = Fraction(0)
        for second in range(self.launched, min(until, self.ended)):
            per_hour += Fraction([usd for since, usd in self.prices if since <= second][-1])
        return per_hour / 3600
