"""What an instance type says of its hardware: the processor's architecture, and GPUs.

GPUs have one name with Google and another in the planner, and not every N1 machine may get any.

Machine types of other families bring their GPUs; an N1 gets them attached, and is an offer of
its own then: 'n1-standard-8-t4x1' is an n1-standard-8 with one T4.
"""

from __future__ import annotations

import re
from typing import NamedTuple

KINDS = {
    "nvidia-tesla-p4": "P4",
    "nvidia-tesla-p100": "P100",
    "nvidia-tesla-v100": "V100",
    "nvidia-tesla-t4": "T4",
    "nvidia-tesla-a100": "A100",
    "nvidia-a100-80gb": "A100-80GB",
    "nvidia-l4": "L4",
    "nvidia-h100-80gb": "H100",
    "nvidia-h100-mega-80gb": "H100",
    "nvidia-h200-141gb": "H200",
    "nvidia-b200": "B200",
    "nvidia-rtx-pro-6000": "RTX-PRO-6000",
}
"""Names as other price lists have them; what is not here (TPUs, workstations) is not offered."""


class Attachment(NamedTuple):
    """So many GPUs on an N1 with at most so many vCPU."""

    gpus: int
    most_vcpus: int


ATTACHMENTS = {
    "nvidia-tesla-t4": (Attachment(1, 48), Attachment(2, 48), Attachment(4, 96)),
    "nvidia-tesla-p4": (Attachment(1, 24), Attachment(2, 48), Attachment(4, 96)),
    "nvidia-tesla-v100": (
        Attachment(1, 12), Attachment(2, 24), Attachment(4, 48), Attachment(8, 96),
    ),
    "nvidia-tesla-p100": (Attachment(1, 16), Attachment(2, 32), Attachment(4, 96)),
}  # fmt: skip
"""https://cloud.google.com/compute/docs/gpus, tables of N1 machines, read in 2025."""

_ATTACHED = re.compile(r"(n1-[a-z]+-\d+)-(t4|p4|v100|p100)x(\d+)")


class Hardware(NamedTuple):
    """What an instance type is in Google's words; `accelerator` is attached, '' for none."""

    machine_type: str
    accelerator: str = ""
    gpus: int = 0


_ARM = ("a4x-", "c4a-", "n4a-", "t2a-")
"""https://cloud.google.com/compute/docs/instances/arm-on-compute, and A4X; read in 2025."""


def architecture(instance_type: str) -> str:
    """What an instance type's processor runs: arm64 or x86_64."""
    return "arm64" if instance_type.startswith(_ARM) else "x86_64"


def attached(machine_type: str, accelerator: str, count: int) -> str:
    """The instance type of an N1 with GPUs."""
    return f"{machine_type}-{KINDS[accelerator].lower()}x{count}"


def hardware_of(instance_type: str) -> Hardware:
    """What to ask for to get an instance type."""
    found = _ATTACHED.fullmatch(instance_type)
    if found is None:
        return Hardware(instance_type)
    return Hardware(found[1], f"nvidia-tesla-{found[2]}", int(found[3]))
