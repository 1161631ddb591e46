"""From what a backtest is to be to everything that its policies are run on."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

from costplan.adapters.backtest.courses import read_courses
from costplan.adapters.backtest.jobs import TraceJob, TraceJobs, read_jobs
from costplan.adapters.backtest.market import Recorded, Ware, read_availability, wares
from costplan.adapters.backtest.outcome import Deadline
from costplan.adapters.backtest.run import Backtest
from costplan.adapters.backtest.scenario import BacktestSection, GenerateSection, ShapeSection
from costplan.adapters.feeds.price_file import PriceList
from costplan.adapters.sim.clock import START
from costplan.planner.errors import InputError
from costplan.planner.guard import Policy
from costplan.planner.settings import Scaling, Settings, WorkerKind
from costplan.planner.types import Market, Resources
from costplan.planner.units import memory_text, seconds_text
from costplan.planner.where import check_where
from costplan.planner.wording import counted, days_text
from costplan.planner.workload import Interruption, Where

CPU_THREADS = 8
"""Tasks of one CPU each share a worker of so many threads."""
_BOOT_PATIENCE = 4
"""A machine that boots is given up after so many medians, or the daemon's default if later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A backtest, and what its reader should know of where it came from, a line each."""

    backtest: Backtest
    notes: tuple[str, ...]


def prepare(section: BacktestSection, prices: PriceList, rules: tuple[Policy, ...]) -> Prepared:
    """Reads the demand and availability files and lays them over the prices; `rules` are the
    policies that guard what costplan plans.

    Raises InputError where a file is wrong or nothing that is sold holds a worker.
    """
    asked = section.demand
    if asked.file is not None:
        found = read_jobs(
            Path(asked.file), days=section.days, skip_days=asked.skip_days, columns=asked.columns
        )
        source = asked.file
    else:
        made = asked.generate or GenerateSection()
        found, source = generated(made, section.days), f"jobs made up by seed {made.seed}"
    kind = worker_kind(found.unit, getattr(section.shapes, found.unit))
    settings = Settings(
        cluster="backtest",
        workload=section.simulate,
        kinds=(kind,),
        where=_where(section),
        scaling=_scaling(section.boot),
        interruption=Interruption(
            lost_work_seconds=section.checkpoint // 2, restart_seconds=section.boot
        ),
    )
    check_where(prices.catalogue, settings.where, "region")
    recorded = _recorded(section)
    seconds = section.days * 86400
    sold = wares(
        prices.catalogue,
        settings,
        types=section.types,
        one_type=section.one_type,
        recorded=recorded,
    )
    one = _one_type(section, sold)
    _check_policies(section, sold, one)
    backtest = Backtest(
        jobs=found.jobs,
        wares=sold,
        settings=settings,
        one_type=one,
        seconds=seconds,
        tick_seconds=float(section.tick),
        checkpoint_seconds=float(section.checkpoint),
        result_bytes=section.result,
        boot_seconds=float(section.boot),
        deadline=Deadline(times=section.deadline.times, seconds=float(section.deadline.slack)),
        seed=section.seed,
        rules=rules,
    )
    place = sold[0].pool.key
    lines = [
        f"demand: {source}: {counted(len(found.jobs), 'job')}, "
        f"{counted(round(found.unit_hours), f'{found.unit}-hour')} in {days_text(section.days)}",
        *(f"demand: {note}" for note in (*found.notes, *_short_trace(found, section.days))),
        f"a worker: {_worker_text(kind)}",
        *_unused_shapes(section, found.unit),
        f"prices: {prices.name}, {place.provider}/{place.region}, "
        f"{counted(len(sold), 'offer')} of the {counted(section.types, 'cheapest type')} "
        "of each market and the cheapest of each size",
        f"clock: {found.begins} of the demand is laid on {START:%A %Y-%m-%d %H:%M} UTC, from "
        "where on these prices hold and what was recorded of spot begins",
        _price_text(recorded, section),
        _spot_text(recorded, section),
        f"one type: {one}, the cheapest on demand for a worker"
        if section.one_type is None
        else f"one type: {one}, as asked for",
        _result_text(section.result),
        f"a look each {seconds_text(section.tick)}, boots of {seconds_text(section.boot)} in the "
        f"median, a checkpoint of every task each {seconds_text(section.checkpoint)}; a job is "
        f"late when it is done more than {section.deadline.times:g} times its duration and "
        f"{seconds_text(section.deadline.slack)} after it came",
    ]
    return Prepared(backtest=backtest, notes=tuple(lines))


def worker_kind(unit: str, shape: ShapeSection) -> WorkerKind:
    """The worker that runs units: one GPU or node each, CPUs by eights."""
    units = CPU_THREADS if unit == "cpu" else 1
    gpus = (shape.gpu or 0) * units
    return WorkerKind(
        name=unit,
        need=Resources(vcpu_milli=shape.vcpu * units, memory_bytes=shape.memory * units, gpus=gpus),
        threads=units,
        resources={"GPU": float(gpus)} if gpus else {},
    )


def generated(made: GenerateSection, days: float) -> TraceJobs:
    """Jobs of a team with office hours, by seed: Poisson arrivals, at night and on weekends a
    fifth of those at noon on a Monday; lognormal durations of 40 minutes in the median (most of
    them 5 minutes to 6 hours); 1, 2, 4 or 8 units."""
    dice = random.Random(f"backtest/{made.seed}")  # noqa: S311 - not for secrets
    jobs, at = [], 0.0
    while True:
        at += dice.expovariate(made.jobs_per_hour / 3600)
        if at >= days * 86400:
            break
        hour, day = at % 86400 / 3600, int(at // 86400) % 7
        noon = max(0.0, math.sin(math.pi * (hour - 7) / 13)) if 7 <= hour < 20 and day < 5 else 0.0
        keep, spread = dice.random(), dice.gauss(0.0, 1.0)
        units = dice.choices((1, 2, 4, 8), weights=(6, 3, 2, 1))[0]
        if keep >= 0.2 + 0.8 * noon:
            continue
        seconds = min(2400 * math.exp(1.2 * spread), days * 86400 - at)
        jobs.append(TraceJob(at_seconds=at, seconds=seconds, units=units))
    if not jobs:
        raise InputError("demand.generate.jobs_per_hour", "made no job at all", "ask for more")
    return TraceJobs(jobs=tuple(jobs), unit=made.unit, notes=(), begins="the first Monday")


def _short_trace(found: TraceJobs, days: float) -> list[str]:
    """A line where the jobs take no more than half of the days, which a fixed fleet pays all of."""
    last = max(job.at_seconds + job.seconds for job in found.jobs) / 86400
    enough = math.ceil(last)
    if enough > days / 2:
        return []
    return [
        f"the last job could be done after {last:.3g} days, and what runs without work until "
        f"{days_text(days)} are over is paid for, too; --days {enough} ends with the jobs"
    ]


def _scaling(boot_seconds: int) -> Scaling:
    """How costplan scales where machines boot so long: it does not end one for that."""
    patience = max(Scaling().boot_timeout_seconds, _BOOT_PATIENCE * boot_seconds)
    return Scaling(boot_seconds=boot_seconds, boot_timeout_seconds=patience)


def _where(section: BacktestSection) -> Where:
    if section.region is None:
        return Where()
    provider, slash, region = section.region.partition("/")
    if not slash or not region:
        raise InputError(
            f"region {section.region}", "is not a provider and a region", "write aws/us-east-1"
        )
    return Where(providers=(provider,), regions={provider: (region,)})


def _one_type(section: BacktestSection, sold: tuple[Ware, ...]) -> str:
    firm = [ware for ware in sold if ware.pool.key.market is Market.ON_DEMAND]
    names = sorted({ware.pool.key.instance_type for ware in firm})
    if section.one_type is not None:
        if section.one_type not in names:
            raise InputError(
                f"one_type {section.one_type}",
                "is not among the types that are sold on demand here",
                f"choose of {', '.join(names)}",
            )
        return section.one_type
    cheapest = min(firm, key=lambda ware: (ware.usd_per_worker_hour, ware.pool.key))
    return cheapest.pool.key.instance_type


def _check_policies(section: BacktestSection, sold: tuple[Ware, ...], one_type: str) -> None:
    """Returns where each policy can buy what it uses; before hours are spent on the others."""
    on_spot = any(
        ware.pool.key.market is Market.SPOT and ware.pool.key.instance_type == one_type
        for ware in sold
    )
    if "dask-adaptive-spot" in section.policies and not on_spot:
        raise InputError(
            "policies: dask-adaptive-spot",
            f"its one type, {one_type}, is not sold on spot",
            "name the other policies with --policy, or another type with --one-type",
        )


def _worker_text(kind: WorkerKind) -> str:
    need = kind.need
    gpus = f", {counted(need.gpus, 'GPU')}" if need.gpus else ""
    memory = need.memory_bytes / 2**30
    return (
        f"{need.vcpu_milli / 1000:g} vCPU, {memory:g} GiB{gpus}, "
        f"{counted(kind.threads, 'task')} at a time"
    )


def _result_text(result_bytes: int) -> str:
    if not result_bytes:
        return "tasks leave no results in memory"
    return (
        f"a task leaves {memory_text(result_bytes)} on its worker until its job is over; workers "
        "that are retired copy them first, and what is lost with a machine is computed again"
    )


def _unused_shapes(section: BacktestSection, unit: str) -> list[str]:
    """A line for each shape that was given and is of no unit that the demand counts."""
    given = sorted(section.shapes.model_fields_set - {unit})
    words = "nodes" if unit == "node" else f"{unit.upper()}s"
    return [
        f"--{other}-shape, or shapes.{other}, is not used: this demand counts {words}"
        for other in given
    ]


def _recorded(section: BacktestSection) -> Recorded:
    if section.spot is None and section.spot_set is not None:
        raise InputError(
            f"spot_set {section.spot_set}", "there are no traces to choose from", "add --spot FILE"
        )
    return Recorded(
        traces=()
        if section.spot is None
        else read_availability(Path(section.spot), section.spot_set),
        courses=() if section.spot_prices is None else read_courses(Path(section.spot_prices)),
    )


def _price_text(recorded: Recorded, section: BacktestSection) -> str:
    if not recorded.courses:
        return "prices stay as they are listed"
    return (
        f"spot prices move around the listed ones as {len(recorded.courses):,} recorded "
        f"series of {section.spot_prices} did; those on demand stay"
    )


def _spot_text(recorded: Recorded, section: BacktestSection) -> str:
    traces = recorded.traces
    if not traces:
        return "spot: always to be had; interruptions at the rates of the price list"
    return (
        f"spot: {counted(len(traces), 'recorded trace')} of {section.spot}, laid over the zones "
        "and types that are sold, each type begun 5 days later than the one before, and repeated "
        "when they end"
    )
