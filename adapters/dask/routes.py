"""The routes on a scheduler's own HTTP server. Nothing is answered without the token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from tornado.web import RequestHandler, stream_request_body

from costplan.adapters.dask.drains import Drains
from costplan.adapters.dask.endpoint_wire import (
    DRAIN_PATH,
    LOAD_PATH,
    MAX_DRAIN_BYTES,
    DrainBody,
)
from costplan.adapters.dask.guarded import Guarded, GuardedBody
from costplan.adapters.dask.load_sample import LoadSampler
from costplan.adapters.dask.session import act
from costplan.adapters.dask.work_routes import work_handlers

DRAINS_PER_SECOND = 20.0
DRAINS_AT_ONCE = 60.0


class RateLimit:
    """A bucket of `burst` calls that fills at `per_second`."""

    def __init__(self, per_second: float, burst: float, now: Callable[[], float]) -> None:
        self._per_second, self._burst, self._now = per_second, burst, now
        self._left, self._at = burst, now()

    def admits(self) -> bool:
        """True where one more call is allowed, which it then counts."""
        now = self._now()
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class LoadHandler(Guarded):
    """`GET /costplan/v1/load`."""

    def initialize(self, token: bytes, sampler: LoadSampler) -> None:  # type: ignore[override]
        super().initialize(token)
        self._sampler = sampler

    def get(self) -> None:
        self.finish(self._sampler.sample())


@stream_request_body
class DrainHandler(GuardedBody):
    """`POST /costplan/v1/drain`; the body is read only up to its limit."""

    most_bytes = MAX_DRAIN_BYTES

    def initialize(  # type: ignore[override]
        self, token: bytes, drains: Drains, limit: RateLimit
    ) -> None:
        super().initialize(token)
        self._drains, self._limit = drains, limit

    def post(self) -> None:
        if self._finished:
            return
        try:
            body = DrainBody.model_validate_json(bytes(self.body))
        except ValidationError as error:
            self.refuse_field(error)
            return
        if body.action != "status" and not self._limit.admits():
            self.set_header("Retry-After", "1")
            self.refuse(429, "too many drains at once")
            return
        self.finish(json.dumps(act(self._drains, body)))


def handlers(
    token: str, sampler: LoadSampler, drains: Drains, now: Callable[[], float]
) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """What Tornado takes as routes."""
    secret = token.encode()
    limit = RateLimit(DRAINS_PER_SECOND, DRAINS_AT_ONCE, now)
    return [
        (LOAD_PATH, LoadHandler, {"token": secret, "sampler": sampler}),
        (DRAIN_PATH, DrainHandler, {"token": secret, "drains": drains, "limit": limit}),
        *work_handlers(secret, sampler.plugin, sampler.scheduler_id),
    ]
