"""Ticks as bytes and back: what ticks share is a part of its own, the rest is the tick's body."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from costplan.adapters.store.parts import LEVEL, Blob, Series, blob_of, read_series
from costplan.adapters.store.records import Body, TickCommit
from costplan.planner.codec import decode, text_of
from costplan.planner.learnt import Learnt
from costplan.planner.ledger import Meter
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.nodes import Node, ProviderNode
from costplan.planner.outlook import Outlook
from costplan.planner.settings import Settings
from costplan.planner.tick import Control, MovePlan, Readings, State
from costplan.planner.types import Offer, Quote

STATE_PARTS = ("meters", "learnt", "load", "plan")
"""Parts of the state that is now, in the order of their digests; its nodes are a table."""
TICK_PARTS = (
    "settings", "market", "machines", "load", "plan",
    "before.nodes", "before.meters", "before.learnt", "before.load", "before.plan", "outlook",
)  # fmt: skip
"""Parts of a tick, in the order of their digests."""

MARKET = tuple[tuple[Offer, ...], tuple[Quote, ...]]
_PLAN = MovePlan | None
_OUTLOOK = Outlook | None
_NO_NODES: Mapping[str, Node] = MappingProxyType({})
_NO_METERS: Mapping[str, Meter] = MappingProxyType({})
_NO_WORKERS: Mapping[str, WorkerLoad] = MappingProxyType({})
_NULL = blob_of("null")

Texts = tuple[str, list[str]]
"""A part's own text and those of its chunks."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A tick as bytes, made before the transaction so that it is short."""

    body: bytes
    parts: tuple[Blob, ...]
    state: bytes
    state_parts: tuple[Blob, ...]


class Packer:
    """Turns ticks into bytes, and remembers what it has turned so that it need not again."""

    def __init__(self) -> None:
        self.nodes = Series(Node)
        self._meters = Series(Meter)
        self._workers = Series(WorkerLoad, by_value=True)
        self._machines = Series(ProviderNode, by_value=True)
        self._recent: dict[str, list[tuple[Any, Blob]]] = {}

    def pack(self, tick: TickCommit) -> Packed:
        """All of a tick. What is after it is what is before the next, so it is made once."""
        read, before, after = tick.readings, tick.state_before, tick.state_after
        first = (
            self._once("settings", tick.settings, lambda v: blob_of(text_of(v, Settings))),
            self._market(read),
            self._listed(read.machines),
        )
        # Before what was read now: a series remembers the last that it wrote.
        then = (self._nodes(before), *self._state(before))
        outlook = self._once("outlook", read.outlook, lambda v: blob_of(text_of(v, _OUTLOOK)))
        parts = (*first, self._load(read.load), self._plan(tick.plan), *then, outlook)
        body = Body(
            readings=replace(read, load=None, machines=None, offers=(), quotes=(), outlook=None),
            state_before=replace(_bare(before), control=before.control),
            gaps=tick.gaps,
            actions=tick.actions,
            entries=tick.entries,
        )
        self._nodes(after)
        return Packed(
            body=_squeezed(text_of(body, Body)),
            parts=parts,
            state=_squeezed(text_of(_bare(after), State)),
            state_parts=self._state(after),
        )

    def _state(self, state: State) -> tuple[Blob, ...]:
        return (
            self._once("meters", state.meters, lambda v: _listing(self._meters, v)),
            self._once("learnt", state.learnt, lambda v: blob_of(text_of(v, Learnt))),
            self._load(state.load),
            self._plan(state.plan),
        )

    def _nodes(self, state: State) -> Blob:
        return self._once("nodes", state.nodes, lambda v: _listing(self.nodes, v))

    def _plan(self, plan: MovePlan | None) -> Blob:
        return self._once("plan", plan, lambda v: blob_of(text_of(v, _PLAN)))

    def _load(self, load: Load | None) -> Blob:
        def made(load: Load) -> Blob:
            head = text_of(replace(load, workers=_NO_WORKERS), Load)
            return blob_of(head, self._workers.chunks(load.workers.items()))

        return _NULL if load is None else self._once("load", load, made)

    def _listed(self, machines: tuple[ProviderNode, ...] | None) -> Blob:
        if machines is None:
            return _NULL
        return blob_of("[]", self._machines.chunks((m.provider_id, m) for m in machines))

    def _market(self, read: Readings) -> Blob:
        for known, blob in self._recent.get("market", ()):
            if known[0] is read.offers and known[1] is read.quotes:
                return blob
        both = (read.offers, read.quotes)
        return self._once("market", both, lambda v: blob_of(text_of(v, MARKET)))

    def _once(self, kind: str, value: Any, make: Callable[[Any], Blob]) -> Blob:
        """The part of a value: that of last time, where it is the same object."""
        recent = self._recent.setdefault(kind, [])
        for known, blob in recent:
            if known is value:
                return blob
        blob = make(value)
        recent[:] = [*recent[-1:], (value, blob)]
        return blob


def opened(body: Body, texts: Mapping[str, Texts]) -> tuple[Readings, State]:
    """A tick's inputs from its body and the texts of its parts."""
    offers, quotes = decode(texts["market"][0], MARKET)
    readings = replace(
        body.readings,
        load=_load_from(texts["load"]),
        machines=_machines_from(texts["machines"]),
        offers=offers,
        quotes=quotes,
        outlook=decode(texts["outlook"][0], _OUTLOOK),
    )
    before = {name.removeprefix("before."): t for name, t in texts.items() if "before." in name}
    nodes = MappingProxyType(dict(read_series(before["nodes"][1], Node)))
    return readings, with_parts(replace(body.state_before, nodes=nodes), before)


def with_parts(state: State, texts: Mapping[str, Texts]) -> State:
    """A state with what is kept apart from it."""
    return replace(
        state,
        meters=MappingProxyType(dict(read_series(texts["meters"][1], Meter))),
        learnt=decode(texts["learnt"][0], Learnt),
        load=_load_from(texts["load"]),
        plan=plan_from(texts["plan"]),
    )


def plan_from(texts: Texts) -> MovePlan | None:
    """The plan of a part."""
    plan: MovePlan | None = decode(texts[0], _PLAN)
    return plan


def load_from(data: bytes | None) -> Load | None:
    """The load as version 1 of the store kept it beside the state."""
    if data is None:
        return None
    load: Load = decode(zlib.decompress(data), Load)
    return load


def _load_from(texts: Texts) -> Load | None:
    load: Load | None = decode(texts[0], Load | None)
    if load is None:
        return None
    workers = MappingProxyType(dict(read_series(texts[1], WorkerLoad)))
    return replace(load, workers=workers)


def _machines_from(texts: Texts) -> tuple[ProviderNode, ...] | None:
    if texts[0] == "null":
        return None
    return tuple(machine for _, machine in read_series(texts[1], ProviderNode))


def _listing(series: Series, values: Mapping[str, Any]) -> Blob:
    return blob_of("{}", series.chunks(values.items()))


def _bare(state: State) -> State:
    """A state without its parts, and without what the operator says, which has its own tables."""
    return replace(
        state,
        nodes=_NO_NODES,
        meters=_NO_METERS,
        learnt=Learnt(),
        load=None,
        plan=None,
        control=Control(),
    )


def _squeezed(text: str) -> bytes:
    return zlib.compress(text.encode(), LEVEL)
