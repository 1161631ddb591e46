"""The rig of AWS itself: what it adds to moto, and that it fails on what it does not know."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from costplan.adapters.aws.clients import Clients
from tests.emulators.aws.account import ZONES, Account
from tests.emulators.aws.cloud import Fault
from tests.emulators.aws.fixtures import account, served
from tests.emulators.aws.server import Rig, fresh

__all__ = ["account", "served"]


def parameters(account: Account, **more: Any) -> dict[str, Any]:
    return {
        "ImageId": account.settings.images["x86_64"],
        "InstanceType": "m5.large",
        "Placement": {"AvailabilityZone": ZONES[0]},
        "MinCount": 1,
        "MaxCount": 1,
        **more,
    }


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_client_token_is_for_one_call(account: Account) -> None:
    ec2 = account.setup("ec2")
    first = ec2.run_instances(**parameters(account, ClientToken="t"))
    again = ec2.run_instances(**parameters(account, ClientToken="t"))
    assert first["Instances"][0]["InstanceId"] == again["Instances"][0]["InstanceId"]
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**parameters(account, ClientToken="t", InstanceType="c5.large"))
    assert code_of(caught) == ("IdempotentParameterMismatch", 400)
    ec2.terminate_instances(InstanceIds=[first["Instances"][0]["InstanceId"]])
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**parameters(account, ClientToken="t"))
    assert code_of(caught) == ("IdempotentInstanceTerminated", 400)


def test_as_many_are_launched_as_there_is_room_for(account: Account) -> None:
    account.rig.cloud.capacity["m5.large", ZONES[0], "on-demand"] = 3
    ec2 = account.setup("ec2")
    assert len(ec2.run_instances(**parameters(account, MaxCount=5))["Instances"]) == 3
    with pytest.raises(ClientError) as caught:
        ec2.run_instances(**parameters(account))
    assert code_of(caught) == ("InsufficientInstanceCapacity", 500)


def fleet(account: Account, target: int, **more: Any) -> dict[str, Any]:
    """A fleet of spot machines of two zones."""
    overrides = [
        {"InstanceType": "m5.large", "AvailabilityZone": zone, "Priority": float(place)}
        for place, zone in enumerate(ZONES)
    ]
    template = {"LaunchTemplateName": "one", "Version": "1"}
    return {
        "Type": "instant",
        "ClientToken": "t",
        "LaunchTemplateConfigs": [
            {"LaunchTemplateSpecification": template, "Overrides": overrides}
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": target,
            "DefaultTargetCapacityType": "spot",
        },
        "SpotOptions": {"AllocationStrategy": "capacity-optimized-prioritized"},
        **more,
    }


def make_template(account: Account) -> None:
    account.setup("ec2").create_launch_template(
        LaunchTemplateName="one",
        LaunchTemplateData={"ImageId": account.settings.images["x86_64"]},
    )


def test_a_fleet_may_be_fulfilled_in_part(account: Account) -> None:
    make_template(account)
    account.rig.cloud.capacity["m5.large", ZONES[0], "spot"] = 2
    account.rig.cloud.capacity["m5.large", ZONES[1], "spot"] = 0
    answer = account.setup("ec2").create_fleet(**fleet(account, 5))
    (launched,), (error,) = answer["Instances"], answer["Errors"]
    assert len(launched["InstanceIds"]) == 2
    assert error["ErrorCode"] == "InsufficientInstanceCapacity"
    place = error["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"]
    assert place == ZONES[1]
    again = account.setup("ec2").create_fleet(**fleet(account, 5))
    assert again["Instances"][0]["InstanceIds"] == launched["InstanceIds"]
    with pytest.raises(ClientError) as caught:
        account.setup("ec2").create_fleet(**fleet(account, 6))
    assert code_of(caught) == ("IdempotentParameterMismatch", 400)


def test_a_machine_that_was_just_launched_is_not_known_yet(account: Account) -> None:
    account.rig.cloud.listing_lag_seconds = 60.0
    ec2 = account.setup("ec2")
    launched = ec2.run_instances(**parameters(account))["Instances"][0]["InstanceId"]
    for call in (ec2.describe_instances, ec2.terminate_instances):
        with pytest.raises(ClientError) as caught:
            call(InstanceIds=[launched])
        assert code_of(caught)[0] == "InvalidInstanceID.NotFound"


def complaints(rig: Rig, clients: Clients, call: Any) -> list[str]:
    """What a rig fails a test for that makes a call which it cannot answer."""
    try:
        with fresh(rig), suppress(ClientError, BotoCoreError, ResponseParserError):
            call(Account(rig, clients))
    except AssertionError:
        return list(rig.broken)
    return []


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda account: account.setup("ec2").describe_key_pairs(), "ec2:DescribeKeyPairs"),
        (lambda account: account.setup("sts").get_session_token(), "sts:GetSessionToken"),
        (
            lambda account: account.setup("ec2").create_fleet(
                **fleet(account, 1, SpotOptions={"AllocationStrategy": "lowest-price"})
            ),
            "does not choose by lowest-price",
        ),
    ],
    ids=["operation", "service", "strategy"],
)
def test_what_the_rig_does_not_know_fails_the_test(
    served: tuple[Rig, Clients], call: Any, complaint: str
) -> None:
    (found,) = complaints(*served, call)
    assert complaint in found


def test_an_injected_fault_is_no_complaint(account: Account) -> None:
    account.rig.cloud.faults.append(
        Fault(operation="DescribeInstances", code="InternalError", status=500)
    )
    with pytest.raises(ClientError) as caught:
        account.setup("ec2").describe_instances()
    assert code_of(caught) == ("InternalError", 500)
    assert account.rig.broken == []
