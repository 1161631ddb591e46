"""The routes for finished work and for rates: a daemon takes the one and tells the other."""

from __future__ import annotations

import json
from itertools import islice

from pydantic import ValidationError
from tornado.web import RequestHandler, stream_request_body

from costplan.adapters.dask.guarded import Guarded, GuardedBody
from costplan.adapters.dask.plugin import CostplanPlugin
from costplan.adapters.dask.work_book import Window
from costplan.adapters.dask.work_wire import (
    MAX_RATES_BYTES,
    MAX_WINDOWS,
    MOST_CELLS_AN_ANSWER,
    RATES_PATH,
    WORK_PATH,
    WORK_VERSION,
    RatesBody,
    encoded,
)
from costplan.planner.units import pico_from_usd


class WorkHandler(Guarded):
    """`GET /costplan/v1/work?after=N`: the windows with higher numbers, oldest first.

    Asking takes nothing away: windows stay for a while for whoever asks again.
    """

    def initialize(self, token: bytes, plugin: CostplanPlugin, scheduler_id: str) -> None:  # type: ignore[override]
        super().initialize(token)
        self._plugin, self._id = plugin, scheduler_id

    def get(self) -> None:
        after = self.get_query_argument("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 19):
            self.refuse(400, "after: is no number of a window")
            return
        book = self._plugin.counters.book
        book.close_window(self._plugin.now())
        new = [window for window in book.windows if window.number > int(after)]
        told: list[Window] = []
        cells = 0
        for window in islice(new, MAX_WINDOWS):
            cells += len(window.cells)
            if told and cells > MOST_CELLS_AN_ANSWER:
                break
            told.append(window)
        missed = max(0, told[0].number - int(after) - 1) if told else 0
        self.finish(encoded(told, self._id, is_more=len(told) < len(new), missed=missed))


@stream_request_body
class RatesHandler(GuardedBody):
    """`POST /costplan/v1/rates`; the body is read only up to its limit."""

    most_bytes = MAX_RATES_BYTES

    def initialize(self, token: bytes, plugin: CostplanPlugin) -> None:  # type: ignore[override]
        super().initialize(token)
        self._plugin = plugin

    def post(self) -> None:
        if self._finished:
            return
        try:
            body = RatesBody.model_validate_json(bytes(self.body))
        except ValidationError as error:
            self.refuse_field(error)
            return
        rates = zip(body.worker, map(pico_from_usd, body.usd_per_hour), strict=True)
        spent = None if body.spent_usd is None else pico_from_usd(body.spent_usd)
        self._plugin.costs.tell(dict(rates), spent)
        self.finish(json.dumps({"version": WORK_VERSION}))


def work_handlers(
    token: bytes, plugin: CostplanPlugin, scheduler_id: str
) -> list[tuple[str, type[RequestHandler], dict[str, object]]]:
    """What Tornado takes as routes."""
    return [
        (WORK_PATH, WorkHandler, {"token": token, "plugin": plugin, "scheduler_id": scheduler_id}),
        (RATES_PATH, RatesHandler, {"token": token, "plugin": plugin}),
    ]
