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
TLS_OF = {
    "aws": TLS,
    "gcp": replace(TLS, cert="gcp-secret:cert", key="gcp-secret:key"),
    "azure": replace(TLS, cert="azure-secret:vault/cert", key="azure-secret:vault/key"),
}


def started(text: str) -> list[list[str]]:
    """What the script's shell starts workers with."""
    lines = "\n".join(line for line in text.splitlines() if line.startswith("for name in "))
    said = 'work() { (IFS="|"; echo "$*"); }\n' + lines
    told = subprocess.run(["/bin/bash", "-c", said], text=True, capture_output=True, check=True)
    return [line.split("|") for line in told.stdout.splitlines()]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("kind", ["plain", "conda", "container", "tls"])
def test_a_shell_understands_it_and_a_cloud_takes_it(cloud: str, kind: str) -> None:
    more = {
        "plain": {},
        "conda": {"conda": "dask env"},
        "container": {"container": "ghcr.io/dask/dask:2026.8.0-py3.11"},
        "tls": {"tls": TLS_OF[cloud]},
    }[kind]
    text = script(REQUEST, replace(AWS, cloud=cloud, **more))  # type: ignore[arg-type]
    assert len(text.encode()) <= MOST_BYTES
    told = subprocess.run(
        ["/bin/bash", "-n"], input=text, text=True, capture_output=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert text == script(REQUEST, replace(AWS, cloud=cloud, **more))  # type: ignore[arg-type]
    assert "--death-timeout 120" in text
    assert started(text) == [
        ["n-1-0", "2", str(4 * 2**30), "GPU=1 ", "--gpus all"],
        ["n-1-1", "2", str(4 * 2**30), "GPU=1 ", "--gpus all"],
    ]


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
    assert [words[4:] for words in started(text)] == [["--gpus all"]] * 2
    plain = replace(REQUEST, workers=(replace(WORKER, gpus=0),))
    assert "--gpus" not in script(plain, replace(AWS, container="dask:1"))


def test_many_workers_of_a_machine_take_few_lines() -> None:
    many = tuple(replace(WORKER, name=f"it's-{place}") for place in range(448))
    text = script(replace(REQUEST, workers=(*many, replace(WORKER, threads=1))), AWS)
    assert len(text.encode()) < MOST_BYTES / 2 + 500
    assert [words[0] for words in started(text)] == [*(one.name for one in many), "n-1-0"]


def test_names_that_are_not_in_order_stay_what_they_are() -> None:
    odd = tuple(replace(WORKER, name=name) for name in ("n-07", "n-08", "n", "n-2", "n-1"))
    text = script(replace(REQUEST, workers=odd), AWS)
    assert [words[0] for words in started(text)] == ["n-07", "n-08", "n", "n-2", "n-1"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("cloud", "ibm", "startup.cloud"),
        ("container", "a; rm -rf /", "startup.container"),
        ("environment", {"A-B": "1"}, "startup.environment"),
        ("before", "x" * MOST_BYTES, "16,384"),
        ("tls", replace(TLS, ca="/etc/ca.pem"), "startup.tls.ca"),
        ("tls", replace(TLS, ca="file:/etc/ca.pem; true `x`"), "startup.tls.ca"),
        ("tls", replace(TLS, ca="file:/etc/ca;true"), "startup.tls.ca"),
        ("tls", replace(TLS, key="gcp-secret:key"), "startup.tls.key"),
        ("tls", replace(TLS, key="aws-secret:"), "or aws-parameter:NAME"),
    ],
)
def test_what_cannot_be_is_refused_by_name(field: str, value: object, named: str) -> None:
    with pytest.raises(InputError, match=named):
        script(REQUEST, replace(AWS, **{field: value}))  # type: ignore[arg-type]


def test_a_vault_is_part_of_a_reference_of_azure() -> None:
    without = replace(TLS_OF["azure"], ca="azure-secret:novault")
    with pytest.raises(InputError, match="azure-secret:VAULT/NAME"):
        script(REQUEST, replace(AWS, cloud="azure", tls=without))


def test_container_and_conda_exclude_each_other() -> None:
    with pytest.raises(InputError, match="keep one"):
        replace(AWS, container="a", conda="b")
