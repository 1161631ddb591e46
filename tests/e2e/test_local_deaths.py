"""Local machines whose daemon, supervisor or disk dies at the worst moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from costplan.adapters.clock import utc_now
from costplan.adapters.faults import VARIABLE
from costplan.adapters.local.folders import (
    processes,
)
from costplan.adapters.local.records import machine_records
from costplan.adapters.local.stage import Stage
from costplan.adapters.local.sweep import running_processes
from costplan.planner.errors import Unreachable
from costplan.planner.nodes import MachineState
from tests.local_machines import (
    ended,
    folder_of,
    keys,
    launched,
    machine,
    request,
    site,
    wait_until,
)

DAEMON = """
import sys
from pathlib import Path
from costplan.adapters.clock import utc_now
from costplan.adapters.local.provider import LocalProvider
from costplan.adapters.local.stage import read_stage
from tests.local_machines import Sleepers, request

stage = read_stage(Path(sys.argv[1]))
provider = LocalProvider(stage, "ours", Sleepers(), utc_now)
node = provider.launch(request("a", next(iter(stage.offers))))
provider.terminate([node.provider_id])
"""


def killed_daemon(stage: Stage, point: str) -> bool:
    """True where a process that launches and terminates a machine was killed at this point."""
    run = subprocess.run(
        [sys.executable, "-c", DAEMON, str(stage.state_dir)],
        env={**os.environ, VARIABLE: f"{point}:1"},
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    return run.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("point", "machines_left"),
    [
        ("local.launch.before_folder", 0),
        ("local.launch.after_folder", 0),
        ("local.launch.after_spawn", 1),
        ("local.launch.after_accepted", 1),
    ],
)
def test_a_daemon_killed_in_a_launch_starts_one_machine(
    tmp_path: Path, point: str, machines_left: int
) -> None:
    with site(tmp_path) as (stage, provider):
        assert killed_daemon(stage, point)
        assert len(provider.nodes()) == machines_left
        again = provider.launch(request("a", keys(stage)[0]))
        wait_until(lambda: machine(provider, "a").state is MachineState.RUNNING)
        (node,) = provider.nodes()
        assert node.provider_id == again.provider_id
        assert len(running_processes(stage.state_dir)) == 2
        assert len(machine_records(stage.state_dir)) == 1


@pytest.mark.parametrize(
    ("point", "is_ordered"),
    [
        ("local.terminate.before_order", False),
        ("local.terminate.after_order", True),
        ("local.terminate.after_signal", True),
    ],
)
def test_a_daemon_killed_in_a_terminate_ends_it_when_it_is_back(
    tmp_path: Path, point: str, is_ordered: bool
) -> None:
    with site(tmp_path) as (stage, provider):
        assert killed_daemon(stage, point)
        if is_ordered:  # it has been heard, and nobody has to say it again
            ended(provider, "a")
        else:
            wait_until(lambda: machine(provider, "a").state is MachineState.RUNNING)
        provider.terminate([machine(provider, "a").provider_id])
        assert ended(provider, "a").end_cause == "terminated"
        assert len(machine_records(stage.state_dir)) == 1


@pytest.mark.parametrize(
    "point", ["local.machine.up", "local.machine.booted", "local.machine.before_ended"]
)
def test_a_supervisor_killed_anywhere_leaves_an_ended_machine(
    tmp_path: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"{point}:1")
    with site(tmp_path) as (stage, provider):
        node = provider.launch(request("a", keys(stage)[0]))
        if point == "local.machine.before_ended":
            provider.terminate([node.provider_id])
        over = ended(provider, "a")
        assert over.end_cause == "failed"
        assert over.ended_at is not None
        assert over.launched_at <= over.ended_at <= utc_now()
        wait_until(lambda: not processes(folder_of(stage, node)))
        assert provider.launch(request("a", keys(stage)[0])) == over


def test_what_cannot_be_read_is_not_said_by_half(tmp_path: Path) -> None:
    with site(tmp_path) as (stage, provider):
        first, _ = launched(provider, keys(stage)[0], ["a", "b"])
        file = folder_of(stage, first) / "request.json"
        whole = file.read_text()
        file.write_text(whole[:20])
        for read in (provider.nodes, provider.offers, provider.notices):
            with pytest.raises(Unreachable, match=r"Expecting|Unterminated"):
                read()
        file.write_text(whole)
        assert len(provider.nodes()) == 2


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from costplan.adapters.clock import utc_now
from costplan.adapters.local.provider import LocalProvider
from costplan.adapters.local.stage import read_stage
from costplan.planner.errors import Unreachable
from tests.local_machines import Sleepers, request

stage = read_stage(Path(sys.argv[1]))
provider = LocalProvider(stage, "ours", Sleepers(), utc_now)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    provider.launch(request("a", next(iter(stage.offers))))
except Unreachable as error:
    assert "File too large" in str(error)
else:
    raise SystemExit("a launch without a word written")
provider.terminate([sys.argv[2]])
"""


def test_a_full_disk_refuses_launches_and_no_ends(tmp_path: Path) -> None:
    """A process that may not write a byte: nothing starts, and what runs can be ended."""
    with site(tmp_path) as (stage, provider):
        (node,) = launched(provider, keys(stage)[0], ["b"])
        command = [sys.executable, "-c", FULL_DISK, str(stage.state_dir), node.provider_id]
        subprocess.run(command, cwd=Path(__file__).parents[2], timeout=60, check=True)
        assert ended(provider, "b").end_cause == "terminated"
        assert len(provider.nodes()) == 1
