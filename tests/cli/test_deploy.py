"""The units and the container file: that they parse, harden, and name what is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ("costplan.service", "dask-scheduler.service")


def unit(text: str) -> dict[str, dict[str, list[str]]]:
    """Sections of a unit: each key with its values in order."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        assert equals, f"line {number} is no key and value: {line}"
        assert current is not None, f"line {number} stands before any section"
        current.setdefault(key.strip(), []).append(value.strip())
    return sections


def read(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_has_its_three_sections_and_starts_by_a_full_path(name: str) -> None:
    sections = unit(read(name))
    assert set(sections) == {"Unit", "Service", "Install"}
    (start,) = sections["Service"]["ExecStart"]
    assert start.startswith("/opt/")
    assert sections["Service"]["Type"] == ["exec"]


def test_the_parser_of_units_bites() -> None:
    with pytest.raises(AssertionError, match="before any section"):
        unit("Type=exec")
    with pytest.raises(AssertionError, match="no key and value"):
        unit("[Service]\nType exec")


def test_the_daemon_is_hardened_and_its_machines_outlive_it() -> None:
    service = unit(read("costplan.service"))["Service"]
    yes = (
        "DynamicUser",
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectControlGroups",
        "RestrictNamespaces",
        "LockPersonality",
    )
    assert {key: service[key] for key in yes} == {key: ["yes"] for key in yes}
    assert service["ProtectSystem"] == ["strict"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["KillMode"] == ["process"]
    assert service["Restart"] == ["on-failure"]
    assert service["StateDirectory"] == ["costplan"]
    assert int(service["TimeoutStopSec"][0]) > 10
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_both_units_read_the_same_token_and_no_file_holds_one() -> None:
    tokens = [unit(read(name))["Service"]["LoadCredential"] for name in UNITS]
    assert tokens[0] == tokens[1] == ["scheduler-token:/etc/costplan/scheduler-token"]


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / name
    # Programs must be there to be verified, so any that is stands in.
    text = re.sub(r"/opt/\w+/bin/\w+", sys.executable, read(name))
    copy.write_text(text, encoding="utf-8")
    result = subprocess.run(
        [analyze, "verify", str(copy)], capture_output=True, text=True, check=False, timeout=60
    )
    # It also speaks of units of this computer; what it says of ours names it.
    said = [line for line in result.stderr.splitlines() if name in line]
    if result.returncode and not said:
        pytest.skip(f"systemd-analyze cannot work here: {result.stderr.strip()[:200]}")
    assert said == []


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and arguments of a container file, continued lines as one."""
    whole = re.sub(r"\\\n", " ", "\n".join(x for x in text.splitlines() if x[:1] != "#"))
    return [
        (words[0].upper(), words[1].strip())
        for line in whole.splitlines()
        if len(words := line.strip().split(None, 1)) == 2
    ]


def test_the_container_runs_as_nobody_special_and_stops_as_the_daemon_does() -> None:
    steps = instructions(read("Containerfile"))
    names = [name for name, _ in steps]
    assert names[0] == "FROM"
    assert names.count("FROM") == 2
    last = steps[len(names) - 1 - names[::-1].index("FROM") :]
    final = {name: value for name, value in last if name not in ("RUN", "COPY", "ENV")}
    user = final["USER"].partition(":")[0]
    assert user.isdecimal()
    assert int(user) > 0
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert final["ENTRYPOINT"] == '["costplan"]'
    assert "/healthz" in final["HEALTHCHECK"]
    assert final["VOLUME"] == "/var/lib/costplan"
    for name, value in steps:
        assert name != "ADD"
        if name == "FROM":
            image = value.split()[0]
            assert ":" in image, f"{image} names no version"
            assert not image.endswith(":latest")


def test_what_the_container_copies_is_there_and_is_not_ignored() -> None:
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied: set[str] = set()
    for name, value in instructions(read("Containerfile")):
        if name == "COPY" and "--from" not in value:
            copied |= set(value.split()[:-1])
    assert copied == kept
    assert [path for path in sorted(copied) if not (ROOT / path).exists()] == []


def test_every_package_is_copied() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    folders = set(re.findall(r'^"costplan\.\w+" = "(\w+)"$', text, re.MULTILINE))
    assert folders
    assert folders <= set(re.findall(r"^COPY (\w+) \1$", read("Containerfile"), re.MULTILINE))
