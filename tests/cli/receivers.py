"""A webhook and a mail server that take what is sent to them, over real sockets, and refuse what
they were not told to expect."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.daemon_cluster import free_port

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


USER, PASSWORD = "costplan", "pa55-of-the-test"


@dataclass(slots=True)
class Mailbox:
    """A mail server's port, what it took, and the file of who signed its certificate."""

    port: int
    ca_file: Path
    taken: list[Message]


@contextmanager
def mail_server(folder: Path) -> Iterator[Mailbox]:
    """Takes mail on 127.0.0.1 from who starts TLS and knows the password, until the block ends."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "mail-ca.pem")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    taken: list[Message] = []

    class Taking(MessageHandler):
        def handle_message(self, message: Message) -> None:
            taken.append(message)

    def knows(*call: Any) -> AuthResult:
        data = call[-1]
        is_right = isinstance(data, LoginPassword) and data == LoginPassword(
            USER.encode(), PASSWORD.encode()
        )
        return AuthResult(success=is_right, handled=False)

    port = free_port()
    controller = Controller(
        Taking(), hostname="127.0.0.1", port=port, tls_context=served, require_starttls=True,
        auth_required=True, auth_require_tls=True, authenticator=knows,
    )  # fmt: skip
    controller.start()
    try:
        yield Mailbox(port=port, ca_file=folder / "mail-ca.pem", taken=taken)
    finally:
        controller.stop()
