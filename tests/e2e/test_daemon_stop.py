"""A stop waits for no cloud: SIGTERM while every address accepts and never answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml

from tests.daemon_cluster import COSTPLAN
from tests.unit.daemon_files import LEAST, LEAST_AWS, LEAST_GCP

STOP_SECONDS = 10.0
AWS = {**LEAST_AWS, "region": "us-east-1", "zones": ["us-east-1a"]}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def silent() -> Iterator[tuple[str, Event]]:
    """The address of a server that accepts and never answers, and whether four have come: those
    who read machines, notices and offers, and who reads the load."""
    held: list[socket.socket] = []
    all_came = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return
                if len(held) >= 4:
                    all_came.set()

        Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", all_came
    for one in held:
        one.close()


@pytest.mark.parametrize("provider", [AWS, LEAST_GCP], ids=["aws", "gcp"])
def test_a_cloud_that_hangs_keeps_no_daemon(
    tmp_path: Path, silent: tuple[str, Event], provider: dict[str, Any]
) -> None:
    address, all_came = silent
    (tmp_path / "t").touch(mode=0o600)
    (tmp_path / "t").write_text("t" * 32 + "\n")
    file = {
        **LEAST,
        "provider": {**provider, "endpoint": address},
        "scheduler": {**LEAST["scheduler"], "endpoint": address},
        "http": {"listen": "127.0.0.1:0"},
    }
    (tmp_path / "costplan.yaml").write_text(yaml.safe_dump(file))
    command = [str(COSTPLAN), "run", "--config", str(tmp_path / "costplan.yaml")]
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **KEYS}
        )
    try:
        assert all_came.wait(60)
        asked_at = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0
        assert time.monotonic() - asked_at < STOP_SECONDS
    finally:
        daemon.kill()
        daemon.wait()
    said = (tmp_path / "log").read_text()
    assert "actions_without_outcome=0" in said or '"actions_without_outcome": 0' in said
    assert "Traceback" not in said
