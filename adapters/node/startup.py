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
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType

from costplan.planner.errors import InputError
from costplan.planner.nodes import LaunchRequest, WorkerSpec

MOST_BYTES = 16_384
"""What EC2 takes as user data; the other clouds take more."""
CLOUDS = ("aws", "gcp", "azure")
_REFERENCES = (
    "file:/PATH, aws-secret:NAME, aws-parameter:NAME, gcp-secret:NAME, azure-secret:VAULT/NAME"
)
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
        _AGENT_FILE.format(name=_AGENT, text=_packed_agent()),
        *_tls_lines(startup.tls),
        startup.before.rstrip(),
        *(_worker_line(worker, startup) for worker in request.workers),
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


def _tls_lines(tls: TlsReferences | None) -> list[str]:
    if tls is None:
        return []
    return [
        f'{_fetch(name, getattr(tls, name))} > "$dir/{name}.pem" || fail "no {name} for TLS"'
        for name in ("ca", "cert", "key")
    ]


def _fetch(name: str, reference: str) -> str:
    """The shell words that print what a reference names."""
    kind, _, rest = reference.partition(":")
    if not rest or re.search(r"[\s'\"\\$`]", rest):
        raise InputError(f"startup.tls.{name}", f"{reference!r} is no reference", _REFERENCES)
    match kind:
        case "file":
            return f"cat {rest}"
        case "aws-secret":
            return (
                f"aws secretsmanager get-secret-value --secret-id {rest} "
                '--query SecretString --output text --region "$COSTPLAN_REGION"'
            )
        case "aws-parameter":
            return (
                f"aws ssm get-parameter --with-decryption --name {rest} "
                '--query Parameter.Value --output text --region "$COSTPLAN_REGION"'
            )
        case "gcp-secret":
            return f"gcp_secret {rest}"
        case "azure-secret" if "/" in rest:
            return f"azure_secret {rest.replace('/', ' ', 1)}"
    raise InputError(f"startup.tls.{name}", f"{reference!r} is no reference", _REFERENCES)


def _worker_line(worker: WorkerSpec, startup: Startup) -> str:
    """Starts one worker in the background. What it may be asked for is its own resources and,
    as often as it has threads, those that its machine has: its market, zone and type."""
    resources = " ".join(f"{name}={amount:g}" for name, amount in sorted(worker.resources.items()))
    many = worker.threads
    place = " ".join(
        f"{what}={many}"
        for what in ("$COSTPLAN_MARKET", "zone-$COSTPLAN_ZONE", "type-$COSTPLAN_TYPE")
    )
    words = [
        "-m", "distributed.cli.dask_worker", shlex.quote(startup.scheduler_address),
        "--name", shlex.quote(worker.name), "--nthreads", str(worker.threads),
        "--memory-limit", str(worker.memory_bytes), "--no-dashboard",
        "--death-timeout", str(startup.death_timeout_seconds),
        "--local-directory", f'"$dir/{_AGENT[:-3]}-space"',
        "--preload", f'"$dir/{_AGENT}"',
        "--resources", f'"{resources + " " if resources else ""}{place}"',
    ]  # fmt: skip
    if startup.tls is not None:
        words += ["--protocol", "tls", "--tls-ca-file", '"$dir/ca.pem"']
        words += ["--tls-cert", '"$dir/cert.pem"', "--tls-key", '"$dir/key.pem"']
    return f'{_python(startup, worker)} {" ".join(words)} & workers="$workers $!"'


def _python(startup: Startup, worker: WorkerSpec) -> str:
    if startup.container:
        gpus = " --gpus all" if worker.gpus else ""
        passed = "".join(f" -e {name}" for name in sorted({*_PASSED_ON, *startup.environment}))
        return (
            f'docker run --rm --network host --shm-size 1g -v "$dir:$dir"{gpus}{passed} '
            f"--entrypoint python {startup.container}"
        )
    if startup.conda:
        return f"conda run --no-capture-output -n {shlex.quote(startup.conda)} python"
    return shlex.quote(startup.python)


_PASSED_ON = (
    "COSTPLAN_CLOUD", "COSTPLAN_CLUSTER", "COSTPLAN_MACHINE", "COSTPLAN_METADATA", "COSTPLAN_NODE",
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

_PLACE = {
    "aws": """\
at=${COSTPLAN_METADATA:-http://169.254.169.254}
token=$(ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' "$at/latest/api/token")
meta() { ask -H "X-aws-ec2-metadata-token: $token" "$at/latest/meta-data/$1"; }
export COSTPLAN_MACHINE=$(meta instance-id) COSTPLAN_TYPE=$(meta instance-type)
export COSTPLAN_ZONE=$(meta placement/availability-zone) COSTPLAN_REGION=$(meta placement/region)
[ "$(meta instance-life-cycle)" = spot ] && market=spot || market=on_demand
export COSTPLAN_MARKET=$market""",
    "gcp": """\
at=${COSTPLAN_METADATA:-http://metadata.google.internal}
meta() { ask -H 'Metadata-Flavor: Google' "$at/computeMetadata/v1/$1"; }
export COSTPLAN_MACHINE=$(meta instance/name)
type=$(meta instance/machine-type) zone=$(meta instance/zone)
export COSTPLAN_TYPE=${type##*/} COSTPLAN_ZONE=${zone##*/}
[ "$(meta instance/scheduling/preemptible)" = TRUE ] && market=spot || market=on_demand
export COSTPLAN_MARKET=$market
member() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
gcp_secret() {
  local token=$(meta instance/service-accounts/default/token | member "['access_token']")
  local api=https://secretmanager.googleapis.com/v1/projects/$(meta project/project-id)
  ask -H "Authorization: Bearer $token" "$api/secrets/$1/versions/latest:access" |
    member "['payload']['data']" | base64 -d
}""",
    "azure": """\
at=${COSTPLAN_METADATA:-http://169.254.169.254}
member() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
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

_AGENT_FILE = """\
base64 -d <<'END' | gunzip > "$dir/{name}" || fail "no agent"
{text}
END
mkdir -p "$dir/costplan_agent-space\""""

_TAIL = """\
trap 'kill -TERM $workers; wait $workers' TERM
wait $workers"""
