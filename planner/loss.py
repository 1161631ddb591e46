"""What would be lost or done again if nodes went, in words that an operator decides by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from costplan.planner.drain import binding, loads_of, node_drain_seconds
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.nodes import Node
from costplan.planner.units import MIB, memory_text
from costplan.planner.wording import counted, plain, span_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the workers of some nodes do and hold; `unknown` of them the scheduler does not know.

    `sole` results of `sole_bytes` exist nowhere else and take `recompute_seconds` of task-time
    to make again. `drain_seconds` is how long the slowest node takes to empty.
    """

    workers: int
    unknown: int
    executing: int
    sole_keys: int
    sole_bytes: int
    recompute_seconds: float
    drain_seconds: float
    bindings: tuple[str, ...]


def held_by(nodes: Iterable[Node], load: Load | None) -> Held:
    """What these nodes do and hold, by the last load."""
    listed = tuple(nodes)
    loads: list[WorkerLoad] = []
    seconds = 0.0
    bindings: list[str] = []
    for node in listed:
        there = loads_of(node, load)
        loads += there
        seconds = max(seconds, node_drain_seconds(there) if there else 0.0)
        bound = binding(there)
        if bound:
            bindings.append(f"{plain(node.node_id)}: {plain(bound)}")
    workers = sum(len(node.workers) for node in listed)
    return Held(
        workers=workers,
        unknown=workers - len(loads),
        executing=sum(each.executing for each in loads),
        sole_keys=sum(each.sole_keys for each in loads),
        sole_bytes=sum(each.sole_bytes for each in loads),
        recompute_seconds=sum(each.recompute_seconds for each in loads),
        drain_seconds=seconds,
        bindings=tuple(bindings),
    )


def held_text(held: Held, load: Load | None, now: datetime) -> str:
    """'2 tasks run, 12 results (2 GiB) are held alone, seen 4 s ago'."""
    if load is None:
        return "what its workers do is not known: the scheduler was never read"
    age = max((now - load.at).total_seconds(), 0.0)
    missing = f"; {counted(held.unknown, 'worker')} not joined" if held.unknown else ""
    return (
        f"{counted(held.executing, 'task')} running, {_results_text(held)} held nowhere else, "
        f"seen {span_text(age)} ago{missing}"
    )


def drain_lines(held: Held) -> Iterable[str]:
    """What happens to the work where the nodes empty first and others stay, a sentence a line."""
    yield "nothing is lost: tasks that run are waited for, results held alone are copied first"
    yield (
        f"{counted(held.executing, 'task')} to wait for, {_results_text(held)} to copy, "
        f"about {held.drain_seconds:.0f} s without the tasks"
    )
    yield from held.bindings


def end_lines(held: Held) -> Iterable[str]:
    """The same where the whole fleet goes: results stay until their client lets go."""
    if not (held.executing or held.sole_keys):
        yield "nothing is lost: nothing is known to run there or to be held there alone"
    else:
        yield (
            "nothing is lost: tasks that run are waited for, and so is whoever wants results "
            "that only these machines hold"
        )
        yield (
            f"{counted(held.executing, 'task')} to wait for, "
            f"{_results_text(held)} wanted by clients"
        )
    yield from held.bindings


def discard_lines(held: Held) -> Iterable[str]:
    """The same where nothing is waited for."""
    if held.executing:
        yield f"{counted(held.executing, 'running task')} may be cut off and started again"
    if held.sole_keys:
        yield (
            f"{_results_text(held)} that nobody else holds may be lost; making them again takes "
            f"about {held.recompute_seconds:.0f} s of task-time"
        )
    if not (held.executing or held.sole_keys):
        yield "nothing is known that would be lost"
    yield from held.bindings


def left_text(nodes: Sequence[Node], load: Load | None) -> str:
    """'4 machines left' of a fleet that ends, and what keeps the last ones.

    Whoever could take their results ends too, so it is for the clients to let go of them.
    """
    text = f"{counted(len(nodes), 'machine')} left"
    held = held_by(nodes, load)
    if held.sole_keys and not held.executing:
        text += (
            f", with {_results_text(held)} that a client wants and no other machine can take;"
            " they end when it lets go, or with `costplan down --discard`"
        )
    return text


def _results_text(held: Held) -> str:
    """'62 results (992 B)': what these nodes hold alone."""
    size = f"{held.sole_bytes:,} B" if held.sole_bytes < MIB else memory_text(held.sole_bytes)
    return f"{counted(held.sole_keys, 'result')} ({size})"
