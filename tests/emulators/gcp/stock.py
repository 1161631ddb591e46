"""What the rig sells: zones and machine types, with sizes as the cloud documents them."""

from __future__ import annotations

from dataclasses import dataclass

ZONES = ("europe-west4-a", "us-central1-a", "us-central1-b", "us-central1-f")


@dataclass(frozen=True, slots=True)
class MachineType:
    """A predefined machine type; `metric` is the quota that its vCPU count against."""

    vcpus: int
    memory_mb: int
    metric: str = "CPUS"
    architecture: str | None = "X86_64"
    accelerator: str | None = None
    accelerators: int = 0
    deprecated: bool = False


MACHINE_TYPES = {
    "a2-highgpu-1g": MachineType(12, 87040, "A2_CPUS", "X86_64", "nvidia-tesla-a100", 1),
    "c2-standard-4": MachineType(4, 16384, "C2_CPUS"),
    "c3-standard-4": MachineType(4, 16384, "C3_CPUS"),
    "c3-standard-192-metal": MachineType(192, 786432, "C3_CPUS"),
    "e2-micro": MachineType(2, 1024),
    "e2-standard-4": MachineType(4, 16384),
    "g2-standard-8": MachineType(8, 32768, "CPUS", "X86_64", "nvidia-l4", 1),
    "n1-standard-4": MachineType(4, 15360, architecture=None),
    "n1-standard-96": MachineType(96, 368640, architecture=None, deprecated=True),
    "n2-highmem-4": MachineType(4, 32768, "N2_CPUS"),
    "n2-standard-4": MachineType(4, 16384, "N2_CPUS"),
    "n2-standard-8": MachineType(8, 32768, "N2_CPUS"),
    "n2d-standard-4": MachineType(4, 16384, "N2D_CPUS"),
    "t2a-standard-4": MachineType(4, 16384, "CPUS", "ARM64"),
}
NOT_EVERYWHERE = {
    "a2-highgpu-1g": ("us-central1-a", "us-central1-f"),
    "t2a-standard-4": ("us-central1-a",),
}
ACCELERATOR_TYPES = {
    "us-central1-a": {"nvidia-tesla-t4": 4, "nvidia-tesla-v100": 8, "ct5lp": 8},
    "us-central1-b": {"nvidia-tesla-t4": 4},
}


def region_of(zone: str) -> str:
    """The region that a zone is in."""
    return zone.rpartition("-")[0]


def sold_in(zone: str) -> list[str]:
    """Names of the machine types of a zone, sorted."""
    return [name for name in sorted(MACHINE_TYPES) if zone in NOT_EVERYWHERE.get(name, ZONES)]
