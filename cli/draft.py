"""A first configuration of the autoscaler as text: a file that loads, with words to each key.

A cloud is one entry of DRAFTS: what it is asked for, and its part of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

NO_IMAGE = "ami-00000000000000000"
"""Stands where an image is to be named; no image has this id."""
NO_PROJECT = "replace-this-project"

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*(?::[A-Za-z0-9._/-]+)*")
_ADDRESS = re.compile(r"(tcp|tls)://(.+):\d+")
_DASHBOARD_PORT = 8787


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a person wants: texts as they were given, '' and () where nothing was said."""

    cluster: str
    provider: str
    region: str
    zones: tuple[str, ...]
    project: str
    scheduler: str
    endpoint: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A provider's part.

    `default_region` is used where none is named, '' for a provider without regions and images, and
    `zone_ends` is how the names of zones end that most regions have. `billed` is what is named as
    who pays, '' for nothing, and `secret` how a secret is referred to that machines can read, ''
    where they read files of this computer. `more` is what else stands in the file, `beside` the
    files that it needs, name and text, and `to_do` what a person does before a first run.
    """

    default_region: str
    zone_ends: tuple[str, ...] = ("a", "b")
    billed: str = ""
    provider: Callable[[Answers], str]
    secret: str = ""
    more: str = ""
    beside: Mapping[str, str]
    to_do: Callable[[Answers], tuple[str, ...]]


def config_text(answers: Answers) -> str:
    """The whole file."""
    draft = DRAFTS[answers.provider]
    is_tls = answers.scheduler.startswith("tls://")
    values = {
        "cluster": _word(answers.cluster),
        "endpoint": _word(answers.endpoint or _endpoint_of(answers.scheduler)),
        "address": _word(answers.scheduler),
        "worker_tls": _WORKER_TLS if is_tls and not draft.secret else "",
        "provider": draft.provider(answers),
        "provider_tls": _PROVIDER_TLS.format(secret=draft.secret)
        if is_tls and draft.secret
        else "",
        "more": draft.more,
    }
    return _FILE.format(**values)


def _endpoint_of(address: str) -> str:
    """Where a scheduler that workers join at an address usually serves HTTP."""
    found = _ADDRESS.fullmatch(address)
    return f"http://{found[2] if found else address}:{_DASHBOARD_PORT}"


def _word(text: str) -> str:
    """The text as YAML reads it back as this text."""
    if _PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    quoted: str = yaml.safe_dump(text, default_style='"', width=10**6, allow_unicode=True)
    return quoted.strip()


def _local(_: Answers) -> str:
    return """\
provider:
  # Machines are processes of this computer; prices and interruptions come from a scenario.
  kind: local
  scenario: scenario.yaml
  # What the machines keep; a folder belongs to one scenario.
  state_dir: state/machines
"""


_LOCAL_PRICES = """
# A price list of your own, instead of the bundled prices; docs/prices.md.
# prices: {file: prices.csv}
"""


def _aws(answers: Answers) -> str:
    zones = ", ".join(_word(zone) for zone in answers.zones)
    image = answers.image
    note = "" if image else "  # REPLACE: no image has this id"
    return f"""\
provider:
  # EC2 instances of one region, with the credentials that boto3 finds.
  kind: aws
  region: {_word(answers.region)}
  # More zones have more spot pools to choose from; traffic between zones costs.
  zones: [{zones}]
  # What machines boot, with `dask` on its path. Graviton is bought where it has an image too, and
  # `machines.arch` below names arm64:
  # image: {{x86_64: ami-0123456789abcdef0, arm64: ami-0fedcba9876543210}}
  image: {_word(image or NO_IMAGE)}{note}
  # Which types are looked at; every type where nothing is said.
  # instance_types: ["m5.*", "m6i.*", "c6i.*", "r6i.*"]
  # Where machines of a zone are; its default subnet where nothing is said.
  # subnets: {{{_word(answers.zones[0])}: subnet-0123456789abcdef0}}
  # security_groups: [sg-0123456789abcdef0]
  # The role that machines have, for what the work reads and writes.
  # instance_profile: dask-worker
  # root_disk: 100 GiB
  # Whether their subnets give machines a public address, which then is planned with and booked.
  # public_ip: false
  # The queue of interruption warnings (docs/clouds/aws.md); without it they come by the workers.
  # queue: https://sqs.{answers.region}.amazonaws.com/123456789012/costplan
  # A profile of ~/.aws/config, instead of the default one.
  # profile: costplan
"""


def _aws_to_do(answers: Answers) -> tuple[str, ...]:
    return () if answers.image else ("put your image in place of provider.image",)


_EXAMPLE_IMAGE = "projects/P/global/images/dask"


def _gcp(answers: Answers) -> str:
    zones = ", ".join(_word(zone) for zone in answers.zones)
    project = answers.project or NO_PROJECT
    image = answers.image or f"projects/{project}/global/images/family/dask"
    return f"""\
provider:
  # Machines of Compute Engine, with the credentials that Google's client finds.
  kind: gcp
  project: {_word(project)}{"" if answers.project else "  # REPLACE: the id of yours"}
  # More zones have more spot pools to choose from; traffic between zones costs.
  zones: [{zones}]
  # What machines boot, with `dask` on its path. Axion is bought where it has an image too, and
  # `machines.arch` below names arm64:
  # image: {{x86_64: {_EXAMPLE_IMAGE}, arm64: {_EXAMPLE_IMAGE}-arm}}
  image: {_word(image)}{"" if answers.image else "  # REPLACE: one of yours"}
  # Which types are looked at; every type where nothing is said.
  # machine_types: ["n2-*", "n2d-*", "e2-*", "c3-*"]
  # Where machines are, by region; the network where nothing is said.
  # subnets: {{{_word(answers.region)}: dask}}
  # network: default
  # Firewall rules go by tags: workers and scheduler must reach each other.
  # network_tags: [dask]
  # Without an address outside, images and packages come by Cloud NAT (docs/clouds/gcp.md).
  # external_ip: true
  # The identity that machines have, for what the work reads and writes.
  # service_account: dask-worker@{project}.iam.gserviceaccount.com
  # root_disk: 100 GiB
"""


def _gcp_to_do(answers: Answers) -> tuple[str, ...]:
    needed = {"project": answers.project, "image": answers.image}
    return tuple(f"put your {name} in place of provider.{name}"
                 for name, given in needed.items() if not given)  # fmt: skip


NO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
"""Stands where a subscription is to be named; none has this id."""
_NO_GROUP = f"/subscriptions/{NO_SUBSCRIPTION}/resourceGroups/dask"
_NO_SUBNET = f"{_NO_GROUP}/providers/Microsoft.Network/virtualNetworks/dask/subnets/workers"


def _azure(answers: Answers) -> str:
    zones = ", ".join(_word(zone) for zone in answers.zones)
    image = answers.image or f"{_NO_GROUP}/providers/Microsoft.Compute/images/dask"
    note = "" if answers.project else "  # REPLACE: the id of yours"
    return f"""\
provider:
  # Virtual machines of Azure in one resource group, with the credentials that azure-identity finds.
  kind: azure
  subscription: {answers.project or NO_SUBSCRIPTION}{note}
  resource_group: dask
  region: {_word(answers.region)}
  # More zones have more spot machines to choose from; traffic between zones costs.
  zones: [{zones}]
  # What machines boot, with `dask` on its path: publisher:offer:sku:version, or an image's id.
  # Arm is bought where it has an image too, and `machines.arch` below names arm64:
  # image: {{x86_64: a:b:c:latest, arm64: a:b:c-arm:latest}}
  image: {_word(image)}{"" if answers.image else "  # REPLACE: one of yours"}
  # The subnet that machines are in. Without public_ip, packages and images from outside come by a
  # NAT gateway (docs/clouds/azure.md).
  subnet: {_NO_SUBNET}  # REPLACE
  # public_ip: true
  # security_group: {_NO_GROUP}/providers/Microsoft.Network/networkSecurityGroups/dask
  # Azure makes no Linux machine without a key. Its private part may be thrown away.
  ssh_key: ssh-ed25519 AAAA  # REPLACE: a public key
  # The identity that machines have, for what the work reads and writes.
  # identity: {_NO_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/dask
  # Which sizes are looked at; every size where nothing is said, whose prices take a minute to read.
  sizes: ["Standard_D*s_v5", "Standard_E*s_v5", "Standard_F*s_v2"]
  # root_disk: 100 GiB
"""


_AZURE_CADENCE = """
# Azure bounds how often machines are listed (docs/clouds/azure.md).
cadence: {observe: 5s}
"""


def _azure_to_do(answers: Answers) -> tuple[str, ...]:
    given = {"subscription": answers.project, "image": answers.image}
    needed = ["subnet", "ssh_key", *(name for name, text in given.items() if not text)]
    return (f"put yours in place of provider.{', provider.'.join(sorted(needed))}",)


DRAFTS: Mapping[str, Draft] = {
    "aws": Draft(
        default_region="us-east-1",
        provider=_aws,
        secret="aws-secret:dask",  # noqa: S106 - a name
        beside={},
        to_do=_aws_to_do,
    ),
    "gcp": Draft(
        default_region="us-central1",
        zone_ends=("-b", "-c"),
        billed="Project",
        provider=_gcp,
        secret="gcp-secret:dask",  # noqa: S106 - a name
        beside={},
        to_do=_gcp_to_do,
    ),
    "azure": Draft(
        default_region="eastus",
        zone_ends=("-1", "-2"),
        billed="Subscription",
        provider=_azure,
        secret="azure-secret:VAULT/dask",  # noqa: S106 - a name
        more=_AZURE_CADENCE,
        beside={},
        to_do=_azure_to_do,
    ),
    "local": Draft(
        default_region="",
        provider=_local,
        more=_LOCAL_PRICES,
        beside={
            "scenario.yaml": """\
# The machines of an autoscaler on one computer; docs/local-provider.md says what every key means.
scenario: first-try
place: {provider: aws, region: us-east-1, zone: us-east-1a}
boot: 2s
offers:
  # Prices are those of the price list; sizes are what this computer has for a machine.
  - {type: c5.large, markets: [on_demand], vcpu: 1, memory: 1 GiB, capacity: 8}
  - {type: c5.large, markets: [spot], vcpu: 1, memory: 1 GiB, capacity: 3, hazard_per_hour: 0.2}
# A spot machine is taken away after two minutes, with a warning of 15 seconds.
# interruptions:
#   - {at: 2min, offer: "*/spot", which: oldest, notice: 15s}
"""
        },
        to_do=lambda _: (),
    ),
}
"""What there is, by the word that a person gives. The first is the default."""


def steps(answers: Answers, config: Path) -> tuple[str, ...]:
    """What a person does next, in order."""
    draft = DRAFTS[answers.provider]
    is_tls = answers.scheduler.startswith("tls://") and draft.secret
    name = "" if str(config) == "costplan.yaml" else f" --config {config}"
    folder = "" if config.parent == Path() else f"{config.parent}/"
    return (
        f"make a token: mkdir -p {folder}state && "
        f"(umask 077; openssl rand -hex 32 > {folder}state/token)",
        "start the scheduler with it: dask scheduler --preload costplan.adapters.dask.preload "
        f"--costplan-token-file {folder}state/token",
        *draft.to_do(answers),
        *(["put what your machines can read in place of provider.tls"] if is_tls else []),
        "say in `workers` what your workers need, and in `budget` what they may cost",
        f"look whether all is there: costplan doctor{name}",
        f"drive it: costplan run{name}",
    )


_WORKER_TLS = """\
  # What workers show to the scheduler, and trust.
  worker_tls: {ca: tls/ca.pem, cert: tls/worker.pem, key: tls/worker-key.pem}
"""
_PROVIDER_TLS = """\
  # What workers show to the scheduler, and trust; where machines find it, docs/clouds/machines.md.
  tls: {{ca: {secret}-ca, cert: {secret}-cert, key: {secret}-key}}  # REPLACE
"""

_FILE = """\
# The autoscaler's file: `costplan doctor` looks whether all that it names is there, `costplan run`
# drives the cluster by it. docs/autoscaler-config.md has every key; lines that begin with "# " and
# a key are choices to take up.

# The cluster's name, which every machine carries as a tag. Only machines with it are ever touched,
# so two clusters need two names.
cluster: {cluster}
# What the money is spent for; reports call it so.
workload: {cluster}
# More tags for each machine.
# tags: {{team: risk, cost-centre: "4711"}}

scheduler:
  # Where workers join.
  address: {address}
  # Where the scheduler serves HTTP: its dashboard's port. It is started with
  #   dask scheduler --preload costplan.adapters.dask.preload --costplan-token-file FILE
  # and the token travels as it is: use https:// where others can listen.
  endpoint: {endpoint}
  # The same token as the scheduler's, in a file that only you may read. Paths start at this
  # file's folder.
  token_file: state/token
  # ca_file: /etc/costplan/ca.pem    # with https:// only; else the system's are trusted
{worker_tls}
{provider}{provider_tls}{more}
# Where the daemon keeps what must survive it.
store: {{path: state/costplan.db}}

# Kinds of worker, in the order of preference: what ONE Dask worker needs.
workers:
  - name: worker
    vcpu: 1
    memory: 1 GiB
    # threads: 1                      # tasks at once; its whole vCPU where nothing is said
    # gpu: {{count: 1, kinds: [T4, L4]}}
    minimum: 0                        # so many always stay
    maximum: 8                        # never more

scaling:
  # Work is to be done within this time of when it comes, boots included.
  target: 5min
  # A worker with nothing to do is kept this long at most.
  idle: 10min
  # How long a machine takes to join, until some have been seen to.
  boot: 2min

budget:
  # What the fleet may cost, in dollars. Nothing is bought above it.
  usd_per_hour: 1
  usd_per_day: 10
  # usd_per_month: 200

market:
  # Spot is the cheaper part, and may be taken away.
  allow: [on_demand, spot]
  # spot_max_share: 0.8               # so much of the vCPU at most
  # on_demand_base_vcpu: 8            # spot only on top of so many vCPU

limits:
  # Machines at most, whatever waits.
  max_nodes: 8

# machines: {{arch: [x86_64, arm64], exclude: ["t2.*", "t3*"], max_vcpu: 96}}
# interruption: {{lost_work: 10min, restart: 3min}}
# safety:
#   freezes:
#     - {{from: "22:00", to: "06:00", reason: nightly settlement}}
# http: {{listen: 127.0.0.1:9464}}      # health and metrics
# log: {{format: json, level: info}}
"""
