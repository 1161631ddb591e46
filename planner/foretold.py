"""A forecast as a person asks for it: what was asked for of late, and what will be, by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from costplan.planner.asked import STEP_SECONDS, DemandPart, step_start
from costplan.planner.calendar import ScheduledJob, runs
from costplan.planner.due import by_deadline
from costplan.planner.forecast.types import QUANTILES, Member
from costplan.planner.foretell import ENDS_SECONDS, Foreteller
from costplan.planner.known_work import KnownWork, known_work
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.settings import Settings

_AHEAD = timedelta(seconds=ENDS_SECONDS[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class KindForecast:
    """One kind of worker: `seen` are the means of past steps by their begin, and `rows` what is
    foretold (a row for each of QUANTILES, a column for each of ENDS_SECONDS), None where nothing
    is. `shares` are those of the members at 1, 6 and 24 hours; `work` is what the graph holds."""

    kind: str
    seen: tuple[tuple[datetime, float], ...]
    seen_seconds: float
    rows: tuple[tuple[float, ...], ...] | None
    shares: Mapping[str, tuple[float, float, float]]
    work: KnownWork | None
    jobs: tuple[tuple[ScheduledJob, datetime], ...]
    notes: tuple[str, ...]

    def at(self, share: float) -> tuple[float, ...]:
        """The row of a quantile; raises ValueError where nothing is foretold."""
        if self.rows is None:
            raise ValueError(f"nothing is foretold of {self.kind}")
        return self.rows[QUANTILES.index(share)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """Demand of a cluster after `at`."""

    cluster: str
    at: datetime
    kinds: tuple[KindForecast, ...]


def foretold(
    parts: Iterable[DemandPart],
    load: Load | None,
    learnt: Learnt,
    settings: Settings,
    at: datetime,
    more: Callable[[], Member] | None = None,
) -> Foretold:
    """What a tick at that moment would be told, of the kinds that are configured and those of which
    there is a history, from what was asked for before it. `more` makes third members."""
    by_kind: dict[str, list[DemandPart]] = {kind.name: [] for kind in settings.kinds}
    for part in parts:
        if part.start < at:
            by_kind.setdefault(part.kind, []).append(part)
    foreteller = Foreteller((part for kept in by_kind.values() for part in kept), at, more)
    foreteller.learn(at)
    known = {} if load is None else known_work(load, learnt, by_deadline(settings, at))
    return Foretold(
        cluster=settings.cluster,
        at=at,
        kinds=tuple(
            _kind(kind, kept, foreteller, known.get(kind), settings, at)
            for kind, kept in by_kind.items()
        ),
    )


def _kind(
    kind: str,
    parts: list[DemandPart],
    foreteller: Foreteller,
    work: KnownWork | None,
    settings: Settings,
    at: datetime,
) -> KindForecast:
    rows, notes = foreteller.rows(kind, at, work, settings)
    series = foreteller.series.get(kind)
    made = None if series is None else series.forecast(at)
    whole = [part for part in parts if part.start < step_start(at)]
    coming = [
        (job, begin)
        for job in settings.calendar
        if job.kind == kind
        for begin, _ in runs(job, at, at + _AHEAD)
    ]
    return KindForecast(
        kind=kind,
        seen=tuple((part.start, part.worker_seconds / part.seconds) for part in whole),
        seen_seconds=sum(min(part.seconds, float(STEP_SECONDS)) for part in parts),
        rows=None if rows is None else tuple(tuple(row) for row in rows.tolist()),
        shares={} if made is None else dict(made[0].weights),
        work=work,
        jobs=tuple(sorted(coming, key=lambda each: (each[1], each[0].name))),
        notes=notes,
    )
