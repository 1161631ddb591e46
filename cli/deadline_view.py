"""The advice on a deadline, in words."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from costplan.cli.wording import against, percent, place_text, plain, usd
from costplan.planner.deadline.types import Begin, DeadlineAdvice
from costplan.planner.plan import Recommendation
from costplan.planner.units import SECONDS_PER_HOUR, seconds_text


def deadline_lines(plan: Recommendation, advice: DeadlineAdvice) -> Iterable[str]:
    """What the job costs, what it begins on, when it leaves that, and what is taken for granted."""
    terms = advice.terms
    expected, median, high = map(usd, (advice.expected_usd, advice.median_usd, advice.high_usd))
    band = f" (half the runs at most {median}, 1 in 100 over {high})" if median != high else ""
    yield (
        f"within {seconds_text(terms.deadline_seconds)}: {expected} expected{band}; "
        f"{against(advice.expected_usd, advice.on_demand_usd)} on demand from the start, "
        f"{usd(advice.on_demand_usd)}"
    )
    if not plan.risk.spot_share:
        yield f"nothing of the fleet is spot: {_slack(advice)} may pass without work"
        return
    yield _begin(advice)
    if advice.on_demand_share < 1:
        yield from _rules(advice)
        if advice.on_demand_chance:
            yield (
                f"{percent(advice.on_demand_chance)} of runs go on demand, for "
                f"{percent(advice.on_demand_share)} of all hours that are paid for"
            )
        else:
            yield "no simulated run had to go on demand"
        others = ", ".join(
            f"{name} {usd(cost)} ({_more(cost, advice.expected_usd)})"
            for name, cost in advice.beside
        )
        yield f"other policies under the same safety net, in simulated runs: {others}"
    yield _on_demand(advice)
    yield _price(advice)
    yield f"taken for granted: {_spot(advice)}; on-demand can always be had"


def _more(cost: Decimal, expected: Decimal) -> str:
    if cost == expected:
        return "the same"
    share = f"{100 * (cost / expected - 1):+.1f} %"
    return "the same" if share in {"+0.0 %", "-0.0 %"} else share


def _on_demand(advice: DeadlineAdvice) -> str:
    """What to buy when it comes to that."""
    pools = ", ".join(
        f"{nodes} {plain(key.instance_type)} in {place_text(key)}" for key, nodes in advice.fleet
    )
    return f"on demand is {pools}: {usd(advice.terms.on_demand_usd_per_hour)}/h"


def _price(advice: DeadlineAdvice) -> str:
    """What the deadline costs beside the longest that was looked at."""
    longest, least = advice.looser[-1]
    text = "what the deadline costs:"
    if usd(least) == usd(advice.expected_usd):
        return f"{text} less than a cent; with {seconds_text(longest)} it is {usd(least)}, too"
    other = ", ".join(f"{seconds_text(time)} {usd(cost)}" for time, cost in advice.looser)
    saved = usd(advice.expected_usd - least)
    return f"{text} {saved} more than with {seconds_text(longest)}; {other}"


def _slack(advice: DeadlineAdvice) -> str:
    terms = advice.terms
    return seconds_text(terms.deadline_seconds - terms.work_seconds - terms.changeover_seconds)


def _begin(advice: DeadlineAdvice) -> str:
    terms, slack = advice.terms, _slack(advice)
    match advice.begin:
        case Begin.SPOT:
            return "begin on spot"
        case Begin.ON_DEMAND:
            if terms.spot_usd_per_hour >= terms.on_demand_usd_per_hour:
                why = "spot is no cheaper"
            elif advice.has_time_for_spot and not advice.rules.spot_slack_seconds:
                at_risk = seconds_text(advice.rules.at_risk_seconds)
                why = (
                    f"{slack} may pass without work, too little for spot that takes up to {at_risk}"
                    " of work along when it goes"
                )
            elif advice.has_time_for_spot:
                why = f"spot is lost too often to be worth it with {slack} to spare"
            else:
                why = f"{slack} may pass without work, too little for spot"
            return f"begin on demand, {usd(terms.on_demand_usd_per_hour)}/h: {why}"
        case Begin.WAIT:
            if not advice.steady_hours:
                return "begin on nothing: to wait costs less than spot or on demand do now"
            steady = seconds_text(round(advice.steady_hours * SECONDS_PER_HOUR))
            return (
                f"begin on nothing, and wait until there has been spot for {steady}: "
                "younger capacity goes sooner, and there is time"
            )


def _rules(advice: DeadlineAdvice) -> Iterable[str]:
    rules = advice.rules
    demand = usd(advice.terms.on_demand_usd_per_hour)
    wait, spot = map(seconds_text, (rules.wait_spare_seconds, rules.spot_spare_seconds))
    slack = f"{seconds_text(rules.wait_slack_seconds)} may pass without work"
    if not rules.at_risk_seconds:
        yield (
            f"on spot, and while waiting, go on demand ({demand}/h) at the latest when {wait} more "
            f"are left than the work left takes: {slack}"
        )
        return
    at_risk = seconds_text(rules.at_risk_seconds)
    yield (
        f"on spot, go on demand ({demand}/h) at the latest when {spot} more are left than the work "
        f"left takes ({wait} and the work done, while that is less than {at_risk}): "
        f"{seconds_text(rules.spot_slack_seconds)} may pass without work"
    )
    yield (
        f"while waiting, at the latest when {wait} more are left: {slack}; where spot never comes, "
        f"on demand {seconds_text(rules.wait_slack_seconds)} after the start"
    )


def _spot(advice: DeadlineAdvice) -> str:
    hazard = advice.terms.hazard_per_hour
    if not hazard:
        return "spot is never lost, as the price list says"
    days = 1 / (24 * hazard)
    if days >= 2:
        often = f"{days:.0f} days"
    elif hazard <= 1:
        often = f"{1 / hazard:.1f} h"
    else:
        often = seconds_text(max(round(SECONDS_PER_HOUR / hazard), 1))
    zones = [plain(zone) for zone in advice.terms.zones]
    if len(zones) > 1:
        where = f"spot moves as one between {len(zones)} zones ({', '.join(zones)}), each"
    else:
        where = "spot comes and goes as one, is"
    return (
        f"{where} lost every {often} and back after "
        f"{advice.away_hours:.1f} h in the mean ({plain(advice.source)})"
    )
