"""An example's processes: a scheduler, the daemon and others, and nothing of them left."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from costplan.adapters.local.sweep import running_processes, sweep

HERE = Path(__file__).parent
COSTPLAN = Path(sys.executable).with_name("costplan")
MARK = ".costplan-demo"
START_SECONDS = 60.0
STOP_SECONDS = 12.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class DemoFailed(Exception):
    """Something did not work; says what, and where to look."""


class Processes:
    """Process groups with a log each in one folder, and the machines that they start there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[Any]] = []

    @property
    def config(self) -> Path:
        """The daemon's file."""
        return self.folder / "costplan.yaml"

    @property
    def machines(self) -> Path:
        """The local provider's folder."""
        return self.folder / "machines"

    def start(self, name: str, command: list[str], *, read: bool = False) -> subprocess.Popen[str]:
        """A process in a group of its own; writes to `name`.log, its output read by us or not."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if read else log,
                stderr=log,
                env={**os.environ, **ONE_THREAD},
                start_new_session=True,
                text=True,
            )
        self._started.append(process)
        return process

    def tail(self, name: str) -> str:
        """The last lines of a log."""
        with suppress(OSError):
            return "\n".join((self.folder / f"{name}.log").read_text().splitlines()[-15:])
        return ""

    def end(self) -> None:
        """Ends everything, the last started first; raises DemoFailed where something is left."""
        for process in reversed(self._started):
            end_group(process)
        sweep(self.machines)
        if left := running_processes(self.machines):
            raise DemoFailed(f"the processes {left} of machines are left behind")


def end_group(process: subprocess.Popen[Any]) -> None:
    """Ends a process group: asks its leader, and kills what is left after a while."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """A fresh work folder; what was started in it is ended with the block, come what may."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MARK).exists():
        raise DemoFailed(f"{folder} is not empty and no example made it; name another folder")
    with (folder / MARK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"an example runs in {folder}; name another folder") from None
        sweep(folder / "machines")  # of a demo that was killed
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != MARK:
                path.unlink()
        started = Processes(folder)
        try:
            yield started
        finally:
            started.end()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Returns once the condition holds; raises DemoFailed after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailed(f"{what} took more than {seconds:.0f} s")
        time.sleep(0.05)


def start_scheduler(run: Processes) -> dict[str, Any]:
    """A scheduler that serves load and drains to who has the token; returns its addresses."""
    token = run.folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32) + "\n")
    file = run.folder / "scheduler.json"
    command = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--scheduler-file",
        str(file),
    ]
    command += ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    # Imported here already, so that the first task graph does not make the scheduler wait for it.
    command += ["--preload", "dask.dataframe"]
    command += ["--preload", "costplan.adapters.dask.preload", "--costplan-token-file", str(token)]
    process = run.start("scheduler", command)

    def is_up() -> bool:
        if process.poll() is not None:
            raise DemoFailed(f"the scheduler ended:\n{run.tail('scheduler')}")
        with suppress(OSError, json.JSONDecodeError):
            return bool(json.loads(file.read_text())["address"])
        return False

    wait_until(is_up, "the start of the scheduler")
    said = json.loads(file.read_text())
    dashboard = said["services"]["dashboard"]
    return {"address": said["address"], "endpoint": f"http://127.0.0.1:{dashboard}"}


def start_daemon(
    run: Processes, scheduler: dict[str, Any], files: Path = HERE
) -> subprocess.Popen[str]:
    """`costplan run` on copies of an example's files that name this scheduler."""
    config = yaml.safe_load((files / "costplan.yaml").read_text())
    config["scheduler"].update(scheduler)
    run.config.write_text(yaml.safe_dump(config, sort_keys=False))
    shutil.copy(files / "scenario.yaml", run.folder)
    return run.start("daemon", [str(COSTPLAN), "run", "--config", str(run.config)])


def costplan(run: Processes, *arguments: str) -> str:
    """What `costplan ARGUMENTS --config FILE` prints; raises DemoFailed where it fails."""
    command = [str(COSTPLAN), *arguments, "--config", str(run.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise DemoFailed(f"`costplan {' '.join(arguments)}` ended with {done.returncode}: {said}")
    return done.stdout
