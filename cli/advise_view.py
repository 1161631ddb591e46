"""Advice and renewals as tables for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from costplan.cli.bill_document import quantity_text
from costplan.cli.commitments_view import covers_text, until_text
from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View
from costplan.planner.advice import online
from costplan.planner.advice.advise import Advice, Choice, Point
from costplan.planner.advice.renewals import Renewal
from costplan.planner.advice.types import Purchase, Question
from costplan.planner.commitments.bill import unit_of
from costplan.planner.units import PICO_PER_USD, usd_text
from costplan.planner.wording import counted, percent, plain

VERSION = 1


def advice_view(made: Advice) -> View:
    """What to buy, what it saves and risks, the frontier, and what others would buy."""
    settings = made.question.settings
    horizon = _days(settings.horizon_hours)
    blocks: list[Block] = [_purchases(made)] if made.uses else []
    blocks.append(Facts(tuple(_facts(made))))
    blocks += [
        Line(
            f"Cost and risk over {counted(made.frontier_scenarios, 'scenario')}, by the weight of "
            "the bad end",
            "strong",
        ),
        _frontier(made.frontier),
        Line("What others would buy, in the same scenarios", "strong"),
        _others(made),
    ]
    blocks += [Line(each, "quiet") for each in notes_of(made)]
    if made.uses:
        upfront = sum((each.upfront_usd for each in made.purchases), Fraction(0))
        monthly = sum((each.usd_per_month for each in made.purchases), Fraction(0))
        title = (
            f"Buy {counted(len(made.uses), 'commitment')}: {dollars(upfront)} now and "
            f"{dollars(monthly)} a month, to save {dollars(made.saving_usd)} over {horizon}"
        )
    else:
        is_limited = settings.upfront_usd is not None or settings.usd_per_month is not None
        offer = "offer that the budget allows" if is_limited else "offer"
        title = f"Buy nothing: no {offer} is expected to pay within {horizon}"
    return View(title=title, blocks=tuple(blocks))


def dollars(amount: float | Fraction) -> str:
    """'$1,234', '-$12.50'."""
    number = float(amount)
    digits = f"{abs(number):,.0f}" if abs(number) >= 1000 else f"{abs(number):,.2f}"
    return f"{'-' if number < 0 else ''}${digits}"


def amount_text(bought: Purchase) -> str:
    """'12', '3.250 $/h'."""
    return f"{float(bought.amount):,.3f} $/h" if bought.offer.is_plan else f"{bought.amount}"


def what_text(bought: Purchase) -> str:
    """What it covers."""
    return covers_text(bought.offer.bought(bought.amount))


def notes_of(made: Advice) -> list[str]:
    """What the figures rest on."""
    settings = made.question.settings
    hours = len(made.question.lines[0].hours)
    said = [
        f"{counted(settings.scenarios, 'scenario')} drawn from {_days(hours)} of demand; "
        f"the bad end is the mean of the dearest {percent(1 - settings.risk)}"
    ]
    if made.chosen_scenarios < settings.scenarios:
        said.append(
            f"Amounts were chosen over {made.chosen_scenarios} of the scenarios and judged over all"
        )
    if any(each.term_hours > settings.horizon_hours for each in made.question.offers):
        said.append(
            f"After the horizon {percent(settings.after_horizon)} of the demand is expected to go "
            "on; a longer term is dearer by what is then of no use"
        )
    if hours < settings.horizon_hours:
        said.append(
            f"{_days(hours)} of demand say little of {_days(settings.horizon_hours)}: "
            "seasons that were not seen are not in it"
        )
    if made.question.held:
        said.append("The break-even rule is left out: it knows of nothing that is held")
    return said


def _days(hours: int) -> str:
    return counted(round(hours / 24), "day")


def _purchases(made: Advice) -> Grid:
    columns = (
        Column(head="buy"),
        Column(head="kind", optional=True),
        Column(head="covers"),
        Column(head="term"),
        Column(head="amount", is_number=True),
        Column(head="now", is_number=True),
        Column(head="a month", is_number=True),
        Column(head="used", is_number=True),
        Column(head="pays from", is_number=True),
    )
    rows = tuple(
        (
            plain(use.purchase.offer.offer_id),
            str(use.purchase.offer.kind),
            plain(what_text(use.purchase)),
            use.purchase.offer.term,
            amount_text(use.purchase),
            dollars(use.purchase.upfront_usd),
            dollars(use.purchase.usd_per_month),
            percent(use.used_share),
            percent(use.break_even_share),
        )
        for use in made.uses
    )
    return Grid(columns=columns, rows=rows, styles=_plain_styles(rows))


def _facts(made: Advice) -> list[tuple[str, tuple[str, ...]]]:
    low, _, high = made.saving
    risk = percent(made.question.settings.risk)
    as_it_is = f"{dollars(made.nothing_usd)}, {dollars(made.nothing_tail_usd)} at the bad end"
    facts: list[tuple[str, tuple[str, ...]]] = [("as it is", (f"{as_it_is} beyond {risk}",))]
    if made.uses:
        share = made.saving_usd / made.nothing_usd if made.nothing_usd else 0.0
        halved = (
            f"costs {dollars(made.regret_usd)} more than buying nothing"
            if made.regret_usd > 0
            else f"still saves {dollars(-made.regret_usd)}"
        )
        facts += [
            ("advised", (f"{dollars(made.mean_usd)}, {dollars(made.tail_usd)} at the bad end",)),
            ("saves", (f"{dollars(made.saving_usd)} ({percent(share)}); in 8 of 10 scenarios "
                       f"{dollars(low)} to {dollars(high)}",)),
            ("half demand", (halved,)),
        ]  # fmt: skip
    return facts


def _frontier(points: Sequence[Point]) -> Grid:
    columns = (
        Column(head="weight"),
        Column(head="now", is_number=True),
        Column(head="committed $/h", is_number=True),
        Column(head="expected", is_number=True),
        Column(head="bad end", is_number=True),
    )
    rows = tuple(
        (
            "nothing" if point.risk_weight is None else f"{point.risk_weight:g}",
            dollars(sum((each.upfront_usd for each in point.purchases), Fraction(0))),
            f"{float(sum((each.usd_per_hour for each in point.purchases), Fraction(0))):.2f}",
            dollars(point.mean_usd),
            dollars(point.tail_usd),
        )
        for point in points
    )
    return Grid(columns=columns, rows=rows, styles=_plain_styles(rows))


def _others(made: Advice) -> Grid:
    columns = (
        Column(head="who"),
        Column(head="buys now", split=True),
        Column(head="expected", is_number=True),
        Column(head="advised", is_number=True),
        Column(head="never above"),
    )
    names = {"provider": "30 days back, as providers do"}
    rows = tuple(
        (
            names.get(each.name, each.name),
            _buys(each),
            dollars(each.mean_usd),
            dollars(each.advised_usd),
            f"{each.ratio:g} x optimum" if each.ratio else "",
        )
        for each in made.others
    )
    return Grid(columns=columns, rows=rows, styles=_plain_styles(rows))


def _buys(choice: Choice) -> str:
    if choice.purchases:
        bought = [f"{amount_text(each)} {plain(each.offer.offer_id)}" for each in choice.purchases]
    else:
        bought = [f"{amount:.4g} {plain(offer)} for {plain(line)}"
                  for line, offer, amount in choice.units]  # fmt: skip
    return ", ".join(bought) or "nothing"


def _plain_styles(rows: Sequence[object]) -> tuple[Style, ...]:
    plain_style: Style = "plain"
    return tuple(plain_style for _ in rows)


def advice_text(made: Advice) -> str:
    """The advice as JSON."""
    settings = made.question.settings
    low, middle, high = made.saving
    return json.dumps(
        {
            "version": VERSION,
            "horizon_hours": settings.horizon_hours,
            "scenarios": settings.scenarios,
            "seed": settings.seed,
            "risk": settings.risk,
            "risk_weight": settings.risk_weight,
            "after_horizon": settings.after_horizon,
            "buy": [
                {
                    **_bought(use.purchase),
                    "used_share": round(use.used_share, 6),
                    "break_even_share": round(use.break_even_share, 6),
                }
                for use in made.uses
            ],
            "nothing": _cost(made.nothing_usd, made.nothing_tail_usd),
            "advised": _cost(made.mean_usd, made.tail_usd),
            "saving": {
                "mean_usd": _usd(made.saving_usd),
                "p10_usd": _usd(low),
                "p50_usd": _usd(middle),
                "p90_usd": _usd(high),
            },
            "regret_at_half_demand_usd": _usd(made.regret_usd),
            "frontier": {
                "scenarios": made.frontier_scenarios,
                "points": [
                    {
                        "risk_weight": point.risk_weight,
                        "buy": [_bought(each) for each in point.purchases],
                        **_cost(point.mean_usd, point.tail_usd),
                    }
                    for point in made.frontier
                ],
            },
            "others": [_other(each) for each in made.others],
            "notes": notes_of(made),
        },
        indent=2,
    )


def _other(choice: Choice) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": choice.name,
        **_cost(choice.mean_usd, choice.tail_usd),
        "advised_usd": _usd(choice.advised_usd),
        "scenarios": choice.scenarios,
    }
    if choice.purchases is not None:
        return record | {"buy": [_bought(each) for each in choice.purchases]}
    return record | {
        "units": [
            {"usage": line, "offer": offer, "amount": round(amount, 6)}
            for line, offer, amount in choice.units
        ],
        "competitive_ratio": {
            "deterministic": online.deterministic_ratio(),
            "randomized": round(online.randomized_ratio(), 6),
        },
    }


def _cost(mean_usd: float, tail_usd: float) -> dict[str, str]:
    return {"mean_usd": _usd(mean_usd), "tail_usd": _usd(tail_usd)}


def _bought(bought: Purchase) -> dict[str, Any]:
    offer = bought.offer
    commitment = offer.bought(bought.amount)
    return {
        "offer": offer.offer_id,
        "kind": str(offer.kind),
        "covers": covers_text(commitment),
        "term": offer.term,
        "payment": offer.payment,
        "amount": quantity_text(round(bought.amount * PICO_PER_USD)),
        "unit": unit_of(commitment),
        "upfront_usd": usd_text(round(bought.upfront_usd * PICO_PER_USD)),
        "usd_per_month": usd_text(round(bought.usd_per_month * PICO_PER_USD)),
        "usd_per_hour": usd_text(round(bought.usd_per_hour * PICO_PER_USD)),
    }


def _usd(amount: float) -> str:
    return f"{amount:.2f}"


def renewals_view(found: Sequence[Renewal], question: Question, within: timedelta) -> View:
    """A row for each commitment that ends, and what to do with it."""
    days = counted(within.days, "day")
    if not found:
        return View(title=f"Nothing that has a price ends within {days}", blocks=())
    columns = (
        Column(head="commitment"),
        Column(head="covers"),
        Column(head="until"),
        Column(head="used", is_number=True),
        Column(head="loss costs", is_number=True),
        Column(head="bad end", is_number=True),
        Column(head="renew", is_number=True),
        Column(head="saves", is_number=True),
    )
    rows = tuple(
        (
            plain(each.commitment.commitment_id),
            plain(covers_text(each.commitment)),
            until_text(each.commitment, question.now),
            percent(each.used_share),
            dollars(each.loss_usd),
            dollars(each.loss_tail_usd),
            percent(float(each.keep)) if each.keep else "let go",
            dollars(each.saving_usd),
        )
        for each in found
    )
    horizon = _days(question.settings.horizon_hours)
    return View(
        title=f"{counted(len(found), 'commitment')} within {days}, judged over {horizon} from now",
        blocks=(
            Grid(columns=columns, rows=rows, styles=_plain_styles(rows)),
            Line(
                "What loss costs is net of the price that is no longer paid; below zero, letting "
                "it go saves. `advise` says whether another commitment is better than renewing",
                "quiet",
            ),
        ),
    )


def renewals_text(found: Sequence[Renewal], question: Question, within: timedelta) -> str:
    """The same as JSON."""
    return json.dumps(
        {
            "version": VERSION,
            "within_days": within.days,
            "horizon_hours": question.settings.horizon_hours,
            "renewals": [
                {
                    "id": each.commitment.commitment_id,
                    "kind": str(each.commitment.kind),
                    "covers": covers_text(each.commitment),
                    "end": f"{each.commitment.end:%Y-%m-%dT%H:%M:%SZ}",
                    "used_share": round(each.used_share, 6),
                    "loss_usd": _usd(each.loss_usd),
                    "loss_tail_usd": _usd(each.loss_tail_usd),
                    "renew_share": float(each.keep),
                    "let_go_share": float(1 - each.keep),
                    "saving_usd": _usd(each.saving_usd),
                }
                for each in found
            ],
        },
        indent=2,
    )
