"""The ports: what the planner needs of the world, as protocols that adapters fill."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from costplan.planner.types import (
    LaunchRequest,
    Load,
    Notice,
    Offer,
    OfferKey,
    ProviderNode,
    Quote,
    Retired,
)


class Provider(Protocol):
    """A cloud in five verbs. Only machines that carry our tag are listed or touched."""

    name: str

    def offers(self) -> Sequence[Offer]:
        """All that can be bought here, unavailable offers marked and not left out."""
        ...

    def nodes(self) -> Sequence[ProviderNode]:
        """Every machine with our tag, pending and stopping ones too; complete, or raises."""
        ...

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """One machine, accepted and not yet booted; the same request gives the same machine."""
        ...

    def terminate(self, provider_ids: Collection[str]) -> None:
        """Returns when the end is accepted; ids that are not there count as success."""
        ...

    def notices(self) -> Sequence[Notice]:
        """Interruption and maintenance warnings now in force."""
        ...


class PriceFeed(Protocol):
    """Where prices come from."""

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """The newest quote of each key that has one; a key without one is a gap."""
        ...


class Cluster(Protocol):
    """A Dask cluster as the planner sees it."""

    def load(self) -> Load:
        """What waits, what runs, and who holds what; raises where the scheduler is away."""
        ...

    def cordon(self, workers: Collection[str]) -> None:
        """These workers take no new tasks."""
        ...

    def retire(self, workers: Collection[str], token: str) -> Retired:
        """Moves what they alone hold elsewhere; a worker that cannot be spared is refused."""
        ...

    def close(self, workers: Collection[str]) -> None:
        """Ends the worker processes."""
        ...
