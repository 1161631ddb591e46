"""Offers with their quotes as a catalogue: what the market is at the moment of a tick."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import MARKETS, Catalogue, Labels
from costplan.planner.types import Offer, OfferKey, Quote
from costplan.planner.units import pico_from_usd

_ORDER = attrgetter("provider", "region", "zone", "instance_type", "market")
"""The order of keys; that of their fields compares a good deal faster."""


def priced_offers(
    offers: Sequence[Offer], quotes: Sequence[Quote]
) -> tuple[tuple[Offer, Quote], ...]:
    """The offers that are available and have a quote, in the order of their keys."""
    priced = {quote.key: quote for quote in quotes}
    rows = ((o, priced[o.key]) for o in offers if o.available and o.key in priced)
    return tuple(sorted(rows, key=lambda row: _ORDER(row[0].key)))


def catalogue_of(rows: Sequence[tuple[Offer, Quote]]) -> Catalogue:
    """A catalogue of these rows, in their order."""
    keys = [offer.key for offer, _ in rows]
    sizes = [offer.resources for offer, _ in rows]
    hazards = [np.nan if q.hazard_per_hour is None else q.hazard_per_hour for _, q in rows]
    return Catalogue(
        provider=_labels([key.provider for key in keys]),
        region=_labels([key.region for key in keys]),
        zone=_labels([key.zone for key in keys]),
        instance_type=_labels([key.instance_type for key in keys]),
        market=np.array([MARKETS.index(key.market) for key in keys], dtype=np.int8),
        arch=_labels([offer.arch for offer, _ in rows]),
        vcpu_milli=_integers([size.vcpu_milli for size in sizes]),
        memory_bytes=_integers([size.memory_bytes for size in sizes]),
        gpus=_integers([size.gpus for size in sizes]),
        gpu_kind=_labels([size.gpu_kind or "" for size in sizes]),
        price_pico=_integers([pico_from_usd(quote.usd_per_hour) for _, quote in rows]),
        hazard_per_hour=np.array(hazards, dtype=np.float64),
        observed_at=_integers([int(quote.observed_at.timestamp()) for _, quote in rows]),
        source=_labels([quote.source for _, quote in rows]),
        is_estimate=np.array([quote.is_estimate for _, quote in rows], dtype=np.bool_),
    )


def buyable(
    offers: Sequence[Offer], refused: Mapping[str, datetime], now: datetime
) -> tuple[Offer, ...]:
    """Offers that may be asked for: available, with room, and not refused a moment ago."""
    return tuple(
        offer
        for offer in offers
        if offer.available and offer.headroom != 0 and refused.get(str(offer.key), now) <= now
    )


def unpriced(offers: Sequence[Offer], quotes: Sequence[Quote]) -> tuple[OfferKey, ...]:
    """Offers that could be bought if anyone knew for how much."""
    known: Collection[OfferKey] = {quote.key for quote in quotes}
    return tuple(sorted(o.key for o in offers if o.available and o.key not in known))


def _labels(values: Sequence[str]) -> Labels:
    names = tuple(sorted(set(values) - {""}))
    place = {name: code for code, name in enumerate(names)}
    return Labels(np.array([place.get(value, -1) for value in values], dtype=np.int32), names)


def _integers(values: Sequence[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)
