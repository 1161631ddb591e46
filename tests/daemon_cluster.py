"""A real scheduler, the real daemon and local machines, as processes of this computer.

For end-to-end tests and benchmarks: started in a folder, and nothing left of it at the end.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from costplan.adapters.local.folders import folders
from costplan.adapters.local.records import MachineRecord, record_of
from costplan.adapters.local.sweep import running_processes, sweep

ROOT = Path(__file__).parents[1]
COSTPLAN = Path(sys.executable).with_name("costplan")
START_SECONDS = 60.0
STOP_SECONDS = 15.0
PORTS = range(16_384, 32_768)
"""Below those that Linux gives to clients (32768 on) and macOS and IANA (49152 on)."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_given: set[int] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Of 127.0.0.1, signed by itself: what everybody shows, and what everybody trusts."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonCluster:
    """What runs in a folder: where clients join, the daemon's file and its process.

    With a certificate, all of it speaks TLS.
    """

    folder: Path
    address: str
    endpoint: str
    token: str
    health: str
    started: list[subprocess.Popen[bytes]]
    newest: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    tls: Certificate | None = None

    @property
    def daemon(self) -> subprocess.Popen[bytes]:
        """The daemon that was started last."""
        return self.newest["daemon"]

    @property
    def scheduler(self) -> subprocess.Popen[bytes]:
        """The scheduler that was started last."""
        return self.newest["scheduler"]

    @property
    def config(self) -> Path:
        """The daemon's file."""
        return self.folder / "costplan.yaml"

    @property
    def state_dir(self) -> Path:
        """Where the local provider keeps its machines."""
        return self.folder / "machines"

    def records(self) -> list[MachineRecord]:
        """Every machine there was, ended ones too, by the provider's own record."""
        found = (record_of(folder) for folder in folders(self.state_dir))
        return [record for record in found if record is not None]

    def alive(self) -> int:
        """How many machines have not ended."""
        return sum(record.machine.ended_at is None for record in self.records())

    def load(self) -> dict[str, Any]:
        """What the scheduler serves to the daemon now."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        trusted = ssl.create_default_context(cafile=self.tls.cert) if self.tls else True
        url = f"{self.endpoint}/costplan/v1/load"
        answer = httpx.get(url, headers=bearer, timeout=10, verify=trusted)
        return dict(answer.raise_for_status().json())

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`costplan ARGUMENTS --config FILE`, with what it printed."""
        command = [str(COSTPLAN), *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def status(self) -> dict[str, Any]:
        """`costplan status --format json`."""
        return dict(json.loads(self.command("status", "--format", "json").stdout))

    def log(self) -> str:
        """What the daemon has written so far."""
        return (self.folder / "daemon.log").read_text()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Returns once the condition holds; raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"never: {what}")
        time.sleep(0.05)


def free_port() -> int:
    """A port of loopback that nobody listens on, and that no client is given either.

    One that the system would give out (bind to 0) can be the local end of anybody's connection by
    the time it is listened on, above all where a daemon is started anew on the port it had.
    """
    while True:
        port = secrets.choice(PORTS)
        if port in _given:
            continue
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            _given.add(port)
            return port


@contextmanager
def daemon_cluster(
    folder: Path,
    *,
    config: Mapping[str, object],
    scenario: Mapping[str, object],
    tls: Certificate | None = None,
) -> Iterator[DaemonCluster]:
    """A scheduler and a daemon that is ready; `config` is the daemon's file without what the
    folder decides (scheduler, provider, store, http). All processes are gone at the end."""
    with scheduler_cluster(folder, config=config, scenario=scenario, tls=tls) as cluster:
        start_daemon(cluster)
        yield cluster


@contextmanager
def scheduler_cluster(
    folder: Path,
    *,
    config: Mapping[str, object],
    scenario: Mapping[str, object],
    tls: Certificate | None = None,
) -> Iterator[DaemonCluster]:
    """As `daemon_cluster`, before its daemon is started."""
    folder.mkdir(parents=True, exist_ok=True)
    token_file = folder / "token"
    token = secrets.token_hex(16)
    token_file.touch(mode=0o600)
    token_file.write_text(token + "\n")
    port, endpoint_port, health_port = free_port(), free_port(), free_port()
    cluster = DaemonCluster(
        folder=folder,
        address=f"{'tls' if tls else 'tcp'}://127.0.0.1:{port}",
        endpoint=f"{'https' if tls else 'http'}://127.0.0.1:{endpoint_port}",
        token=token,
        health=f"http://127.0.0.1:{health_port}",
        started=[],
        tls=tls,
    )
    own = {
        "scheduler": {
            "address": cluster.address, "endpoint": cluster.endpoint, "token_file": "token",
            **_tls_section(tls),
        },
        "provider": {"kind": "local", "scenario": "scenario.yaml", "state_dir": "machines"},
        "store": {"path": "costplan.db"},
        "http": {"listen": f"127.0.0.1:{health_port}"},
    }  # fmt: skip
    (folder / "scenario.yaml").write_text(yaml.safe_dump(dict(scenario)))
    cluster.config.write_text(yaml.safe_dump({**config, **own}))
    try:
        start_scheduler(cluster)
        yield cluster
    finally:
        for process in reversed(cluster.started):
            with suppress(ProcessLookupError):  # one that a test has frozen cannot end
                os.killpg(process.pid, signal.SIGCONT)
            stop(process)
        sweep(cluster.state_dir)
        left = running_processes(cluster.state_dir)
    if left:
        raise AssertionError(f"machines have left the processes {left} behind")


def _tls_section(tls: Certificate | None) -> dict[str, object]:
    if tls is None:
        return {}
    cert, key = str(tls.cert), str(tls.key)
    return {"ca_file": cert, "worker_tls": {"ca": cert, "cert": cert, "key": key}}


def start_daemon(cluster: DaemonCluster, *before: str) -> None:
    """Starts `costplan run`, in a process group of its own; returns when it is ready.

    `before` goes before the command.
    """
    _start(cluster, "daemon", [*before, str(COSTPLAN), "run", "--config", "costplan.yaml"])
    wait_until(
        lambda: is_ready(cluster), f"a daemon that is ready, see {cluster.folder}/daemon.log"
    )


def is_ready(cluster: DaemonCluster) -> bool:
    """True where the daemon says so; raises RuntimeError where it has ended."""
    if cluster.daemon.poll() is not None:
        raise RuntimeError(f"the daemon ended with {cluster.daemon.returncode}: {cluster.log()}")
    with suppress(httpx.HTTPError):
        return httpx.get(f"{cluster.health}/readyz", timeout=5).status_code == 200
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process group: asks its leader, and kills what is left after a while."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def start_scheduler(cluster: DaemonCluster) -> None:
    """Starts a scheduler with the preload; returns when its endpoint answers."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    command += ["--host", cluster.address.rpartition(":")[0].removeprefix("tcp://")]
    command += ["--port", cluster.address.rpartition(":")[2]]
    command += ["--no-dashboard", "--dashboard-address", cluster.endpoint.rpartition("/")[2]]
    variables: dict[str, str] = {}
    if cluster.tls is not None:
        cert, key = str(cluster.tls.cert), str(cluster.tls.key)
        command += ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
        http = "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__TLS"
        variables = {f"{http}__CERT": cert, f"{http}__KEY": key}
    command += ["--preload", "dask.dataframe", "--preload", "costplan.adapters.dask.preload"]
    command += ["--costplan-token-file", str(cluster.folder / "token")]
    _start(cluster, "scheduler", command, variables)
    wait_until(lambda: _answers(cluster), f"a scheduler, see {cluster.folder}/scheduler.log")


def _answers(cluster: DaemonCluster) -> bool:
    if cluster.scheduler.poll() is not None:
        raise RuntimeError(f"the scheduler ended, see {cluster.folder}/scheduler.log")
    with suppress(httpx.HTTPError):
        return bool(cluster.load())
    return False


def _start(
    cluster: DaemonCluster,
    name: str,
    command: list[str],
    variables: Mapping[str, str] | None = None,
) -> None:
    """A process group that writes to a log of its name, and finds the tests' modules."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with (cluster.folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=cluster.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path, **(variables or {})},
            start_new_session=True,
        )
    cluster.started.append(process)
    cluster.newest[name] = process
