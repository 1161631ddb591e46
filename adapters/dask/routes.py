"""The two routes on a scheduler's own HTTP server. Nothing is answered without the token."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from pydantic import ValidationError
from tornado.web import RequestHandler, stream_request_body

from costplan.adapters.dask.drains import Drains
from costplan.adapters.dask.endpoint_wire import (
    DRAIN_PATH,
    LOAD_PATH,
    MAX_DRAIN_BYTES,
    VERSION_HEADER,
    DrainBody,
)
from costplan.adapters.dask.load_sample import LoadSampler
from costplan.adapters.dask.session import act

DRAINS_PER_SECOND = 20.0
DRAINS_AT_ONCE = 60.0


class RateLimit:
    """A bucket of `burst` calls that fills at `per_second`."""

    def __init__(self, per_second: float, burst: float, now: Callable[[], float]) -> None:
        self._per_second, self._burst, self._now = per_second, burst, now
        self._left, self._at = burst, now()

    def admits(self) -> bool:
        """True where one more call is allowed, which it then counts."""
        now = self._now()
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class _Guarded(RequestHandler):
    """Asks for the token before anything else, the request's body included."""

    def initialize(self, token: bytes, **_: Any) -> None:
        self._token = token

    def prepare(self) -> None:
        shown = self.request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(shown, b"Bearer " + self._token):
            self.set_header("WWW-Authenticate", "Bearer")
            self.refuse(401, "a valid token is needed")
            return
        self.set_header(VERSION_HEADER, version("distributed"))

    def refuse(self, status: int, problem: str) -> None:
        """Ends the request with a status and one line."""
        self.set_status(status)
        self.finish({"error": problem})

    def write_error(self, status_code: int, **_: Any) -> None:
        self.finish({"error": self._reason if status_code != 500 else "internal error"})

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "application/json")
        self.clear_header("Server")


class LoadHandler(_Guarded):
    """`GET /costplan/v1/load`."""

    def initialize(self, token: bytes, sampler: LoadSampler) -> None:  # type: ignore[override]
        super().initialize(token)
        self._sampler = sampler

    def get(self) -> None:
        self.finish(self._sampler.sample())


@stream_request_body
class DrainHandler(_Guarded):
    """`POST /costplan/v1/drain`; the body is read only up to its limit."""

    def initialize(  # type: ignore[override]
        self, token: bytes, drains: Drains, limit: RateLimit
    ) -> None:
        super().initialize(token)
        self._drains, self._limit = drains, limit
        self._body = bytearray()

    def prepare(self) -> None:
        super().prepare()
        if self._finished:
            return
        length = self.request.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) > MAX_DRAIN_BYTES:
            self.refuse(413, f"a request has at most {MAX_DRAIN_BYTES} bytes")

    def data_received(self, chunk: bytes) -> None:
        if self._finished:
            return
        self._body += chunk
        if len(self._body) > MAX_DRAIN_BYTES:
            self._body.clear()
            self.refuse(413, f"a request has at most {MAX_DRAIN_BYTES} bytes")

    def post(self) -> None:
        if self._finished:
            return
        try:
            body = DrainBody.model_validate_json(bytes(self._body))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            self.refuse(400, f"{place}: {first['msg']}"[:300])
            return
        if body.action != "status" and not self._limit.admits():
            self.set_header("Retry-After", "1")
            self.refuse(429, "too many drains at once")
            return
        self.finish(json.dumps(act(self._drains, body)))


def handlers(
    token: str, sampler: LoadSampler, drains: Drains, now: Callable[[], float]
) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """What Tornado takes as routes."""
    secret = token.encode()
    limit = RateLimit(DRAINS_PER_SECOND, DRAINS_AT_ONCE, now)
    return [
        (LOAD_PATH, LoadHandler, {"token": secret, "sampler": sampler}),
        (DRAIN_PATH, DrainHandler, {"token": secret, "drains": drains, "limit": limit}),
    ]
