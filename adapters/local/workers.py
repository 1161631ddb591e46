"""Starting machines: the command line of each worker, and a supervisor that is nobody's child."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from costplan.adapters.child import plain_environment
from costplan.adapters.dask.sample import TlsFiles
from costplan.adapters.local.folders import LOCK, MARK, take_lock
from costplan.planner.nodes import WorkerSpec

_SPAWN_SECONDS = 30.0


def _no_variables() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """How every Dask worker of a local machine is started.

    They join `scheduler_address` and give up `death_timeout_seconds` after they lost it.
    `environment` is added to the few variables that they inherit; credentials of the daemon are
    not among those.
    """

    scheduler_address: str
    tls: TlsFiles | None = None
    death_timeout_seconds: int = 60
    environment: Mapping[str, str] = field(default_factory=_no_variables)

    def command(self, worker: WorkerSpec, scratch: Path, nanny: str) -> list[str]:
        """The command line of one worker that keeps its files in `scratch`.

        `nanny` is Dask's own option for or against a process that starts it anew.
        """
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.scheduler_address]
        command += ["--name", worker.name, "--nthreads", str(worker.threads)]
        command += ["--memory-limit", str(worker.memory_bytes), "--host", "127.0.0.1"]
        command += ["--no-dashboard", "--local-directory", str(scratch)]
        command += ["--death-timeout", str(self.death_timeout_seconds)]
        command += ["--preload", "costplan.adapters.node.agent"]  # it tells what its machine is
        command += [nanny]
        if worker.resources:
            amounts = (f"{name}={amount!r}" for name, amount in sorted(worker.resources.items()))
            command += ["--resources", " ".join(amounts)]
        if self.tls is not None:
            command += ["--protocol", "tls", "--tls-ca-file", str(self.tls.ca.absolute())]
            command += ["--tls-cert", str(self.tls.cert.absolute())]
            command += ["--tls-key", str(self.tls.key.absolute())]
        return command

    def inherited(self, folder: Path) -> dict[str, str]:
        """What a machine gets of this process's environment, and the mark of its processes."""
        return {**plain_environment(), **self.environment, MARK: str(folder)}


def start_supervisor(folder: Path, environment: Mapping[str, str]) -> None:
    """Starts the supervisor of a machine, in a session of its own, unless it has one.

    It inherits the lock, so from before it exists until it is gone the machine is held, and a
    second one cannot be started. A shell starts it in the background and ends: this process has
    no child to collect, and its own end is no matter to the machine. Raises OSError or
    SubprocessError where it cannot be started.
    """
    lock = take_lock(folder / LOCK)
    if lock is None:
        return
    own = [sys.executable, "-m", "costplan.adapters.local.machine", str(folder), str(lock)]
    script = '"$@" </dev/null >>"$0" 2>&1 &'
    try:
        subprocess.run(  # noqa: S603 - our own interpreter and module
            ["/bin/sh", "-c", script, str(folder / "supervisor.log"), *own],
            env=environment,
            cwd=folder,
            pass_fds=(lock,),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SPAWN_SECONDS,
            check=True,
        )
    finally:
        os.close(lock)
