"""`costplan commitments import` over HTTP, with the real SDKs, against the rigs of the clouds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from costplan.cli.main import app
from costplan.planner.commitments.file import parse_commitments
from costplan.planner.commitments.values import Commitment
from costplan.planner.held.config import parse_held
from tests.conformance.test_azure_prices import row
from tests.conformance.test_price_sync import file_of
from tests.emulators.aws.account import Account
from tests.emulators.aws.cloud import AwsCloud
from tests.emulators.aws.cloud import Fault as AwsFault
from tests.emulators.aws.commitments import reserved_instances
from tests.emulators.aws.fixtures import account, served
from tests.emulators.azure.server import SUBSCRIPTION
from tests.emulators.azure.world import (
    AzureWorld,
    azure_world,
    identity_of_a_machine,
    provider_section,
)
from tests.emulators.gcp.faults import Fault
from tests.emulators.gcp.server import GcpRig, serving

__all__ = ["account", "served"]

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
YEAR = timedelta(days=365)
YEAR_SECONDS = 365 * 86_400
GUIDES = Path(__file__).parents[2] / "docs/clouds"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["commitments", *words], env={"COLUMNS": "200"})


def held_in(path: Path) -> dict[str, Commitment]:
    return {each.commitment_id: each for each in parse_commitments(path.read_text(), str(path))}


def text_of(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def left_out(done: Result) -> dict[str, str]:
    assert done.exit_code == 0, done.output
    return {one["id"]: one["reason"] for one in json.loads(done.stdout)["left_out"]}


# AWS


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
    by_hand = "  - {id: flex, kind: flexible_cud, usd_per_hour: 7.2}\n"
    out.write_text(before + by_hand)
    account.rig.cloud.reserved[0]["State"] = "retired"
    account.rig.cloud.savings_plans[0]["commitment"] = "10"
    account.rig.cloud.savings_plans.append(plan("sp-new"))
    done = run(*words, "--merge", "--format", "json")
    answer = json.loads(done.stdout)
    changes = {key: answer[key] for key in ("added", "changed", "dropped", "kept")}
    assert changes == {
        "added": ["sp-new"], "changed": ["sp-all"], "dropped": ["ri-region"], "kept": ["flex"],
    }  # fmt: skip
    names = set(held_in(out))
    assert {"sp-new", "flex"} <= names
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


def test_a_file_of_one_s_own_is_checked_and_taken_in(tmp_path: Path) -> None:
    mine, out = tmp_path / "mine.yaml", tmp_path / "commitments.yaml"
    mine.write_text("commitments: [{id: sp, kind: compute_sp, usd_per_hour: 2.5}]")
    assert run("import", "--file", str(mine), "--out", str(out)).exit_code == 0
    assert set(held_in(out)) == {"sp"}
    mine.write_text("commitments: [{id: sp, kind: compute_sp}]")
    broken = run("import", "--file", str(mine), "--out", str(out), "--merge")
    assert broken.exit_code == 1
    assert "commitments[0].usd_per_hour" in broken.stderr
    assert set(held_in(out)) == {"sp"}
    both = run("import", "--file", str(mine), "--provider", "aws", "--out", str(out))
    assert "--file and --provider: " in both.stderr


def test_the_rates_of_a_file_come_along(tmp_path: Path) -> None:
    """Those that were read take the place of those of the same machines, and others stay."""
    mine, out = tmp_path / "mine.yaml", tmp_path / "commitments.yaml"

    def file(name: str, *rates: tuple[str, str]) -> str:
        listed = "".join(
            f"  - {{provider: aws, instance_type: {machine}, rates: {{compute_sp: {usd}}}}}\n"
            for machine, usd in rates
        )
        held = f"commitments: [{{id: {name}, kind: compute_sp, usd_per_hour: 2}}]\n"
        return f"{held}commitment_rates:\n{listed}"

    out.write_text(file("old", ("m5.large", "0.07"), ("c5.large", "0.06")))
    mine.write_text(file("new", ("m5.large", "0.05"), ("r5.large", "0.08")))
    done = run("import", "--file", str(mine), "--out", str(out), "--merge")
    assert done.exit_code == 0, done.output
    found = parse_held(out.read_text(), "f")
    assert {each.commitment_id for each in found.commitments} == {"old", "new"}
    assert {each.instance_type: each.rates["compute_sp"] for each in found.rates} == {
        "m5.large": Fraction("0.05"), "c5.large": Fraction("0.06"), "r5.large": Fraction("0.08"),
    }  # fmt: skip


# Google Cloud


def committed(name: str, **changes: Any) -> dict[str, Any]:
    """A commitment as Compute Engine describes one."""
    link = "https://www.googleapis.com/compute/v1/projects/our-project/regions"
    return {
        "kind": "compute#commitment",
        "id": "123",
        "name": name,
        "status": "ACTIVE",
        "category": "MACHINE",
        "type": "GENERAL_PURPOSE_N2",
        "plan": "TWELVE_MONTH",
        "startTimestamp": "2026-01-15T00:00:00.000-08:00",
        "endTimestamp": "2027-01-15T00:00:00.000-08:00",
        "region": f"{link}/us-central1",
        "selfLink": f"{link}/us-central1/commitments/{name}",
        "resources": [
            {"type": "VCPU", "amount": "64"},
            {"type": "MEMORY", "amount": str(256 * 1024 + 512)},
        ],
        **changes,
    }


@pytest.fixture
def gcp(tmp_path: Path) -> Iterator[tuple[GcpRig, Path]]:
    """A rig of Google Cloud, and a file that says where it is."""
    with serving(GcpRig()) as rig:
        rig.compute.commitments = [
            ("us-central1", committed("web")),
            ("us-central1", committed("gpu", type="GENERAL_PURPOSE", plan="THIRTY_SIX_MONTH",
                                      resources=[{"type": "ACCELERATOR", "amount": "4",
                                                  "acceleratorType": "nvidia-tesla-t4"}])),
            ("europe-west4", committed("web", type="COMPUTE_OPTIMIZED",
                                       resources=[{"type": "VCPU", "amount": "8"}])),
            ("us-central1", committed("old", status="EXPIRED")),
            ("us-central1", committed("making", status="CREATING")),
            ("us-central1", committed("licence", category="LICENSE", resources=[])),
            ("us-central1", committed("mega", type="ACCELERATOR_OPTIMIZED_A3_MEGA")),
        ]  # fmt: skip
        rig.compute.reservations = [
            ("us-central1-a", {"kind": "compute#reservation", "name": "kept", "status": "READY"})
        ]
        path = tmp_path / "costplan.yaml"
        section = {
            "kind": "gcp",
            "project": rig.project.name,
            "zones": ["us-central1-a"],
            "image": "projects/p/global/images/family/f",
            "endpoint": rig.endpoint,
        }
        path.write_text(yaml.safe_dump(_plain_file() | {"provider": section}))
        yield rig, path
        rig.check()


def _plain_file() -> dict[str, Any]:
    return {
        "cluster": "ours", "workload": "ours", "store": {"path": "costplan.db"},
        "scheduler": {"endpoint": "http://127.0.0.1:9", "token_file": "token",
                      "address": "tcp://127.0.0.1:9"},
        "workers": [{"name": "worker", "vcpu": 1, "memory": "1 GiB"}],
    }  # fmt: skip


def test_what_google_says_is_held_is_a_commitment_for_each_resource(
    gcp: tuple[GcpRig, Path],
) -> None:
    rig, config = gcp
    rig.largest_page = 2
    out = config.parent / "held.yaml"
    done = run("import", "--config", str(config), "--out", str(out), "--format", "json")
    assert left_out(done) == {
        "old": "expired",
        "making": "creating",
        "licence": "is of licences, and covers no machines",
        "mega": "of type ACCELERATOR_OPTIMIZED_A3_MEGA, whose machines are not known by a series",
        "kept": "is charged as its machines are, used or not, and no commitment",
    }
    written = {one.pop("id"): one for one in yaml.safe_load(out.read_text())["commitments"]}
    same = {
        "kind": "resource_cud", "region": "us-central1", "machine_series": "n2", "term": "1y",
        "start": "2026-01-15T08:00:00Z", "end": "2027-01-15T08:00:00Z", "account": "our-project",
    }  # fmt: skip
    west = {**same, "region": "europe-west4", "machine_series": "c2", "resource": "vcpu"}
    # The rig's price of an N2's vCPU is 3 cents on demand, and 63 % of it for a year.
    assert written == {
        "us-central1-web-vcpu": same | {"resource": "vcpu", "amount": 64, "usd_per_hour": 0.0189},
        "web-memory": same | {"resource": "memory", "amount": 256.5, "usd_per_hour": 0.00252},
        "gpu-t4": same | {"machine_series": "n1", "resource": "t4", "amount": 4, "term": "3y"},
        "europe-west4-web-vcpu": west | {"amount": 8},
    }
    notes = json.loads(done.stdout)["notes"]
    assert any(note.startswith("flexible commitments are of the billing account") for note in notes)
    assert "the price list has no price of europe-west4-web-vcpu" in notes
    west_only = run("import", "--config", str(config), "--region", "europe-west4",
                    "--out", str(config.parent / "west.yaml"), "--format", "json")  # fmt: skip
    assert [one["id"] for one in json.loads(west_only.stdout)["commitments"]] == ["web-vcpu"]


def test_what_google_cannot_tell_is_never_half(gcp: tuple[GcpRig, Path]) -> None:
    rig, config = gcp
    words = ("import", "--config", str(config), "--out", str(config.parent / "held.yaml"))
    rig.compute.hidden_scopes = {"europe-west4"}
    part = run(*words)
    assert (part.exit_code, "the list lacks regions/europe-west4" in part.stderr) == (1, True)
    rig.compute.hidden_scopes = set()
    rig.faults.add(Fault(method="compute.reservations.aggregatedList", status=403,
                         reason="forbidden"))  # fmt: skip
    refused = run(*words)
    assert (refused.exit_code, "'What commitments need'" in refused.stderr) == (1, True)
    assert [path.name for path in config.parent.iterdir()] == ["costplan.yaml"]
    # Prices are of use, and not needed.
    rig.faults.add(Fault(method="cloudbilling.services.skus.list", status=403, reason="forbidden"))
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "no price could be read" in done.stderr
    assert {each.usd_per_hour for each in held_in(config.parent / "held.yaml").values()} == {None}


# Azure


def reservation(name: str, **changes: Any) -> dict[str, Any]:
    """A reservation as Azure documents one; `sku` and `location` are not among its properties."""
    order = "00000000-0000-0000-0000-000000000001"
    properties = {
        "appliedScopeType": "Shared",
        "benefitStartTime": "2026-09-01T10:00:00.1234567Z",
        "billingPlan": "Monthly",
        "displayName": name,
        "displayProvisioningState": "Succeeded",
        "expiryDateTime": text_of(NOW + 200 * DAY),
        "instanceFlexibility": "On",
        "provisioningState": "Succeeded",
        "quantity": 4,
        "reservedResourceType": "VirtualMachines",
        "term": "P1Y",
        **{key: value for key, value in changes.items() if key not in ("sku", "location")},
    }
    return {
        "id": f"/providers/microsoft.capacity/reservationOrders/{order}/reservations/{name}",
        "name": f"{order}/abcdef01-0000-0000-0000-000000000000",
        "type": "Microsoft.Capacity/reservationOrders/reservations",
        "location": changes.get("location", "eastus"),
        "sku": {"name": changes.get("sku", "Standard_D4s_v5")},
        "properties": properties,
    }


def azure_plan(name: str, sku: str = "Compute_Savings_Plan", **changes: Any) -> dict[str, Any]:
    """A savings plan as Azure documents one."""
    return {
        "id": f"/providers/microsoft.billingbenefits/savingsPlanOrders/o/savingsPlans/{name}",
        "name": f"o/{name}",
        "type": "Microsoft.BillingBenefits/savingsPlanOrders/savingsPlans",
        "sku": {"name": sku},
        "properties": {
            "appliedScopeType": "Single",
            "appliedScopeProperties": {"subscriptionId": f"/subscriptions/{SUBSCRIPTION}"},
            "billingPlan": "P1M",
            "commitment": {"amount": 0.5, "currencyCode": "USD", "grain": "Hourly"},
            "expiryDateTime": text_of(NOW + 2 * YEAR),
            "provisioningState": "Succeeded",
            "purchaseDateTime": "2025-12-01T00:00:00Z",
            "term": "P3Y",
            **changes,
        },
    }


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[AzureWorld, Path]]:
    """A rig of Azure that lets in a machine with an identity, and a file that says where it is."""
    with azure_world() as world:
        for name, value in identity_of_a_machine(world.rig).items():
            monkeypatch.setenv(name, value)
        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/dask"
        world.rig.reservations = [
            reservation("web"),
            reservation("fixed", instanceFlexibility="Off", sku="Standard_D8s_v5", term="P3Y",
                        appliedScopeType="Single", billingPlan="Upfront",
                        appliedScopeProperties={"resourceGroupId": group}),
            reservation("elsewhere", location="WestUS"),
            reservation("ended", provisioningState="Expired"),
            reservation("over", expiryDateTime="2026-01-01T00:00:00Z"),
            reservation("unpaid", provisioningState="BillingFailed"),
            reservation("disks", reservedResourceType="ManagedDisk"),
        ]  # fmt: skip
        world.rig.savings_plans = [
            azure_plan("plan"),
            azure_plan("returned", provisioningState="Cancelled"),
            azure_plan("databases", sku="Database_Savings_Plan"),
            azure_plan("euros", commitment={"amount": 1, "currencyCode": "EUR",
                                            "grain": "Hourly"}),
        ]  # fmt: skip
        world.rig.ratios = {"Standard_D4s_v5": ("DSv5 Series", "2")}
        world.rig.prices += [
            row("Standard_D4s_v5", "876", type="Reservation", reservationTerm="1 Year"),
        ]
        path = tmp_path / "costplan.yaml"
        path.write_text(yaml.safe_dump(_plain_file() | {"provider": provider_section(world.rig)}))
        yield world, path


def test_what_azure_says_is_held(azure: tuple[AzureWorld, Path]) -> None:
    world, config = azure
    world.rig.largest_page = 3
    out = config.parent / "held.yaml"
    done = run("import", "--config", str(config), "--region", "eastus", "--out", str(out),
               "--format", "json")  # fmt: skip
    reasons = sorted(left_out(done).values())
    assert reasons == [
        "billingfailed", "cancelled", "expired", "expired",
        "is a Database_Savings_Plan, and covers no machines",
        "is not in dollars an hour, but in EUR", "is of ManagedDisk, and covers no machines",
    ]  # fmt: skip
    written = {one.pop("id"): one for one in yaml.safe_load(out.read_text())["commitments"]}
    same = {
        "kind": "azure_reservation", "region": "eastus", "count": 4,
        "start": "2026-09-01T10:00:00.123456Z", "end": text_of(NOW + 200 * DAY),
    }  # fmt: skip
    assert written == {
        # $876 are a tenth of a dollar for each of the 8,760 hours.
        "web-abcdef01": same | {
            "instance_type": "Standard_D4s_v5", "size_group": "DSv5 Series", "size_ratio": 2,
            "usd_per_hour": 0.1, "term": "1y", "payment": "no_upfront",
        },
        "fixed-abcdef01": same | {
            "instance_type": "Standard_D8s_v5", "size_flexible": False, "term": "3y",
            "payment": "all_upfront", "scope": "resource_group", "account": SUBSCRIPTION,
            "resource_group": "dask",
        },
        "plan": {
            "kind": "azure_savings_plan", "usd_per_hour": 0.5, "term": "3y",
            "payment": "no_upfront", "scope": "account", "account": SUBSCRIPTION,
            "start": "2025-12-01T00:00:00Z", "end": text_of(NOW + 2 * YEAR),
        },
    }  # fmt: skip
    assert "the price list has no price of fixed-abcdef01" in json.loads(done.stdout)["notes"]


def test_what_azure_refuses_is_written_nowhere(azure: tuple[AzureWorld, Path]) -> None:
    world, config = azure
    words = ("import", "--config", str(config), "--out", str(config.parent / "held.yaml"))
    world.rig.faults.add(Fault(method="savingsPlans.list", status=403,
                               reason="AuthorizationFailed"))  # fmt: skip
    refused = run(*words)
    assert (refused.exit_code, "'What commitments need'" in refused.stderr) == (1, True)
    assert [path.name for path in config.parent.iterdir()] == ["costplan.yaml"]
    # Without the catalogue a reservation covers its own size, and that is said.
    world.rig.faults.add(Fault(method="catalogs.list", status=403, reason="AuthorizationFailed"))
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "ratios of sizes could not be read, so each covers its own" in done.stderr


GUIDE_ROW = re.compile(r"^- `([\w.]+)`: (.*)$", re.MULTILINE)


@pytest.mark.parametrize("cloud", ["gcp", "azure"])
def test_the_guides_name_the_permission_of_every_call(
    cloud: str, request: pytest.FixtureRequest
) -> None:
    place, config = request.getfixturevalue(cloud)
    rig = place if cloud == "gcp" else place.rig
    out = config.parent / "held.yaml"
    assert run("import", "--config", str(config), "--out", str(out)).exit_code == 0
    page = (GUIDES / f"{cloud}.md").read_text()
    section = page.partition("### What commitments need")[2].partition("\n## ")[0]
    rows = dict(GUIDE_ROW.findall(section))
    assert set(rows) == set(rig.calls) - {"identity.token"}
