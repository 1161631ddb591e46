"""Scenarios and seeds of `costplan simulate`: read, prepared, run over cores or a Dask cluster."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from costplan.adapters.backtest.outcome import PolicyOutcome
from costplan.adapters.backtest.prepare import Prepared, prepare
from costplan.adapters.backtest.scenario import BacktestSection, read_scenario
from costplan.adapters.backtest.spread import Run, spread
from costplan.adapters.clock import utc_now
from costplan.adapters.feeds.price_file import PriceList
from costplan.cli.price_source import read_prices
from costplan.planner.errors import InputError
from costplan.planner.wording import plain
from costplan.policies.default import default_policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A scenario that is to be run under one seed or more."""

    name: str
    prepared: Prepared
    seeds: tuple[int, ...]
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What became of a scenario under one seed: the answer of a simulation by itself."""

    name: str
    prepared: Prepared
    found: tuple[PolicyOutcome, ...]

    @property
    def seed(self) -> int:
        """Of boots and interruptions."""
        return self.prepared.backtest.seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """A scenario under all its seeds, in the order in which they were named."""

    name: str
    runs: tuple[Ran, ...]


def asked_for(
    paths: Sequence[Path | None], seeds: Sequence[int], flags: Mapping[str, Any]
) -> tuple[Asked, ...]:
    """The scenarios of these files under these seeds (each file's own where there are none).

    Flags stand in the place of every file's keys; a price list is read once. Raises InputError
    where something is wrong, or two scenarios have one name.
    """
    sections: dict[str, list[BacktestSection]] = {}
    for path in paths:
        each = [read_scenario(path, {**flags, "seed": seed}) for seed in dict.fromkeys(seeds)]
        each = each or [read_scenario(path, flags)]
        name = each[0].simulate
        if name in sections:
            raise InputError(
                f"simulate: {name}",
                "two scenarios have this name",
                "name each file once, and give each a name of its own",
            )
        sections[name] = each
    lists: dict[str | None, PriceList] = {}
    asked = []
    for name, each in sections.items():
        first = each[0]
        if first.prices not in lists:
            path = None if first.prices is None else Path(first.prices)
            lists[first.prices] = read_prices(path, now=utc_now())
        asked.append(
            Asked(
                name=name,
                prepared=prepare(first, lists[first.prices], default_policies()),
                seeds=tuple(section.seed for section in each),
                policies=tuple(dict.fromkeys(first.policies)),
            )
        )
    return tuple(asked)


def run_all(asked: Sequence[Asked], jobs: int | None, scheduler: str | None) -> tuple[Swept, ...]:
    """What becomes of every policy of every scenario under every seed, with progress bars: one a
    policy, or where there are several runs one a run."""
    runs = [
        Run(backtest=one.prepared.backtest, seed=seed, policies=one.policies)
        for one in asked
        for seed in one.seeds
    ]
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bars:
        lines = _lines(bars, asked)
        shares: dict[TaskID, dict[str, float]] = {}

        def progress(place: int, policy: str, share: float) -> None:
            line = lines[place, policy]
            shares.setdefault(line, {})[policy] = share
            bars.update(line, completed=sum(shares[line].values()))

        found = iter(spread(runs, processes=jobs, scheduler=scheduler, progress=progress))
    return tuple(
        Swept(
            name=one.name,
            runs=tuple(
                Ran(name=one.name, prepared=_under(one.prepared, seed), found=next(found))
                for seed in one.seeds
            ),
        )
        for one in asked
    )


def _lines(bars: Progress, asked: Sequence[Asked]) -> dict[tuple[int, str], TaskID]:
    """The bar of each policy of each run."""
    named = [(one, seed) for one in asked for seed in one.seeds]
    if len(named) == 1:
        return {(0, name): bars.add_task(name, total=1.0) for name in named[0][0].policies}
    lines: dict[tuple[int, str], TaskID] = {}
    for place, (one, seed) in enumerate(named):
        line = bars.add_task(f"{plain(one.name)}, seed {seed}", total=float(len(one.policies)))
        lines |= {(place, name): line for name in one.policies}
    return lines


def _under(prepared: Prepared, seed: int) -> Prepared:
    return replace(prepared, backtest=replace(prepared.backtest, seed=seed))
