"""Routes and schemas of a Google API, read from its discovery document.

The documents ship in google-api-python-client and are made by Google from its servers, apart from
the Python client under test: what breaks them would be refused by the cloud.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import googleapiclient

_DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True)
class Method:
    """One method of an API; `route` matches its path and names what it found."""

    id: str
    http_method: str
    route: re.Pattern[str]
    path_parameters: Mapping[str, Mapping[str, Any]]
    query_parameters: Mapping[str, Mapping[str, Any]]
    request: str | None
    response: str | None


class Api:
    """The methods of one API, and what may be sent to them and come back."""

    def __init__(self, document: str) -> None:
        self._document: dict[str, Any] = json.loads((_DOCUMENTS / document).read_text())
        self._schemas: dict[str, Any] = self._document["schemas"]
        self._methods: dict[tuple[str, int], list[Method]] = defaultdict(list)
        for method in self._found(self._document):
            parts = method.route.pattern.replace("[^/]", "").count("/")
            self._methods[method.http_method, parts].append(method)

    def method(self, http_method: str, path: str) -> tuple[Method, dict[str, str]] | None:
        """The method of a path and the values in it, None where there is no such route."""
        for method in self._methods[http_method, path.count("/")]:
            if found := method.route.fullmatch(path):
                return method, found.groupdict()
        return None

    def wrong_request(
        self, method: Method, path: Mapping[str, str], query: Sequence[tuple[str, str]], body: Any
    ) -> list[str]:
        """What the document does not allow of a request."""
        found: list[str] = []
        for name, value in path.items():
            _check_text(method.path_parameters.get(name, {}), value, name, found)
        known = {**self._document["parameters"], **method.query_parameters}
        for name, value in query:
            if name.startswith("$"):
                continue  # a system parameter, such as $alt=json;enum-encoding=int
            if name not in known:
                found.append(f"query: unknown parameter {name!r}")
            else:
                _check_query(known[name], value, f"query.{name}", found)
        if method.request is None:
            if body is not None:
                found.append("body: the method takes none")
        else:
            self._check({"$ref": method.request}, body, "body", found, is_request=True)
        return found

    def wrong_response(self, method: Method, body: Any) -> list[str]:
        """What the document does not allow of an answer."""
        found: list[str] = []
        if method.response is not None:
            self._check({"$ref": method.response}, body, "response", found, is_request=False)
        return found

    def _found(self, node: Mapping[str, Any]) -> Iterator[Method]:
        base = self._document["servicePath"]
        for value in node.get("methods", {}).values():
            parameters = value.get("parameters", {})
            path = value.get("flatPath", value["path"])
            yield Method(
                id=value["id"],
                http_method=value["httpMethod"],
                route=re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", f"/{base}{path}")),
                path_parameters={k: v for k, v in parameters.items() if v["location"] == "path"},
                query_parameters={k: v for k, v in parameters.items() if v["location"] == "query"},
                request=value.get("request", {}).get("$ref"),
                response=value.get("response", {}).get("$ref"),
            )
        for resource in node.get("resources", {}).values():
            yield from self._found(resource)

    def _check(
        self, schema: Mapping[str, Any], value: Any, at: str, found: list[str], *, is_request: bool
    ) -> None:
        schema = self._schemas[schema["$ref"]] if "$ref" in schema else schema
        match schema.get("type"):
            case "object" if isinstance(value, dict):
                self._check_fields(schema, value, at, found, is_request=is_request)
            case "array" if isinstance(value, list):
                for place, part in enumerate(value):
                    self._check(schema["items"], part, f"{at}[{place}]", found,
                                is_request=is_request)  # fmt: skip
            case "string" if isinstance(value, str):
                _check_text(schema, value, at, found)
            case "boolean" if isinstance(value, bool):
                pass
            case "integer" | "number" as kind:
                _check_number(schema, kind, value, at, found)
            case "object" | "array" | "string" | "boolean" as kind:
                found.append(f"{at}: {value!r} is no {kind}")

    def _check_fields(
        self, schema: Mapping[str, Any], value: Any, at: str, found: list[str], *, is_request: bool
    ) -> None:
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, part in value.items():
            inner = known.get(name, others)
            if inner is None:
                found.append(f"{at}: unknown field {name!r}")
                continue
            if is_request and _is_output(inner):
                found.append(f"{at}.{name}: is for output only")
            self._check(inner, part, f"{at}.{name}", found, is_request=is_request)


def _is_output(schema: Mapping[str, Any]) -> bool:
    said = schema.get("description", "").lstrip().lower()
    return bool(schema.get("readOnly")) or said.startswith(("[output only]", "output only."))


def _check_text(schema: Mapping[str, Any], value: str, at: str, found: list[str]) -> None:
    if "pattern" in schema and re.fullmatch(schema["pattern"], value) is None:
        found.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {', '.join(schema['enum'])}")
    try:
        match schema.get("format"):
            case "int64" | "uint64" as name:
                low, high = _RANGES[name]
                if not low <= int(value) <= high:
                    raise ValueError
            case "byte":
                base64.b64decode(value, validate=True)
            case "date-time" | "google-datetime":
                datetime.fromisoformat(value)
    except (ValueError, binascii.Error):
        found.append(f"{at}: {value!r} is no {schema['format']}")


def _check_number(
    schema: Mapping[str, Any], kind: str, value: Any, at: str, found: list[str]
) -> None:
    right = (int,) if kind == "integer" else (int, float)
    if isinstance(value, bool) or not isinstance(value, right):
        found.append(f"{at}: {value!r} is no {kind}")
        return
    low, high = _RANGES.get(schema.get("format", ""), (value, value))
    if not low <= value <= high:
        found.append(f"{at}: {value!r} is no {schema['format']}")


def _check_query(schema: Mapping[str, Any], value: str, at: str, found: list[str]) -> None:
    match schema.get("type"):
        case "boolean" if value not in ("true", "false"):
            found.append(f"{at}: {value!r} is no boolean")
        case "integer":
            number = int(value) if re.fullmatch(r"-?\d+", value) else None
            low = int(schema.get("minimum", number or 0))
            if number is None or number < low or number > int(schema.get("maximum", number)):
                found.append(f"{at}: {value!r} is no number that is allowed")
        case "string":
            _check_text(schema, value, at, found)
