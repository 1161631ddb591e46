"""Why the money is not what the plans expected, asked of the cells of a book."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from costplan.adapters.finance.book import Book, decimal_of, naive
from costplan.planner.finance.statement import Period
from costplan.planner.finance.variance import Amount, Apart, Offer, Variance, variance
from costplan.planner.units import rounded_usd

_HOUR = Decimal(3_600_000_000)
_OFFER = "provider, region, instance_type, market"


def planned_since(book: Book, period: Period) -> datetime | None:
    """When the plans of a period begin, not before it; None where the book has none."""
    if not book.has("plans"):
        return None
    first = book.rows(
        "SELECT min(start_at) FROM plans WHERE end_at > ? AND start_at < ?",
        naive(period.start), naive(period.until),
    )[0][0]  # fmt: skip
    return None if first is None else max(first.replace(tzinfo=UTC), period.start)


def ask_variance(
    book: Book,
    period: Period,
    since: datetime | None,
    total_usd: Decimal,
    actual_usd: Decimal | None,
) -> Variance:
    """The causes, for the time from the first plan on."""
    machines_usd = decimal_of(
        book.rows("SELECT sum(effective_usd) FROM costs WHERE is_mine AND charge = 'machine'")[0][0]
    )
    if since is None:
        return Variance(metered_usd=total_usd, actual_usd=actual_usd, machines_usd=machines_usd)
    metered, commitment, interruption = book.rows(
        """SELECT sum(effective_usd),
        sum(CASE WHEN charge = 'commitment' AND kind <> 'credit' THEN effective_usd
            WHEN commitment_status = 'used' AND purpose <> 'recompute' AND kind <> 'credit'
            THEN effective_usd - coalesce(on_demand_usd, effective_usd) ELSE 0 END),
        sum(CASE WHEN kind = 'credit' OR (purpose = 'recompute' AND charge <> 'commitment')
            THEN effective_usd ELSE 0 END)
        FROM costs WHERE is_mine AND is_planned"""
    )[0]
    metered_usd = decimal_of(metered)
    found = variance(
        _planned(book, period, since),
        _metered(book),
        told_apart=Apart(
            metered_usd=metered_usd,
            commitment_usd=decimal_of(commitment),
            interruption_usd=decimal_of(interruption),
        ),
        since=since,
        before_usd=total_usd - metered_usd,
    )
    return replace(found, actual_usd=actual_usd, machines_usd=machines_usd)


def _planned(book: Book, period: Period, since: datetime) -> dict[Offer, Amount]:
    rows = book.rows(
        f"""SELECT {_OFFER}, vcpu, usd_per_hour, sum(nodes *
            (epoch_us(least(end_at, ?2)) - epoch_us(greatest(start_at, ?1))))::HUGEINT
        FROM plans WHERE end_at > ?1 AND start_at < ?2 AND nodes > 0 GROUP BY ALL ORDER BY ALL""",  # noqa: S608 - ours
        naive(since), naive(period.until),
    )  # fmt: skip
    found: dict[Offer, Amount] = {}
    for *offer, vcpu, rate, micros in rows:
        hours = Decimal(micros) / _HOUR
        before = found.get(tuple(offer), Amount(vcpu_hours=Decimal(0), usd=Decimal(0)))
        usd = rounded_usd(rate * Decimal(micros) / _HOUR)
        found[tuple(offer)] = Amount(
            vcpu_hours=before.vcpu_hours + hours * vcpu, usd=before.usd + usd
        )
    return found


def _metered(book: Book) -> dict[Offer, Amount]:
    """Machines with their disks and addresses, at on-demand prices where a commitment covered
    them, and without what ran again."""
    rows = book.rows(
        f"""SELECT {_OFFER}, sum(node_micros * vcpu),
        sum(CASE WHEN commitment_status = 'used' THEN coalesce(on_demand_usd, effective_usd)
            ELSE effective_usd END)
        FROM costs WHERE is_mine AND is_planned AND charge <> 'commitment'
        AND purpose <> 'recompute' AND kind <> 'credit'
        GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - ours
    )
    return {
        tuple(offer): Amount(vcpu_hours=decimal_of(micros) / _HOUR, usd=decimal_of(usd))
        for *offer, micros, usd in rows
    }
