"""Handlers that ask for the token before anything else, the request's body included."""

from __future__ import annotations

import hmac
from importlib.metadata import version
from typing import Any

from pydantic import ValidationError
from tornado.web import RequestHandler

from costplan.adapters.dask.endpoint_wire import VERSION_HEADER


class Guarded(RequestHandler):
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

    def refuse_field(self, error: ValidationError) -> None:
        """Ends the request for the first field that is wrong."""
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        self.refuse(400, f"{place}: {first['msg']}"[:300])

    def write_error(self, status_code: int, **_: Any) -> None:
        self.finish({"error": self._reason if status_code != 500 else "internal error"})

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Type", "application/json")
        self.clear_header("Server")


class GuardedBody(Guarded):
    """One with a body, for `stream_request_body`: it is read only up to `most_bytes`."""

    most_bytes = 0

    def initialize(self, token: bytes, **_: Any) -> None:
        super().initialize(token)
        self.body = bytearray()

    def prepare(self) -> None:
        super().prepare()
        if self._finished:
            return
        length = self.request.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) > self.most_bytes:
            self.refuse(413, f"a request has at most {self.most_bytes} bytes")

    def data_received(self, chunk: bytes) -> None:
        if self._finished:
            return
        self.body += chunk
        if len(self.body) > self.most_bytes:
            self.body.clear()
            self.refuse(413, f"a request has at most {self.most_bytes} bytes")
