"""Everything behind TLS: the scheduler's HTTP, and what workers and clients speak with it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.security import Security

from tests.daemon_cluster import Certificate, daemon_cluster
from tests.e2e.daemon_tasks import nap
from tests.e2e.driven import WORKER, config, scenario, when_empty


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_a_job_behind_tls_gets_machines_and_they_go_again(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    cert, key = str(tls.cert), str(tls.key)
    files: dict[str, Any] = {
        "config": config({**WORKER, "maximum": 2}),
        "scenario": scenario(),
        "tls": tls,
    }
    mine = Security(
        tls_ca_file=cert, tls_client_cert=cert, tls_client_key=key, require_encryption=True
    )
    with daemon_cluster(tmp_path / "cluster", **files) as cluster:
        assert cluster.endpoint.startswith("https://")
        with Client(cluster.address, security=mine) as client:
            assert client.gather(client.map(nap, [0.2] * 6, range(6))) == list(range(6))
            assert all(
                worker["id"] and address.startswith("tls://")
                for address, worker in client.scheduler_info(n_workers=-1)["workers"].items()
            )
        when_empty(cluster)
        assert len(cluster.records()) >= 1
        assert cluster.token not in cluster.log()


def certificate(folder: Path) -> Certificate:
    """A new one in a folder."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=costplan", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return Certificate(cert=cert, key=key)
