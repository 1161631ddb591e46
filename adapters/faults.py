"""Named places where a test may kill this process, to prove that nothing is lost there.

    COSTPLAN_FAULTS=local.launch.after_spawn:2 costplan run ...     dies the second time it is there
    COSTPLAN_FAULTS=a.b:1,c.d:3                                     whichever comes first
    COSTPLAN_FAULTS=store.commit.in@ready:1     dies there the first time that a node became ready

After the @ stands a phase: only those visits count that fall into a tick in which a node came
into it, or into the time from there to the decision of the next tick.

Without the variable a place costs one look into an empty mapping. The death is SIGKILL: no
handler, no clean-up, nothing flushed, as when the kernel or an operator ends the process.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from costplan.planner.errors import InputError

if TYPE_CHECKING:
    from costplan.planner.nodes import Node

VARIABLE = "COSTPLAN_FAULTS"

_EXAMPLE = "write name:nth, such as local.launch.after_spawn:1"


def parse_faults(text: str) -> Mapping[str, int]:
    """Place -> the visit at which to die, from 'name:nth,name:nth'; raises InputError."""
    faults: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, nth = part.rpartition(":")
        if not name or not nth.isdecimal() or not int(nth):
            raise InputError(VARIABLE, f"{part!r} is not a place and a count from 1", _EXAMPLE)
        if name in faults:
            raise InputError(VARIABLE, f"{name!r} is given twice", "keep one")
        faults[name] = int(nth)
    return MappingProxyType(faults)


_faults = parse_faults(os.environ.get(VARIABLE, ""))
_visits: Counter[str] = Counter()
_counting = threading.Lock()


_phases: set[str] = set()


def decided(before: Mapping[str, Node], after: Mapping[str, Node]) -> None:
    """Takes note of the phases that nodes come into by the tick that was just decided."""
    if not _faults:
        return
    with _counting:
        _phases.clear()
        for node_id, node in after.items():
            _phases.update(phase for phase, _, _ in node.history[_passed(before.get(node_id)) :])


def reach(name: str) -> None:
    """Ends this process with SIGKILL where `name` is due, and does nothing otherwise."""
    if not _faults:
        return
    with _counting:
        for place in (name, *(f"{name}@{phase}" for phase in _phases)):
            _visits[place] += 1
            if _visits[place] == _faults.get(place):
                os.kill(os.getpid(), signal.SIGKILL)


def _passed(node: Node | None) -> int:
    return 0 if node is None else len(node.history)
