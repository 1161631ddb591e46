"""`costplan doctor` beside a real scheduler and a real daemon, behind TLS."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.daemon_cluster import DaemonCluster, scheduler_cluster, start_daemon, wait_until
from tests.e2e.driven import WORKER, config, scenario
from tests.e2e.test_daemon_tls import certificate


def doctor(cluster: DaemonCluster) -> tuple[int, dict[str, list[str]]]:
    """Its exit code, and what was found by check, as 'ok: sentence'."""
    done = cluster.command("doctor", "--format", "json")
    assert done.stderr == ""
    found: dict[str, list[str]] = {}
    for one in json.loads(done.stdout)["findings"]:
        found.setdefault(one["check"], []).append(f"{one['health']}: {one['text']}")
    return done.returncode, found


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_what_is_there_before_a_daemon_beside_it_and_after_it(tmp_path: Path) -> None:
    files = {"config": config({**WORKER, "minimum": 1}), "scenario": scenario()}
    tls = certificate(tmp_path)
    with scheduler_cluster(tmp_path / "cluster", tls=tls, **files) as cluster:
        before = sorted(cluster.folder.rglob("*"))
        code, found = doctor(cluster)
        assert (code, sorted(cluster.folder.rglob("*"))) == (0, before), found
        assert found["clock"] == ["ok: within 2 s of that of the scheduler"]
        token, joins = found["scheduler"]
        assert token.startswith(f"ok: {cluster.endpoint} takes the token: 0 workers, ")
        assert "Dask 20" in token
        assert joins.endswith(f"{cluster.address} with the files of worker_tls from here")
        start_daemon(cluster)
        wait_until(lambda: len(cluster.load()["workers"]["name"]) == 1, "a worker")
        code, found = doctor(cluster)
        assert code == 0, found
        (runs,) = found["daemon"]
        assert runs.startswith(f"ok: process {cluster.daemon.pid} on ")
        assert found["machines"][0].endswith("all known to the store")
        os.killpg(cluster.daemon.pid, signal.SIGKILL)
        cluster.daemon.wait()
        (cluster.folder / "token").write_text("another-token-than-that-of-the-scheduler")
        code, found = doctor(cluster)
        assert code == 1
        assert found["daemon"][0].startswith(f"warning: process {cluster.daemon.pid} on ")
        assert "problem: " in found["scheduler"][0]
        assert "does not accept our token" in found["scheduler"][0]
        assert "another-token" not in json.dumps(found)
