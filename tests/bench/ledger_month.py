"""A month of a simulated account: machines on demand and on spot whose prices change, that are
taken away and replaced, under commitments. Its bill is worked out from the machines' lives alone.

Nothing of the planner decides here: a fleet is kept at its size, and the ledger watches it.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random

from costplan.adapters.finance.open_book import open_book
from costplan.adapters.sim.clock import MICROS, VirtualClock
from costplan.adapters.sim.cloud import Account, SimCloud
from costplan.adapters.sim.machines import Fates, Machine, Pool
from costplan.adapters.sim.provider import SimProvider
from costplan.adapters.sim.steps import Steps, always, steps
from costplan.adapters.store.database import connect
from costplan.adapters.store.entries import Known, Recording, write_entries
from costplan.planner.accrual import accrue, is_settled
from costplan.planner.codec import text_of
from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.metering import Run, hours_of
from costplan.planner.commitments.values import Commitment, Kind, Owner, Product, Rules
from costplan.planner.finance.held_tariff import HeldTariff
from costplan.planner.finance.terms import Terms
from costplan.planner.held.values import Held, MachineRate
from costplan.planner.ledger import Meter
from costplan.planner.ledger_facts import with_facts
from costplan.planner.market import catalogue_of
from costplan.planner.nodes import LaunchRequest, MachineState, Node, ProviderNode, WorkerSpec
from costplan.planner.tick import Readings
from costplan.planner.types import Billing, Market, Offer, OfferKey, Phase, Resources
from costplan.planner.units import GIB

START = datetime(2026, 9, 1, tzinfo=UTC)
MONTH = "2026-09"
QUARTER_SECONDS = 900.0
ACCOUNT = "111122223333"
TYPES = (
    ("m5.xlarge", 4, 16, "0.192"),
    ("m5.2xlarge", 8, 32, "0.384"),
    ("c5.2xlarge", 8, 16, "0.34"),
)
RATES = {"m5.xlarge": "0.1399", "m5.2xlarge": "0.2798", "c5.2xlarge": "0.2451"}
TARIFF = HeldTariff(
    catalogue_of(()),
    Held(
        rates=tuple(
            MachineRate(
                provider="aws", instance_type=name, region="us-east-1",
                rates={"compute_sp": Fraction(rate)},
            )
            for name, rate in RATES.items()
        )
    ),
)  # fmt: skip


def commitments(nodes: int) -> tuple[Commitment, ...]:
    """A plan and reservations that cover about a half of what runs on demand."""
    size = Fraction(max(1, nodes // 8))
    return (
        Commitment(
            commitment_id="ri-m5", kind=Kind.REGIONAL_RI, count=size, term="1y",
            usd_per_hour=Fraction("0.0713"), owner=Owner(account=ACCOUNT),
            product=Product(provider="aws", service="ec2", region="us-east-1",
                            instance_type="m5.xlarge"),
        ),
        Commitment(
            commitment_id="sp-1", kind=Kind.COMPUTE_SP, product=Product(provider="aws"),
            usd_per_hour=size * Fraction("0.1937"), owner=Owner(account=ACCOUNT),
        ),
    )  # fmt: skip


@dataclass(slots=True)
class Month:
    """The simulated account, and the ledger that watches it from outside."""

    path: Path
    nodes: int
    days: int
    cloud: SimCloud
    provider: SimProvider
    dice: Random
    known: dict[str, Node] = field(default_factory=dict)
    meters: Mapping[str, Meter] = field(default_factory=dict)
    past: dict[str, Node] = field(default_factory=dict)
    entries: int = 0
    launches: int = 0

    @property
    def clock(self) -> VirtualClock:
        return self.cloud.clock

    def run(self) -> None:
        """All of the days, a look at each quarter of an hour, when prices change as well, and at
        a few seconds besides."""
        names = Known()
        with closing(connect(self.path, read_only=False)) as db:
            db.execute("PRAGMA synchronous = OFF")
            for _ in range(self.days * 96):
                self._look(db, names)
                early = self.dice.uniform(1.0, QUARTER_SECONDS - 1.0)
                self.clock.advance(early)
                self._look(db, names)
                self.clock.advance(QUARTER_SECONDS - early)
            for machine in self.cloud.machines():
                self.cloud.stop(machine)
            self.clock.advance(60.0)
            self._look(db, names, keep=False)
            self._write_nodes(db)

    def _look(self, db: sqlite3.Connection, names: Known, *, keep: bool = True) -> None:
        now = self.clock()
        listed = {each.node_id: each for each in self.provider.nodes()}
        self.known = {name: _seen(node, listed.get(name), now) for name, node in self.known.items()}
        read = Readings(
            at=now, load=None, machines=None, notices=None, offers=tuple(self.provider.offers()),
            quotes=tuple(self.provider.quotes(self.provider.keys)),
        )  # fmt: skip
        made, self.meters = accrue(self.known, self.meters, read)
        made = with_facts(made, self.known, read.quotes, ACCOUNT)
        if made:
            self.entries += len(made)
            db.execute("BEGIN")
            write_entries(db, made, Recording(at=now, tick_id=f"{now:%d%H%M%S}"), names)
            db.execute("COMMIT")
        for name, node in list(self.known.items()):
            if node.phase is Phase.GONE and is_settled(node, self.meters):
                self.past[name] = self.known.pop(name)
        if keep:
            self._keep()
            # Their meters begin at the price that they were launched at.
            _, self.meters = accrue(self.known, self.meters, read)

    def _keep(self) -> None:
        """As many machines as are to run; now and then one is ended."""
        alive = [n for n in self.known.values() if n.phase is not Phase.GONE]
        for node in alive:
            if self.dice.random() < 0.002 and node.provider_id is not None:
                self.provider.terminate([node.provider_id])
        for _ in range(self.nodes - len(alive)):
            self.launches += 1
            key = self.dice.choice(self.provider.keys)
            request = _request(f"n-{self.launches:06d}", key)
            machine = self.provider.launch(request)
            pool = self.cloud.pools[key]
            self.known[request.node_id] = Node(
                node_id=request.node_id, key=key, resources=pool.offer.resources,
                phase=Phase.READY, phase_since=machine.launched_at, workload="training",
                request=request, provider_id=machine.provider_id,
                launched_at=machine.launched_at,
            )  # fmt: skip

    def _write_nodes(self, db: sqlite3.Connection) -> None:
        for name, node in sorted({**self.past, **self.known}.items()):
            db.execute(
                "INSERT INTO nodes VALUES (?, ?, ?, 0, '', ?)",
                (name, node.phase.value, node.phase_since.isoformat(),
                 zlib.compress(text_of(node, Node).encode(), 1)),
            )  # fmt: skip


def _seen(node: Node, listed: ProviderNode | None, now: datetime) -> Node:
    if listed is None or listed.state is not MachineState.ENDED or node.phase is Phase.GONE:
        return node
    cause = "reclaimed by its cloud" if listed.end_cause == "reclaimed" else "asked for"
    return replace(
        node, phase=Phase.GONE, phase_since=now, ended_at=listed.ended_at,
        history=((Phase.READY, node.phase_since, ""), (Phase.GONE, now, cause)),
    )  # fmt: skip


def _request(node_id: str, key: OfferKey) -> LaunchRequest:
    worker = WorkerSpec(name=f"{node_id}-0", shape="w", threads=4, memory_bytes=GIB, resources={})
    return LaunchRequest(
        token=node_id, node_id=node_id, cluster="sim", keys=(key,), workers=(worker,), tags={}
    )


def make_month(path: Path, *, nodes: int, days: int, seed: int = 1) -> Month:
    """An account before its month."""
    dice = Random(seed)  # noqa: S311 - made-up data
    pools = []
    for name, vcpu, gib, usd in TYPES:
        resources = Resources(vcpu_milli=vcpu * 1000, memory_bytes=gib * GIB)
        pools.append(_pool(name, resources, Market.ON_DEMAND, always(Decimal(usd)), 0.0))
        changes = [
            (quarter * QUARTER_SECONDS,
             (Decimal(usd) * dice.randint(2500, 4500) / 10_000).quantize(Decimal("1e-7")))
            for quarter in range(0, days * 96, 7)
        ]  # fmt: skip
        pools.append(_pool(name, resources, Market.SPOT, steps(changes), 0.08))
    cloud = SimCloud(
        VirtualClock(START), pools, fates=Fates(boot_seconds=45.0),
        account=Account(name="aws", seed=seed, ended_listed_seconds=3600),
    )  # fmt: skip
    return Month(path, nodes, days, cloud, SimProvider(cloud), dice)


def _pool(
    name: str, resources: Resources, market: Market, usd: Steps[Decimal], hazard: float
) -> Pool:
    key = OfferKey(
        provider="aws", region="us-east-1", zone="us-east-1a", instance_type=name, market=market
    )
    offer = Offer(key=key, resources=resources, arch="x86_64", billing=Billing())
    return Pool(offer=offer, usd_per_hour=usd, hazard_per_hour=hazard, notice_seconds=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The ledger against the cloud's own bill; differences in dollars, the largest of each."""

    machines: int
    entries: int
    taken: int
    refunded: int
    usd: Decimal
    worst_machine_usd: Decimal
    on_demand_usd: Decimal
    on_demand_off_usd: Decimal
    commitments_off_usd: Decimal
    refunds_off_usd: Decimal
    total_off_usd: Decimal


def compare(month: Month) -> Comparison:
    """Both bills of a month that is over."""
    machines = month.cloud.machines()
    held = commitments(month.nodes)
    terms = Terms(cluster="sim", commitments=held, tariff=TARIFF)
    own = {line.node_id: line.usd for line in month.cloud.bill()}
    free = {m.request.node_id for m in machines if _is_free(m)}
    end = START + timedelta(days=month.days, hours=1)
    runs = [_run(m) for m in machines if m.pool.key.market is Market.ON_DEMAND]
    rules = Rules(sustained_use=False)
    bills = bill(hours_of(runs, held, rules, START, end), rules)
    wanted = sum((each.on_demand_usd for each in bills), Fraction(0))
    with open_book(month.path, start=START, end=end, terms=terms) as book:
        ledger = dict(book.rows(
            "SELECT node_id, sum(list_usd) FROM lines WHERE kind IN ('usage', 'correction') "
            "AND charge = 'machine' GROUP BY 1"
        ))  # fmt: skip
        [(on_demand,)] = book.rows(
            "SELECT sum(billed_usd) FROM lines WHERE market = 'on_demand' AND charge = 'machine'"
        )
        [(credits,)] = book.rows(
            "SELECT coalesce(sum(billed_usd), 0) FROM lines WHERE kind = 'credit'"
        )
        [(billed, effective)] = book.rows("SELECT sum(billed_usd), sum(effective_usd) FROM lines")
        parts = book.rows(
            """SELECT commitment_id, commitment_status, sum(effective_usd) FROM lines
            WHERE commitment_status IS NOT NULL GROUP BY ALL"""
        )
    used: dict[tuple[str, str], Fraction] = {}
    for each in bills:
        for use in each.commitments:
            for status, usd in (("used", use.used_usd), ("unused", use.unused_usd)):
                key = (use.commitment_id, status)
                used[key] = used.get(key, Fraction(0)) + usd
    spot = sum((usd for m in machines if m.pool.key.market is Market.SPOT
                for usd in [own[m.request.node_id]]), Decimal(0))  # fmt: skip
    refund = sum((own[name] for name in free), Decimal(0))
    fees = sum((_dollars(usd) for usd in used.values()), Decimal(0))
    return Comparison(
        machines=len(machines),
        entries=month.entries,
        taken=sum(m.end_cause == "reclaimed" for m in machines),
        refunded=len(free),
        usd=sum(own.values(), Decimal(0)),
        worst_machine_usd=max(abs(ledger.get(name, Decimal(0)) - usd) for name, usd in own.items()),
        on_demand_usd=on_demand,
        on_demand_off_usd=abs(on_demand - _dollars(wanted)),
        commitments_off_usd=max(
            abs(usd - _dollars(used[name, status])) for name, status, usd in parts
        ),
        refunds_off_usd=abs(credits + refund),
        total_off_usd=max(
            abs(billed - (_dollars(wanted) + spot - refund + fees)),
            abs(effective - (_dollars(wanted) + spot - refund + fees)),
        ),
    )


def _is_free(machine: Machine) -> bool:
    """AWS takes nothing for a spot machine that it took away within the first hour."""
    is_taken = machine.pool.key.market is Market.SPOT and machine.end_cause == "reclaimed"
    return is_taken and (machine.ended or 0) - machine.launched < 3600 * MICROS


def _run(machine: Machine) -> Run:
    name = machine.pool.key.instance_type
    clock_start = START
    return Run(
        run_id=machine.request.node_id,
        product=Product(provider="aws", service="ec2", region="us-east-1", zone="us-east-1a",
                        instance_type=name),
        start=clock_start + timedelta(microseconds=machine.launched),
        end=clock_start + timedelta(microseconds=machine.ended or 0),
        usd_per_hour=Fraction(machine.pool.usd_per_hour.at(0)),
        rates={"compute_sp": Fraction(RATES[name])},
        owner=Owner(account=ACCOUNT),
    )  # fmt: skip


def _dollars(amount: Fraction) -> Decimal:
    return Decimal(amount.numerator) / Decimal(amount.denominator)
