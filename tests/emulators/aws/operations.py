"""The operations that the rig answers itself, or completes: each from its parameters to a result.

What is told of EC2 here is from its documentation and from issue reports; see
`docs/clouds/aws.md` for what was never compared with a live account.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlencode

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

from tests.emulators.aws.cloud import AwsCloud, Pool, vcpus_of
from tests.emulators.aws.commitments import (
    capacity_reservations,
    reserved_instances,
    savings_plan_own_rates,
    savings_plans,
)
from tests.emulators.aws.prices import (
    get_products,
    placement_scores,
    savings_plan_rates,
    service_quota,
    spot_price_history,
)
from tests.emulators.aws.wire import AwsRefusal

Forward = Callable[..., Any]
Operation = Callable[[AwsCloud, dict[str, Any], Any], Any]

_MARKETS = {"spot": "MaxSpotInstanceCountExceeded", "on-demand": "VcpuLimitExceeded"}


def run_instances(cloud: AwsCloud, values: dict[str, Any], forward: Any) -> Any:
    """RunInstances: idempotent by its client token, within capacity and quota, MaxCount."""
    known = _known(cloud, "RunInstances", values)
    if known is not None:
        _refuse_ended(cloud, [one.id for one in known.instances])
        return known
    pool = _pool(cloud, values)
    _check_offered(cloud, pool)
    _check_user_data(values.get("UserData"))
    least, most = int(values["MinCount"]), int(values["MaxCount"])
    _check_quota(cloud, pool, least)
    room = cloud.room(pool)
    if room is not None and room < least:
        raise AwsRefusal("InsufficientInstanceCapacity", _no_capacity(pool), 500)
    form = dict(parse_qsl(forward.body.decode(), keep_blank_values=True))
    form["MinCount"] = form["MaxCount"] = str(most if room is None else min(most, room))
    found = re.findall(
        rb"<instanceId>(i-[0-9a-f]+)</instanceId>", forward(urlencode(form).encode())
    )
    ids = {one.decode() for one in found}
    reservation = next(
        one for one in cloud.ec2.reservations.values() if ids & {i.id for i in one.instances}
    )
    for instance in reservation.instances:
        cloud.begin(instance)
    _remember(cloud, "RunInstances", values, reservation)
    return reservation


def create_fleet(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """CreateFleet of type instant: the offers in the order of their priority, as many machines
    as there are, and an error for each pool that had none."""
    if values.get("Type") != "instant":
        raise AwsRefusal("InvalidParameterValue", "the rig knows fleets of type instant only")
    known = _known(cloud, "CreateFleet", values)
    if known is not None:
        return dict(known)
    target = values["TargetCapacitySpecification"]
    market = target["DefaultTargetCapacityType"]
    _check_strategy(values, market)
    fleet_id = f"fleet-{len(cloud.tokens):032x}"
    tags = {
        one["ResourceType"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for one in values.get("TagSpecifications", ())
    }
    if not set(tags) <= {"fleet", "instance"}:
        raise AwsRefusal("InvalidParameterValue", "an instant fleet tags a fleet and instances")
    tags["instance"] = {**tags.get("instance", {}), "aws:ec2:fleet-id": fleet_id}
    left = int(target["TotalTargetCapacity"])
    result: dict[str, Any] = {"FleetId": fleet_id, "Instances": [], "Errors": []}
    for template, override in _overrides(cloud, values):
        if left <= 0:
            break
        pool = _override_pool(cloud, override, market)
        about = {
            "LaunchTemplateAndOverrides": {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateId": template.template.id,
                    "Version": str(template.number),
                },
                "Overrides": override,
            },
            "Lifecycle": market,
        }
        try:
            ids = _fleet_instances(cloud, template, pool, override, left, tags)
        except AwsRefusal as refused:
            error = {"ErrorCode": refused.code, "ErrorMessage": refused.message}
            result["Errors"].append({**about, **error})
            continue
        left -= len(ids)
        result["Instances"].append({**about, "InstanceIds": ids, "InstanceType": pool[0]})
    if result["Instances"]:
        _remember(cloud, "CreateFleet", values, result)
    return result


def _fleet_instances(
    cloud: AwsCloud,
    template: Any,
    pool: Pool,
    override: dict[str, Any],
    wanted: int,
    tags: dict[str, dict[str, str]],
) -> list[str]:
    _check_offered(cloud, pool)
    _check_quota(cloud, pool, 1)
    room = cloud.room(pool)
    if room == 0:
        raise AwsRefusal("InsufficientInstanceCapacity", _no_capacity(pool))
    data = template.data
    _check_user_data(data.get("UserData"))
    reservation = cloud.ec2.run_instances(
        data["ImageId"],
        wanted if room is None else min(wanted, room),
        data.get("UserData"),
        [],
        instance_type=pool[0],
        is_instance_type_default=False,
        placement=pool[1],
        region_name=cloud.region,
        subnet_id=override.get("SubnetId"),
        security_group_ids=list(data.get("SecurityGroupIds", ())),
        tags={**_template_tags(data), **tags},
        instance_market_options="spot" if pool[2] == "spot" else {},
        instance_initiated_shutdown_behavior=data.get("InstanceInitiatedShutdownBehavior"),
        metadata_options=data.get("MetadataOptions", {}),
        block_device_mappings=data.get("BlockDeviceMappings", []),
    )
    for instance in reservation.instances:
        cloud.begin(instance)
    return [instance.id for instance in reservation.instances]


def _template_tags(data: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        one["ResourceType"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for one in data.get("TagSpecifications", ())
    }


STRATEGIES = {"spot": "capacity-optimized-prioritized", "on-demand": "prioritized"}
"""The ways to choose among pools that the rig follows: by priority, what has room. EC2 has more,
which it does not pretend to know."""


def _check_strategy(values: dict[str, Any], market: str) -> None:
    options = values.get("SpotOptions" if market == "spot" else "OnDemandOptions", {})
    strategy = options.get("AllocationStrategy", "lowest-price")
    if strategy != STRATEGIES[market]:
        raise NotImplementedError(f"the rig does not choose by {strategy} for {market}")


def _overrides(cloud: AwsCloud, values: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Templates and overrides, by priority: the lowest number is tried first."""
    found = []
    for config in values["LaunchTemplateConfigs"]:
        asked = config["LaunchTemplateSpecification"]
        name, number = asked.get("LaunchTemplateName"), int(asked["Version"])
        template = cloud.ec2.get_launch_template_by_name(name)
        version = template.get_version(number)
        found += [(version, dict(override)) for override in config["Overrides"]]
    return sorted(found, key=lambda one: float(one[1].get("Priority", 1e9)))


def _override_pool(cloud: AwsCloud, override: dict[str, Any], market: str) -> Pool:
    subnet = override.get("SubnetId")
    zone = (
        cloud.ec2.get_subnet(subnet).availability_zone if subnet else override["AvailabilityZone"]
    )
    return (override["InstanceType"], zone, market)


def describe_instances(cloud: AwsCloud, values: dict[str, Any], forward: Any) -> Any:
    """DescribeInstances, without machines that are too young to be listed, in small pages.

    Tags are compared here: moto looks through all tags of the account for each instance.
    """
    young = cloud.hidden(cloud.clock())
    kept = dict(cloud.ec2.reservations)
    asked = {
        one["Name"].removeprefix("tag:"): set(one["Values"])
        for one in values.get("Filters", ())
        if one["Name"].startswith("tag:") and not re.search(r"[*?\\]", "".join(one["Values"]))
    }
    try:
        for key, reservation in kept.items():
            ids = {one.id for one in reservation.instances}
            if young & ids or not all(_is_tagged(cloud, one, asked) for one in ids):
                del cloud.ec2.reservations[key]
        form = _without_tags(dict(parse_qsl(forward.body.decode(), keep_blank_values=True)), asked)
        if not values.get("InstanceIds"):
            asked = int(form.get("MaxResults", 1000))
            form["MaxResults"] = str(min(asked, cloud.page_size))
        return Raw(forward(urlencode(form).encode()))
    finally:
        cloud.ec2.reservations.clear()
        cloud.ec2.reservations.update(kept)


def _is_tagged(cloud: AwsCloud, instance_id: str, asked: dict[str, set[str]]) -> bool:
    tags = cloud.ec2.tags.get(instance_id, {})
    return all(tags.get(name) in values for name, values in asked.items())


def _without_tags(form: dict[str, str], asked: Iterable[str]) -> dict[str, str]:
    """A request without its filters of these tags; the others are numbered anew."""
    names = {f"tag:{name}" for name in asked}
    found: dict[str, str] = {}
    place = 0
    for number in count(1):
        name = form.get(f"Filter.{number}.Name")
        if name is None:
            break
        if name not in names:
            place += 1
            start = f"Filter.{number}."
            own = {key: value for key, value in form.items() if key.startswith(start)}
            found |= {f"Filter.{place}.{key[len(start) :]}": v for key, v in own.items()}
    return found | {key: v for key, v in form.items() if not key.startswith("Filter.")}


def terminate_instances(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """TerminateInstances: all of them or none; one that is ending already stays as it is."""
    young = cloud.hidden(cloud.clock())
    known = {one.id: one for one in cloud.instances() if one.id not in young}
    unknown = [one for one in values["InstanceIds"] if one not in known]
    if unknown:
        message = f"The instance ID '{unknown[0]}' does not exist"
        raise AwsRefusal("InvalidInstanceID.NotFound", message)
    changes = []
    for instance_id in values["InstanceIds"]:
        instance = known[instance_id]
        before = {"Name": instance.state, "Code": instance.state_code}
        cloud.stop(instance, "Client.UserInitiatedShutdown", "User initiated shutdown", "User")
        after = {"Name": instance.state, "Code": instance.state_code}
        changes.append({"InstanceId": instance_id, "PreviousState": before, "CurrentState": after})
    return {"TerminatingInstances": changes}


def describe_instance_types(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """DescribeInstanceTypes, of the region's types, in pages."""
    there = {one["InstanceType"] for one in _offerings(cloud)}
    patterns = _filter(values, "instance-type")
    names = sorted(name for name in there & set(INSTANCE_TYPES) if _fits(name, patterns))
    page, following = paged(names, values, min(100, cloud.page_size))
    return {"InstanceTypes": [INSTANCE_TYPES[name] for name in page], "NextToken": following}


def describe_offerings(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """DescribeInstanceTypeOfferings by zone, in pages."""
    if values.get("LocationType") != "availability-zone":
        raise AwsRefusal("InvalidParameterValue", "the rig knows offerings by zone only")
    patterns, zones = _filter(values, "instance-type"), _filter(values, "location")
    found = [
        one
        for one in _offerings(cloud)
        if _fits(one["InstanceType"], patterns) and _fits(one["Location"], zones)
    ]
    page, following = paged(found, values, min(1000, cloud.page_size))
    return {"InstanceTypeOfferings": page, "NextToken": following}


class Raw(bytes):
    """An answer that is as moto wrote it."""


def paged(
    rows: Sequence[Any], values: dict[str, Any], most: int
) -> tuple[Sequence[Any], str | None]:
    """A page of a list, and the token of the next one."""
    start = int(values.get("NextToken") or 0)
    end = start + min(int(values.get("MaxResults") or most), most)
    return rows[start:end], str(end) if end < len(rows) else None


def _offerings(cloud: AwsCloud) -> list[dict[str, str]]:
    found: list[dict[str, str]] = INSTANCE_TYPE_OFFERINGS["availability-zone"][cloud.region]
    return found


def _filter(values: dict[str, Any], name: str) -> list[str] | None:
    for one in values.get("Filters", ()):
        if one["Name"] == name:
            return list(one["Values"])
    return None


def _fits(text: str, patterns: list[str] | None) -> bool:
    return patterns is None or any(fnmatch.fnmatchcase(text, one) for one in patterns)


# What a launch is held to.


def _pool(cloud: AwsCloud, values: dict[str, Any]) -> Pool:
    market = values.get("InstanceMarketOptions", {}).get("MarketType", "on-demand")
    subnet = values.get("SubnetId")
    zone = (
        cloud.ec2.get_subnet(subnet).availability_zone
        if subnet
        else values.get("Placement", {}).get("AvailabilityZone", f"{cloud.region}a")
    )
    return (values["InstanceType"], zone, market)


def _check_offered(cloud: AwsCloud, pool: Pool) -> None:
    name, zone, _ = pool
    zones = {one["Location"] for one in _offerings(cloud) if one["InstanceType"] == name}
    if not zones:
        message = f"Invalid value '{name}' for InstanceType."
        raise AwsRefusal("InvalidParameterValue", message)
    if zone not in zones:
        message = f"Your requested instance type ({name}) is not supported in {zone}."
        raise AwsRefusal("Unsupported", message)


def _check_quota(cloud: AwsCloud, pool: Pool, count: int) -> None:
    limit = cloud.vcpu_quotas.get(pool[2])
    if limit is not None and cloud.vcpus(pool[2]) + count * vcpus_of(pool[0]) > limit:
        message = f"You have requested more vCPU capacity than your limit of {limit} allows."
        raise AwsRefusal(_MARKETS[pool[2]], message)


def _check_user_data(text: Any) -> None:
    if text is not None and len(str(text)) > 4 * 16_384 / 3 + 4:
        raise AwsRefusal("InvalidParameterValue", "User data is limited to 16384 bytes")


def _no_capacity(pool: Pool) -> str:
    name, zone, _ = pool
    return f"We currently do not have sufficient {name} capacity in {zone}."


def _refuse_ended(cloud: AwsCloud, ids: Sequence[str]) -> None:
    states = {one.id: one.state for one in cloud.instances()}
    if any(states.get(one, "terminated") in ("shutting-down", "terminated") for one in ids):
        message = "The client token that you have provided is of a terminated instance."
        raise AwsRefusal("IdempotentInstanceTerminated", message)


def _known(cloud: AwsCloud, operation: str, values: dict[str, Any]) -> Any:
    """What a client token has led to, None for a new one; raises where it was for something
    else."""
    found = cloud.tokens.get((operation, values["ClientToken"]))
    if found is None:
        return None
    if found[0] != _written(values):
        message = "Arguments on this idempotent request are inconsistent with arguments used before"
        raise AwsRefusal("IdempotentParameterMismatch", message)
    return found[1]


def _remember(cloud: AwsCloud, operation: str, values: dict[str, Any], result: Any) -> None:
    cloud.tokens[operation, values["ClientToken"]] = (_written(values), result)


def _written(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("ec2", "RunInstances"): run_instances,
    ("ec2", "CreateFleet"): create_fleet,
    ("ec2", "DescribeInstances"): describe_instances,
    ("ec2", "TerminateInstances"): terminate_instances,
    ("ec2", "DescribeInstanceTypes"): describe_instance_types,
    ("ec2", "DescribeInstanceTypeOfferings"): describe_offerings,
    ("ec2", "DescribeCapacityReservations"): capacity_reservations,
    ("ec2", "DescribeReservedInstances"): reserved_instances,
    ("ec2", "DescribeSpotPriceHistory"): spot_price_history,
    ("ec2", "GetSpotPlacementScores"): placement_scores,
    ("pricing", "GetProducts"): get_products,
    ("savingsplans", "DescribeSavingsPlanRates"): savings_plan_own_rates,
    ("savingsplans", "DescribeSavingsPlans"): savings_plans,
    ("savingsplans", "DescribeSavingsPlansOfferingRates"): savings_plan_rates,
    ("service-quotas", "GetServiceQuota"): service_quota,
}
