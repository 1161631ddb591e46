"""A status and explanations of the fleet of `fleet_samples`."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from costplan.planner.explain import Explanation, Told, explain_node, explain_tick
from costplan.planner.loss import held_by, held_text
from costplan.planner.status import LastTick, Lease, Status, status_of
from costplan.planner.tick import AppliedPlan, Control, DrainRequest, Launch, Terminate
from costplan.planner.types import Gap, Mode
from tests.cli import fleet_samples
from tests.cli.fleet_samples import NOW

LOAD_GAP = Gap(
    kind="load",
    subject="the scheduler does not answer",
    assumed="as it was last; nobody is let go",
    since=NOW - timedelta(minutes=1),
)


def running() -> Status:
    """All is well, and everything that an operator can say has been said."""
    control = Control(
        paused_until=NOW + timedelta(minutes=25),
        drains=(DrainRequest(node_id="n-5", requested_at=NOW),),
        applied_plan="abcdef@20260301T115000Z",
        applied=AppliedPlan(
            plan_id="abcdef@20260301T115000Z",
            pools=(),
            requested_at=NOW,
            hold_until=NOW + timedelta(hours=1),
        ),
    )
    last = LastTick(
        tick_id="20260301T115957-0123abcd", at=NOW - timedelta(seconds=3), mode=Mode.FULL, gaps=()
    )
    lease = Lease(holder="host-1", expires_at=NOW + timedelta(seconds=20))
    return status_of(
        fleet_samples.state(control), fleet_samples.settings(), lease=lease, last=last, now=NOW
    )


def dead() -> Status:
    """The daemon ended two minutes ago without giving its lease back."""
    at = NOW - timedelta(minutes=2)
    last = LastTick(tick_id="20260301T115800-0123abcd", at=at, mode=Mode.HOLD, gaps=(LOAD_GAP,))
    lease = Lease(holder="host-1", expires_at=at + timedelta(seconds=20))
    return status_of(
        fleet_samples.state(), fleet_samples.settings(), lease=lease, last=last, now=NOW
    )


def tick_explained() -> Explanation:
    launched = fleet_samples.nodes()["n-1"]
    return explain_tick(
        Told(
            tick_id="20260301T115940-0123abcd",
            at=NOW - timedelta(seconds=20),
            mode=Mode.HOLD,
            gaps=(LOAD_GAP,),
            plan=fleet_samples.plan(),
            actions=(
                Launch(node_id="n-1", request=launched.request),
                Terminate(node_id="n-6", provider_id="pid-6"),
            ),
        )
    )


def node_explained() -> Explanation:
    node = fleet_samples.nodes()["n-5"]
    load = fleet_samples.load()
    costs = {"boot": Decimal("0.000666666667"), "ready": Decimal("0.0322")}
    holds = held_text(held_by([node], load), load, NOW)
    return explain_node(node, cost_by_use=costs, holds=holds, now=NOW)
