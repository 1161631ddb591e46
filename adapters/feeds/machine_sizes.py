"""vCPU, memory and GPUs of GCP and Azure machine types, from the rules their names follow.

Price lists name machines and do not say how large they are. Both clouds document what a name
means; a name that no rule covers is not guessed. AWS names follow no such rule.

Sources, read in 2026:
  GCP    https://cloud.google.com/compute/docs/general-purpose-machines (E2, N1, N2, N2D),
         .../compute-optimized-machines (C2), .../memory-optimized-machines (M1)
  Azure  https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions and the page of
         each series under https://learn.microsoft.com/azure/virtual-machines/sizes/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from costplan.planner.units import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSize:
    """What a machine has. Shared-core machines have the vCPU that they may use all the time."""

    vcpu: float
    memory_bytes: int
    arch: str = "x86_64"
    gpus: int = 0
    gpu_kind: str | None = None


class GcpFamily(NamedTuple):
    """Machine types `{prefix}-{vcpu}` with so many GiB a vCPU."""

    prefix: str
    gib_per_vcpu: float
    vcpus: tuple[int, ...]


_UP_TO_80 = (2, 4, 8, 16, 32, 48, 64, 80)

GCP_FAMILIES = (
    GcpFamily("e2-standard", 4, (2, 4, 8, 16, 32)),
    GcpFamily("e2-highmem", 8, (2, 4, 8, 16)),
    GcpFamily("e2-highcpu", 1, (2, 4, 8, 16, 32)),
    GcpFamily("n1-standard", 3.75, (1, 2, 4, 8, 16, 32, 64, 96)),
    GcpFamily("n1-highmem", 6.5, (2, 4, 8, 16, 32, 64, 96)),
    GcpFamily("n1-highcpu", 0.9, (2, 4, 8, 16, 32, 64, 96)),
    GcpFamily("n2-standard", 4, (*_UP_TO_80, 96, 128)),
    GcpFamily("n2-highmem", 8, (*_UP_TO_80, 96)),
    GcpFamily("n2-highcpu", 1, (*_UP_TO_80, 96)),
    GcpFamily("n2d-standard", 4, (*_UP_TO_80, 96, 128, 224)),
    GcpFamily("n2d-highmem", 8, (*_UP_TO_80, 96)),
    GcpFamily("n2d-highcpu", 1, (*_UP_TO_80, 96, 128, 224)),
    GcpFamily("c2-standard", 4, (4, 8, 16, 30, 60)),
)

# Machine types outside the rule: vCPU and GiB. E2 shared-core types are billed for the fraction
# of a vCPU that they may use all the time.
_GCP_OTHERS = {
    "e2-micro": (0.25, 1.0),
    "e2-small": (0.5, 2.0),
    "e2-medium": (1.0, 4.0),
    "n2-highmem-128": (128.0, 864.0),
    "m1-ultramem-40": (40.0, 961.0),
    "m1-ultramem-80": (80.0, 1922.0),
    "m1-ultramem-160": (160.0, 3844.0),
    "m1-megamem-96": (96.0, 1433.6),
}


def _size(vcpu: float, gib: float) -> MachineSize:
    return MachineSize(vcpu=vcpu, memory_bytes=int(gib * GIB))


def gcp_sizes() -> dict[str, MachineSize]:
    """Every predefined GCP machine type of the families above, by name."""
    by_rule = {
        f"{family.prefix}-{vcpu}": _size(vcpu, vcpu * family.gib_per_vcpu)
        for family in GCP_FAMILIES
        for vcpu in family.vcpus
    }
    return by_rule | {name: _size(*size) for name, size in _GCP_OTHERS.items()}


class AzureSeries(NamedTuple):
    """Sizes whose name matches `pattern`, whose number is the vCPU count.

    `name` is the official spelling with {n} for the number. Memory is `gib_per_vcpu` times the
    number, except where `gib` gives it by number.
    """

    pattern: str
    name: str
    gib_per_vcpu: float
    gib: dict[int, float] = {}  # noqa: RUF012 - read only


# E-series sizes at the top of a generation carry less memory than the rule says.
_E_V3 = {20: 160.0, 64: 432.0}
_E_V4 = {20: 160.0, 64: 504.0}
_E_AV4 = {20: 160.0, 96: 672.0}

AZURE_SERIES = (
    AzureSeries(r"a(\d+)v2", "A{n}_v2", 2),
    AzureSeries(r"a(\d+)mv2", "A{n}m_v2", 8),
    AzureSeries(r"d(\d+)v3", "D{n}_v3", 4),
    AzureSeries(r"d(\d+)sv3", "D{n}s_v3", 4),
    AzureSeries(r"d(\d+)v4", "D{n}_v4", 4),
    AzureSeries(r"d(\d+)sv4", "D{n}s_v4", 4),
    AzureSeries(r"d(\d+)dv4", "D{n}d_v4", 4),
    AzureSeries(r"d(\d+)dsv4", "D{n}ds_v4", 4),
    AzureSeries(r"d(\d+)av4", "D{n}a_v4", 4),
    AzureSeries(r"d(\d+)asv4", "D{n}as_v4", 4),
    AzureSeries(r"dc(\d+)sv2", "DC{n}s_v2", 4),
    AzureSeries(r"e(\d+)v3", "E{n}_v3", 8, _E_V3),
    AzureSeries(r"e(\d+)sv3", "E{n}s_v3", 8, _E_V3),
    AzureSeries(r"e(\d+)iv3", "E{n}i_v3", 8, _E_V3),
    AzureSeries(r"e(\d+)isv3", "E{n}is_v3", 8, _E_V3),
    AzureSeries(r"e(\d+)v4", "E{n}_v4", 8, _E_V4),
    AzureSeries(r"e(\d+)sv4", "E{n}s_v4", 8, _E_V4),
    AzureSeries(r"e(\d+)dv4", "E{n}d_v4", 8, _E_V4),
    AzureSeries(r"e(\d+)dsv4", "E{n}ds_v4", 8, _E_V4),
    AzureSeries(r"e(\d+)av4", "E{n}a_v4", 8, _E_AV4),
    AzureSeries(r"e(\d+)asv4", "E{n}as_v4", 8, _E_AV4),
    AzureSeries(r"f(\d+)", "F{n}", 2),
    AzureSeries(r"f(\d+)s", "F{n}s", 2),
    AzureSeries(r"f(\d+)sv2", "F{n}s_v2", 2),
    AzureSeries(r"l(\d+)s", "L{n}s", 8),
    AzureSeries(r"l(\d+)sv2", "L{n}s_v2", 8),
)

# vCPU and GiB of series whose number is a rank and not a count.
_D_RANKS = {
    1: (1, 3.5),
    2: (2, 7),
    3: (4, 14),
    4: (8, 28),
    5: (16, 56),
    11: (2, 14),
    12: (4, 28),
    13: (8, 56),
    14: (16, 112),
    15: (20, 140),
}
_G_RANKS = {1: (2, 28), 2: (4, 56), 3: (8, 112), 4: (16, 224), 5: (32, 448)}

_AZURE_OTHERS = {
    "B1ls": (1, 0.5),
    "B1s": (1, 1),
    "B1ms": (1, 2),
    "B2s": (2, 4),
    "B2ms": (2, 8),
    "B4ms": (4, 16),
    "B8ms": (8, 32),
    "B12ms": (12, 48),
    "B16ms": (16, 64),
    "B20ms": (20, 80),
    "HB120rs_v2": (120, 456),
    "HC44rs": (44, 352),
    "M8ms": (8, 218.75),
    "M16ms": (16, 437.5),
    "M32ts": (32, 192),
    "M32ls": (32, 256),
    "M32ms": (32, 875),
    "M64ls": (64, 512),
    "M64": (64, 1024),
    "M64s": (64, 1024),
    "M64m": (64, 1792),
    "M64ms": (64, 1792),
    "M128": (128, 2048),
    "M128s": (128, 2048),
    "M128m": (128, 3892),
    "M128ms": (128, 3892),
    "M208s_v2": (208, 2850),
    "M208ms_v2": (208, 5700),
    "M416s_v2": (416, 5700),
    "M416ms_v2": (416, 11400),
}

# vCPU, GiB, GPUs and their kind.
_AZURE_GPU = {
    "NC6s_v3": (6, 112, 1, "V100"),
    "NC12s_v3": (12, 224, 2, "V100"),
    "NC24s_v3": (24, 448, 4, "V100"),
    "NC24rs_v3": (24, 448, 4, "V100"),
    "NC4as_T4_v3": (4, 28, 1, "T4"),
    "NC8as_T4_v3": (8, 56, 1, "T4"),
    "NC16as_T4_v3": (16, 110, 1, "T4"),
    "NC64as_T4_v3": (64, 440, 4, "T4"),
    "ND40rs_v2": (40, 672, 8, "V100-32GB"),
    "NV12s_v3": (12, 112, 1, "M60"),
    "NV24s_v3": (24, 224, 2, "M60"),
    "NV48s_v3": (48, 448, 4, "M60"),
}


def _azure_by_name() -> dict[str, MachineSize]:
    """The Azure sizes that no series rule gives, by official name without 'Standard_'."""
    sizes = {name: _size(*size) for name, size in _AZURE_OTHERS.items()}
    for rank, size in _D_RANKS.items():
        sizes[f"D{rank}_v2"] = sizes[f"DS{rank}_v2"] = _size(*size)
        if rank not in (5, 15):
            sizes[f"D{rank}"] = _size(*size)
    for rank, size in _G_RANKS.items():
        sizes[f"G{rank}"] = sizes[f"GS{rank}"] = _size(*size)
    for name, (vcpu, gib, gpus, kind) in _AZURE_GPU.items():
        sizes[name] = MachineSize(vcpu=vcpu, memory_bytes=int(gib * GIB), gpus=gpus, gpu_kind=kind)
    return sizes


def azure_size(squeezed: str) -> tuple[str, MachineSize] | None:
    """The official name and the size of an Azure machine, None where no rule covers the name.

    `squeezed` is a name in lower case without tier and underscores, as price lists keep it:
    'd4sv3' -> ('Standard_D4s_v3', 4 vCPU and 16 GiB).
    """
    for name, size in _azure_by_name().items():
        if name.lower().replace("_", "") == squeezed:
            return f"Standard_{name}", size
    for series in AZURE_SERIES:
        match = re.fullmatch(series.pattern, squeezed)
        if match is not None:
            count = int(match.group(1))
            gib = series.gib.get(count, count * series.gib_per_vcpu)
            return f"Standard_{series.name.format(n=count)}", _size(count, gib)
    return None
