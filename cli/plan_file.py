"""Reads a plan that `recommend` wrote, and that a person has reviewed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from costplan.adapters.text_file import read_text
from costplan.planner.apply import pools_of
from costplan.planner.config_fields import shown
from costplan.planner.errors import InputError
from costplan.planner.plan_schema import SCHEMA_VERSION, InfeasibleDocument, PlanDocument

_WAY_OUT = "write one with `costplan recommend --out FILE`"
_MOST_BYTES = 64 * 2**20


def read_plan(path: Path) -> PlanDocument | InfeasibleDocument:
    """The plan in a file, held to version 1 of its form; fields that are not known are ignored.

    Raises InputError, which names the file and the field, on anything that is wrong.
    """
    text = read_text(path, kind="plan", absent=_WAY_OUT, most_bytes=_MOST_BYTES)
    return plan_from_json(text, str(path))


def plan_from_json(text: str, name: str) -> PlanDocument | InfeasibleDocument:
    """The plan in JSON text; see `read_plan`."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{name}: line {error.lineno}, column {error.colno}"
        raise InputError(where, f"is not JSON: {error.msg}", _WAY_OUT) from error
    except (ValueError, RecursionError) as error:
        raise InputError(name, "is not JSON that describes a plan", _WAY_OUT) from error
    _check_kind(data, name)
    try:
        if data["status"] == "infeasible":
            return InfeasibleDocument.model_validate(data)
        plan = PlanDocument.model_validate(data)
        pools_of(plan)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        problem = f"{shown(first['input'])}: {first['msg']}"
        raise InputError(f"{name}: {path}", problem, _WAY_OUT) from error
    except ValueError as error:
        raise InputError(f"{name}: fleet", str(error), _WAY_OUT) from error
    if plan.created_at.tzinfo is None:
        raise InputError(f"{name}: created_at", "says no time zone", _WAY_OUT)
    return plan


def _check_kind(data: Any, name: str) -> None:
    if not isinstance(data, dict):
        raise InputError(name, f"holds {shown(data)}, not a plan", _WAY_OUT)
    if "schema_version" not in data:
        raise InputError(name, "is no plan: it has no schema_version", _WAY_OUT)
    version = data["schema_version"]
    if version != SCHEMA_VERSION or isinstance(version, bool):
        way_out = f"this costplan reads version {SCHEMA_VERSION}"
        raise InputError(name, f"is a plan of schema version {shown(version)}", way_out)
    if data.get("status") not in ("ok", "infeasible"):
        raise InputError(f"{name}: status", f"{shown(data.get('status'))} is no status", _WAY_OUT)
