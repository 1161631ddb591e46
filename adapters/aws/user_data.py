"""The start script of an instance whose image has Dask: its workers, and its end with theirs."""

from __future__ import annotations

import shlex

from costplan.adapters.aws.requests import Startup
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from costplan.planner.types import OfferKey

_DEATH_TIMEOUT_SECONDS = 300
"""A worker that has lost its scheduler for so long gives up, and the machine ends."""


def worker_script(scheduler_address: str) -> Startup:
    """A script that starts a request's workers and shuts the machine down after the last.

    It is the same whatever the request is launched as, so that a fleet may choose.
    """

    def script(request: LaunchRequest, key: OfferKey) -> str:  # noqa: ARG001
        commands = [_command(scheduler_address, worker) for worker in request.workers]
        return "\n".join(
            [
                "#!/bin/sh",
                "trap 'shutdown -h now' EXIT",
                *(f"{command} &" for command in commands),
                "wait",
                "",
            ]
        )

    return script


def _command(scheduler_address: str, worker: WorkerSpec) -> str:
    command = ["dask", "worker", scheduler_address, "--name", worker.name]
    command += ["--nthreads", str(worker.threads), "--memory-limit", str(worker.memory_bytes)]
    command += ["--no-dashboard", "--death-timeout", str(_DEATH_TIMEOUT_SECONDS)]
    if worker.resources:
        amounts = (f"{name}={amount!r}" for name, amount in sorted(worker.resources.items()))
        command += ["--resources", " ".join(amounts)]
    return shlex.join(command)
