"""`costplan recommend --scheduler` with a real scheduler behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client
from typer.testing import CliRunner, Result

from costplan.cli.main import app
from tests.e2e.test_sample_live import DEADLINE_SECONDS, scheduler


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with scheduler(tmp_path_factory.mktemp("scheduler")) as address:
        yield address


def run(address: str, *words: str) -> Result:
    command = ("recommend", "--scheduler", address, "--sample-seconds", "0", *words)
    return CliRunner().invoke(app, [*command, "--max-price-age", "99999d"])


def test_nothing_to_do_is_no_error(address: str, tmp_path: Path) -> None:
    result = run(address, "--out", str(tmp_path / "plan.json"))
    assert result.exit_code == 0
    assert result.stdout == ""
    assert f"{address}: nothing is queued or running, so no workers are needed" in result.stderr
    assert not (tmp_path / "plan.json").exists()


def test_tasks_that_wait_become_workers(address: str) -> None:
    """No worker is there, so all tasks get one worker of the template: their length is unknown."""
    with Client(address, timeout=DEADLINE_SECONDS) as client:
        futures = client.map(abs, range(40))
        client.sync(client.scheduler.who_has)
        result = run(address)
        del futures
    assert result.exit_code == 0, result.stderr
    assert "scheduler: 1 worker on 1 node in " in result.stdout
    assert f"demand       {address}" in result.stdout
    assert "40 tasks of unknown length get 4" in result.stdout
    assert "task duration of abs: a slot a task" in result.stdout
