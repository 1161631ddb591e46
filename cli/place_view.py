"""What a plan costs beside its machines, in words: disks, addresses and bytes."""

from __future__ import annotations

from collections.abc import Iterator

from costplan.cli.wording import plain, usd
from costplan.planner.place_rates import COMPILED_ON, DISK_KINDS, UNITS, Charge
from costplan.planner.plan import Elsewhere, PlacePlan, Recommendation
from costplan.planner.units import memory_text, seconds_text


def place_lines(plan: Recommendation, place: PlacePlan) -> Iterator[str]:
    """What is in the plan's figures, by the hour and once, and what other places would cost."""
    where, extras = plan.workload.where, plan.workload.extras
    hourly = []
    if extras.root_disk_bytes is not None:
        size = memory_text(extras.root_disk_bytes)
        hourly.append(f"root disks of {size} {usd(place.disks_usd_per_hour)}/h")
    if extras.public_ip:
        hourly.append(f"public addresses {usd(place.addresses_usd_per_hour)}/h")
    if where.traffic_bytes_per_hour:
        size = memory_text(where.traffic_bytes_per_hour)
        crossing = usd(place.traffic_usd_per_hour) + "/h"
        if not place.traffic_usd_per_hour:
            crossing = "none of it pays at a border"
        hourly.append(f"{size} an hour between workers: {crossing}")
    if hourly:
        yield "; ".join(hourly)
    data, seconds = where.data, plan.workload.duration_seconds
    if data is None or seconds is None:
        return
    read = memory_text(data.read_bytes)
    if not place.read_usd:
        yield f"reading {read} from {plain(str(data))} costs nothing here"
    else:
        yield (
            f"reading {read} from {plain(str(data))}: {usd(place.read_usd)} once, "
            f"{usd(place.read_usd_per_hour)}/h over {seconds_text(seconds)}"
        )
    others = "; ".join(_elsewhere(each) for each in place.elsewhere)
    if others:
        yield f"reading it once costs in {others}"


def _elsewhere(each: Elsewhere) -> str:
    least, most = usd(each.least_usd), usd(each.most_usd)
    return f"{plain(each.place)} {least}" + (f" to {most}" if most != least else "")


def rate_lines(place: PlacePlan) -> Iterator[str]:
    """The rates that the figures rest on, and where they are listed."""
    for each in place.rates:
        kind = f" ({DISK_KINDS.get(each.provider, '')})" if each.charge is Charge.ROOT_DISK else ""
        name = f"{plain(each.provider)} {each.charge.replace('_', ' ')}{kind}"
        own = each.source == "place_rates"
        where = "the workload's place_rates" if own else f"{each.source}, {COMPILED_ON:%Y-%m-%d}"
        yield f"{name}: {each.usd.normalize():f} {UNITS[each.charge]} ({where})"
