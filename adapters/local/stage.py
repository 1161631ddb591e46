"""A scenario that has been started: when, with which prices, and what holds at an instant.

The first to open a state folder starts its scenario; the file that it leaves there is what every
later daemon and every machine goes by, so that times and prices survive restarts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from costplan.adapters.local.folders import locked, read_json, write_json
from costplan.adapters.local.scenario import Scenario, is_meant, offer_keys
from costplan.adapters.local.scenario_models import OfferSection, ScenarioSection
from costplan.adapters.local.traces import capacity_steps
from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.config_fields import suggestion
from costplan.planner.errors import InputError, InvariantBroken
from costplan.planner.types import Market, Offer, OfferKey, Quote, Resources
from costplan.planner.units import pico_from_usd, usd_from_pico


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedOffer:
    """An offer of a started scenario. Steps are (seconds from the start, value), the first at 0."""

    key: OfferKey
    resources: Resources
    arch: str
    boot_seconds: float
    tells_headroom: bool
    hazard_per_hour: float | None
    source: str
    is_estimate: bool
    prices: tuple[tuple[float, Decimal], ...]
    capacity: tuple[tuple[float, int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A started scenario. `launches` and `outages` are as the file has them."""

    state_dir: Path
    started_at: datetime
    grace_seconds: float
    retention_seconds: float
    nanny: bool
    powers_off: bool
    offers: Mapping[OfferKey, StagedOffer]
    launches: tuple[Mapping[str, Any], ...]
    outages: tuple[tuple[float, float], ...]

    def seconds(self, at: datetime) -> float:
        """Seconds from the start to an instant."""
        return (at - self.started_at).total_seconds()

    def price_at(self, key: OfferKey, at: datetime) -> tuple[datetime, Decimal]:
        """Since when which dollars an hour have been the price of an offer at an instant."""
        began, usd = _in_force(self.offers[key].prices, self.seconds(at))
        return self.started_at + timedelta(seconds=began), usd

    def capacity_at(self, key: OfferKey, at: datetime) -> int | None:
        """How many machines of an offer may be there at once at an instant; None is any."""
        machines: int | None = _in_force(self.offers[key].capacity, self.seconds(at))[1]
        return machines

    def is_out(self, at: datetime) -> bool:
        """True while nothing is answered."""
        now = self.seconds(at)
        return any(began <= now < began + lasts for began, lasts in self.outages)


def open_stage(
    state_dir: Path, scenario: Scenario, catalogue: Catalogue, *, now: datetime
) -> Stage:
    """The scenario of a state folder, started now where it has none.

    Prices and sizes that the scenario leaves open are taken from the catalogue, once. Raises
    InputError where the folder belongs to another scenario, or an offer is not in the catalogue.
    """
    state_dir = state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state_dir / "scenario.json"
    with locked(state_dir / ".scenario.lock"):
        started = read_json(path)
        if started is None:
            started = _started(scenario, catalogue, now)
            write_json(path, started)
    return _stage_of(state_dir, started, scenario)


def would_be_stage(
    state_dir: Path, scenario: Scenario, catalogue: Catalogue, *, now: datetime
) -> Stage:
    """What `open_stage` would give, with nothing written."""
    started = read_json(state_dir / "scenario.json")
    if started is None:
        started = _started(scenario, catalogue, now)
    return _stage_of(state_dir.absolute(), started, scenario)


def _stage_of(state_dir: Path, started: Mapping[str, Any], scenario: Scenario) -> Stage:
    if started["digest"] != scenario.digest:
        raise InputError(
            str(state_dir),
            f"was started with another scenario than {scenario.name} says",
            "end its machines and remove the folder, or name another state_dir",
        )
    return _stage(state_dir, started)


def read_stage(state_dir: Path) -> Stage | None:
    """The scenario that a state folder was started with, None where it was not."""
    started = read_json(state_dir / "scenario.json")
    return None if started is None else _stage(state_dir.absolute(), started)


def _in_force(steps: Sequence[tuple[float, Any]], seconds: float) -> tuple[float, Any]:
    found = steps[0]
    for step in steps:
        if step[0] <= seconds:
            found = step
    return found


def _started(scenario: Scenario, catalogue: Catalogue, now: datetime) -> dict[str, Any]:
    """What is kept of a scenario: JSON values, with prices as text."""
    section = scenario.section
    offers = [
        _offer(scenario, entry, f"offers[{place}]", key, catalogue)
        for place, entry in enumerate(section.offers)
        for key in offer_keys(section, entry)
    ]
    interruptions = [
        {
            "id": f"interruption-{place}",
            "at": event.at,
            "offers": [str(key) for key in scenario.keys if is_meant(event.offer, key)],
            "which": event.which,
            "notice": event.notice,
            "kind": event.kind,
            "min_age": event.min_age,
            "wait": event.wait,
            "keep": None,
        }
        for place, event in enumerate(section.interruptions)
    ]
    return {
        "scenario": section.scenario,
        "digest": scenario.digest,
        "started_at": now.isoformat(),
        "grace": section.grace,
        "retention": section.retention,
        "nanny": section.nanny,
        "power_off": section.power_off,
        "offers": offers,
        "interruptions": interruptions + _drops(scenario),
        "launches": [launch.model_dump() for launch in section.launches],
        "outages": [[outage.at, outage.seconds] for outage in section.outages],
    }


def _offer(
    scenario: Scenario, entry: OfferSection, path: str, key: OfferKey, catalogue: Catalogue
) -> dict[str, Any]:
    """One offer as it is kept, completed from the catalogue."""
    section = scenario.section
    row = None
    if None in (entry.vcpu, entry.memory, entry.usd_per_hour):
        row = _row(scenario, path, key, catalogue)
    listed = None if row is None else (catalogue.offer(row), catalogue.quote(row))
    price = entry.usd_per_hour
    usd = usd_from_pico(price) if price is not None else _of(listed).usd_per_hour
    kind = entry.gpu_kind or (listed[0].resources.gpu_kind if listed else None)
    if entry.gpus and kind is None:
        raise InputError(f"{scenario.name}: {path}", "GPUs of no kind", "add gpu_kind: T4")
    size = listed[0].resources if listed else None
    return {
        "key": [key.provider, key.region, key.zone, key.instance_type, str(key.market)],
        "arch": entry.arch or (listed[0].arch if listed else "x86_64"),
        "vcpu_milli": entry.vcpu or (size.vcpu_milli if size else 0),
        "memory_bytes": entry.memory or (size.memory_bytes if size else 0),
        "gpus": entry.gpus or 0,
        "gpu_kind": kind if entry.gpus else None,
        "boot": section.boot if entry.boot is None else entry.boot,
        "tells_headroom": entry.tells_headroom,
        "hazard_per_hour": _hazard(entry, key, listed),
        "source": "scenario" if price is not None else _of(listed).source,
        "is_estimate": price is None and _of(listed).is_estimate,
        "prices": [[at, str(usd)] for at, usd in _prices(section, key, usd)],
        "capacity": _capacity(scenario, entry, key),
    }


def _of(listed: tuple[Offer, Quote] | None) -> Quote:
    if listed is None:  # only where the entry gives size and price, and then nobody asks
        raise InvariantBroken("an offer without a price was not looked up")
    return listed[1]


def _hazard(entry: OfferSection, key: OfferKey, listed: tuple[Offer, Quote] | None) -> float | None:
    if entry.hazard_per_hour is not None:
        return entry.hazard_per_hour
    if listed is not None:
        return listed[1].hazard_per_hour
    return None if key.market is Market.SPOT else 0.0


def _prices(section: ScenarioSection, key: OfferKey, first: Decimal) -> list[tuple[float, Decimal]]:
    steps = {0.0: first}
    for change in sorted(section.prices, key=lambda change: change.at):
        if is_meant(change.offer, key):
            pico = change.usd_per_hour
            factor = change.factor or Decimal(1)
            steps[change.at] = usd_from_pico(
                pico_from_usd(first * factor) if pico is None else pico
            )
    return sorted(steps.items())


def _capacity(
    scenario: Scenario, entry: OfferSection, key: OfferKey
) -> list[tuple[float, int | None]]:
    steps: dict[float, int | None] = {0.0: entry.capacity}
    for trace in scenario.section.traces:
        if is_meant(trace.offer, key):
            steps |= dict(capacity_steps(trace, scenario.folder))
    for change in sorted(scenario.section.capacity, key=lambda change: change.at):
        if is_meant(change.offer, key):
            steps[change.at] = change.machines
    return sorted(steps.items())


def _drops(scenario: Scenario) -> list[dict[str, Any]]:
    """The interruptions by which capacity that goes away takes its machines with it."""
    drops: list[tuple[str, float, int, float | None]] = []
    for change in scenario.section.capacity:
        if change.reclaim and change.machines is not None:
            drops.append((change.offer, change.at, change.machines, change.notice))
    for trace in scenario.section.traces:
        steps = capacity_steps(trace, scenario.folder)
        for (_, before), (at, after) in pairwise(steps):
            if after < before:
                drops.append((trace.offer, at, after, trace.notice))
    return [
        {
            "id": f"drop-{place}-{number}",
            "at": at,
            "offers": [str(key)],
            "which": "newest",
            "notice": notice,
            "kind": "reclaim",
            "min_age": 0.0,
            "wait": False,
            "keep": machines,
        }
        for place, (offer, at, machines, notice) in enumerate(drops)
        for number, key in enumerate(scenario.keys)
        if is_meant(offer, key)
    ]


def _row(scenario: Scenario, path: str, key: OfferKey, catalogue: Catalogue) -> int:
    """The row of an offer in the catalogue: of its zone, or else of its whole region."""
    wanted = (
        (catalogue.provider.codes == catalogue.provider.code_of(key.provider))
        & (catalogue.region.codes == catalogue.region.code_of(key.region))
        & (catalogue.market == MARKETS.index(key.market))
        & (catalogue.instance_type.codes == catalogue.instance_type.code_of(key.instance_type))
    )
    for zone in (catalogue.zone.code_of(key.zone) if key.zone else -1, -1):
        rows = np.flatnonzero(wanted & (catalogue.zone.codes == zone))
        if len(rows):
            return int(rows[0])
    near = suggestion(key.instance_type, catalogue.instance_type.names)
    way_out = "give its vcpu, memory and usd_per_hour, or correct its name and place"
    raise InputError(
        f"{scenario.name}: {path}", f"{key} is not in the price list", f"{near} {way_out}".strip()
    )


def _stage(state_dir: Path, started: Mapping[str, Any]) -> Stage:
    offers = {}
    for kept in started["offers"]:
        provider, region, zone, instance_type, market = kept["key"]
        key = OfferKey(
            provider=provider,
            region=region,
            zone=zone,
            instance_type=instance_type,
            market=Market(market),
        )
        offers[key] = StagedOffer(
            key=key,
            resources=Resources(
                vcpu_milli=kept["vcpu_milli"],
                memory_bytes=kept["memory_bytes"],
                gpus=kept["gpus"],
                gpu_kind=kept["gpu_kind"],
            ),
            arch=kept["arch"],
            boot_seconds=kept["boot"],
            tells_headroom=kept["tells_headroom"],
            hazard_per_hour=kept["hazard_per_hour"],
            source=kept["source"],
            is_estimate=kept["is_estimate"],
            prices=tuple((at, Decimal(usd)) for at, usd in kept["prices"]),
            capacity=tuple((at, machines) for at, machines in kept["capacity"]),
        )
    return Stage(
        state_dir=state_dir,
        started_at=datetime.fromisoformat(started["started_at"]),
        grace_seconds=started["grace"],
        retention_seconds=started["retention"],
        nanny=started["nanny"],
        powers_off=started["power_off"],
        offers=offers,
        launches=tuple(started["launches"]),
        outages=tuple((began, lasts) for began, lasts in started["outages"]),
    )
