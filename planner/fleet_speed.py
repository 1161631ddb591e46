"""What tasks take on the fleet that there is, where types of machines differ in speed.

A prefix's mean is over all types that it ever ran on. With n tasks of mean m on a type of speed s,
one takes sum n m / sum (n / s) at speed 1, and that divided by the mean speed of the fleet's
workers on them. So a fleet that has become faster is not larger than its work asks for.

Example: 100 tasks of 8 s on a type of speed 1 and 100 of 5 s on one of speed 1.6 are 8 s each at
speed 1, and 5 s on a fleet of the fast type; their mean is 6.5 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from costplan.planner.fleet_view import Asset
from costplan.planner.load import Load, TaskGroup
from costplan.planner.speed import Speeds, cell_name


def at_fleet_speed(load: Load, fleet: Sequence[Asset], speeds: Speeds) -> Load:
    """The load with the means of its groups as this fleet would have them."""
    workers = {asset.node.node_id: sum(n for _, n in asset.workers) for asset in fleet}
    many = sum(workers.values())
    if speeds.is_plain or not many or not load.paces:
        return load
    speed = sum(
        speeds.factor(asset.node.key.instance_type) * workers[asset.node.node_id]
        for asset in fleet
    ) / many  # fmt: skip
    return replace(
        load, groups=tuple(_at_speed(group, load, speed, speeds) for group in load.groups)
    )


def _at_speed(group: TaskGroup, load: Load, speed: float, speeds: Speeds) -> TaskGroup:
    cells = load.paces.get(cell_name(group.prefix, group.need))
    if not cells or group.mean_task_seconds is None:
        return group
    tasks = sum(n for n, _, _ in cells.values())
    seconds = sum(n * mean for n, mean, _ in cells.values())
    if not seconds:
        return group
    at_one = seconds / sum(n / speeds.factor(name) for name, (n, _, _) in cells.items())
    return replace(
        group, mean_task_seconds=group.mean_task_seconds * at_one / speed / (seconds / tasks)
    )
