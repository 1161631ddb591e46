"""What the fleet should hold now: what the work asks for, and what is kept a while longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from costplan.planner.buying import missing_kinds
from costplan.planner.fleet_view import Asset, staffing
from costplan.planner.holding import hold_seconds
from costplan.planner.learn import boot_seconds
from costplan.planner.load import Load
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.sizing import Question, Sizes, Staffing, sizes
from costplan.planner.tick import ClassDemand, Learnt, Waiting
from costplan.planner.types import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Workers by kind: `demand` is what the work asks for, `target` adds what is kept although
    the work does not ask for it, `here` is what is ready or coming. `hold_seconds` is how long
    idle workers are kept, and `kept` says of nodes why they are."""

    demand: tuple[ClassDemand, ...]
    waiting: tuple[Waiting, ...]
    target: Mapping[str, int]
    here: Mapping[str, int]
    hold_seconds: float
    kept: Mapping[str, str]

    @property
    def is_met(self) -> bool:
        """True where the fleet is neither short of a kind nor has one too many."""
        return all(self.here.get(kind, 0) == wanted for kind, wanted in self.target.items())

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
            load=load,
            kinds=settings.kinds,
            scaling=settings.scaling,
            learnt=learnt,
            staff=staff,
            boot_seconds=boot,
            missing=missing_kinds(settings.kinds, offers, settings),
        )
    )
    hold = _hold_seconds(load, learnt, settings, boot, now)
    kept, held = _kept(asked, fleet, hold, learnt, settings, now)
    target = {d.shape: max(d.wanted, held.get(d.shape, 0)) for d in asked.demand}
    return Needs(
        demand=asked.demand,
        waiting=asked.waiting,
        target=target,
        here=here,
        hold_seconds=hold,
        kept=kept,
    )


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
        hold_seconds=float("inf"),
        kept={},
    )


def _hold_seconds(
    load: Load, learnt: Learnt, settings: Settings, boot: float, now: datetime
) -> float:
    """How long an idle worker is kept: not at all once nobody is there who could want it."""
    gone = load.clients_gone_since
    patience = timedelta(seconds=settings.scaling.client_gone_seconds)
    if load.clients == 0 and gone is not None and now - gone >= patience:
        return 0.0
    return hold_seconds(boot, learnt.idle_gaps, float(settings.scaling.idle_seconds))


def _kept(
    asked: Sizes,
    fleet: Sequence[Asset],
    hold: float,
    learnt: Learnt,
    settings: Settings,
    now: datetime,
) -> tuple[dict[str, str], dict[str, int]]:
    """Why nodes stay whatever the work asks for, and how many workers of each kind that makes."""
    long_enough = timedelta(seconds=max(hold, float(settings.scaling.target_seconds)))
    too_many = {
        kind for kind, since in learnt.surplus_since.items() if now - since >= long_enough
    } & {d.shape for d in asked.demand if d.is_surplus}
    kept: dict[str, str] = {}
    held: dict[str, int] = {}
    for asset in fleet:
        if asset.pinned:
            reason = asset.pinned
        elif asset.idle_seconds is not None and asset.idle_seconds >= hold:
            continue
        elif asset.idle_seconds is not None:
            reason = f"idle for {asset.idle_seconds:.0f} s, kept for {hold:.0f} s"
        elif all(kind in too_many for kind, _ in asset.workers):
            continue
        else:
            reason = "it works"
        kept[asset.node.node_id] = reason
        for kind, count in asset.workers:
            held[kind] = held.get(kind, 0) + count
    return kept, held
