"""`costplan prices show` as a person types it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from typer.testing import CliRunner, Result

from costplan.cli.prices import app


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["show", *words])


def rows(*words: str) -> list[dict[str, object]]:
    result = run(*words, "--format", "json")
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, object]] = json.loads(result.stdout)["rows"]
    return found


@pytest.fixture
def price_file(tmp_path: Path) -> Path:
    """Two zones at one price, a third at another, and a spot estimate."""
    path = tmp_path / "prices.csv"
    zones = ["a", "b", "c", "a"]
    table = pa.table(
        {
            "provider": ["acme"] * 4,
            "region": ["north"] * 4,
            "zone": [f"north-{zone}" for zone in zones],
            "instance_type": ["big.8"] * 4,
            "market": ["on_demand"] * 3 + ["spot"],
            "arch": ["x86_64"] * 4,
            "vcpu": [8.0] * 4,
            "memory_bytes": [32 * 2**30] * 4,
            "gpus": [1] * 4,
            "gpu_kind": ["T4"] * 4,
            "usd_per_hour": [0.5, 0.5, 0.75, 0.25],
            "hazard_per_hour": [0.0, 0.0, 0.0, 0.01],
            "observed_at": ["2026-08-01T00:00:00Z"] * 4,
            "source": ["list", "list", "list", "list x savings"],
        }
    )
    pacsv.write_csv(table, path)
    return path


def test_zones_with_one_price_are_one_row(price_file: Path) -> None:
    found = rows("--prices", str(price_file))
    assert [(row["usd_per_hour"], row["zones"]) for row in found] == [
        ("0.25", ["north-a"]),
        ("0.50", ["north-a", "north-b"]),
        ("0.75", ["north-c"]),
    ]
    assert [row["is_estimate"] for row in found] == [True, False, False]
    assert found[1]["usd_per_vcpu_hour"] == "0.0625"
    assert found[1]["usd_per_gpu_hour"] == "0.50"


def test_the_table_says_where_prices_come_from_and_what_is_estimated(price_file: Path) -> None:
    result = run("--prices", str(price_file))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "prices.csv, seen 2026-08-01" in " ".join(lines[:3])
    assert "sources: list, list x savings" in result.stdout
    assert "~0.2500" in result.stdout
    assert "~ estimate" in lines[-1]
    assert "shown 3 of 3" in lines[-2]


def test_a_list_without_estimates_has_no_legend(price_file: Path) -> None:
    assert "~" not in run("--prices", str(price_file), "--market", "on_demand").stdout


def test_a_terminal_of_80_columns_cuts_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)
    words = ("--type", "g4dn.xlarge", "--region", "us-east-1", "--market", "spot")
    colours = r"\x1b\[[0-9;]*m"
    shown = re.sub(colours, "", run(*words, "--prices", "bundled").stdout)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    row = next(line.split() for line in shown.splitlines() if "g4dn" in line)
    assert row == [
        "aws", "us-east-1", "g4dn.xlarge", "4", "16", "GiB", "1", "T4", "~0.2367", "~0.2367",
    ]  # fmt: skip


def test_bundled_prices_by_gpu_and_region() -> None:
    found = rows("--gpu", "t4", "--region", "us-east-1", "--market", "on-demand")
    assert found[0]["instance_type"] == "g4dn.xlarge"
    assert {row["gpu_kind"] for row in found} == {"T4"}
    assert {row["region"] for row in found} == {"us-east-1"}


@pytest.mark.parametrize(
    ("family", "provider", "expected"),
    [
        ("m5", "aws", "m5."),
        ("n2-standard", "gcp", "n2-standard-"),
        ("n2", "gcp", "n2-"),
        ("Dsv3", "azure", "Standard_D"),
        ("c6*", "aws", "c6"),
    ],
)
def test_families(family: str, provider: str, expected: str) -> None:
    found = rows("--family", family, "--provider", provider, "--limit", "0")
    assert found
    assert all(str(row["instance_type"]).startswith(expected) for row in found)


def test_sizes_and_order() -> None:
    words = ("--min-vcpu", "8", "--max-vcpu", "16", "--min-memory", "64 GiB", "--sort", "vcpu")
    found = rows(*words, "--arch", "x86_64", "--limit", "50")
    unit_prices = [float(str(row["usd_per_vcpu_hour"])) for row in found]
    assert len(found) == 50
    assert unit_prices == sorted(unit_prices)
    assert all(8 <= float(str(row["vcpu"])) <= 16 for row in found)
    assert all(int(str(row["memory_bytes"])) >= 64 * 2**30 for row in found)


def test_sorting_by_gpu_leaves_machines_without_one_out() -> None:
    found = rows("--sort", "gpu", "--limit", "30")
    assert all(row["gpus"] for row in found)
    unit_prices = [float(str(row["usd_per_gpu_hour"])) for row in found]
    assert unit_prices == sorted(unit_prices)


def test_types_by_pattern() -> None:
    found = rows("--type", "M5.*", "--region", "us-east-1", "--market", "on_demand")
    assert {str(row["instance_type"]).split(".")[0] for row in found} == {"m5"}


def test_csv_has_the_same_rows_as_json_and_says_what_is_cut() -> None:
    words = ("--provider", "gcp", "--limit", "7")
    result = run(*words, "--format", "csv")
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    found = rows(*words)
    assert [row["usd_per_hour"] for row in table] == [row["usd_per_hour"] for row in found]
    assert result.stderr.startswith("shown 7 of ")


def test_markdown_is_a_table() -> None:
    result = run("--provider", "azure", "--limit", "2", "--format", "md")
    lines = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1


def test_two_runs_print_the_same() -> None:
    assert run("--limit", "40").stdout == run("--limit", "40").stdout


def test_nothing_found_is_no_error(price_file: Path) -> None:
    for output in ("table", "json", "csv", "md"):
        result = run("--prices", str(price_file), "--min-vcpu", "999", "--format", output)
        assert result.exit_code == 0, output
    assert "shown 0 of 0" in run("--prices", str(price_file), "--min-vcpu", "999").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--provider", "asw"), "error: --provider asw: no price has this; did you mean 'aws'?"),
        (("--region", "us-est1"), "did you mean 'us-east1' or 'us-west1'?"),
        (("--gpu", "t44"), "did you mean 'T4'? there are A100"),
        (("--gpu", "none"), "error: --gpu none: no price has this; there are A100"),
        (("--family", "m55"), "did you mean 'm5'?"),
        (("--type", "m5.larg"), "did you mean 'm5.large'?"),
        (("--type", "standard_d4s_v33"), "did you mean 'Standard_D4s_v3'?"),
        (("--market", "spt"), "--market spt: is not a market; did you mean 'spot'?"),
        (("--arch", "arm"), "did you mean 'arm64'?"),
        (("--sort", "price"), "use one of hour, vcpu, memory, gpu"),
        (("--format", "xml"), "use one of table, json, csv, md"),
        (("--min-memory", "16 G"), "--min-memory: 'G' in '16 G' is not a unit of memory"),
        (("--min-vcpu", "nan"), "error: --min-vcpu nan: is no number of vCPU"),
        (("--max-vcpu", "-1"), "error: --max-vcpu -1: is no number of vCPU"),
        (("--min-vcpu", "8", "--max-vcpu", "4"), "--min-vcpu 8: is more than --max-vcpu 4"),
        (("--prices", "none.csv"), "error: none.csv: there is no such file"),
    ],
)
def test_wrong_words_are_answered_with_the_right_ones(words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
