"""The arguments of `CostplanCluster`: what is refused and how, and the file that comes of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from distributed.security import Security

from costplan.adapters.cluster.arguments import adapt_changes, budget_of, workers_by_kind
from costplan.adapters.cluster.file import (
    Said,
    changed,
    check_file,
    file_of,
    kinds_of,
    read_workload,
    text_of,
)
from costplan.adapters.cluster.folder import Folder
from costplan.adapters.cluster.scenario import local_scenario
from costplan.adapters.dask import CostplanCluster
from costplan.adapters.dask.adaptive_options import ArgumentError
from costplan.adapters.local.scenario import parse_scenario
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.daemon_config import daemon_config_from_mapping
from costplan.planner.errors import InputError
from costplan.planner.settings import Settings
from costplan.planner.units import GIB

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SMALL = {"name": "small", "count": 4, "vcpu": 1, "memory": "512 MiB"}
WORKLOAD: dict[str, Any] = {"workload": "tested", "workers": [SMALL]}
AWS = {"region": "us-east-1", "zones": ["us-east-1a"], "image": "ami-0123456789abcdef0"}
HERE = "0.0.0.0"  # noqa: S104 - nothing is started; the only address beyond loopback that is sure
ROLES = ("scheduler", "worker", "client")
TLS_FIELDS = ("tls_ca_file", *(f"tls_{r}_{part}" for r in ROLES for part in ("cert", "key")))
EXAMPLE = Path(__file__).parents[2] / "examples" / "fraud-training.yaml"


def start(root: Path, **said: Any) -> None:
    """Tries to start a cluster; nothing may come of it."""
    usual = {"workload": WORKLOAD, "providers": ["local"], "folder": root}
    CostplanCluster(**{**usual, **said})


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"providers": ["aws", "gcp"]}, "providers: ['aws', 'gcp'] is not one provider"),
        ({"providers": []}, "providers: [] is not one provider"),
        ({"providers": "amazon"}, "providers: 'amazon' is no provider; name one of local, aws"),
        ({"providers": ["gpc"]}, "did you mean 'gcp'?"),
        ({"providers": 3}, "providers: 3 is no list of names"),
        ({"budget": "40"}, "budget: '40' is no budget; write it like '40 USD/h'"),
        ({"budget": "0 USD/h"}, "budget: '0' is no amount of dollars above 0"),
        ({"budget": {"usd_per_hours": 4}}, "did you mean 'usd_per_hour'?"),
        ({"budget": "1 USD/h, 2 USD/h"}, "says usd_per_hour twice"),
        ({"budget": "9 USD/month, 10 USD/day"}, "budget: budget.usd_per_day: $10.00 is above"),
        ({"name": "../etc"}, "name: '../etc' is no name"),
        ({"workload": "nowhere.yaml"}, "nowhere.yaml: there is no such file"),
        ({"workload": 7}, "workload: 7 is neither a file nor a mapping"),
        ({"workload": {**WORKLOAD, "worker": 1}}, "did you mean 'workers'?"),
        ({"workload": {**WORKLOAD, "workers": [{**SMALL, "markets": ["spot"]}]}}, "market.allow"),
        ({"workload": {**WORKLOAD, "workers": [{**SMALL, "vcpu": 999}]}}, "need 999 vCPU"),
        ({"workload": {**WORKLOAD, "workers": [{**SMALL, "gpu": 1}]}}, "and 1 GPUs, and the large"),
        ({"provider_options": {"scenario": "no.yaml"}}, "no.yaml: there is no such file"),
        ({"provider_options": {"scenario": EXAMPLE}}, "scenario: is missing; add scenario"),
        ({"provider_options": {"scenario": 3}}, "provider_options: 3 is no scenario file"),
        ({"provider_options": {"zone": "a"}}, "provider_options: zone: 'zone' is not"),
        ({"providers": "aws"}, "host: machines of aws cannot reach a scheduler that listens on"),
        (
            {"providers": "aws", "host": HERE},
            "provider_options: 3 problems\n  region: is missing",
        ),
        ({"providers": "aws", "host": HERE}, "  image: is missing; add image: ami-"),
        ({"providers": "aws", "host": "localhost"}, "host: machines of aws cannot reach a"),
        ({"host": "tcp://me"}, "host: 'tcp://me' is no address"),
        ({"host": "192.0.2.1"}, "host: '192.0.2.1' cannot be listened at: "),
        ({"name": ""}, "name: '' is no name"),
        ({"port": -1}, "port: -1 is no port"),
        ({"settings": {"scale": {}}}, "settings: 'scale' is no section that may be given"),
        ({"settings": {"scaling": {"idel": 3}}}, "settings: scaling.idel: 'idel' is not a key"),
        ({"security": "yes"}, "security: str is none"),
        (
            {"security": {"tls_ca_file": "ca.pem"}},
            "tls_scheduler_cert, tls_scheduler_key",
        ),
        (
            {"providers": "aws", "host": HERE, "security": True, "provider_options": AWS},
            "provider_options: tls is missing",
        ),
        ({"grace": "soon"}, "grace: 'soon' is no duration"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_begins(
    said: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError) as caught:
        start(tmp_path, **said)
    assert problem in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        (None, {}),
        ("40 USD/h", {"usd_per_hour": "40"}),
        ("$2.50 per hour", {"usd_per_hour": "2.50"}),
        ("1_000 USD/month and 40 dollars a day", {"usd_per_month": "1000", "usd_per_day": "40"}),
        ({"usd_per_hour": 0.1}, {"usd_per_hour": "0.1"}),
    ],
)
def test_a_budget_in_words_or_numbers(said: Any, limits: dict[str, str]) -> None:
    assert budget_of(said) == limits


def made(workload: Any, provider: str = "local", **more: Any) -> dict[str, Any]:
    """The file of a cluster."""
    options = {"scenario": "s.yaml", "state_dir": "m"} if provider == "local" else AWS
    said = {"options": options, "budget": {}, "settings": {}, **more}
    return file_of(Said(name="c", workload=read_workload(workload), provider=provider, **said))


def settings(file: dict[str, Any]) -> Settings:
    return daemon_config_from_mapping(file, "c.yaml", "/c").settings


@pytest.mark.parametrize(
    ("strange", "problem"),
    [
        (("tls_ca_file",), "scheduler and worker do not believe each other: "),
        (("tls_client_cert", "tls_client_key"), "scheduler and client do not believe each other: "),
        (("tls_worker_key",), "of the worker are not to be used: "),
    ],
)
def test_certificates_that_do_not_belong_together(
    tmp_path: Path, strange: tuple[str, ...], problem: str
) -> None:
    ours, others = (Security.temporary() for _ in range(2))
    fields = {name: getattr(ours, name) for name in TLS_FIELDS}
    mixed = {**fields, **{name: getattr(others, name) for name in strange}}
    with pytest.raises(ArgumentError, match=problem) as told:
        start(tmp_path, name="mixed", security=Security(require_encryption=True, **mixed))
    assert str(told.value).startswith("security: ")
    assert not any("key" in path.name for path in tmp_path.rglob("*"))
    assert not Folder(tmp_path, "mixed").is_living


def test_what_is_foretold_counts_where_a_calendar_or_a_person_says_so() -> None:
    """Nothing is kept or bought for the next hours of a session by itself."""
    night = {"name": "n", "kind": "small", "workers": 3, "at": "01:00", "duration": "2h"}
    for given, seconds in (
        ({}, 0),
        ({"scaling": {"idle": "5s"}}, 0),
        ({"scaling": {"ahead": "1h"}}, 3600),
        ({"calendar": [night]}, 4 * 3600),
    ):
        assert settings(made(WORKLOAD, settings=given)).scaling.ahead_seconds == seconds


def test_a_workload_file_becomes_the_rules_of_one_cloud() -> None:
    found = settings(made(EXAMPLE, "aws", budget={"usd_per_hour": "7"}))
    assert [(kind.name, kind.minimum, kind.maximum) for kind in found.kinds] == [
        ("features", 0, 400),
        ("train", 0, 8),
    ]
    assert found.where.providers == ("aws",)
    assert dict(found.where.regions) == {"aws": ("us-east-1", "us-east-2")}
    assert found.market.spot_max_share == 0.8
    assert found.limits.max_nodes == 300
    assert found.budget.usd_per_hour == 7


GCP = {"project": "ours-1", "zones": ["us-central1-a"], "image": "projects/ours-1/global/images/d"}
SUBNET = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/N/subnets/d"
AZURE = {
    "subscription": "00000000-0000-0000-0000-000000000001", "resource_group": "dask",
    "region": "eastus", "zones": ["eastus-1"], "image": "a:b:c:latest", "subnet": SUBNET,
    "ssh_key": "ssh-ed25519 AAAA",
}  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "options", "observed"), [("gcp", GCP, 1.0), ("azure", AZURE, 5.0)]
)
def test_the_file_of_other_clouds(provider: str, options: Any, observed: float) -> None:
    file = made({**WORKLOAD, "machines": {"public_ip": True}}, provider, options=options)
    assert file["provider"]["external_ip" if provider == "gcp" else "public_ip"] is True
    found = settings(file)
    assert found.where.providers == (provider,)
    assert found.cadence.observe_seconds == observed


def test_quotas_of_other_clouds_and_what_is_only_priced_are_left_out() -> None:
    quotas = [{"provider": "gcp", "nodes": 1}, {"provider": "aws", "nodes": 2}, {"vcpu": 8}]
    said = {
        **WORKLOAD,
        "duration": "6h",
        "where": {"providers": ["aws", "gcp"], "traffic_per_hour": "1 GiB"},
        "machines": {"root_disk": "80 GiB", "public_ip": True, "max_vcpu": 16},
        "limits": {"quotas": quotas},
    }
    file = made(said, "aws")
    assert (file["provider"]["root_disk"], file["provider"]["public_ip"]) == ("80 GiB", True)
    found = settings(file)
    assert [(q.nodes, q.vcpu_milli) for q in found.limits.quotas] == [(2, None), (None, 8000)]
    assert found.machines.max_vcpu == 16
    with pytest.raises(ArgumentError, match=r"'azure' is not among where\.providers"):
        made(said, "azure")


def test_files_of_a_workload_file_are_found_from_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(text_of({**WORKLOAD, "commitments_file": "held.yaml"}))
    assert read_workload(path)["commitments_file"] == str(tmp_path / "held.yaml")


def test_what_is_written_is_read_back_as_it_was() -> None:
    file = made(WORKLOAD, settings={"tags": {"a": "010", "b": "1e-2", "c": "yes", "d": "ü: #x"}})
    assert mapping_from_yaml(text_of(file), "c.yaml", "docs") == file


TWO = {**WORKLOAD, "workers": [SMALL, {**SMALL, "name": "large"}]}


def test_numbers_of_workers_are_by_kind_where_there_are_several() -> None:
    assert workers_by_kind("n", 3, ["small"]) == {"small": 3}
    assert workers_by_kind("n", {"large": 2}, ["small", "large"]) == {"large": 2}
    for said, problem in (
        (3, "3 does not say of which kind; write {'small': 3, 'large': 3}"),
        ({"lage": 1}, "did you mean 'large'?"),
        ({"large": -1}, "-1 is no number of workers"),
        ({"large": True}, "True is no number of workers"),
        ({"large": 10**9}, "n: 1,000,000,000 workers are too many; write up to 10,000,000"),
    ):
        with pytest.raises(ArgumentError) as caught:
            workers_by_kind("n", said, ["small", "large"])
        assert problem in str(caught.value)
    with pytest.raises(ArgumentError, match=r"^large: 1\.5 is no number of workers"):
        workers_by_kind("", {"large": 1.5}, ["small", "large"])


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ({"minimum": 9}, (9, 9)),
        ({"maximum": 2}, (1, 2)),
        ({"maximum": 0}, (0, 0)),
        ({"minimum": 2, "maximum": 7}, (2, 7)),
        ({}, (1, 4)),
    ],
)
def test_bounds_that_are_not_said_give_way(said: dict[str, int], numbers: tuple[int, int]) -> None:
    file = made(WORKLOAD)
    file["workers"][0]["minimum"] = 1
    new = changed(file, adapt_changes(said, kinds_of(file), NOW))
    (kind,) = settings(new).kinds
    assert (kind.minimum, kind.maximum) == numbers


def test_a_target_of_nothing_is_refused() -> None:
    with pytest.raises(ArgumentError, match="target: '0s' is too short"):
        adapt_changes({"target": "0s"}, ["small"], NOW)


def test_adapt_changes_what_is_said_and_takes_back_what_is_none() -> None:
    file = made(WORKLOAD, budget={"usd_per_day": "5"})
    said = {"deadline": "8h", "usd_per_hour": 2, "target_duration": "10s", "idle_timeout": 30}
    first = changed(file, adapt_changes(said, ["small"], NOW))
    found = settings(first)
    assert found.scaling.deadline == NOW.replace(hour=20)
    assert (found.scaling.target_seconds, found.scaling.idle_seconds) == (10, 30)
    assert (found.budget.usd_per_hour, found.budget.usd_per_day) == (2, 5)
    back = {"deadline": None, "usd_per_day": None}
    found = settings(changed(first, adapt_changes(back, ["small"], NOW)))
    assert found.scaling.deadline is None
    assert (found.budget.usd_per_hour, found.budget.usd_per_day) == (2, None)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"minimun": 1}, "minimun: is no argument of adapt; did you mean 'minimum'?"),
        ({"interval": 1}, "interval: is no argument of adapt"),
        ({"target": 1, "target_duration": 2}, "target_duration: says the same as target"),
        ({"deadline": "yesterday"}, "deadline: 'yesterday' is no time ahead of now"),
        ({"usd_per_hour": 0}, "usd_per_hour: 0 is no amount of dollars above 0"),
    ],
)
def test_wrong_arguments_of_adapt(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        adapt_changes(said, ["small"], NOW)
    assert problem in str(caught.value)


def test_a_minimum_above_the_maximum_is_refused() -> None:
    file = made(WORKLOAD)
    said = adapt_changes({"minimum": 3, "maximum": 2}, ["small"], NOW)
    with pytest.raises(ArgumentError, match=r"adapt: .*3 is above maximum"):
        check_file(changed(file, said), Path("/c"), "adapt")


@pytest.mark.parametrize("cores", [1, 2, 6, 64])
def test_machines_of_this_computer_fit_into_it(cores: int) -> None:
    scenario = local_scenario(cores, cores * 4 * GIB)
    parsed = parse_scenario(text_of(scenario), "scenario.yaml", folder=Path())
    assert parsed.digest
    sizes = {offer["type"]: offer["vcpu"] for offer in scenario["offers"]}
    assert max(sizes.values()) <= cores
    assert {"c5.large", "m5.large"} <= set(sizes)


def test_an_example_of_one_computer_by_hand() -> None:
    """16 GiB, a fifth of it free, on four cores: 3,276 MiB a core for m5, half of it for c5."""
    offers = {o["type"]: o for o in local_scenario(4, 16 * GIB)["offers"]}
    assert offers["m5.large"]["memory"] == "3276 MiB"
    assert offers["c5.large"]["memory"] == "1638 MiB"
    assert (offers["m5.2xlarge"]["vcpu"], offers["m5.2xlarge"]["capacity"]) == (4, 1)
    assert offers["m5.large"]["capacity"] == 4


def test_a_file_that_is_no_workload_says_all_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("workload: x\nworkers: [{name: a}]\n")
    with pytest.raises(InputError) as caught:
        read_workload(path)
    assert all(key in str(caught.value) for key in ("count", "vcpu", "memory"))
