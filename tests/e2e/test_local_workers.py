"""Local machines with real Dask workers, at a real scheduler."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.security import Security

from costplan.adapters.clock import utc_now
from costplan.adapters.dask.sample import TlsFiles
from costplan.adapters.local.folders import machines_folder, processes
from costplan.adapters.local.provider import LocalProvider, Workers
from costplan.adapters.local.stage import Stage
from costplan.adapters.local.sweep import running_processes
from costplan.planner.nodes import MachineState
from tests.local_machines import DEADLINE_SECONDS, machine, request, staged, wait_until

SCENARIO = """
scenario: workers
boot: 0.05
offers: [{type: small, vcpu: 1, memory: 1 GiB, usd_per_hour: 1, gpus: 1, gpu_kind: T4}]
"""


@contextmanager
def scheduler(folder: Path, *options: str, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a scheduler that runs in a process of its own."""
    file = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", host]
    command += ["--port", "0", "--no-dashboard", "--scheduler-file", str(file), *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            wait_until(lambda: file.exists() and file.read_text().endswith("}"), "a scheduler")
            yield json.loads(file.read_text())["address"]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with scheduler(tmp_path_factory.mktemp("scheduler")) as found:
        yield found


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address, timeout=DEADLINE_SECONDS) as found:
        yield found


@contextmanager
def site(folder: Path, workers: Workers, more: str = "") -> Iterator[tuple[Stage, LocalProvider]]:
    with staged(folder / "state", SCENARIO + more) as stage:
        yield stage, LocalProvider(stage, "ours", workers, utc_now)


def present(client: Client) -> dict[str, dict[str, Any]]:
    """What the scheduler knows of each worker, by name."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return {worker["name"]: {**worker, "at": at} for at, worker in workers.items()}


def test_workers_join_as_they_were_asked_for(tmp_path: Path, address: str, client: Client) -> None:
    with site(tmp_path, Workers(scheduler_address=address)) as (stage, provider):
        plain = request("n1", next(iter(stage.offers)), workers=2)
        first = replace(plain.workers[0], threads=2, resources={"GPU": 1.0, "licence": 0.5})
        provider.launch(replace(plain, workers=(first, plain.workers[1])))
        wait_until(lambda: {"n1-0", "n1-1"} <= set(present(client)), "both join")
        joined = present(client)
        assert [joined[name]["nthreads"] for name in ("n1-0", "n1-1")] == [2, 1]
        assert joined["n1-0"]["resources"] == {"GPU": 1.0, "licence": 0.5}
        assert joined["n1-1"]["memory_limit"] == 512 * 2**20
        folder = machines_folder(stage.state_dir) / machine(provider, "n1").provider_id
        assert Path(joined["n1-0"]["local_directory"]).is_relative_to(folder)
        assert client.submit(sum, (20, 22), resources={"licence": 0.5}).result() == 42

        provider.terminate([folder.name])
        wait_until(lambda: machine(provider, "n1").state is MachineState.ENDED)
        wait_until(lambda: not present(client), "the scheduler notices")
        wait_until(lambda: not (folder / "scratch").exists(), "what it kept is removed")


def test_a_machine_outlives_its_daemon_and_not_its_retirement(
    tmp_path: Path, address: str, client: Client
) -> None:
    """A process launches and is killed; when the scheduler closes the worker, the machine ends."""
    with site(tmp_path, Workers(scheduler_address=address)) as (stage, provider):
        script = f"""
import os, signal
from pathlib import Path
from costplan.adapters.clock import utc_now
from costplan.adapters.local.provider import LocalProvider, Workers
from costplan.adapters.local.stage import read_stage
from tests.local_machines import request
stage = read_stage(Path({str(stage.state_dir)!r}))
provider = LocalProvider(stage, "ours", Workers(scheduler_address={address!r}), utc_now)
provider.launch(request("n2", next(iter(stage.offers))))
os.kill(os.getpid(), signal.SIGKILL)
"""
        root = Path(__file__).parents[2]
        run = subprocess.run([sys.executable, "-c", script], cwd=root, timeout=60, check=False)
        assert run.returncode == -signal.SIGKILL
        wait_until(lambda: "n2-0" in present(client), "the worker joins")
        assert machine(provider, "n2").state is MachineState.RUNNING
        client.retire_workers(names=["n2-0"], close_workers=True, remove=True)
        wait_until(lambda: machine(provider, "n2").state is MachineState.ENDED)
        assert machine(provider, "n2").end_cause == "terminated"


def test_a_nanny_starts_its_worker_anew(tmp_path: Path, address: str, client: Client) -> None:
    """And ends with the machine, though its supervisor is killed."""
    with site(tmp_path, Workers(scheduler_address=address), "nanny: true") as (stage, provider):
        provider.launch(request("n3", next(iter(stage.offers))))
        wait_until(lambda: "n3-0" in present(client), "the worker joins")
        # A worker joins before its nanny counts it as started, and until then the nanny gives up
        # on a worker that dies.
        wait_until(lambda: nanny_status(client) == "running", "its nanny has started it")
        folder = machines_folder(stage.state_dir) / machine(provider, "n3").provider_id
        before = client.run(os.getpid, workers=[present(client)["n3-0"]["at"]])
        (victim,) = before.values() or (0,)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: pid_of(client, "n3-0") not in (None, victim), "another one joins")
        supervisor = json.loads((folder / "supervisor.json").read_text())
        os.kill(supervisor["pid"], signal.SIGKILL)
        wait_until(lambda: machine(provider, "n3").state is MachineState.ENDED)
        wait_until(lambda: not processes(folder), "nanny and worker go too")


def nanny_status(client: Client) -> str:
    """The status of the one nanny there is."""

    def read(dask_worker: Any) -> str:
        return str(dask_worker.status.name)

    (status,) = client.run(read, nanny=True).values()
    return str(status)


def pid_of(client: Client, name: str) -> int | None:
    """The process id of a worker, None while it is not there."""

    def read(dask_scheduler: Any, name: str) -> int | None:
        states = dask_scheduler.workers.values()
        found = [state for state in states if state.name == name]
        return found[0].pid if found else None

    pid: int | None = client.run_on_scheduler(read, name=name)
    return pid


def test_a_machine_does_not_outlive_its_scheduler(tmp_path: Path) -> None:
    """Nothing is paid for that can do no work: its worker closes, and the machine powers off."""
    with ExitStack() as stack:
        address = stack.enter_context(scheduler(tmp_path))
        workers = Workers(scheduler_address=address)
        with site(tmp_path, workers) as (stage, provider):
            provider.launch(request("n5", next(iter(stage.offers))))
            with Client(address, timeout=DEADLINE_SECONDS) as client:
                wait_until(lambda: "n5-0" in present(client), "the worker joins")
            stack.close()
            wait_until(lambda: machine(provider, "n5").state is MachineState.ENDED)
            wait_until(lambda: running_processes(stage.state_dir) == ())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_workers_join_behind_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=costplan", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True)
    options = ("--tls-ca-file", str(cert), "--tls-cert", str(cert), "--tls-key", str(key))
    own = {"tls_ca_file": str(cert), "tls_client_cert": str(cert), "tls_client_key": str(key)}
    with scheduler(tmp_path, *options, host="tls://127.0.0.1") as address:
        workers = Workers(scheduler_address=address, tls=TlsFiles(ca=cert, cert=cert, key=key))
        with (
            site(tmp_path, workers) as (stage, provider),
            Client(address, security=Security(**own), timeout=DEADLINE_SECONDS) as client,
        ):
            provider.launch(request("n4", next(iter(stage.offers))))
            wait_until(lambda: "n4-0" in present(client), "the worker joins")
            assert present(client)["n4-0"]["at"].startswith("tls://")
