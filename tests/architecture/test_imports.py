"""Imports point inward, and the core is a quiet room: no clock, dice, network, disk or log."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, ROOT, calls, files, imports, tree

MAY_IMPORT = {
    "planner": {"planner"},
    "policies": {"planner", "policies"},
    "adapters": {"planner", "adapters"},
    "cli": set(PACKAGES),
}
CORE = ("planner", "policies")
NOT_IN_CORE = {
    "asyncio", "azure", "boto3", "botocore", "dask", "distributed",
    "google", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "requests",
    "secrets", "select", "selectors", "shutil", "socket", "sqlite3", "ssl", "subprocess", "sys",
    "tempfile", "threading", "time", "tornado", "urllib", "uuid",
}  # fmt: skip
CLOCKS_AND_DICE = {"now", "utcnow", "today"}
RUNS_IN_A_SCHEDULER = {
    "adapters/dask/plugin.py",
    "adapters/dask/evacuation.py",
    "adapters/dask/gang_watch.py",
}
RUNS_IN_A_SESSION = {
    "adapters/cluster/cluster.py",
    "adapters/cluster/tls.py",
    "adapters/dask/adaptive.py",
    "adapters/dask/adaptive_keeper.py",
    "adapters/dask/adaptive_options.py",
    "adapters/dask/adaptive_shim.py",
}
"""In the process of a person who has the cluster object, and all that it may do, anyway."""
SENDS_TO_A_CLUSTER = {"adapters/backtest/dask_spread.py", "adapters/dask/as_client.py"}
RUNS_IN_A_WORKER = {"adapters/node/agent.py"}
"""Sent to machines as text: nothing imports it."""
SPEAKS_DASK = {
    "adapters/dask/sample_child.py",
    *RUNS_IN_A_SCHEDULER,
    *RUNS_IN_A_SESSION,
    *RUNS_IN_A_WORKER,
    *SENDS_TO_A_CLUSTER,
    "adapters/dask/dashboard.py",  # in the scheduler
    "adapters/dask/spans.py",  # in the session of a person
}


def broken_directions(package: str, module: ast.AST) -> list[str]:
    """Imports of a module of a package that point the wrong way, relative ones included."""
    found = []
    for line, name in imports(module):
        parts = name.split(".")
        if name.startswith("."):
            found.append(f"{line}: {name} is relative")
        elif parts[0] == "costplan" and (len(parts) < 2 or parts[1] not in MAY_IMPORT[package]):
            found.append(f"{line}: {name}")
        elif parts[0] in PACKAGES:
            found.append(f"{line}: {name} is imported as costplan.{parts[0]}")
    return found


def noises(module: ast.AST) -> list[str]:
    """What a module of the core imports or calls that is not values in, values out."""
    found = [
        f"{line}: {name}" for line, name in imports(module) if name.split(".")[0] in NOT_IN_CORE
    ]
    found += [
        f"{line}: {name}()"
        for line, name in calls(module)
        if ("." in name and name.rpartition(".")[2] in CLOCKS_AND_DICE)
        or name in ("open", "input", "__import__")
    ]
    return found


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_inward(package: str) -> None:
    broken = {_shown(path): broken_directions(package, tree(path)) for path in files(package)}
    assert {path: found for path, found in broken.items() if found} == {}


def test_the_core_is_a_quiet_room() -> None:
    noisy = {_shown(path): noises(tree(path)) for path in files(*CORE)}
    assert {path: found for path, found in noisy.items() if found} == {}


def test_only_the_child_and_the_scheduler_speak_dask_protocol() -> None:
    """Reading Dask's messages unpickles them, so no process with credentials may import it."""
    speaking = {
        _shown(path)
        for path in files(*PACKAGES)
        for _, name in imports(tree(path))
        if name.split(".")[0] in ("distributed", "dask")
    }
    assert speaking == SPEAKS_DASK


def test_only_a_child_imports_ray() -> None:
    """It starts threads and reads a home's settings, so no process with credentials imports it."""
    speaking = {
        _shown(path)
        for path in files(*PACKAGES)
        for _, name in imports(tree(path))
        if name.split(".")[0] == "ray"
    }
    assert speaking == {"adapters/ray/sample_child.py"}


def test_nothing_imports_what_runs_in_a_worker() -> None:
    users = {
        _shown(path) for path in files(*PACKAGES) for _, found in imports(tree(path))
        if found.startswith("costplan.adapters.node.agent")
    }  # fmt: skip
    assert users == set()


@pytest.mark.parametrize(
    ("module", "users"),
    [
        ("adapters.backtest.dask_spread", {"adapters/backtest/spread.py"}),
        ("adapters.dask.as_client", {"adapters/backtest/dask_spread.py", "cli/advise_run.py"}),
    ],
)
def test_only_simulation_and_advice_send_work_to_a_cluster(module: str, users: set[str]) -> None:
    """Nothing imports it but the function that was asked for it: the daemon never does."""
    found = {
        _shown(path) for path in files(*PACKAGES) for _, name in imports(tree(path))
        if name.startswith(f"costplan.{module}")
    }  # fmt: skip
    assert found == users


@pytest.mark.parametrize("module", ["adapters.dask.endpoint", "adapters.cluster.keeper"])
def test_the_daemon_and_its_keeper_do_without_dasks_protocol(module: str) -> None:
    """Nothing that they bring in brings in `distributed`, by any way round."""
    code = (
        f"import sys, costplan.{module}\n"
        "found = sorted({name.split('.')[0] for name in sys.modules} & {'distributed', 'dask'})\n"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("package", "text", "found"),
    [
        ("planner", "from costplan.adapters import clock", ["1: costplan.adapters.clock"]),
        ("planner", "from costplan import cli", ["1: costplan.cli"]),
        ("planner", "import costplan", ["1: costplan"]),
        ("adapters", "def f():\n import costplan.policies.budget", ["2: costplan.policies.budget"]),
        ("policies", "from ..planner import types", ["1: ..planner.types is relative"]),
        ("cli", "import planner.types", ["1: planner.types is imported as costplan.planner"]),
        ("cli", "from costplan.policies import budget", []),
        ("policies", "from costplan.planner.types import Gap", []),
    ],
)
def test_the_rule_of_directions_bites(package: str, text: str, found: list[str]) -> None:
    assert broken_directions(package, ast.parse(text)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os.path", ["1: os.path"]),
        ("def f():\n from time import monotonic", ["2: time.monotonic"]),
        ("import logging as quiet", ["1: logging"]),
        ("datetime.now(UTC)", ["1: datetime.now()"]),
        ("dt.datetime.utcnow()", ["1: dt.datetime.utcnow()"]),
        ("open('prices.csv')", ["1: open()"]),
        ("from datetime import datetime, timedelta\nmath.floor(2.5)", []),
    ],
)
def test_the_rule_of_quiet_bites(text: str, found: list[str]) -> None:
    assert noises(ast.parse(text)) == found
