"""The program as a process: help, versions, pipes that close, and what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import jsonschema
import pytest
import typer
from typer.testing import CliRunner

from costplan.cli.errors import CommandGroup, Ended
from costplan.planner.errors import InputError, InvariantBroken

COSTPLAN = (sys.executable, "-c", "from costplan.cli.main import main; main()")
HEAVY = ("numpy", "pyarrow", "pydantic", "rich", "yaml", "highspy", "distributed", "dask")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COSTPLAN, *words], capture_output=True, text=True, check=False, timeout=120
    )


def test_help_names_the_commands() -> None:
    result = run("--help")
    assert result.returncode == 0
    for command in ("recommend", "prices", "schema"):
        assert f"\n  {command} " in result.stdout
    assert run("-h").stdout == result.stdout


def test_the_module_of_the_program_is_a_program() -> None:
    asked = [sys.executable, "-m", "costplan.cli.main", "--version"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout == run("--version").stdout


def test_help_imports_nothing_heavy() -> None:
    """What makes help slow is imports, and they are counted where seconds would be a guess."""
    code = (
        "import sys; from costplan.cli.main import main\n"
        "try: main()\n"
        f"finally: print(*(m for m in {HEAVY} if m in sys.modules), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("Usage:")
    assert result.stderr.strip() == ""


def test_help_of_recommend_lists_exit_codes() -> None:
    assert "3 no fleet does" in run("recommend", "--help").stdout


def test_the_version() -> None:
    assert run("--version").stdout == f"costplan {version('costplan')}\n"


def test_the_schema_is_printed_the_same_each_time() -> None:
    first, second = run("schema", "plan"), run("schema", "plan")
    assert first.stdout == second.stdout
    jsonschema.Draft202012Validator.check_schema(json.loads(first.stdout))


def test_an_error_is_one_line_without_a_traceback() -> None:
    result = run("recommend", "no-such-file.yaml")
    assert result.returncode == 1
    way_out = "see docs/workload.md for an example"
    assert result.stderr == f"error: no-such-file.yaml: there is no such file; {way_out}\n"
    assert result.stdout == ""


def test_a_wrong_command_is_exit_code_2() -> None:
    result = run("recomend")
    assert result.returncode == 2
    assert "recommend" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    words = ("prices", "show", "--limit", "0", "--format", "csv")
    with subprocess.Popen(
        [*COSTPLAN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("provider,")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=120) == 0


def test_prices_report_errors_as_every_command_does() -> None:
    result = run("prices", "show", "--prices", "none.csv")
    assert (result.returncode, result.stderr) == (1, "error: none.csv: there is no such file\n")


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (InputError("w.yaml", "is empty"), 1, "error: w.yaml: is empty\n"),
        (
            InvariantBroken("5 > 3"),
            1,
            "error: a bug in costplan, please report it: 5 > 3\n",
        ),
        (Ended("too old", 4), 4, "error: too old\n"),
    ],
)
def test_errors_of_any_command_are_reported_in_one_place(
    error: Exception, exit_code: int, message: str
) -> None:
    app = typer.Typer(cls=CommandGroup)

    @app.callback()
    def group() -> None: ...

    @app.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(app, ["fail"])
    assert (result.exit_code, result.stderr, result.stdout) == (exit_code, message, "")
