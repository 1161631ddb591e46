"""The rules that decide which commitment covers what, one case each, checked by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.file import parse_bill
from costplan.planner.commitments.sizes import normalization_factor
from costplan.planner.commitments.values import HourBill

AWS = "provider: aws, region: r, on_demand_usd: 1"
GCP = "provider: gcp, region: r, machine_series: n1, resource: vcpu"
AZURE = "provider: azure, region: r, on_demand_usd: 1"
DAY = "2026-06-01T"
MINUTE = f"start: {DAY}00:59:50Z, end: {DAY}01:00:05Z"
SIZES = ("xlarge", "2xlarge")


def bills(text: str) -> tuple[HourBill, ...]:
    file = parse_bill(text, "bill.yaml")
    return bill(file.hours, file.rules)


def covers(usage: list[str], commitments: list[str]) -> list[str]:
    """Each part of an hour's lines: 'usage: quantity by commitment', '-' where none covers it."""
    held = ", ".join(f"{{{each}}}" for each in commitments)
    used = ", ".join(f"{{{each}}}" for each in usage)
    (made,) = bills(f"hours: [{{usage: [{used}], commitments: [{held}]}}]")
    return [
        f"{line.usage_id}{'(idle)' if line.is_idle else ''}: {line.quantity} "
        f"by {line.covered_by or '-'}"
        for line in made.lines
    ]


def machines(*each: str, rules: str = "{}", commitments: str = "[]") -> tuple[HourBill, ...]:
    listed = ", ".join(f"{{{one}}}" for one in each)
    return bills(f"machines: [{listed}]\nrules: {rules}\ncommitments: {commitments}")


def total(made: tuple[HourBill, ...]) -> Fraction:
    return sum((each.total_usd for each in made), Fraction(0))


def test_of_equal_savings_the_lower_rate_is_first() -> None:
    """Fargate memory before vCPU, as in the third scenario of sp-applying.html."""
    usage = [
        "id: a-vcpu, provider: aws, service: fargate, quantity: 400, on_demand_usd: 0.04, "
        "rates: {compute_sp: 0.03}",
        "id: b-gb, provider: aws, service: fargate, quantity: 1600, on_demand_usd: 0.004, "
        "rates: {compute_sp: 0.003}",
    ]
    found = covers(usage, ["id: sp, kind: compute_sp, usd_per_hour: 6"])
    assert found == ["a-vcpu: 40 by sp", "a-vcpu: 360 by -", "b-gb: 1600 by sp"]


def test_instances_come_before_reserved_capacity_that_stands_idle() -> None:
    machine = "zone: ra, instance_type: m5.large"
    held = f"{machine}, region: r, count: 2, on_demand_usd: 1, rates: {{compute_sp: 0.1}}"
    usage = [
        f"id: vm, {AWS}, zone: ra, instance_type: m5.2xlarge, quantity: 1, "
        "rates: {compute_sp: 0.9}",
    ]
    reservation = f"id: cr, kind: capacity_reservation, {held}"
    plan = "id: sp, kind: compute_sp, usd_per_hour: 1"
    idle = ["cr(idle): 1 by -"]
    assert covers(usage, [reservation, plan]) == ["vm: 1 by sp", "cr(idle): 1 by sp", *idle]
    regional = "id: ri, kind: regional_ri, region: r, instance_type: m5.large, count: 5"
    assert covers(usage, [reservation, regional]) == ["vm: 1 by ri", "cr(idle): 1 by ri", *idle]
    zonal = f"id: ri, kind: zonal_ri, {machine}, count: 5"
    assert covers(usage, [reservation, zonal]) == ["vm: 1 by -", "cr(idle): 2 by -"]


@pytest.mark.parametrize(
    ("what", "covered"),
    [
        ("region: r, instance_type: m5.xlarge", "1 by ri"),
        ("region: r, instance_type: m5.xlarge, os: windows", "1 by -"),
        ("region: r, instance_type: m5.xlarge, tenancy: dedicated", "1 by -"),
        ("region: r, instance_type: m6i.xlarge", "1 by -"),
        ("region: other, instance_type: m5.xlarge", "1 by -"),
    ],
)
def test_a_regional_reservation_covers_its_family(what: str, covered: str) -> None:
    usage = f"id: vm, provider: aws, on_demand_usd: 1, quantity: 1, {what}"
    held = "id: ri, kind: regional_ri, region: r, instance_type: m5.large, count: 2"
    assert covers([usage], [held]) == [f"vm: {covered}"]


def test_words_of_the_providers_are_understood() -> None:
    usage = [f"id: vm, {AWS}, os: Linux/UNIX, quantity: 1, instance_type: m5.large"]
    held = "id: ri, kind: regional_ri, region: r, os: linux, instance_type: m5.large, count: 1"
    assert covers(usage, [held]) == ["vm: 1 by ri"]
    usage = [f"id: vm, {AZURE}, quantity: 1, instance_type: standard_d2s_v3"]
    held = "id: ri, kind: azure_reservation, region: r, instance_type: Standard_D2s_v3, count: 1"
    assert covers(usage, [held]) == ["vm: 1 by ri"]
    cores = "provider: gcp, zone: us-central1-a, instance_type: n2-standard-4, resource: vcpu"
    held = "id: cud, kind: resource_cud, region: us-central1, machine_series: n2, resource: vcpu"
    used = covers([f"id: vm, {cores}, quantity: 4, on_demand_usd: 1"], [f"{held}, amount: 4"])
    assert used == ["vm: 4 by cud"]


@pytest.mark.parametrize("family", ["g4dn", "g5", "inf1"])
def test_some_families_are_not_flexible_in_size(family: str) -> None:
    usage = [f"id: {size}, {AWS}, quantity: 1, instance_type: {family}.{size}" for size in SIZES]
    held = f"id: ri, kind: regional_ri, region: r, instance_type: {family}.xlarge, count: 9"
    assert covers(usage, [held]) == ["2xlarge: 1 by -", "xlarge: 1 by ri"]


def test_windows_is_covered_by_its_own_size_only() -> None:
    usage = [f"id: {s}, {AWS}, os: windows, quantity: 1, instance_type: m5.{s}" for s in SIZES]
    held = "id: ri, kind: regional_ri, region: r, os: windows, instance_type: m5.xlarge, count: 9"
    assert covers(usage, [held]) == ["2xlarge: 1 by -", "xlarge: 1 by ri"]


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("t3.nano", "0.25"), ("t3.micro", "0.5"), ("t3.small", "1"), ("t3.medium", "2"),
        ("m5.large", "4"), ("m5.xlarge", "8"), ("m5.2xlarge", "16"), ("m5.3xlarge", "24"),
        ("m5.4xlarge", "32"), ("m5.6xlarge", "48"), ("m5.8xlarge", "64"), ("m5.9xlarge", "72"),
        ("m5.10xlarge", "80"), ("m5.12xlarge", "96"), ("m5.16xlarge", "128"),
        ("m5.18xlarge", "144"), ("m5.24xlarge", "192"), ("m5.32xlarge", "256"),
        ("u.56xlarge", "448"), ("u.112xlarge", "896"), ("a1.metal", "32"), ("z1d.metal", "96"),
        ("i3.metal", "128"), ("c5n.metal", "144"), ("m5.metal", "192"), ("u-6tb1.metal", "896"),
        ("m7i.metal-24xl", "192"),
    ],
)  # fmt: skip
def test_the_published_normalization_factors(name: str, factor: str) -> None:
    assert normalization_factor(name) == Fraction(factor)


def test_a_size_without_a_factor_is_covered_by_its_own_reservation_only() -> None:
    assert normalization_factor("x9.metal") is None
    usage = [f"id: vm, {AWS}, quantity: 1, instance_type: x9.metal"]
    held = "kind: regional_ri, region: r, count: 1"
    assert covers(usage, [f"id: ri, {held}, instance_type: x9.large"]) == ["vm: 1 by -"]
    assert covers(usage, [f"id: ri, {held}, instance_type: x9.metal"]) == ["vm: 1 by ri"]


def test_a_plan_that_is_not_shared_covers_its_own_account() -> None:
    usage = [f"id: {a}, account: {a}, {AWS}, quantity: 1, rates: {{compute_sp: 0.5}}" for a in "ab"]
    plan = "id: sp, kind: compute_sp, account: b, usd_per_hour: 5"
    assert covers(usage, [plan]) == ["a: 1 by sp", "b: 1 by sp"]
    assert covers(usage, [f"{plan}, scope: account"]) == ["a: 1 by -", "b: 1 by sp"]
    small = plan.replace("5", "0.5")
    assert covers(usage, [small]) == ["a: 1 by -", "b: 1 by sp"]


def test_the_plan_with_the_better_rate_of_its_term_is_used_first() -> None:
    usage = [f"id: vm, {AWS}, quantity: 1, rates: {{compute_sp_1y: 0.8, compute_sp_3y: 0.5}}"]
    plans = [f"id: of-{t}, kind: compute_sp, term: {t}, usd_per_hour: 0.25" for t in ("1y", "3y")]
    assert covers(usage, plans) == ["vm: 1/2 by of-3y", "vm: 5/16 by of-1y", "vm: 3/16 by -"]


def test_azure_takes_the_narrow_scope_and_then_the_long_term_first() -> None:
    usage = [
        f"id: vm, account: s, resource_group: g, {AZURE}, quantity: 4, "
        "rates: {azure_savings_plan: 1}"
    ]
    kind = "kind: azure_savings_plan, usd_per_hour: 1"
    plans = [
        f"id: wide-1y, {kind}, term: 1y",
        f"id: wide-3y, {kind}, term: 3y",
        f"id: of-group, {kind}, account: s, resource_group: g, scope: resource_group",
        f"id: of-subscription, {kind}, account: s, scope: account",
    ]
    order = ["of-group", "of-subscription", "wide-3y", "wide-1y"]
    assert covers(usage, plans) == [f"vm: 1 by {name}" for name in order]


def test_azure_takes_a_price_below_the_rate_of_the_plan() -> None:
    usage = [f"id: vm, {AZURE}, quantity: 2, rates: {{azure_savings_plan: 1.5}}"]
    plan = "id: sp, kind: azure_savings_plan, usd_per_hour: 1"
    assert covers(usage, [plan]) == ["vm: 1 by sp", "vm: 1 by -"]


def test_google_covers_custom_machines_before_predefined_ones() -> None:
    usage = [
        f"id: a-predefined, {GCP}, quantity: 8, on_demand_usd: 1.00",
        f"id: b-custom, {GCP}, quantity: 8, on_demand_usd: 1.05",
    ]
    held = "kind: resource_cud, region: r, machine_series: n1, resource: vcpu, amount: 8"
    assert covers(usage, [f"id: cud, {held}"])[1:] == ["b-custom: 8 by cud"]


def test_google_covers_what_runs_at_a_time() -> None:
    """16 cores for half an hour under a commitment of 8: the other 8 were too many at a time."""
    made = machines(
        f"id: vm, {GCP}, count: 16, on_demand_usd: 1, start: {DAY}00:00:00Z, end: {DAY}00:30:00Z",
        commitments="[{id: cud, kind: resource_cud, region: r, machine_series: n1, "
        "resource: vcpu, amount: 8}]",
    )
    parts = [(line.covered_by, line.quantity) for each in made for line in each.lines]
    assert parts == [("cud", 4), (None, 4)]


def test_flexible_commitments_come_between_resources_and_sustained_use() -> None:
    usage = [
        f"id: gpu, {GCP.replace('vcpu', 't4')}, quantity: 1, on_demand_usd: 1",
        f"id: vm, {GCP}, quantity: 4, on_demand_usd: 1",
    ]
    held = [
        "id: cud, kind: resource_cud, region: r, machine_series: n1, resource: vcpu, amount: 1",
        "id: flex, kind: flexible_cud, on_demand_usd_per_hour: 2, discount: 0.5",
    ]
    assert covers(usage, held) == [
        "gpu: 1 by -", "vm: 1 by cud", "vm: 2 by flex", "vm: 1 by -",
    ]  # fmt: skip


def test_machines_that_follow_one_another_count_as_one_for_sustained_use() -> None:
    """Two halves of a month are a month, 30 % off; side by side they are two halves, 10 % off."""
    vm = "provider: gcp, region: r, machine_series: n1, instance_type: n1-standard-1"
    half, whole = "2026-06-16T00:00:00Z", "2026-07-01T00:00:00Z"
    start = f"{DAY}00:00:00Z"
    one = f"id: a, {vm}, on_demand_usd: 1, start: {start}, end: {half}"
    then = f"id: b, {vm}, on_demand_usd: 1, start: {half}, end: {whole}"
    beside = f"id: b, {vm}, on_demand_usd: 1, start: {start}, end: {half}"
    assert total(machines(one, then)) == 720 * Fraction("0.7")
    assert total(machines(one, beside)) == 720 * Fraction("0.9")
    assert total(machines(one, then, rules="{sustained_use: false}")) == 720


def test_what_runs_continues_what_ran_longest() -> None:
    """180 and 100 hours side by side, then 180 more: the second quarter of the longer one."""
    vm = f"{GCP}, on_demand_usd: 1"
    long = f"id: long, {vm}, start: {DAY}00:00:00Z, end: 2026-06-08T12:00:00Z"
    short = f"id: short, {vm}, start: {DAY}00:00:00Z, end: 2026-06-05T04:00:00Z"
    later = f"id: later, {vm}, start: 2026-06-08T12:00:00Z, end: 2026-06-16T00:00:00Z"
    assert total(machines(long, short, later)) == 180 + 100 + 180 * Fraction("0.8")


def test_a_new_month_starts_sustained_use_anew() -> None:
    vm = f"id: vm, {GCP}, on_demand_usd: 1"
    made = machines(f"{vm}, start: 2026-06-01T00:00:00Z, end: 2026-07-01T05:00:00Z")
    assert made[719].total_usd == Fraction("0.4")
    assert made[720].total_usd == 1


def test_a_flexible_commitment_leaves_less_for_sustained_use() -> None:
    """Half a core all month is a lane of half a core: 30 % off of it."""
    made = machines(
        f"id: vm, {GCP}, on_demand_usd: 1, start: {DAY}00:00:00Z, end: 2026-07-01T00:00:00Z",
        commitments="[{id: flex, kind: flexible_cud, on_demand_usd_per_hour: 0.5, discount: 0.5}]",
    )
    assert sum(each.on_demand_usd for each in made) == 720 * Fraction("0.35")


@pytest.mark.parametrize(
    ("machine", "rules", "seconds"),
    [
        (f"{AWS}, {MINUTE}", "{}", [10, 50]),
        (f"{AZURE}, {MINUTE}", "{}", [10, 50]),
        (f"{AZURE}, {MINUTE}", "{azure: {minimum_seconds: 300}}", [10, 290]),
        (f"{AZURE}, {MINUTE}", "{azure: {minimum_seconds: 0}}", [10, 5]),
        (
            f"{AZURE}, start: {DAY}00:00:00Z, end: {DAY}00:02:59Z",
            "{azure: {minimum_seconds: 0, step_seconds: 60, drop_partial_step: true}}",
            [120],
        ),
        (f"{AWS}, start: {DAY}00:00:00Z, end: {DAY}00:02:00.5Z", "{}", [121]),
        (f"{AWS}, os: suse, start: {DAY}00:50:00Z, end: {DAY}01:00:00Z", "{}", [600, 3000]),
    ],
)
def test_time_is_charged_by_the_rules(machine: str, rules: str, seconds: list[int]) -> None:
    made = machines(f"id: vm, {machine}", rules=rules)
    assert [each.total_usd * 3600 for each in made] == seconds


def test_usage_of_an_hour_may_have_seconds() -> None:
    """Quarters of an hour share one reservation; the minimum of a minute stays in its hour."""
    quarters = [
        f"id: {name}, {AWS}, instance_type: m4.xlarge, start: {DAY}01:{begin}:00Z, "
        f"end: {DAY}01:{end}:00Z"
        for name, begin, end in (("a", "00", "15"), ("b", "10", "25"), ("c", "30", "45"))
    ]
    last = f"id: d, {AWS}, instance_type: m4.xlarge, start: {DAY}01:59:45Z, end: {DAY}02:00:00Z"
    held = "id: ri, kind: regional_ri, region: r, instance_type: m4.xlarge, count: 1"
    found = covers([*quarters, last], [held])
    assert found == ["a: 1/4 by ri", "b: 1/4 by ri", "c: 1/4 by ri", "d: 1/60 by ri"]


@pytest.mark.parametrize(("seconds", "usd"), [(59, 0), (61, Fraction(61, 3600))])
def test_google_gives_away_a_first_minute_that_it_ends(seconds: int, usd: Fraction) -> None:
    end = f"{DAY}00:{seconds // 60:02d}:{seconds % 60:02d}Z"
    spot = f"id: vm, provider: gcp, spot_usd: 1, start: {DAY}00:00:00Z, end: {end}"
    assert total(machines(f"{spot}, interrupted: true")) == usd


def test_a_term_is_in_force_from_its_start_to_its_end() -> None:
    made = machines(
        f"id: vm, {AWS}, start: {DAY}00:00:00Z, end: {DAY}03:00:00Z, rates: {{compute_sp: 0.5}}",
        commitments=f"[{{id: sp, kind: compute_sp, usd_per_hour: 0.5, start: '{DAY}01:00:00Z', "
        f"end: '{DAY}02:00:00Z'}}]",
    )
    assert [each.total_usd for each in made] == [1, Fraction(1, 2), 1]


def test_reserved_capacity_is_used_at_each_moment() -> None:
    """Two machines at a time for half an hour leave one reserved place empty for the other half."""
    made = machines(
        f"id: vm, {AWS}, zone: ra, instance_type: m5.large, count: 2, start: {DAY}00:00:00Z, "
        f"end: {DAY}00:30:00Z",
        commitments="[{id: cr, kind: capacity_reservation, region: r, zone: ra, "
        "instance_type: m5.large, count: 1, on_demand_usd: 1}]",
    )
    idle = [line.quantity for each in made for line in each.lines if line.is_idle]
    assert idle == [Fraction(1, 2)]


def test_capacity_reserved_from_half_past_holds_what_ran_before() -> None:
    machine = "zone: ra, instance_type: m5.large"
    made = machines(
        f"id: vm, {AWS}, {machine}, start: {DAY}00:00:00Z, end: {DAY}01:00:00Z",
        commitments=f"[{{id: cr, kind: capacity_reservation, region: r, {machine}, count: 1, "
        f"on_demand_usd: 1, start: '{DAY}00:30:00Z', end: '{DAY}01:00:00Z'}}]",
    )
    assert total(made) == 1
    assert [use.used_quantity for each in made for use in each.commitments] == [Fraction(1, 2)]


def test_a_spot_machine_taken_after_a_whole_hour_is_charged() -> None:
    spot = f"id: vm, provider: aws, spot_usd: 1, interrupted: true, start: {DAY}00:00:00Z"
    assert total(machines(f"{spot}, end: {DAY}00:59:59Z")) == 0
    assert total(machines(f"{spot}, end: {DAY}01:00:00Z")) == 1


def test_what_runs_beside_a_full_reservation_may_be_in_the_next() -> None:
    usage = [f"id: vm, {AWS}, zone: ra, instance_type: m5.large, quantity: 3"]
    held = "kind: capacity_reservation, zone: ra, region: r, instance_type: m5.large"
    reservations = [f"id: cr{n}, {held}, count: 2, on_demand_usd: 1" for n in (1, 2)]
    assert covers(usage, reservations) == ["vm: 3 by -", "cr2(idle): 1 by -"]
