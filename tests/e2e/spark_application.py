"""A Spark application in local mode with more tasks than it has cores, and all but a few held.

Prints the address of its interface, and ends with its input.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from pyspark.sql import SparkSession

TASKS, DONE, SECONDS = 40, 4, 0.5


def main() -> None:
    folder = sys.argv[1]
    session = (
        SparkSession.builder.master("local[2]")
        .appName("held")
        .config("spark.ui.port", "0")
        .config("spark.ui.host", "127.0.0.1")
        .config("spark.ui.liveUpdate.period", "0")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.local.dir", folder)
        .getOrCreate()
    )
    context = session.sparkContext
    gate = Path(folder) / "gate"

    def held(number: int) -> int:
        """The first few end after a while, the others once the gate is there."""
        threading.Event().wait(SECONDS)
        while number >= DONE and not gate.exists():
            threading.Event().wait(SECONDS)
        return number

    job = context.parallelize(range(TASKS), TASKS).map(held)
    threading.Thread(target=job.count, daemon=True).start()
    print(context.uiWebUrl, flush=True)  # noqa: T201
    sys.stdin.read()
    gate.touch()
    os._exit(0)


if __name__ == "__main__":
    main()
