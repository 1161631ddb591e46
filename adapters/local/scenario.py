"""A scenario file: which machines a local provider sells, and what befalls them when.

Text comes in, a `Scenario` or every problem of the file in one error goes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError

from costplan.adapters.local import scenario_models as models
from costplan.adapters.local.scenario_models import Aimed, OfferSection, ScenarioSection
from costplan.adapters.text_file import read_text
from costplan.planner.config_fields import shown, suggestion
from costplan.planner.config_problems import Grammar, problem, raise_all
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.errors import InputError
from costplan.planner.types import OfferKey

_GUIDE = "docs/local-provider.md"
_GRAMMAR = Grammar(
    sections={
        "": models.ScenarioSection,
        "place": models.PlaceSection,
        "offers": models.OfferSection,
        "prices": models.PriceSection,
        "capacity": models.CapacitySection,
        "interruptions": models.InterruptionSection,
        "launches": models.LaunchSection,
        "outages": models.OutageSection,
        "traces": models.TraceSection,
    },
    examples={
        "scenario": "scenario: two-interruptions",
        "offers": "offers: [{type: m5.large, markets: [on_demand, spot]}]",
        "offers.type": "type: m5.large",
        "prices.at": "at: 30",
        "prices.offer": "offer: m5.large/spot",
        "capacity.at": "at: 30",
        "capacity.offer": "offer: m5.large/spot",
        "capacity.machines": "machines: 2",
        "interruptions.at": "at: 30",
        "launches.launch": "launch: 2",
        "outages.at": "at: 30",
        "outages.seconds": "seconds: 10",
        "traces.offer": "offer: m5.large/spot",
        "traces.file": "file: spot_availability_traces.parquet",
        "traces.trace": "trace: the id of one of its traces",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario as its file says it; `digest` is of what it says, `folder` is the file's."""

    name: str
    section: ScenarioSection
    digest: str
    folder: Path

    @property
    def keys(self) -> tuple[OfferKey, ...]:
        """What it sells, in the file's order."""
        section = self.section
        return tuple(key for offer in section.offers for key in offer_keys(section, offer))


def offer_keys(section: ScenarioSection, offer: OfferSection) -> Iterator[OfferKey]:
    """The offers of one entry: one a market."""
    place = section.place
    zone = offer.zone if "zone" in offer.model_fields_set else place.zone
    for market in offer.markets:
        yield OfferKey(
            provider=offer.provider or place.provider,
            region=offer.region or place.region,
            zone=zone or "",
            instance_type=offer.type,
            market=market,
        )


def is_meant(pattern: str, key: OfferKey) -> bool:
    """True where a pattern such as 'm5.*/spot', or an offer's whole name, means this offer."""
    return any(fnmatchcase(name, pattern) for name in (_short(key), str(key)))


def read_scenario(path: Path) -> Scenario:
    """The scenario in a YAML file; raises InputError that names every problem of it."""
    text = read_text(path, absent="see docs/local-provider.md for an example")
    return parse_scenario(text, str(path), folder=path.parent)


def parse_scenario(text: str, name: str, *, folder: Path) -> Scenario:
    """The scenario that YAML text says; files it names are looked for in `folder`."""
    data = mapping_from_yaml(text, name, _GUIDE)
    try:
        section = ScenarioSection.model_validate(data)
    except ValidationError as error:
        raise_all(name, [problem(_GRAMMAR, name, e) for e in error.errors(include_url=False)])
    found = [InputError(f"{name}: {path}", *rest) for path, *rest in _contradictions(section)]
    if found:
        raise_all(name, found)
    digest = hashlib.sha256(section.model_dump_json().encode()).hexdigest()
    return Scenario(name=name, section=section, digest=digest, folder=folder)


def _short(key: OfferKey) -> str:
    return f"{key.instance_type}/{key.market}"


def _contradictions(section: ScenarioSection) -> Iterator[tuple[str, str, str]]:
    """Path, problem and way out of what each key allows and all keys together do not."""
    first: dict[OfferKey, int] = {}
    for place, offer in enumerate(section.offers):
        path = f"offers[{place}]"
        for key in offer_keys(section, offer):
            if key in first:
                yield path, f"{key} is also offers[{first[key]}]", "keep one, or change its zone"
            first.setdefault(key, place)
        if offer.gpu_kind is not None and offer.gpus is None:
            yield f"{path}.gpu_kind", "a kind without GPUs", "add gpus: 1, or drop the kind"
    names = sorted({_short(key) for key in first})
    listed: dict[str, tuple[Aimed, ...]] = {
        "prices": section.prices,
        "capacity": section.capacity,
        "interruptions": section.interruptions,
        "launches": section.launches,
        "traces": section.traces,
    }
    for what, entries in listed.items():
        for place, entry in enumerate(entries):
            # The defaults mean whatever there is, which may be nothing.
            if "offer" in entry.model_fields_set and not any(
                is_meant(entry.offer, key) for key in first
            ):
                way_out = f"{suggestion(entry.offer, names)} offers are {', '.join(names)}".strip()
                yield f"{what}[{place}].offer", f"{shown(entry.offer)} means no offer", way_out
