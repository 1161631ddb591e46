"""The fleet and what could be bought, as items of the transition program."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from costplan.planner.asking import is_on_trial, under_way
from costplan.planner.buying import Column, Shelf
from costplan.planner.capacity import refused_share
from costplan.planner.caps import budget_rows, is_tight
from costplan.planner.fleet_limits import FleetRow, Sized, fleet_rows
from costplan.planner.fleet_view import Asset
from costplan.planner.learn import boot_seconds
from costplan.planner.needs import Needs
from costplan.planner.optimize.transition import Item
from costplan.planner.settings import Settings
from costplan.planner.tick import Snapshot, State
from costplan.planner.types import OfferKey
from costplan.planner.units import SECONDS_PER_HOUR

SHORTAGE_FACTOR = 10.0
"""A worker that is wanted and not there costs as much as ten of the dearest that could be."""
TIE = 1e-6


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that are alike to the planner, those that go first in front."""

    assets: tuple[Asset, ...]
    least: int
    is_kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionQuestion:
    """The transition program in the words of the fleet."""

    kinds: tuple[str, ...]
    demand: tuple[int, ...]
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    rows: tuple[FleetRow, ...]
    hours: float
    boot_hours: float
    stay_share: float
    shortage_cost: float
    refused_usd: Mapping[tuple[OfferKey, ...], float] = field(default_factory=dict)
    """What each worker of a column costs for the chance that its offers have no machine."""


def transition_question(
    on_offer: Shelf,
    snapshot: Snapshot,
    state: State,
    settings: Settings,
    fleet: Sequence[Asset],
    wanted: Needs,
) -> TransitionQuestion:
    """What to keep and to buy for what is wanted, under the rules of the settings.

    Where a budget is nearly committed, any saving is worth an exchange.
    """
    kinds = tuple(kind.name for kind in settings.kinds)
    demand = tuple(wanted.target.get(kind, 0) for kind in kinds)
    pools = {a.node.key for a in fleet} | {c.keys[0] for c in on_offer.columns}
    rows = (
        *budget_rows(snapshot, state, settings, fleet),
        *fleet_rows(settings, pools),
        *_trial_rows(on_offer.columns, snapshot, state, fleet),
        *_held_rows(on_offer),
    )
    if not any(demand):
        # The base is one of the fleet that works; without work there is none.
        rows = tuple(row for row in rows if row.kind != "firm")
    tight = is_tight(snapshot, state, settings)
    hours = settings.scaling.horizon_seconds / SECONDS_PER_HOUR
    dearest = max(
        (c.expected_usd_per_hour / sum(c.workers.values()) for c in on_offer.columns),
        default=1.0,
    )
    return TransitionQuestion(
        kinds=kinds,
        demand=demand,
        groups=groups_of(fleet, wanted),
        columns=on_offer.columns,
        rows=rows,
        hours=hours,
        boot_hours=boot_seconds(state.learnt, settings) / SECONDS_PER_HOUR,
        stay_share=1.0 - (0.0 if tight else settings.scaling.replace_saving_share),
        shortage_cost=SHORTAGE_FACTOR * dearest * hours,
        refused_usd=_refused_usd(on_offer.columns, snapshot, state, settings, wanted, dearest),
    )


def _trial_rows(
    columns: Sequence[Column], snapshot: Snapshot, state: State, fleet: Sequence[Asset]
) -> tuple[FleetRow, ...]:
    """Of an offer that refused lately one machine more may be asked for; the others go elsewhere
    until it has answered."""
    learnt, now = state.learnt, snapshot.at
    keys = sorted({c.keys[0] for c in columns}) if learnt.answers else []
    tried = [key for key in keys if is_on_trial(key, learnt, now)]
    if not tried:
        return ()
    asked = under_way(snapshot.nodes)
    here = Counter(asset.node.key for asset in fleet)
    return tuple(
        FleetRow(
            name=f"the trial of {key}",
            kind="trial",
            most=here[key] + max(0, 1 - asked[key]),
            members=frozenset({key}),
        )
        for key in tried
    )


def _held_rows(on_offer: Shelf) -> tuple[FleetRow, ...]:
    """Machines may be bought that commitments pay for as long as something of them is left."""
    named = {name for column in on_offer.columns for name in column.takes}
    return tuple(
        FleetRow(name=name, kind="held", most=on_offer.left[name]) for name in sorted(named)
    )


def _refused_usd(
    columns: Sequence[Column],
    snapshot: Snapshot,
    state: State,
    settings: Settings,
    wanted: Needs,
    dearest: float,
) -> dict[tuple[OfferKey, ...], float]:
    """A launch that is refused is asked for elsewhere by the next plan, and its work waits.

    Where no worker is missing none waits: a machine that is to be exchanged stays until its heir
    is ready. Were the wait counted there, a dearer machine would be held until the refusals are
    forgotten, and be exchanged long after everything else has come to rest.
    """
    if not state.learnt.capacity or not any(wanted.short.values()):
        return {}
    wait = SHORTAGE_FACTOR * dearest * settings.cadence.plan_seconds / SECONDS_PER_HOUR
    found = {}
    for column in columns:
        share = refused_share(column.keys, state.learnt, snapshot.at)
        if share:
            found[column.keys] = share * wait
    return found


def groups_of(fleet: Sequence[Asset], wanted: Needs) -> tuple[Group, ...]:
    """Nodes by offer, workers, whether they must stay, and what draining costs by powers of two.

    One that is only kept in case work comes back is not replaced: it may be gone before its heir
    has booted.
    """
    found: dict[tuple[object, ...], list[Asset]] = {}
    for asset in fleet:
        keeps = asset.node.node_id in wanted.kept
        stays = bool(asset.pinned) or (keeps and asset.idle_seconds is not None)
        cost = 0 if stays or not asset.drain_usd else math.frexp(float(asset.drain_usd))[1]
        key = (asset.node.key, asset.workers, stays, keeps, asset.usd_per_hour, cost)
        found.setdefault(key, []).append(asset)
    groups = []
    for like in sorted(found, key=repr):
        assets = sorted(found[like], key=first_to_go)
        least = len(assets) if like[2] else 0
        groups.append(Group(tuple(assets), least, assets[0].node.node_id in wanted.kept))
    return tuple(groups)


def first_to_go(asset: Asset) -> tuple[float, float, str]:
    """The order in which nodes that are alike are given up: the cheapest to drain first."""
    idle = -1.0 if asset.idle_seconds is None else asset.idle_seconds
    return (float(asset.drain_usd), -idle, asset.node.node_id)


def items_of(question: TransitionQuestion) -> list[Item]:
    """The groups of the fleet, and then the columns, each in its order."""
    items = []
    for group in question.groups:
        first = group.assets[0]
        stay = (first.expected_usd_per_hour or 0.0) * question.hours * question.stay_share
        # Of two that are as good, the one goes that nothing speaks for.
        stay -= TIE * stay * group.is_kept
        sized = Sized(
            key=first.node.key,
            vcpu=first.node.resources.vcpu_milli / 1000,
            usd_per_hour=first.usd_per_hour or Decimal(0),
        )
        items.append(
            Item(
                cost=stay - float(first.drain_usd),
                least=group.least,
                most=len(group.assets),
                covers=_covers(question.kinds, dict(first.workers)),
                rows=_takes(question.rows, sized),
            )
        )
    for column in question.columns:
        sized = Sized(
            key=column.keys[0],
            vcpu=column.resources.vcpu_milli / 1000,
            usd_per_hour=column.usd_per_hour,
            takes=column.takes,
        )
        items.append(
            Item(
                cost=new_cost(column, question),
                least=0,
                most=sum(question.demand),
                covers=_covers(question.kinds, column.workers),
                rows=_takes(question.rows, sized),
            )
        )
    return items


def new_cost(column: Column, question: TransitionQuestion) -> float:
    """Dollars over the horizon and for the boot before it, and for the chance of a refusal."""
    boot = float(column.usd_per_hour) * question.boot_hours
    wait = refusal_usd(column, question)
    return column.expected_usd_per_hour * question.hours + boot + wait


def refusal_usd(column: Column, question: TransitionQuestion) -> float:
    """What waiting for a column costs in expectation, where it may be that there is none."""
    return question.refused_usd.get(column.keys, 0.0) * sum(column.workers.values())


def _covers(kinds: Sequence[str], workers: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(workers.get(kind, 0) for kind in kinds)


def _takes(rows: Sequence[FleetRow], node: Sized) -> dict[int, float]:
    taken = {number: row.take(node) for number, row in enumerate(rows)}
    return {number: amount for number, amount in taken.items() if amount}
