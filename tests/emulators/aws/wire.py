"""AWS's wire formats: which operation a request asks for, its parameters, and answers to it.

Uses moto's parsers and serializers, which botocore's own service models drive, so that every
operation that botocore knows can be answered by a function from dict to dict.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from botocore.session import get_session
from botocore.utils import parse_to_aware_datetime
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

_NAMES = {"servicequotas": "service-quotas"}
"""Services that botocore calls otherwise than their requests are signed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came in, and what it asks for."""

    method: str
    path: str
    headers: Headers
    body: bytes
    service: str
    operation: str
    access_key: str
    region: str


def request_of(method: str, path: str, headers: Headers, body: bytes) -> Request:
    """What a signed request asks for; an unsigned or unknown one has no operation."""
    access_key, region, service = _scope(headers.get("Authorization", ""))
    service = _NAMES.get(service, service)
    return Request(
        method=method,
        path=path,
        headers=headers,
        body=body,
        service=service,
        operation=_operation(service, path, headers, body),
        access_key=access_key,
        region=region,
    )


def _scope(authorization: str) -> tuple[str, str, str]:
    """Access key, region and service of 'AWS4-HMAC-SHA256 Credential=KEY/day/region/service/…'."""
    _, _, rest = authorization.partition("Credential=")
    parts = rest.partition(",")[0].split("/")
    return (parts[0], parts[2], parts[3]) if len(parts) == 5 else ("", "", "")


def _operation(service: str, path: str, headers: Headers, body: bytes) -> str:
    target = headers.get("X-Amz-Target", "")
    if target:
        return str(target.rpartition(".")[2])
    form = dict(parse_qsl(body.decode("utf-8", "replace")))
    if "Action" in form:
        return form["Action"]
    return _by_path(service).get(path, "") if service else ""


@cache
def _by_path(service: str) -> dict[str, str]:
    model = get_session().get_service_model(service)
    found = {}
    for name in model.operation_names:
        uri = model.operation_model(name).http.get("requestUri", "/")
        if uri != "/":
            found[uri.partition("?")[0]] = name
    return found


def _protocol(request: Request) -> str:
    return str(get_service_model(request.service).protocol)


def parameters(request: Request) -> dict[str, Any]:
    """The parameters of a request, named as in botocore's models."""
    operation = get_service_model(request.service).operation_model(request.operation)
    values = MultiDict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    parsed = PROTOCOL_PARSERS[_protocol(request)](operation, timestamp_parser=_instant).parse(
        {
            "body": request.body,
            "headers": request.headers,
            "method": request.method,
            "url_params": {},
            "url_path": request.path,
            "values": values,
        }
    )
    return dict(parsed or {})


def _instant(text: str) -> datetime:
    found: datetime = parse_to_aware_datetime(text)
    return found.astimezone(UTC)


def answer(request: Request, result: Any) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a result: a dict, one of moto's objects, or an error."""
    model = get_service_model(request.service)
    operation = model.operation_model(request.operation)
    serializer = get_serializer_class(request.service, _protocol(request))(
        operation_model=operation, value_picker=XFormedAttributePicker()
    )
    serialized = serializer.serialize(result)
    body = serialized["body"]
    return (
        int(serialized["status_code"]),
        {name: str(value) for name, value in serialized["headers"].items()},
        body if isinstance(body, bytes) else body.encode(),
    )


def refusal(
    request: Request, code: str, message: str, status: int
) -> tuple[int, dict[str, str], bytes]:
    """An error as the service of a request would say it, with any HTTP status."""
    if request.service == "ec2":
        # moto's error answer leaves the status to the error's model; EC2 has no such models.
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            f"<Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            "<RequestID>rig</RequestID></Response>"
        )
        return status, {"Content-Type": "text/xml"}, text.encode()
    if request.service == "sts":
        text = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
            f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>rig</RequestId></ErrorResponse>"
        )
        return status, {"Content-Type": "text/xml"}, text.encode()
    if _protocol(request) in ("json", "rest-json"):
        body = json.dumps({"__type": code, "message": message}).encode()
        return status, {"Content-Type": "application/x-amz-json-1.1"}, body
    raise AssertionError(f"no form of errors for {request.service}")


class AwsRefusal(Exception):
    """What an operation of the rig raises to be answered with an error."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")


__all__ = [
    "AwsRefusal",
    "Request",
    "answer",
    "parameters",
    "refusal",
    "request_of",
]
