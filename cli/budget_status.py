"""The budgets of a cluster as they stand, from its store."""

from __future__ import annotations

from decimal import Decimal

from costplan.adapters.finance.ask_budgets import burns, first_whole_day, spent_by_day
from costplan.adapters.store.cluster import Cluster
from costplan.cli.statement import opened_book, period_of
from costplan.planner.accrual import running_usd
from costplan.planner.charges import whole_meters
from costplan.planner.errors import InputError
from costplan.planner.finance.budgets import Burn
from costplan.planner.finance.statement import Period
from costplan.planner.spending import day_end
from costplan.planner.status import BudgetRow


def burns_of(
    cluster: Cluster, period: Period | None = None
) -> tuple[tuple[Burn, ...], BudgetRow | None]:
    """Budgets of amounts, with what runs since the last entries; and that of the rate, None where
    there is none. They are those of the month so far, or of a `period` as it stood at its `until`.
    Raises InputError where nothing is limited."""
    settings = cluster.settings()
    if settings is None or not settings.budget.is_limited:
        way_out = "set budget.usd_per_month in the autoscaler's file (docs/autoscaler-config.md)"
        raise InputError("budget", "no limit is set", way_out)
    period = period or period_of(None, cluster.now())
    now, budget, state = period.until, settings.budget, cluster.state()
    with opened_book(cluster, period) as book:
        days, since = spent_by_day(book, period), first_whole_day(book)
    meters = whole_meters(state.meters, state.nodes, settings.extras)
    day = period.start
    while day < now:
        end = min(day_end(day), now)
        runs = running_usd(state.nodes, meters, end, day)
        if runs:
            days[day.date()] = days.get(day.date(), Decimal(0)) + runs
        day = end
    rate = None
    if budget.usd_per_hour is not None:
        used = cluster.status().usd_per_hour
        rate = BudgetRow(name="hour", used_usd=used, limit_usd=budget.usd_per_hour)
    return burns(days, period, budget, since), rate
