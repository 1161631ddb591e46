"""Ticks as bytes: what ticks share is kept once, by its digest, and the rest is compressed."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from costplan.adapters.store.records import Body, TickCommit
from costplan.planner.codec import decode, encode
from costplan.planner.ledger import Meter
from costplan.planner.load import Load
from costplan.planner.nodes import Node
from costplan.planner.settings import Settings
from costplan.planner.tick import Learnt, Readings, State
from costplan.planner.types import Offer, Quote

LEVEL = 1
MARKET = tuple[tuple[Offer, ...], tuple[Quote, ...]]
METERS = Mapping[str, Meter]
_NO_NODES: Mapping[str, Node] = MappingProxyType({})
_NO_METERS: Mapping[str, Meter] = MappingProxyType({})


class Packer:
    """Turns ticks into bytes, and remembers what it has turned so that it need not again."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[Node, str, bytes]] = {}
        self._parts: dict[str, tuple[object, str, bytes]] = {}

    def node(self, node: Node) -> tuple[str, bytes]:
        """Digest and bytes of a node."""
        known = self._nodes.get(node.node_id)
        if known is not None and (known[0] is node or known[0] == node):
            return known[1], known[2]
        name, data = _packed(encode(node, Node))
        self._nodes[node.node_id] = (node, name, data)
        return name, data

    def forget(self, alive: Mapping[str, Node]) -> None:
        """Lets go of nodes that are no longer among these."""
        for node_id in [n for n in self._nodes if n not in alive]:
            del self._nodes[node_id]

    def part(self, kind: str, value: Any, form: Any) -> tuple[str, bytes]:
        """Digest and bytes of what is likely the same as last time."""
        known = self._parts.get(kind)
        if known is not None and known[0] is value:
            return known[1], known[2]
        name, data = _packed(encode(value, form))
        self._parts[kind] = (value, name, data)
        return name, data

    def body(self, tick: TickCommit) -> tuple[bytes, dict[str, bytes]]:
        """The bytes of a tick's own part, and the blobs that it refers to by digest."""
        blobs: dict[str, bytes] = {}
        names: dict[str, str] = {}
        readings, before = tick.readings, tick.state_before
        shared: tuple[tuple[str, Any, Any], ...] = (
            ("settings", tick.settings, Settings),
            ("meters", before.meters, METERS),
            ("learnt", before.learnt, Learnt),
        )
        for kind, value, form in shared:
            names[kind], data = self.part(kind, value, form)
            blobs[names[kind]] = data
        names["market"], data = self._market(readings)
        blobs[names["market"]] = data
        nodes = []
        for node_id, node in sorted(before.nodes.items()):
            name, data = self.node(node)
            nodes.append((node_id, name))
            blobs[name] = data
        body = Body(
            readings=replace(readings, load=None, offers=(), quotes=()),
            state_before=replace(
                before, nodes=_NO_NODES, meters=_NO_METERS, learnt=Learnt(), load=None, plan=None
            ),
            gaps=tick.gaps,
            plan=tick.plan,
            actions=tick.actions,
            nodes=tuple(nodes),
            market=names["market"],
            settings=names["settings"],
            meters=names["meters"],
            learnt=names["learnt"],
        )
        return zlib.compress(encode(body, Body), LEVEL), blobs

    def _market(self, readings: Readings) -> tuple[str, bytes]:
        known = self._parts.get("market")
        if known is not None and isinstance(known[0], tuple):
            offers, quotes = known[0]
            if offers is readings.offers and quotes is readings.quotes:
                return known[1], known[2]
        return self.part("market", (readings.offers, readings.quotes), MARKET)


def packed_load(load: Load | None) -> bytes | None:
    """The bytes of a load."""
    return None if load is None else zlib.compress(encode(load, Load), LEVEL)


def load_from(data: bytes | None) -> Load | None:
    """The load of these bytes."""
    if data is None:
        return None
    load: Load = decode(zlib.decompress(data), Load)
    return load


def opened(body: Body, blob: Callable[[str], bytes]) -> tuple[Readings, State, Settings]:
    """A tick's inputs from its own part and the blobs that it refers to."""
    offers, quotes = decode(zlib.decompress(blob(body.market)), MARKET)
    nodes = {node_id: decode(zlib.decompress(blob(name)), Node) for node_id, name in body.nodes}
    state = replace(
        body.state_before,
        nodes=MappingProxyType(nodes),
        meters=decode(zlib.decompress(blob(body.meters)), METERS),
        learnt=decode(zlib.decompress(blob(body.learnt)), Learnt),
    )
    settings = decode(zlib.decompress(blob(body.settings)), Settings)
    return replace(body.readings, offers=offers, quotes=quotes), state, settings


def _packed(data: bytes) -> tuple[str, bytes]:
    return hashlib.sha256(data).hexdigest()[:24], zlib.compress(data, LEVEL)
