"""A cluster's afternoon as a ledger: spot machines, an interruption, a price rise, a correction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache

from costplan.planner.load import Totals
from costplan.planner.nodes import Cause, DrainOrder, Node
from costplan.planner.report import Books, Report, summarise
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.types import Market, Offer, OfferKey, Phase, Quote, Resources
from costplan.planner.units import GIB
from costplan.planner.workload import Overhead
from tests import accounts
from tests.accounts import at, load, node

MADE_AT = at(6 * 60)
SETTINGS = Settings(
    cluster="fraud-training",
    workload="fraud",
    kinds=(
        WorkerKind(
            name="w",
            need=Resources(vcpu_milli=4000, memory_bytes=14 * GIB),
            threads=4,
            resources={},
        ),
    ),
    overhead=Overhead(),
)


def key(name: str, market: Market) -> OfferKey:
    return replace(accounts.KEY, instance_type=name, market=market)


SPOT, SPOT_2 = key("m5.xlarge", Market.SPOT), key("m6i.2xlarge", Market.SPOT)
FIRM = key("m5.xlarge", Market.ON_DEMAND)
LIST: tuple[tuple[OfferKey, str, float, int], ...] = (
    (SPOT, "0.0712", 4, 16),
    (SPOT_2, "0.1480", 8, 32),
    (FIRM, "0.1920", 4, 16),
    (key("m6i.2xlarge", Market.ON_DEMAND), "0.3840", 8, 32),
    (key("c5.large", Market.ON_DEMAND), "0.0850", 2, 4),
)


@dataclass(frozen=True, slots=True)
class Story:
    """What becomes of one machine, in minutes after noon."""

    name: str
    key: OfferKey
    threads: tuple[int, ...]
    launched: float
    ready: float | None
    cordoned: float | None
    terminating: float | None
    ended: float
    known: float
    cause: str = "terminated"
    drain: Cause = Cause.SURPLUS
    busy_share: float = 0.8

    def seen(self, minute: float) -> Node | None:
        """The node as it is known then."""
        if minute < self.launched:
            return None
        steps = (
            (Phase.READY, self.ready, "joined"),
            (Phase.CORDONED, self.cordoned, "drain"),
            (Phase.TERMINATING, self.terminating, "its workers have left"),
            (Phase.GONE, self.known, self.cause),
        )
        done = [(p, at(m), why) for p, m, why in steps if m is not None and m <= minute]
        made = node(
            self.name,
            launched=at(self.launched),
            history=[(phase, instant) for phase, instant, _ in done],
            ended=at(self.ended) if minute >= self.known else None,
            key=self.key,
            threads=self.threads,
        )
        history = (made.history[0], *done)
        drained = self.cordoned is not None and minute >= self.cordoned
        order = DrainOrder(
            token="t",  # noqa: S106
            cause=self.drain,
            ordered_at=at(self.cordoned or 0),
            wait_until=MADE_AT,
        )
        return replace(made, history=history, drain=order if drained else None)

    def workers(self, minute: float) -> Iterator[tuple[str, tuple[float, datetime]]]:
        """Its workers' counters then."""
        gone = self.terminating if self.terminating is not None else self.ended
        if self.ready is None or not self.ready <= minute < gone:
            return
        busy_until = min(minute, self.cordoned or minute)
        for index, threads in enumerate(self.threads):
            busy = (busy_until - self.ready) * 60 * threads * self.busy_share
            yield f"{self.name}-{index}", (round(busy, 3), at(self.ready))


STORIES = (
    *(
        Story(f"f-{i}", SPOT, (4,), 2, 4, 236, 237, 238, 238, busy_share=0.9 - i / 50)
        for i in range(1, 7)
    ),
    Story("f-7", SPOT_2, (4, 4), 30, 32.5, 124, 125, 125.5, 126, "terminated", Cause.NOTICE),
    Story("f-8", SPOT_2, (4, 4), 31, 33, None, None, 150, 171, "reclaimed"),
    Story("f-9", FIRM, (4,), 125, 127, 280, 281, 282, 282, busy_share=0.95),
    Story("f-10", FIRM, (4,), 60, None, 75, 75, 76, 76, "terminated", Cause.BOOT_FAILED),
)


def quotes(minute: float) -> list[Quote]:
    """The list then; spot m5.xlarge gets dearer at 14:00."""
    found = []
    for offer, usd, _, _ in LIST:
        rises = offer == SPOT and minute >= 120
        found.append(
            Quote(
                key=offer,
                usd_per_hour=Decimal("0.0831" if rises else usd),
                hazard_per_hour=None,
                observed_at=at(120) if rises else at(-60),
                source="list of 2026-05-04",
                is_estimate=offer == SPOT_2,
            )
        )
    return found


def offers() -> Sequence[Offer]:
    """What can be bought."""
    return [
        Offer(
            key=offer,
            resources=Resources(vcpu_milli=int(vcpu * 1000), memory_bytes=gib * GIB),
            arch="x86_64",
            billing=accounts.PER_SECOND,
        )
        for offer, _, vcpu, gib in LIST
    ]


@cache
def books() -> Books:
    """The ledger of the afternoon, kept by ticks of half a minute."""
    kept = accounts.Books()
    minute, nodes = 0.0, list[Node]()
    while minute <= 300:
        nodes = [seen for story in STORIES if (seen := story.seen(minute)) is not None]
        workers = dict(w for story in STORIES for w in story.workers(minute))
        read = accounts.readings(at(minute), *quotes(minute), seen=load(at(minute), workers))
        kept.tick(nodes, replace(read, offers=tuple(offers())))
        minute += 0.5
    return Books(
        entries=kept.entries,
        nodes=nodes,
        settings=SETTINGS,
        offers=offers(),
        quotes=quotes(300),
        totals=Totals(
            finished_tasks=9120, recomputed_tasks=41, recomputed_seconds=1840.0, restarted_tasks=8
        ),
    )


@cache
def report() -> Report:
    """The afternoon's report."""
    made = summarise(books(), MADE_AT)
    assert made is not None
    return made


@cache
def short() -> Report:
    """A minute and a half, as the demo takes: dollars are a fraction of a cent."""
    found = books()
    made = summarise(found, MADE_AT, start=at(35), end=at(35) + timedelta(seconds=90))
    assert made is not None
    return made
