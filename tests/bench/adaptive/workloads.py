"""The workloads: what is asked of a cluster, and within which limits. Most of them sleep."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.datasets
from distributed import Client, wait

from tests.bench.adaptive.tasks import long_nap, nap

ROOT = Path(__file__).parents[3]
TRAINING = ROOT / "examples" / "fraud" / "training.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`run` returns when the last result is there; at most `maximum` workers of one thread.

    `memory` is each worker's limit in bytes. Where `ends` is false nothing can run it, and `run`
    returns after a while without a result.
    """

    name: str
    run: Callable[[Client], None]
    maximum: int = 8
    minimum: int = 0
    memory: int = 2 * 2**30
    ends: bool = True


def bursts(count: int, tasks: int, seconds: float, gap: float) -> Callable[[Client], None]:
    """`count` times `tasks` equal naps, with a pause after each burst but the last."""

    def run(client: Client) -> None:
        for burst in range(count):
            client.gather(client.map(nap, [seconds] * tasks, pure=False))
            if burst + 1 < count:
                time.sleep(gap)

    return run


def long_tail(client: Client) -> None:
    """Two naps of 25 s beside 120 of half a second."""
    tail = client.map(long_nap, [25.0] * 2, pure=False)
    client.gather([*tail, *client.map(nap, [0.5] * 120, pure=False)])


def equal(tasks: int, seconds: float) -> Callable[[Client], None]:
    """`tasks` equal naps at once."""

    def run(client: Client) -> None:
        client.gather(client.map(nap, [seconds] * tasks, pure=False))

    return run


def bimodal(client: Client) -> None:
    """Six bursts of 150 naps, a tenth of 2 s among 20 ms, 3 s apart."""
    lengths = [2.0 if place % 10 == 0 else 0.02 for place in range(150)]
    for burst in range(6):
        client.gather(client.map(nap, lengths, pure=False))
        if burst < 5:
            time.sleep(3)


def fan_out(client: Client) -> None:
    """A root of 8 s, and 60 naps of 1 s that wait for it."""
    root = client.submit(long_nap, 8.0, pure=False)
    client.gather([client.submit(nap, 1.0, root, pure=False) for _ in range(60)])


def tree(client: Client) -> None:
    """128 naps of 1 s, folded by fours: 171 tasks, 4 deep."""
    level = client.map(nap, [1.0] * 128, pure=False)
    while len(level) > 1:
        fours = [level[at : at + 4] for at in range(0, len(level), 4)]
        level = [client.submit(nap, 1.0, *four, pure=False) for four in fours]
    level[0].result()


def trickle(client: Client) -> None:
    """40 naps of 2 s, one a second."""
    futures = []
    for _ in range(40):
        futures.append(client.submit(nap, 2.0, pure=False))
        time.sleep(1)
    client.gather(futures)


def gpu_only(client: Client) -> None:
    """Naps that need a GPU, where there is none; given up after 12 s."""
    futures = client.map(nap, [1.0] * 8, pure=False, resources={"GPU": 1})
    wait_a_while(futures, 12.0)


def wait_a_while(futures: list[Any], seconds: float) -> None:
    """Returns after `seconds`, or when all futures are done."""
    try:
        wait(futures, timeout=seconds)
    except TimeoutError:
        return


def shuffle(client: Client) -> None:
    """5.8 million rows of a time series, shuffled peer to peer, and counted."""
    frame = dask.datasets.timeseries(
        start="2000-01-01", end="2000-03-08", freq="1s", partition_freq="1d", seed=7
    )
    shuffled = frame.shuffle("id", shuffle_method="p2p")
    rows = client.compute(shuffled.map_partitions(len).sum()).result()
    if rows != 67 * 86_400:
        raise AssertionError(f"the shuffle has {rows} rows")


def fraud(rows: int) -> Callable[[Client], None]:
    """The training of the demo, in a process of its own."""

    def run(client: Client) -> None:
        address = client.scheduler.address
        command = [sys.executable, str(TRAINING), "--scheduler", address, "--rows", str(rows)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return run


GIB = 2**30
ALL = (
    Workload(name="bursty2", run=bursts(6, 40, 0.5, 2.0)),
    Workload(name="bursty5", run=bursts(6, 40, 0.5, 5.0)),
    Workload(name="bursty10", run=bursts(6, 40, 0.5, 10.0)),
    Workload(name="longtail", run=long_tail, maximum=10),
    Workload(name="equal", run=equal(64, 1.0)),
    Workload(name="unknown", run=equal(4, 20.0)),
    Workload(name="floor", run=equal(12, 15.0), minimum=1, maximum=12),
    Workload(name="bimodal", run=bimodal),
    Workload(name="fanout", run=fan_out),
    Workload(name="tree", run=tree),
    Workload(name="trickle", run=trickle),
    Workload(name="gpu", run=gpu_only, maximum=4, ends=False),
    Workload(name="shuffle", run=shuffle, maximum=4, memory=3 * GIB),
    Workload(name="fraud", run=fraud(1_200_000), maximum=2, memory=3 * GIB),
    Workload(name="fraud3", run=fraud(1_200_000), maximum=3, memory=3 * GIB),
)
DEFAULT = ("bursty5", "longtail", "shuffle", "fraud")


def named(name: str) -> Workload:
    """The workload of a name; raises ValueError that lists them."""
    for workload in ALL:
        if workload.name == name:
            return workload
    raise ValueError(f"no workload {name!r}; there are {', '.join(one.name for one in ALL)}")
