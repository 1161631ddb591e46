"""Calls that a cloud found too many are held back for a while: a tick asks every second, and each
call that is refused counts against the account's limit too."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock

from costplan.planner.errors import Throttled
from costplan.planner.nodes import LaunchRequest, Notice, ProviderNode
from costplan.planner.ports import PriceFeed, Provider
from costplan.planner.types import Offer, OfferKey, Quote

FIRST_SECONDS = 2.0
MOST_SECONDS = 60.0


class Easing:
    """Lets calls of one operation through until one is throttled, and then none for FIRST_SECONDS,
    or as long as was asked; for twice as long after each in a row, up to MOST_SECONDS."""

    def __init__(self, provider: str, operation: str, clock: Callable[[], datetime]) -> None:
        self._provider, self._operation, self._clock = provider, operation, clock
        self._lock = Lock()
        self._seconds = 0.0
        self._from: datetime | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Raises Throttled without a call while calls are held back."""
        began = self._clock()
        with self._lock:
            left = self._left(began)
        if left > 0:
            subject = "held back after one that was"
            raise Throttled(self._provider, self._operation, subject, math.ceil(left))
        try:
            yield
        except Throttled as error:
            self._refused(error, began)
            raise
        with self._lock:
            self._seconds, self._from = 0.0, None

    def _left(self, now: datetime) -> float:
        """Seconds until the next call; a clock that was put back holds nothing back."""
        if self._from is None or now < self._from:
            return 0.0
        return self._seconds - (now - self._from) / timedelta(seconds=1)

    def _refused(self, error: Throttled, began: datetime) -> None:
        with self._lock:
            # Calls that were under way together are refused together, and count once.
            if self._left(began) <= 0:
                longer = min(MOST_SECONDS, max(FIRST_SECONDS, 2 * self._seconds))
                self._seconds = max(longer, float(error.retry_after_seconds or 0))
                self._from = self._clock()


class EasedProvider:
    """A provider each of whose verbs is held back after it was throttled."""

    def __init__(self, provider: Provider, clock: Callable[[], datetime]) -> None:
        self.name = provider.name
        self._provider = provider
        self._offers, self._nodes, self._launch, self._terminate, self._notices = (
            Easing(provider.name, verb, clock)
            for verb in ("offers", "nodes", "launch", "terminate", "notices")
        )

    def offers(self) -> Sequence[Offer]:
        """As the provider does."""
        with self._offers():
            return self._provider.offers()

    def nodes(self) -> Sequence[ProviderNode]:
        """As the provider does."""
        with self._nodes():
            return self._provider.nodes()

    def launch(self, request: LaunchRequest) -> ProviderNode:
        """As the provider does."""
        with self._launch():
            return self._provider.launch(request)

    def terminate(self, provider_ids: Collection[str]) -> None:
        """As the provider does."""
        with self._terminate():
            self._provider.terminate(provider_ids)

    def notices(self) -> Sequence[Notice]:
        """As the provider does."""
        with self._notices():
            return self._provider.notices()


class EasedPrices:
    """A price feed that is held back after it was throttled."""

    def __init__(self, feed: PriceFeed, provider: str, clock: Callable[[], datetime]) -> None:
        self._feed = feed
        self._quotes = Easing(provider, "quotes", clock)

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """As the feed does."""
        with self._quotes():
            return self._feed.quotes(keys)
