"""The rig's HTTP server: moto's, with what moto does not do or does wrong in front of it.

It keeps every call that was made, and everything that it could not answer as AWS would; a test
that leaves something in `broken` fails.
"""

from __future__ import annotations

import io
import socket
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import run_wsgi_app

from tests.emulators.aws.cloud import AwsCloud, Fault
from tests.emulators.aws.operations import OPERATIONS, Raw
from tests.emulators.aws.wire import (
    AwsRefusal,
    Request,
    answer,
    parameters,
    refusal,
    request_of,
)

PRODUCT_KEY = "AKIAPRODUCT"
"""The access key that the code under test signs with."""

SETUP_KEY = "AKIASETUP"
"""The access key of tests that prepare the account."""

_MOTO = frozenset({
    ("ec2", "CreateLaunchTemplate"),
    ("ec2", "CreateTags"),
    ("ec2", "DeleteLaunchTemplate"),
    ("ec2", "DescribeAvailabilityZones"),
    ("ec2", "DescribeInstanceAttribute"),
    ("ec2", "DescribeLaunchTemplates"),
    ("ec2", "DescribeSecurityGroups"),
    ("ec2", "DescribeSubnets"),
    ("ec2", "DescribeVolumes"),
    ("events", "PutRule"),
    ("events", "PutTargets"),
    ("sqs", "CreateQueue"),
    ("sqs", "DeleteMessageBatch"),
    ("sqs", "GetQueueAttributes"),
    ("sqs", "ReceiveMessage"),
    ("sqs", "SendMessage"),
    ("sts", "GetCallerIdentity"),
})  # fmt: skip
"""What moto answers as AWS does, as far as it was looked at. Any other call is unexpected."""

_AUTH_FAILURES = {
    "ec2": ("AuthFailure", 401),
    "sqs": ("InvalidClientTokenId", 403),
    "sts": ("InvalidClientTokenId", 403),
}
_Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that was made: by whom, of what, when."""

    access_key: str
    service: str
    operation: str
    at: datetime


class _Cut(Exception):
    """The answer is lost on its way."""


class Rig:
    """A cloud behind an address."""

    def __init__(self) -> None:
        self.cloud = AwsCloud()
        self.calls: list[Call] = []
        self.broken: list[str] = []
        self.url = ""
        self._busy = 0
        self._idle = threading.Condition()

    def wait_until_idle(self) -> None:
        """Returns when no call is being answered: one that nobody waits for any more would
        reach into the next test's account."""
        with self._idle:
            assert self._idle.wait_for(lambda: self._busy == 0, timeout=30)

    def made(self, access_key: str = PRODUCT_KEY) -> Counter[str]:
        """How often the code under test called what: 'ec2:RunInstances' and so on."""
        return Counter(
            f"{call.service}:{call.operation}"
            for call in list(self.calls)
            if call.access_key == access_key
        )

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application."""
        with self._idle:
            self._busy += 1
        try:
            return self._respond(environ, start_response)
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def _respond(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        headers = Headers(EnvironHeaders(environ))
        request = request_of(environ["REQUEST_METHOD"], environ["PATH_INFO"], headers, body)
        try:
            status, answered, text = self._answer(request, environ)
        except _Cut:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError("the answer was lost on purpose") from None
        except Exception as error:
            self.broken.append(f"{request.operation}: {traceback.format_exception(error)[-3:]}")
            raise
        fields = {**answered, "Content-Length": str(len(text))}
        start_response(f"{status} -", list(fields.items()))
        return [text]

    def _answer(self, request: Request, environ: dict[str, Any]) -> _Answer:
        called = Call(
            access_key=request.access_key,
            service=request.service,
            operation=request.operation,
            at=self.cloud.clock(),
        )
        self.calls.append(called)
        name = f"{request.service}:{request.operation}"
        known = (request.service, request.operation)
        if known not in OPERATIONS and known not in _MOTO:
            self.broken.append(f"unexpected call {name} {request.method} {request.path}")
            return 501, {}, b"the rig does not know this call"
        refused = self._unwelcome(request)
        if refused is not None:
            return refused
        values = parameters(request)
        fault = self._fault(request.operation, values)
        if fault is not None and fault.latency_seconds:
            time.sleep(fault.latency_seconds)
        if fault is not None and fault.code:
            return refusal(request, fault.code, "injected", fault.status)
        with self.cloud.lock:
            found = self._carried_out(request, environ, values, name)
        if fault is not None and fault.then is not None:
            fault.then()
        if fault is not None and fault.is_lost:
            raise _Cut
        return found

    def _unwelcome(self, request: Request) -> _Answer | None:
        cloud = self.cloud
        if cloud.access_keys is not None and request.access_key not in cloud.access_keys:
            code, status = _AUTH_FAILURES.get(request.service, ("UnrecognizedClientException", 403))
            return refusal(request, code, "the credentials are not valid", status)
        bucket = cloud.buckets.get(request.operation)
        with cloud.lock:
            if bucket is not None and not bucket.takes(cloud.clock()):
                return refusal(request, "RequestLimitExceeded", "Request limit exceeded.", 503)
        return None

    def _fault(self, operation: str, values: dict[str, Any]) -> Fault | None:
        with self.cloud.lock:
            for fault in self.cloud.faults:
                if fault.operation != operation or fault.times <= 0:
                    continue
                if fault.fits is not None and not fault.fits(values):
                    continue
                if fault.passes > 0:
                    fault.passes -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def _carried_out(
        self, request: Request, environ: dict[str, Any], values: dict[str, Any], name: str
    ) -> _Answer:
        self.cloud.advance()
        operation = OPERATIONS.get((request.service, request.operation))
        try:
            self._check_allowed(request, values)
            if operation is not None:
                forward = _Forward(self, request, environ)
                result = operation(self.cloud, values, forward)
                if isinstance(result, Raw):
                    return 200, {"Content-Type": "text/xml"}, bytes(result)
                return answer(request, result)
            found = self.forward(request.body, environ)
        except AwsRefusal as error:
            return refusal(request, error.code, error.message, error.status)
        except Exception as error:  # the rig's own fault, which no test may pass over
            self.broken.append(f"{name} raised {traceback.format_exception(error)[-3:]}")
            return 599, {}, b"the rig is broken"
        if found[0] >= 500:
            self.broken.append(f"{name} was answered with {found[0]}")
        return found

    def _check_allowed(self, request: Request, values: dict[str, Any]) -> None:
        if request.operation in self.cloud.denied:
            code = "UnauthorizedOperation" if request.service == "ec2" else "AccessDeniedException"
            raise AwsRefusal(code, f"not authorized to perform: {request.operation}", 403)
        if values.get("DryRun"):
            message = "Request would have succeeded, but DryRun flag is set."
            raise AwsRefusal("DryRunOperation", message, 412)

    def forward(self, body: bytes, environ: dict[str, Any]) -> _Answer:
        """moto's answer to a request with this body."""
        inner = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        parts, status, headers = run_wsgi_app(_moto(), inner, buffered=True)
        code = int(status.split()[0])
        kept = {k: v for k, v in headers.items() if k.lower() in ("content-type",)}
        return code, kept, b"".join(parts)


class _Forward:
    """Sends what an operation of the rig does not do itself on to moto."""

    def __init__(self, rig: Rig, request: Request, environ: dict[str, Any]) -> None:
        self._rig, self._request, self._environ = rig, request, environ

    def __call__(self, body: bytes | None = None) -> bytes:
        """moto's answer; raises the refusal that moto has for it."""
        status, _, text = self._rig.forward(
            self._request.body if body is None else body, self._environ
        )
        if status >= 500:
            raise AssertionError(f"moto answered {status}: {text[:300]!r}")
        if status >= 400:
            raise _refusal_in(status, text)
        return text

    @property
    def body(self) -> bytes:
        """The request's own body."""
        return self._request.body


def _refusal_in(status: int, text: bytes) -> AwsRefusal:
    def between(tag: str) -> str:
        return text.decode().partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]

    return AwsRefusal(between("Code"), between("Message"), status)


@cache
def _moto() -> DomainDispatcherApplication:
    return DomainDispatcherApplication(create_backend_app)


class _Quiet(WSGIRequestHandler):
    """Says nothing of requests."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def serving() -> Iterator[Rig]:
    """A rig, served on this computer."""
    rig = Rig()
    server = make_server("127.0.0.1", 0, rig, threaded=True, request_handler=_Quiet)
    rig.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield rig
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def fresh(rig: Rig) -> Iterator[Rig]:
    """The rig with an empty account; fails at the end where it could not answer a call as AWS
    would."""
    rig.wait_until_idle()
    for service in ("ec2", "events", "sqs", "sts"):
        get_backend(service)[DEFAULT_ACCOUNT_ID].reset()
    rig.cloud, rig.calls, rig.broken = AwsCloud(), [], []
    yield rig
    rig.wait_until_idle()
    assert rig.broken == [], "the rig was asked for what it does not know"
