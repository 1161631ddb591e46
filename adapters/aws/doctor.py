"""What a run on AWS needs, looked at without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.machines import CLUSTER_TAG
from costplan.adapters.aws.permissions import change_findings, read_findings
from costplan.adapters.aws.quotas import quota_uses
from costplan.adapters.aws.settings import AwsSettings
from costplan.planner.doctor import (
    Allowance,
    Check,
    Finding,
    Wanted,
    clock_finding,
    ok,
    problem,
    quota_findings,
    warning,
)
from costplan.planner.fleet_limits import falls_under
from costplan.planner.types import Offer
from costplan.planner.wording import counted, market_text

_WHOLE_SECOND = 1.0
"""A Date header has no fractions."""


def checks(
    clients: Clients,
    settings: AwsSettings,
    sold: Callable[[], Sequence[Offer]],
    wanted: Sequence[Wanted],
    clock: Callable[[], datetime],
) -> tuple[Check, ...]:
    """All that can be asked of AWS; `sold` are the offers that may be bought."""
    return (
        Check("credentials", lambda: identity_findings(clients, clock)),
        Check("zones", lambda: zone_findings(clients, settings)),
        Check("permissions", lambda: read_findings(clients, settings)),
        Check("permissions", lambda: change_findings(clients, settings, sold())),
        Check("quotas", lambda: quota_findings(allowances(clients, settings, sold()), wanted)),
        Check("notices", lambda: queue_findings(clients, settings)),
        Check("leftovers", lambda: template_findings(clients, settings)),
    )


def identity_findings(clients: Clients, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """Who we are there, and how far our clock is from AWS's."""
    began = clock()
    with mapped("credentials", "GetCallerIdentity"):
        answer = clients.reading("sts").get_caller_identity()
    ended = clock()
    yield ok("credentials", f"account {answer['Account']}, as {answer['Arn']}")
    dated = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if dated:
        half = (ended - began) / 2
        skew = (began + half - parsedate_to_datetime(dated)).total_seconds()
        yield clock_finding("AWS", skew, half.total_seconds() + _WHOLE_SECOND)


def zone_findings(clients: Clients, settings: AwsSettings) -> Iterator[Finding]:
    """Whether the configured zones are there for this account."""
    with mapped("zones", settings.region):
        answer = clients.reading("ec2").describe_availability_zones()
    there = {one["ZoneName"] for one in answer["AvailabilityZones"]}
    strange = [zone for zone in settings.zones if zone not in there]
    if strange:
        text = f"{', '.join(strange)} not among those that the account has in {settings.region}"
        yield problem(
            "zones", text, f"correct provider.zones: there are {', '.join(sorted(there))}"
        )
    else:
        yield ok("zones", f"{', '.join(settings.zones)} are there")


def allowances(clients: Clients, settings: AwsSettings, offers: Sequence[Offer]) -> list[Allowance]:
    """The account's vCPU quotas that any of the offers falls under, with what all of its machines
    use of them."""
    return [
        Allowance(
            name=f"{market_text(one.quota.market)} {one.quota.family} ({one.quota.code})",
            unit="vCPU",
            limit=one.limit_milli / 1000,
            used=(one.ours_milli + one.others_milli) / 1000,
            ours=one.ours_milli / 1000,
        )
        for one in quota_uses(clients, settings)
        if any(falls_under(one.rule, offer.key) for offer in offers)
    ]


def queue_findings(clients: Clients, settings: AwsSettings) -> Iterator[Finding]:
    """Whether the queue of warnings is there; nothing is received from it."""
    area = "notices"
    if not settings.queue_url:
        text = "no queue is configured: the workers alone hear of interruptions"
        yield warning(area, text, "see 'The queue of warnings' in docs/clouds/aws.md")
        return
    with mapped(area, settings.queue_url):
        answer = clients.reading("sqs").get_queue_attributes(
            QueueUrl=settings.queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
    waiting = int(answer["Attributes"]["ApproximateNumberOfMessages"])
    name = settings.queue_url.rpartition("/")[2]
    yield ok(area, f"the queue {name} is there, {counted(waiting, 'message')} in it")


def template_findings(clients: Clients, settings: AwsSettings) -> Iterator[Finding]:
    """Launch templates that a crash has left: they cost nothing, and a region has room for
    5,000."""
    pages = clients.reading("ec2").get_paginator("describe_launch_templates")
    filters = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [settings.cluster]}]
    with mapped("leftovers", "DescribeLaunchTemplates"):
        found = [
            one["LaunchTemplateName"]
            for page in pages.paginate(Filters=filters)
            for one in page["LaunchTemplates"]
        ]
    if found:
        text = f"{counted(len(found), 'launch template')} of the cluster, such as {min(found)}"
        way_out = "where no launch is under way: aws ec2 delete-launch-template"
        yield warning("leftovers", text, way_out)
    else:
        yield ok("leftovers", "no launch template of the cluster")
