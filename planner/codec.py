"""Values as JSON and back, exactly: what is stored of a tick is what the tick saw.

Built from the types of the values' fields: dataclasses, tuples, mappings with text keys, enums,
Decimal and Fraction (as text), aware datetimes (ISO 8601), numbers, text, None. In a union of
dataclasses the class's name is kept under '$'. The same value always gives the same bytes.

A field that was added with a default reads from older bytes. What these values do not know, a
class or a field, is refused: it would be lost without a word.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import orjson

from costplan.planner.errors import InputError, InvariantBroken

_Code = Callable[[Any], Any]
KEPT = "_plain"
"""The slot of classes whose values keep their plain form."""
_PLAIN: tuple[Any, ...] = (str, int, float, bool, type(None))
_NOT_ONE = (
    ValueError, TypeError, KeyError, ArithmeticError, AttributeError, RecursionError,
    InvariantBroken,
)  # fmt: skip
_WAY_OUT = "use the version of costplan that wrote it, or restore a backup"


@dataclasses.dataclass(frozen=True, slots=True)
class _Codec:
    """How values of one type are turned; None leaves them as they are."""

    encode: _Code | None
    decode: _Code | None


def encode(value: Any, form: Any) -> bytes:
    """The bytes of a value of a type, keys in order, without spaces, in ASCII.

    Raises InvariantBroken where the value is of a class that its type does not name.
    """
    code = _codec(form).encode
    plain = value if code is None else code(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def text_of(value: Any, form: Any) -> str:
    """A value's JSON with mappings in the order that they have: for who reads it back and must
    find the same order again."""
    code = _codec(form).encode
    return _in_order(value if code is None else code(value))


_in_order = json.JSONEncoder(separators=(",", ":")).encode


def decode(data: bytes | str, form: Any) -> Any:
    """The value of a type that was encoded; raises InputError where the bytes are not one."""
    try:
        return from_plain(json.loads(data), form)
    except (ValueError, RecursionError) as error:
        raise InputError("stored value", f"is no JSON: {error}", _WAY_OUT) from error


def from_plain(plain: Any, form: Any) -> Any:
    """The value of a type from what `json.loads` gives; raises InputError where it is not one."""
    code = _codec(form).decode
    try:
        return plain if code is None else code(plain)
    except _NOT_ONE as error:
        name = getattr(form, "__name__", str(form))
        problem = f"is not a {name} of this version: {_said(error)}"
        raise InputError("stored value", problem, _WAY_OUT) from error


def digest(value: Any, form: Any) -> str:
    """Sixteen hexadecimal digits that name a value, whatever the order of its mappings."""
    code = _codec(form).encode
    plain = value if code is None else code(value)
    try:
        text = orjson.dumps(plain, default=float, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a number beyond 64 bits, which json takes, in four times as long
        text = json.dumps(plain, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, _Unknown) else f"{type(error).__name__}: {error}"


class _Unknown(ValueError):
    """Says what of a stored value is not known here."""


@cache
def _codec(form: Any) -> _Codec:  # noqa: PLR0911 - a return a kind of type
    origin = typing.get_origin(form)
    if form in _PLAIN or form is Any:
        return _Codec(None, None)
    if origin in (types.UnionType, typing.Union):
        return _union(typing.get_args(form))
    if origin is tuple:
        return _tuple(typing.get_args(form))
    if origin in (Mapping, dict):
        return _mapping(*typing.get_args(form))
    if form is Fraction:
        return _Codec(str, Fraction)
    if form is Decimal:
        return _Codec(str, Decimal)
    if form is datetime:
        return _Codec(datetime.isoformat, datetime.fromisoformat)
    if isinstance(form, type) and issubclass(form, Enum):
        return _Codec(lambda value: value.value, form)
    if dataclasses.is_dataclass(form) and isinstance(form, type):
        return _dataclass(form)
    raise InvariantBroken(f"no codec for {form!r}")


def _dataclass(form: type) -> _Codec:
    hints = typing.get_type_hints(form)
    names = tuple(field.name for field in dataclasses.fields(form))
    known = frozenset(names)

    def checked(plain: Any) -> dict[str, Any]:
        if not isinstance(plain, dict):
            raise _Unknown(f"{form.__name__} is not made of {type(plain).__name__}")
        if not plain.keys() <= known:
            raise _Unknown(f"{form.__name__} has no field {min(plain.keys() - known)!r}")
        return plain

    if not names:
        return _Codec(lambda _: {}, lambda plain: form(**checked(plain)))
    codecs = [(place, name, _codec(hints[name])) for place, name in enumerate(names)]
    outward = [(p, name, c.encode) for p, name, c in codecs if c.encode is not None]
    inward = [(name, c.decode) for _, name, c in codecs if c.decode is not None]
    read = attrgetter(*names)
    single = len(names) == 1

    def to_plain(value: Any) -> dict[str, Any]:
        values = (read(value),) if single else read(value)
        plain = dict(zip(names, values, strict=True))
        for place, name, code in outward:
            plain[name] = code(values[place])
        return plain

    def to_value(plain: Any) -> Any:
        given = checked(plain).copy()
        for name, code in inward:
            if name in given:
                given[name] = code(given[name])
        return form(**given)

    return _Codec(_kept(to_plain) if hasattr(form, KEPT) else to_plain, to_value)


def _kept(code: _Code) -> _Code:
    """The same, once a value: it stays with values that have room for it."""

    def to_plain(value: Any) -> Any:
        try:
            return getattr(value, KEPT)
        except AttributeError:
            plain = code(value)
            object.__setattr__(value, KEPT, plain)
            return plain

    return to_plain


def _tuple(parts: tuple[Any, ...]) -> _Codec:
    if len(parts) == 2 and parts[1] is Ellipsis:
        each = _codec(parts[0])
        out, back = each.encode, each.decode
        return _Codec(
            list if out is None else lambda value: [out(item) for item in value],
            tuple if back is None else lambda plain: tuple(back(item) for item in plain),
        )
    codecs = [_codec(part) for part in parts]

    def to_plain(value: Any) -> list[Any]:
        return [
            item if code.encode is None else code.encode(item)
            for item, code in zip(value, codecs, strict=True)
        ]

    def to_value(plain: Any) -> tuple[Any, ...]:
        return tuple(
            item if code.decode is None else code.decode(item)
            for item, code in zip(plain, codecs, strict=True)
        )

    return _Codec(to_plain, to_value)


def _mapping(key: Any, item: Any) -> _Codec:
    if not (isinstance(key, type) and issubclass(key, str)):
        raise InvariantBroken(f"keys of mappings are text, not {key!r}")
    code = _codec(item)
    out, back = code.encode, code.decode
    return _Codec(
        dict if out is None else lambda value: {str(k): out(v) for k, v in value.items()},
        lambda plain: MappingProxyType(
            {key(k): v if back is None else back(v) for k, v in plain.items()}
        ),
    )


def _union(parts: tuple[Any, ...]) -> _Codec:
    """A value or None, or one of several dataclasses, which are told apart by name."""
    rest = tuple(part for part in parts if part is not type(None))
    if len(rest) == 1:
        code = _codec(rest[0])
        out, back = code.encode, code.decode
        return _Codec(
            None if out is None else lambda value: None if value is None else out(value),
            None if back is None else lambda plain: None if plain is None else back(plain),
        )
    if all(part in _PLAIN for part in rest):
        return _Codec(None, None)
    named = {part.__name__: _codec(part) for part in rest}

    def to_plain(value: Any) -> Any:
        if value is None:
            return None
        name = type(value).__name__
        if name not in named:
            raise InvariantBroken(f"no codec for a {name} where {', '.join(named)} may be")
        code = named[name].encode
        return {"$": name, **(code(value) if code is not None else {})}

    def to_value(plain: Any) -> Any:
        if plain is None:
            return None
        rest = dict(plain)
        name = rest.pop("$", None)
        if name not in named:
            raise _Unknown(f"there is no class {name!r} among {', '.join(named)}")
        code = named[name].decode
        return rest if code is None else code(rest)

    return _Codec(to_plain, to_value)
