"""Reconcile, first half: what the world says of our nodes, and nothing that we want of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeGuard

from costplan.planner.learn import is_of_another, is_reborn
from costplan.planner.load import Load
from costplan.planner.nodes import (
    LaunchRequest,
    MachineState,
    Node,
    ProviderNode,
    WorkerSpec,
)
from costplan.planner.phases import enter
from costplan.planner.settings import Settings
from costplan.planner.tick import ActionOutcome, Launch, Outcome, Readings, State
from costplan.planner.types import Offer, OfferKey, Phase, Resources

WITH_MACHINE = (Phase.BOOTING, Phase.READY, Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING)
REFUSALS = (Outcome.NO_CAPACITY, Outcome.QUOTA, Outcome.REJECTED)
VANISHED_SECONDS = 20.0
"""A worker that its nanny starts again is back within this; a node without any is no use."""
UNLISTED_SECONDS = 10.0
"""Clouds are consistent in the end: a machine that one list leaves out may be on the next."""


def reflect(nodes: Mapping[str, Node], readings: Readings, settings: Settings) -> dict[str, Node]:
    """The nodes as the world shows them: launches answered, machines listed, workers joined."""
    now = readings.at
    found = dict(nodes)
    for ended in readings.outcomes:
        if isinstance(ended.action, Launch) and ended.action.node_id in found:
            node = found[ended.action.node_id]
            found[node.node_id] = _answered(node, ended, readings.offers)
    if readings.machines is not None:
        found = _listed(found, readings.machines, readings, settings)
    if (load := readings.load) is not None:
        found = {
            node_id: _joined(_staffed(node, load, settings), load, now)
            for node_id, node in found.items()
        }
    return found


def _answered(node: Node, ended: ActionOutcome, offers: Iterable[Offer]) -> Node:
    """What a launch came to. An answer that comes twice changes nothing."""
    if node.phase not in (Phase.REQUESTED, Phase.UNCERTAIN):
        return node
    if ended.outcome is Outcome.DONE and ended.machine is not None:
        return _booting(node, ended.machine, ended.at, "accepted", offers)
    if ended.outcome in REFUSALS:
        cause = f"{ended.outcome}: {ended.detail}" if ended.detail else str(ended.outcome)
        return enter(node, Phase.GONE, ended.at, cause)
    if ended.outcome is Outcome.UNKNOWN and node.phase is Phase.REQUESTED:
        return enter(node, Phase.UNCERTAIN, ended.at, ended.detail or "no answer")
    return node


def _booting(
    node: Node, machine: ProviderNode, now: datetime, cause: str, offers: Iterable[Offer]
) -> Node:
    """The node, which now has a machine."""
    return enter(_of_machine(node, machine, offers), Phase.BOOTING, now, cause)


def _of_machine(node: Node, machine: ProviderNode, offers: Iterable[Offer]) -> Node:
    """The node with this machine as its own."""
    size = next((o.resources for o in offers if o.key == machine.key), node.resources)
    return replace(
        node,
        key=machine.key,
        resources=size,
        provider_id=machine.provider_id,
        launched_at=machine.launched_at,
    )


def _listed(
    nodes: dict[str, Node],
    machines: tuple[ProviderNode, ...],
    readings: Readings,
    settings: Settings,
) -> dict[str, Node]:
    """Nodes against a complete list of machines, which wins; strangers with our tag join them."""
    now, listed_at = readings.at, readings.machines_at or readings.at
    # Of two that one launch made, the one that lives is the node's.
    ended_first = sorted(machines, key=lambda m: m.state is not MachineState.ENDED)
    by_token = {m.token: m for m in ended_first if m.token}
    by_id = {m.provider_id: m for m in machines}
    # A node whose launch was refused at last has no machine; where one comes after all, it is new.
    known = [n for n in nodes.values() if n.phase is not Phase.GONE or n.launched_at is not None]
    known_ids = {n.provider_id for n in known} | {None}
    known_tokens = {n.token for n in known}
    late = {n.token: n for n in nodes.values() if n.token not in known_tokens}
    found = dict(nodes)
    for node_id, before in nodes.items():
        node = before
        machine = by_token.get(node.token) or by_id.get(node.provider_id or "")
        if node.phase in (Phase.REQUESTED, Phase.UNCERTAIN) and machine is not None:
            node = _booting(node, machine, now, "listed", readings.offers)
        elif node.phase in WITH_MACHINE and _is_another(machine, node):
            # A list made while its launch went on named a place that refused it afterwards.
            node = _of_machine(node, machine, readings.offers)
        if machine is not None and machine.state is MachineState.ENDED:
            node = _ended(node, machine, now)
        elif machine is None and node.phase in WITH_MACHINE and _known_since(node) < listed_at:
            node = _unlisted(node, now)
        elif node.unlisted_since is not None:
            node = replace(node, unlisted_since=None)
        if node.phase is Phase.LOST:
            node = enter(node, Phase.GONE, now, "accounted for")
        found[node_id] = node
    for machine in machines:
        if machine.token in known_tokens or machine.provider_id in known_ids:
            continue
        if machine.state is not MachineState.ENDED:
            refused = late.get(machine.token or "")
            if refused is not None:
                adopted = _come_after_all(refused, machine, readings)
            else:
                adopted = _adopted(machine, readings, settings)
            found[adopted.node_id] = adopted
    return found


def _is_another(machine: ProviderNode | None, node: Node) -> TypeGuard[ProviderNode]:
    """True for a machine that lives and that the node does not know for its own."""
    if machine is None or machine.state is MachineState.ENDED:
        return False
    return machine.provider_id != node.provider_id


def _known_since(node: Node) -> datetime:
    """When we learnt that there is a machine: a list made before that need not name it."""
    return next((at for phase, at, _ in node.history if phase is Phase.BOOTING), node.phase_since)


def _ended(node: Node, machine: ProviderNode, now: datetime) -> Node:
    """A node whose machine has ended. What was seen to have ended did so by then: a later end is a
    cloud's guess, as of a machine that was to have half a minute and left sooner."""
    if node.phase is Phase.GONE:
        known, said = node.ended_at, machine.ended_at
        if said == known or node.launched_at is None:
            return node
        if known is not None and said is not None and node.unlisted_since is None:
            said = said if said <= max(known, node.phase_since) else known
        return replace(node, ended_at=said)
    cause = machine.end_cause or "ended"
    return enter(replace(node, ended_at=machine.ended_at), Phase.GONE, now, cause)


def _unlisted(node: Node, now: datetime) -> Node:
    """A machine that complete lists do not name for a while is not there; it was until it was
    missed first. Were it gone with the first, it would be nobody's when the next lists it."""
    since = node.unlisted_since or now
    if now - since < timedelta(seconds=UNLISTED_SECONDS):
        return replace(node, unlisted_since=since)
    node = replace(node, unlisted_since=since, ended_at=node.ended_at or since)
    if node.phase is Phase.TERMINATING:
        return enter(node, Phase.GONE, now, "no longer listed")
    return enter(node, Phase.LOST, now, "no longer listed, and we did not end it")


def _come_after_all(refused: Node, machine: ProviderNode, readings: Readings) -> Node:
    """A machine of a launch that was refused when it was sent again: a node of its own."""
    cause = "its launch was refused, and it came after all"
    return replace(
        refused,
        node_id=f"{refused.node_id}-late",
        key=machine.key,
        resources=_size(machine.key, readings.offers),
        phase=Phase.BOOTING,
        phase_since=readings.at,
        provider_id=machine.provider_id,
        launched_at=machine.launched_at,
        drain=None,
        history=(*refused.history, (Phase.BOOTING, readings.at, cause)),
    )


def _adopted(machine: ProviderNode, readings: Readings, settings: Settings) -> Node:
    """A machine with our tag that no journal knows, as after the loss of a store.

    Its workers are those that carry its node's name; without any it is surplus and goes, once the
    scheduler says so.
    """
    now = readings.at
    node_id = machine.node_id or f"adopted-{machine.provider_id}"
    request = LaunchRequest(
        token=machine.token or machine.provider_id[:64],
        node_id=node_id,
        cluster=settings.cluster,
        keys=(machine.key,),
        workers=_workers_of(node_id, readings.load, settings),
        tags={},
    )
    return Node(
        node_id=node_id,
        key=machine.key,
        resources=_size(machine.key, readings.offers),
        phase=Phase.BOOTING,
        phase_since=now,
        workload=settings.workload,
        request=request,
        provider_id=machine.provider_id,
        launched_at=machine.launched_at,
        history=((Phase.BOOTING, now, "adopted: it carries our tag, and no journal knows it"),),
    )


def _workers_of(node_id: str, load: Load | None, settings: Settings) -> tuple[WorkerSpec, ...]:
    """The workers that carry a node's name, as far as the scheduler tells of any."""
    names = [] if load is None else [w for w in load.workers if w.rpartition("-")[0] == node_id]
    kind = settings.kinds[0]
    return tuple(
        WorkerSpec(
            name=name,
            shape=_kind_of(load, name, settings),
            threads=kind.threads,
            memory_bytes=kind.need.memory_bytes,
            resources={},
        )
        for name in sorted(names)
    )


def _staffed(node: Node, load: Load, settings: Settings) -> Node:
    """The node; one that was adopted while nobody knew who works on it has its workers now."""
    if node.phase is not Phase.BOOTING or node.workers:
        return node
    workers = _workers_of(node.node_id, load, settings)
    return replace(node, request=replace(node.request, workers=workers))


def counted_anew(state: State, readings: Readings) -> Mapping[str, Node]:
    """The state's nodes; where the scheduler was just born again none of them misses its workers.

    They may be on their way to it, however long the one before it did not know them.
    """
    load, learnt = readings.load, state.learnt
    is_another = load is not None and is_of_another(load, learnt)
    if not (is_another or is_reborn(learnt, readings.at)):
        return state.nodes
    return {
        node_id: node if node.missing_since is None else replace(node, missing_since=None)
        for node_id, node in state.nodes.items()
    }


def _size(key: OfferKey, offers: Iterable[Offer]) -> Resources:
    unknown = Resources(vcpu_milli=0, memory_bytes=0)
    return next((offer.resources for offer in offers if offer.key == key), unknown)


def _kind_of(load: Load | None, name: str, settings: Settings) -> str:
    """The kind whose resources and threads a worker has, else the first."""
    worker = None if load is None else load.workers.get(name)
    for kind in settings.kinds:
        if worker is not None and (worker.threads, dict(worker.resources)) == (
            kind.threads,
            dict(kind.resources),
        ):
            return kind.name
    return settings.kinds[0].name


def _joined(node: Node, load: Load, now: datetime) -> Node:
    """Booting nodes whose workers are all there are ready; ready ones without any are no use."""
    names = node.workers
    there = [load.workers[name] for name in names if name in load.workers]
    if node.phase is Phase.BOOTING and names and len(there) == len(names):
        joined = [w.joined_at for w in there if w.joined_at is not None]
        at = max(joined) if len(joined) == len(there) else now
        at = min(max(at, node.launched_at or at), now)
        return enter(replace(node, ready_at=node.ready_at or at), Phase.READY, at, "joined")
    if node.phase is Phase.READY and not there:
        # By the samples' own time: one that grows old while it is read again proves nothing.
        since = node.missing_since or load.at
        if load.at - since >= timedelta(seconds=VANISHED_SECONDS):
            return enter(node, Phase.TERMINATING, now, "its workers are gone and did not come back")
        return node if node.missing_since is not None else replace(node, missing_since=since)
    if node.missing_since is not None:
        return replace(node, missing_since=None)
    return node
