"""Warnings: EventBridge's events in an SQS queue, written on the instance as tags.

A message is deleted once its warning stands on the machine that it is about. There every process
finds it for as long as the machine lives, and EC2 forgets it with the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.machines import LIVING, listed, of_cluster, tags_of
from costplan.adapters.aws.settings import AwsSettings
from costplan.adapters.instants import utc_of
from costplan.planner.nodes import Notice

KINDS = ("maintenance", "rebalance", "reclaim")
_TAG = "costplan:notice-"
_BATCH = 10
"""The most that SQS gives or deletes in one call."""

_MOST_BATCHES = 50
"""500 messages a look; the next look goes on."""

_LOOKS = 3
"""So often a message about a machine that is not listed as ours is left in the queue: a list may
be some seconds behind a launch."""

_HIDDEN_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of the queue: the warnings in it, none where it is about something else."""

    receipt: str
    looks: int
    notices: tuple[Notice, ...]


def notices(clients: Clients, settings: AwsSettings) -> tuple[Notice, ...]:
    """The warnings in force of this cluster's machines that live, in order of their instant."""
    if settings.queue_url:
        for batch in _received(clients, settings):
            _take_in(clients, settings, batch)
    filters = of_cluster(
        settings,
        ("instance-state-name", LIVING),
        ("tag-key", [_TAG + kind for kind in KINDS]),
    )
    with mapped("notices", "all"):
        found = [
            notice
            for instance in listed(clients.reading("ec2"), filters)
            for notice in _written(instance)
        ]
    return tuple(sorted(found, key=lambda one: (one.effective_at, one.provider_id, one.kind)))


def _received(clients: Clients, settings: AwsSettings) -> Iterator[list[Message]]:
    for _ in range(_MOST_BATCHES):
        with mapped("notices", settings.queue_url):
            answer = clients.reading("sqs").receive_message(
                QueueUrl=settings.queue_url,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=_HIDDEN_SECONDS,
                WaitTimeSeconds=0,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        batch = [_message(one, settings) for one in answer.get("Messages", ())]
        if not batch:
            return
        yield batch


def _message(message: Mapping[str, Any], settings: AwsSettings) -> Message:
    notice_ahead = timedelta(seconds=settings.notice_seconds)
    return Message(
        receipt=message["ReceiptHandle"],
        looks=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        notices=notices_in(message["Body"], notice_ahead),
    )


def notices_in(body: str, ahead: timedelta) -> tuple[Notice, ...]:
    """The warnings of an event of EventBridge, none where it is of another kind or unreadable.

    `ahead` is how long before its end a spot machine is warned. A rebalance recommendation is
    in force from its own instant on.
    """
    try:
        event = json.loads(body)
        detail, at = event["detail"], utc_of(event["time"])
        match event["detail-type"]:
            case "EC2 Spot Instance Interruption Warning":
                return (_notice(detail["instance-id"], "reclaim", at + ahead, at),)
            case "EC2 Instance Rebalance Recommendation":
                return (_notice(detail["instance-id"], "rebalance", at, at),)
            case "AWS Health Event" if detail["eventTypeCategory"] == "scheduledChange":
                starts = parsedate_to_datetime(detail["startTime"]).astimezone(UTC)
                entities = [one["entityValue"] for one in detail["affectedEntities"]]
                return tuple(_notice(name, "maintenance", starts, at) for name in entities)
    except (KeyError, TypeError, ValueError):
        return ()
    return ()


def _notice(provider_id: str, kind: str, effective_at: datetime, observed_at: datetime) -> Notice:
    return Notice(
        provider_id=provider_id, kind=kind, effective_at=effective_at, observed_at=observed_at
    )


def _take_in(clients: Clients, settings: AwsSettings, batch: Sequence[Message]) -> None:
    """Writes the warnings of a batch on our machines, and then deletes its messages."""
    named = {notice.provider_id for message in batch for notice in message.notices}
    ours: dict[str, Mapping[str, Any]] = {}
    if named:
        filters = of_cluster(settings, ("instance-id", sorted(named)))
        with mapped("notices", "all"):
            ours = {one["InstanceId"]: one for one in listed(clients.reading("ec2"), filters)}
    done = []
    for message in batch:
        for notice in message.notices:
            if notice.provider_id in ours:
                _write(clients, ours[notice.provider_id], notice)
        unknown = any(notice.provider_id not in ours for notice in message.notices)
        if not unknown or message.looks >= _LOOKS:
            done.append(message.receipt)
    if done:
        _delete(clients, settings, done)


def _write(clients: Clients, instance: Mapping[str, Any], notice: Notice) -> None:
    """A later word of the same kind replaces an earlier one; an older one comes too late."""
    before = {one.kind: one for one in _written(instance)}.get(notice.kind)
    if instance["State"]["Name"] not in LIVING or (
        before is not None and before.observed_at >= notice.observed_at
    ):
        return
    value = f"{notice.effective_at.isoformat()} {notice.observed_at.isoformat()}"
    with mapped("notices", notice.provider_id):
        clients.changing("ec2").create_tags(
            Resources=[notice.provider_id],
            Tags=[{"Key": _TAG + notice.kind, "Value": value}],
        )


def _written(instance: Mapping[str, Any]) -> Iterator[Notice]:
    """The warnings that stand on an instance."""
    tags = tags_of(instance)
    for kind in KINDS:
        value = tags.get(_TAG + kind)
        if value is not None:
            effective_at, _, observed_at = value.partition(" ")
            yield _notice(instance["InstanceId"], kind, utc_of(effective_at), utc_of(observed_at))


def _delete(clients: Clients, settings: AwsSettings, receipts: Sequence[str]) -> None:
    """A message that could not be deleted comes again and changes nothing."""
    entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(receipts)]
    with mapped("notices", settings.queue_url):
        clients.changing("sqs").delete_message_batch(QueueUrl=settings.queue_url, Entries=entries)
