"""A look at real schedulers, from the outside, through the real child process."""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Event

from costplan.adapters.child import MAX_ANSWER_BYTES, run_child
from costplan.adapters.dask.sample import TlsFiles, sample
from costplan.planner.demand import shapes_from_load
from costplan.planner.errors import InputError

DEADLINE_SECONDS = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns once the condition holds; fails the test after a deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        threading.Event().wait(0.02)


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this Python, ended with the test."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-m", *arguments], **quiet) as started:
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def scheduler(folder: Path, *arguments: str, host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a scheduler that runs in a process of its own."""
    file = folder / "scheduler.json"
    listen = ("--host", host, "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    with process("distributed.cli.dask_scheduler", *listen, *arguments):
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))
        yield json.loads(file.read_text())["address"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a scheduler with a plain worker of two threads and one with a GPU."""
    folder = tmp_path_factory.mktemp("cluster")
    common = ("--no-nanny", "--no-dashboard", "--nthreads", "2", "--memory-limit", "1GiB")
    with ExitStack() as stack:
        address = stack.enter_context(scheduler(folder))
        for name, extra in (("plain", ()), ("gpu", ("--resources", "GPU=1"))):
            own = ("--name", name, "--local-directory", str(folder / name))
            command = ("distributed.cli.dask_worker", address, *common, *own, *extra)
            stack.enter_context(process(*command))
        client = stack.enter_context(Client(address, timeout=DEADLINE_SECONDS))
        client.wait_for_workers(2, timeout=DEADLINE_SECONDS)
        yield client


def address_of(client: Client) -> str:
    address: str = client.scheduler.address
    return address


def executing_tasks(client: Client) -> int:
    """Tasks that workers have reported to execute; the function must travel by value."""

    def count(dask_scheduler: Any = None) -> int:
        return sum(len(worker.executing) for worker in dask_scheduler.workers.values())

    counted: int = client.run_on_scheduler(count)
    return counted


def submit(client: Client, gate: str) -> list[Any]:
    """100 plain tasks, 6 of one GPU, 3 that nobody can run, 1 pinned; all wait for the gate."""

    def quick(number: int) -> int:
        return number

    def plain(number: int) -> None:
        Event(gate).wait()

    def train(number: int) -> None:
        Event(gate).wait()

    def licensed(number: int) -> None:
        Event(gate).wait()

    client.gather(client.map(quick, range(5)))
    return [
        *client.map(plain, range(100)),
        *client.map(train, range(6), resources={"GPU": 1}),
        *client.map(licensed, range(3), resources={"licence": 1}),
        client.submit(plain, 100, workers=["plain"]),
        *client.map(quick, range(100, 104), resources={"licence": 1}),
    ]


def test_work_becomes_groups_with_what_they_need(cluster: Client) -> None:
    futures = submit(cluster, "gate")
    wait_until(lambda: executing_tasks(cluster) == 4)
    load = sample(address_of(cluster), 1.0)

    groups = {(group.prefix, tuple(group.need.items())): group for group in load.groups}
    assert set(groups) == {
        ("plain", ()),
        ("train", (("GPU", 1.0),)),
        ("licensed", (("licence", 1.0),)),
        ("quick", (("licence", 1.0),)),
    }
    plain = groups["plain", ()]
    train = groups["train", (("GPU", 1.0),)]
    licensed = groups["licensed", (("licence", 1.0),)]
    quick = groups["quick", (("licence", 1.0),)]
    assert (plain.queued + plain.running, plain.pinned, plain.unrunnable) == (101, 1, 0)
    assert (train.queued + train.running, train.unrunnable) == (6, 0)
    assert (licensed.queued, licensed.running, licensed.unrunnable) == (3, 0, 3)
    assert plain.running + train.running == 4
    assert {plain.mean_task_seconds, train.mean_task_seconds} == {None}
    assert quick.mean_task_seconds is not None
    assert quick.observed_tasks == 5
    by_gpus = sorted(load.workers.values(), key=lambda worker: worker.resources.get("GPU", 0))
    assert [(one.threads, one.memory_bytes) for one in by_gpus] == [(2, 2**30)] * 2
    assert [dict(one.resources) for one in by_gpus] == [{}, {"GPU": 1.0}]
    assert (load.unread_tasks, load.window_seconds >= 0.5) == (0, True)

    demand = shapes_from_load(load)
    counts = {shape.name: (shape.count, shape.need.gpus) for shape in demand.shapes}
    assert counts["any"] == (4, 0)  # 8 slots: twice the 4 there now
    assert counts["gpu1"] == (2, 1)  # 2 slots: twice the one GPU
    assert [gap.subject for gap in demand.unknown if gap.kind == "resource"] == ["licence"]

    Event("gate", client=cluster).set()
    cluster.cancel(futures)


def test_amounts_that_json_has_not_are_told_as_far_as_they_may_be(cluster: Client) -> None:
    needs = [{"licence": float("inf")}, {"licence": float("nan")}]
    futures = [cluster.submit(len, [], resources=need, pure=False) for need in needs]
    wait_until(lambda: cluster.run_on_scheduler(unrunnable) == len(needs))
    load = sample(address_of(cluster), 0)
    assert sorted(group.need["licence"] for group in load.groups) == [0.0, 1e18]
    cluster.cancel(futures)
    wait_until(lambda: not cluster.run_on_scheduler(unrunnable))


def unrunnable(dask_scheduler: Any = None) -> int:
    return len(dask_scheduler.unrunnable)


def test_what_workers_give_each_other_is_counted(cluster: Client) -> None:
    """Four MiB after the other from one worker to the other, for as long as somebody looks."""
    done = threading.Event()

    def give() -> None:
        while not done.is_set():
            made = cluster.submit(bytes, 4 * 2**20, workers=["plain"], pure=False)
            cluster.submit(len, made, workers=["gpu"], pure=False).result(DEADLINE_SECONDS)

    giving = threading.Thread(target=give)
    giving.start()
    try:
        load = sample(address_of(cluster), 3.0)
    finally:
        done.set()
        giving.join()
    assert load.sent_bytes_per_second is not None
    assert load.sent_bytes_per_second > 2**20


def test_a_scheduler_without_work_asks_for_nothing(tmp_path: Path) -> None:
    with scheduler(tmp_path) as address:
        load = sample(address, 0)
    assert (load.groups, load.workers) == ((), {})
    assert shapes_from_load(load).shapes == ()


def test_nobody_there_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(InputError, match="nobody listens there"):
        sample(f"tcp://127.0.0.1:{port}")
    assert time.monotonic() - began < 5


def test_a_listener_that_is_no_scheduler_is_told_from_one() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(InputError, match="no answer in Dask's protocol in 5 s"),
    ):
        sample(f"tcp://127.0.0.1:{server.getsockname()[1]}", 0)


def test_a_worker_is_no_scheduler(cluster: Client) -> None:
    worker = min(cluster.scheduler_info(n_workers=-1)["workers"])
    with pytest.raises(InputError, match="no scheduler that lets itself be read"):
        sample(worker, 0)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_a_scheduler_behind_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=costplan", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True)
    flags = ("--tls-ca-file", str(cert), "--tls-cert", str(cert), "--tls-key", str(key))
    with scheduler(tmp_path, *flags, host="tls://127.0.0.1") as address:
        assert address.startswith("tls://")
        assert sample(address, 0, TlsFiles(ca=cert, cert=cert, key=key)).groups == ()
        missing = TlsFiles(ca=cert, cert=cert, key=tmp_path / "none.pem")
        with pytest.raises(InputError, match="there is no such file"):
            sample(address, 0, missing)


THIEF = """
from distributed.protocol import to_serialize

class Thief:
    def __reduce__(self):
        read = "dict(__import__('os').environ)"
        return eval, (f"open({LOOT!r}, 'w').write(repr({read}))",)

async def steal(comm=None, function=None, **kwargs):
    return {"status": "OK", "result": to_serialize(Thief())}

def dask_setup(scheduler):
    scheduler.handlers["run_function"] = steal
"""


def test_a_hostile_scheduler_finds_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler's answer runs code where it is read; that process has nothing to steal."""
    loot, preload = tmp_path / "loot", tmp_path / "thief.py"
    preload.write_text(f"LOOT = {str(loot)!r}\n{THIEF}")
    with scheduler(tmp_path, "--preload", str(preload)) as address:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/secrets/key.json")
        with pytest.raises(InputError, match="cannot be read"):
            sample(address, 0)
    stolen = ast.literal_eval(loot.read_text())
    assert set(stolen) <= {"PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "HOME", "TMPDIR"} | {
        name for name in stolen if name.startswith("LC_")
    }
    assert stolen["HOME"] != os.environ.get("HOME")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("raise SystemExit('no module')", "ended: no module", id="ends at once"),
        pytest.param("pass", "ended: it said nothing", id="says nothing"),
        pytest.param("input(); print('{}')", "ended: EOFError", id="asks for input"),
        pytest.param("while True: print('x' * 2**20)", "is larger than", id="never stops"),
        pytest.param("import threading; threading.Event().wait()", "no answer in time", id="hangs"),
    ],
)
def test_a_child_that_misbehaves_is_ended(script: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_child(["-c", script], 3.0 if "wait" in script else 30.0, "tcp://10.0.0.1:8786")


def test_a_child_may_write_up_to_the_limit() -> None:
    script = (
        f"import sys; sys.stderr.write('e' * 10**6); sys.stdout.write('x' * {MAX_ANSWER_BYTES})"
    )
    assert len(run_child(["-c", script], 30.0, "tcp://10.0.0.1:8786")) == MAX_ANSWER_BYTES
