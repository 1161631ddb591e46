"""`costplan recommend --ray` and a drain, with a real Ray cluster of this computer."""

from __future__ import annotations

import os
import secrets
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.ray.source import RaySource
from costplan.cli.main import app
from costplan.planner.errors import InputError
from costplan.planner.load_source import Sample, Strategy
from tests.e2e.test_sample_live import wait_until

LIVE = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'costplan[ray]'"
)


@dataclass(frozen=True)
class Running:
    """A cluster and its token."""

    source: RaySource
    token_file: Path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Running]:
    """A cluster that wants a token; its folder has a short name, as paths of sockets are short."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    script = str(Path(__file__).with_name("ray_cluster.py"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [sys.executable, script, str(folder)]
    try:
        with subprocess.Popen(command, env=environment, text=True, **pipes) as started:
            assert started.stdout is not None
            address = started.stdout.readline().strip()
            assert address, "Ray did not start"
            yield Running(RaySource(address=address, token_file=token), token)
            started.communicate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seen(cluster: Running) -> Sample:
    """A look, once all demands have come to be known and both CPUs are in use."""
    looks: list[Sample] = []

    def is_whole() -> bool:
        looks.append(cluster.source.sample())
        last = looks[-1]
        waiting = sum(group.queued for group in last.load.groups)
        return waiting == 10 and len(last.gangs) == 2

    wait_until(is_whole)
    return looks[-1]


def recommend(*words: str) -> Result:
    prices = ("--prices", "bundled", "--max-price-age", "99999d")
    return CliRunner().invoke(app, ["recommend", *words, *prices])


@LIVE
def test_shapes_gangs_and_what_is_in_use_are_seen_and_planned_for(
    cluster: Running, tmp_path: Path
) -> None:
    sample = seen(cluster)
    (worker,) = sample.load.workers.values()
    assert (worker.threads, worker.is_busy) == (2, True)
    assert {gang.strategy: gang.width for gang in sample.gangs} == {
        Strategy.STRICT_PACK: 2,
        Strategy.STRICT_SPREAD: 3,
    }

    named = ("--ray", cluster.source.address, "--token-file", str(cluster.token_file))
    result = recommend(*named)
    assert result.exit_code == 0, result.output
    assert "1 cpu8-gpu1 of 8 vCPU" in result.stdout
    assert "3 cpu1-gpu1-memory1GiB of 1 vCPU, 1 GiB, 1 GPU" in result.stdout
    assert "10 cpu1 of 1 vCPU" in result.stdout  # 7 tasks and the 3 of the spread gang
    assert "running work of 1 node" in result.stdout

    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "workload: jobs\n"
        "workers:\n"
        "  - {name: plain, count: 1, vcpu: 16, memory: 64 GiB}\n"
        "  - {name: train, count: 1, vcpu: 8, memory: 30 GiB, gpu: {count: 1}}\n"
        "where: {providers: [aws]}\n"
    )
    result = recommend(str(rules), *named)
    assert result.exit_code == 0, result.output
    # The packed gang fills one GPU worker, and each GPU task opens another with 7 CPUs to spare;
    # what is in use (2) and the 7 tasks are on one plain worker, the gang of 3 is on three more.
    assert "4 train of 8 vCPU" in result.stdout
    assert "in aws/" in result.stdout


@LIVE
def test_a_cluster_that_wants_a_token_says_so(cluster: Running, tmp_path: Path) -> None:
    result = recommend("--ray", cluster.source.address)
    assert result.exit_code == 1
    assert "the cluster wants a token; name a file with its own, with --token-file" in result.stderr
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 64)
    with pytest.raises(InputError, match="the cluster takes another token") as refused:
        RaySource(address=cluster.source.address, token_file=wrong).sample()
    assert "0" * 64 not in str(refused.value)


@LIVE
def test_a_node_is_drained(cluster: Running) -> None:
    """Last of the file, as the node does not come back."""
    (node_id,) = cluster.source.sample().load.workers
    nobody = "ab" * 28
    later = datetime.now(UTC) + timedelta(hours=1)
    told = cluster.source.drain([node_id, nobody], later)
    assert (told.done, told.pending, dict(told.refused)) == ((nobody,), (node_id,), {})
    wait_until(lambda: cluster.source.sample().load.workers[node_id].status == "closing")


def test_what_speaks_something_else_is_known_at_once() -> None:
    class Web(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.handle_request).start()
        with pytest.raises(InputError, match="does not answer in gRPC, as a Ray cluster does"):
            RaySource(address=f"127.0.0.1:{server.server_address[1]}").sample()


def test_without_ray_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package in its place is missing as one that is not installed is."""

    class Settings(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            self.request.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))

    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'ray'\", name='ray')\n"
    )
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    with socketserver.TCPServer(("127.0.0.1", 0), Settings) as server:
        threading.Thread(target=server.handle_request).start()
        with pytest.raises(InputError, match=r"Ray is not installed here; pip install 'costplan\["):
            RaySource(address=f"127.0.0.1:{server.server_address[1]}").sample()


def test_nobody_there_is_said() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        port = server.server_address[1]
    result = recommend("--ray", f"127.0.0.1:{port}")
    assert result.exit_code == 1
    assert f"127.0.0.1:{port}: nobody listens there (Connection refused)" in result.stderr
