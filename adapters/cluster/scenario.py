"""Machines of this computer where nobody said which: types of a price list, by the core.

A vCPU of a cloud is half of a core, so a type with 2 vCPU is a machine of one core here. The whole
memory is shared out by the core, to c5 half as much as to m5, as in the list.
"""

from __future__ import annotations

from typing import Any

from costplan.planner.units import MIB

FAMILIES = (("c5", 0.5), ("m5", 1.0))
SIZES = (("large", 1), ("xlarge", 2), ("2xlarge", 4), ("4xlarge", 8), ("12xlarge", 24))
FREE_SHARE = 0.2
"""Of the memory, for all that is not a worker."""
LEAST_MIB = 256


def local_scenario(cores: int, memory_bytes: int) -> dict[str, Any]:
    """A scenario of machines that fit into a computer, at bundled prices.

    Example: 4 cores and 16 GiB: c5.large with 1 core and 1,638 MiB up to m5.2xlarge with 4 cores
    and 13,107 MiB, each on demand and spot.
    """
    core_mib = memory_bytes * (1 - FREE_SHARE) / MIB / max(1, cores)
    offers = [
        {
            "type": f"{family}.{size}",
            "markets": ["on_demand", "spot"],
            "vcpu": count,
            "memory": f"{max(LEAST_MIB, int(core_mib * count * share))} MiB",
            "capacity": max(1, cores // count),
        }
        for size, count in SIZES
        for family, share in FAMILIES
        if count <= max(1, cores)
    ]
    return {
        "scenario": "this-computer",
        "place": {"provider": "aws", "region": "us-east-1", "zone": "us-east-1a"},
        "boot": "500ms",
        "offers": offers,
    }
