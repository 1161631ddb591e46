"""`CostAwareAdaptive`, a drop-in for `distributed.Adaptive` that knows what workers cost.

    cluster.adapt(Adaptive=CostAwareAdaptive, minimum=0, maximum=200, usd_per_hour=40)

What to do is decided in `costplan.planner.adaptive`; here is what it needs of Dask.
docs/dask-plugin.md says what differs from stock. Where overrides are not checked, stock's own
annotations are of something else than what it passes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dask.utils import parse_timedelta
from distributed import Adaptive

from costplan.adapters.clock import utc_now
from costplan.adapters.dask import adaptive_shim as shim
from costplan.adapters.dask.adaptive_cost import Cost
from costplan.adapters.dask.adaptive_gang import Gang
from costplan.adapters.dask.adaptive_keeper import Look, keeper_of
from costplan.adapters.dask.adaptive_options import (
    ArgumentError,
    read_options,
    unknown_task_seconds,
    worker_kind,
)
from costplan.planner.adaptive import (
    Aim,
    Asked,
    Decision,
    Machine,
    Terms,
    asked_by_work,
    demand_text,
    limit_of,
    wanted_workers,
    with_boots,
    with_load,
)
from costplan.planner.adaptive_leave import decide, to_shrink, window_seconds
from costplan.planner.errors import ClusterUnreachable
from costplan.planner.settings import Scaling

logger = logging.getLogger("distributed.costplan")

MOST_PAUSE_SECONDS = 60.0
"""Between two tries of launches that fail, at most."""


class CostAwareAdaptive(Adaptive):
    """Adapts a Dask cluster to its work at the least cost.

    Takes what `distributed.Adaptive` takes, with the same meaning, and

    usd_per_hour, usd_total : dollars that all workers together may cost, an hour and in all
    worker_usd_per_hour : what a worker costs; else by the cluster's own machine type
    deadline : a duration from now or an instant; work may take until then, and so needs fewer
    boot : how long a worker boots, until some have been seen
    boot_timeout : after so long no worker is expected of a launch any more
    idle_timeout : the longest that an idle worker is kept
    gang : workers that are there together wherever there is work
    worker_resources : Dask resources of a new worker, where its specification does not say them

    `wait_count`, where it is given, keeps an idle worker for at least so many intervals; so it does
    where a boot takes no longer than that.
    """

    state = "inactive"
    periodic_callback = None

    def __init__(  # noqa: PLR0913, PLR0917 - as many as stock has, and ours
        self,
        cluster: Any,
        interval: Any = None,
        minimum: int | None = None,
        maximum: float | None = None,
        wait_count: int | None = None,
        target_duration: Any = None,
        worker_key: Callable[[Any], Hashable] | None = None,
        *,
        usd_per_hour: Any = None,
        usd_total: Any = None,
        worker_usd_per_hour: Any = None,
        deadline: Any = None,
        boot: Any = None,
        boot_timeout: Any = None,
        idle_timeout: Any = None,
        gang: int = 0,
        worker_resources: Any = None,
        **kwargs: Any,
    ) -> None:
        ours = {
            "usd_per_hour": usd_per_hour,
            "usd_total": usd_total,
            "worker_usd_per_hour": worker_usd_per_hour,
            "deadline": deadline,
            "boot": boot,
            "boot_timeout": boot_timeout,
            "idle_timeout": idle_timeout,
            "gang": gang,
            "worker_resources": worker_resources,
        }
        self._keeper = keeper_of(cluster)
        with self._keeper.arguments_kept():
            self._options = read_options(cluster, {**ours, **kwargs}, utc_now())
            if kwargs:
                logger.warning("costplan: adapt does not use %s", ", ".join(sorted(kwargs)))
            self._keeper.roster.worker_key = worker_key
            self._keeper.suppose(self._options.worker_usd_per_hour)
            self._wait_count_given = wait_count
            self._gangs = self._keeper.gangs
            self._look: Look | None = None
            self._asked = Asked(wanted=0, useful=0, reason="nobody has looked yet")
            self._decision, self._must = Decision(), ""
            self._failures, self._not_before = 0, utc_now()
            self._said: set[str] = set()
            super().__init__(
                cluster,
                interval=interval,
                minimum=minimum,
                maximum=maximum,
                wait_count=wait_count,
                target_duration=target_duration,
                worker_key=worker_key,
            )
            self._check_minimum()

    def _check_minimum(self) -> None:
        options = self._options
        usd, cap = options.worker_usd_per_hour, options.usd_per_hour
        for name, workers in (("minimum", self.minimum), ("gang", options.gang)):
            if workers > self.maximum:
                self.stop(reason="wrong-arguments")
                raise ArgumentError(
                    name,
                    f"{workers} workers are more than maximum={self.maximum}",
                    "lower the one or raise the other",
                )
            if usd is not None and cap is not None and workers * usd > cap:
                self.stop(reason="wrong-arguments")
                raise ArgumentError(
                    name,
                    f"{workers} workers cost {workers * usd} USD/h, above usd_per_hour={cap}",
                    "lower the one or raise the other",
                )

    @property
    def plan(self) -> set[Hashable]:  # type: ignore[override]
        """The cluster's plan without those that are on their way out."""
        return self._without_leaving(self.cluster.plan)

    @property
    def requested(self) -> set[Hashable]:  # type: ignore[override]
        """Likewise."""
        return self._without_leaving(self.cluster.requested)

    @property
    def observed(self) -> set[Hashable]:  # type: ignore[override]
        """Likewise."""
        return self._without_leaving(self.cluster.observed)

    def _without_leaving(self, names: Iterable[Hashable]) -> set[Hashable]:
        leaving = self._keeper.leaving
        hidden = leaving.names() | leaving.workers()
        return {name for name in names if str(name) not in hidden}

    @property
    def cost(self) -> Cost:
        """What the workers have cost since they are looked after, and what for. Printed, it is a
        table by span."""
        roster, usd = self._keeper.roster, self._options.worker_usd_per_hour
        now = utc_now() if self.periodic_callback else None  # else nobody sees who has gone
        return Cost(
            worker_seconds=roster.paid_seconds(now),
            usd=self._spent_usd(now),
            usd_per_hour=None if usd is None else usd * roster.workers_paid(),
            price_source=self._options.price_source,
            work=self._keeper.work(),
        )

    def _spent_usd(self, now: datetime | None) -> Decimal | None:
        usd = self._options.worker_usd_per_hour
        return None if usd is None else usd * self._keeper.roster.paid_seconds(now) / 3600

    def explain(self) -> list[str]:
        """In sentences: how many workers are wanted and why, why some leave or stay, and what
        waits for workers that this cluster does not make."""
        lines = [self._asked.reason]
        lines += [f"{name} leaves: {why}" for name, why in sorted(self._decision.why.items())]
        if self._look is not None:
            staying = [m for m in self._look.roll.machines if m.stays]
            lines += [f"{', '.join(m.names)} stays: {m.stays}" for m in staying]
        lines += [f"{w.tasks} tasks of {w.prefix} wait: {w.reason}" for w in self._asked.waiting]
        lines += [
            f"{w} takes nothing new: {why}" for w, why in self._keeper.leaving.stuck().items()
        ]
        if self._failures:
            wait = max(0.0, (self._not_before - utc_now()).total_seconds())
            lines.append(f"{self._failures} launches in a row failed; next try in {wait:.0f} s")
        return lines

    def gang(self, workers: int, timeout: Any = "15 minutes") -> Gang:
        """For a `with` (or `async with`) block: so many workers are there when it begins, and none
        is let go until it ends. For trainings whose members are fixed when they begin."""
        return Gang(self, self._gangs, workers, float(parse_timedelta(timeout)))

    async def target(self) -> int:
        """Workers that should exist."""
        keeper, options = self._keeper, self._options
        try:
            look = await keeper.look(self.target_duration, options.boot_timeout_seconds)
        except ClusterUnreachable as error:
            # Not to know is not to be idle: what is here stays.
            self._look = None
            self._asked = replace(self._asked, reason=f"the load is not known: {error}")
            return len(self.plan)
        self._give_up(look)
        machines = self._machines(look)
        look = replace(look, roll=replace(look.roll, machines=machines))
        terms, load = self._terms(look), look.seen.load
        keeper.learnt = with_boots(keeper.learnt, look.roll.boots)
        if look.seen.asked is None:
            asked = asked_by_work(load, machines, keeper.learnt, terms, look.at)
        else:
            reason = f"the scheduler asks for {look.seen.asked}"
            asked = Asked(wanted=look.seen.asked, useful=look.seen.asked, reason=reason)
        ready = sum(len(m.workers) for m in machines)
        keeper.learnt = with_load(keeper.learnt, load, asked, ready, look.at)
        here = self._keeper.roster.workers_paid()
        limit, by = limit_of(here, terms, keeper.learnt, load)
        wanted = wanted_workers(asked.wanted, terms, limit)
        self._look = look
        self._asked = replace(asked, reason=demand_text(asked, limit, by, wanted))
        self._say_waiting()
        return wanted

    async def recommendations(self, target: int) -> dict[str, Any]:
        """What to do for a target: up to a number, down by names, or nothing."""
        look = self._look
        if look is None:
            return {"status": "same"}
        terms, learnt = self._terms(look), self._keeper.learnt
        here = sum(m.size for m in look.roll.machines)
        limit, by = limit_of(self._keeper.roster.workers_paid(), terms, learnt, look.seen.load)
        self._must = f"{by} is reached" if limit == 0 else ""
        wanted = target if limit is None else min(target, limit)
        if self._gangs.width() or look.seen.gang:
            wanted = max(wanted, here if limit is None else min(here, limit))
        recently = self._keeper.recently(self._asked.useful, look.at, window_seconds(terms))
        aim = Aim(wanted=wanted, useful=self._asked.useful, recently=recently, limit=limit)
        decision = decide(look.seen.load, look.roll.machines, learnt, terms, aim, look.at)
        self._decision = decision
        if decision.short and self._may_grow(look.at):
            return {"status": "up", "n": here + decision.short}
        going = [*decision.leave, *decision.cancel]
        if going:
            return {"status": "down", "workers": self._plan_names(going)}
        return {"status": "same"}

    async def workers_to_close(  # type: ignore[override]
        self, target: int
    ) -> list[Hashable]:
        """Names of those that would go to come down to a target, the cheapest to empty first."""
        if self._look is None:
            await self.target()
        look = self._look
        if look is None:
            return []
        over = sum(m.size for m in look.roll.machines) - target
        learnt, terms = self._keeper.learnt, self._terms(look)
        going = to_shrink(look.seen.load, look.roll.machines, learnt, terms, over, look.at)
        return self._plan_names(going)

    async def scale_up(self, n: int) -> None:  # type: ignore[override]
        """Brings the workers up to a number: calls back who is leaving, and asks for the rest."""
        keeper, look = self._keeper, self._look
        if look is None:
            return
        here = sum(m.size for m in look.roll.machines)
        back = await keeper.leaving.recall(n - here)
        affordable = self._affordable_more()
        most = self.maximum - here - back
        most = most if affordable is None else min(most, affordable)
        short = min(n - here - back, most)
        if short > 0:
            await shim.grow(self.cluster, int(short), most, keeper.own_scale)
            keeper.roster.note_new(utc_now())

    async def scale_down(  # type: ignore[override]
        self, workers: Iterable[Hashable]
    ) -> None:
        """Begins to empty these, and ends those that have not joined; waits for neither."""
        look, keeper = self._look, self._keeper
        if look is None:
            return
        names = {str(name) for name in workers}
        chosen = [m for m in look.roll.machines if names & set(m.names) or names & set(m.workers)]
        keeper.leaving.begin([m for m in chosen if m.is_ready], self._must)
        coming = [m for m in chosen if not m.is_ready]
        if coming:
            keeper.leaving.end(coming)

    def _terms(self, look: Look) -> Terms:
        """What is wanted of the cluster now."""
        options = self._options
        limits = (max(self.minimum, self._gangs.width(), look.seen.gang), self.maximum)
        spent, left = self._spent_usd(look.at), None
        if options.usd_total is not None and spent is not None:
            left = options.usd_total - spent
        patience = self.wait_count * (self.interval or 0.0)
        is_meant = self._wait_count_given is not None or self._boot_seconds() <= patience
        return Terms(
            kind=worker_kind(self.cluster, look.seen.load, options, limits),
            scaling=Scaling(
                target_seconds=max(1, round(self.target_duration)),
                idle_seconds=round(options.idle_seconds),
                unknown_task_seconds=unknown_task_seconds(),
            ),
            boot_guess_seconds=options.boot_seconds,
            least_hold_seconds=patience if is_meant else 0.0,
            deadline=options.deadline,
            gang=options.gang,
            usd_per_hour=options.worker_usd_per_hour,
            cap_usd_per_hour=options.usd_per_hour,
            usd_left=left,
        )

    def _boot_seconds(self) -> float:
        seen = sorted(self._keeper.learnt.boot_seconds)
        return seen[len(seen) // 2] if seen else self._options.boot_seconds

    def _machines(self, look: Look) -> tuple[Machine, ...]:
        """The machines that count, with what keeps some from being asked to leave again."""
        leaving = self._keeper.leaving
        return tuple(replace(m, stays=m.stays or leaving.why_not(m)) for m in look.roll.machines)

    def _affordable_more(self) -> int | None:
        """Workers that the cap on dollars an hour still pays for beside all that are paid now."""
        usd, cap = self._options.worker_usd_per_hour, self._options.usd_per_hour
        if usd is None or cap is None:
            return None
        return max(0, int(cap / usd) - self._keeper.roster.workers_paid())

    def _give_up(self, look: Look) -> None:
        """Takes launches of which nothing comes out of the plan; they are tried again after a
        pause that doubles each time."""
        failed = look.roll.failed
        if look.roll.boots:
            self._failures = 0
        if not failed:
            return
        self._failures += 1
        pause = min(2.0 ** (self._failures - 1), MOST_PAUSE_SECONDS)
        self._not_before = look.at + timedelta(seconds=pause)
        logger.warning(
            "costplan: no worker came of %s; tried again in %.0f s", _listed(failed), pause
        )
        self._keeper.leaving.end(
            [
                Machine(names=(str(name),), workers=(), size=1, asked_at=look.at, number=0)
                for name in failed
            ]
        )

    def _may_grow(self, now: datetime) -> bool:
        return not self._failures or now >= self._not_before

    def _plan_names(self, machines: Iterable[Machine]) -> list[Hashable]:
        keys = self._keeper.keys
        return [keys.get(name, name) for machine in machines for name in machine.names]

    def _say_waiting(self) -> None:
        """Logs once what waits for workers that are not made here."""
        for waiting in self._asked.waiting:
            if waiting.reason not in self._said:
                self._said.add(waiting.reason)
                logger.warning(
                    "costplan: %d tasks of %s wait, and nothing is bought for them: %s",
                    waiting.tasks, waiting.prefix, waiting.reason,
                )  # fmt: skip

    def most_workers(self) -> tuple[float | None, str]:
        """The most workers that may be there by maximum and dollars an hour, and which it is."""
        usd, cap = self._options.worker_usd_per_hour, self._options.usd_per_hour
        if usd is not None and cap is not None and int(cap / usd) < self.maximum:
            return int(cap / usd), f"usd_per_hour={cap} at {usd} USD/h a worker"
        return self.maximum, f"maximum={self.maximum}"


def _listed(names: Iterable[Hashable]) -> str:
    return ", ".join(sorted(map(str, names)))
