"""Reads the world for a tick: every port at once, and what cannot be read is a gap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import datetime
from typing import Any, TypeVar

from costplan.adapters.threads import Threads
from costplan.planner.errors import ClusterUnreachable, CredentialsRejected, ProviderError
from costplan.planner.load import Load
from costplan.planner.nodes import Notice, ProviderNode
from costplan.planner.ports import AccountQuotas, Cluster, PriceFeed, Provider
from costplan.planner.snapshot import market_digest
from costplan.planner.tick import ActionOutcome, Readings
from costplan.planner.types import Gap, Offer, Quote
from costplan.planner.workload import Quota

T = TypeVar("T")
URGENT_SECONDS = 0.3
"""A machine that was just warned of does not wait longer for a scheduler that is silent."""


class ReadingEnded(Exception):
    """The reader was closed while it waited for an answer, so nothing was read."""


def _nobody_told(_kind: str, _error: Exception) -> None:
    """A gap says that something could not be read."""


class Reader:
    """Reads the ports of one cluster. What has not changed stays the same object, so that who
    compares it need not look into it.

    `broken` is told of errors that no port knows: an answer that nobody understands, or a bug. The
    rest is read all the same, as one page of a proxy must not keep a warned machine from its drain.
    """

    def __init__(
        self,
        provider: Provider,
        prices: PriceFeed,
        cluster: Cluster,
        clock: Callable[[], datetime],
        quotas: AccountQuotas | None = None,
        broken: Callable[[str, Exception], None] = _nobody_told,
    ) -> None:
        self._provider, self._prices, self._cluster = provider, prices, cluster
        self._clock, self._account, self._broken = clock, quotas, broken
        self._threads = Threads(6, "read")
        self._ended: Future[None] = Future()
        self._quotas: tuple[Quota, ...] = ()
        self._offers: tuple[Offer, ...] = ()
        self._quotes: tuple[Quote, ...] = ()
        self._digest = ""
        self._warned: frozenset[tuple[str, str]] = frozenset()

    def close(self) -> None:
        """Waits for no answer any more: `read` raises ReadingEnded."""
        self._threads.close()
        if not self._ended.done():
            self._ended.set_result(None)

    def warned(self) -> Future[frozenset[tuple[str, str]]]:
        """Who is warned of what now; nobody where it cannot be read."""
        return self._submitted(self._notices)

    def _notices(self) -> frozenset[tuple[str, str]]:
        try:
            return frozenset((n.provider_id, n.kind) for n in self._provider.notices())
        except ProviderError:
            return frozenset()
        except Exception:  # no port's: `read` asks the same soon, and says it
            return frozenset()

    def read(self, outcomes: Sequence[ActionOutcome]) -> Readings:
        """Everything, as of now. Raises ReadingEnded where the reader is closed."""
        began = self._clock()
        load_asked = self._submitted(self._cluster.load)
        machines_asked = self._submitted(self._provider.nodes)
        notices_asked = self._submitted(self._provider.notices)
        market_asked = self._submitted(self._market)
        quotas_asked = self._submitted(self._limits)
        gaps: list[Gap] = []
        notices = self._got(notices_asked, "notices", "none that is new", gaps)
        warned = frozenset((notice.provider_id, notice.kind) for notice in notices or ())
        is_urgent, self._warned = bool(warned - self._warned), warned
        patience = URGENT_SECONDS if is_urgent else None
        load = self._got(load_asked, "load", "nothing of what the cluster does", gaps, patience)
        machines = self._got(machines_asked, "machines", "as they were last", gaps)
        self._got(market_asked, "prices", "as they were last", gaps)
        unlimited = self._got(quotas_asked, "quotas", "as they were last", gaps)
        gaps += unlimited or ()
        return Readings(
            at=max(self._clock(), began),
            load=load,
            machines=None if machines is None else tuple(machines),
            machines_at=began,
            notices=_with_workers(notices, load, machines, began),
            offers=self._offers,
            quotes=self._quotes,
            outcomes=tuple(outcomes),
            gaps=tuple(gaps),
            market_digest=self._digest,
            quotas=self._quotas,
        )

    def _got(
        self,
        asked: Future[T],
        kind: str,
        assumed: str,
        gaps: list[Gap],
        seconds: float | None = None,
    ) -> T | None:
        """The answer, or None with a gap that says why; waited for `seconds` where they are
        given."""
        either: tuple[Future[Any], ...] = (asked, self._ended)
        answered, _ = wait(either, seconds, FIRST_COMPLETED)
        if self._ended in answered:
            raise ReadingEnded
        if asked not in answered:
            subject = f"no answer in {seconds:g} s, and a machine is warned of"
            gaps.append(Gap(kind=kind, subject=subject, assumed=assumed))
            return None
        try:
            return asked.result()
        except CredentialsRejected as error:
            gaps.append(Gap(kind="credentials", subject=str(error), assumed="nothing is done"))
        except (ProviderError, ClusterUnreachable) as error:
            gaps.append(Gap(kind=kind, subject=str(error), assumed=assumed))
        except Exception as error:  # no port's: an answer that nobody understands, or a bug
            self._broken(kind, error)
            subject = f"an answer that cannot be read: {type(error).__name__}: {error}"
            gaps.append(Gap(kind=kind, subject=subject, assumed=assumed))
        return None

    def _submitted(self, call: Callable[[], T]) -> Future[T]:
        try:
            return self._threads.submit(call)
        except RuntimeError as error:
            raise ReadingEnded from error

    def _market(self) -> None:
        """Refreshes offers and quotes; one that was only seen again counts as the same."""
        offers = tuple(self._provider.offers())
        quotes = tuple(self._prices.quotes([offer.key for offer in offers]))
        if offers != self._offers or _prices(quotes) != _prices(self._quotes):
            self._offers, self._quotes = offers, quotes
            self._digest = market_digest(offers, quotes)

    def _limits(self) -> list[Gap]:
        """Takes in the account's quotas. Where they cannot be read the cloud itself refuses what
        is too much, so nobody need stop acting: that much is said."""
        if self._account is None:
            return []
        try:
            self._quotas = tuple(self._account())
        except ProviderError as error:
            assumed = "as they were last" if self._quotas else "none; the cloud refuses the rest"
            return [Gap(kind="quotas", subject=str(error), assumed=assumed)]
        return []


def _with_workers(
    notices: Sequence[Notice] | None,
    load: Load | None,
    machines: Sequence[ProviderNode] | None,
    now: datetime,
) -> tuple[Notice, ...] | None:
    """The cloud's notices, and those that only workers have heard of; None where neither is known.

    A worker's name is its node's id and its place there.
    """
    heard = () if load is None else load.warned
    if notices is None and not heard:
        return None
    known = {(notice.provider_id, notice.kind) for notice in notices or ()}
    by_node = {m.node_id: m.provider_id for m in machines or () if m.node_id is not None}
    found = list(notices or ())
    for warned in heard:
        provider_id = by_node.get(warned.worker.rpartition("-")[0])
        if provider_id is None or (provider_id, warned.kind) in known:
            continue
        known.add((provider_id, warned.kind))
        found.append(
            Notice(
                provider_id=provider_id,
                kind=warned.kind,
                effective_at=warned.effective_at,
                observed_at=now,
            )
        )
    return tuple(found)


def _prices(quotes: Sequence[Quote]) -> list[tuple[object, ...]]:
    return [(q.key, q.usd_per_hour, q.hazard_per_hour, q.observed_at) for q in quotes]
