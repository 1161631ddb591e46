"""`costplan apply`: a reviewed plan is checked anew and handed to the daemon, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import errors
from costplan.cli.cluster_options import ConfigFile, StoreFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costplan.adapters.store.cluster import Cluster
    from costplan.planner.apply import Here
    from costplan.planner.plan_schema import PlanDocument


def apply(  # noqa: PLR0913, PLR0917 - one parameter a flag
    plan_file: Annotated[
        Path, typer.Argument(metavar="PLAN.json", help="What `recommend --out` wrote.")
    ],
    config: ConfigFile = None,
    store: StoreFile = None,
    max_age: Annotated[
        str, typer.Option(metavar="DURATION", help="How old the plan may be.")
    ] = "1h",
    max_price_rise: Annotated[
        float, typer.Option(metavar="SHARE", min=0.0, help="How much dearer an offer may be.")
    ] = 0.05,
    hold: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Change nothing by choice for so long after it."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Say what would be, do nothing.")] = False,
) -> None:
    """Execute a reviewed plan, once.

    If it still fits what runs here, the daemon launches what is missing and drains what is not in
    it; from there the autoscaler
    goes on, or holds the fleet for --hold.

    Exit codes: 0 handed over, 1 no plan, 3 the plan says that no fleet does, 4 too old or prices
    have risen, 5 refused: another fleet, executed before, or against a rule or the budget.
    """
    from costplan.cli.cluster_store import opened
    from costplan.cli.plan_file import read_plan
    from costplan.cli.until import parse_wait
    from costplan.planner.apply import Tolerance, handed_over, refusals
    from costplan.planner.plan_schema import InfeasibleDocument

    tolerance = Tolerance(
        max_age_seconds=parse_wait("--max-age", max_age) or 0, price_share=max_price_rise
    )
    hold_seconds = parse_wait("--hold", hold)
    plan = read_plan(plan_file)
    if isinstance(plan, InfeasibleDocument):
        raise errors.Ended(f"{plan_file}: says that no fleet does", errors.INFEASIBLE)
    with opened(config, store, read_only=check) as cluster:
        here = _here(cluster)
        found = refusals(plan, here, tolerance)
        for line in _changes(plan, here):
            typer.echo(line)
        if found:
            _refuse(plan_file, found)
        if check:
            typer.echo(f"plan {plan.plan_id} could be applied now")
            return
        if not cluster.is_alive():
            raise errors.Ended(
                "no daemon runs, and a plan must not wait until it is stale: start it first",
                errors.REFUSED,
            )
        cluster.store.request_apply(handed_over(plan, cluster.now(), hold_seconds))
        typer.echo(f"plan {plan.plan_id} is executed from the daemon's next look on")


def _here(cluster: Cluster) -> Here:
    """The cluster with the market as the daemon saw it last."""
    from costplan.planner.apply import Here
    from costplan.planner.errors import InputError

    stored = cluster.store.last_tick()
    settings = cluster.settings()
    if stored is None or settings is None:
        raise InputError(str(cluster.path), "has no tick yet", "wait for the daemon's first look")
    return Here(
        state=cluster.state(),
        settings=settings,
        offers=stored.readings.offers,
        quotes=stored.readings.quotes,
        applied=cluster.store.applied_plans(),
        now=cluster.now(),
    )


def _refuse(plan_file: Path, found: Iterable[object]) -> None:
    """Ends the command with every reason, and the exit code of the worst."""
    from costplan.planner.apply import STALE, Refusal

    listed = [each for each in found if isinstance(each, Refusal)]
    for each in listed:
        errors.note(f"refused ({each.check}): {each.reason}")
    stale = all(each.check in STALE for each in listed)
    way_out = "ask `recommend` again" if stale else "nothing was done"
    code = errors.TOO_OLD if stale else errors.REFUSED
    raise errors.Ended(f"{plan_file}: the plan does not fit here; {way_out}", code)


def _changes(plan: PlanDocument, here: Here) -> Iterable[str]:
    """What becomes of the fleet, an offer a line."""
    from costplan.planner.apply import fleet_now, pools_of
    from costplan.planner.wording import offer_text

    fleet = fleet_now(here.state)
    wanted = {pool.key: pool.nodes for pool in pools_of(plan)}
    for key in sorted({*fleet, *wanted}):
        now, then = fleet.get(key, 0), wanted.get(key, 0)
        sign = "+" if not now else "-" if not then else "~" if now != then else " "
        yield f"{sign} {offer_text(key)}: {now:,} -> {then:,}"
