"""The script that a cloud hands to a new machine, and that makes it a Dask worker.

It goes into EC2 user data, a Compute Engine startup script or Azure's custom data. It knows the
machine's offer from the metadata service, so one script serves every offer of a request. It
carries no secret: TLS files are named, and fetched by the machine under its own identity.
"""

from __future__ import annotations

import base64
import gzip
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import groupby
from types import MappingProxyType

from costplan.planner.errors import InputError
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from costplan.planner.references import split_reference

MOST_BYTES = 16_384
"""What EC2 takes as user data; the other clouds take more."""
CLOUDS = ("aws", "gcp", "azure")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
_AGENT = "costplan_agent.py"


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsReferences:
    """Where a machine finds the files that its workers show and trust."""

    ca: str
    cert: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """How a machine becomes a worker: whom it joins, with which Python, and how long alone.

    Workers run with `python`, or in a conda environment `conda`, or in a `container` of that
    image (by docker). They end `death_timeout_seconds` after they lost the scheduler, and the
    machine with them. `before` is a person's own shell text that runs first.
    """

    cloud: str
    scheduler_address: str
    python: str = "python3"
    conda: str = ""
    container: str = ""
    tls: TlsReferences | None = None
    death_timeout_seconds: int = 120
    environment: Mapping[str, str] = field(default_factory=_nothing)
    before: str = ""

    def __post_init__(self) -> None:
        if self.cloud not in CLOUDS:
            raise InputError("startup.cloud", f"{self.cloud!r} is none", f"one of {CLOUDS}")
        if self.container and self.conda:
            raise InputError("startup", "has both container and conda", "keep one of them")
        if self.container and not _IMAGE.fullmatch(self.container):
            raise InputError("startup.container", f"{self.container!r} is no image", "as repo:tag")


def script(request: LaunchRequest, startup: Startup) -> str:
    """The script for one machine. The same request gives the same text.

    Raises InputError where it is longer than a cloud takes, or a reference is none.
    """
    exports = {
        "COSTPLAN_CLOUD": startup.cloud,
        "COSTPLAN_NODE": request.node_id,
        "COSTPLAN_CLUSTER": request.cluster,
        **startup.environment,
    }
    parts = [
        _HEAD,
        *(f"export {_name(name)}={shlex.quote(value)}" for name, value in sorted(exports.items())),
        _PLACE[startup.cloud],
        _PLACED,
        _AGENT_FILE.format(name=_AGENT, text=_packed_agent()),
        *_tls_lines(startup),
        startup.before.rstrip(),
        _work(startup),
        *_worker_lines(request.workers),
        _TAIL,
    ]
    text = "\n".join(part for part in parts if part) + "\n"
    if len(text.encode()) > MOST_BYTES:
        raise InputError(
            "startup", f"makes {len(text.encode()):,} bytes, and a machine takes {MOST_BYTES:,}",
            "put what `before` does into the image",
        )  # fmt: skip
    return text


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise InputError("startup.environment", f"{name!r} is no variable", "letters, digits, _")
    return name


def _packed_agent() -> str:
    text = files("costplan.adapters.node").joinpath("agent.py").read_bytes()
    return base64.b64encode(gzip.compress(text, mtime=0)).decode()


def _tls_lines(startup: Startup) -> list[str]:
    if startup.tls is None:
        return []
    return [
        f'{_fetch(startup, name)} > "$dir/{name}.pem" || fail "no {name} for TLS"'
        for name in ("ca", "cert", "key")
    ]


def _fetch(startup: Startup, name: str) -> str:
    """The shell words that print what a reference names."""
    reference = getattr(startup.tls, name)
    try:
        kind, rest = split_reference(reference, startup.cloud)
    except ValueError as error:
        raise InputError(
            f"startup.tls.{name}", f"{reference!r} is no reference", str(error)
        ) from None
    return {
        "file": f"cat {rest}",
        "aws-secret": f"aws secretsmanager get-secret-value --secret-id {rest} "
        '--query SecretString --output text --region "$COSTPLAN_REGION"',
        "aws-parameter": f"aws ssm get-parameter --with-decryption --name {rest} "
        '--query Parameter.Value --output text --region "$COSTPLAN_REGION"',
        "gcp-secret": f"gcp_secret {rest}",
        "azure-secret": f"azure_secret {rest.replace('/', ' ', 1)}",
    }[kind]


def _work(startup: Startup) -> str:
    """The shell function that starts one worker in the background: name, threads, bytes, its own
    resources, and what a container needs for GPUs.

    What it may be asked for is its own resources and, as often as it has threads, those that its
    machine has: its market, zone and type.
    """
    words = [
        "-m", "distributed.cli.dask_worker", shlex.quote(startup.scheduler_address),
        "--name", '"$1"', "--nthreads", '"$2"', "--memory-limit", '"$3"', "--no-dashboard",
        "--death-timeout", str(startup.death_timeout_seconds),
        "--local-directory", f'"$dir/{_AGENT[:-3]}-space"',
        "--preload", f'"$dir/{_AGENT}"',
        "--resources",
        '"$4$COSTPLAN_MARKET=$2 zone-$COSTPLAN_ZONE=$2 type-$COSTPLAN_TYPE=$2"',
    ]  # fmt: skip
    if startup.tls is not None:
        words += ["--protocol", "tls", "--tls-ca-file", '"$dir/ca.pem"']
        words += ["--tls-cert", '"$dir/cert.pem"', "--tls-key", '"$dir/key.pem"']
    return f'work() {{ {_python(startup)} {" ".join(words)} & workers="$workers $!"; }}'


def _worker_lines(workers: Sequence[WorkerSpec]) -> Iterator[str]:
    """One line for workers that differ in their names alone, as machines have many of."""
    for _, alike in groupby(workers, lambda one: (one.threads, one.memory_bytes, one.gpus,
                                                  sorted(one.resources.items()))):  # fmt: skip
        group = list(alike)
        one = group[0]
        own = "".join(f"{name}={amount:g} " for name, amount in sorted(one.resources.items()))
        gpus = " '--gpus all'" if one.gpus else ""
        yield (
            f"for name in {_names([each.name for each in group])}; do "
            f'work "$name" {one.threads} {one.memory_bytes} {shlex.quote(own)}{gpus}; done'
        )


def _names(names: Sequence[str]) -> str:
    """Names as words of the shell: n-{0..3} for those that are numbered."""
    first, _, number = names[0].rpartition("-")
    if len(names) > 1 and number.isdecimal():
        numbered = range(int(number), int(number) + len(names))
        if list(names) == [f"{first}-{place}" for place in numbered]:
            return f"{shlex.quote(f'{first}-')}{{{numbered[0]}..{numbered[-1]}}}"
    return " ".join(shlex.quote(name) for name in names)


def _python(startup: Startup) -> str:
    if startup.container:
        passed = "".join(f" -e {name}" for name in sorted({*_PASSED_ON, *startup.environment}))
        return (
            f'docker run --rm --network host --shm-size 1g -v "$dir:$dir" ${{5:-}}{passed} '
            f"--entrypoint python {startup.container}"
        )
    if startup.conda:
        return f"conda run --no-capture-output -n {shlex.quote(startup.conda)} python"
    return shlex.quote(startup.python)


_PASSED_ON = (
    "COSTPLAN_CLOUD", "COSTPLAN_CLUSTER", "COSTPLAN_MACHINE", "COSTPLAN_MARKET",
    "COSTPLAN_METADATA", "COSTPLAN_NODE", "COSTPLAN_TYPE", "COSTPLAN_ZONE",
)  # fmt: skip

_HEAD = """\
#!/bin/bash
# Written by costplan: this machine runs Dask workers, and ends when they have ended.
set -u
umask 077
exec >>"${COSTPLAN_LOG:-/var/log/costplan.log}" 2>&1
power_off() { ${COSTPLAN_POWER_OFF:-shutdown -h now}; }
fail() { echo "costplan: $1"; exit 1; }
trap power_off EXIT
dir=$(mktemp -d "${COSTPLAN_RUN:-/run}/costplan.XXXXXX") || fail "no folder"
workers=
ask() { curl --silent --fail --max-time 5 --retry 5 --retry-connrefused --noproxy '*' "$@"; }"""

_MEMBER = """\
member() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
"""

_PLACE = {
    "aws": """\
at=${COSTPLAN_METADATA:-http://169.254.169.254}
token=$(ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' "$at/latest/api/token")
meta() { ask -H "X-aws-ec2-metadata-token: $token" "$at/latest/meta-data/$1"; }
export COSTPLAN_MACHINE=$(meta instance-id) COSTPLAN_TYPE=$(meta instance-type)
export COSTPLAN_ZONE=$(meta placement/availability-zone) COSTPLAN_REGION=$(meta placement/region)
[ "$(meta instance-life-cycle)" = spot ] && market=spot || market=on_demand
export COSTPLAN_MARKET=$market""",
    "gcp": _MEMBER
    + """\
at=${COSTPLAN_METADATA:-http://metadata.google.internal}
meta() { ask -H 'Metadata-Flavor: Google' "$at/computeMetadata/v1/$1"; }
export COSTPLAN_MACHINE=$(meta instance/name)
type=$(meta instance/machine-type) zone=$(meta instance/zone)
export COSTPLAN_TYPE=${type##*/} COSTPLAN_ZONE=${zone##*/}
[ "$(meta instance/scheduling/preemptible)" = TRUE ] && market=spot || market=on_demand
export COSTPLAN_MARKET=$market
gcp_secret() {
  local token=$(meta instance/service-accounts/default/token | member "['access_token']")
  local api=https://secretmanager.googleapis.com/v1/projects/$(meta project/project-id)
  ask -H "Authorization: Bearer $token" "$api/secrets/$1/versions/latest:access" |
    member "['payload']['data']" | base64 -d
}""",
    "azure": _MEMBER
    + """\
at=${COSTPLAN_METADATA:-http://169.254.169.254}
meta() {
  ask -H 'Metadata: true' "$at/metadata/instance/compute/$1?api-version=2021-02-01&format=text"
}
export COSTPLAN_MACHINE=$(meta name) COSTPLAN_TYPE=$(meta vmSize)
export COSTPLAN_ZONE=$(meta location)-$(meta zone)
[ "$(meta priority)" = Spot ] && market=spot || market=on_demand
export COSTPLAN_MARKET=$market
azure_secret() {
  local token=$(ask -H 'Metadata: true' "$at/metadata/identity/oauth2/token?api-version=2018-02-01&\
resource=https%3A%2F%2Fvault.azure.net" | member "['access_token']")
  ask -H "Authorization: Bearer $token" "https://$1.vault.azure.net/secrets/$2?api-version=7.4" |
    member "['value']"
}""",
}

_PLACED = """\
[ "$COSTPLAN_MACHINE" ] && [ "$COSTPLAN_TYPE" ] && [ "$COSTPLAN_ZONE" ] ||
  fail "the metadata service does not say what this machine is\""""

_AGENT_FILE = """\
base64 -d <<'END' | gunzip > "$dir/{name}" || fail "no agent"
{text}
END
mkdir -p "$dir/costplan_agent-space\""""

_TAIL = """\
trap 'kill -TERM $workers; wait $workers' TERM
wait $workers"""
