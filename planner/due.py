"""A deadline of the work: until then it may take most of the time that is left.

Fewer workers do the same work in more time. With L seconds left, a share s of them is planned for
and a target of T:

    target = max(T, s L)        T once nothing is left

Example: a target of 300 s and 8 h left: 0.8 x 28,800 = 23,040 s, so 100 h of work ask for 16
workers and not for 1,200.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from costplan.planner.adaptive import DEADLINE_SHARE
from costplan.planner.needs import Needs
from costplan.planner.settings import Scaling, Settings
from costplan.planner.wording import percent, span_text


def by_deadline(settings: Settings, now: datetime) -> Settings:
    """The settings with the target that the deadline leaves; as they are without one."""
    scaling = settings.scaling
    target = _target_seconds(scaling, now)
    if target == scaling.target_seconds:
        return settings
    return replace(settings, scaling=replace(scaling, target_seconds=target))


def _target_seconds(scaling: Scaling, now: datetime) -> int:
    if scaling.deadline is None:
        return scaling.target_seconds
    left = (scaling.deadline - now).total_seconds()
    return max(scaling.target_seconds, int(DEADLINE_SHARE * left))


def with_deadline(needs: Needs, scaling: Scaling, now: datetime) -> Needs:
    """The needs, whose demand says what the deadline has to do with it where there is work."""
    if scaling.deadline is None:
        return needs
    left = (scaling.deadline - now).total_seconds()
    when = f"the deadline of {scaling.deadline:%Y-%m-%d %H:%M:%S} UTC"
    if left <= 0:
        said = f"{when} is over"
    else:
        said = f"{span_text(left)} until {when}"
        if scaling.target_seconds <= DEADLINE_SHARE * left:
            said += f", {percent(DEADLINE_SHARE)} of it planned for"
    demand = tuple(
        replace(each, reason=f"{each.reason}; {said}") if each.work_seconds else each
        for each in needs.demand
    )
    return replace(needs, demand=demand)
