"""`costplan commitments advise` and `renewals`: what to buy ahead, and what to let go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costplan.cli.errors import check_word, note

if TYPE_CHECKING:
    from datetime import datetime

    from costplan.planner.advice.file import Demand
    from costplan.planner.advice.types import Question, Settings

FORMATS = ("table", "json")
_MOST_BYTES = 256 * 2**20
_MOST_SCENARIOS = 10_000
_HOURS = 3600

DemandFile = Annotated[
    Path | None,
    typer.Option("--demand", metavar="FILE", help="What was used each hour, and what is for sale."),
]
StoreFile = Annotated[
    Path | None,
    typer.Option("--store", metavar="PATH", help="What a cluster's store recorded, instead."),
]
HeldFile = Annotated[
    Path | None,
    typer.Option("--commitments", metavar="FILE", help="What is held, in YAML or JSON."),
]
PricesFile = Annotated[
    Path | None,
    typer.Option("--prices", metavar="FILE", help="Prices, also of commitments (docs/prices.md)."),
]
Horizon = Annotated[
    str, typer.Option("--horizon", metavar="DURATION", help="How far to look: 1y, 90d.")
]
Risk = Annotated[
    float,
    typer.Option("--risk", metavar="SHARE", help="The bad end: the dearest 1 - SHARE of futures."),
]
RiskWeight = Annotated[
    float, typer.Option("--risk-weight", metavar="W", help="How much the bad end counts.")
]
After = Annotated[
    float,
    typer.Option(
        "--after-horizon",
        metavar="SHARE",
        help="Of the demand, what goes on after the horizon, where a term is longer.",
    ),
]
Scenarios = Annotated[int, typer.Option("--scenarios", metavar="N", help="Futures to draw.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Draws others.")]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="A Dask cluster of yours to run it on."),
]
Output = Annotated[str, typer.Option("--format", help="table or json.")]


def advise(  # noqa: PLR0913, PLR0917 - one parameter a flag
    demand: DemandFile = None,
    store: StoreFile = None,
    commitments: HeldFile = None,
    prices: PricesFile = None,
    horizon: Horizon = "1y",
    budget_upfront: Annotated[
        float | None,
        typer.Option("--budget-upfront", metavar="USD", help="What may be paid at once."),
    ] = None,
    budget_monthly: Annotated[
        float | None,
        typer.Option("--budget-monthly", metavar="USD", help="What may be paid each month."),
    ] = None,
    risk: Risk = 0.9,
    risk_weight: RiskWeight = 0.5,
    after_horizon: After = 0.5,
    scenarios: Scenarios = 200,
    seed: Seed = 0,
    scheduler: Scheduler = None,
    output: Output = "table",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the frontier.")
    ] = None,
) -> None:
    """Say which commitments to buy, what that saves and risks, and when to buy nothing."""
    from costplan.adapters.clock import utc_now
    from costplan.cli.advise_run import mapper, progress
    from costplan.cli.advise_view import advice_text, advice_view
    from costplan.cli.out_file import check_out, write_out
    from costplan.cli.render import terminal_text, write
    from costplan.planner.advice.advise import advise as advised

    check_word("--format", output, FORMATS)
    if html is not None:
        check_out(html, "--html")
    settings = _settings(
        horizon,
        risk=risk,
        risk_weight=risk_weight,
        after_horizon=after_horizon,
        scenarios=scenarios,
        seed=seed,
        upfront_usd=budget_upfront,
        usd_per_month=budget_monthly,
    )
    now = utc_now()
    question = _question(demand, store, commitments, prices, settings, now)
    with mapper(scenarios, scheduler) as mapped, progress(mapped) as (counted, tell):
        made = advised(question, counted, tell)
    if html is not None:
        from costplan.cli.advise_page import page_text

        write_out(html, page_text(made), "--html")
        note(f"written to {html}")
    write(advice_text(made) + "\n" if output == "json" else terminal_text(advice_view(made)))


def renewals(  # noqa: PLR0913, PLR0917 - one parameter a flag
    demand: DemandFile = None,
    store: StoreFile = None,
    commitments: HeldFile = None,
    prices: PricesFile = None,
    ending: Annotated[
        str,
        typer.Option("--ending", metavar="DURATION", help="Which ones: those that end so soon."),
    ] = "90d",
    horizon: Horizon = "1y",
    risk: Risk = 0.9,
    risk_weight: RiskWeight = 0.5,
    scenarios: Scenarios = 200,
    seed: Seed = 0,
    scheduler: Scheduler = None,
    output: Output = "table",
) -> None:
    """Say what ends soon, what its loss would cost, and how much of it to let go."""
    from datetime import timedelta

    from costplan.adapters.clock import utc_now
    from costplan.cli.advise_run import mapper, progress
    from costplan.cli.advise_view import renewals_text, renewals_view
    from costplan.cli.render import terminal_text, write
    from costplan.planner.advice.renewals import renewals as ends
    from costplan.planner.errors import InputError

    check_word("--format", output, FORMATS)
    within = timedelta(hours=_hours("--ending", ending))
    settings = _settings(
        horizon,
        risk=risk,
        risk_weight=risk_weight,
        after_horizon=1.0,
        scenarios=scenarios,
        seed=seed,
    )
    if within > timedelta(hours=settings.horizon_hours):
        raise InputError(f"--ending {ending}", "is after the horizon", f"at most {horizon}")
    now = utc_now()
    question = _question(demand, store, commitments, prices, settings, now)
    if not question.held:
        raise InputError("renewals", "there is nothing held", "name it: --commitments FILE")
    with mapper(scenarios, scheduler) as mapped, progress(mapped) as (counted, tell):
        found = ends(question, within, counted, tell)
    if output == "json":
        write(renewals_text(found, question, within) + "\n")
    else:
        write(terminal_text(renewals_view(found, question, within)))


_RANGES: dict[str, tuple[str, float, float, str]] = {
    "horizon_hours": ("--horizon", 24, 3 * 8760, "from 1d to 3y"),
    "risk": ("--risk", 0, 0.999, "from 0 to 0.999, such as 0.9"),
    "risk_weight": ("--risk-weight", 0, 1000, "from 0 to 1000"),
    "after_horizon": ("--after-horizon", 0, 1, "from 0 to 1"),
    "scenarios": ("--scenarios", 1, _MOST_SCENARIOS, f"from 1 to {_MOST_SCENARIOS:,}"),
    "seed": ("--seed", 0, 2**63, "0 or more"),
    "upfront_usd": ("--budget-upfront", 0, 1e12, "dollars, 0 or more"),
    "usd_per_month": ("--budget-monthly", 0, 1e12, "dollars, 0 or more"),
}


def _settings(horizon: str, **numbers: Any) -> Settings:
    """The settings of the options; raises InputError for one that is out of range."""
    from fractions import Fraction

    from costplan.planner.advice.types import Settings
    from costplan.planner.errors import InputError

    numbers["horizon_hours"] = _hours("--horizon", horizon)
    for name, value in numbers.items():
        option, least, most, known = _RANGES[name]
        if value is not None and not least <= value <= most:
            said = horizon if name == "horizon_hours" else value
            raise InputError(f"{option} {said}", "is out of range", f"write {known}")
    for name in ("upfront_usd", "usd_per_month"):
        if numbers.get(name) is not None:
            numbers[name] = Fraction(repr(numbers[name]))
    return Settings(**numbers)


def _hours(option: str, text: str) -> int:
    """The hours of a duration, of which '1y' is 365 days; raises InputError."""
    from costplan.planner.errors import InputError
    from costplan.planner.units import parse_seconds

    years = text.strip().removesuffix("y")
    try:
        if text.strip().endswith("y") and years.isdigit():
            return int(years) * 8760
        return parse_seconds(text) // _HOURS
    except ValueError as error:
        raise InputError(option, str(error)) from error


def _question(
    demand: Path | None,
    store: Path | None,
    commitments: Path | None,
    prices: Path | None,
    settings: Settings,
    now: datetime,
) -> Question:
    """What is asked, from the files and the store; raises InputError where they are wrong."""
    from costplan.adapters.text_file import read_text
    from costplan.planner.advice.file import GUIDE, check_length, without_cover
    from costplan.planner.advice.scenarios import LEAST_HOURS
    from costplan.planner.advice.types import Question
    from costplan.planner.commitments.file import parse_commitments
    from costplan.planner.errors import InputError

    if (demand is None) == (store is None):
        given = "say both what was used" if demand is not None else "has no demand to go by"
        subject = "--demand and --store" if demand is not None else "--demand"
        raise InputError(subject, given, "give one: --demand FILE or --store costplan.db")
    found = _from_file(demand, prices, now) if demand else _from_store(store, prices, now)
    name = str(demand or store)
    check_length(found.lines, LEAST_HOURS, name)
    held = found.held
    if commitments is not None:
        text = read_text(commitments, absent=f"see {GUIDE} for an example")
        held += parse_commitments(text, str(commitments))
    names = [each.commitment_id for each in held]
    for each in names:
        if names.count(each) > 1:
            raise InputError(f"{commitments}: {each}", f"is also in {name}", "keep one of them")
    if not found.offers and not held:
        note(
            "note: nothing is for sale; list offers in the file, or give --prices with commitments"
        )
    for offer in without_cover(found.lines, found.offers):
        note(f"note: the offer {offer.offer_id} covers none of the usage")
    return Question(lines=found.lines, offers=found.offers, settings=settings, now=now, held=held)


def _from_file(path: Path, prices: Path | None, now: datetime) -> Demand:
    from costplan.adapters.text_file import read_text
    from costplan.planner.advice.file import GUIDE, parse_demand

    text = read_text(path, absent=f"see {GUIDE} for an example", most_bytes=_MOST_BYTES)
    if prices is None:
        return parse_demand(text, str(path))
    from costplan.cli.price_source import read_prices
    from costplan.planner.advice.kinds import ListedPrices

    listed = ListedPrices(read_prices(prices, now=now).catalogue)
    return parse_demand(text, str(path), listed)


def _from_store(path: Path | None, prices: Path | None, now: datetime) -> Demand:
    from costplan.cli.cluster_store import opened
    from costplan.cli.price_source import read_prices
    from costplan.planner.advice.kinds import ListedPrices, recorded_demand
    from costplan.planner.errors import InputError

    catalogue = read_prices(prices, now=now).catalogue
    with opened(None, path, read_only=True) as there:
        settings = there.settings()
        if settings is None:
            raise InputError(
                str(path), "nothing of demand was recorded yet", "`costplan run` records it"
            )
        parts = there.store.demand(settings.cluster)
        return recorded_demand(parts, settings, catalogue, ListedPrices(catalogue), str(path))
