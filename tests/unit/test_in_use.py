"""What a cluster's machines use of commitments, this hour and this month, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.in_use import InUse, in_use
from costplan.planner.commitments.metering import Run, hours_of
from costplan.planner.commitments.values import Commitment, Kind, Owner, Product, Rules, Scope
from costplan.planner.nodes import Node
from costplan.planner.types import Market, OfferKey, Phase, Resources
from costplan.planner.units import GIB
from tests.cli.fleet_samples import NOW, node

HOUR = timedelta(hours=1)
"""NOW is 12:00 on the first of March: the month is twelve hours old."""

RULES = Rules(sustained_use=False)
USD = {Market.ON_DEMAND: "0.10", Market.SPOT: "0.03", Market.COMMITMENT_1Y: "0.08"}


def machine(
    number: int,
    start: datetime,
    end: datetime | None = None,
    instance_type: str = "m5.large",
    *,
    market: Market = Market.ON_DEMAND,
    provider: str = "aws",
    resources: Resources | None = None,
) -> Node:
    region = {"aws": "us-east-1", "gcp": "us-central1", "azure": "eastus"}[provider]
    key = OfferKey(
        provider=provider, region=region, zone=f"{region}-1", instance_type=instance_type,
        market=market,
    )  # fmt: skip
    made = replace(node(number, Phase.READY), key=key, launched_at=start, ended_at=end)
    return replace(made, resources=resources) if resources else made


def price_of(key: OfferKey) -> Fraction | None:
    if key.instance_type == "x1.unpriced":
        return None
    usd = USD.get(key.market)
    return Fraction(usd) if usd else None


def reserved(count: int = 2, **changes: object) -> Commitment:
    base = Commitment(
        commitment_id="ri",
        kind=Kind.REGIONAL_RI,
        product=Product(
            provider="aws", service="ec2", region="us-east-1", instance_type="m5.large"
        ),
        count=Fraction(count),
        usd_per_hour=Fraction("0.06"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def plan(usd: str = "1") -> Commitment:
    return Commitment(
        commitment_id="sp",
        kind=Kind.COMPUTE_SP,
        product=Product(provider="aws"),
        usd_per_hour=Fraction(usd),
        term="1y",
    )


def used(nodes: list[Node], *held: Commitment, now: datetime = NOW, **more: object) -> InUse:
    return in_use(nodes, held, price_of, now, **more)  # type: ignore[arg-type]


def test_what_runs_goes_on_to_the_end_of_the_hour() -> None:
    """At 12:30: one machine since 10:00, one since 12:15 that counts for three quarters, one spot
    machine that nothing covers, and one that ended at 12:15."""
    now = NOW + HOUR / 2
    nodes = [
        machine(1, NOW - 2 * HOUR),
        machine(2, NOW + HOUR / 4),
        machine(3, NOW - HOUR, market=Market.SPOT),
        machine(4, NOW - HOUR, NOW + HOUR / 4),
    ]
    found = used(nodes, reserved(4), now=now)
    assert (found.machines, found.hour, found.since) == (3, NOW, NOW.replace(hour=0))
    spent = found.this_hour["ri"]
    assert (spent.used_quantity, spent.unused_quantity) == (Fraction(2), Fraction(2))
    assert spent.unused_usd == Fraction("0.12")
    # The month to 13:00: 3 + 0.75 + 1.25 of 13 x 4 reserved hours.
    assert found.month["ri"].used_share == Fraction(5) / 52
    assert found.coverage == 1


def test_the_month_begins_at_its_first_and_a_commitment_at_its_start() -> None:
    """One machine since the day before and a reservation of two since 10:00: of thirteen hours of
    the machine three are covered."""
    found = used(
        [machine(1, NOW - 30 * HOUR)], reserved(2, start=NOW - 2 * HOUR, end=NOW + 100 * HOUR)
    )
    assert found.month["ri"].used_quantity == 3
    assert found.month["ri"].used_share == Fraction(1, 2)
    assert found.coverage == Fraction(3, 13)


def test_a_plan_whose_rates_nobody_knows_is_unknown_and_not_idle() -> None:
    nodes = [machine(1, NOW - HOUR)]
    assert used(nodes, plan()).month["sp"].used_usd == Fraction("0.16")
    assert used(nodes, plan()).unknown == {}
    later = [machine(1, NOW - HOUR, instance_type="x1.unpriced")]
    assert used(later, plan()).unknown == {"sp": "no rate of x1.unpriced under compute_sp is known"}
    family = replace(
        plan(),
        kind=Kind.EC2_INSTANCE_SP,
        product=Product(provider="aws", region="us-east-1", family="r5"),
    )
    assert used(nodes, family).unknown == {}
    assert used(nodes, family).month["sp"].used_usd == 0


def test_a_narrow_plan_without_rates_makes_the_broad_one_unknown_too() -> None:
    family = replace(
        plan(),
        commitment_id="fam",
        kind=Kind.EC2_INSTANCE_SP,
        product=Product(provider="aws", region="us-east-1", family="m5"),
    )
    assert used([machine(1, NOW - HOUR)], plan(), family).unknown == {
        "fam": "no rate of m5.large under ec2_instance_sp is known",
        "sp": "fam may take some of its usage first",
    }


def test_google_bills_resources() -> None:
    """An n2 with 4 vCPU and 16 GiB: 4 of 8 vCPU reserved are used, and the price is split 7.46 to
    1, so that 4 x 7.46 of 4 x 7.46 + 16 parts of it are covered."""
    cores = Commitment(
        commitment_id="cud",
        kind=Kind.RESOURCE_CUD,
        product=Product(provider="gcp", region="us-central1", machine_series="n2", resource="vcpu"),
        count=Fraction(8),
        usd_per_hour=Fraction("0.02"),
    )
    size = Resources(vcpu_milli=4000, memory_bytes=16 * GIB)
    found = used(
        [machine(1, NOW - 20 * HOUR, instance_type="n2-standard-4", provider="gcp",
                 resources=size)],
        cores,
    )  # fmt: skip
    assert found.this_hour["cud"].used_quantity == 4
    assert found.coverage == Fraction("29.84") / Fraction("45.84")


def test_an_account_matters_where_it_is_known() -> None:
    held = reserved(1, owner=Owner(account="a"), scope=Scope.ACCOUNT)
    nodes = [machine(1, NOW - HOUR)]
    assert used(nodes, held).this_hour["ri"].used_quantity == 1
    theirs = used(nodes, held, owner=Owner(account="b"))
    assert theirs.this_hour["ri"].used_quantity == 0
    assert used(nodes, held, owner=Owner(account="a")).this_hour["ri"].used_quantity == 1


def test_equal_machines_on_one_line_are_billed_as_each_by_itself() -> None:
    nodes = [
        machine(n, NOW - HOUR * Fraction(3 * n, 2).__floor__() - timedelta(minutes=7 * n),
                NOW - timedelta(minutes=9 * n) if n % 3 == 0 else None,
                "m5.xlarge" if n % 2 else "m5.large")
        for n in range(1, 9)
    ]  # fmt: skip
    kept = reserved(
        2, commitment_id="cr", kind=Kind.CAPACITY_RESERVATION, product=_at_the_zone(nodes[1])
    )
    held = [reserved(3), plan("0.2"), kept]
    runs = [
        Run(
            run_id=each.node_id,
            product=_at_the_zone(each),
            start=each.launched_at or NOW,
            end=each.ended_at or NOW + HOUR,
            usd_per_hour=Fraction("0.10"),
            rates={"compute_sp_1y": Fraction("0.08")},
        )
        for each in nodes
    ]
    start = NOW.replace(hour=0)
    bills = bill(hours_of(runs, held, RULES, start, NOW + HOUR), RULES)
    found = used(nodes, *held)
    this_month = [made for made in bills if made.start and made.start >= start]
    for each in held:
        uses = [
            use for made in this_month for use in made.commitments
            if use.commitment_id == each.commitment_id
        ]  # fmt: skip
        spent = found.month[each.commitment_id]
        assert spent.used_quantity == sum((use.used_quantity for use in uses), Fraction(0))
        assert spent.used_usd == sum((use.used_usd for use in uses), Fraction(0))
        assert spent.used_quantity > 0


def _at_the_zone(each: Node) -> Product:
    return Product(
        provider="aws", service="ec2", region="us-east-1", zone="us-east-1-1",
        instance_type=each.key.instance_type,
    )  # fmt: skip
