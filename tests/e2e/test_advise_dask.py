"""Advice over a real Dask cluster: the same answer as at home, to the last byte."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from distributed import LocalCluster
from typer.testing import CliRunner, Result

from costplan.adapters.dask import as_client
from costplan.cli.commitments import app

DEMAND = {
    "start": "2026-06-01T00:00:00Z",
    "usage": [
        {
            "id": name, "provider": "aws", "instance_type": "m5.large", "region": "us-east-1",
            "on_demand_usd": 0.096, "rates": {"compute_sp_1y": 0.07},
            "hours": [base + hour % 24 // 8 for hour in range(40 * 24)],
        }
        for name, base in (("web", 6), ("batch", 1))
    ],
    "offers": [
        {"id": "ri", "kind": "regional_ri", "region": "us-east-1", "instance_type": "m5.large",
         "term": "1y", "usd_per_hour": 0.06},
        {"id": "sp", "kind": "compute_sp", "term": "1y"},
    ],
}  # fmt: skip
FEW = ("--scenarios", "24", "--horizon", "60d", "--format", "json")
ADVISE = (*FEW, "--after-horizon", "1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
    ) as there:
        yield there


@pytest.fixture
def demand(tmp_path: Path) -> Path:
    path = tmp_path / "demand.yaml"
    path.write_text(json.dumps(DEMAND))
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words])


def test_a_cluster_gives_the_same_advice(cluster: LocalCluster, demand: Path) -> None:
    words = ("advise", "--demand", str(demand), *ADVISE)
    here, there = run(*words), run(*words, "--scheduler", cluster.scheduler_address)
    assert here.exit_code == 0, here.output
    assert json.loads(here.stdout)["buy"] != []
    assert there.stdout == here.stdout
    assert there.stderr == here.stderr


def test_a_cluster_gives_the_same_renewals(cluster: LocalCluster, demand: Path) -> None:
    held = demand.parent / "held.yaml"
    now = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(time.time() + 20 * 86_400))
    bought = {"id": "ri-old", "kind": "regional_ri", "region": "us-east-1", "count": 5,
              "instance_type": "m5.large", "usd_per_hour": 0.06, "end": now}  # fmt: skip
    held.write_text(yaml.safe_dump({"commitments": [bought]}))
    words = ("renewals", "--demand", str(demand), "--commitments", str(held), *FEW,
             "--ending", "30d")  # fmt: skip
    here, there = run(*words), run(*words, "--scheduler", cluster.scheduler_address)
    assert here.exit_code == 0, here.output
    assert there.stdout == here.stdout


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:9", "is not a tcp:// or tls:// address"),
        ("tls://127.0.0.1:9", "needs TLS files"),
    ],
)
def test_a_scheduler_that_cannot_be_asked_is_said(demand: Path, address: str, said: str) -> None:
    done = run("advise", "--demand", str(demand), *ADVISE, "--scheduler", address)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr.splitlines()[-1]


def test_other_versions_and_a_cluster_without_workers_are_refused(
    demand: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("advise", "--demand", str(demand), *ADVISE, "--scheduler")
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0") as empty:
        nobody = run(*words, empty.scheduler_address)
    assert (nobody.exit_code, "has no workers" in nobody.stderr) == (1, True)
    monkeypatch.setattr(as_client, "version", lambda _: "0.0.1")
    other = run(*words, cluster.scheduler_address)
    assert (other.exit_code, other.stdout) == (1, "")
    assert "costplan 0.0.1 with numpy" in other.stderr


def test_a_bar_shows_on_a_terminal_and_the_answer_goes_by_itself(demand: Path) -> None:
    """Whatever takes less than it takes to wait shows none, so the wait is set to nothing here."""
    code = (
        "import sys; from costplan.cli import advise_run; advise_run.QUIET_SECONDS = 0.0; "
        "from costplan.cli.main import main; main()"
    )
    outer, inner = pty.openpty()
    words = ["commitments", "advise", "--demand", str(demand), *ADVISE]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=inner,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:  # fmt: skip
        os.close(inner)
        shown = _all_of(outer)
        assert process.stdout is not None
        answer = json.loads(process.stdout.read())
        assert process.wait(60) == 0
    os.close(outer)
    assert answer["buy"] != []
    assert b"futures costed" in shown
    assert b"/11" in shown


def _all_of(terminal: int) -> bytes:
    """What is written to a terminal until nobody writes any more."""
    shown, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                more = os.read(terminal, 65536)
            except OSError:  # the other side is closed
                return shown
            if not more:
                return shown
            shown += more
    return shown
