"""A page of a proxy, or half a document, in the place of a cloud's answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from costplan.adapters.azure.clients import Clients as AzureClients
from costplan.adapters.azure.prices import AzurePrices
from costplan.adapters.gcp.clients import Clients, anonymous
from costplan.adapters.gcp.provider import GcpProvider
from costplan.planner.errors import OutcomeUnknown, Unreachable
from tests.emulators.azure import world as azure
from tests.emulators.gcp.world import SETTINGS, request, startup

NOW = datetime(2026, 5, 15, tzinfo=UTC)
PAGES = (("text/html", b"<html>Sorry</html>"), ("application/json", b'{"items": '))


@pytest.fixture(params=PAGES, ids=("page", "half"))
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where everything is answered with the same page, and 200."""
    kind, page = request.param

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_POST = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_google_has_not_answered(address: str) -> None:
    clients = Clients(timeout_seconds=30, credentials=anonymous(), endpoint=address)
    provider = GcpProvider(clients, SETTINGS, "ours", startup, lambda: NOW)
    for read in (provider.offers, provider.nodes, provider.notices):
        with pytest.raises(Unreachable, match="JSON"):
            read()
    with pytest.raises(Unreachable):  # it looks for its token first, and does not get to insert
        provider.launch(request())


def test_what_was_sent_to_google_may_have_been_done(address: str) -> None:
    from costplan.adapters.gcp.errors import calling

    clients = Clients(timeout_seconds=30, credentials=anonymous(), endpoint=address)
    asked = clients.compute.DeleteInstanceRequest(project="p", zone="z", instance="i")
    with pytest.raises(OutcomeUnknown), calling("terminate", "i", token="t"):  # noqa: S106
        clients.call(clients.instances.delete_unary, asked)


def test_azure_has_no_prices(address: str) -> None:
    settings = replace(azure.SETTINGS, prices_endpoint=address)
    prices = AzurePrices(AzureClients(settings), settings, lambda: NOW, dict)
    with pytest.raises(Unreachable):
        prices.quotes([azure.key()])
