"""A webhook and a mail server that take what is sent to them, over real sockets, and refuse what
they were not told to expect."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET_PATH = "/services/T0SECRET/B0SECRET/abcSECRETxyz"  # noqa: S105 - of a test


@dataclass(slots=True)
class Webhook:
    """What was posted; `answers` are given in turn, the last again and again."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])
    taken: list[tuple[str, str]] = field(default_factory=list)
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Listens until the block ends, and raises AssertionError then where something came that no
    webhook takes."""
    seen = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = seen.answers[0]
            if len(seen.answers) > 1:
                seen.answers.pop(0)
            if (problem := _problem(self, body)) is not None:
                seen.wrong.append(problem)
                status = 400
            elif status < 300:
                seen.taken.append((self.headers["Idempotency-Key"], json.loads(body)["text"]))
            else:
                seen.refused += 1
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        seen.url = f"http://127.0.0.1:{server.server_port}{SECRET_PATH}"
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()
    assert not seen.wrong, seen.wrong


def _problem(request: BaseHTTPRequestHandler, body: bytes) -> str | None:
    if request.path != SECRET_PATH:
        return f"posted to {request.path}"
    if request.headers["Content-Type"] != "application/json":
        return f"of type {request.headers['Content-Type']}"
    if not request.headers["Idempotency-Key"]:
        return "without a key"
    document = json.loads(body)
    return None if set(document) == {"text"} and document["text"] else f"was {document}"
