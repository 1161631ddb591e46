"""What `costplan doctor` finds: each check's result as a value, with the way out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from costplan.planner.market import unpriced
from costplan.planner.nodes import MachineState, Node, ProviderNode
from costplan.planner.settings import Settings
from costplan.planner.standing import ENDING, UNANSWERED, is_alive
from costplan.planner.types import Market, Offer, OfferKey, Quote
from costplan.planner.wording import counted, offer_text, span_text, usd

OK_SKEW_SECONDS = 2.0
MOST_SKEW_SECONDS = 30.0
"""So far the scheduler's clock may be from ours; AWS refuses what is signed 5 minutes off."""

_MOST_NAMED = 5
_LISTING_LAG = timedelta(minutes=2)
"""So long after a launch a cloud may not list a machine, and a daemon not have taken one in."""


class Health(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check says, in a sentence, and what to do about it. `is_refusal` where a cloud did not
    accept who we are, or what we may do."""

    area: str
    health: Health
    text: str
    remedy: str = ""
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A check: what it is of, and what finds out."""

    area: str
    run: Callable[[], Iterable[Finding]]


def ok(area: str, text: str) -> Finding:
    """All is well."""
    return Finding(area=area, health=Health.OK, text=text)


def warning(area: str, text: str, remedy: str = "") -> Finding:
    """A run works, and something should be looked at."""
    return Finding(area=area, health=Health.WARNING, text=text, remedy=remedy)


def problem(area: str, text: str, remedy: str = "") -> Finding:
    """A run does not work, or money is lost."""
    return Finding(area=area, health=Health.PROBLEM, text=text, remedy=remedy)


def not_checked(area: str, text: str, remedy: str = "") -> Finding:
    """Nothing is known of it, and why."""
    return Finding(area=area, health=Health.NOT_CHECKED, text=text, remedy=remedy)


def settled(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, where credentials are refused without what follows from just that: each area
    of which nothing else is known says once that it was not checked."""
    every = tuple(found)
    if not any(one.area == "credentials" and one.health is Health.PROBLEM for one in every):
        return every
    kept: dict[Finding, None] = {}
    for one in every:
        if one.is_refusal and one.area != "credentials":
            kept[not_checked(one.area, "the credentials are refused")] = None
        else:
            kept[one] = None
    return tuple(kept)


def clock_finding(whose: str, skew_seconds: float, within_seconds: float = 0.0) -> Finding:
    """What it means that our clock is `skew_seconds` ahead, known to `within_seconds`."""
    off = max(0.0, abs(skew_seconds) - within_seconds)
    way = "ahead of" if skew_seconds > 0 else "behind"
    text = f"our clock is {abs(skew_seconds):.0f} s {way} that of {whose}"
    remedy = "run a time service, such as chrony, here"
    if off > MOST_SKEW_SECONDS:
        return problem("clock", text, remedy)
    if off > OK_SKEW_SECONDS:
        return warning("clock", text, remedy)
    return ok("clock", f"within {max(1.0, OK_SKEW_SECONDS):.0f} s of that of {whose}")


def price_findings(
    offers: Sequence[Offer], quotes: Sequence[Quote], now: datetime, stale_seconds: float
) -> list[Finding]:
    """How many of the offers have a price, and how old the oldest is."""
    area, available = "prices", [offer for offer in offers if offer.available]
    if not available:
        return [problem(area, "nothing is for sale", "see zones and instance types of `provider`")]
    lacking = unpriced(available, quotes)
    priced = len(available) - len(lacking)
    if not priced:
        return [problem(area, f"none of {counted(len(available), 'offer')} has a price")]
    oldest = min(quote.observed_at for quote in quotes)
    age = span_text((now - oldest).total_seconds())
    found = [
        ok(area, f"{priced:,} of {counted(len(available), 'offer')} have one, at most {age} old")
    ]
    if (now - oldest).total_seconds() > stale_seconds:
        text = f"the oldest price is {age} old, which `cadence.prices_stale` finds too old"
        found.append(warning(area, text, "see its source"))
    if lacking:
        text = f"{counted(len(lacking), 'offer')} without a price, such as {offer_text(lacking[0])}"
        found.append(warning(area, text, "they are not bought; leave them out to silence this"))
    return found


def machine_findings(
    listed: Sequence[ProviderNode],
    known: Collection[Node] | None,
    prices: Mapping[OfferKey, Decimal],
    *,
    is_driven: bool,
    now: datetime,
) -> list[Finding]:
    """Machines that the store does not know, and nodes that the cloud does not list. `known` is
    None where there is no store; `is_driven` where a daemon runs."""
    there = {one.provider_id: one for one in listed if one.state is not MachineState.ENDED}
    nodes = [node for node in known or () if is_alive(node)]
    ours = {node.provider_id for node in nodes}
    tokens = {node.request.token for node in nodes}
    strange = [
        one for one in there.values() if one.provider_id not in ours and one.token not in tokens
    ]
    gone = [
        node
        for node in nodes
        if node.phase not in (*UNANSWERED, *ENDING)
        and node.provider_id not in there
        and now - node.phase_since > _LISTING_LAG
    ]
    found = [_orphans(strange, prices, is_driven=is_driven)] if strange else []
    if gone:
        names = _some([node.node_id for node in gone])
        text = f"{counted(len(gone), 'node')} of the store that no cloud lists: {names}"
        way_out = "the daemon looks again and marks it" if is_driven else "`costplan run` marks it"
        found.append(warning("machines", text, f"{way_out} as lost"))
    if not found:
        rate = _rate(there.values(), prices)
        text = f"{counted(len(there), 'machine')} with the cluster's tag{rate}"
        found.append(ok("machines", f"{text}, all known to the store" if there else text))
    return found


def _orphans(
    strange: Sequence[ProviderNode], prices: Mapping[OfferKey, Decimal], *, is_driven: bool
) -> Finding:
    names = _some([f"{one.provider_id} ({offer_text(one.key)})" for one in strange])
    text = f"{counted(len(strange), 'machine')} with the cluster's tag that the store does not know"
    text += f"{_rate(strange, prices)}: {names}"
    if is_driven:
        return warning("machines", text, "the daemon takes them in at its next look")
    way_out = "`costplan run` takes them in, and `costplan down` ends them then"
    return problem("machines", text, way_out)


def _rate(machines: Iterable[ProviderNode], prices: Mapping[OfferKey, Decimal]) -> str:
    """', $0.12/h', and of how many the price is not known; nothing for no machines."""
    keys = [one.key for one in machines]
    known = [prices[key] for key in keys if key in prices]
    total = f", {usd(sum(known, Decimal(0)))}/h" if known else ""
    lacking = len(keys) - len(known)
    return f"{total}, {lacking:,} at a price that is not known" if lacking else total


def _some(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(sorted(names)[:_MOST_NAMED]) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A quota of an account: how much of `unit` it may have, has, and has in our machines."""

    name: str
    unit: str
    limit: float
    used: float
    ours: float

    @property
    def room(self) -> float:
        """What our fleet may have of it, what it has included."""
        return max(0.0, self.limit - self.used + self.ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the configuration asks for in `unit`: always, and at most (None: no limit)."""

    unit: str
    floor: float
    ceiling: float | None


def wanted_of(settings: Settings) -> tuple[Wanted, ...]:
    """vCPU and GPUs of all kinds' minimum and maximum."""
    return tuple(
        Wanted(
            unit=unit,
            floor=sum(kind.minimum * each for kind, each in amounts),
            ceiling=None
            if any(kind.maximum is None and each for kind, each in amounts)
            else sum((kind.maximum or 0) * each for kind, each in amounts),
        )
        for unit, amounts in (
            ("vCPU", [(kind, kind.need.vcpu_milli / 1000) for kind in settings.kinds]),
            ("GPU", [(kind, float(kind.need.gpus)) for kind in settings.kinds]),
        )
    )


def quota_findings(allowed: Sequence[Allowance], wanted: Sequence[Wanted]) -> list[Finding]:
    """Whether what is asked for is within what the account may have, all quotas together."""
    area, found = "quotas", []
    remedy = "ask the cloud for more, or name other machines or markets"
    by_unit: dict[str, list[Allowance]] = defaultdict(list)
    for one in sorted(allowed, key=lambda one: one.name):
        by_unit[one.unit].append(one)
    for want in wanted:
        quotas = by_unit[want.unit]
        if not quotas or not (want.floor or want.ceiling is None or want.ceiling):
            continue
        used = "; ".join(f"{one.used:,g} of {one.limit:,g} {one.name}" for one in quotas)
        room = sum(one.room for one in quotas)
        text = f"{want.unit} used: {used}"
        if room < want.floor:
            text = f"the fleet's minimum needs {want.floor:,g} {want.unit}, and there is room "
            text += f"for {room:,g} ({used})"
            found.append(problem(area, text, remedy))
        elif not room:
            found.append(problem(area, f"no room for any machine ({text})", remedy))
        elif want.ceiling is not None and room < want.ceiling:
            text = f"the fleet may grow to {want.ceiling:,g} {want.unit}, and there is room for "
            text += f"{room:,g} ({used})"
            found.append(warning(area, text, remedy))
        else:
            found.append(ok(area, text))
    return found or [not_checked(area, "none was read that the configured machines fall under")]


def markets_of(offers: Iterable[Offer], allow: Collection[Market]) -> tuple[Offer, ...]:
    """The offers of markets that may be bought in."""
    return tuple(offer for offer in offers if offer.key.market in allow)


def permission_findings(
    what: str,
    allowed: Sequence[str],
    refused: Sequence[str],
    unclear: Sequence[str],
    *,
    dispensable: Collection[str] = (),
) -> list[Finding]:
    """What may be called, what may not, and what nobody can say without doing it. Without the
    `dispensable` ones a daemon works."""
    area, found = "permissions", []
    remedy = "give the daemon's role the permissions in docs/clouds/"
    needed = [name for name in refused if name not in dispensable]
    spared = [name for name in refused if name in dispensable]
    if needed:
        text = f"{what} refused: {', '.join(needed)}"
        found.append(replace(problem(area, text, remedy), is_refusal=not allowed))
    if spared:
        text = f"{what} refused, without which less is known: {', '.join(spared)}"
        found.append(replace(warning(area, text, remedy), is_refusal=not allowed))
    if allowed and not refused:
        found.append(ok(area, f"{what}: all {len(allowed)} granted"))
    if unclear:
        found.append(not_checked(area, f"{what}: {'; '.join(unclear)}"))
    return found
