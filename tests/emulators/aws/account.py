"""An account on a rig, as tests prepare it: queues, rules, images, and machines of strangers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.machines import CLUSTER_TAG
from costplan.adapters.aws.provider import AwsProvider
from costplan.adapters.aws.settings import AwsSettings
from costplan.adapters.clock import utc_now
from costplan.planner.nodes import LaunchRequest
from costplan.planner.types import Market, OfferKey
from tests.emulators.aws.documents import block
from tests.emulators.aws.server import PRODUCT_KEY, SETUP_KEY, Rig

REGION = "us-east-1"
ZONES = ("us-east-1a", "us-east-1b")
TYPES = ("c5.large", "c5.xlarge", "m5.large", "m5.xlarge")

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": PRODUCT_KEY,
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
}
"""What the code under test finds its credentials in."""


def key(
    instance_type: str, zone: str = ZONES[0], market: Market = Market.SPOT, region: str = REGION
) -> OfferKey:
    """An offer's key."""
    return OfferKey(
        provider="aws", region=region, zone=zone, instance_type=instance_type, market=market
    )


def startup(request: LaunchRequest, key: OfferKey) -> str:
    """A start script that tells the node's name."""
    return f"#!/bin/sh\necho {request.node_id}\n"


class Account:
    """What is set up on a rig; `clients` are shared, since to make them takes long."""

    def __init__(self, rig: Rig, clients: Clients | None = None) -> None:
        self.rig = rig
        image = next(iter(rig.cloud.ec2.amis.values())).id
        self.settings = AwsSettings(
            cluster="ours",
            region=REGION,
            zones=ZONES,
            images={"x86_64": image},
            instance_types=TYPES,
            endpoint_url=rig.url,
            advisor_url="http://127.0.0.1:9",
            connect_seconds=2.0,
            read_seconds=10.0,
        )
        self.clients = clients or Clients(self.settings)

    def with_queue(self, queue_url: str, **changes: Any) -> AwsSettings:
        """The settings of a cluster that has this queue."""
        return replace(self.settings, queue_url=queue_url, **changes)

    def provider(
        self,
        settings: AwsSettings | None = None,
        clock: Callable[[], datetime] = utc_now,
        start: Callable[[LaunchRequest, OfferKey], str] = startup,
    ) -> AwsProvider:
        """A provider of this account."""
        return AwsProvider(settings or self.settings, start, clock, self.clients)

    def setup(self, service: str) -> Any:
        """A client that prepares things and is not counted among the product's calls."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.rig.url,
            aws_access_key_id=SETUP_KEY,
            aws_secret_access_key="secret",  # noqa: S106 - the rig takes any
            config=Config(retries={"total_max_attempts": 1}),
        )

    def make_queue(self, name: str) -> str:
        """The URL of a queue that the guide's EventBridge rule fills."""
        sqs, events = self.setup("sqs"), self.setup("events")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        events.put_rule(Name=name, EventPattern=json.dumps(block("event pattern")))
        events.put_targets(
            Rule=name, Targets=[{"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}]
        )
        return str(url)

    def foreign_machine(self, tags: Mapping[str, str] | None = None) -> str:
        """The id of somebody else's instance."""
        specifications = (
            [
                {
                    "ResourceType": "instance",
                    "Tags": [{"Key": name, "Value": value} for name, value in tags.items()],
                }
            ]
            if tags
            else []
        )
        answer = self.setup("ec2").run_instances(
            ImageId=self.settings.images["x86_64"],
            InstanceType="m5.large",
            Placement={"AvailabilityZone": ZONES[0]},
            MinCount=1,
            MaxCount=1,
            TagSpecifications=specifications,
        )
        return str(answer["Instances"][0]["InstanceId"])

    def raw(self, instance_id: str) -> dict[str, Any]:
        """An instance as EC2 describes it."""
        answer = self.setup("ec2").describe_instances(InstanceIds=[instance_id])
        found: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
        return found


def cluster_of(instance: Mapping[str, Any]) -> str | None:
    """The cluster that an instance's tag names."""
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
    return tags.get(CLUSTER_TAG)
