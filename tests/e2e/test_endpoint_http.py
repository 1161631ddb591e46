"""The preload in a scheduler of its own, over HTTP and HTTPS, asked rightly and wrongly."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from costplan.adapters.dask.endpoint import DaskEndpoint
from costplan.adapters.dask.routes import RateLimit
from costplan.planner.errors import ClusterUnreachable, InputError
from tests.daemon_cluster import free_port
from tests.e2e.dask_cluster import DEADLINE_SECONDS, TOKEN, cluster, run

PRELOAD = ("--preload", "costplan.adapters.dask.preload")


@contextmanager
def scheduler(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[int, Path]]:
    """HTTP port and log of a scheduler in a process of its own that is up."""
    port, log = free_port(), folder / "scheduler.log"
    command = [
        sys.executable, "-m", "distributed.cli.dask_scheduler",
        "--host", "127.0.0.1", "--port", "0",
        "--no-dashboard", "--dashboard-address", f"127.0.0.1:{port}",
        "--scheduler-file", str(folder / "scheduler.json"), *arguments,
    ]  # fmt: skip
    with (
        log.open("wb") as written,
        subprocess.Popen(
            command, stdout=written, stderr=written, env={**os.environ, **environment}
        ) as process,
    ):
        try:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while "Scheduler at:" not in log.read_text() or not _listens(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                threading.Event().wait(0.05)
            yield port, log
        finally:
            process.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def token_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(mode)
    return path


def when_up(endpoint: DaskEndpoint) -> Any:
    """The first load; a preload is run after the port is open."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return endpoint.load()
        except ClusterUnreachable as error:
            if "no costplan endpoint" not in str(error) or time.monotonic() > deadline:
                raise
            threading.Event().wait(0.05)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_a_scheduler_with_the_preload_answers_over_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=costplan", "-addext", "subjectAltName=IP:127.0.0.1"]
    made += ["-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True)
    secure = {
        "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__TLS__CERT": str(cert),
        "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__TLS__KEY": str(key),
    }
    arguments = (*PRELOAD, "--costplan-token-file", str(token_file(tmp_path)))
    with scheduler(tmp_path, *arguments, **secure) as (port, log):
        url = f"https://127.0.0.1:{port}"
        with DaskEndpoint(url, TOKEN, ca_file=cert) as endpoint:
            load = when_up(endpoint)
            assert (load.groups, load.clients) == ((), 0)
            assert endpoint.retire(["nobody"], "drain-1").pending == ()
        with (
            DaskEndpoint(url, TOKEN) as trusting_nobody,
            pytest.raises(ClusterUnreachable, match=r"not believed: .*as ca_file") as refused,
        ):
            trusting_nobody.load()
        assert TOKEN not in str(refused.value)
        with (
            DaskEndpoint(f"http://127.0.0.1:{port}", TOKEN) as in_the_clear,
            pytest.raises(ClusterUnreachable, match=r"no answer in HTTP: .*write https://"),
        ):
            in_the_clear.load()
        assert TOKEN not in log.read_text()


def test_without_a_good_token_there_are_no_routes_and_a_clear_line(tmp_path: Path) -> None:
    arguments = (*PRELOAD, "--costplan-token-file", str(token_file(tmp_path, 0o644)))
    with scheduler(tmp_path, *arguments) as (port, log):
        with (
            DaskEndpoint(f"http://127.0.0.1:{port}", TOKEN) as endpoint,
            pytest.raises(ClusterUnreachable, match=r"no costplan endpoint.*--preload"),
        ):
            endpoint.load()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while "no routes" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            threading.Event().wait(0.05)
        assert "chmod 600" in log.read_text()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            assert "costplan_scheduler_tasks" in client.get("/metrics").text


def test_what_is_asked_wrongly_is_refused() -> None:
    async def test() -> None:
        async with cluster(a={}) as at, httpx.AsyncClient(base_url=at.endpoint.url) as client:
            drain, right = "/costplan/v1/drain", {"Authorization": f"Bearer {TOKEN}"}
            body = {"version": 1, "action": "status", "workers": ["a"]}

            async def status(method: str, path: str, **rest: Any) -> int:
                return (await client.request(method, path, **rest)).status_code

            assert await status("GET", "/costplan/v1/load", headers=right) == 200
            for wrong in ("", TOKEN, f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ü"):
                headers = {"Authorization": wrong.encode()}
                assert await status("GET", "/costplan/v1/load", headers=headers) == 401
                assert await status("POST", drain, headers=headers, json=body) == 401
            assert await status("GET", "/costplan/v2/load", headers=right) == 404
            assert await status("GET", drain, headers=right) == 405
            assert await status("POST", drain, headers=right, json=body) == 200
            for bad in (
                {}, [], {**body, "version": 2}, {**body, "action": "explode"},
                {**body, "workers": "a"}, {**body, "workers": ["\n"]}, {**body, "more": 1},
                {**body, "force": "yes"}, {**body, "workers": ["x" * 300]},
            ):  # fmt: skip
                assert await status("POST", drain, headers=right, json=bad) == 400, bad
            assert await status("POST", drain, headers=right, content=b"\xff\x00{") == 400
            large = json.dumps({**body, "workers": ["x" * 100] * 20_000}).encode()
            assert await status("POST", drain, headers=right, content=large) == 413

            async def chunks() -> Any:
                for _ in range(30):
                    yield b"x" * 2**16

            with suppress(httpx.TransportError):  # to be cut off while sending is as good
                assert await status("POST", drain, headers=right, content=chunks()) == 413
            assert (await at.load()).workers["a"].status == "running"

    run(test())


class _Scripted(http.server.BaseHTTPRequestHandler):
    """Answers what the test says, or closes the connection where the status is 0."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    def do_GET(self) -> None:
        status, headers, body = self.answer
        if not status:
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def scripted() -> Iterator[tuple[str, type[_Scripted]]]:
    class Handler(_Scripted):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", Handler
        server.shutdown()
        thread.join()


def an_answer(at: datetime, sample: int = 1) -> bytes:
    """A right answer of an empty cluster."""
    columns = ("prefix", "need", "queued", "running", "waiting", "unrunnable", "pinned",
               "mean_seconds", "observed", "variance", "longest_seconds", "overdue",
               "overdue_seconds")  # fmt: skip
    of_workers = ("name", "threads", "memory", "joined_ms", "idle_ms")
    gone = ("name", "at_ms", "expected", "lost_keys", "restarted")
    totals = ("finished", "erred", "recomputed", "restarted", "recomputed_ms", "busy_ms")
    body = {
        "version": 1, "scheduler_id": "s", "sample": sample, "at_ms": int(at.timestamp() * 1000),
        "unread_tasks": 0, "clients": 0, "clients_gone_ms": None,
        "groups": {name: [] for name in columns}, "workers": {name: [] for name in of_workers},
        "departed": {name: [] for name in gone}, "totals": dict.fromkeys(totals, 0),
    }  # fmt: skip
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((302, {"Location": "http://elsewhere/"}, b""), "redirects .* not followed"),
        ((500, {}, b"Traceback: secrets"), "HTTP 500"),
        ((401, {}, b""), "does not accept our token"),
        ((200, {}, b"<html>"), "is not one"),
        ((200, {}, b"{}"), "is not one"),
        ((200, {}, b"x" * (17 * 2**20)), "is larger than"),
        ((200, {}, an_answer(datetime.now(UTC) - timedelta(hours=3))), "s behind ours"),
        ((200, {}, an_answer(datetime.now(UTC) + timedelta(days=3))), "s ahead of ours"),
    ],
    ids=["redirect", "error", "token", "html", "empty", "large", "behind", "ahead"],
)
def test_an_answer_that_is_none_says_why(
    scripted: tuple[str, type[_Scripted]], answer: tuple[int, dict[str, str], bytes], message: str
) -> None:
    url, handler = scripted
    handler.answer = answer
    with (
        DaskEndpoint(url, TOKEN) as endpoint,
        pytest.raises(ClusterUnreachable, match=message) as told,
    ):
        endpoint.load()
    assert TOKEN not in str(told.value)
    assert "secrets" not in str(told.value)


def test_no_tls_where_it_is_asked_for(scripted: tuple[str, type[_Scripted]]) -> None:
    url, _ = scripted
    with (
        DaskEndpoint(url.replace("http:", "https:"), TOKEN) as endpoint,
        pytest.raises(ClusterUnreachable, match=r"no TLS there: .*write http://"),
    ):
        endpoint.load()


def test_who_has_answered_before_is_not_suspected_of_tls(
    scripted: tuple[str, type[_Scripted]],
) -> None:
    url, handler = scripted
    with DaskEndpoint(url, TOKEN) as endpoint:
        handler.answer = (0, {}, b"")
        with pytest.raises(ClusterUnreachable, match="write https://"):
            endpoint.load()
        handler.answer = (200, {}, an_answer(datetime.now(UTC)))
        endpoint.load()
        handler.answer = (0, {}, b"")
        with pytest.raises(ClusterUnreachable, match="RemoteProtocolError: ") as told:
            endpoint.load()
    assert "https" not in str(told.value)


def test_an_answer_is_taken_once(scripted: tuple[str, type[_Scripted]]) -> None:
    url, handler = scripted
    handler.answer = (200, {}, an_answer(datetime.now(UTC)))
    with DaskEndpoint(url, TOKEN) as endpoint:
        assert endpoint.load().workers == {}
        with pytest.raises(ClusterUnreachable, match="old one"):
            endpoint.load()


def test_nobody_there_and_nobody_answering() -> None:
    with (
        DaskEndpoint(f"http://127.0.0.1:{free_port()}", TOKEN) as endpoint,
        pytest.raises(ClusterUnreachable, match="ConnectError"),
    ):
        endpoint.load()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            DaskEndpoint(url, TOKEN, timeout_seconds=0.3) as endpoint,
            pytest.raises(ClusterUnreachable, match=r"no answer in 0\.3 s"),
        ):
            endpoint.cordon(["a"], "drain-1")


@pytest.mark.parametrize(
    "url",
    [
        "tcp://10.0.0.1:8786",
        "10.0.0.1:8787",
        "http://",
        "http://u:p@h",
        "http://h/x",
        "http://h?q=1",
        "",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InputError) as told:
        DaskEndpoint(url, TOKEN)
    assert "u:p" not in str(told.value)


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", token_file(tmp_path)):
        with pytest.raises(InputError, match="CA cannot be read"):
            DaskEndpoint("https://127.0.0.1", TOKEN, ca_file=path)


def test_a_rate_limit_admits_a_burst_and_then_so_many_a_second() -> None:
    now = [1000.0]
    limit = RateLimit(2.0, 5.0, lambda: now[0])
    assert [limit.admits() for _ in range(7)] == [True] * 5 + [False] * 2
    now[0] += 1.0
    assert [limit.admits() for _ in range(3)] == [True, True, False]
    now[0] -= 500.0  # a clock that is set back gives nothing, and takes nothing
    assert not limit.admits()
    now[0] += 3600.0
    assert [limit.admits() for _ in range(6)] == [True] * 5 + [False]
