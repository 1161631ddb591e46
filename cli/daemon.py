"""The shell around the tick: reads, calls it, commits, and only then acts.

Cadences come from APScheduler, in memory; everything that must survive is in the store. Ticks run
one after another in a thread, so that the loop itself always answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

from costplan.adapters.acting import Done, Executor
from costplan.adapters.faults import decided, reach
from costplan.adapters.forecast.boosting import member_of
from costplan.adapters.leasing import Leasing
from costplan.adapters.reading import Reader, ReadingEnded
from costplan.adapters.store.lease import LeaseLost
from costplan.adapters.store.records import TickCommit
from costplan.adapters.store.store import Store
from costplan.cli.cadence import Cadence
from costplan.cli.deliver_daemon import LOOK_SECONDS, DeliveryRounds
from costplan.cli.http_service import Health, HttpService
from costplan.cli.logs import Log, tick_line
from costplan.cli.metrics import Metrics
from costplan.cli.settle import settle
from costplan.cli.signals import hurried, signals_as_events
from costplan.cli.wiring import Ports, differing
from costplan.cli.work_exchange import EXCHANGE_SECONDS, WorkExchange
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.errors import CostplanError, InputError, StoreError
from costplan.planner.foretell import Foreteller
from costplan.planner.loop import Ticked, tick
from costplan.planner.standing import is_alive
from costplan.planner.status import LastTick, status_of
from costplan.planner.tick import ActionOutcome, Outcome, Readings, State
from costplan.policies.default import default_policies

LEASE_SECONDS = 30.0
RENEW_SECONDS = 5.0
PRUNE_SECONDS = 600.0
NOTICE_SECONDS = 0.5
STOP_SECONDS = 6.0
LEAST_PAUSE_SECONDS = 0.05
LATE_SECONDS = 2.0
STUCK_SECONDS = 60.0


class Daemon:
    """One cluster, driven. `run` returns when it is stopped, or the fleet is empty where asked."""

    def __init__(  # noqa: PLR0913 - what it is made of, most of it by name
        self,
        config: DaemonConfig,
        ports: Ports,
        store: Store,
        log: Log,
        *,
        clock: Callable[[], datetime],
        reread: Callable[[], DaemonConfig] | None = None,
        file: Path | None = None,
    ) -> None:
        self.config, self.ports, self.store, self.log = config, ports, store, log
        self._clock, self._reread = clock, reread
        self._reader = Reader(
            ports.provider, ports.prices, ports.cluster, clock, ports.quotas, self._unread
        )
        self._executor = Executor(ports.provider, ports.cluster, clock, self._on_done)
        self._wake, self._stop, self._reload = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._replan = True
        self._outcomes: list[ActionOutcome] = []
        self._seen_notices: frozenset[tuple[str, str]] = frozenset()
        self._beat = self._ticked_at = time.monotonic()
        self._has_ticked = self._has_to_do = False
        self._lease_held = False
        self._store_problem = ""
        self._failure: CostplanError | None = None
        self.metrics = Metrics(self._load_age)
        self._rounds = DeliveryRounds(file, lambda: self.config, clock, log, self.metrics)
        self._state = State()
        self._more = member_of(config.settings)
        self._foreteller = Foreteller((), clock(), self._more)
        self._policies, self._leasing = default_policies(), Leasing()
        self._exchange = WorkExchange(ports.work, store, config.settings.cluster)
        self._cadence = Cadence(self._every())
        self._version = version("costplan")

    async def run(self, *, until_empty: bool = False, within: float | None = None) -> None:
        """Drives until stopped, or `within` so many seconds. Raises LeaseHeld where another does,
        LeaseLost where one took over, and StoreError where the store cannot be trusted."""
        holder = f"costplan of {self.config.settings.cluster}"
        reach("daemon.start.before_lease")
        self.store.acquire_lease(holder, self._clock(), LEASE_SECONDS)
        reach("daemon.start.after_lease")
        self._lease_held = True
        self._state = self.store.load_state()
        past = self.store.demand(self.config.settings.cluster)
        self._foreteller = Foreteller(past, self._clock(), self._more)
        reach("daemon.start.loaded")
        http = HttpService(
            self.config.http.host, self.config.http.port, health=self.health, metrics=self.metrics
        )
        try:
            if not until_empty:
                await http.start()
            self.log.event("started", cluster=self.config.settings.cluster, port=http.port,
                           nodes=len(self._state.nodes), version=self._version)  # fmt: skip
            with signals_as_events(self._stop, self._reload):
                self._cadence.start()
                if within is not None:
                    self._loop.call_later(within, self._stop.set)
                await self._drive(until_empty=until_empty)
        finally:
            self._cadence.stop()
            await self._rounds.stop()
            await self._finish()
            await http.stop()
        if self._failure is not None:
            raise self._failure

    def _every(self) -> dict[Callable[[], Awaitable[None]], float]:
        cadence = self.config.settings.cadence
        return {
            self._observe: cadence.observe_seconds,
            self._plan: cadence.plan_seconds,
            self._look_for_notices: min(NOTICE_SECONDS, cadence.observe_seconds),
            self._renew: RENEW_SECONDS,
            self._prune: PRUNE_SECONDS,
            self._rounds.look: LOOK_SECONDS,
            self._exchange_work: min(EXCHANGE_SECONDS, cadence.plan_seconds),
        }

    async def _observe(self) -> None:
        self._wake.set()

    async def _plan(self) -> None:
        self._replan = True
        self._wake.set()

    async def _look_for_notices(self) -> None:
        """A warning does not wait for the next look."""
        with suppress(ReadingEnded):  # it is stopping
            found = await asyncio.wrap_future(self._reader.warned())
            if found - self._seen_notices:
                self._wake.set()
            self._seen_notices = found

    async def _renew(self) -> None:
        try:
            await asyncio.to_thread(self.store.renew_lease, self._clock(), LEASE_SECONDS)
        except LeaseLost as error:
            self._end(error)
        except StoreError as error:
            self._trouble_with_store(error)

    async def _prune(self) -> None:
        with suppress(StoreError):
            await asyncio.to_thread(self.store.prune, self._clock())

    async def _exchange_work(self) -> None:
        with suppress(StoreError, LeaseLost):  # what cannot be kept now is asked for again
            await asyncio.to_thread(self._exchange.exchange, self._state)

    def _unread(self, kind: str, error: Exception) -> None:
        """Comes from a thread; the tick goes on with a gap."""
        self.log.broken("reading failed", error, kind=kind)

    def _on_done(self, done: Done) -> None:
        """Comes from a thread of the executor."""
        with suppress(RuntimeError):  # the loop is closed: the next start asks again
            self._loop.call_soon_threadsafe(self._take, done)

    def _take(self, done: Done) -> None:
        self._outcomes.append(done.outcome)
        if done.outcome.outcome is Outcome.QUOTA:
            self._forget_quotas()
        self.metrics.outcome(done.outcome)
        self.log.outcome(done.tick_id, done.outcome, done.seconds)
        if done.error is not None:
            self.log.broken("action failed", done.error, tick_id=done.tick_id)
        self._wake.set()

    def _forget_quotas(self) -> None:
        """They are not, or may not be, what they were when they were read."""
        if self.ports.quotas is not None:
            self.ports.quotas.forget()

    async def _drive(self, *, until_empty: bool) -> None:
        while not self._stop.is_set():
            await self._next()
            self._beat = time.monotonic()
            if self._stop.is_set():
                return
            if self._reload.is_set() or await self._asked_to_reload():
                self._reload.clear()
                if await asyncio.to_thread(self._read_config_again):
                    self._cadence.start_over(self._every())
            try:
                await self._tick()
            except ReadingEnded:  # it is stopping
                return
            except LeaseLost as error:
                self._end(error)
            except StoreError as error:
                self._trouble_with_store(error)
            except Exception as error:  # a bug ends a tick, not the daemon
                self.log.broken("tick failed", error)
                await asyncio.sleep(self.config.settings.cadence.observe_seconds)
            if until_empty and self.is_empty():
                return

    def is_empty(self) -> bool:
        """True where a tick saw no machine left, nor anything to be done about one that ended."""
        alive = any(is_alive(node) for node in self._state.nodes.values())
        return self._has_ticked and not (alive or self._has_to_do)

    async def _next(self) -> None:
        """Waits for a reason to look: the cadence, an outcome, a warning, a signal."""
        waits = [asyncio.ensure_future(e.wait()) for e in (self._wake, self._stop, self._reload)]
        late = LATE_SECONDS + self.config.settings.cadence.observe_seconds
        try:
            done, _ = await asyncio.wait(waits, timeout=late, return_when=asyncio.FIRST_COMPLETED)
            if not done:  # as after the system's clock was set back
                self._cadence.start_over(self._every())
        finally:
            for wait in waits:
                wait.cancel()
        # What comes within a moment is looked at together.
        await asyncio.sleep(LEAST_PAUSE_SECONDS)
        self._wake.clear()

    async def _asked_to_reload(self) -> bool:
        with suppress(StoreError):
            return await asyncio.to_thread(self.store.take_reload)
        return False

    async def _tick(self) -> None:
        began = time.monotonic()
        replan, self._replan = self._replan, False
        outcomes, self._outcomes = self._outcomes, []
        try:
            work = asyncio.to_thread(self._ticked, replan, tuple(outcomes))
            readings, ticked = await hurried(work, self._stop, self._reader.close)
        except BaseException:
            # Nothing was kept of this tick, so the next must hear of the same again.
            self._outcomes = [*outcomes, *self._outcomes]
            self._replan = self._replan or replan
            raise
        for action in ticked.actions:
            if self._executor.begin(action, ticked.tick_id):
                self.log.action(ticked.tick_id, action)
            reach("daemon.action.begun")
        self._say(readings, ticked, time.monotonic() - began, replan=replan)

    def _ticked(self, replan: bool, outcomes: tuple[ActionOutcome, ...]) -> tuple[Readings, Ticked]:
        """Reads, decides and commits; runs in a thread, one at a time."""
        began = time.monotonic()
        reach("daemon.tick.before")
        readings = self._reader.read(outcomes)
        before = replace(self._state, control=self.store.read_control())
        reach("daemon.tick.read")
        teller = self._foreteller
        readings = teller.told(readings, before, self.config.settings, refresh=replan)
        readings = self._leasing.told(readings, before, self.config.settings)
        ticked = tick(readings, before, self.config.settings, self._policies, replan=replan)
        decided(before.nodes, ticked.state.nodes)
        reach("daemon.tick.decided")
        plan = ticked.plan
        self.store.commit(
            TickCommit(
                tick_id=ticked.tick_id,
                at=readings.at,
                replan=replan,
                mode=ticked.snapshot.mode,
                gaps=ticked.snapshot.gaps,
                readings=readings,
                state_before=before,
                state_after=ticked.state,
                settings=self.config.settings,
                snapshot_digest=ticked.snapshot.digest,
                plan=plan,
                actions=ticked.actions,
                entries=ticked.entries,
                version=self._version,
                summary={
                    "moves": 0 if plan is None else len(plan.moves),
                    "actions": len(ticked.actions),
                    "seconds": round(time.monotonic() - began, 4),
                },
                demand=teller.unkept,
            )
        )
        teller.kept(ticked.snapshot, ticked.needs)
        self._state = ticked.state
        self._has_to_do = bool(ticked.actions) or readings.machines is None
        if (overdue := settle(self.store, before, ticked)) is not None:
            self.log.trouble(
                "plan given up", plan=overdue, reason="it could not be executed in time"
            )
        reach("daemon.tick.committed")
        return readings, ticked

    def _say(self, readings: Readings, ticked: Ticked, seconds: float, *, replan: bool) -> None:
        self._ticked_at, self._has_ticked, self._store_problem = time.monotonic(), True, ""
        state, snapshot = ticked.state, ticked.snapshot
        if ticked.plan is not None:
            self.metrics.plan(ticked.plan)
        self.metrics.entries(ticked.entries)
        self.metrics.notices(snapshot.notices)
        status = status_of(
            state,
            self.config.settings,
            lease=None,
            last=LastTick(tick_id=ticked.tick_id, at=snapshot.at, mode=snapshot.mode,
                          gaps=snapshot.gaps, quotes=readings.quotes),
            now=snapshot.at,
        )  # fmt: skip
        self.metrics.tick(status, kind="plan" if replan else "observe", seconds=seconds)
        self.log.tick(
            tick_line(
                tick_id=ticked.tick_id,
                mode=snapshot.mode,
                gaps=snapshot.gaps,
                plan=ticked.plan,
                actions=len(ticked.actions),
                nodes=sum(is_alive(node) for node in state.nodes.values()),
                usd_per_hour=status.usd_per_hour or Decimal(0),
                seconds=seconds,
            )
        )

    def _read_config_again(self) -> bool:
        """Takes a changed file, or says why not; a wrong one changes nothing."""
        if self._reread is None:
            return False
        try:
            new = self._reread()
        except InputError as error:
            self.log.trouble("reload refused", reason=str(error))
            return False
        if fixed := differing(self.config, new):
            reason = f"{', '.join(fixed)} cannot change while it runs; restart for it"
            self.log.trouble("reload refused", reason=reason)
            return False
        self.config = new
        self._forget_quotas()
        self._replan = True
        self.log.event("reloaded")
        return True

    def _trouble_with_store(self, error: StoreError) -> None:
        """Nothing is done that is not on disk: the daemon looks again at the next tick."""
        self._store_problem = str(error)
        self.log.trouble("store", problem=str(error))

    def _end(self, error: CostplanError) -> None:
        self._lease_held = False
        self._failure = error
        self._stop.set()

    async def _finish(self) -> None:
        """Waits a while for what is under way; the fleet stays as it is."""
        until = time.monotonic() + STOP_SECONDS
        while self._executor.under_way and time.monotonic() < until:
            await asyncio.sleep(0.02)
        left = self._executor.under_way
        self._executor.close()
        self._reader.close()
        reach("daemon.stop.before_release")
        if self._lease_held:
            with suppress(StoreError):
                self.store.release_lease()
        self.log.event("stopped", actions_without_outcome=left)

    def _load_age(self) -> float | None:
        load = self._state.load
        return None if load is None else (self._clock() - load.at) / timedelta(seconds=1)

    def health(self) -> Health:
        """How it is, for /healthz and /readyz."""
        now, cadence = time.monotonic(), self.config.settings.cadence
        return Health(
            seconds_since_beat=now - self._beat,
            beat_limit_seconds=STUCK_SECONDS + cadence.observe_seconds,
            seconds_since_tick=now - self._ticked_at if self._has_ticked else None,
            tick_limit_seconds=30.0 + 3 * cadence.observe_seconds,
            lease_held=self._lease_held,
            store_problem=self._store_problem,
            stopping=self._stop.is_set(),
        )
