"""The fleet as it stands: which nodes are paid for, at what rate, and which workers they bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from costplan.planner.nodes import Node
from costplan.planner.tick import Snapshot, State
from costplan.planner.types import Market, OfferKey, Phase

UNANSWERED = (Phase.INTENDED, Phase.REQUESTED, Phase.UNCERTAIN)
"""The cloud has not said which of the request's offers it became."""

COMING = (*UNANSWERED, Phase.BOOTING)
ENDING = (Phase.TERMINATING, Phase.LOST)
EMPTYING = (Phase.CORDONED, Phase.RETIRING)


def is_alive(node: Node) -> bool:
    """True from the intention on until the machine is gone: this long it is, or may be, paid."""
    return node.phase is not Phase.GONE


def is_staying(node: Node) -> bool:
    """True where it works or will, and nobody has told it to leave."""
    return node.drain is None and (node.phase is Phase.READY or node.phase in COMING)


def possible_keys(node: Node) -> tuple[OfferKey, ...]:
    """The offers that it may turn out to be: all of its request until the cloud has answered."""
    return node.request.keys if node.phase in UNANSWERED else (node.key,)


def is_firm(key: OfferKey) -> bool:
    """True where no market can take the machine away."""
    return key.market is not Market.SPOT


def workers_by_kind(nodes: Iterable[Node]) -> Counter[str]:
    """How many workers of each kind these nodes run."""
    return Counter(worker.shape for node in nodes for worker in node.request.workers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Dollars per hour of each node that is paid for, and the nodes whose rate nobody knows."""

    usd_per_hour: Mapping[str, Decimal]
    unknown: tuple[str, ...]

    @property
    def total(self) -> Decimal:
        """Dollars per hour of all nodes whose rate is known."""
        return sum(self.usd_per_hour.values(), Decimal(0))


def rates(snapshot: Snapshot, state: State) -> Rates:
    """What each node alive costs an hour: by its meter, or else by the quote of its offer; what
    commitments pay of it is off.

    A node that the cloud has not answered for is taken for the dearest offer of its request.
    """
    alive = [node for node in snapshot.nodes if is_alive(node)]
    metered = {
        node.node_id: state.meters[node.node_id].usd_per_hour
        for node in alive
        if node.node_id in state.meters and node.phase not in UNANSWERED
    }
    others = {n.node_id: possible_keys(n) for n in alive if n.node_id not in metered}
    quoted = _quotes(snapshot, {key for keys in others.values() for key in keys})
    known, unknown = dict(metered), []
    for node_id, keys in others.items():
        prices = [quoted[key] for key in keys if key in quoted]
        if len(prices) == len(keys):
            known[node_id] = max(prices)
        else:
            unknown.append(node_id)
    known = {name: usd - snapshot.paid_usd.get(name, Decimal(0)) for name, usd in known.items()}
    return Rates(usd_per_hour=known, unknown=tuple(sorted(unknown)))


def _quotes(snapshot: Snapshot, keys: Collection[OfferKey]) -> dict[OfferKey, Decimal]:
    if not keys:
        return {}
    return {quote.key: quote.usd_per_hour for quote in snapshot.quotes if quote.key in keys}
