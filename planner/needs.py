"""What the fleet should hold now: what the work asks for, and what is kept a while longer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from costplan.planner.buying import missing_kinds
from costplan.planner.fleet_speed import at_fleet_speed
from costplan.planner.fleet_view import Asset, staffing
from costplan.planner.holding import NO_FEW, few, hold_seconds, is_within, most_threads, share_of
from costplan.planner.launching import launch_number
from costplan.planner.learn import boot_seconds, speeds_of
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.sizing import Question, Sizes, Staffing, sizes
from costplan.planner.tick import ClassDemand, Waiting
from costplan.planner.types import Offer

FORETOLD_SHARE = 0.5
"""For how much of a boot an idle worker is kept at most, where a plan over time says the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Workers by kind: `demand` is what the work asks for, `target` adds what is kept although
    the work does not ask for it, `here` is what is ready or coming. `kept` says of nodes why they
    are kept, and `let_go` of idle ones why they are not."""

    demand: tuple[ClassDemand, ...]
    waiting: tuple[Waiting, ...]
    target: Mapping[str, int]
    here: Mapping[str, int]
    kept: Mapping[str, str]
    let_go: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """True where the fleet is neither short of a kind nor has one too many."""
        return all(self.here.get(kind, 0) == wanted for kind, wanted in self.target.items())

    @property
    def is_for_work(self) -> bool:
        """True where most of the workers that are wanted have something to run, so that it
        matters how fast they are, and not only how many."""
        wanted = sum(d.wanted for d in self.demand)
        return 2 * sum(min(d.useful, d.wanted) for d in self.demand) > wanted

    @property
    def short(self) -> dict[str, int]:
        """Workers that are missing, by kind."""
        return {kind: max(0, n - self.here.get(kind, 0)) for kind, n in self.target.items()}


def needs(
    load: Load | None,
    fleet: Sequence[Asset],
    offers: Sequence[Offer],
    learnt: Learnt,
    settings: Settings,
    now: datetime,
) -> Needs:
    """What the fleet should hold. Without a load nothing is known but the floor: what is here
    stays, and each kind's minimum is wanted."""
    boot = boot_seconds(learnt, settings)
    staff = staffing(fleet, boot, now)
    here = {
        kind.name: staff.get(kind.name, Staffing()).ready + staff.get(kind.name, Staffing()).coming
        for kind in settings.kinds
    }
    if load is None:
        return _unknown(settings.kinds, staff, here)
    asked = sizes(
        Question(
            load=at_fleet_speed(load, fleet, speeds_of(learnt, settings)),
            kinds=settings.kinds,
            scaling=settings.scaling,
            learnt=learnt,
            staff=staff,
            boot_seconds=boot,
            missing=_missing(settings, offers, here),
        )
    )
    keeps = None if nobody_there(load, settings, now) else _Holds(learnt, settings)
    stays = _stays(asked, fleet, keeps, learnt, settings, now)
    held: dict[str, int] = {}
    for asset in fleet:
        for kind, count in asset.workers if asset.node.node_id in stays.kept else ():
            held[kind] = held.get(kind, 0) + count
    target = {
        d.shape: max(d.wanted, held.get(d.shape, 0), min(d.useful, d.present)) for d in asked.demand
    }
    return Needs(
        demand=asked.demand,
        waiting=asked.waiting,
        target=target,
        here=here,
        kept=stays.kept,
        let_go=stays.let_go,
    )


def _missing(
    settings: Settings, offers: Sequence[Offer], here: Mapping[str, int]
) -> dict[str, str]:
    """Kinds of which nothing is here and nothing can be bought, and why. Where all is sold out,
    those that are here still have their work."""
    found = missing_kinds(settings.kinds, offers, settings)
    return {kind: reason for kind, reason in found.items() if not here[kind]}


def briefly(settings: Settings, learnt: Learnt) -> Settings:
    """The settings where demand is foretold: idle workers are kept for part of a boot at most.

    The plan over time says which to keep for what comes; but an outlook is of means over minutes
    and does not see a pause of seconds. Where such were seen, they say how long.
    """
    scaling = settings.scaling
    if not scaling.ahead_seconds or learnt.idle_gaps:
        return settings
    most = math.ceil(FORETOLD_SHARE * boot_seconds(learnt, settings))
    return replace(settings, scaling=replace(scaling, idle_seconds=min(scaling.idle_seconds, most)))


def surplus(demand: Sequence[ClassDemand]) -> dict[str, bool]:
    """By kind, whether more workers are ready than the work can use."""
    return {d.shape: d.is_surplus for d in demand}


def _unknown(
    kinds: Sequence[WorkerKind], staff: Mapping[str, Staffing], here: Mapping[str, int]
) -> Needs:
    demand = tuple(
        ClassDemand(
            shape=kind.name,
            wanted=max(kind.minimum, here[kind.name]),
            present=staff.get(kind.name, Staffing()).ready,
            coming=staff.get(kind.name, Staffing()).coming,
            work_seconds=0.0,
            width=0,
            reason="the load is not known, so what is here stays",
        )
        for kind in kinds
    )
    return Needs(
        demand=demand,
        waiting=(),
        target={d.shape: d.wanted for d in demand},
        here=here,
        kept={},
    )


def nobody_there(load: Load, settings: Settings, now: datetime) -> bool:
    """True once all clients have left for longer than one is waited for to come back."""
    gone = load.clients_gone_since
    patience = timedelta(seconds=settings.scaling.client_gone_seconds)
    return load.clients == 0 and gone is not None and now - gone >= patience


@dataclass(frozen=True, slots=True)
class _Stays:
    """Why nodes stay whatever the work asks for, and why idle ones do not."""

    kept: dict[str, str]
    let_go: dict[str, str]


def _stays(
    asked: Sizes,
    fleet: Sequence[Asset],
    keeps: _Holds | None,
    learnt: Learnt,
    settings: Settings,
    now: datetime,
) -> _Stays:
    too_many = {d.shape for d in asked.demand if d.is_surplus}
    spare = {
        kind: (now - since).total_seconds()
        for kind, since in learnt.surplus_since.items()
        if kind in too_many
    }
    found = _Stays({}, {})
    idle: list[Asset] = []
    for asset in fleet:
        node_id = asset.node.node_id
        if asset.pinned:
            found.kept[node_id] = asset.pinned
        elif asset.idle_seconds is not None:
            idle.append(asset)
        elif not all(kind in spare for kind, _ in asset.workers) or any(
            spare[kind] < _keep(keeps, node_id) for kind, _ in asset.workers
        ):
            found.kept[node_id] = "it works"
    here = Counter[str]()
    for asset in fleet:
        if asset.pinned or asset.idle_seconds is None:
            here.update(dict(asset.workers))
    _sort_out(idle, here, found, keeps, learnt, settings)
    return found


class _Holds:
    """Seconds for which a node is kept though nobody needs it."""

    def __init__(self, learnt: Learnt, settings: Settings) -> None:
        self._boot, self._gaps = boot_seconds(learnt, settings), learnt.idle_gaps
        self._longest = float(settings.scaling.idle_seconds)
        self._few = NO_FEW
        if learnt.idle_since is not None:
            self._few = few(learnt.bursts, self._boot, float(settings.scaling.target_seconds))

    @property
    def few_threads(self) -> float:
        """Threads of the few; none while there is work."""
        return self._few.threads

    def of(self, node_id: str, *, is_of_few: bool = False) -> float:
        """Those of one node, by its place among all or as one of the few."""
        if is_of_few:
            return hold_seconds(self._boot, self._gaps, self._longest, boots=self._few.boots)
        share = share_of(launch_number(node_id))
        return hold_seconds(self._boot, self._gaps, self._longest, share)


def _keep(keeps: _Holds | None, node_id: str, *, is_of_few: bool = False) -> float:
    return 0.0 if keeps is None else keeps.of(node_id, is_of_few=is_of_few)


def _sort_out(
    idle: list[Asset],
    here: Counter[str],
    found: _Stays,
    keeps: _Holds | None,
    learnt: Learnt,
    settings: Settings,
) -> None:
    """Which idle nodes are kept: each for its own time, and in a pause no more than would work
    enough between pauses like those seen or do a burst as soon as new ones, but one. None is kept
    above a kind's maximum; `here` are the workers of all other nodes, and then of kept ones."""
    most_of = {k.name: math.inf if k.maximum is None else k.maximum for k in settings.kinds}
    threads = {kind.name: kind.threads for kind in settings.kinds}
    few_threads = keeps.few_threads if keeps is not None else 0.0
    most = math.inf
    if learnt.idle_since is not None:
        most = max(few_threads, most_threads(learnt.bursts, learnt.idle_gaps))
    there = 0.0
    for asset in sorted(idle, key=_last_to_go):
        node_id, seconds = asset.node.node_id, asset.idle_seconds or 0.0
        ours = sum(threads.get(kind, 1) * count for kind, count in asset.workers)
        own = _keep(keeps, node_id, is_of_few=is_within(there, ours, few_threads))
        said = f"idle for {seconds:.0f} s"
        above = [k for k, n in asset.workers if here[k] + n > most_of.get(k, math.inf)]
        if above:
            found.let_go[node_id] = f"{said}, and more {above[0]} workers are here than may be"
        elif seconds >= own:
            found.let_go[node_id] = f"{said}, kept for {own:.0f} s"
        elif not is_within(there, ours, most):
            found.let_go[node_id] = f"{said}, and fewer are enough for bursts like the last ones"
        else:
            there += ours
            here.update(dict(asset.workers))
            found.kept[node_id] = f"{said}, kept for {own:.0f} s"


def _last_to_go(asset: Asset) -> tuple[float, str]:
    return -share_of(launch_number(asset.node.node_id)), asset.node.node_id
