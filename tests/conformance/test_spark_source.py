"""A Spark driver's answers over HTTP, what they amount to, and those that are refused."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner, Result

from costplan.adapters.spark.source import SparkSource
from costplan.cli.main import app
from costplan.planner.errors import InputError
from costplan.planner.units import MIB
from tests.emulators.spark_rest import (
    APP,
    application,
    driver,
    environment,
    executor,
    spark,
    stage,
)

TOKEN = "0123456789abcdef"  # noqa: S105


def recommend(*words: str) -> Result:
    prices = ("--prices", "bundled", "--max-price-age", "99999d")
    return CliRunner().invoke(app, ["recommend", *words, *prices])


def test_stages_are_groups_and_executors_are_workers() -> None:
    with spark(driver()) as served:
        source = SparkSource(url=served.url + "/")
        sample = source.sample()
    active, pending = sample.load.groups
    assert (active.queued, active.running, active.mean_task_seconds) == (300, 8, 60.0)
    assert (active.need, active.observed_tasks) == ({}, 92)
    assert (pending.queued, pending.waiting, pending.mean_task_seconds) == (0, 50, None)
    assert set(sample.load.workers) == {"1", "2"}  # the driver runs nothing
    one = sample.load.workers["1"]
    assert (one.threads, one.executing, one.idle_since) == (4, 4, None)
    assert one.memory_bytes == (8192 + 820) * MIB  # the heap, and a tenth of it rounded up
    assert sample.starts == ()
    told = source.drain(["1"], datetime(2026, 11, 1, tzinfo=UTC))
    assert "can only be looked at" in told.refused["1"]
    assert (told.done, told.pending) == ((), ())


def test_a_plan_is_sized_by_how_long_tasks_take(tmp_path: Path) -> None:
    """308 tasks of 60 s: five a slot within 300 s, so 62 slots, so 16 executors of four."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "workload: etl\n"
        "workers:\n"
        "  - {name: small, count: 1, vcpu: 8, memory: 32 GiB}\n"
        "  - {name: large, count: 1, vcpu: 32, memory: 128 GiB}\n"
        "where: {providers: [gcp]}\n"
    )
    with spark(driver()) as served:
        plain = recommend("--spark", served.url)
        ruled = recommend(str(rules), "--spark", served.url)
        deadline = recommend("--spark", served.url, "--deadline", "8h")
    assert plain.exit_code == 0, plain.output
    assert "spark: 16 workers on" in plain.stdout
    assert "16 workers of 4 slots (like the workers that run now)" in plain.stdout
    assert "50 tasks wait for others and are not sized for" in plain.stdout
    assert "spark as a source has durations, and not gangs, drains, resizing" in plain.stdout
    assert ruled.exit_code == 0, ruled.output
    assert "etl: 8 workers on" in ruled.stdout  # 62 slots of eight
    assert "in gcp/" in ruled.stdout
    assert deadline.exit_code == 1
    assert "needs to know how long the work takes, which --spark does not say" in deadline.stderr


@pytest.mark.parametrize("tasks", [10**11, 2**60])
def test_more_workers_than_a_file_may_ask_for_are_refused(tasks: int) -> None:
    many = {"stages?details=false&status=active": [stage(3, tasks, 8, 92, 92 * 60_000)]}
    with spark(driver(**many)) as served:
        found = recommend("--spark", served.url)
    assert found.exit_code == 1, found.output
    assert "workers, and 10,000,000 of a kind is the most" in found.stderr
    assert found.stdout == ""


def test_cpus_and_gpus_of_tasks_are_slots() -> None:
    """Two cores and half a GPU each, on eight cores and one GPU: two at a time, not four."""
    task = {"cpus": 2.0, "gpu": 0.5}
    answers = driver(
        executors=[executor("1", 8, 2, gpus=1)],
        environment=environment(cores=8, task=task),
    )
    with spark(answers) as served:
        sample = SparkSource(url=served.url).sample()
        result = recommend("--spark", served.url)
    assert sample.load.groups[0].need == {"CPU": 2.0, "GPU": 0.5}
    assert "31 workers of 2 slots" in result.stdout  # 62 slots
    assert "8 vCPU" in result.stdout
    assert "no price" not in result.stdout


def test_without_executors_they_are_as_spark_would_start_them() -> None:
    with spark(driver(executors=[executor("driver", 0, 0)])) as served:
        sample = SparkSource(url=served.url).sample()
        result = recommend("--spark", served.url)
    (shape,) = sample.starts
    assert (shape.need.vcpu_milli, shape.need.memory_bytes) == (4000, 9012 * MIB)
    assert "16 workers of 4 slots (worker 'executor')" in result.stdout


def test_a_profile_of_a_stage_has_the_memory_of_the_application_where_it_says_none() -> None:
    """As `ResourceProfileBuilder().require(ExecutorResourceRequests().resource("gpu", 1))`."""
    own = environment()
    of_stage = {
        "id": 1,
        "executorResources": {"gpu": {"amount": 1}, "cores": {"amount": 8}},
        "taskResources": {"cpus": {"amount": 1.0}, "gpu": {"amount": 0.5}},
    }
    both = {**own, "resourceProfiles": [*own["resourceProfiles"], of_stage]}
    work = {
        "executors": [executor("driver", 0, 0)],
        "stages?details=false&status=active": [
            {**stage(3, 100, 0, 0, 0), "resourceProfileId": 1},
        ],
    }
    with spark(driver(environment=both, **work)) as served:
        _, shape = SparkSource(url=served.url).sample().starts
        result = recommend("--spark", served.url)
    need = shape.need
    assert (need.vcpu_milli, need.memory_bytes, need.gpus) == (8000, 9012 * MIB, 1)
    assert result.exit_code == 0, result.output
    only = {**own, "resourceProfiles": [of_stage]}
    with spark(driver(environment=only, **work)) as served:  # nobody says: the template's
        assert SparkSource(url=served.url).sample().starts == ()
        assert recommend("--spark", served.url).exit_code == 0


def test_in_local_mode_the_driver_works() -> None:
    answers = driver(
        executors=[executor("driver", 2, 2)], environment=environment("local[2]", cores=1)
    )
    with spark(answers) as served:
        sample = SparkSource(url=served.url).sample()
    assert sample.load.workers["driver"].threads == 2
    assert [gap.kind for gap in sample.unknown] == ["executors"]


def test_nothing_to_do_is_no_error() -> None:
    none: dict[str, Any] = {"stages?details=false&status=" + s: [] for s in ("active", "pending")}
    with spark(driver(**none)) as served:
        result = recommend("--spark", served.url)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing is queued or running" in result.stderr


def test_one_of_several_applications_is_named() -> None:
    apps = [application(), application("app-2"), application("old", completed=True)]
    with spark(driver(applications=apps)) as served:
        result = recommend("--spark", served.url)
        assert result.exit_code == 1
        assert "2 applications run there; choose with --spark-app: app-20261101" in result.stderr
        assert recommend("--spark", served.url, "--spark-app", APP).exit_code == 0
        with pytest.raises(InputError, match="no application 'old' runs there; these do: app-2026"):
            SparkSource(url=served.url, app_id="old").sample()
    over = {"applications": [application(completed=True)]}
    with spark(over) as served, pytest.raises(InputError, match="no application runs there"):
        SparkSource(url=served.url).sample()


def test_a_token_is_shown_and_never_told(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text(TOKEN)
    with spark(driver(), token=TOKEN) as served:
        assert SparkSource(url=served.url, token_file=file).sample().load.groups
        result = recommend("--spark", served.url)
        assert result.exit_code == 1
        assert "refuses us (HTTP 401); name a file with a token" in result.stderr
        served.token = "another"  # noqa: S105
        result = recommend("--spark", served.url, "--token-file", str(file))
        assert "refuses us" in result.stderr
        assert TOKEN not in result.output
    file.chmod(0o644)
    result = recommend("--spark", served.url, "--token-file", str(file))
    assert "others may use this token file" in result.stderr


def test_certificates_are_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with spark(driver(), tls=context) as served:
        with pytest.raises(InputError, match=r"CERTIFICATE_VERIFY_FAILED.*name its CA with"):
            SparkSource(url=served.url).sample()
        source = SparkSource(url=served.url, ca_file=tmp_path / "ca.pem")
        assert source.sample().load.groups


@pytest.mark.parametrize(
    ("status", "problem"),
    [(302, "leads elsewhere"), (500, "is no Spark driver .HTTP 500"), (403, "refuses us")],
)
def test_other_answers_are_said(status: int, problem: str) -> None:
    with spark(driver()) as served:
        served.status = status
        with pytest.raises(InputError, match=problem):
            SparkSource(url=served.url).sample()


@pytest.mark.parametrize(
    "broken",
    [
        {"applications": {"paths": []}},
        {"executors": [{**executor("1"), "totalCores": -1}]},
        {"stages?details=false&status=active": [{**stage(3, 1, 1, 0, 0), "numTasks": None}]},
    ],
)
def test_what_is_no_answer_of_sparks_is_refused(broken: dict[str, Any]) -> None:
    with spark(driver(**broken)) as served, pytest.raises(InputError, match="is no Spark driver"):
        SparkSource(url=served.url).sample()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("spark://m:7077", "is not an http:// or https:// address"),
        ("http://ann:secret@m:4040", "holds a name or password; use --token-file"),
        ("http://m:4040?x=1", "is more than an address"),
        ("http://m:99999", "is not an address"),
        ("http://driver..svc:4040", "is not an address"),
        ("http://m:4040\x7f", "is not an address"),
    ],
)
def test_what_is_no_address_is_said(url: str, problem: str) -> None:
    result = recommend("--spark", url)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert "secret" not in result.output


def test_flags_belong_to_their_sources() -> None:
    for words, problem in (
        (("--ray", "h:1", "--spark", "http://h"), "--ray and --spark: say both"),
        (("--ray", "h:1", "--spark-app", "a"), "--spark-app: is for --spark; add --spark URL"),
        (("--spark", "http://h", "--tls-key", "k"), "--tls-key: is for a scheduler"),
        (("--spark", "http://h", "--sample-seconds", "5"), "--sample-seconds: is for a scheduler"),
    ):
        result = recommend(*words)
        assert result.exit_code == 1
        assert problem in result.stderr
