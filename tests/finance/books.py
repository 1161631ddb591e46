"""Charge lines of a made-up month: two clouds, spot and on demand, a plan, a correction."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from costplan.planner.finance.lines import (
    Cell,
    Charge,
    ChargeLine,
    Cover,
    Covered,
    LineKind,
    Owner,
    Purpose,
)

MONTH = "2026-10"
START = datetime(2026, 10, 1, tzinfo=UTC)
PLAN = "sp-0a1b2c"
PLAN_USD_PER_HOUR = Decimal("0.60")
_PICO = Decimal(1).scaleb(-12)
_HOUR = timedelta(hours=1)
_MICROS = 3_600_000_000
_DISK_USD_PER_HOUR = Decimal("0.002191780822")
_PLAN_RATE = Decimal("0.7")
_Type = tuple[str, str, str, str, str, str, str, int, str]
_TYPES: tuple[_Type, ...] = (
    ("aws", "111122223333", "us-east-1", "us-east-1a", "m5.xlarge", "4", "16", 0, "0.192"),
    ("aws", "111122223333", "us-east-1", "us-east-1b", "c5.2xlarge", "8", "16", 0, "0.34"),
    ("gcp", "ml-train", "us-central1", "us-central1-a", "n2-standard-8", "8", "32", 0, "0.388472"),
    ("aws", "111122223333", "us-east-1", "us-east-1a", "g5.xlarge", "4", "16", 1, "1.006"),
)
_OWNERS = (
    Owner(workload="fraud", team="risk", project="fraud", cost_center="CC-100", environment="prod",
          user="ana", run="r-1", span="train", prefix="fit"),
    Owner(workload="fraud", team="risk", project="fraud", cost_center="CC-100", environment="prod",
          user="ben", run="r-2", span="features", prefix="groupby"),
    Owner(workload="ads", team="growth", project="ads", cost_center="CC-200", environment="dev"),
    Owner(),
)  # fmt: skip
_PURPOSES = (Purpose.WORK, Purpose.WORK, Purpose.IDLE, Purpose.BOOT, Purpose.DRAIN,
             Purpose.RECOMPUTE)  # fmt: skip


def pico(usd: Decimal) -> Decimal:
    """Whole pico-dollars, half to even."""
    return usd.quantize(_PICO, rounding=ROUND_HALF_EVEN)


def month_lines(*, nodes: int = 6, hours: int = 48, seed: int = 1) -> Iterator[ChargeLine]:
    """`nodes` machines for `hours` from the first of October 2026 on, with disks, every other one
    on spot; a savings plan whose use and rest are its fee in every hour; and one correction."""
    dice = random.Random(seed)  # noqa: S311 - made-up data
    number = 0
    for hour in range(hours):
        at, left = START + hour * _HOUR, PLAN_USD_PER_HOUR
        for node in range(nodes):
            kind, is_spot = _TYPES[node % len(_TYPES)], node % 2 == 1
            rate = Decimal(kind[-1])
            paid = pico(rate * dice.randint(25, 60) / 100) if is_spot else rate
            market = "spot" if is_spot else "on_demand"
            for line in _machine(number, at, node, kind, market=market, paid=paid, dice=dice):
                number += 1
                usd = pico((line.on_demand_usd or Decimal(0)) * _PLAN_RATE)
                is_ours = kind[0] == "aws" and not is_spot and line.charge is Charge.MACHINE
                if is_ours and usd <= left:
                    left -= usd
                    yield _covered(line, usd)
                else:
                    yield line
        for line in _plan(number, at, left):
            number += 1
            yield line
    last = _line(
        number, START, 2, _TYPES[2], market="on_demand", paid=Decimal(_TYPES[2][-1]), micros=_MICROS
    )
    yield _taken_back(last, 600_000_000)


def _machine(
    number: int, at: datetime, node: int, kind: _Type, *, market: str, paid: Decimal,
    dice: random.Random,
) -> Iterator[ChargeLine]:  # fmt: skip
    """An hour of a machine in two parts, which do different things, and its disk."""
    share = dice.randint(1, 59) * 60_000_000
    owner = _OWNERS[(node + at.hour // 6) % len(_OWNERS)]
    first = _line(number, at, node, kind, market=market, paid=paid, micros=share)
    yield replace(first, owner=owner, purpose=_PURPOSES[dice.randrange(6)])
    rest = _line(number + 1, at, node, kind, market=market, paid=paid, micros=_MICROS - share)
    yield replace(rest, owner=owner)
    disk = _line(number + 2, at, node, kind, market=market, paid=_DISK_USD_PER_HOUR, micros=_MICROS)
    yield replace(
        disk,
        charge=Charge.DISK,
        owner=owner,
        on_demand_usd_per_hour=_DISK_USD_PER_HOUR,
        on_demand_usd=disk.billed_usd,
    )


def _line(
    number: int, at: datetime, node: int, kind: _Type, *, market: str, paid: Decimal, micros: int
) -> ChargeLine:
    provider, account, region, zone, instance_type, vcpu, memory, gpus, rate = kind
    usd = pico(paid * micros / _MICROS)
    return ChargeLine(
        line_id=number,
        entry_id=number,
        recorded_at=at + _HOUR,
        month=MONTH,
        cluster="trainer",
        node_id=f"node-{node}",
        resource_id=f"i-{node:017x}",
        cell=Cell(
            provider=provider,
            account=account,
            region=region,
            zone=zone,
            instance_type=instance_type,
            market=market,
            vcpu=Decimal(vcpu),
            memory_gib=Decimal(memory),
            gpus=gpus,
        ),
        charge=Charge.MACHINE,
        kind=LineKind.USAGE,
        purpose=Purpose.WORK,
        start=at,
        end=at + _HOUR,
        micros=micros,
        usd_per_hour=paid,
        on_demand_usd_per_hour=Decimal(rate),
        billed_usd=usd,
        effective_usd=usd,
        list_usd=usd,
        on_demand_usd=pico(Decimal(rate) * micros / _MICROS),
        rate_source="bundled",
        plan_id=f"plan-{at:%d%H}",
        tags={"cluster": "trainer"},
    )


def _covered(line: ChargeLine, usd: Decimal) -> ChargeLine:
    """The same machine's time under the plan: nothing is billed for it."""
    return replace(
        line,
        billed_usd=Decimal(0),
        effective_usd=usd,
        list_usd=line.on_demand_usd or Decimal(0),
        covered=Covered(
            commitment_id=PLAN, kind="compute_sp", status=Cover.USED, quantity=usd, unit="USD"
        ),
    )


def _plan(number: int, at: datetime, left: Decimal) -> Iterator[ChargeLine]:
    """The plan's fee of an hour, and what of it nobody used."""
    fee = replace(
        _line(number, at, 0, _TYPES[0], market="", paid=PLAN_USD_PER_HOUR, micros=0),
        node_id="",
        resource_id=PLAN,
        cell=Cell(provider="aws", account="111122223333"),
        charge=Charge.COMMITMENT,
        kind=LineKind.PURCHASE,
        purpose=Purpose.FEE,
        on_demand_usd_per_hour=None,
        on_demand_usd=None,
        billed_usd=PLAN_USD_PER_HOUR,
        effective_usd=Decimal(0),
        list_usd=PLAN_USD_PER_HOUR,
        covered=Covered(
            commitment_id=PLAN,
            kind="compute_sp",
            status=None,
            quantity=PLAN_USD_PER_HOUR,
            unit="USD",
        ),
    )
    yield fee
    if left:
        assert fee.covered is not None
        yield replace(
            fee,
            line_id=number + 1,
            entry_id=number + 1,
            kind=LineKind.USAGE,
            purpose=Purpose.STRANDED,
            billed_usd=Decimal(0),
            effective_usd=left,
            list_usd=left,
            covered=replace(fee.covered, status=Cover.UNUSED, quantity=left),
        )


def _taken_back(line: ChargeLine, micros: int) -> ChargeLine:
    """A correction of the same month: time that was charged and was not there."""
    usd = pico(line.usd_per_hour * micros / _MICROS)
    return replace(
        line,
        kind=LineKind.CORRECTION,
        recorded_at=line.recorded_at + timedelta(days=1),
        micros=micros,
        billed_usd=-usd,
        effective_usd=-usd,
        list_usd=-usd,
        on_demand_usd=-usd,
    )
