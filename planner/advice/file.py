"""Files of demand as values, and what they leave to a price list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.advice.cover import parts_of
from costplan.planner.advice.file_models import DemandFileSection, DemandSection, OfferSection
from costplan.planner.advice.tables import pools_of
from costplan.planner.advice.types import Line, Offer
from costplan.planner.commitments.file import mapping_of, refuse, section_of, twice
from costplan.planner.commitments.file_values import commitment_of, product_of
from costplan.planner.commitments.sizes import family_of
from costplan.planner.commitments.values import (
    PROVIDERS,
    SPEND_KINDS,
    Commitment,
    Kind,
    Product,
)
from costplan.planner.errors import InputError
from costplan.planner.types import Market

GUIDE = "docs/commitments.md"

PriceOf = Callable[[Product, Market], Fraction | None]
"""The price of an hour of a machine in a price list, None where it has none."""

_TERMS = (("1y", Market.COMMITMENT_1Y), ("3y", Market.COMMITMENT_3Y))
_PLAN_OF = {"aws": Kind.COMPUTE_SP, "azure": Kind.AZURE_SAVINGS_PLAN}
"""What a committed price of a list is a rate of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What was used, what is for sale, and what the file says is held."""

    start: datetime
    lines: tuple[Line, ...]
    offers: tuple[Offer, ...]
    held: tuple[Commitment, ...] = ()


def parse_demand(text: str, name: str, price_of: PriceOf | None = None) -> Demand:
    """The demand that YAML or JSON text describes, with prices of a list where it gives none.

    Raises InputError that lists every problem found.
    """
    file = section_of(DemandFileSection, mapping_of(text, name), name)
    refuse(name, [
        *twice("usage", [each.id for each in file.usage]),
        *twice("commitments", [each.id for each in file.commitments]),
        *twice("offers", [each.id for each in file.offers if each.id]),
        *_uneven(file.usage),
    ])  # fmt: skip
    refuse(name, _unpriced(file.usage, price_of))
    lines = tuple(_line(each, price_of) for each in file.usage)
    offers = tuple(_offer(each, place) for place, each in enumerate(file.offers))
    by_id = {offer.offer_id: section for offer, section in zip(offers, file.offers, strict=True)}
    for offer in offers:
        lines = tuple(_discounted(line, offer, by_id[offer.offer_id]) for line in lines)
    if price_of is not None:
        lines, more = priced(lines, price_of)
        known = {each.offer_id for each in offers}
        offers += tuple(each for each in more if each.offer_id not in known)
    held = tuple(map(commitment_of, file.commitments))
    return Demand(start=file.start, lines=lines, offers=offers, held=held)


def priced(lines: Sequence[Line], price_of: PriceOf) -> tuple[tuple[Line, ...], tuple[Offer, ...]]:
    """The lines with the committed prices of a list, and what that offers: on AWS and Azure they
    are rates of plans, on Google Cloud prices of commitments of a machine's resources."""
    done: list[Line] = []
    offers: dict[str, Offer] = {}
    for line in lines:
        rates = dict(line.rates)
        for term, market in _TERMS:
            usd = price_of(line.product, market)
            if usd is None:
                continue
            provider = line.product.provider
            plan = _PLAN_OF.get(provider)
            if plan is not None:
                rates.setdefault(f"{plan}_{term}", usd)
                offer = Offer(
                    offer_id=f"{plan}-{term}",
                    kind=plan,
                    product=Product(provider=provider),
                    term=term,
                )
            elif line.product.resource in ("", line.product.instance_type):
                offer = _resource_offer(line.product, term, usd)
            else:
                continue
            offers.setdefault(offer.offer_id, offer)
        product = line.product
        if product.provider == "gcp" and not product.resource:
            product = replace(product, resource=product.instance_type)
        done.append(replace(line, product=product, rates=MappingProxyType(rates)))
    return tuple(done), tuple(offers.values())


def without_cover(lines: Sequence[Line], offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """Offers that cover none of the usage."""
    parts = parts_of(lines)
    return tuple(offer for offer in offers if not pools_of(parts, (offer,)))


def _resource_offer(product: Product, term: str, usd: Fraction) -> Offer:
    return Offer(
        offer_id=f"{product.instance_type}-{product.region}-{term}",
        kind=Kind.RESOURCE_CUD,
        product=Product(
            provider="gcp",
            region=product.region,
            machine_series=product.machine_series,
            resource=product.instance_type,
        ),
        term=term,
        usd_per_hour=usd,
    )


def _uneven(usage: Sequence[DemandSection]) -> Iterator[tuple[str, str, str]]:
    first = len(usage[0].hours)
    for place, each in enumerate(usage):
        if len(each.hours) != first:
            said = f"has {len(each.hours):,} hours where usage[0] has {first:,}"
            yield f"usage[{place}].hours", said, "give all lines the same hours"


def _unpriced(
    usage: Sequence[DemandSection], price_of: PriceOf | None
) -> Iterator[tuple[str, str, str]]:
    for place, each in enumerate(usage):
        if each.on_demand_usd is None:
            product = product_of(each)
            if price_of is None:
                yield f"usage[{place}]", "has no price", "add on_demand_usd, or give --prices FILE"
            elif price_of(product, Market.ON_DEMAND) is None:
                what = f"{product.instance_type or product.resource} in {product.region}"
                said = f"the price list has no on-demand price of {what}"
                yield f"usage[{place}]", said, "add on_demand_usd"
        if each.spot_share and each.spot_usd is None:
            known = price_of and price_of(product_of(each), Market.SPOT)
            if not known:
                yield f"usage[{place}]", "has spot_share, but no price of it", "add spot_usd"


def _line(section: DemandSection, price_of: PriceOf | None) -> Line:
    product = product_of(section)

    def usd(said: object, market: Market) -> Fraction | None:
        if said is not None:
            return Fraction(str(said))
        return price_of(product, market) if price_of else None

    return Line(
        usage_id=section.id,
        product=product,
        hours=section.hours,
        usd_per_unit=usd(section.on_demand_usd, Market.ON_DEMAND) or Fraction(0),
        rates=MappingProxyType({name: Fraction(rate) for name, rate in section.rates.items()}),
        spot_usd=usd(section.spot_usd, Market.SPOT) if section.spot_share else None,
        spot_share=section.spot_share,
    )


def _offer(section: OfferSection, place: int) -> Offer:
    kind = Kind(section.kind)
    provider = PROVIDERS.get(kind, "aws")
    of_machines = kind in (Kind.REGIONAL_RI, Kind.AZURE_RESERVATION)
    service = {"aws": "ec2", "azure": "virtual-machines"}.get(provider, "") if of_machines else ""
    what = section.instance_type or section.resource or section.family or str(kind)
    return Offer(
        offer_id=section.id or f"{what}-{section.term}-{section.payment}-{place}",
        kind=kind,
        product=Product(
            provider=provider,
            service=section.service or service,
            region=section.region or "",
            family=section.family or "",
            instance_type=section.instance_type or "",
            os=section.os,
            tenancy=section.tenancy,
            machine_series=section.machine_series or "",
            resource=section.resource or "",
            size_group=(section.size_group or "") if section.size_flexible else "",
            size_ratio=None if section.size_ratio is None else Fraction(section.size_ratio),
        ),
        term=section.term,
        payment=section.payment,
        usd_per_hour=Fraction(section.usd_per_hour or 0),
        upfront_usd=Fraction(section.upfront_usd or 0),
    )


def _discounted(line: Line, offer: Offer, section: OfferSection) -> Line:
    """The line with the rate that an offer's discount means, where it has none."""
    rates: Mapping[str, Fraction] = line.rates
    is_sellers = PROVIDERS.get(offer.kind, "aws") == line.product.provider
    if section.discount is None or offer.kind not in SPEND_KINDS or not is_sellers:
        return line
    name = f"{offer.kind}_{offer.term}"
    is_of_family = offer.kind is not Kind.EC2_INSTANCE_SP or (
        (family_of(line.product), line.product.region)
        == (offer.product.family, offer.product.region)
    )
    if name in rates or str(offer.kind) in rates or not is_of_family:
        return line
    rate = line.usd_per_unit * (1 - Fraction(section.discount))
    return replace(line, rates=MappingProxyType({**rates, name: rate}))


def check_length(lines: Sequence[Line], least_hours: int, name: str) -> None:
    """Returns where there are hours enough to draw scenarios from; raises InputError otherwise."""
    hours = len(lines[0].hours)
    if hours < least_hours:
        raise InputError(
            name,
            f"has {hours:,} hours of demand, too few to foretell from",
            f"give {least_hours} at least; a few months are better",
        )
