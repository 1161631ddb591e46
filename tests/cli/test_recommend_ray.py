"""`costplan recommend --ray` as a person types it, with looks at a cluster that are given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from costplan.adapters.ray.source import RaySource
from costplan.cli.main import app
from costplan.planner.load import Load
from costplan.planner.load_source import Gang, Sample, Strategy
from costplan.planner.units import GIB

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
TINY = {"CPU": 0.1, "memory": 0.1 * GIB}
RULES = """
workload: jobs
workers:
  - {name: small, count: 99, vcpu: 2, memory: 8 GiB}
"""


def recommend(
    patch: pytest.MonkeyPatch,
    gangs: Mapping[Strategy, tuple[Mapping[str, float], int]],
    *words: str,
) -> Result:
    """The answer to a cluster in which these gangs wait."""
    told = tuple(Gang(name=s, strategy=s, parts=(part,)) for s, part in gangs.items())
    load = Load(at=AT, window_seconds=0, groups=(), workers={})
    patch.setattr(RaySource, "sample", lambda _: Sample(load=load, gangs=told))
    prices = ("--prices", "bundled", "--max-price-age", "99999d")
    return CliRunner().invoke(app, ["recommend", *words, "--ray", "h:6379", *prices])


def test_fewer_machines_than_a_spread_gang_needs_are_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three of a tenth of a CPU fit one machine, where they must not be; packed ones may."""
    result = recommend(monkeypatch, {Strategy.STRICT_SPREAD: (TINY, 3)})
    assert result.exit_code == 0, result.output
    assert "warning: 1 machine, and a gang of STRICT_SPREAD needs 3" in result.stdout
    for strategy in (Strategy.SPREAD, Strategy.PACK, Strategy.STRICT_PACK):
        assert "warning: 1" not in recommend(monkeypatch, {strategy: (TINY, 3)}).stdout


def test_a_file_has_the_workers_and_their_counts_follow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    gangs = {Strategy.STRICT_SPREAD: (TINY, 3), Strategy.STRICT_PACK: ({"CPU": 3.0}, 2)}
    result = recommend(monkeypatch, gangs, str(file))
    assert result.exit_code == 0, result.output
    assert "jobs: 3 workers on" in result.stdout
    packed = "warning: 1 to be on one machine, of CPU 6 each: no worker of the file has room"
    assert packed in " ".join(result.stdout.split())  # however wide the terminal is
    assert "STRICT_SPREAD needs" not in result.stdout


def test_a_file_without_a_worker_that_is_large_enough_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    result = recommend(monkeypatch, {Strategy.STRICT_PACK: ({"CPU": 3.0}, 2)}, str(file))
    assert result.exit_code == 1
    assert f"{file}: no worker of it has room for any demand of h:6379: 1 to be on" in result.stderr
    assert "add a larger one" in result.stderr


def test_what_needs_no_machine_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    result = recommend(monkeypatch, {})
    assert (result.exit_code, result.stdout) == (0, "")
    assert "h:6379: nothing is queued or running, so no workers are needed" in result.stderr


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "holds no token"), (b" \n", "holds no token"), (b"\xff\x00" * 20, "holds no token"),
     (b"two words", "one line of visible ASCII"), (None, "is a folder")],
)  # fmt: skip
def test_a_token_file_without_a_token_is_refused(
    content: bytes | None, problem: str, tmp_path: Path
) -> None:
    """Ray's library would end its process over it."""
    file = tmp_path / "token"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    words = ("--ray", "127.0.0.1:9", "--token-file", str(file))
    result = CliRunner().invoke(app, ["recommend", *words, "--prices", "bundled"])
    assert result.exit_code == 1
    assert problem in " ".join(result.stderr.split())
