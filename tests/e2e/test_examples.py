"""The examples run as programs, and end with what they cost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from costplan.adapters.local.sweep import running_processes
from tests.e2e.example_programs import CHECKS, EXAMPLES, ROOT, SECONDS


@pytest.mark.parametrize("name", CHECKS)
def test_a_program_ends_with_what_it_cost(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name / f"{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "EXAMPLE_FOLDER": str(tmp_path / "work")},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    sys.stdout.write(done.stdout + done.stderr)  # for whoever looks at a failure
    assert done.returncode == 0, done.stderr
    CHECKS[name](done.stdout)
    assert "lost" not in done.stderr
    assert running_processes(tmp_path / "work" / "machines") == ()


def test_the_price_is_that_of_the_list() -> None:
    """Programs say what a worker costs as the bundled list has it."""
    command = [sys.executable, "-m", "costplan.cli", "prices", "show", "--prices", "bundled"]
    command += ["--type", "m5.large", "--region", "us-east-1", "--market", "on_demand"]
    shown = subprocess.run(
        [*command, "--format", "csv"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    header, row = shown.stdout.splitlines()
    usd = dict(zip(header.split(","), row.split(","), strict=True))["usd_per_hour"]
    for name in set(CHECKS) - {"checkpointed_training"}:
        text = (EXAMPLES / name / f"{name}.py").read_text()
        said = f"WORKER_USD_PER_HOUR = {float(usd)}  # m5.large on demand in us-east-1\n"
        assert said in text, name
