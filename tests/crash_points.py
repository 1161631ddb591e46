"""Where the daemon is killed: every named place of the code, and the deaths that are tried there.

A death is `place[@phase]:nth`, as `adapters/faults.py` has it. With a phase only those ticks count
in which a node came into it, so the same place of a tick is another one for every phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest


class Course(StrEnum):
    """What happens around a death, besides the work coming and going."""

    PLAIN = "plain"
    RETURNING = "returning"
    """Work comes back while machines are drained, so that they are called back."""
    THROTTLED = "throttled"
    LOST_ANSWER = "lost answer"
    """The first launch is refused once, or is made and never answered."""
    MUTE = "mute"
    """The order to end a machine fails, though it is heard."""
    STOP = "stop"
    """The daemon is asked to stop while machines work."""
    DOWN = "down"
    """The fleet is ended by `costplan down`, with no daemon; that command dies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deaths:
    """One course of work, and where the daemon dies in it: once, or its successor too."""

    faults: tuple[str, ...]
    course: Course = Course.PLAIN

    def __str__(self) -> str:
        text = " > ".join(self.faults)
        return text if self.course is Course.PLAIN else f"{text}  ({self.course})"


OF_A_TICK = ("daemon.tick.before", "daemon.tick.read", "daemon.tick.decided", "store.commit.before",
             "store.commit.in", "store.commit.after", "daemon.tick.committed")  # fmt: skip
OF_A_MACHINE = ("local.machine.up", "local.machine.booted", "local.machine.before_ended")
"""Not of the daemon: the supervisor of a machine dies. test_local_machines.py has them."""
ONLY_SIMULATED = ("daemon.cordon.failed", "daemon.retire.failed", "daemon.uncordon.failed")
"""The scheduler cannot be reached in just that moment: nothing durable lies between these and
`.before`, and tests/sim/test_crashes.py has deaths among faults of every call."""

OF_THE_LEDGER = ("ledger.archive.written", "ledger.archive.placed", "ledger.archive.noting",
                 "ledger.archive.noted")  # fmt: skip
"""Not of the daemon: a command of a person dies. tests/finance/test_archive.py has them."""
OF_A_RESTATEMENT = ("ledger.restate.written", "ledger.restate.noted")
"""The same; tests/finance/test_restate.py has them."""

OF_DELIVERIES = ("deliver.begun", "deliver.rendered", "deliver.sent")
"""Of the process beside the daemon that writes and sends. tests/cli/test_deliveries.py has them."""

PLACES = (
    *OF_A_TICK,
    "daemon.start.before_lease",
    "daemon.start.after_lease",
    "daemon.start.loaded",
    "daemon.action.begun",
    "daemon.stop.before_release",
    *(
        f"daemon.{action}.{when}"
        for action in ("launch", "cordon", "uncordon", "retire", "terminate")
        for when in ("before", "after", "failed")
    ),
    "local.launch.before_folder",
    "local.launch.after_folder",
    "local.launch.after_spawn",
    "local.launch.after_accepted",
    "local.terminate.before_order",
    "local.terminate.after_order",
    "local.terminate.after_signal",
    "down.requested",
    *OF_A_MACHINE,
    *OF_THE_LEDGER,
    *OF_A_RESTATEMENT,
    *OF_DELIVERIES,
)
"""Every place that the code names."""


def _ticks(*phases: str) -> list[str]:
    return [f"{place}@{phase}:1" for phase in phases for place in OF_A_TICK]


def _actions(*actions: str, passings: tuple[int, ...] = (1, 2)) -> list[str]:
    return [
        f"daemon.{action}.{when}:{nth}"
        for action in actions
        for when in ("before", "after")
        for nth in passings
    ]


def _local(verb: str) -> list[str]:
    return [f"{p}:{nth}" for p in PLACES if p.startswith(f"local.{verb}.") for nth in (1, 2)]


LAUNCH = (
    *_ticks("intended", "booting", "ready"),
    *_actions("launch"),
    *_local("launch"),
    *(f"daemon.action.begun@intended:{nth}" for nth in (1, 2)),
)
DRAIN = (*_actions("cordon", "retire", passings=(1,)), *_ticks("cordoned", "retiring"))
"""The first drain leaves one machine, with the results; the second one empties the fleet.

Visits are counted anew in every life, so what follows a death in a drain is not the second order of
a life.
"""
SECOND_DRAIN = (
    *_actions("cordon", "retire", passings=(2,)),
    "daemon.terminate.before:2",
    "daemon.terminate.after:2",
    *(
        f"{place}@{phase}:2"
        for phase in ("cordoned", "retiring", "terminating", "gone")
        for place in ("store.commit.in", "daemon.tick.committed")
    ),
)
TERMINATE = (
    *_ticks("terminating", "gone"),
    *_actions("terminate", passings=(1,)),
    *_local("terminate"),
)


def campaign() -> Iterator[Deaths]:
    """Every course: deaths of launch, drain and terminate one after another; then what goes wrong
    besides."""
    late = [(one,) for one in SECOND_DRAIN]
    rest = zip_longest(DRAIN, TERMINATE)
    ends = [*(tuple(filter(None, pair)) for pair in rest), *late]
    for first, then in zip_longest(LAUNCH, ends):
        yield Deaths(faults=(*([first] if first else []), *(then or ())))
    # The successor dies on its way in, and its successors too.
    for first in ("local.launch.after_spawn:2", "daemon.retire.after:1",
                  "local.terminate.after_order:1"):  # fmt: skip
        yield Deaths(
            faults=(
                first,
                "daemon.start.before_lease:1",
                "daemon.start.after_lease:1",
                "daemon.start.loaded:1",
                "store.commit.in:1",
            )
        )
    for nth in ("before:1", "after:1"):
        yield Deaths(faults=(f"daemon.uncordon.{nth}",), course=Course.RETURNING)
    yield Deaths(faults=("daemon.terminate.failed:1",), course=Course.MUTE)
    yield Deaths(faults=("daemon.stop.before_release:1",), course=Course.STOP)
    yield Deaths(
        faults=(
            "down.requested:1",
            "daemon.start.after_lease:1",
            "store.commit.in@cordoned:1",
            "daemon.retire.before:1",
            "daemon.terminate.before:1",
        ),
        course=Course.DOWN,
    )
    yield Deaths(faults=("down.requested:1", "daemon.retire.after:1"), course=Course.DOWN)
    for course in (Course.THROTTLED, Course.LOST_ANSWER):
        yield Deaths(faults=("daemon.launch.failed:1",), course=course)


def representative() -> tuple[Deaths, ...]:
    """A dozen deaths in two courses, some of launch, drain and terminate in each."""
    return (
        Deaths(
            faults=(
                "store.commit.in@intended:1",
                "local.launch.after_folder:1",
                "daemon.start.loaded:1",
                "store.commit.after@cordoned:1",
                "daemon.retire.after:1",
                "local.terminate.after_order:1",
            )
        ),
        Deaths(
            faults=(
                "daemon.action.begun@intended:1",
                "local.launch.after_spawn:1",
                "daemon.cordon.before:1",
                "store.commit.in@retiring:1",
                "daemon.terminate.after:1",
                "store.commit.before@gone:1",
            )
        ),
    )
