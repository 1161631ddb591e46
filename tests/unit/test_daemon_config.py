"""The autoscaler's file: what it means, and what each broken one is answered with."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from costplan.cli.config_file import read_config
from costplan.planner.azure_config import AzureChoice
from costplan.planner.calendar import ScheduledJob
from costplan.planner.config_models import keys_of, sections
from costplan.planner.daemon_config import (
    DaemonConfig,
    Listen,
    LogStyle,
    SchedulerAccess,
    daemon_config_from_mapping,
    parse_daemon_config,
)
from costplan.planner.daemon_config_models import DaemonSection
from costplan.planner.errors import InputError
from costplan.planner.provider_config import (
    AwsChoice,
    GcpChoice,
    ProviderChoice,
    StartChoice,
    WorkerTls,
)
from costplan.planner.provider_config_models import ADVISOR_URL
from costplan.planner.settings import Budget, Freeze, Settings, WorkerKind
from costplan.planner.types import Resources
from costplan.planner.units import GIB
from tests.unit.daemon_files import (
    LEAST,
    LEAST_AWS,
    LEAST_AZURE,
    LEAST_GCP,
    SCHEDULER,
    copied,
    parsed,
)

BROKEN = yaml.safe_load((Path(__file__).parent / "broken_daemon_configs.yaml").read_text())
KIND = WorkerKind(
    name="a", need=Resources(vcpu_milli=1000, memory_bytes=GIB), threads=1, resources={}
)


def _text(case: dict[str, Any]) -> str:
    """The file of a case: its own, or the least one with a section changed or text added."""
    if "file" in case:
        return str(case["file"])
    least = {**LEAST, "scheduler": {**SCHEDULER, **case.get("scheduler", {})}}
    if "provider" in case:
        least["provider"] = case["provider"]
    if "workers" in case:
        least["workers"] = yaml.safe_load(case["workers"])
    return yaml.safe_dump(least, sort_keys=False) + case.get("and", "")


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case["case"])
def test_a_broken_file_is_answered_with(case: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        parse_daemon_config(_text(case), "c.yaml", "/etc")
    assert str(caught.value) == f"c.yaml: {case['answer']}"


def test_what_a_file_leaves_out_has_the_default_of_the_settings() -> None:
    assert parsed() == DaemonConfig(
        settings=Settings(cluster="c", workload="w", kinds=(KIND,)),
        scheduler=SchedulerAccess(
            endpoint="http://h:8787",
            token_file="/etc/costplan/t",  # noqa: S106
            address="tcp://h:8786",
        ),
        provider=ProviderChoice(
            kind="local", scenario="/etc/costplan/s.yaml", state_dir="/etc/costplan/d"
        ),
        store_path="/etc/costplan/s.db",
        prices_file=None,
        http=Listen(host="127.0.0.1", port=9464),
        log=LogStyle(format="console", level="info"),
    )


def test_paths_start_at_the_folder_of_the_file_or_at_the_root() -> None:
    tls = {"ca": "./ca.pem", "cert": "/x/cert.pem", "key": "../key.pem"}
    config = parsed(
        scheduler={**SCHEDULER, "address": "tls://h:8786", "worker_tls": tls},
        prices={"file": "p/prices.csv"},
        store={"path": "/var/costplan.db"},
    )
    assert config.scheduler.worker_tls == WorkerTls(
        ca="/etc/costplan/ca.pem", cert="/x/cert.pem", key="/etc/costplan/../key.pem"
    )
    assert config.prices_file == "/etc/costplan/p/prices.csv"
    assert config.store_path == "/var/costplan.db"


def test_machines_of_aws() -> None:
    written = {
        "kind": "aws", "region": "us-east-1", "zones": ["us-east-1a"], "root_disk": "120 GB",
        "image": {"x86_64": "ami-1", "arm64": "ami-2"}, "subnets": {"us-east-1a": "subnet-1"},
        "security_groups": ["sg-1"], "queue": "https://sqs.us-east-1.amazonaws.com/1/q",
    }  # fmt: skip
    assert parsed(provider=written).provider == AwsChoice(
        region="us-east-1",
        zones=("us-east-1a",),
        images={"x86_64": "ami-1", "arm64": "ami-2"},
        instance_types=("*",),
        subnets={"us-east-1a": "subnet-1"},
        security_groups=("sg-1",),
        instance_profile="",
        root_device="/dev/xvda",
        root_disk_gib=112,
        queue_url="https://sqs.us-east-1.amazonaws.com/1/q",
        profile="",
        advisor_url=ADVISOR_URL,
        endpoint_url="",
        start=StartChoice(
            python="python3",
            conda="",
            container="",
            before="",
            death_timeout_seconds=120,
            tls=None,
        ),
    )
    one_image = parsed(provider={**LEAST_AWS, "image": "ami-1"}).provider
    assert isinstance(one_image, AwsChoice)
    assert one_image.images == {"x86_64": "ami-1"}


def test_machines_of_azure() -> None:
    written = {
        **LEAST_AZURE, "sizes": ["Standard_D*"], "public_ip": True, "root_disk": "120 GB",
        "scale_set": "workers", "spot_usd_per_hour": "0.25", "python": "py",
        "endpoint": "https://management.usgovcloudapi.net",
        "tls": {"ca": "file:/ca.pem", "cert": "azure-secret:v/c", "key": "azure-secret:v/k"},
    }  # fmt: skip
    scheduler = {**SCHEDULER, "address": "tls://h:8786"}
    assert parsed(provider=written, scheduler=scheduler).provider == AzureChoice(
        subscription="00000000-0000-0000-0000-000000000001",
        resource_group="dask",
        region="eastus",
        zones=("eastus-1",),
        images={"x86_64": "a:b:c:latest"},
        sizes=("Standard_D*",),
        subnet="/subscriptions/S/resourceGroups/G/providers/N/subnets/s",
        security_group="",
        identity="",
        public_ip=True,
        ssh_key="ssh-ed25519 AAAA me",
        admin_user="costplan",
        root_disk_gib=112,
        disk_sku="StandardSSD_LRS",
        scale_set="workers",
        spot_usd_per_hour=Decimal("0.25"),
        price_list_url="https://prices.azure.com",
        endpoint_url="https://management.usgovcloudapi.net",
        start=StartChoice(
            python="py",
            conda="",
            container="",
            before="",
            death_timeout_seconds=120,
            tls=WorkerTls(ca="file:/ca.pem", cert="azure-secret:v/c", key="azure-secret:v/k"),
        ),
    )


def test_how_a_machine_of_aws_becomes_a_worker() -> None:
    written = {
        **LEAST_AWS, "container": "ghcr.io/dask/dask:1", "before": "mount /data\nulimit -n 9\n",
        "death_timeout": "5min",
        "tls": {"ca": "file:/etc/ca.pem", "cert": "aws-secret:cert", "key": "aws-parameter:/k"},
    }  # fmt: skip
    provider = parsed(provider=written, scheduler={**SCHEDULER, "address": "tls://h:8786"}).provider
    assert isinstance(provider, AwsChoice)
    assert provider.start == StartChoice(
        python="python3",
        conda="",
        container="ghcr.io/dask/dask:1",
        before="mount /data\nulimit -n 9\n",
        death_timeout_seconds=300,
        tls=WorkerTls(ca="file:/etc/ca.pem", cert="aws-secret:cert", key="aws-parameter:/k"),
    )


def test_machines_of_google_cloud() -> None:
    written = {
        **LEAST_GCP, "machine_types": ["n2-*"], "subnets": {"us-central1": "dask"},
        "network_tags": ["dask"], "external_ip": True, "root_disk": "120 GB", "python": "py",
        "service_account": "node@our-project.iam.gserviceaccount.com", "disk_type": "pd-ssd",
        "tls": {"ca": "file:/etc/ca.pem", "cert": "gcp-secret:cert", "key": "gcp-secret:key"},
    }  # fmt: skip
    scheduler = {**SCHEDULER, "address": "tls://h:8786"}
    assert parsed(provider=written, scheduler=scheduler).provider == GcpChoice(
        project="our-project",
        zones=("us-central1-a",),
        images={"x86_64": "projects/our-project/global/images/dask"},
        machine_types=("n2-*",),
        network="default",
        subnets={"us-central1": "dask"},
        network_tags=("dask",),
        external_ip=True,
        service_account="node@our-project.iam.gserviceaccount.com",
        root_disk_gib=112,
        disk_type="pd-ssd",
        endpoint_url="",
        start=StartChoice(
            python="py",
            conda="",
            container="",
            before="",
            death_timeout_seconds=120,
            tls=WorkerTls(ca="file:/etc/ca.pem", cert="gcp-secret:cert", key="gcp-secret:key"),
        ),
    )


@pytest.mark.parametrize(
    ("provider", "disk_gib", "has_address"),
    [
        (LEAST_AWS, 50, True),
        ({**LEAST_AWS, "subnets": {"ra": "subnet-1"}}, 50, False),
        ({**LEAST_AWS, "public_ip": False, "root_disk": "8 GiB"}, 8, False),
        (LEAST_GCP, 50, False),
        ({**LEAST_GCP, "external_ip": True}, 50, True),
        ({**LEAST_GCP, "disk_type": "pd-ssd"}, None, False),
        (LEAST_AZURE, 50, False),
        ({**LEAST_AZURE, "public_ip": True, "disk_sku": "Premium_LRS"}, None, True),
    ],
)
def test_what_is_priced_beside_machines(
    provider: dict[str, Any], disk_gib: int | None, has_address: bool
) -> None:
    """A disk of a type that no rate is known of is not."""
    extras = parsed(provider=provider).settings.extras
    assert extras.root_disk_bytes == (None if disk_gib is None else disk_gib * GIB)
    assert extras.public_ip is has_address


def test_a_kind_of_worker() -> None:
    worker = {
        "name": "train", "vcpu": 2.5, "memory": "30 GiB", "gpu": {"count": 2, "kinds": ["T4"]},
        "resources": {"LICENCE": 1}, "minimum": 1, "maximum": 8,
    }  # fmt: skip
    (kind,) = parsed(workers=[worker]).settings.kinds
    assert kind == WorkerKind(
        name="train",
        need=Resources(vcpu_milli=2500, memory_bytes=30 * GIB, gpus=2),
        threads=2,
        resources={"GPU": 2.0, "LICENCE": 1.0},
        minimum=1,
        maximum=8,
        gpu_kinds=("T4",),
    )


@pytest.mark.parametrize(
    ("written", "threads"), [({"vcpu": 0.5}, 1), ({"vcpu": 8}, 8), ({"vcpu": 8, "threads": 1}, 1)]
)
def test_threads_are_the_whole_vcpu_unless_said(written: dict[str, Any], threads: int) -> None:
    (kind,) = parsed(workers=[{"name": "a", "memory": "1 GiB", **written}]).settings.kinds
    assert kind.threads == threads


def test_a_gpu_resource_may_be_shared_out() -> None:
    worker = {"name": "a", "vcpu": 1, "memory": "1 GiB", "gpu": 1, "resources": {"GPU": 4}}
    (kind,) = parsed(workers=[worker]).settings.kinds
    assert kind.resources == {"GPU": 4.0}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("0.5s", 0.5), (0.5, 0.5), (2, 2.0), ("1min", 60.0), ("1h 30m", 5400.0)],
)
def test_short_durations_may_be_parts_of_a_second(written: Any, seconds: float) -> None:
    slow = {"plan": "1d", "load_stale": "1d", "machines_stale": "1d"}
    cadence = parsed(cadence={**slow, "observe": written}).settings.cadence
    assert cadence.observe_seconds == seconds


def test_money_is_kept_to_the_last_digit() -> None:
    budget = parsed(budget={"usd_per_hour": "0.30", "usd_per_month": 2.675}).settings.budget
    assert budget == Budget(usd_per_hour=Decimal("0.3"), usd_per_month=Decimal("2.675"))


def test_windows_need_no_quotes() -> None:
    text = (
        yaml.safe_dump(LEAST)
        + "safety: {freezes: [{from: 22:00, to: 6:30}, {from: 0:00, to: 24:00}]}"
    )
    assert parse_daemon_config(text, "c.yaml", "/").settings.safety.freezes == (
        Freeze(start_minute=1320, end_minute=390),
        Freeze(start_minute=0, end_minute=1440),
    )


def test_a_calendar_is_of_days_and_minutes() -> None:
    text = (
        yaml.safe_dump(LEAST)
        + "calendar: [{name: n, kind: a, workers: 20, at: 02:30, duration: 3h},"
        + " {name: w, kind: a, workers: 1, at: '0:05', duration: 90, days: [sun, mon]}]"
    )
    assert parse_daemon_config(text, "c.yaml", "/").settings.calendar == (
        ScheduledJob(name="n", kind="a", workers=20, start_minute=150, duration_seconds=10800),
        ScheduledJob(
            name="w", kind="a", workers=1, start_minute=5, duration_seconds=90, days=(0, 6)
        ),
    )


@pytest.mark.parametrize(
    ("written", "listen"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:9464", ("::1", 9464)), ("h:1", ("h", 1))],
)
def test_where_to_listen(written: str, listen: tuple[str, int]) -> None:
    http = parsed(http={"listen": written}).http
    assert (http.host, http.port) == listen


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["500ms", "1 GiB", "22:00", "tcp://h:1", "http://h:1", "local", "spot"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.text(max_size=4) | st.none() | st.integers(), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip
PLACES = sorted(
    (path, key)
    for path, model in sections(DaemonSection).items()
    for key in keys_of(model)
    if "quotas" not in path
)


@given(st.sampled_from(PLACES), VALUES)
@hypothesis_settings(max_examples=300, deadline=None)
def test_whatever_stands_at_a_key_the_answer_is_a_config_or_an_input_error(
    place: tuple[str, str], value: Any
) -> None:
    path, key = place
    data: dict[str, Any] = {name: copied(part) for name, part in LEAST.items()}
    inner: Any = data
    for step in path.split(".") if path else ():
        inner = inner.setdefault(step, [{}] if step in ("workers", "freezes", "calendar") else {})
        inner = inner[0] if isinstance(inner, list) else inner
    inner[key] = value
    said = "c.yaml: "
    try:
        daemon_config_from_mapping(data, "c.yaml", "/")
    except InputError as error:
        said = str(error)
    assert said.startswith("c.yaml: ")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no such file; see docs/autoscaler-config\.md"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder; name a YAML file in it"):
        read_config(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("cluster: café".encode("latin-1"))
    with pytest.raises(InputError, match="is not text in UTF-8"):
        read_config(latin)


def test_a_relative_name_of_the_file_gives_whole_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(LEAST))
    monkeypatch.chdir(tmp_path)
    assert read_config(Path("c.yaml")).store_path == str(tmp_path / "s.db")
