"""A book with every kind of row that FOCUS files have, each for itself and easy to find."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from costplan.planner.commitments.values import Commitment, Kind, Product
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
from tests.finance.books import pico

AT = datetime(2026, 10, 5, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MICROS = 3_600_000_000
PLAN, RESERVED, UPFRONT, CAPACITY = "sp-1", "ri-1", "ri-2", "cr-1"
ZERO = Decimal(0)

COMMITMENTS = (
    Commitment(
        commitment_id=PLAN,
        kind=Kind.COMPUTE_SP,
        product=Product(provider="aws"),
        usd_per_hour=Fraction(1, 10),
        term="1y",
        payment="no_upfront",
        start=datetime(2026, 1, 1, tzinfo=UTC),
    ),
    Commitment(
        commitment_id=RESERVED,
        kind=Kind.REGIONAL_RI,
        product=Product(provider="aws", region="us-east-1", instance_type="m5.xlarge"),
        count=Fraction(1),
        usd_per_hour=Fraction(12, 100),
        term="3y",
        start=datetime(2025, 1, 1, tzinfo=UTC),
        end=datetime(2028, 1, 1, tzinfo=UTC),
    ),
    Commitment(
        commitment_id=UPFRONT,
        kind=Kind.AZURE_RESERVATION,
        product=Product(provider="azure", region="westeurope", instance_type="D4s_v5"),
        count=Fraction(1),
        upfront_usd=Fraction(876),
        term="1y",
        payment="all_upfront",
        start=AT,
    ),
)
"""What is held; of the capacity reservation nobody said from when on."""

AWS = Cell(
    provider="aws", account="111122223333", region="us-east-1", zone="us-east-1a",
    instance_type="m5.xlarge", market="on_demand", vcpu=Decimal(4), memory_gib=Decimal(16),
)  # fmt: skip
GCP = replace(AWS, provider="gcp", account="ml-train", region="us-central1",
              zone="us-central1-a", instance_type="n2-standard-8", vcpu=Decimal(8),
              memory_gib=Decimal("32.5"))  # fmt: skip
AZURE = replace(AWS, provider="azure", account="0c9c-44", region="westeurope", zone="",
                instance_type="D4s_v5")  # fmt: skip
NASTY = Owner(
    workload='fraud, "v2"', team="Müller & Söhne", project="a\nb", cost_center="=1+1",
    environment="prod", user="o'brien", run="r-1", span="train/😀", prefix="fit",
)  # fmt: skip


def usage(number: int, *, usd: str = "0.192", share: str = "1", **changes: object) -> ChargeLine:
    """An hour of a machine at `usd`, or a share of it."""
    rate = Decimal(usd)
    cost = pico(rate * Decimal(share))
    line = ChargeLine(
        line_id=number,
        entry_id=number,
        recorded_at=AT + HOUR,
        month="2026-10",
        cluster="trainer",
        node_id="node-1",
        resource_id="i-0a1b2c",
        cell=AWS,
        charge=Charge.MACHINE,
        kind=LineKind.USAGE,
        purpose=Purpose.WORK,
        start=AT,
        end=AT + HOUR,
        micros=int(MICROS * Decimal(share)),
        usd_per_hour=rate,
        on_demand_usd_per_hour=rate,
        billed_usd=cost,
        effective_usd=cost,
        list_usd=cost,
        on_demand_usd=cost,
        rate_source="bundled",
        plan_id="plan-1",
        tags={"cluster": "trainer", "costplan:node": "node-1"},
    )
    return replace(line, **changes)  # type: ignore[arg-type]


def covered(
    line: ChargeLine, name: str, kind: Kind, usd: str, quantity: str, unit: str
) -> ChargeLine:
    """The same use under a commitment: nothing is billed, and its part of the fee is its cost."""
    return replace(
        line,
        billed_usd=ZERO,
        effective_usd=Decimal(usd),
        covered=Covered(
            commitment_id=name, kind=kind.value, status=Cover.USED, quantity=Decimal(quantity),
            unit=unit,
        ),
    )  # fmt: skip


def fee(
    number: int, name: str, kind: Kind, usd: str, quantity: str, unit: str, *, per_hour: str
) -> ChargeLine:
    """The price of a commitment: of this hour, or of all its term where it has none of an hour."""
    return usage(
        number,
        usd=per_hour,
        node_id="",
        resource_id=name,
        cell=Cell(provider="azure" if kind is Kind.AZURE_RESERVATION else "aws",
                  account="111122223333"),
        charge=Charge.COMMITMENT,
        kind=LineKind.PURCHASE,
        purpose=Purpose.FEE,
        micros=0,
        on_demand_usd_per_hour=None,
        on_demand_usd=None,
        billed_usd=Decimal(usd),
        effective_usd=ZERO,
        list_usd=Decimal(usd),
        covered=Covered(commitment_id=name, kind=kind.value, status=None,
                        quantity=Decimal(quantity), unit=unit),
    )  # fmt: skip


def unused(bought: ChargeLine, number: int, usd: str, quantity: str) -> ChargeLine:
    """What nobody used of a commitment in an hour."""
    assert bought.covered is not None
    return replace(
        bought,
        line_id=number,
        entry_id=number,
        kind=LineKind.USAGE,
        purpose=Purpose.STRANDED,
        billed_usd=ZERO,
        effective_usd=Decimal(usd),
        list_usd=Decimal(usd),
        covered=replace(bought.covered, status=Cover.UNUSED, quantity=Decimal(quantity)),
    )


def taken_back(line: ChargeLine, number: int, **changes: object) -> ChargeLine:
    """A correction that takes a line back."""
    made = replace(
        line,
        line_id=number,
        entry_id=number,
        kind=LineKind.CORRECTION,
        billed_usd=-line.billed_usd,
        effective_usd=-line.effective_usd,
        list_usd=-line.list_usd,
        on_demand_usd=None if line.on_demand_usd is None else -line.on_demand_usd,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def all_kinds() -> list[ChargeLine]:
    """One line and more of each kind; what each is stands beside it."""
    spot = usage(2, usd="0.0575", cell=replace(AWS, market="spot"), on_demand_usd=Decimal("0.192"),
                 on_demand_usd_per_hour=Decimal("0.192"), owner=NASTY)  # fmt: skip
    plan = fee(10, PLAN, Kind.COMPUTE_SP, "0.1", "0.1", "USD", per_hour="0.1")
    reserved = fee(12, RESERVED, Kind.REGIONAL_RI, "0.12", "1", "Hours", per_hour="0.12")
    september = usage(20, month="2026-09", start=AT - timedelta(days=20),
                      end=AT - timedelta(days=20) + HOUR)  # fmt: skip
    idle = replace(
        usage(30, usd="0.34"),
        purpose=Purpose.STRANDED,
        covered=Covered(commitment_id=CAPACITY, kind=Kind.CAPACITY_RESERVATION.value,
                        status=Cover.UNUSED, quantity=Decimal(1), unit="Hours"),
    )  # fmt: skip
    return [
        usage(1, owner=Owner(workload="fraud", team="risk", cost_center="CC-1")),
        spot,
        usage(3, usd="0.0022", charge=Charge.DISK),
        usage(4, usd="0.005", charge=Charge.ADDRESS),
        usage(5, usd="0.388472", cell=GCP, node_id="node-2", resource_id="881", share="0.123457"),
        # A plan of $0.10 covers a third of an hour; the rest is on demand; a part is not used.
        covered(usage(6, share="0.25"), PLAN, Kind.COMPUTE_SP, "0.0336", "0.0336", "USD"),
        usage(7, share="0.75"),
        covered(usage(8), RESERVED, Kind.REGIONAL_RI, "0.12", "1", "Hours"),
        covered(usage(9, usd="0.23", cell=AZURE, resource_id="vm-1"), UPFRONT,
                Kind.AZURE_RESERVATION, "0.1", "1", "Hours"),
        plan,
        unused(plan, 11, "0.0664", "0.0664"),
        reserved,
        fee(13, UPFRONT, Kind.AZURE_RESERVATION, "876", "8760", "Hours", per_hour="0"),
        usage(14, kind=LineKind.CREDIT, billed_usd=Decimal("-0.05"),
              effective_usd=Decimal("-0.05"), list_usd=ZERO, on_demand_usd=None),
        taken_back(usage(15, share="0.5"), 15),
        taken_back(september, 21, month="2026-10"),
        replace(september, line_id=22, month="2026-10", kind=LineKind.CORRECTION,
                micros=MICROS // 3, billed_usd=Decimal("0.064"), effective_usd=Decimal("0.064"),
                list_usd=Decimal("0.064"), on_demand_usd=Decimal("0.064")),
        idle,
        replace(idle, line_id=31, entry_id=31, purpose=Purpose.WORK,
                covered=replace(idle.covered, status=Cover.USED)),
        usage(32, cell=Cell(provider="sim"), resource_id="", node_id="node-9", tags={}),
        usage(33, start=AT + timedelta(microseconds=250_000), share="0.00009",
              end=AT + timedelta(microseconds=574_000), is_estimate=True),
        # A minimum of a minute for ten seconds: the price of the hour does not make this cost.
        replace(usage(34, share="0.0027"), billed_usd=Decimal("0.0032"),
                effective_usd=Decimal("0.0032"), list_usd=Decimal("0.0032")),
    ]  # fmt: skip


def random_lines(seed: int, *, rows: int = 2000) -> Iterator[ChargeLine]:
    """Many lines of any price, share, place and kind: each as the rules of lines allow."""
    dice = random.Random(seed)  # noqa: S311 - made-up data
    for number in range(rows):
        rate = Decimal(dice.randrange(1, 10 ** dice.randint(4, 14))).scaleb(-12)
        share = Decimal(dice.randrange(1, 10**6)).scaleb(-6)
        start = datetime(2026, 10, dice.randint(1, 30), dice.randint(0, 22), tzinfo=UTC)
        cell = dice.choice((AWS, GCP, AZURE))
        line = usage(
            number * 3, usd=str(rate), share=str(share), cell=cell, start=start, end=start + HOUR,
            owner=dice.choice((NASTY, Owner())), charge=dice.choice(tuple(Charge)[:3]),
        )  # fmt: skip
        match dice.randrange(6):
            case 0:
                rebate = -pico(rate / 7)
                line = replace(line, kind=LineKind.CREDIT, billed_usd=rebate, effective_usd=rebate)
            case 1:
                line = taken_back(line, number * 3)
            case 2:
                line = replace(line, cell=replace(cell, market="spot"), on_demand_usd=None,
                               on_demand_usd_per_hour=None)  # fmt: skip
            case 3:
                usd = pico(line.billed_usd * 7 / 10)
                line = covered(line, PLAN, Kind.COMPUTE_SP, str(usd), str(usd), "USD")
                bought = fee(number * 3 + 1, PLAN, Kind.COMPUTE_SP, str(usd), str(usd), "USD",
                             per_hour=str(usd))  # fmt: skip
                yield replace(bought, start=start, end=start + HOUR)
        yield line
