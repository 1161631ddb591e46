"""`costplan commitments import` from AWS, over HTTP, with the real SDK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.held_clouds import (
    DAY,
    NOW,
    YEAR,
    YEAR_SECONDS,
    held_in,
    left_out,
    run,
    text_of,
)
from tests.conformance.test_price_sync import file_of
from tests.emulators.aws.account import Account
from tests.emulators.aws.cloud import AwsCloud
from tests.emulators.aws.cloud import Fault as AwsFault
from tests.emulators.aws.commitments import reserved_instances
from tests.emulators.aws.fixtures import account, served

__all__ = ["account", "served"]


def reserved(name: str, **changes: Any) -> dict[str, Any]:
    """A reserved instance as EC2 describes one."""
    return {
        "ReservedInstancesId": name,
        "InstanceType": "m5.large",
        "Start": NOW - 100 * DAY,
        "End": NOW - 100 * DAY + YEAR,
        "Duration": YEAR_SECONDS,
        "UsagePrice": 0.0,
        "FixedPrice": 0.0,
        "InstanceCount": 2,
        "ProductDescription": "Linux/UNIX",
        "State": "active",
        "CurrencyCode": "USD",
        "InstanceTenancy": "default",
        "OfferingClass": "standard",
        "OfferingType": "No Upfront",
        "RecurringCharges": [{"Amount": 0.06, "Frequency": "Hourly"}],
        "Scope": "Region",
        **changes,
    }


def plan(name: str, **changes: Any) -> dict[str, Any]:
    """A savings plan as Savings Plans describes one."""
    return {
        "offeringId": "o",
        "savingsPlanId": name,
        "savingsPlanArn": f"arn:aws:savingsplans::123456789012:savingsplan/{name}",
        "start": text_of(NOW - 10 * DAY),
        "end": text_of(NOW + 355 * DAY),
        "state": "active",
        "savingsPlanType": "Compute",
        "paymentOption": "No Upfront",
        "productTypes": ["EC2", "Fargate", "Lambda"],
        "currency": "USD",
        "commitment": "12.50",
        "upfrontPaymentAmount": "0.0",
        "recurringPaymentAmount": "12.50",
        "termDurationInSeconds": YEAR_SECONDS,
        "tags": {},
        **changes,
    }


def capacity(name: str, **changes: Any) -> dict[str, Any]:
    """A capacity reservation as EC2 describes one."""
    return {
        "CapacityReservationId": name,
        "OwnerId": "123456789012",
        "InstanceType": "m5.large",
        "InstancePlatform": "Linux/UNIX",
        "AvailabilityZone": "us-east-1a",
        "Tenancy": "default",
        "TotalInstanceCount": 3,
        "AvailableInstanceCount": 1,
        "State": "active",
        "StartDate": NOW - DAY,
        "CreateDate": NOW - DAY,
        "EndDateType": "unlimited",
        "InstanceMatchCriteria": "open",
        **changes,
    }


@pytest.fixture
def aws(account: Account, tmp_path: Path) -> Path:
    """A file that says where the rig of AWS is, in a folder of the test's own."""
    cloud = account.rig.cloud
    cloud.on_demand_prices = {"m5.large": "0.0960000000"}
    cloud.reserved = [
        reserved("ri-region"),
        reserved(
            "ri-zone",
            Scope="Availability Zone",
            AvailabilityZone="us-east-1a",
            ProductDescription="Windows (Amazon VPC)",
            InstanceTenancy="dedicated",
            OfferingType="All Upfront",
            OfferingClass="convertible",
            FixedPrice=1051.0,
            RecurringCharges=[],
            Duration=3 * YEAR_SECONDS,
        ),
        reserved("ri-changed", FixedPrice=73.0, Duration=YEAR_SECONDS // 5, InstanceCount=1),
        reserved("ri-queued", State="queued", Start=NOW + 5 * DAY, End=NOW + 5 * DAY + YEAR),
        reserved("ri-old", State="retired"),
        reserved("ri-unpaid", State="payment-failed"),
        reserved("ri-pending", State="payment-pending"),
    ]
    cloud.savings_plans = [
        plan("sp-all", rates={"m5.large": "0.07"}),
        plan(
            "sp-r5",
            savingsPlanType="EC2Instance",
            ec2InstanceFamily="r5",
            region="us-east-1",
            commitment="3",
            paymentOption="Partial Upfront",
            termDurationInSeconds=3 * YEAR_SECONDS,
        ),
        plan("sp-queued", state="queued", start=text_of(NOW + DAY), commitment="1"),
        plan("sp-returned", state="returned"),
        plan("sp-machine-learning", savingsPlanType="SageMaker"),
        plan("sp-yuan", currency="CNY"),
    ]
    cloud.capacity_reservations = [
        capacity("cr-open"),
        capacity("cr-named", InstanceMatchCriteria="targeted"),
        capacity("cr-block", ReservationType="capacity-block"),
        capacity("cr-windows", InstancePlatform="Windows"),
        capacity("cr-unpriced", InstanceType="c5.large"),
        capacity("cr-gone", State="cancelled"),
    ]
    path = tmp_path / "costplan.yaml"
    path.write_text(yaml.safe_dump(file_of(account)))
    return path


def test_what_aws_says_is_held_and_what_is_not(account: Account, aws: Path) -> None:
    account.rig.cloud.page_size = 2
    out = aws.parent / "commitments.yaml"
    done = run("import", "--config", str(aws), "--out", str(out), "--format", "json")
    assert left_out(done) == {
        "ri-old": "retired",
        "ri-unpaid": "payment-failed",
        "ri-pending": "payment-pending",
        "sp-returned": "returned",
        "sp-machine-learning": "of type SageMaker, which covers no machines of EC2",
        "sp-yuan": "is paid in CNY",
        "cr-named": "takes only machines that name it",
        "cr-block": "a block, whose machines must name it",
        "cr-windows": "for Windows, default tenancy: its price is not read",
        "cr-unpriced": "no price on demand of c5.large is known",
        "cr-gone": "cancelled",
    }
    # The three that have a start to come are held from then on.
    written = yaml.safe_load(out.read_text())["commitments"]
    own = {"account": "123456789012"}
    held = {"term": "1y", "payment": "no_upfront"} | own
    ri = {
        "kind": "regional_ri", "region": "us-east-1", "instance_type": "m5.large", "count": 2,
        "usd_per_hour": 0.06, "start": text_of(NOW - 100 * DAY), "end": text_of(NOW + 265 * DAY),
    }  # fmt: skip
    sp = {"start": text_of(NOW - 10 * DAY), "end": text_of(NOW + 355 * DAY)}
    assert {one.pop("id"): one for one in written} == {
        "ri-region": ri | held,
        "ri-zone": {
            "kind": "zonal_ri", "zone": "us-east-1a", "region": "us-east-1",
            "instance_type": "m5.large", "os": "windows", "tenancy": "dedicated", "count": 2,
            "usd_per_hour": 0, "upfront_usd": 1051, "term": "3y", "payment": "all_upfront",
            "offering_class": "convertible", "start": ri["start"], "end": ri["end"], **own,
        },
        # $73 over a fifth of a year are 4.17 cents an hour, beside the 6 that recur.
        "ri-changed": ri | own | {"payment": "no_upfront", "count": 1,
                                  "usd_per_hour": 0.101666666667},
        "ri-queued": ri | held | {"start": text_of(NOW + 5 * DAY), "end": text_of(NOW + 370 * DAY)},
        "sp-all": {"kind": "compute_sp", "usd_per_hour": 12.5, **held, **sp},
        "sp-r5": {
            "kind": "ec2_instance_sp", "family": "r5", "region": "us-east-1", "usd_per_hour": 3,
            "term": "3y", "payment": "partial_upfront", **own, **sp,
        },
        "sp-queued": {"kind": "compute_sp", "usd_per_hour": 1, **held, **sp,
                      "start": text_of(NOW + DAY)},
        "cr-open": {
            "kind": "capacity_reservation", "zone": "us-east-1a", "region": "us-east-1",
            "instance_type": "m5.large", "count": 3, "on_demand_usd": 0.096,
            "rates": {"compute_sp_1y": 0.07}, "start": text_of(NOW - DAY), **own,
        },
    }  # fmt: skip


def test_what_was_read_can_be_listed_and_billed(aws: Path) -> None:
    out = aws.parent / "held.yaml"
    done = run("import", "--provider", "aws", "--config", str(aws), "--out", str(out))
    assert done.exit_code == 0, done.output
    assert f"8 commitments from aws 123456789012, written to {out}" in done.stdout
    assert "Left out: 1 reserved instance: retired" in done.stdout
    assert "ri-queued, sp-queued will begin at its start" in done.stderr
    listed = run("list", "--file", str(out), "--format", "json")
    in_force = {one["id"]: one["in_force"] for one in json.loads(listed.stdout)["commitments"]}
    assert [name for name, is_now in in_force.items() if not is_now] == ["sp-queued", "ri-queued"]
    hours = aws.parent / "hours.yaml"
    hour = NOW.replace(minute=0, second=0)
    usage = {"id": "web", "provider": "aws", "instance_type": "m5.xlarge", "region": "us-east-1",
             "quantity": 1, "on_demand_usd": 0.192, "account": "123456789012"}  # fmt: skip
    hours.write_text(
        yaml.safe_dump({"hours": [{"start": text_of(hour), "usage": [usage]}]}) + out.read_text()
    )
    (billed,) = json.loads(run("bill", str(hours), "--format", "json").stdout)["hours"]
    covers = {line["covered_by"]: line["quantity"] for line in billed["lines"]
              if line["usage"] == "web"}  # fmt: skip
    assert covers == {"ri-changed": "0.5", "ri-region": "0.5"}


def test_a_second_reading_takes_the_place_of_the_first_and_leaves_the_rest(
    account: Account, aws: Path
) -> None:
    out = aws.parent / "commitments.yaml"
    words = ("import", "--config", str(aws), "--out", str(out))
    assert run(*words).exit_code == 0
    before = out.read_text()
    again = run(*words)
    assert again.exit_code == 1
    assert f"{out}: is there already; add --merge" in again.stderr
    assert out.read_text() == before
    by_hand = (
        "  - {id: flex, kind: flexible_cud, usd_per_hour: 7.2}\n"
        "  - {id: ri-over, kind: regional_ri, region: us-east-1, instance_type: m5.large, "
        f"count: 1, usd_per_hour: 0.06, end: {text_of(NOW - DAY)}}}\n"
    )
    out.write_text(before + by_hand)
    account.rig.cloud.reserved[0]["State"] = "retired"
    account.rig.cloud.reserved.append(reserved("ri-over", State="retired", End=NOW - DAY))
    account.rig.cloud.savings_plans[0]["commitment"] = "10"
    account.rig.cloud.savings_plans.append(plan("sp-new"))
    done = run(*words, "--merge", "--format", "json")
    answer = json.loads(done.stdout)
    changes = {key: answer[key] for key in ("added", "changed", "dropped", "kept", "ended")}
    assert changes == {
        "added": ["sp-new"], "changed": ["sp-all"], "dropped": ["ri-region"], "kept": ["flex"],
        "ended": ["ri-over"],
    }  # fmt: skip
    names = set(held_in(out))
    assert {"sp-new", "flex", "ri-over"} <= names
    assert "ri-region" not in names


REFUSALS = [
    ("DescribeSavingsPlans", "AccessDeniedException", 403, "'What commitments need'"),
    ("DescribeCapacityReservations", "RequestLimitExceeded", 503, "ask again in a minute"),
]


@pytest.mark.parametrize(("operation", "code", "status", "way_out"), REFUSALS)
def test_where_a_part_cannot_be_read_nothing_is_written(
    account: Account, aws: Path, operation: str, code: str, status: int, way_out: str
) -> None:
    fault = AwsFault(operation=operation, code=code, status=status, times=9)
    account.rig.cloud.faults.append(fault)
    done = run("import", "--config", str(aws), "--out", str(aws.parent / "commitments.yaml"))
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert operation in line
    assert way_out in line
    assert [path.name for path in aws.parent.iterdir()] == ["costplan.yaml"]


def test_without_credentials_or_a_cloud_it_says_so(
    aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    out = str(aws.parent / "c.yaml")
    done = run("import", "--config", str(aws), "--out", out)
    assert (done.exit_code, "Unable to locate credentials" in done.stderr) == (1, True)
    nobody = run("import", "--out", out)
    assert "--provider: is not given; use one of aws, gcp, azure" in nobody.stderr
    strange = run("import", "--provider", "gpc", "--out", out)
    assert "--provider gpc: has no commitments to read; did you mean 'gcp'?" in strange.stderr
    away = run("import", "--provider", "aws", "--region", "us-east-11", "--out", out)
    assert "--region us-east-11: is no region of AWS; did you mean 'us-east-1'?" in away.stderr


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"Colour": "red"}, "has no Colour"),
        ({"State": "gone"}, "'gone' is none of"),
        ({"InstanceCount": "2"}, "InstanceCount: '2' is no"),
    ],
)
def test_the_rig_has_nothing_that_aws_would_not_answer(
    changes: dict[str, Any], complaint: str
) -> None:
    cloud = AwsCloud(reserved=[reserved("ri", **changes)])
    with pytest.raises(AssertionError, match=complaint):
        reserved_instances(cloud, {}, None)
    with pytest.raises(NotImplementedError, match="Filters"):
        reserved_instances(cloud, {"Filters": []}, None)
