"""What the rig knows of the cloud beyond moto: how much there is of what, what it costs, what
goes wrong, and how machines live and end.

Nothing happens by itself: `advance` does what is due, and the server calls it before each answer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import StateReason
from moto.events.models import events_backends

Pool = tuple[str, str, str]
"""Instance type, zone, and 'on-demand' or 'spot'."""

WAYS = ("events", "metadata")
"""How a warning comes: to EventBridge, and on the machine."""

_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopped": 80}


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with the next `times` calls of an operation that `fits` (all do where it
    is None), after `passes` of them went well.

    With a `code` the call is refused with this HTTP status. With `is_lost` it is carried out, and
    the connection is cut instead of an answer. Either comes after `latency_seconds`. `then` is
    called when the call was carried out, before the answer.
    """

    operation: str
    code: str = ""
    status: int = 400
    times: int = 1
    passes: int = 0
    is_lost: bool = False
    latency_seconds: float = 0.0
    fits: Callable[[dict[str, Any]], bool] | None = None
    then: Callable[[], None] | None = None


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A bucket of request tokens: so many at most, and so many more a second."""

    size: float
    per_second: float
    left: float = field(init=False)
    at: datetime = field(default_factory=utc_now)

    def __post_init__(self) -> None:
        self.left = self.size

    def takes(self, now: datetime) -> bool:
        """True where a call has its token."""
        grown = (now - self.at).total_seconds() * self.per_second
        self.left, self.at = min(self.size, self.left + grown), now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True, kw_only=True)
class Life:
    """What becomes of an instance, and when: it is told to end `ends_at`, is gone a while after.

    `is_in_metadata` says that its own metadata service tells that end. It is paid for until
    `stopped_at`.
    """

    launched_at: datetime
    boots_at: datetime
    ends_at: datetime | None = None
    is_in_metadata: bool = False
    stopped_at: datetime | None = None
    reason: tuple[str, str] = ("", "")
    gone_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class AwsCloud:
    """One account in one region. Times are those of `clock`, whole tables may be replaced."""

    region: str = "us-east-1"
    clock: Callable[[], datetime] = utc_now
    boot_seconds: float = 0.2
    stopping_seconds: float = 0.1
    listing_lag_seconds: float = 0.0
    """So long after its launch no list has an instance, and no call knows its id."""
    capacity: dict[Pool, int] = field(default_factory=dict)
    """How many machines a pool can have; any number where it is not named."""
    vcpu_quotas: dict[str, int] = field(default_factory=dict)
    """'on-demand' and 'spot': how many vCPU all machines of a market may have."""
    access_keys: set[str] | None = None
    """The access keys that are accepted; None for any."""
    denied: set[str] = field(default_factory=set)
    """Operations that the account's policy does not allow."""
    faults: list[Fault] = field(default_factory=list)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    spot_prices: dict[tuple[str, str], list[tuple[datetime, str]]] = field(default_factory=dict)
    """By type and zone: since when which price."""
    on_demand_prices: dict[str, str] = field(default_factory=dict)
    savings_rates: dict[tuple[str, int], str] = field(default_factory=dict)
    """By type and term in seconds."""
    reserved: list[dict[str, Any]] = field(default_factory=list)
    """Reserved instances, as EC2 describes them."""
    capacity_reservations: list[dict[str, Any]] = field(default_factory=list)
    savings_plans: list[dict[str, Any]] = field(default_factory=list)
    """As Savings Plans describes them; `rates` of each are by instance type."""
    placement_scores: dict[str, int] = field(default_factory=dict)
    """By zone's id, 1 to 10."""
    quotas: dict[str, float] = field(default_factory=dict)
    """By Service Quotas' code."""
    page_size: int = 1000
    """No list has more in one answer."""
    lives: dict[str, Life] = field(default_factory=dict)
    tokens: dict[tuple[str, str], tuple[str, Any]] = field(default_factory=dict)
    """By operation and client token: the parameters, and what came of them."""
    lock: RLock = field(default_factory=RLock)

    @property
    def ec2(self) -> Any:
        """moto's own EC2."""
        return ec2_backends[DEFAULT_ACCOUNT_ID][self.region]

    def instances(self) -> Iterator[Any]:
        """Every instance that moto has."""
        for reservation in list(self.ec2.reservations.values()):
            yield from reservation.instances

    def instance(self, instance_id: str) -> Any:
        """One of them."""
        return next(one for one in self.instances() if one.id == instance_id)

    # Machines.

    def begin(self, instance: Any) -> None:
        """An instance was launched now: it boots."""
        now = self.clock()
        boots_at = now + timedelta(seconds=self.boot_seconds)
        instance.launch_time = now.replace(microsecond=0)
        self.lives[instance.id] = Life(launched_at=now, boots_at=boots_at)
        _set_state(instance, "pending")

    def stop(self, instance: Any, code: str, message: str, initiator: str) -> None:
        """An instance is told to end now; `initiator` is 'User' or 'Service', '' for an end
        whose time EC2 does not tell."""
        if instance.state in ("shutting-down", "terminated"):
            return
        now, life = self.clock(), self.lives[instance.id]
        instance.terminate()
        instance.state_reason = StateReason(f"{code}: {message}", code)
        told = f"{initiator} initiated ({now:%Y-%m-%d %H:%M:%S} GMT)"
        instance._reason = told if initiator else ""
        life.stopped_at, life.ends_at = now, None
        life.gone_at = now + timedelta(seconds=self.stopping_seconds)
        self._enter(instance, "shutting-down")

    def advance(self) -> None:
        """Boots, ends and forgets what is due."""
        now = self.clock()
        for instance in list(self.instances()):
            life = self.lives.get(instance.id)
            if life is None:
                continue
            if instance.state == "pending" and life.boots_at <= now:
                self._enter(instance, "running")
            if life.ends_at is not None and life.ends_at <= now:
                self.stop(instance, *life.reason, "Service")
            if instance.state == "shutting-down" and life.gone_at and life.gone_at <= now:
                self._enter(instance, "terminated")

    def forget(self, instance_id: str) -> None:
        """EC2 does not list it any more."""
        with self.lock:
            for key, reservation in list(self.ec2.reservations.items()):
                if any(one.id == instance_id for one in reservation.instances):
                    del self.ec2.reservations[key]

    def hidden(self, now: datetime) -> set[str]:
        """Instances that are too young for any list."""
        lag = timedelta(seconds=self.listing_lag_seconds)
        return {one for one, life in self.lives.items() if now - life.launched_at < lag}

    def _enter(self, instance: Any, state: str) -> None:
        _set_state(instance, state)
        self.tell(
            "EC2 Instance State-change Notification",
            {"instance-id": instance.id, "state": state},
            instance.id,
        )

    # How much there is.

    def room(self, pool: Pool) -> int | None:
        """How many more machines a pool has, None for any number."""
        limit = self.capacity.get(pool)
        return None if limit is None else max(0, limit - self.used()[pool])

    def used(self) -> Counter[Pool]:
        """Machines that are there, by pool."""
        return Counter(
            pool_of(one) for one in self.instances() if one.state in ("pending", "running")
        )

    def vcpus(self, market: str) -> int:
        """vCPU of the machines that are there of a market."""
        counts = self.used().items()
        return sum(vcpus_of(kind) * n for (kind, _, one), n in counts if one == market)

    # What happens to machines.

    def interrupt(
        self, instance_id: str, notice_seconds: float, ways: Collection[str] = WAYS
    ) -> None:
        """A spot interruption warning now, by these ways, and the end when it says."""
        with self.lock:
            detail = {"instance-id": instance_id, "instance-action": "terminate"}
            life = self.lives[instance_id]
            # Events carry whole seconds: the end is as far from what is told.
            said = self.clock().replace(microsecond=0)
            life.ends_at = said + timedelta(seconds=notice_seconds)
            life.reason = ("Server.SpotInstanceTermination", "Spot instance termination")
            life.is_in_metadata = "metadata" in ways
            if "events" in ways:
                self.tell("EC2 Spot Instance Interruption Warning", detail, instance_id)

    def reclaim(self, instance_id: str) -> None:
        """EC2 takes an instance without a word before."""
        with self.lock:
            code = "Server.SpotInstanceTermination"
            self.stop(self.instance(instance_id), code, "Spot instance termination", "Service")

    def fail(self, instance_id: str) -> None:
        """An instance breaks down."""
        with self.lock:
            code = "Server.InternalError"
            self.stop(self.instance(instance_id), code, "Internal error", "Service")

    def shut_down(self, instance_id: str) -> None:
        """An instance shuts itself down and, told so at its launch, terminates; EC2 does not
        say when."""
        with self.lock:
            code = "Client.InstanceInitiatedShutdown"
            self.stop(self.instance(instance_id), code, "Instance initiated shutdown", "")

    def recommend_rebalance(self, instance_id: str) -> None:
        """A hint that an interruption is likelier than usual."""
        with self.lock:
            detail = {"instance-id": instance_id}
            self.tell("EC2 Instance Rebalance Recommendation", detail, instance_id)

    def schedule_maintenance(self, instance_id: str, starts: datetime) -> None:
        """AWS Health says that an instance will be rebooted."""
        with self.lock:
            detail = {
                "service": "EC2",
                "eventTypeCode": "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED",
                "eventTypeCategory": "scheduledChange",
                "startTime": f"{starts:%a, %d %b %Y %H:%M:%S} GMT",
                "affectedEntities": [{"entityValue": instance_id}],
            }
            self.tell("AWS Health Event", detail, instance_id, source="aws.health")

    def tell(
        self, kind: str, detail: dict[str, Any], subject: str, source: str = "aws.ec2"
    ) -> None:
        """An event to EventBridge, whose rules send it on."""
        arn = f"arn:aws:ec2:{self.region}:{DEFAULT_ACCOUNT_ID}:instance/{subject}"
        events_backends[DEFAULT_ACCOUNT_ID][self.region].put_events(
            [
                {
                    "Source": source,
                    "DetailType": kind,
                    "Detail": json.dumps(detail),
                    "Resources": [arn],
                    "Time": self.clock().timestamp(),
                }
            ]
        )


def pool_of(instance: Any) -> Pool:
    """Where an instance comes from."""
    market = "spot" if instance.lifecycle == "spot" else "on-demand"
    return (instance.instance_type, instance.placement.zone, market)


def vcpus_of(instance_type: str) -> int:
    """How many vCPU a type has."""
    return int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])


def _set_state(instance: Any, state: str) -> None:
    instance._state.name, instance._state.code = state, _CODES[state]
