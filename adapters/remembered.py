"""What a cloud sells and what it costs, remembered for a while: a tick asks every second, and a
cloud's price lists are long and change slowly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Generic, TypeVar

from costplan.planner.nodes import LaunchRequest, Notice, ProviderNode
from costplan.planner.ports import PriceFeed, Provider
from costplan.planner.types import Market, Offer, OfferKey, Quote
from costplan.planner.workload import Quota

K = TypeVar("K")
V = TypeVar("V")
ERROR_SECONDS = 300.0


class Remembered(Generic[K, V]):
    """What a function has read for the last thing that it was asked for, for so many seconds.

    What cannot be read is not remembered, and an error is passed on, also to those who waited for
    the same meanwhile: each of them would wait as long again where a cloud does not answer.
    """

    def __init__(
        self, read: Callable[[K], V], clock: Callable[[], datetime], seconds: float
    ) -> None:
        self._read, self._clock = read, clock
        self._while = timedelta(seconds=seconds)
        self._lock = Lock()
        self._known: tuple[datetime, K, V] | None = None
        self._failed: tuple[K, Exception] | None = None

    def __call__(self, asked: K) -> V:
        """The answer as it was at most so many seconds ago. A clock that was put back makes
        everything old."""
        failed = self._failed
        with self._lock:
            now, known = self._clock(), self._known
            is_fresh = known is not None and timedelta(0) <= now - known[0] < self._while
            if known is None or not is_fresh or known[1] != asked:
                since = self._failed
                if since is not None and since is not failed and since[0] == asked:
                    raise since[1]
                known = self._known = (now, asked, self._tried(asked))
            return known[2]

    def _tried(self, asked: K) -> V:
        try:
            return self._read(asked)
        except Exception as error:  # whatever it is, it is for all who ask now
            self._failed = (asked, error)
            raise


class RememberedEach(Generic[K, V]):
    """What a function knows of each of many things, remembered for so many seconds each.

    At most `most` things are read at a time, those first that were read longest ago or never:
    where there are thousands, the first answers know little, and none takes long.
    """

    def __init__(
        self,
        read: Callable[[Collection[K]], Mapping[K, V]],
        clock: Callable[[], datetime],
        seconds: float,
        most: int,
    ) -> None:
        self._read, self._clock, self._most = read, clock, most
        self._while = timedelta(seconds=seconds)
        self._lock = Lock()
        self._read_at: dict[K, datetime] = {}
        self._known: dict[K, V] = {}

    def __call__(self, asked: Collection[K]) -> Mapping[K, V]:
        """What is known of these things."""
        with self._lock:
            now = self._clock()
            due = [key for key in asked if not self._is_fresh(key, now)]
            due.sort(key=lambda key: self._read_at.get(key, datetime.min.replace(tzinfo=UTC)))
            batch = due[: self._most]
            if batch:
                found = self._read(batch)
                for key in batch:
                    self._read_at[key] = now
                    self._known.pop(key, None)
                self._known |= found
            return {key: self._known[key] for key in asked if key in self._known}

    def _is_fresh(self, key: K, now: datetime) -> bool:
        at = self._read_at.get(key)
        return at is not None and timedelta(0) <= now - at < self._while


def _without_room(offers: Sequence[Offer]) -> Sequence[Offer]:
    """The offers, which say nothing of how many more there may be: machines come and go meanwhile.
    Quotas are limits of the plan, which counts them."""
    return tuple(
        offer if offer.headroom is None else replace(offer, headroom=None) for offer in offers
    )


class RememberedOffers:
    """A provider whose offers are asked for again after a while; its other verbs are its own."""

    def __init__(self, provider: Provider, clock: Callable[[], datetime], seconds: float) -> None:
        self.name = provider.name
        self._provider = provider
        self._offers: Remembered[None, Sequence[Offer]] = Remembered(
            lambda _: _without_room(provider.offers()), clock, seconds
        )

    def offers(self) -> Sequence[Offer]:
        """The offers as they were at most so many seconds ago."""
        return self._offers(None)

    def nodes(self) -> Sequence[ProviderNode]:
        """As the provider has them."""
        return self._provider.nodes()

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """As the provider does."""
        return self._provider.launch(request)

    def terminate(self, provider_ids: Collection[str]) -> None:
        """As the provider does."""
        self._provider.terminate(provider_ids)

    def notices(self) -> Sequence[Notice]:
        """As the provider has them."""
        return self._provider.notices()


class RememberedQuotas:
    """The account's quotas, asked for again after so many seconds or once they are forgotten. An
    error is remembered for a while too: a permission that is missing is not asked for each
    second."""

    def __init__(
        self, read: Callable[[], Sequence[Quota]], clock: Callable[[], datetime], seconds: float
    ) -> None:
        self._read, self._clock, self._seconds = read, clock, seconds
        self._lock = Lock()
        self._known: tuple[datetime, Sequence[Quota] | Exception] | None = None

    def __call__(self) -> Sequence[Quota]:
        """The quotas as they were at most so many seconds ago; raises what reading them did."""
        with self._lock:
            if self._known is None or not self._is_fresh(*self._known):
                self._known = (self._clock(), self._tried())
            found = self._known[1]
        if isinstance(found, Exception):
            raise found
        return found

    def forget(self) -> None:
        """Reads them anew with the next call."""
        with self._lock:
            self._known = None

    def _is_fresh(self, at: datetime, found: Sequence[Quota] | Exception) -> bool:
        is_error = isinstance(found, Exception)
        seconds = min(self._seconds, ERROR_SECONDS) if is_error else self._seconds
        return timedelta(0) <= self._clock() - at < timedelta(seconds=seconds)

    def _tried(self) -> Sequence[Quota] | Exception:
        try:
            return self._read()
        except Exception as error:  # whatever it is, asking again at once does not help
            return error


class RememberedPrices:
    """A price feed whose markets are asked for again after so many seconds each, or for other
    offers. Quotes keep the instant at which they were observed."""

    def __init__(
        self, feed: PriceFeed, clock: Callable[[], datetime], seconds: Mapping[Market, float]
    ) -> None:
        self._quotes: Mapping[Market, Remembered[frozenset[OfferKey], Sequence[Quote]]] = {
            market: Remembered(feed.quotes, clock, some) for market, some in seconds.items()
        }

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """The quotes of each market as they were at most so many seconds ago; none of markets
        that no time is given for."""
        found: list[Quote] = []
        for market, quotes in self._quotes.items():
            wanted = frozenset(key for key in keys if key.market is market)
            if wanted:
                found += quotes(wanted)
        return tuple(found)
