"""What both sides need to run a workload."""

from __future__ import annotations

import os

from distributed import Client

from tests.bench.adaptive.workloads import Workload
from tests.daemon_cluster import ONE_THREAD, ROOT

TO_ZERO_SECONDS = 60.0
"""How long a fleet may take to end once its work is done, before it is ended from outside."""


def environment() -> dict[str, str]:
    """The variables of schedulers and workers: they find the tasks, and use one thread."""
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}


def say_failure(workload: Workload, client: Client) -> str:
    """Runs the workload; returns '' or, in one line, why it did not come to its end."""
    try:
        workload.run(client)
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""
