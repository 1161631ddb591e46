"""The rig as a server on 127.0.0.1, in a thread of its own, with a record of every call.

A test that ends with `violations` or `unimplemented` not empty has found a call, or an answer of
the rig, that the cloud's own document does not allow, or a method that the rig does not have.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.emulators.gcp.billing import catalogue, list_skus
from tests.emulators.gcp.compute import Call, Compute, Refused
from tests.emulators.gcp.discovery import Api, Method
from tests.emulators.gcp.faults import Fault, Faults, error_body
from tests.emulators.gcp.machines import Project

_STEP_SECONDS = 0.005
_MOST_WAITED_SECONDS = 120.0


DOCUMENTS = ("compute.v1.json", "cloudbilling.v1.json", "cloudresourcemanager.v1.json")


@cache
def apis() -> tuple[Api, ...]:
    """The documents, read once."""
    return tuple(Api(name) for name in DOCUMENTS)


def _real_time() -> datetime:
    return datetime.now(UTC)


class GcpRig:
    """One project of a fake Google Cloud. All of its state is under one lock."""

    def __init__(
        self, project: str = "our-project", clock: Callable[[], datetime] = _real_time
    ) -> None:
        self.project = Project(project, clock)
        self.compute = Compute(self.project)
        self.faults = Faults()
        self.skus = catalogue()
        self.largest_page = 500
        self.lock = threading.RLock()
        self.calls: Counter[str] = Counter()
        self.violations: list[str] = []
        self.unimplemented: list[str] = []
        self.tokens_accepted: set[str] | None = None
        """Bearer tokens that are let in; None lets everybody in."""
        self.denied: set[str] = set()
        """Permissions that the caller does not have."""
        self.endpoint = ""
        apis()  # here, and not while the first caller waits

    def check(self) -> None:
        """Raises AssertionError where anything was sent or answered that is not allowed."""
        assert self.violations == []
        assert self.unimplemented == []

    async def answer(self, request: Request) -> Response:
        """One call."""
        raw = await request.body()
        found = next(
            (hit for api in apis() if (hit := api.method(request.method, request.url.path))), None
        )
        if found is None:
            self.unimplemented.append(f"{request.method} {request.url.path}")
            return JSONResponse(error_body(404, "notFound", "no such route"), 404)
        method, path = found
        self.calls[method.id] += 1
        text = f"{request.url.path}?{request.url.query} {raw.decode()}"
        fault = self.faults.take(method.id, text)
        if fault is not None and fault.latency_seconds:
            await asyncio.sleep(fault.latency_seconds)
        if fault is not None and fault.status and not fault.does_it:
            return _refused(fault)
        if method.id == "compute.zoneOperations.wait":
            await self._wait(request, path)
        with self.lock:
            status, body = self._done(request, method, path, raw)
        if fault is not None and fault.then is not None:
            fault.then()
        if fault is not None and fault.is_lost:
            return _cut_off()
        if fault is not None and fault.status:
            return _refused(fault)
        return JSONResponse(body, status)

    async def _wait(self, request: Request, path: dict[str, str]) -> None:
        """The server's own wait for an operation; a caller who hangs up ends it."""
        for _ in range(int(_MOST_WAITED_SECONDS / _STEP_SECONDS)):
            with self.lock:
                if self.compute.is_over(path["zone"], path["operation"]):
                    return
            if await request.is_disconnected():
                return
            await asyncio.sleep(_STEP_SECONDS)

    def _done(
        self, request: Request, method: Method, path: dict[str, str], raw: bytes
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of a call that is carried out."""
        api = next(api for api in apis() if api.method(request.method, request.url.path))
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens_accepted is not None and bearer not in self.tokens_accepted:
            return 401, error_body(401, "authError", "Invalid Credentials")
        body = json.loads(raw) if raw else None
        query = request.query_params.multi_items()
        wrong = api.wrong_request(method, path, query, body)
        if wrong:
            self.violations += [f"{method.id}: {one}" for one in wrong]
            return 400, error_body(400, "badRequest", "; ".join(wrong))
        self.project.advance()
        asked = {name: value for name, value in query if not name.startswith("$")}
        if "compute" in method.id:
            most = min(int(asked.get("maxResults", 500)), self.largest_page)
            asked["maxResults"] = str(most)
        try:
            answer = self._carried_out(method, path, asked, body)
        except Refused as error:
            return error.status, error_body(error.status, error.reason, str(error))
        if answer is None:
            self.unimplemented.append(method.id)
            return 501, error_body(501, "notImplemented", method.id)
        self.violations += [
            f"{method.id} answers {one}" for one in api.wrong_response(method, answer)
        ]
        return 200, answer

    def _carried_out(
        self, method: Method, path: dict[str, str], query: dict[str, str], body: Any
    ) -> dict[str, Any] | None:
        if method.id == "cloudbilling.services.skus.list":
            return list_skus(self.skus, path, query)
        if method.id == "cloudresourcemanager.projects.testIamPermissions":
            asked = body["permissions"]
            return {"permissions": [one for one in asked if one not in self.denied]}
        if path.get("project", self.project.name) != self.project.name:
            raise Refused(403, "forbidden", f"Required permission for {path['project']!r}")
        does = self.compute.methods.get(method.id)
        return None if does is None else does(Call(path, query, body))


def _refused(fault: Fault) -> Response:
    headers = {"Retry-After": "7"} if fault.status == 429 else {}
    body = error_body(fault.status, fault.reason, f"told to answer {fault.reason}")
    return JSONResponse(body, fault.status, headers)


def _cut_off() -> Response:
    """An answer that breaks off: more was promised than comes."""

    async def nothing() -> AsyncIterator[bytes]:
        yield b"{"

    return StreamingResponse(nothing(), headers={"content-length": "1000"})


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to the tests."""
        yield


@contextmanager
def serving(rig: GcpRig) -> Iterator[GcpRig]:
    """The rig on a free port of 127.0.0.1 while the block runs."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    rig.endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
    methods = ["GET", "POST", "DELETE", "PATCH", "PUT"]
    app = Starlette(routes=[Route("/{path:path}", rig.answer, methods=methods)])
    config = uvicorn.Config(
        app,
        log_level="critical",
        lifespan="off",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,  # a caller that is slow must not find its connection closed
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield rig
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive(), "the rig does not end"
