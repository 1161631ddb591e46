"""What Azure's models allow: the wire names, types and read-only members of the SDK's classes.

The SDK sends a body that is a dict as it stands, so a wrong member would go unnoticed until a real
cloud refused it. The models are made from Azure's own specification of the API.
"""

from __future__ import annotations

import base64
import datetime as datetime_module
import inspect
import types
import typing
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any

from azure.mgmt.compute import models
from azure.mgmt.compute._utils.model_base import Model

_OPEN_ENDED = frozenset({"VirtualMachineSizeTypes"})
"""Enumerations that the models give only in part: new machine sizes come without a new client."""
_READ_ONLY = ["read"]


def wrong(model: str, value: Any, at: str, *, is_request: bool) -> list[str]:
    """What a model does not allow of a value, place by place."""
    found: list[str] = []
    _check(getattr(models, model), value, at, found, is_request)
    return found


@cache
def _members(model: type) -> dict[str, tuple[Any, list[str]]]:
    """Wire name -> type and visibility of every member of a model."""
    model()  # the fields of a model are known once one was made
    names = {**vars(models), "_models": models}
    hints = {}
    for parent in reversed(model.__mro__):
        own = inspect.get_annotations(parent)
        module = vars(__import__(parent.__module__, fromlist=["x"])) if own else {}
        for name, hint in own.items():
            hints[name] = eval(hint, module, names) if isinstance(hint, str) else hint  # noqa: S307
    fields: dict[str, Any] = model._attr_to_rest_field  # type: ignore[attr-defined]
    return {
        field._rest_name: (hints.get(name, Any), field._visibility or [])
        for name, field in fields.items()
    }


def _check(hint: Any, value: Any, at: str, found: list[str], is_request: bool) -> None:
    hint = _resolved(hint)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        _check_union(inner, value, at, found, is_request)
    elif origin is list:
        if not isinstance(value, list):
            found.append(f"{at}: {value!r} is no list")
            return
        for place, part in enumerate(value):
            _check(inner[0], part, f"{at}[{place}]", found, is_request)
    elif origin is dict:
        if not isinstance(value, dict):
            found.append(f"{at}: {value!r} is no object")
            return
        for name, part in value.items():
            _check(inner[1], part, f"{at}.{name}", found, is_request)
    elif isinstance(hint, type) and issubclass(hint, Model):
        _check_model(hint, value, at, found, is_request)
    elif not _is_plain(hint, value):
        found.append(f"{at}: {value!r} is no {getattr(hint, '__name__', hint)}")


def _check_union(
    inner: tuple[Any, ...], value: Any, at: str, found: list[str], is_request: bool
) -> None:
    if value is None and type(None) in inner:
        return
    kinds = [_resolved(one) for one in inner if one is not type(None)]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Enum):
            allowed = [one.value for one in kind]
            if value not in allowed and kind.__name__ not in _OPEN_ENDED:
                found.append(f"{at}: {value!r} is none of {', '.join(allowed)}")
            return
    _check(kinds[0], value, at, found, is_request)


def _check_model(model: type, value: Any, at: str, found: list[str], is_request: bool) -> None:
    if not isinstance(value, dict):
        found.append(f"{at}: {value!r} is no object")
        return
    members = _members(model)
    for name, part in value.items():
        if name not in members:
            found.append(f"{at}: unknown member {name!r}")
            continue
        hint, visibility = members[name]
        if is_request and visibility == _READ_ONLY:
            found.append(f"{at}.{name}: is read-only")
        _check(hint, part, f"{at}.{name}", found, is_request)


def _resolved(hint: Any) -> Any:
    """A hint whose names are known; 'Optional' and 'Union' of text hold texts still."""
    if isinstance(hint, typing.ForwardRef):
        hint = hint.__forward_arg__
    if isinstance(hint, str):
        names = {**vars(models), "_models": models, "datetime": datetime_module}
        return eval(hint, names)  # noqa: S307
    return hint


def _is_plain(hint: Any, value: Any) -> bool:
    """True where a value on the wire is one of a plain type."""
    if hint is datetime:
        try:
            datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return False
        return True
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is bytes:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True) or True)
    if hint in (str, bool, int):
        return type(value) is hint
    return True
