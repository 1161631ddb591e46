"""What the names of GCP and Azure machines say of their size."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from costplan.adapters.feeds.machine_sizes import MachineSize, azure_size, gcp_sizes
from costplan.planner.units import GIB


@pytest.mark.parametrize(
    ("name", "vcpu", "gib"),
    [
        ("n2-standard-4", 4, 16),
        ("n1-standard-1", 1, 3.75),
        ("n1-highmem-8", 8, 52),
        ("n1-highcpu-2", 2, 1.8),
        ("n2-highmem-128", 128, 864),
        ("n2d-highcpu-224", 224, 224),
        ("e2-micro", 0.25, 1),
        ("c2-standard-60", 60, 240),
        ("m1-ultramem-40", 40, 961),
    ],
)
def test_gcp_names(name: str, vcpu: float, gib: float) -> None:
    size = gcp_sizes()[name]
    assert size.vcpu == vcpu
    assert size.memory_bytes == int(gib * GIB)


def test_gcp_sizes_that_do_not_exist_are_not_made_up() -> None:
    assert {"n2-standard-6", "e2-highmem-32", "n2-highcpu-128"}.isdisjoint(gcp_sizes())


@pytest.mark.parametrize(
    ("squeezed", "name", "vcpu", "gib"),
    [
        ("d4sv3", "Standard_D4s_v3", 4, 16),
        ("d16dsv4", "Standard_D16ds_v4", 16, 64),
        ("d4v2", "Standard_D4_v2", 8, 28),
        ("ds13v2", "Standard_DS13_v2", 8, 56),
        ("e64v3", "Standard_E64_v3", 64, 432),
        ("e64sv4", "Standard_E64s_v4", 64, 504),
        ("e96asv4", "Standard_E96as_v4", 96, 672),
        ("e20sv3", "Standard_E20s_v3", 20, 160),
        ("f8sv2", "Standard_F8s_v2", 8, 16),
        ("a4mv2", "Standard_A4m_v2", 4, 32),
        ("b1ls", "Standard_B1ls", 1, 0.5),
        ("l8sv2", "Standard_L8s_v2", 8, 64),
        ("m128ms", "Standard_M128ms", 128, 3892),
        ("g5", "Standard_G5", 32, 448),
    ],
)
def test_azure_names(squeezed: str, name: str, vcpu: int, gib: float) -> None:
    assert azure_size(squeezed) == (name, MachineSize(vcpu=vcpu, memory_bytes=int(gib * GIB)))


def test_azure_gpu_names() -> None:
    found = azure_size("nc64ast4v3")
    assert found is not None
    assert found[0] == "Standard_NC64as_T4_v3"
    assert (found[1].gpus, found[1].gpu_kind) == (4, "T4")


@pytest.mark.parametrize("squeezed", ["nv4asv4", "nc6promo", "h16r", "pb6s", "a7", "zz9", ""])
def test_azure_names_without_a_rule_are_not_guessed(squeezed: str) -> None:
    assert azure_size(squeezed) is None


@pytest.mark.shared_data
def test_sizes_agree_with_an_independent_list(shared_data: Path) -> None:
    columns = ["instance_type", "vcpu", "memory_bytes", "gpus"]
    table = pq.read_table(shared_data / "catalog.parquet", columns=columns)
    known = {row["instance_type"]: row for row in table.group_by(columns).aggregate([]).to_pylist()}
    azure = [
        azure_size(name.removeprefix("Standard_").lower().replace("_", ""))
        for name in known
        if name.startswith("Standard_")
    ]
    sizes = gcp_sizes() | dict(found for found in azure if found is not None)
    compared = 0
    for name, size in sizes.items():
        if name not in known:
            continue
        compared += 1
        assert size.vcpu == known[name]["vcpu"], name
        assert size.memory_bytes == pytest.approx(known[name]["memory_bytes"], rel=0.01), name
        assert size.gpus == known[name]["gpus"], name
    assert compared > 300
