"""Launches on EC2 that go wrong, and what a machine carries, over HTTP, against the rig."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.provider import AwsProvider
from costplan.adapters.clock import utc_now
from costplan.planner.errors import (
    CapacityUnavailable,
    InputError,
    OutcomeUnknown,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import LaunchRequest
from costplan.planner.types import Market, OfferKey
from tests.emulators.aws.account import ZONES, Account, key, startup
from tests.emulators.aws.cloud import Bucket, Fault
from tests.emulators.aws.fixtures import account, served

__all__ = ["account", "served"]

SPOT, ON_DEMAND = Market.SPOT, Market.ON_DEMAND
OF_EACH_CALL = [(key("m5.large"),), (key("m5.large"), key("m5.large", ZONES[1]))]
"""Offers that RunInstances is asked for, and offers that a fleet is."""


def request(name: str, *keys: OfferKey, **changes: Any) -> LaunchRequest:
    made = LaunchRequest(
        token=f"token-{name}",
        node_id=f"node-{name}",
        cluster="ours",
        keys=keys or (key("m5.large"),),
        workers=(),
        tags={"team": "fraud"},
    )
    return replace(made, **changes)


# Capacity and quota.


def test_a_refusal_for_capacity_is_not_sent_again_by_the_sdk(account: Account) -> None:
    """It comes as HTTP 500, which the SDK takes for a passing fault."""
    account.rig.cloud.capacity["m5.large", ZONES[0], "spot"] = 0
    with pytest.raises(CapacityUnavailable):
        account.provider().launch(request("a"))
    assert account.rig.made() == {"ec2:RunInstances": 1}


def test_a_fleet_falls_back_within_one_call(account: Account) -> None:
    account.rig.cloud.capacity["m5.large", ZONES[0], "spot"] = 0
    offers = (key("m5.large"), key("c5.large"), key("m5.large", ZONES[1]))
    node = account.provider().launch(request("a", *offers))
    assert node.key == offers[1]
    assert account.rig.made()["ec2:CreateFleet"] == 1
    tags = {tag["Key"]: tag["Value"] for tag in account.raw(node.provider_id)["Tags"]}
    assert tags["aws:ec2:fleet-id"].startswith("fleet-")


def test_a_fleet_that_nobody_has_room_for_is_a_lack_of_capacity(account: Account) -> None:
    for zone in ZONES:
        account.rig.cloud.capacity["m5.large", zone, "spot"] = 0
    with pytest.raises(CapacityUnavailable):
        account.provider().launch(request("a", key("m5.large"), key("m5.large", ZONES[1])))
    assert account.provider().nodes() == ()


def test_a_quota_among_the_errors_of_a_fleet_is_said(account: Account) -> None:
    cloud = account.rig.cloud
    cloud.capacity["m5.large", ZONES[0], "spot"] = 0
    cloud.vcpu_quotas["spot"] = 2
    with pytest.raises(QuotaExceeded) as caught:
        account.provider().launch(request("a", key("m5.large"), key("c5.xlarge")))
    assert caught.value.quota == "MaxSpotInstanceCountExceeded"


@pytest.mark.parametrize("offers", OF_EACH_CALL, ids=["run", "fleet"])
def test_the_vcpu_quota_of_a_market_is_said(account: Account, offers: tuple[OfferKey, ...]) -> None:
    account.rig.cloud.vcpu_quotas["spot"] = 2
    provider = account.provider()
    provider.launch(request("a", *offers))
    with pytest.raises(QuotaExceeded):
        provider.launch(request("b", *offers))
    assert len(provider.nodes()) == 1
    other = provider.launch(request("c", key("m5.large", market=ON_DEMAND)))
    assert other.key.market is ON_DEMAND


def test_an_empty_bucket_of_request_tokens_throttles(account: Account) -> None:
    account.rig.cloud.buckets["RunInstances"] = Bucket(size=2, per_second=0.0)
    provider = account.provider()
    for name in "ab":
        provider.launch(request(name))
    with pytest.raises(Throttled):
        provider.launch(request("c"))
    assert len(provider.nodes()) == 2


def test_a_read_that_is_throttled_once_is_read_again(account: Account) -> None:
    account.rig.cloud.faults.append(
        Fault(operation="DescribeInstances", code="RequestLimitExceeded", status=503)
    )
    assert account.provider().nodes() == ()


# Answers that do not come.


@pytest.mark.parametrize("offers", OF_EACH_CALL, ids=["run", "fleet"])
@pytest.mark.parametrize(
    ("code", "status"), [("InternalError", 500), ("Unavailable", 503), ("ServiceUnavailable", 503)]
)
def test_a_fault_of_ec2_leaves_the_outcome_unknown(
    account: Account, offers: tuple[OfferKey, ...], code: str, status: int
) -> None:
    for operation in ("RunInstances", "CreateFleet"):
        account.rig.cloud.faults.append(Fault(operation=operation, code=code, status=status))
    provider = account.provider()
    with pytest.raises(OutcomeUnknown) as caught:
        provider.launch(request("a", *offers))
    assert caught.value.token == request("a").token
    assert provider.launch(request("a", *offers)).key == offers[0]


@pytest.mark.parametrize("offers", OF_EACH_CALL, ids=["run", "fleet"])
def test_an_answer_that_takes_too_long_leaves_the_outcome_unknown(
    account: Account, offers: tuple[OfferKey, ...]
) -> None:
    settings = replace(account.settings, read_seconds=0.5)
    provider = AwsProvider(settings, startup, utc_now, Clients(settings))
    for operation in ("RunInstances", "CreateFleet"):
        account.rig.cloud.faults.append(Fault(operation=operation, latency_seconds=1.5))
    with pytest.raises(OutcomeUnknown):
        provider.launch(request("a", *offers))
    again = account.provider().launch(request("a", *offers))
    assert [node.provider_id for node in account.provider().nodes()] == [again.provider_id]


def test_a_launch_that_was_lost_is_sent_again_where_it_was_lost(account: Account) -> None:
    """The first offer has room again by then, and the list is not so far yet."""
    cloud = account.rig.cloud
    cloud.listing_lag_seconds = 60.0
    cloud.capacity["m5.large", ZONES[0], "spot"] = 0
    offers = (key("m5.large"), key("c5.large", market=ON_DEMAND))
    lost = Fault(
        operation="RunInstances",
        is_lost=True,
        fits=lambda values: values["InstanceType"] == "c5.large",
    )
    cloud.faults.append(lost)
    provider = account.provider()
    with pytest.raises(OutcomeUnknown):
        provider.launch(request("a", *offers))
    cloud.capacity.clear()
    node = provider.launch(request("a", *offers))
    assert node.key == offers[1]
    assert len(list(cloud.instances())) == 1


def test_a_launch_that_was_lost_is_found_by_a_provider_made_anew(account: Account) -> None:
    cloud = account.rig.cloud
    cloud.capacity["m5.large", ZONES[0], "spot"] = 0
    offers = (key("m5.large"), key("c5.large", market=ON_DEMAND))
    cloud.faults.append(Fault(operation="RunInstances", passes=1, is_lost=True))
    with pytest.raises(OutcomeUnknown):
        account.provider().launch(request("a", *offers))
    cloud.capacity.clear()
    assert account.provider().launch(request("a", *offers)).key == offers[1]
    assert len(list(cloud.instances())) == 1


def test_a_fleet_whose_machine_is_not_listed_yet_is_unclear_and_then_found(
    account: Account,
) -> None:
    account.rig.cloud.listing_lag_seconds = 60.0
    offers = (key("m5.large"), key("m5.large", ZONES[1]))
    provider = account.provider()
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            provider.launch(request("a", *offers))
    account.rig.cloud.listing_lag_seconds = 0.0
    assert provider.launch(request("a", *offers)).key == offers[0]
    assert len(list(account.rig.cloud.instances())) == 1


# Tokens.


@pytest.mark.parametrize("offers", OF_EACH_CALL, ids=["run", "fleet"])
def test_a_machine_is_found_by_a_request_whose_parameters_have_changed(
    account: Account, offers: tuple[OfferKey, ...]
) -> None:
    """A daemon that was started with another disk size sends the same request."""
    first = account.provider().launch(request("a", *offers))
    larger = replace(account.settings, root_disk_gib=77)
    again = account.provider(larger).launch(request("a", *offers))
    assert again.provider_id == first.provider_id


@pytest.mark.parametrize("offers", OF_EACH_CALL, ids=["run", "fleet"])
@pytest.mark.parametrize("changes", [{"tags": {"team": "other"}}, {"node_id": "another"}])
def test_another_request_under_the_same_token_is_rejected(
    account: Account, offers: tuple[OfferKey, ...], changes: dict[str, Any]
) -> None:
    provider = account.provider()
    provider.launch(request("a", *offers))
    with pytest.raises(RequestRejected):
        provider.launch(request("a", *offers, **changes))
    assert len(provider.nodes()) == 1


def test_clusters_may_use_the_same_tokens(account: Account) -> None:
    ours = account.provider().launch(request("a"))
    settings = replace(account.settings, cluster="theirs")
    theirs = account.provider(settings).launch(request("a", cluster="theirs"))
    assert ours.provider_id != theirs.provider_id


@pytest.mark.parametrize(
    "offer",
    [
        key("m5.large", region="eu-west-1"),
        key("m5.large", zone="us-east-1f"),
        key("m6g.large"),
        key("m5.large", market=Market.COMMITMENT_1Y),
        replace(key("m5.large"), provider="gcp"),
    ],
    ids=["region", "zone", "architecture", "commitment", "cloud"],
)
def test_what_cannot_be_launched_here_is_rejected_without_a_call(
    account: Account, offer: OfferKey
) -> None:
    with pytest.raises(RequestRejected):
        account.provider().launch(request("a", offer))
    assert account.rig.made() == {}


def test_a_start_script_that_is_too_long_is_rejected_without_a_call(account: Account) -> None:
    provider = account.provider(start=lambda *_: "#" * 16_385)
    with pytest.raises(RequestRejected):
        provider.launch(request("a"))
    assert account.rig.made() == {}
    at_most = account.provider(start=lambda *_: "#" * 16_384)
    for name, offers in zip("bc", OF_EACH_CALL, strict=True):
        at_most.launch(request(name, *offers))


def test_a_script_that_cannot_be_written_is_an_outcome_and_no_bug(account: Account) -> None:
    def refuses(_: LaunchRequest, offer: OfferKey) -> str:
        raise InputError("startup", "makes 17,000 bytes", "put it into the image")

    with pytest.raises(RequestRejected, match="makes 17,000 bytes"):
        account.provider(start=refuses).launch(request("a"))
    assert account.rig.made() == {}


def test_offers_with_scripts_of_their_own_are_asked_for_one_by_one(account: Account) -> None:
    offers = (key("m5.large"), key("m5.large", ZONES[1]))
    account.rig.cloud.capacity["m5.large", ZONES[0], "spot"] = 0
    provider = account.provider(start=lambda _, offer: f"zone={offer.zone}")
    assert provider.launch(request("a", *offers)).key == offers[1]
    assert account.rig.made() == {"ec2:DescribeInstances": 1, "ec2:RunInstances": 2}


# What a machine carries.


@pytest.mark.parametrize("offers", OF_EACH_CALL, ids=["run", "fleet"])
def test_what_a_machine_is_launched_with(account: Account, offers: tuple[OfferKey, ...]) -> None:
    ec2 = account.setup("ec2")
    subnets = {
        subnet["AvailabilityZone"]: subnet["SubnetId"]
        for subnet in ec2.describe_subnets()["Subnets"]
    }
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    settings = replace(
        account.settings,
        subnets=subnets,
        security_groups=(group,),
        root_disk_gib=123,
    )
    node = account.provider(settings).launch(request("a", *offers))
    instance = account.raw(node.provider_id)
    assert instance["InstanceLifecycle"] == "spot"
    assert instance["SubnetId"] == subnets[ZONES[0]]
    assert [one["GroupId"] for one in instance["SecurityGroups"]] == [group]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert "KeyName" not in instance
    volumes = ec2.describe_volumes(
        Filters=[{"Name": "attachment.instance-id", "Values": [node.provider_id]}]
    )["Volumes"]
    assert [volume["Size"] for volume in volumes] == [123]
    for thing in (instance, volumes[0]):
        tags = {tag["Key"]: tag["Value"] for tag in thing["Tags"]}
        assert (tags["costplan:cluster"], tags["costplan:node"]) == ("ours", "node-a")
        assert (tags["costplan:token"], tags["costplan:market"]) == ("token-a", "spot")
        assert (tags["Name"], tags["team"]) == ("node-a", "fraud")

    def attribute(name: str) -> Any:
        answer = ec2.describe_instance_attribute(InstanceId=node.provider_id, Attribute=name)
        return answer[name[0].upper() + name[1:]]["Value"]

    assert attribute("instanceInitiatedShutdownBehavior") == "terminate"
    assert base64.b64decode(attribute("userData")).decode() == "#!/bin/sh\necho node-a\n"


def test_a_fleet_leaves_no_launch_template(account: Account) -> None:
    offers = (key("m5.large"), key("m5.large", ZONES[1]))
    account.provider().launch(request("a", *offers))
    for zone in ZONES:
        account.rig.cloud.capacity["m5.large", zone, "spot"] = 0
    with pytest.raises(CapacityUnavailable):
        account.provider().launch(request("b", *offers))
    assert account.rig.made()["ec2:CreateLaunchTemplate"] == 2
    assert account.setup("ec2").describe_launch_templates()["LaunchTemplates"] == []


def test_an_image_of_the_request_wins(account: Account) -> None:
    images = list(account.rig.cloud.ec2.amis.values())
    other = next(one.id for one in images if one.id != account.settings.images["x86_64"])
    node = account.provider().launch(request("a", image_ref=other))
    assert account.raw(node.provider_id)["ImageId"] == other


# Lists that are behind.


def test_a_launch_is_listed_before_ec2_lists_it(account: Account) -> None:
    account.rig.cloud.listing_lag_seconds = 60.0
    provider = account.provider()
    launched = provider.launch(request("a"))
    assert provider.nodes() == (launched,)
    account.rig.cloud.listing_lag_seconds = 0.0
    assert [node.provider_id for node in provider.nodes()] == [launched.provider_id]
    account.rig.cloud.forget(launched.provider_id)
    assert provider.nodes() == ()


def test_a_machine_that_no_list_has_yet_cannot_be_ended_and_that_is_said(
    account: Account,
) -> None:
    account.rig.cloud.listing_lag_seconds = 60.0
    provider = account.provider()
    launched = provider.launch(request("a"))
    with pytest.raises(Unreachable):
        provider.terminate([launched.provider_id])
    account.rig.cloud.listing_lag_seconds = 0.0
    provider.terminate([launched.provider_id])
    (node,) = provider.nodes()
    assert node.state.value in ("stopping", "ended")
