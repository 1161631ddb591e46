"""`costplan recommend --spark` with a real Spark application of this computer.

Spark has an environment of its own, `.spark` in the checkout (a download of 460 MB, about a
minute), which is made where there is a Java of 17 or newer.
`tests/conformance/test_spark_source.py` needs neither.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costplan.adapters.spark.source import SparkSource
from costplan.cli.main import app
from costplan.planner.errors import InputError
from tests.e2e.test_sample_live import wait_until
from tests.side_venv import Unavailable, side_venv

PINS = ("pyspark==4.3.0",)
OLDEST_JAVA = 17


def java_version() -> int:
    """The major version of the `java` on PATH, 0 where there is none."""
    java = shutil.which("java")
    if java is None:
        return 0
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if java_version() < OLDEST_JAVA:
        pytest.skip(f"Spark needs Java {OLDEST_JAVA} or newer, and it is not here")
    try:
        python = str(side_venv(".spark", PINS, sys.executable) / "python")
    except Unavailable as reason:
        pytest.skip(f"Spark cannot be had here: {reason}")
    folder = tmp_path_factory.mktemp("spark")
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": python}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [python, str(Path(__file__).with_name("spark_application.py")), str(folder)]
    with subprocess.Popen(command, env=environment, text=True, cwd=folder, **pipes) as started:
        assert started.stdout is not None
        address = started.stdout.readline().strip()
        assert address, "Spark did not start"
        yield address
        started.communicate()


def test_stages_and_executors_are_seen_and_planned_for(url: str) -> None:
    """Four of 40 tasks are done, two are held on the two cores, and 34 wait behind them."""
    source = SparkSource(url=url)

    def is_held() -> bool:
        """A driver that has just started may be slow to answer."""
        try:
            groups = source.sample().load.groups
        except InputError:
            return False
        return any((group.observed_tasks, group.running) == (4, 2) for group in groups)

    wait_until(is_held)
    sample = source.sample()
    (group,) = sample.load.groups
    assert (group.queued, group.running, group.observed_tasks) == (34, 2, 4)
    assert group.mean_task_seconds is not None
    assert group.mean_task_seconds >= 0.5
    (worker,) = sample.load.workers.values()
    assert (worker.threads, worker.executing) == (2, 2)
    assert worker.memory_bytes == (1024 + 384) * 2**20

    words = ["--spark", url, "--prices", "bundled", "--max-price-age", "99999d"]
    result = CliRunner().invoke(app, ["recommend", *words])
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "of 2 slots (like the workers that run now); 36 tasks of known length" in said, said
    assert "executors of spark.master local" in said
