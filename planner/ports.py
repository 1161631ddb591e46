"""The ports: what the planner needs of the world, as protocols that adapters fill."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Protocol

from costplan.planner.load import Load
from costplan.planner.nodes import LaunchRequest, Notice, ProviderNode, Retired
from costplan.planner.types import Offer, OfferKey, Quote
from costplan.planner.work import WorkBatch, WorkerRate
from costplan.planner.workload import Quota


class Provider(Protocol):
    """A cloud in five verbs. Only machines that carry our cluster's tag are listed or touched.

    Thread-safe, synchronous, without retries, caches, sleeps or logs; errors are those of
    `errors.ProviderError`. `adapters/conformance.py` holds every adapter to this.
    """

    name: str

    def offers(self) -> Sequence[Offer]:
        """All that can be bought here, unavailable offers marked and not left out."""
        ...

    def nodes(self) -> Sequence[ProviderNode]:
        """Every machine with our tag: pending, stopping and lately ended ones too; complete, or
        raises."""
        ...

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """One machine, accepted and not yet booted; the same request gives the same machine.

        Goes on to the request's next key only after a definite refusal of capacity. Raises
        RequestRejected where the token was used for another request.
        """
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


class AccountQuotas(Protocol):
    """What the account may have, less what its machines that are not the cluster's take of it.

    A cloud that has no such limits needs none of this.
    """

    def __call__(self) -> Sequence[Quota]:
        """The limits in force; raises errors.ProviderError where they cannot be read."""
        ...

    def forget(self) -> None:
        """Has them read anew with the next call."""
        ...


class WorkSource(Protocol):
    """A cluster that says what was computed on it, and shows what that costs.

    Raises errors.ClusterUnreachable where the scheduler cannot be asked.
    """

    def work(self, after: int, scheduler_id: str) -> WorkBatch:
        """Windows of finished work of a scheduler with numbers above `after`; asking takes
        nothing away."""
        ...

    def tell_rates(self, rates: Collection[WorkerRate], spent_usd: Decimal) -> None:
        """What workers cost an hour, and what was spent in all."""
        ...


class Cluster(Protocol):
    """A Dask cluster as the planner sees it. Workers are named; names that are not there are
    skipped. Every call may be repeated, and none waits for a drain to end.

    Raises errors.ClusterUnreachable where the scheduler cannot be asked.
    """

    def load(self) -> Load:
        """What waits, what runs, and who holds what."""
        ...

    def cordon(self, workers: Collection[str], token: str) -> None:
        """These workers take no new tasks, and copies of what they alone hold are begun; tasks
        that run go on. All victims of one tick come in one call, so that none is copied to
        another."""
        ...

    def uncordon(self, workers: Collection[str]) -> None:
        """These workers take tasks again."""
        ...

    def retire(self, workers: Collection[str], token: str, *, force: bool = False) -> Retired:
        """Begins, or goes on with, removing workers once nothing is on them alone, and says how
        far it is. A worker is done when it left with nothing lost, by the scheduler's own event.

        Without `force` members of a running collective or shuffle are refused.
        """
        ...
