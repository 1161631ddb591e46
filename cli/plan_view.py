"""What `recommend` answers, in words: the plan, its price, its proof and what it leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from costplan.cli import wording
from costplan.cli.deadline_view import deadline_lines
from costplan.cli.fleet_view import diff_grid, diff_lines, fleet_grid, packing_grid
from costplan.cli.held_view import held_lines
from costplan.cli.place_view import place_lines, rate_lines
from costplan.cli.view import Block, Facts, Line, View
from costplan.cli.wording import against, counted, percent, plain, rate, rule_percent, usd
from costplan.planner.plan import Baseline, Binding, Infeasible, PricesUsed, Recommendation
from costplan.planner.types import Gap
from costplan.planner.units import memory_text, seconds_text, usd_from_pico
from costplan.planner.workload import MarketRules, Quota, Where, Workload

_MOST_GAPS = 5
_MOST_SHAPES = 6
_MOST_NOTES = 8
_UNITS = {"USD/h": "$1/h"}


def view_of(
    answer: Recommendation | Infeasible, *, explain: bool = False, notes: Sequence[str] = ()
) -> View:
    """The answer in words, whichever it is."""
    if isinstance(answer, Infeasible):
        return infeasible_view(answer, explain=explain, notes=notes)
    return plan_view(answer, explain=explain, notes=notes)


def plan_view(plan: Recommendation, *, explain: bool = False, notes: Sequence[str] = ()) -> View:
    """A plan in words; `explain` adds what is behind it, `notes` say how the demand was found."""
    workload = plan.workload
    workers = sum(shape.count for shape in workload.shapes)
    nodes = sum(pool.pool.nodes for pool in plan.pools)
    where = "" if plan.site == "anywhere" else f" in {plain(plan.site)}"
    title = f"{plain(workload.name)}: {counted(workers, 'worker')} on {counted(nodes, 'node')}"
    asked = Facts((*_asked(workload, notes), *_prices(plan.prices, plan)))
    diff = plan.diff
    blocks: list[Block] = [asked, fleet_grid(plan) if diff is None else diff_grid(plan, diff)]
    estimated = [pool.price_is_estimate for pool in plan.pools]
    estimated += [change.price_is_estimate for change in (() if diff is None else diff.changes)]
    if any(estimated):
        legend = "~ before a price: an estimate, derived and not read from a price list"
        blocks.append(Line(legend, "quiet"))
    if diff is not None:
        blocks += map(Line, diff_lines(plan, diff))
    blocks += [Line(_verdict(plan), "strong"), Facts(tuple(_behind(plan, explain=explain)))]
    if explain:
        blocks += [Line("Which workers share a node:"), packing_grid(plan)]
        blocks.append(Facts(tuple(_explained(plan))))
    return View(title=title + where, blocks=tuple(blocks))


def infeasible_view(
    answer: Infeasible, *, explain: bool = False, notes: Sequence[str] = ()
) -> View:
    """What conflicts and the smallest change that helps, one a line."""
    workload = answer.workload
    workers = sum(shape.count for shape in workload.shapes)
    blocks: list[Block] = [
        Facts((*_asked(workload, notes), *_prices(answer.prices, None))),
        Line("No fleet meets all of this:", "strong"),
        Facts(
            tuple(
                (plain(each.limit), (f"{plain(each.problem)}; {plain(each.remedy)}",))
                for each in answer.conflicts
            )
        ),
    ]
    facts = [*_left_out(answer.prices), *_unknown(answer.gaps, explain=explain)]
    if facts:
        blocks.append(Facts(tuple(facts)))
    title = f"{plain(workload.name)}: {counted(workers, 'worker')}, and no fleet for them"
    return View(title=title, blocks=tuple(blocks))


_Fact = tuple[str, tuple[str, ...]]


def _asked(workload: Workload, notes: Sequence[str]) -> Iterable[_Fact]:
    """The request as it was understood, so that a misread one is seen at once."""
    shapes = [wording.shape_text(shape) for shape in workload.shapes]
    if len(shapes) > _MOST_SHAPES:
        others = workload.shapes[_MOST_SHAPES - 1 :]
        rest = sum(shape.count for shape in others)
        shapes[_MOST_SHAPES - 1 :] = [f"{rest:,} of {len(others)} other shapes"]
    yield "workers", tuple(shapes)
    if notes:
        shown = notes if len(notes) <= _MOST_NOTES else notes[:_MOST_NOTES]
        yield "demand", tuple(map(plain, shown))
    yield "rules", ("; ".join(_rules(workload)),)
    overhead = workload.overhead
    kept = (
        f"{rule_percent(overhead.memory_share)} of a node's memory, "
        f"at least {memory_text(overhead.memory_floor_bytes)}"
    )
    if overhead.vcpu_milli:
        kept += f", and {overhead.vcpu_milli / 1000:g} vCPU"
    yield "overhead", (f"{kept}, kept for its system",)


def _rules(workload: Workload) -> Iterable[str]:
    where, machines, limits = workload.where, workload.machines, workload.limits
    if where.single_zone:
        yield "one zone"
    else:
        yield "one region" if where.single_region else "any mix of regions"
    if where.providers or where.regions:
        yield " or ".join(_clouds(where))
    if where.data is not None:
        yield f"reads {memory_text(where.data.read_bytes)} from {plain(str(where.data))}"
    yield " or ".join(map(plain, machines.arch))
    if machines.include:
        yield f"types {' or '.join(map(plain, machines.include))}"
    if machines.exclude:
        yield f"not {' or '.join(map(plain, machines.exclude))}"
    if machines.max_vcpu is not None:
        yield f"nodes of at most {machines.max_vcpu:g} vCPU"
    yield from _market_rules(workload.market)
    if limits.max_nodes is not None:
        yield f"at most {counted(limits.max_nodes, 'node')}"
    if workload.budget_pico_per_hour is not None:
        yield f"at most {usd(usd_from_pico(workload.budget_pico_per_hour))}/h"
    yield from map(_quota, limits.quotas)


def _market_rules(market: MarketRules) -> Iterable[str]:
    yield " or ".join(map(wording.market_text, market.allow))
    if market.spot_max_share < 1:
        yield f"spot at most {rule_percent(market.spot_max_share)}"
    if market.pool_max_share < 1:
        yield f"a spot pool at most {rule_percent(market.pool_max_share)}"
    if market.on_demand_base_vcpu_milli:
        base = market.on_demand_base_vcpu_milli / 1000
        yield f"at least {base:,g} vCPU not on spot"
    if market.max_hazard_per_hour is not None:
        yield f"at most {market.max_hazard_per_hour:g} interruptions per node-hour"


def _clouds(where: Where) -> Iterable[str]:
    """'aws (us-east-1, us-east-2)', or a cloud's name where all of its regions will do."""
    for name in where.providers or sorted(where.regions):
        regions = ", ".join(map(plain, where.regions.get(name, ())))
        yield plain(f"{name} ({regions})" if regions else name)


def _quota(quota: Quota) -> str:
    most = (
        counted(quota.nodes, "node")
        if quota.nodes is not None
        else f"{(quota.vcpu_milli or 0) / 1000:,g} vCPU"
    )
    market = quota.market and wording.market_text(quota.market)
    of = [quota.provider, quota.region, market, *quota.instance_types]
    return f"at most {most} of {' '.join(plain(each) for each in of if each) or 'everything'}"


def _prices(prices: PricesUsed, plan: Recommendation | None) -> Iterable[_Fact]:
    offers = f"{prices.offers_considered:,} of {prices.offers_total:,} offers considered"
    if plan is None or not plan.pools:
        yield "prices", (f"{plain(prices.name)}; {offers}",)
        return
    oldest, newest = prices.oldest_observed_at, prices.newest_observed_at
    old = f"{wording.age_text(oldest, plan.created_at)} old"
    if newest.date() == oldest.date():
        seen = f"seen {oldest:%Y-%m-%d} ({old})"
    elif (plan.created_at - newest).days < 1:
        seen = f"seen {oldest:%Y-%m-%d} to {newest:%Y-%m-%d} (up to {old})"
    else:
        young = wording.age_text(newest, plan.created_at)
        seen = f"seen {oldest:%Y-%m-%d} to {newest:%Y-%m-%d} ({young} to {old})"
    yield "prices", (f"{plain(prices.name)}, {seen}; {offers}",)


def _verdict(plan: Recommendation) -> str:
    mark = "~" if any(pool.price_is_estimate for pool in plan.pools) else ""
    billed, expected = usd(plan.usd_per_hour), usd(plan.expected_usd_per_hour)
    risk = plan.risk
    low, high = usd(risk.expected_usd_per_hour_low), usd(risk.expected_usd_per_hour_high)
    text = f"{mark}{billed}/h"
    if len({billed, expected, low, high}) > 1:
        band = f" ({low} to {high})" if low != high else ""
        read = " and the data read" if plan.place is not None and plan.place.read_usd else ""
        text += f" billed, {mark}{expected}/h expected with interruptions{read}{band}"
    elif plan.expected_usd_per_hour != plan.usd_per_hour:
        text += ", and interruptions add less than a cent"
    if plan.total_usd is not None and plan.workload.duration_seconds is not None:
        duration = seconds_text(plan.workload.duration_seconds)
        text += f"; {mark}{usd(plan.total_usd)} over {duration}"
    return text


def _behind(plan: Recommendation, *, explain: bool) -> Iterable[_Fact]:
    if plan.place is not None:
        yield "place", tuple(place_lines(plan, plan.place))
    if plan.held is not None:
        yield "commitments", tuple(held_lines(plan.held, explain=explain))
    compared = tuple(
        line for each in plan.baselines for line in _baseline(plan, each, explain=explain)
    )
    if compared:
        yield "compared", compared
    bound = f"{usd(plan.lower_bound_usd_per_hour)}/h is proven"
    gap = wording.gap_text(plan.gap, plan.termination)
    yield "proof", (gap if gap.startswith("proven") else f"{gap} ({bound})",)
    yield "risk", tuple(_risk(plan))
    if plan.deadline is not None:
        yield "deadline", tuple(deadline_lines(plan, plan.deadline))
    yield "binds", tuple(map(_binding, plan.binding)) or ("no limit",)
    if plan.runner_up is not None:
        other = plan.runner_up
        at_least = "at least " if other.is_bound else ""
        cost = f"{at_least}{usd(other.expected_usd_per_hour)}/h expected"
        yield "runner-up", (f"{plain(other.description)}, {cost}: {plain(other.reason)}",)
    if plan.not_priced:
        yield "not priced", ("; ".join(map(plain, plan.not_priced)),)
    yield from _unknown(plan.gaps, explain=explain)


def _baseline(plan: Recommendation, baseline: Baseline, *, explain: bool) -> Iterable[str]:
    name, detail = plain(baseline.name), plain(baseline.detail)
    if baseline.usd_per_hour is None:
        yield f"{name}: cannot be bought ({detail})"
        return
    cost = f"{usd(baseline.usd_per_hour)}/h"
    compared = against(plan.expected_usd_per_hour, baseline.usd_per_hour)
    yield f"{compared} {name}, {cost}" + (f" ({detail})" if explain and detail else "")


def _risk(plan: Recommendation) -> Iterable[str]:
    risk = plan.risk
    if not risk.spot_share:
        yield "nothing of it is spot"
        return
    low, high = rate(risk.interruptions_per_day_low), rate(risk.interruptions_per_day_high)
    yield (
        f"{rate(risk.interruptions_per_day)} interruptions a day expected ({low} to {high}); "
        f"{percent(risk.spot_share)} of the vCPU is spot"
    )
    if risk.largest_pool is not None:
        pool = wording.offer_text(risk.largest_pool)
        yield f"most in one spot pool: {percent(risk.largest_pool_share)} of the vCPU, in {pool}"


def _binding(binding: Binding) -> str:
    unit = _UNITS.get(binding.unit, f"one {plain(binding.unit)}")
    saved = usd(binding.shadow_usd_per_hour)
    return f"{plain(binding.limit)}: easing it by {unit} would save {saved}/h"


def _unknown(gaps: Sequence[Gap], *, explain: bool) -> Iterable[_Fact]:
    ordered = sorted(gaps, key=lambda each: (each.kind, each.subject))
    shown = ordered if explain or len(ordered) <= _MOST_GAPS else ordered[: _MOST_GAPS - 1]
    lines = [
        f"{plain(gap.kind.replace('_', ' '))} of {plain(gap.subject)}: {plain(gap.assumed)}"
        for gap in shown
    ]
    if len(shown) < len(ordered):
        lines.append(f"and {len(ordered) - len(shown)} more, which --explain lists")
    if lines:
        yield "not known", tuple(lines)


def _explained(plan: Recommendation) -> Iterable[_Fact]:
    interruption = plan.workload.interruption
    lost, restart = interruption.lost_work_seconds, interruption.restart_seconds
    interrupted = f"{seconds_text(lost)} of work done again, {seconds_text(restart)} to start over"
    yield "interrupted", (interrupted,)
    yield "sources", _sources(plan)
    if plan.place is not None and plan.place.rates:
        yield "rates", tuple(rate_lines(plan.place))
    yield from _left_out(plan.prices)
    yield "plan", (plan.plan_id, f"prices {plan.prices.digest}")


def _sources(plan: Recommendation) -> tuple[str, ...]:
    seen = Counter((each.price_source, f"{each.price_observed_at:%Y-%m-%d}") for each in plan.pools)
    return tuple(
        f"{counted(pools, 'pool')}: {plain(source)}, {day}"
        for (source, day), pools in sorted(seen.items())
    )


def _left_out(prices: PricesUsed) -> Iterable[_Fact]:
    lines = tuple(
        f"{counted(number, 'offer')}: {plain(reason)}"
        for reason, number in prices.left_out
        if number
    )
    if lines:
        yield "left out", lines
