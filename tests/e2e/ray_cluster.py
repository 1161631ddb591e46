"""A Ray cluster of one node with two CPUs, and more asked of it than it has.

Prints the address of its control service once all was asked for, and ends with its input.
"""

from __future__ import annotations

import sys
import threading

import ray
from ray.util.placement_group import placement_group


def wait_for_ever() -> None:
    threading.Event().wait()


def main() -> None:
    context = ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80_000_000,
        _node_ip_address="127.0.0.1",
        _temp_dir=sys.argv[1],
    )
    task = ray.remote(wait_for_ever)
    asked = [task.remote() for _ in range(9)]
    asked += [task.options(num_gpus=1, memory=2**30).remote() for _ in range(3)]
    groups = [
        placement_group([{"CPU": 4}, {"CPU": 4, "GPU": 1}], strategy="STRICT_PACK"),
        placement_group([{"CPU": 1}] * 3, strategy="STRICT_SPREAD"),
    ]
    print(context.address_info["gcs_address"], flush=True)  # noqa: T201
    sys.stdin.read()
    del asked, groups
    ray.shutdown()


if __name__ == "__main__":
    main()
