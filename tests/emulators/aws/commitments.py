"""What the rig's account holds: reserved instances, capacity reservations, savings plans.

The rows of the cloud's tables are checked against botocore's models, which AWS makes from its
services: a test cannot prepare what no answer of AWS looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.model import ListShape, Shape, StringShape, StructureShape
from moto.core.utils import get_service_model

from tests.emulators.aws.cloud import AwsCloud
from tests.emulators.aws.prices import page_of
from tests.emulators.aws.wire import AwsRefusal

_PLAN_FILTERS = {"region", "instanceType", "productDescription", "tenancy", "serviceCode"}


def reserved_instances(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """DescribeReservedInstances, which has no pages: of all states."""
    _refuse(values, {"DryRun"})
    return _checked("ec2", "DescribeReservedInstances", {"ReservedInstances": list(cloud.reserved)})


def capacity_reservations(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """DescribeCapacityReservations, in pages."""
    _refuse(values, {"DryRun", "NextToken", "MaxResults"})
    page, following = page_of(cloud.capacity_reservations, values, cloud.page_size)
    answer = {"CapacityReservations": list(page), "NextToken": following}
    return _checked("ec2", "DescribeCapacityReservations", answer)


def savings_plans(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """DescribeSavingsPlans, of all states, in pages."""
    _refuse(values, {"nextToken", "maxResults"})
    page, following = page_of(cloud.savings_plans, values, cloud.page_size)
    rows = [{key: value for key, value in row.items() if key != "rates"} for row in page]
    answer = {"savingsPlans": rows, "nextToken": following}
    return _checked("savingsplans", "DescribeSavingsPlans", answer)


def savings_plan_own_rates(cloud: AwsCloud, values: dict[str, Any], _: Any) -> dict[str, Any]:
    """DescribeSavingsPlanRates of one plan that is active, for Linux on EC2."""
    _refuse(values, {"savingsPlanId", "filters", "nextToken", "maxResults"})
    (plan,) = [
        row for row in cloud.savings_plans if row["savingsPlanId"] == values["savingsPlanId"]
    ]
    if plan["state"] != "active":
        raise AwsRefusal("ValidationException", "the plan is not active")
    asked = {one["name"]: set(one["values"]) for one in values.get("filters", ())}
    if not set(asked) <= _PLAN_FILTERS:
        raise AwsRefusal("ValidationException", f"filters {sorted(set(asked) - _PLAN_FILTERS)}")
    rows = [
        {
            "rate": rate,
            "currency": "USD",
            "unit": "Hrs",
            "productType": "EC2",
            "serviceCode": "AmazonEC2",
            "usageType": f"BoxUsage:{name}",
            "operation": "RunInstances",
            "properties": [{"name": "instanceType", "value": name}],
        }
        for name, rate in plan.get("rates", {}).items()
        if name in asked.get("instanceType", {name})
    ]
    answer = {"savingsPlanId": plan["savingsPlanId"], "searchResults": rows, "nextToken": ""}
    return _checked("savingsplans", "DescribeSavingsPlanRates", answer)


def _refuse(values: Mapping[str, Any], known: set[str]) -> None:
    strange = sorted(set(values) - known)
    if strange:
        raise NotImplementedError(f"the rig does not know {', '.join(strange)}")


def _checked(service: str, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    shape = get_service_model(service).operation_model(operation).output_shape
    assert shape is not None
    _check(shape, answer, operation)
    return answer


_KINDS: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "double": (int, float),
    "float": (int, float),
    "integer": (int,),
    "long": (int,),
    "string": (str,),
    "timestamp": (datetime,),
}


def _check(shape: Shape, value: Any, at: str) -> None:
    """Raises AssertionError where the value is none of the shape."""
    if isinstance(shape, StructureShape):
        assert isinstance(value, dict), f"{at}: {value!r} is no structure"
        for name, part in value.items():
            assert name in shape.members, f"{at} has no {name}"
            _check(shape.members[name], part, f"{at}.{name}")
    elif isinstance(shape, ListShape):
        assert isinstance(value, list), f"{at}: {value!r} is no list"
        for part in value:
            _check(shape.member, part, f"{at}[]")
    elif shape.type_name in _KINDS:
        assert isinstance(value, _KINDS[shape.type_name]), f"{at}: {value!r} is no {shape}"
        if isinstance(shape, StringShape) and shape.enum:
            assert value in shape.enum, f"{at}: {value!r} is none of {shape.enum[:20]}"
