"""Reads what runs now, from a file of one's own or from a plan that costplan wrote."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from costplan.adapters.text_file import read_text
from costplan.planner.config_fields import shown, suggestion
from costplan.planner.errors import InputError
from costplan.planner.plan import Running
from costplan.planner.plan_schema import SCHEMA_VERSION
from costplan.planner.types import Market, OfferKey

_EXAMPLE = (
    '[{"provider": "aws", "region": "us-east-1", "zone": "us-east-1a", '
    '"instance_type": "m5.large", "market": "spot", "nodes": 3}]'
)
_MOST_NODES = 10_000_000

Name = Annotated[str, Field(min_length=1, max_length=200)]


def _market(value: object) -> object:
    return value.replace("-", "_") if isinstance(value, str) else value


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    provider: Name
    region: Name
    zone: Annotated[str, Field(max_length=200)] | None = None
    instance_type: Name
    market: Annotated[Market, Field(strict=False), BeforeValidator(_market)]
    nodes: Annotated[int, Field(ge=1, le=_MOST_NODES)]


def read_fleet(path: Path) -> tuple[Running, ...]:
    """The fleet in a JSON file, in the order of its keys.

    The file holds a list of pools, {"fleet": [...]}, or a plan of ours, whose other fields do
    not matter. Raises InputError, which names the file and the pool, on anything that is wrong;
    a pool given twice is refused, because nobody can tell whether to add the two up.
    """
    return fleet_from_json(read_text(path, kind="JSON file"), str(path))


def fleet_from_json(text: str, name: str) -> tuple[Running, ...]:
    """The fleet in JSON text; see `read_fleet`. `name` is the file's, for messages."""
    pools, is_plan = _pools(_parsed(text, name), name)
    running: dict[OfferKey, int] = {}
    numbers: dict[OfferKey, int] = {}
    for number, pool in enumerate(pools):
        row = _row(pool, f"{name}: fleet[{number}]", is_plan=is_plan)
        key = OfferKey(
            provider=row.provider,
            region=row.region,
            zone=row.zone or "",
            instance_type=row.instance_type,
            market=row.market,
        )
        if key in running:
            raise InputError(
                f"{name}: fleet[{number}]",
                f"{key} is also fleet[{numbers[key]}]",
                "put the nodes of both in one",
            )
        running[key], numbers[key] = row.nodes, number
    return tuple(Running(key=key, nodes=running[key]) for key in sorted(running))


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=partial(_each_once, name))
    except json.JSONDecodeError as error:
        where = f"{name}: line {error.lineno}, column {error.colno}"
        raise InputError(where, f"is not JSON: {error.msg}", f"write it like {_EXAMPLE}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(name, "is not JSON that describes a fleet") from error


def _each_once(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; raises InputError where a key is given twice, as nobody knows which counts."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(name, f"the key {shown(key)} is given twice in one object", "keep one")
        found[key] = value
    return found


def _pools(data: Any, name: str) -> tuple[list[Any], bool]:
    """The rows of a fleet, and whether they are a plan's."""
    if isinstance(data, list):
        return data, False
    if not isinstance(data, dict):
        raise InputError(name, f"holds {shown(data)}, not a fleet", f"write {_EXAMPLE}")
    is_plan = "schema_version" in data
    if is_plan and data["schema_version"] != SCHEMA_VERSION:
        version = shown(data["schema_version"])
        way_out = f"this costplan reads version {SCHEMA_VERSION}"
        raise InputError(name, f"is a plan of schema version {version}", way_out)
    if is_plan and data.get("status") != "ok":
        status = shown(data.get("status"))
        raise InputError(name, f"is a plan with status {status}, so it has no fleet")
    unknown = [key for key in data if key != "fleet"] if not is_plan else []
    if unknown or "fleet" not in data:
        problem = f"{shown(unknown[0])} is not a key" if unknown else "has no key 'fleet'"
        raise InputError(name, problem, 'a fleet is a list of pools or {"fleet": [...]}')
    if not isinstance(data["fleet"], list):
        raise InputError(f"{name}: fleet", f"{shown(data['fleet'])} is not a list")
    return data["fleet"], is_plan


def _row(pool: Any, subject: str, *, is_plan: bool) -> _Row:
    if is_plan and isinstance(pool, dict):
        pool = {key: pool[key] for key in _Row.model_fields if key in pool}
    try:
        return _Row.model_validate(pool)
    except ValidationError as error:
        _refuse(error.errors(include_url=False)[0], subject)


def _refuse(details: ErrorDetails, subject: str) -> NoReturn:
    """Never returns: raises what pydantic found in words."""
    field = str(details["loc"][0]) if details["loc"] else ""
    value = shown(details["input"])
    where = f"{subject}.{field}" if field in _Row.model_fields else subject
    match details["type"]:
        case "missing":
            raise InputError(subject, f"has no {field}", f"write it like {_EXAMPLE}")
        case "extra_forbidden":
            known = list(_Row.model_fields)
            way_out = f"{suggestion(field, known)} its keys are {', '.join(known)}".strip()
            raise InputError(subject, f"{shown(field)} is not a key", way_out)
        case "enum":
            way_out = f"{suggestion(value, list(Market))} use {', '.join(Market)}".strip()
            raise InputError(where, f"{value} is not a market", way_out)
        case "model_type" | "dict_type":
            raise InputError(subject, f"{value} is not a pool", f"write it like {_EXAMPLE}")
    if field == "nodes":
        raise InputError(where, f"{value} is not a number of nodes", f"use 1 to {_MOST_NODES:,}")
    raise InputError(where, f"{value} is not a name", "write it in quotes")
