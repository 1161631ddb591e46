"""Workload files and flags: what they mean, and what each broken one is answered with."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from costplan.planner.config import (
    parse_worker_flag,
    parse_workload,
    workload_from_mapping,
    workload_from_workers,
)
from costplan.planner.config_models import sections
from costplan.planner.errors import InputError
from costplan.planner.types import Market, Resources, WorkerShape
from costplan.planner.units import GIB, MIB, usd_from_pico
from costplan.planner.workload import (
    Interruption,
    Limits,
    Machines,
    MarketRules,
    Overhead,
    Quota,
    Where,
    Workload,
)

ROOT = Path(__file__).parents[2]
VALID = "workload: w\nworkers: [{name: a, count: 1, vcpu: 4, memory: 16 GiB}]\n"
WORKER = WorkerShape(name="a", count=1, need=Resources(vcpu_milli=4000, memory_bytes=16 * GIB))

BROKEN = yaml.safe_load((Path(__file__).parent / "broken_workloads.yaml").read_text())


def _id(case: dict[str, str]) -> str:
    return case.get("case") or case["flag"] or "no text"


@pytest.mark.parametrize("case", BROKEN["files"], ids=_id)
def test_a_broken_file_is_answered_with(case: dict[str, str]) -> None:
    text = VALID + case["valid_file_and"] if "valid_file_and" in case else case["file"]
    with pytest.raises(InputError) as caught:
        parse_workload(text, "w.yaml")
    assert str(caught.value) == f"w.yaml: {case['answer']}"


@pytest.mark.parametrize("case", BROKEN["flags"], ids=_id)
def test_a_broken_flag_is_answered_with(case: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_worker_flag(case["flag"])
    assert str(caught.value) == f"--worker {case['flag']}: {case['answer']}"


def test_a_number_of_hundreds_of_digits_is_shown_in_short() -> None:
    with pytest.raises(InputError) as caught:
        parse_workload(f"{VALID}limits: {{max_nodes: {'9' * 5000}}}\n", "w.yaml")
    assert str(caught.value) == (
        f"w.yaml: limits.max_nodes: '{'9' * 55}...' is not a whole number; "
        "leave it out for no limit"
    )


def test_the_example_means_exactly_this() -> None:
    text = (ROOT / "examples/fraud-training.yaml").read_text()
    assert parse_workload(text, "fraud-training.yaml") == Workload(
        name="fraud-training",
        shapes=(
            WorkerShape(
                name="features",
                count=400,
                need=Resources(vcpu_milli=4000, memory_bytes=16 * GIB),
            ),
            WorkerShape(
                name="train",
                count=8,
                need=Resources(vcpu_milli=8000, memory_bytes=30 * GIB, gpus=1),
                gpu_kinds=("T4", "L4", "A10G"),
            ),
        ),
        duration_seconds=21600,
        where=Where(
            providers=("aws", "gcp"),
            regions={"aws": ("us-east-1", "us-east-2"), "gcp": ("us-central1",)},
            single_region=True,
            single_zone=False,
        ),
        machines=Machines(exclude=("t2.*", "t3*"), max_vcpu=96.0),
        market=MarketRules(
            spot_max_share=0.8,
            on_demand_base_vcpu_milli=16000,
            pool_max_share=0.3,
            max_hazard_per_hour=0.02,
        ),
        interruption=Interruption(lost_work_seconds=600, restart_seconds=180),
        overhead=Overhead(vcpu_milli=0, memory_share=0.05, memory_floor_bytes=512 * MIB),
        limits=Limits(
            max_nodes=300,
            quotas=(
                Quota(
                    provider="aws",
                    region="us-east-1",
                    market=Market.SPOT,
                    vcpu_milli=2_000_000,
                ),
            ),
        ),
        budget_pico_per_hour=60 * 10**12,
    )


def test_what_a_file_leaves_out_has_the_documented_default() -> None:
    assert parse_workload(VALID, "w.yaml") == Workload(name="w", shapes=(WORKER,))


@pytest.mark.parametrize(
    ("written", "usd"),
    [("60", "60"), ("0.1", "0.1"), ("'0.30'", "0.3"), ("1e-2", "0.01"), ("2.675", "2.675")],
)
def test_a_budget_is_kept_to_the_last_digit(written: str, usd: str) -> None:
    text = f"{VALID}budget: {{usd_per_hour: {written}}}\n"
    pico = parse_workload(text, "w.yaml").budget_pico_per_hour
    assert pico is not None
    assert usd_from_pico(pico) == Decimal(usd)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("6h", 21600), ("1h 30m", 5400), ("90", 90), ("010", 10), ("2 weeks", 1209600)],
)
def test_durations(written: str, seconds: int) -> None:
    assert parse_workload(f"{VALID}duration: {written}\n", "w.yaml").duration_seconds == seconds


def test_a_bare_number_of_gpus_means_any_kind() -> None:
    text = "workload: w\nworkers: [{name: a, count: 1, vcpu: 0.5, memory: 1 GiB, gpu: 2}]\n"
    (shape,) = parse_workload(text, "w.yaml").shapes
    assert shape.need == Resources(vcpu_milli=500, memory_bytes=GIB, gpus=2)
    assert shape.gpu_kinds == ()


def test_anchors_and_merges_work_and_may_override() -> None:
    text = (
        "workload: w\n"
        "workers:\n"
        "  - &base {name: a, count: 1, vcpu: 4, memory: 16 GiB}\n"
        "  - {<<: *base, name: b, markets: [spot]}\n"
    )
    first, second = parse_workload(text, "w.yaml").shapes
    assert (first.name, second.name, second.need) == ("a", "b", first.need)
    assert second.markets == (Market.SPOT,)


def test_a_mapping_that_never_was_yaml_is_held_to_the_same_rules() -> None:
    worker = {"name": "a", "count": 1, "vcpu": 4, "memory": 16 * GIB}
    data: dict[str, Any] = {"workload": "w", "workers": [worker]}
    assert workload_from_mapping(data, "plan.json") == Workload(name="w", shapes=(WORKER,))
    with pytest.raises(InputError, match=r"plan.json: workers\[0\].count: 1.0 is not a whole"):
        workload_from_mapping({**data, "workers": [{**worker, "count": 1.0}]}, "plan.json")
    with pytest.raises(InputError, match=r"plan\.json: the file holds a list"):
        workload_from_mapping([data], "plan.json")


def test_a_file_that_nests_without_end_is_refused() -> None:
    with pytest.raises(InputError, match=r"w\.yaml: not readable as YAML"):
        parse_workload("a: " + "[" * 1_000, "w.yaml")


def test_flags_mean_shapes() -> None:
    assert parse_worker_flag("vcpu=4,memory=16GiB,count=400") == WorkerShape(
        name="4x16GiB", count=400, need=Resources(vcpu_milli=4000, memory_bytes=16 * GIB)
    )
    assert parse_worker_flag(
        "vcpu=0.5, memory=30 GiB, count=8, name=train, gpu=2, gpu_kinds=T4|L4, markets=spot"
    ) == WorkerShape(
        name="train",
        count=8,
        need=Resources(vcpu_milli=500, memory_bytes=30 * GIB, gpus=2),
        gpu_kinds=("T4", "L4"),
        markets=(Market.SPOT,),
    )
    assert parse_worker_flag("vcpu=8,memory=30GiB,count=1,gpu=1").name == "8x30GiB-1gpu"


def test_shapes_from_flags_make_a_workload_with_default_rules() -> None:
    shape = parse_worker_flag("vcpu=4,memory=16GiB,count=400")
    assert workload_from_workers([shape]) == Workload(name="command-line", shapes=(shape,))


def test_two_flags_of_one_name_are_refused() -> None:
    shape = parse_worker_flag("vcpu=4,memory=16GiB,count=400")
    with pytest.raises(InputError) as caught:
        workload_from_workers([shape, shape])
    assert str(caught.value) == (
        "--worker: two shapes are called '4x16GiB'; add name=... to one, or join their counts"
    )
    with pytest.raises(InputError, match="no workers are given"):
        workload_from_workers([])


HELD = ("commitments.", "commitment_rates")
"""Lists of a commitments file that a workload may hold as well."""


def _documented() -> list[list[str]]:
    """The cells of each row of the tables of keys; a row starts with a key in backticks."""
    text = (ROOT / "docs/workload.md").read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| `[a-z_.\[\]]+` \|", line)]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_documentation_names_exactly_the_keys_that_exist() -> None:
    """Paths in the document write a list as [] and a mapping by provider as its key."""
    lists = {
        "workers": "workers[]",
        "limits.quotas": "limits.quotas[]",
        "place_rates": "place_rates[]",
    }
    inner = {f"{path}" for path in sections() if path and not path.startswith(HELD)}
    exist = set()
    for path, model in sections().items():
        if path.startswith(HELD):  # docs/commitments.md has them
            continue
        for key in model.model_fields:
            full = f"{path}.{key}".lstrip(".")
            if full not in inner:
                for plain, marked in lists.items():
                    if full.startswith(f"{plain}."):
                        full = full.replace(plain, marked, 1)
                exist.add(full)
    documented = [row[0].strip("`") for row in _documented()]
    assert sorted(documented) == sorted(exist)
    assert all(all(cells) and len(cells) == 5 for cells in _documented())


def test_the_documented_example_is_a_workload() -> None:
    text = (ROOT / "docs/workload.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        parse_workload(block, "docs/workload.md")
