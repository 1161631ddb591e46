"""The script that makes a machine a worker."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from costplan.adapters.node.startup import CLOUDS, MOST_BYTES, Startup, TlsReferences, script
from costplan.planner.errors import InputError
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from costplan.planner.types import Market, OfferKey

WORKER = WorkerSpec(
    name="n-1-0", shape="cpu", threads=2, memory_bytes=4 * 2**30, resources={"GPU": 1.0}, gpus=1
)
REQUEST = LaunchRequest(
    token="t" * 32,
    node_id="n-1",
    cluster="it's",
    keys=(
        OfferKey(
            provider="aws",
            region="us-east-1",
            zone="us-east-1a",
            instance_type="m5.large",
            market=Market.SPOT,
        ),
    ),
    workers=(WORKER, replace(WORKER, name="n-1-1")),
    tags={},
)
AWS = Startup(cloud="aws", scheduler_address="tls://10.0.0.5:8786")
TLS = TlsReferences(
    ca="file:/etc/ca.pem", cert="aws-secret:dask/cert", key="aws-parameter:/dask/key"
)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("kind", ["plain", "conda", "container", "tls"])
def test_a_shell_understands_it_and_a_cloud_takes_it(cloud: str, kind: str) -> None:
    more = {
        "plain": {},
        "conda": {"conda": "dask env"},
        "container": {"container": "ghcr.io/dask/dask:2026.8.0-py3.11"},
        "tls": {"tls": replace(TLS, cert="gcp-secret:cert", key="azure-secret:vault/key")},
    }[kind]
    text = script(REQUEST, replace(AWS, cloud=cloud, **more))  # type: ignore[arg-type]
    assert len(text.encode()) <= MOST_BYTES
    told = subprocess.run(
        ["/bin/bash", "-n"], input=text, text=True, capture_output=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert text == script(REQUEST, replace(AWS, cloud=cloud, **more))  # type: ignore[arg-type]
    assert "--death-timeout 120" in text
    assert "--name n-1-0" in text
    assert "--name n-1-1" in text


def test_it_names_secrets_and_holds_none() -> None:
    text = script(REQUEST, replace(AWS, tls=TLS))
    assert "get-secret-value --secret-id dask/cert" in text
    assert "get-parameter --with-decryption --name /dask/key" in text
    assert "cat /etc/ca.pem" in text
    assert "PRIVATE KEY" not in text


def test_a_name_with_a_quote_stays_one_word() -> None:
    text = script(REQUEST, AWS)
    assert """export COSTPLAN_CLUSTER='it'"'"'s'""" in text


def test_a_container_gets_gpus_where_a_worker_has_some() -> None:
    text = script(REQUEST, replace(AWS, container="dask:1"))
    assert "--gpus all" in text
    plain = replace(REQUEST, workers=(replace(WORKER, gpus=0),))
    assert "--gpus" not in script(plain, replace(AWS, container="dask:1"))


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("cloud", "ibm", "startup.cloud"),
        ("container", "a; rm -rf /", "startup.container"),
        ("environment", {"A-B": "1"}, "startup.environment"),
        ("before", "x" * MOST_BYTES, "16,384"),
        ("tls", replace(TLS, ca="/etc/ca.pem"), "startup.tls.ca"),
        ("tls", replace(TLS, ca="file:/etc/ca.pem; true `x`"), "startup.tls.ca"),
        ("tls", replace(TLS, ca="azure-secret:novault"), "startup.tls.ca"),
    ],
)
def test_what_cannot_be_is_refused_by_name(field: str, value: object, named: str) -> None:
    with pytest.raises(InputError, match=named):
        script(REQUEST, replace(AWS, **{field: value}))  # type: ignore[arg-type]


def test_container_and_conda_exclude_each_other() -> None:
    with pytest.raises(InputError, match="keep one"):
        replace(AWS, container="a", conda="b")
