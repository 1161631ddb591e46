"""From what ticks saw to what a tick is told of demand to come: history, graph and calendar.

The daemon and the backtest use it alike. It reads no clock: a forecast is made for the moment that
readings are of, and of what was seen before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import NormalDist

import numpy as np

from costplan.planner.asked import (
    STEP,
    STEP_SECONDS,
    Asked,
    DemandPart,
    between,
    merged,
    step_start,
)
from costplan.planner.calendar import scheduled
from costplan.planner.due import by_deadline
from costplan.planner.fleet_speed import at_fleet_speed
from costplan.planner.fleet_view import assets
from costplan.planner.forecast.ensemble import Forecaster
from costplan.planner.forecast.types import QUANTILES, STEPS_PER_DAY, FloatArray, Forecast, Member
from costplan.planner.known_work import KnownWork, known_work
from costplan.planner.learn import from_load, speeds_of
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.needs import Needs
from costplan.planner.outlook import Outlook
from costplan.planner.settings import Settings
from costplan.planner.snapshot import fresh_load
from costplan.planner.tick import Readings, Snapshot, State

_MINUTE = 60
ENDS_SECONDS = tuple(
    np.cumsum([5 * _MINUTE] * 12 + [15 * _MINUTE] * 4 + [30 * _MINUTE] * 4
              + [60 * _MINUTE] * 8 + [120 * _MINUTE] * 6).tolist()
)  # fmt: skip
"""Steps of an outlook: of 5 minutes for an hour, then of 15 and 30 minutes, 1 and 2 hours."""
LEARNT_STEPS = 35 * 24 * 12
"""What lies before these is not learnt from."""
DEVIATIONS = np.array([NormalDist().inv_cdf(share) for share in QUANTILES])
MOST_LEARNT = 24 * 12
"""Steps that are learnt before one tick: of a long history a day at a time, which takes some 50 ms,
so that a daemon that starts does not look away from its cluster for seconds."""
_DIGITS = 3
_More = Callable[[], Member] | None


class Series:
    """One kind's demand as it grows: whole steps in a forecaster, and the one under way."""

    def __init__(self, parts: Iterable[DemandPart], now: datetime, more: _More = None) -> None:
        oldest = step_start(now) - LEARNT_STEPS * STEP
        self._more = more
        self._open = {part.start: part for part in parts if part.start >= oldest}
        self._forecaster: Forecaster | None = None
        self._made: tuple[datetime, Forecast] | None = None

    @property
    def forecaster(self) -> Forecaster | None:
        """What has learnt from whole steps, None before the first."""
        return self._forecaster

    def add(self, part: DemandPart) -> None:
        """Takes in a part of a step that is not over."""
        there = self._open.get(part.start)
        self._open[part.start] = part if there is None else merged((there, part))[0]

    def unlearnt(self, now: datetime) -> int:
        """Steps that ended by now and are not learnt from yet."""
        end = step_start(now)
        at = min(self._open, default=end) if self._forecaster is None else self._forecaster.at
        return max((end - at) // STEP, 0)

    def learn(self, now: datetime, most: int) -> int:
        """Learns from steps that ended by now, the oldest first, at most so many; returns how
        many. Those that nobody saw are learnt as such."""
        steps = min(self.unlearnt(now), most)
        if not steps:
            return 0
        if self._forecaster is None:
            more = None if self._more is None else self._more()
            self._forecaster = Forecaster(min(self._open), more)
        start = self._forecaster.at
        values = np.full(steps, np.nan)
        for at in [at for at in self._open if at < start + steps * STEP]:
            part = self._open.pop(at)
            if at >= start:
                values[(at - start) // STEP] = part.worker_seconds / part.seconds
        self._forecaster.extend(values)
        return steps

    def forecast(self, now: datetime) -> tuple[Forecast, FloatArray] | None:
        """The forecast from the last whole step on, and its values (quantiles, steps) moved to
        what was asked for in the last 300 s. None where nothing was seen or not all is learnt."""
        if self.unlearnt(now):
            return None
        part = self._open.get(step_start(now))
        if self._forecaster is None:
            if part is None:
                return None
            # Not a whole step yet, and better than nothing.
            first = Forecaster(part.start - STEP)
            first.extend(np.array([part.worker_seconds / part.seconds]))
            made = first.forecast()
            return made, made.values
        made = self._whole(self._forecaster)
        shift = 0.0
        if part is not None:
            before = self._forecaster.level * max(0.0, STEP_SECONDS - part.seconds)
            late = (part.worker_seconds + before) / max(part.seconds, float(STEP_SECONDS))
            shift = late - self._forecaster.level
        return made, np.maximum(made.values + shift, 0.0)

    def _whole(self, forecaster: Forecaster) -> Forecast:
        if self._made is None or self._made[0] != forecaster.at:
            self._made = forecaster.at, forecaster.forecast()
        return self._made[1]


def load_of(readings: Readings, state: State, settings: Settings) -> Load | None:
    """The load that can be believed, with its tasks as fast as on the fleet there is: needs are
    sized so, and what is foretold of the same work is to be no more."""
    load = fresh_load(readings, settings)
    speeds = speeds_of(from_load(state.learnt, load, readings.at), settings)
    if load is None or speeds.is_plain:
        return load
    fleet = assets(state.nodes.values(), load, (), state.meters, settings, readings.at)
    return at_fleet_speed(load, fleet, speeds)


class Foreteller:
    """Keeps what each kind of worker was asked for, and tells ticks what will be.

    Of each tick: `told` before it, `unkept` goes to disk with it, `kept` once it is there.
    """

    def __init__(self, past: Iterable[DemandPart], now: datetime, more: _More = None) -> None:
        """`more` makes a third member for each series."""
        by_kind: dict[str, list[DemandPart]] = {}
        for part in merged(past):
            by_kind.setdefault(part.kind, []).append(part)
        self.series = {k: Series(parts, now, more) for k, parts in sorted(by_kind.items())}
        self._more = more
        self._asked: Asked | None = None
        self._until = now
        self._unkept: tuple[DemandPart, ...] = ()
        self._last: tuple[Settings, Outlook | None] | None = None

    @property
    def unkept(self) -> tuple[DemandPart, ...]:
        """What was asked for since a tick was last kept."""
        return self._unkept

    def told(
        self, readings: Readings, state: State, settings: Settings, *, refresh: bool
    ) -> Readings:
        """The readings with the outlook: a new one where asked to refresh, or where the last one
        is of other settings or older than a step. The same one is the same object."""
        now = readings.at
        self._meter(now, settings.cadence.load_stale_seconds)
        last = self._last
        if (
            refresh
            or last is None
            or last[0] is not settings
            or (last[1] is not None and not timedelta(0) <= now - last[1].at < STEP)
        ):
            load = load_of(readings, state, settings)
            last = self._last = settings, self.outlook(now, load, state.learnt, settings)
        return replace(readings, outlook=last[1])

    def kept(self, snapshot: Snapshot, needs: Needs) -> None:
        """The tick is on disk: what it saw holds from now on. Without a load it saw nothing."""
        self._unkept = ()
        self._asked = None
        if snapshot.load is not None:
            workers = {d.shape: float(d.wanted) for d in needs.demand}
            self._asked = Asked(at=snapshot.at, workers=workers)
            self._until = snapshot.at

    def _meter(self, now: datetime, most_seconds: float) -> None:
        """What the last tick saw, up to now or to when it is too old to be believed."""
        if self._asked is not None:
            end = min(now, self._asked.at + timedelta(seconds=most_seconds))
            found = between(self._asked, self._until, end)
            self._until = max(self._until, end)
            self._unkept = merged((*self._unkept, *found))
            for part in found:
                if part.kind not in self.series:
                    self.series[part.kind] = Series((), part.start, self._more)
                self.series[part.kind].add(part)
        self.learn(now, MOST_LEARNT)

    def learn(self, now: datetime, most: int | None = None) -> None:
        """Learns from the steps that ended by now: all, or at most so many of them."""
        for kind in sorted(self.series):
            series = self.series[kind]
            learnt = series.learn(now, series.unlearnt(now) if most is None else most)
            most = None if most is None else most - learnt

    def outlook(
        self, now: datetime, load: Load | None, learnt: Learnt, settings: Settings
    ) -> Outlook | None:
        """Demand after now of the kinds of which something is known; None where nothing is."""
        if not settings.forecast.use:
            return None
        known = {} if load is None else known_work(load, learnt, by_deadline(settings, now))
        workers: dict[str, tuple[tuple[float, ...], ...]] = {}
        notes: list[str] = []
        for kind in settings.kinds:
            rows, said = self.rows(kind.name, now, known.get(kind.name), settings)
            notes += [f"{kind.name}: {note}" for note in said]
            if rows is not None:
                workers[kind.name] = tuple(tuple(row) for row in rows.tolist())
        if not workers:
            return None
        return Outlook(
            at=now,
            ends_seconds=ENDS_SECONDS,
            shares=QUANTILES,
            workers=workers,
            notes=tuple(notes),
        )

    def rows(
        self, kind: str, now: datetime, work: KnownWork | None, settings: Settings
    ) -> tuple[FloatArray | None, tuple[str, ...]]:
        """A kind's workers (quantiles, ENDS_SECONDS), at least what the graph and the calendar ask
        for, and what it had to do without. None where nothing is known."""
        series = self.series.get(kind)
        found = None if series is None else series.forecast(now)
        coming = np.array(scheduled(settings.calendar, kind, now, ENDS_SECONDS))
        notes: tuple[str, ...] = ("no history: the graph and the calendar only",)
        days = 0 if series is None else series.unlearnt(now) / STEPS_PER_DAY
        if days:
            notes = (f"{days:.1f} days of history are not read yet",)
        if found is None and work is None and not coming.any():
            return None, notes
        rows = np.zeros((len(QUANTILES), len(ENDS_SECONDS)))
        if found is not None:
            forecast, values = found
            notes = forecast.notes
            # A clock that was set back is behind the last whole step: it counts from there then.
            rows = over_steps(values, max(0.0, (now - forecast.at) / timedelta(seconds=1)))
        rows = np.maximum(rows, coming)
        if work is not None:
            rows = np.maximum(rows, _busy(work))
        most = next((each.maximum for each in settings.kinds if each.name == kind), None)
        return (rows if most is None else np.minimum(rows, most)).round(_DIGITS), notes


def over_steps(values: FloatArray, since_seconds: float) -> FloatArray:
    """Means of the steps of an outlook (quantiles, ENDS_SECONDS) from a forecast's values
    (quantiles, steps of 300 s) that begin `since_seconds` before the outlook does.

    What lies beyond the forecast is as its last step.
    """
    edges = np.arange(values.shape[1] + 2) * float(STEP_SECONDS)
    sums = np.cumsum(values, axis=1) * STEP_SECONDS
    beyond = sums[:, -1:] + values[:, -1:] * STEP_SECONDS
    sums = np.concatenate([np.zeros((len(values), 1)), sums, beyond], axis=1)
    cuts = since_seconds + np.array((0, *ENDS_SECONDS), dtype=np.float64)
    at_cuts = np.stack([np.interp(cuts, edges, row) for row in sums])
    return np.maximum(np.diff(at_cuts, axis=1) / np.diff(cuts), 0.0)


def _busy(work: KnownWork) -> FloatArray:
    """Workers that known work keeps busy (quantiles, ENDS_SECONDS): more of it the higher the
    quantile, as it may take longer than the median."""
    edges = np.array((0, *ENDS_SECONDS), dtype=np.float64)
    done = work.worker_seconds(edges, DEVIATIONS)
    return np.asarray(np.diff(done, axis=1) / np.diff(edges))
