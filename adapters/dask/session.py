"""What runs in a scheduler for whoever adapts a cluster from a Python session.

Sampler and drains are those of the HTTP routes. Here they answer Dask's own messages, to a client
that can do all that Dask's messages can do anyway: no token is asked for. A scheduler says in its
metadata that it answers, so that nobody has to try a message that it does not know.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from costplan.adapters.dask.drains import Drains
from costplan.adapters.dask.endpoint_wire import DrainBody
from costplan.adapters.dask.gang_watch import NAME as GANGS
from costplan.adapters.dask.gang_watch import GangWatch
from costplan.adapters.dask.load_sample import LoadSampler
from costplan.adapters.dask.plugin import NAME, CostplanPlugin
from costplan.planner.work_cost import dearest

logger = logging.getLogger("distributed.costplan")

LOAD_OP = "costplan_load"
DRAIN_OP = "costplan_drain"
COSTS_OP = "costplan_costs"
METADATA = "costplan"
VERSION = 1
MOST_LINES = 50
"""Of each list of costs: the dearest, and one of all others."""


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """The parts of one scheduler, of which there is one each. All of it runs on its loop."""

    plugin: CostplanPlugin
    sampler: LoadSampler
    drains: Drains
    gangs: GangWatch

    def load(self) -> dict[str, Any]:
        """A load, encoded as for HTTP, and the width of the widest gang that is announced."""
        return {"version": VERSION, "load": self.sampler.sample(), "gang": self.gangs.width()}

    def costs(self) -> dict[str, Any]:
        """Dollars of the workers and what they were spent for: exact text, and of each line its
        name, dollars, seconds of computing, tasks and rows."""
        figures = self.plugin.costs.figures()
        lists = {
            "by_span": figures.by_span,
            "by_prefix": figures.by_prefix,
            "by_run": figures.by_run,
        }
        told = {
            name: [
                [x.name, f"{x.usd:f}", x.busy_seconds, x.tasks, x.rows]
                for x in dearest(lines, MOST_LINES)
            ]
            for name, lines in lists.items()
        }
        return {
            "version": VERSION,
            "usd": f"{figures.usd:f}",
            "idle_usd": f"{figures.idle_usd:f}",
            **told,
        }

    def drain(self, request: str) -> dict[str, Any]:
        """One step of a drain, as JSON; what is no request is answered with its first problem."""
        try:
            asked = DrainBody.model_validate_json(request)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return {"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:300]}
        return act(self.drains, asked)


def act(drains: Drains, body: DrainBody) -> dict[str, Any]:
    """Does what a checked request asks for."""
    names = body.workers
    match body.action:
        case "cordon":
            return drains.cordon(names, body.token, force=body.force)
        case "uncordon":
            return drains.uncordon(names)
        case "retire":
            return drains.retire(names, body.token, force=body.force)
        case "status":
            return drains.answer(names)


def session_of(scheduler: Any) -> Session:
    """The session of a scheduler in this process, begun where there is none."""
    present = scheduler.plugins.get(NAME)
    if isinstance(present, CostplanPlugin) and isinstance(present.session, Session):
        return present.session
    plugin = CostplanPlugin(scheduler, time.time)
    session = plugin.session = Session(
        plugin=plugin,
        sampler=LoadSampler(plugin, time.time),
        drains=Drains(plugin, time.time),
        gangs=GangWatch(scheduler),
    )
    scheduler.add_plugin(plugin, name=NAME, idempotent=True)
    scheduler.add_plugin(session.gangs, name=GANGS, idempotent=True)
    scheduler.handlers[LOAD_OP] = session.load
    scheduler.handlers[DRAIN_OP] = session.drain
    scheduler.handlers[COSTS_OP] = session.costs
    scheduler.set_metadata(keys=[METADATA], value={"version": VERSION})
    return session


def show_costs(scheduler: Any) -> None:
    """Shows figures on the `/metrics` of a scheduler in this process, and a page on its dashboard
    where it has one; a second call changes nothing. Begins a session where there is none.

    What cannot be shown is logged: it is no reason not to serve.
    """
    from costplan.adapters.dask.dashboard import add_page
    from costplan.adapters.dask.prometheus_figures import show_figures

    plugin = session_of(scheduler).plugin
    if plugin.shows_costs:
        return
    plugin.shows_costs = True
    show_figures(plugin)
    try:
        add_page(scheduler, plugin)
    except Exception:  # Bokeh's, of any version
        logger.exception("costplan: no page on the dashboard")
