"""The start script of an instance, run by a shell whose `dask` and `shutdown` only take note."""

from __future__ import annotations

import subprocess
from pathlib import Path

from costplan.adapters.aws.user_data import worker_script
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from costplan.planner.types import Market, OfferKey

KEY = OfferKey(
    provider="aws", region="r", zone="ra", instance_type="m5.large", market=Market.ON_DEMAND
)


def worker(name: str, **resources: float) -> WorkerSpec:
    return WorkerSpec(
        name=name, shape="w", threads=2, memory_bytes=2**30, gpus=0, resources=resources
    )


def test_every_worker_is_started_and_the_machine_ends_after_the_last(tmp_path: Path) -> None:
    for name in ("dask", "shutdown"):
        tool = tmp_path / name
        # One line by one write, since workers run side by side.
        tool.write_text(f'#!/bin/sh\nline=$(printf "%s|" {name} "$@")\necho "$line"\n')
        tool.chmod(0o755)
    request = LaunchRequest(
        token="t",  # noqa: S106
        node_id="n",
        cluster="c",
        keys=(KEY,),
        workers=(worker("n-0"), worker("it's", GPU=1.0, LICENCE=0.5)),
        tags={},
    )
    script = worker_script("tcp://h:8786")(request, KEY)
    done = subprocess.run(
        ["/bin/sh"],
        input=script,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    *workers, last = done.stdout.splitlines()
    assert last == "shutdown|-h|now|"
    common = "dask|worker|tcp://h:8786|--name|{}|--nthreads|2|--memory-limit|1073741824|"
    common += "--no-dashboard|--death-timeout|300|"
    assert sorted(workers) == [
        common.format("it's") + "--resources|GPU=1.0 LICENCE=0.5|",
        common.format("n-0"),
    ]
