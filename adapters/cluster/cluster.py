"""`CostplanCluster`: a Dask cluster of machines of many types, held on the cheapest fleet.

    cluster = CostplanCluster(workload="w.yaml", providers=["aws"], budget="40 USD/h", ...)

The object speaks to the scheduler, as every Dask cluster object does. What to buy is decided by the
daemon (`costplan run`), a process of its own that holds the credentials and never speaks Dask's
protocol; a keeper process starts and ends both (`keeper.py`). docs/cluster.md says how it behaves.
"""

# What is inherited has no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import asyncio
import os
import secrets
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Self

from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.utils import Log, format_dashboard_link

from costplan.adapters.clock import utc_now
from costplan.adapters.cluster import page, seen, starting
from costplan.adapters.cluster.file import adapted, scaled
from costplan.adapters.cluster.folder import (
    Folder,
    Owner,
    default_root,
    let_go,
    this_process,
)
from costplan.adapters.cluster.ordering import Asked, check_found, checked_name, prepared
from costplan.adapters.cluster.seen import ClusterCost, FleetPlan, Seen
from costplan.adapters.cluster.tls import security_in
from costplan.adapters.dask.adaptive_options import ArgumentError, seconds_of
from costplan.adapters.dask.session import COSTS_OP

WATCH_SECONDS = 1.0
WATCH_FACTOR = 10.0
"""So many times as long as a look takes it waits for the next one: books of large markets."""
ANSWER_SECONDS = 3.0
LOG_LINES = 200


class CostplanCluster(Cluster):
    """A Dask cluster of heterogeneous machines of one provider, at the least cost.

    workload : a workload file (docs/workload.md) or its keys; `count` is a kind's maximum
    providers : one of local, aws, gcp, azure, as ['aws']
    budget : '40 USD/h', 'USD/day', 'USD/month', or a mapping such as {'usd_per_hour': 40}
    name : what machines carry as a tag, and `from_name` finds it by
    provider_options : the `provider` section of docs/autoscaler-config.md: image, zones, ...
    settings : more sections of that file: scaling, cadence, safety, tags, ...
    host : where the scheduler listens, which machines must reach; loopback for local
    security : a `distributed.security.Security`, or True for certificates of this cluster alone
    grace : for how long an owner that is gone may be replaced before the machines are ended
    patience : for how long running tasks are waited for after that
    folder : where clusters keep their files

    It is adaptive from the start, between 0 and each kind's `count`. Raises ArgumentError before
    anything is started, and ClusterFailed where it does not start.
    """

    def __init__(  # noqa: PLR0913 - what a cluster is, by name
        self,
        *,
        workload: Any,
        providers: Sequence[str] | str,
        budget: Any = None,
        name: str | None = None,
        provider_options: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        host: str | None = None,
        port: int = 0,
        dashboard_port: int = 0,
        security: Any = None,
        grace: Any = "1 minute",
        patience: Any = "10 minutes",
        start_timeout: Any = "2 minutes",
        folder: str | Path | None = None,
        asynchronous: bool = False,
        loop: Any = None,
        quiet: bool = True,
    ) -> None:
        asked = Asked(
            workload=workload,
            providers=providers,
            budget=budget,
            name=name,
            provider_options=provider_options or {},
            settings=settings or {},
            host=host,
            port=port,
            dashboard_port=dashboard_port,
            security=security,
            grace=grace,
            patience=patience,
            start_timeout=start_timeout,
            root=default_root() if folder is None else Path(folder).absolute(),
        )
        key = secrets.token_hex(8)
        made, begin = prepared(asked, this_process(key))
        self._begin(made, key, begin, asynchronous=asynchronous, loop=loop, quiet=quiet)

    def _begin(
        self,
        folder: Folder,
        key: str,
        begin: Callable[[Callable[[str], None]], starting.Place],
        **more: Any,
    ) -> None:
        """What a new and a found cluster have in common; `begin` returns when it is there."""
        self._folder, self._key, self._reach = folder, key, begin
        self._seen = Seen(notes=None, is_kept=False, status=None)
        self._watching: asyncio.Task[None] | None = None
        self._is_ending, self._changes = False, asyncio.Lock()
        self._place: starting.Place | None = None
        self._before: Owner | None = None
        self._spent_before = Decimal(0)
        self.security: Any = None
        super().__init__(name=folder.name, **more)
        self._finalizer = weakref.finalize(self, let_go, folder, key, os.getpid())
        if not self.called_from_running_loop:
            self._loop_runner.start()
            try:
                self.sync(self._start)
            except BaseException:
                self._give_up()  # also where somebody lost patience
                self._loop_runner.stop()
                raise

    @classmethod
    def from_name(
        cls,
        name: str,
        *,
        folder: str | Path | None = None,
        take_over: bool = False,
        asynchronous: bool = False,
        loop: Any = None,
        quiet: bool = True,
    ) -> Self:
        """The cluster of this name that lives on this computer.

        It goes on when the object is closed, unless `close(shutdown=True)`. With `take_over` it is
        this process's own from here on, and ends with it. Raises ArgumentError where there is none.
        """
        root = default_root() if folder is None else Path(folder).absolute()
        found = Folder(root, checked_name(name))
        check_found(found)
        key = secrets.token_hex(8)

        def reach(_: Callable[[str], None]) -> starting.Place:
            if take_over:
                cluster._before = found.owner()
                found.give_to(this_process(key))
            if not found.is_kept:
                starting.keep(found)
            return starting.place_of(found)

        cluster = cls.__new__(cls)
        cluster._begin(found, key, reach, asynchronous=asynchronous, loop=loop, quiet=quiet)
        return cluster

    async def _start(self) -> None:
        """Brings the cluster up, or finds it, and connects."""
        try:
            place = await asyncio.to_thread(self._reach, self._log)
            await self._connect(place)
        except BaseException:
            await self._end_start()
            raise

    async def _connect(self, place: starting.Place) -> None:
        order = await asyncio.to_thread(self._folder.order)
        self._spent_before = Decimal("0" if order is None else order.spent_before_usd)
        self.security = await asyncio.to_thread(security_in, self._folder.tls, place.address)
        arguments = self.security.get_connection_args("client") if self.security else {}
        self._place = place
        self.scheduler_comm = rpc(place.address, connection_args=arguments)
        await starting.answered(super()._start(), self._folder, place)
        self._seen = await asyncio.to_thread(seen.look, self._folder)
        self._watching = asyncio.create_task(self._watch())

    async def _end_start(self) -> None:
        """Leaves nothing of a start that failed, and all as it was of a cluster that lives."""
        if self._before is None and self._is_ours():
            await asyncio.to_thread(partial(starting.end, self._folder, discard=True))
        self._give_up()
        self._finalizer.detach()
        await super()._close()

    def _give_up(self) -> None:
        """Has what was not reached ended, or be whose it was before."""
        if self._before is None:
            let_go(self._folder, self._key, os.getpid())
        elif self._is_ours():
            self._folder.give_to(self._before)

    async def _watch(self) -> None:
        """Looks at the folder now and then, so that pages need not, and asks the scheduler what
        its workers' dollars were for."""
        while self.status is Status.running:
            began = monotonic()
            self._seen = await asyncio.to_thread(seen.look, self._folder, self._seen.work)
            took = monotonic() - began
            self._seen = replace(self._seen, work=await self._work())
            await asyncio.sleep(max(WATCH_SECONDS, WATCH_FACTOR * took))

    async def _work(self) -> seen.Work | None:
        """What the workers' dollars were for, by the scheduler; what it said last where it is away
        or runs another version."""
        with suppress(OSError, ValueError):
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await getattr(self.scheduler_comm, COSTS_OP)()
            return seen.work_from_answer(answer) or self._seen.work
        return self._seen.work

    def __await__(self) -> Generator[Any, None, Self]:
        async def started() -> Self:
            if self.status is Status.created:
                await self._start()
            return self

        return started().__await__()

    def _is_ours(self) -> bool:
        """True where the cluster ends with this object."""
        owner = self._folder.owner()
        return owner is not None and owner.state == "held" and owner.key == self._key

    def close(
        self, timeout: Any = None, *, shutdown: bool | None = None, discard: bool = True
    ) -> Any:
        """Ends this object, and the cluster where it is its own (`shutdown` says so otherwise):
        every machine, then the scheduler. Returns when nothing is left.

        Running tasks are cut off, as by every Dask cluster; with `discard=False` they are waited
        for, and results that a client still wants, for `patience` at most. Raises ClusterFailed
        where it takes longer than `timeout` (2 min, and `patience` where it waits): it is gone on
        with, and closing again waits again, or with `discard=True` for nothing any more.
        """
        seconds = None if timeout is None else seconds_of("timeout", timeout, 0.0)
        if self.status is Status.closed and not self._is_ending:
            return super().close()
        ours = self._is_ours() if shutdown is None else shutdown
        done = self.sync(self._close, end=ours, discard=discard, seconds=seconds)
        if not self.asynchronous and not self.called_from_running_loop:
            self._loop_runner.stop()
        return done

    async def _close(
        self, *, end: bool | None = None, discard: bool = True, seconds: float | None = None
    ) -> None:
        if self.status in (Status.closed, Status.closing) and not self._is_ending:
            return
        ours = self._is_ending or (self._is_ours() if end is None else end)
        while self._watching is not None and not self._watching.done():
            # Asked again: the asking can come with an answer in one moment, and be lost.
            self._watching.cancel()
            await asyncio.wait([self._watching], timeout=WATCH_SECONDS)
        self._finalizer.detach()
        try:
            if ours:
                self.status, self._is_ending = Status.closing, True
                finish = partial(starting.end, self._folder, seconds, discard=discard)
                await asyncio.to_thread(finish)
                self._is_ending = False
        finally:
            self._seen = await asyncio.to_thread(seen.look, self._folder, self._seen.work)
            await super()._close()

    def _check_lives(self) -> None:
        if self.status in (Status.closing, Status.closed):
            way_out = "start a new one, or find it with from_name() where it goes on"
            raise starting.ClusterFailed(f"{self.name}: this object is closed; {way_out}")

    def detach(self) -> str:
        """Leaves the cluster to its daemon: it goes on without this object and this process.
        Returns its name, for `from_name`; raises ClusterFailed where this object is closed."""
        self._check_lives()
        self._folder.give_to(Owner(state="detached"))
        self._finalizer.detach()
        return self._folder.name

    def scale(self, n: int | Mapping[str, int] | None = None, **by_kind: int) -> Any:
        """So many workers, by kind where there are several: `scale(4)`, `scale(features=40)`.

        Returns when the daemon has it (awaitable on an asynchronous cluster). Those that are too
        many are emptied before they go, so no result is lost.
        """
        if (n is None) is not bool(by_kind):
            way_out = "write scale(4), or of several kinds scale(features=40, train=2)"
            raise ArgumentError("n", "one number, or numbers by kind, are needed", way_out)
        name, said = ("", by_kind) if n is None else ("n", n)
        return self._change(partial(scaled, name, said))

    def adapt(self, Adaptive: Any = None, **said: Any) -> Any:
        """How the cluster follows its work: `minimum` and `maximum` (numbers, or by kind where
        there are several), `deadline` ('8h' from now, or an instant), `usd_per_hour`, `usd_per_day`
        and `usd_per_month`, `target` and `idle_timeout`. What is not said stays as it is.

        Returns when the daemon has it (awaitable on an asynchronous cluster).
        """
        if Adaptive is not None:
            problem = "this cluster is adapted by its daemon, and takes no class"
            raise ArgumentError("Adaptive", problem, "leave it out")
        return self._change(partial(adapted, said, utc_now()))

    def _change(self, change: starting.Change) -> Any:
        """Has the daemon take a changed file in. What is wrong with it is said at once."""
        self._check_lives()
        starting.checked(self._folder, change)
        return self.sync(lambda: asyncio.ensure_future(self._reload(change)))

    async def _reload(self, change: starting.Change) -> None:
        """One after the other; a task, so that it is done also where nobody awaits it."""
        async with self._changes:
            await asyncio.to_thread(starting.reload, self._folder, change)

    @property
    def folder(self) -> Path:
        """Where its file, its book and its logs are: `costplan status --config` works on them."""
        return self._folder.path

    @property
    def cost(self) -> ClusterCost:
        """Dollars so far, an hour, and expected; budgets; and what the work cost by span."""
        return seen.cost_of(seen.look(self._folder, self._seen.work), self._spent_before)

    @property
    def plan(self) -> FleetPlan | None:
        """The newest plan of the daemon, None before there is one."""
        return seen.plan_of(seen.look(self._folder).status)

    def explain(self, subject: str = "last") -> list[str]:
        """Why the fleet is as it is, in sentences: of the newest plan, a tick, or a node."""
        return seen.explained(self._folder, subject)

    @property
    def requested(self) -> set[str]:
        """Names of workers that should be there."""
        with seen.book_of(self._folder) as book:
            return {worker for node in book.nodes_alive() for worker in node.workers}

    @property
    def dashboard_link(self) -> str:
        """Where the scheduler's dashboard is; on loopback, whatever workers join."""
        if self._place is None:
            return ""
        return str(format_dashboard_link("127.0.0.1", self._place.http_port))

    async def _get_logs(
        self, cluster: Any = True, scheduler: Any = True, workers: Any = True
    ) -> Any:
        lives = self.status is Status.running  # else nobody can be asked
        logs = await super()._get_logs(cluster, lives and scheduler, lives and workers)
        if cluster:
            said = await asyncio.to_thread(self._folder.tail, "daemon", LOG_LINES)
            logs["Autoscaler"] = Log(said)
        return logs

    def _scaling_status(self) -> str:
        expected = 0 if self._seen.status is None else self._seen.status.workers_expected
        return f"<div>Workers: {len(self.scheduler_info['workers'])} of {expected}</div>"

    def __repr__(self) -> str:
        workers = self.scheduler_info["workers"].values()
        shown = page.short_text(self._seen, seen.cost_of(self._seen, self._spent_before))
        what = f"{self.name}, {self.scheduler_address!r}, {page.size_text(workers)}"
        return f"{self._cluster_class_name}({what}, {shown})"

    def __str__(self) -> str:
        shown = seen.cost_of(self._seen, self._spent_before)
        title = f"{self._cluster_class_name} {self.name} at {self.scheduler_address}"
        return page.long_text(title, self._seen, shown)

    def __rich__(self) -> Any:
        from rich.text import Text

        return Text(str(self))

    def _repr_html_(self, cluster_status: Any = None) -> str:  # noqa: ARG002 - Dask's signature
        shown = seen.cost_of(self._seen, self._spent_before)
        link = "" if self.status is Status.closed else self.dashboard_link
        return page.html_page(self._cluster_class_name, self.name, link, self._seen, shown)
