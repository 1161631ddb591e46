"""`costplan init` as a person types it, with and without a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from costplan.cli.config_file import read_config
from costplan.cli.main import app
from costplan.cli.out_file import write_new
from costplan.planner.azure_config import AzureChoice
from costplan.planner.daemon_config import parse_daemon_config
from costplan.planner.errors import InputError
from costplan.planner.provider_config import AwsChoice, GcpChoice, ProviderChoice
from tests.cli.test_cluster_cli import read_terminal


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["init", *map(str, words)])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "fraud team"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


AWS = ("--provider", "aws", "--region", "us-east-1", "--scheduler", "tcp://10.0.0.5:8786", "--yes")


def test_what_is_written_is_what_was_answered(folder: Path) -> None:
    result = run(*AWS, "--image", "ami-1", "--zone", "us-east-1d", "--cluster", "ours")
    assert (result.exit_code, result.stderr) == (0, "")
    config = read_config(folder / "costplan.yaml")
    assert config.settings.cluster == "ours"
    assert config.scheduler.address == "tcp://10.0.0.5:8786"
    assert config.scheduler.endpoint == "http://10.0.0.5:8787"
    assert isinstance(config.provider, AwsChoice)
    assert (config.provider.region, config.provider.zones) == ("us-east-1", ("us-east-1d",))
    assert config.provider.images == {"x86_64": "ami-1"}
    assert [path.name for path in folder.iterdir()] == ["costplan.yaml"]
    look, drive = result.stdout.splitlines()[-2:]
    assert look.endswith("costplan doctor")
    assert drive.endswith("costplan run")


def test_defaults_are_the_folders_name_and_zones_of_the_region(folder: Path) -> None:
    result = run(*AWS)
    config = read_config(folder / "costplan.yaml")
    assert config.settings.cluster == "fraud-team"
    assert isinstance(config.provider, AwsChoice)
    assert config.provider.zones == ("us-east-1a", "us-east-1b", "us-east-1c")
    assert "put your image in place of provider.image" in result.stdout


def test_a_project_of_google_cloud(folder: Path) -> None:
    image = "projects/ours-1/global/images/family/dask"
    words = ("--provider", "gcp", "--project", "ours-1", "--image", image, "--yes")
    result = run(*words)
    assert result.exit_code == 0
    assert result.stderr == (
        "note: zones of us-central1 are guessed: compare them with those of your account\n"
    )
    provider = read_config(folder / "costplan.yaml").provider
    assert isinstance(provider, GcpChoice)
    assert (provider.project, provider.images) == ("ours-1", {"x86_64": image})
    assert provider.zones == ("us-central1-b", "us-central1-c")
    later = run("--provider", "gcp", "--region", "europe-west4", "--yes", "--force")
    assert "put your project in place of provider.project" in later.stdout
    assert "europe-west4-b" in (folder / "costplan.yaml").read_text()


def test_a_first_configuration_of_azure_loads_and_says_what_to_replace(folder: Path) -> None:
    result = run("--provider", "azure", "--region", "westeurope", "--yes")
    config = read_config(folder / "costplan.yaml")
    assert isinstance(config.provider, AzureChoice)
    assert config.provider.zones == ("westeurope-1", "westeurope-2")
    assert config.settings.cadence.observe_seconds == 5
    assert "zones of westeurope are guessed" in result.stderr
    assert "provider.image, provider.ssh_key, provider.subnet, provider.subscr" in result.stdout
    ours = "11111111-2222-3333-4444-555555555555"
    named = run("--provider", "azure", "--project", ours, "--image", "a:b:c:d", "--yes", "--force")
    assert "provider.ssh_key, provider.subnet\n" in named.stdout
    provider = read_config(folder / "costplan.yaml").provider
    assert isinstance(provider, AzureChoice)
    assert provider.subscription == ours


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure"])
def test_machines_of_a_cloud_are_told_where_their_certificates_are(
    folder: Path, provider: str
) -> None:
    result = run("--provider", provider, "--scheduler", "tls://h:8786", "--yes")
    assert "put what your machines can read in place of provider.tls" in result.stdout
    choice = read_config(folder / "costplan.yaml").provider
    assert not isinstance(choice, ProviderChoice)
    assert choice.start.tls is not None


def test_a_region_that_nobody_knows_is_written_and_said(folder: Path) -> None:
    result = run("--provider", "aws", "--region", "us-eastt-1", "--yes")
    assert result.exit_code == 0
    assert "us-eastt-1 is not in the price list: did you mean 'us-east-1'?" in result.stderr
    assert "us-eastt-1a" in (folder / "costplan.yaml").read_text()


def test_a_local_cluster_gets_its_scenario_too(folder: Path) -> None:
    from costplan.adapters.local.scenario import read_scenario

    (folder / "scenario.yaml").write_text("mine")
    assert run("--provider", "local", "--yes").exit_code == 0
    assert (folder / "scenario.yaml").read_text() == "mine"
    (folder / "scenario.yaml").unlink()
    result = run("--provider", "local", "--yes", "--force")
    assert "wrote scenario.yaml" in result.stdout
    config = read_config(folder / "costplan.yaml")
    assert isinstance(config.provider, ProviderChoice)
    assert read_scenario(Path(config.provider.scenario)).keys


def test_a_file_that_is_there_stays(folder: Path) -> None:
    (folder / "costplan.yaml").write_text("mine")
    result = run(*AWS)
    assert (result.exit_code, result.stderr) == (
        1,
        "error: costplan.yaml: is there already; name another file, or give --force\n",
    )
    assert (folder / "costplan.yaml").read_text() == "mine"
    assert run(*AWS, "--force").exit_code == 0
    assert "10.0.0.5" in (folder / "costplan.yaml").read_text()


def test_a_file_that_comes_in_between_stays(folder: Path) -> None:
    (folder / "costplan.yaml").write_text("theirs")
    with pytest.raises(InputError, match="is there already"):
        write_new(Path("costplan.yaml"), "ours")
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [
        ("costplan.yaml", "theirs")
    ]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("--provider", "moon"),
            "--provider moon: is not known; use one of aws, gcp, azure, local",
        ),
        (("--scheduler", "10.0.0.5"), "scheduler.address: '10.0.0.5' is not an address"),
        (("--image", "ami x"), "provider.image.x86_64: 'ami x' is not an image"),
        (("--project", "p"), "--project: says nothing of provider aws; leave it out"),
        (("--provider", "local"), "--region: says nothing of provider local; leave it out"),
        (("--cluster", "a b"), "cluster: 'a b'"),
        (("--zone", "eu-west-1a"), "'eu-west-1a' is not in provider.region"),
        (("--config", "none/costplan.yaml"), "there is no folder"),
    ],
)
def test_nothing_is_written_that_does_not_load(
    folder: Path, words: tuple[str, ...], problem: str
) -> None:
    result = run(*AWS, *words)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert list(folder.iterdir()) == []


def test_text_that_yaml_would_take_for_something_else_stays_text(folder: Path) -> None:
    assert run(*AWS, "--cluster", "1.5", "--zone", "us-east-1a,b").exit_code == 0
    config = read_config(folder / "costplan.yaml")
    assert config.settings.cluster == "1.5"
    assert isinstance(config.provider, AwsChoice)
    assert config.provider.zones == ("us-east-1a,b",)


def test_where_nobody_can_be_asked_the_flag_is_named(folder: Path) -> None:
    result = run("--provider", "aws")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --region: is needed where nobody can be asked")


def choices(text: str) -> Iterator[tuple[str, str]]:
    """Each choice of the file, and the file with it taken up in place of what it replaces."""
    lines = text.splitlines()
    for start, line in enumerate(lines):
        found = re.fullmatch(r"( *)# ([a-z_]+):(?: .*)?", line)
        if found is None:
            continue
        end = start + 1
        while end < len(lines) and re.match(r"#   ", lines[end]) and line.startswith("#"):
            end += 1
        taken = [re.sub(r"^( *)# ", r"\1", each) for each in lines[start:end]]
        same = re.compile(rf"{found[1]}{found[2]}: ")
        rest = [None if same.match(each) else each for each in lines]
        rest[start:end] = taken
        yield found[2], "\n".join(each for each in rest if each is not None)


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure", "local"])
def test_every_choice_may_be_taken_up(folder: Path, provider: str) -> None:
    run("--provider", provider, "--yes", "--endpoint", "https://h:8787")
    found = dict(choices((folder / "costplan.yaml").read_text()))
    assert {"ca_file", "tags", "threads", "gpu", "usd_per_month", "safety", "log"} <= set(found)
    assert ("queue" in found) == (provider == "aws")
    assert ("network_tags" in found) == (provider == "gcp")
    assert ("prices" in found) == (provider == "local")
    for text in found.values():
        parse_daemon_config(text, "costplan.yaml", "/etc")


def test_questions_are_asked_again_until_the_answer_will_do(folder: Path) -> None:
    parent, child = pty.openpty()
    words = [sys.executable, "-c", "from costplan.cli.main import main; main()", "init"]
    with subprocess.Popen(words, stdin=child, stdout=child, stderr=child) as process:
        os.close(child)
        seen = b""
        for question, answer in (
            (b"Cloud (aws, gcp, azure, local) [aws]", "moon"),
            (b"Cloud (aws, gcp, azure, local) [aws]", ""),
            (b"Region [us-east-1]", "eu-west-1"),
            (b"Image with dask on it", ""),
            (b"as workers join it [tcp://127.0.0.1:8786]", "10.0.0.5"),
            (b"as workers join it [tcp://127.0.0.1:8786]", "tcp://10.0.0.5:8786"),
            (b"name [fraud-team]", "a b"),
            (b"name [fraud-team]", ""),
        ):
            shown = read_terminal(parent, lambda text, q=question: q in text)  # type: ignore[misc]
            seen += shown
            os.write(parent, answer.encode() + b"\n")
        seen += read_terminal(parent, lambda _: process.poll() is not None)
    os.close(parent)
    assert process.returncode == 0, seen.decode()
    assert b"is not known; use one of aws, gcp, azure, local" in seen
    assert b"write it like tcp://host:8786" in seen
    config = read_config(folder / "costplan.yaml")
    assert isinstance(config.provider, AwsChoice)
    assert config.provider.region == "eu-west-1"
    assert config.scheduler.address == "tcp://10.0.0.5:8786"
