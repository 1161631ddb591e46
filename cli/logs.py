"""What the daemon writes: one line a tick, one an action and one an outcome, always the same keys.

JSON for machines, or aligned text for people, to standard error. Money is exact decimal text;
what looks like a secret is replaced before anything is written.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

import structlog

from costplan.cli.redact import Redactor
from costplan.planner.explain import plan_gap
from costplan.planner.explain_actions import action_name, action_nodes
from costplan.planner.plan_document import money_text
from costplan.planner.tick import Action, ActionOutcome, Launch, MovePlan, Outcome
from costplan.planner.types import Decision, Gap, Mode

FORMATS = ("json", "console")
_TALKATIVE = {
    **dict.fromkeys(
        ("azure", "httpx", "httpcore", "uvicorn", "uvicorn.error", "asyncio"), logging.WARNING
    ),
    # It warns of each call that is left out while the one before it goes on, as it is meant.
    "apscheduler": logging.ERROR,
    # It warns in fifteen lines of each way to find credentials; the error says it in one.
    "azure.identity": logging.ERROR,
}
"""Libraries that tell of every request or job; only their warnings are of use."""


def quiet_libraries() -> None:
    """Has libraries write what is of use, and no more."""
    for name, least in _TALKATIVE.items():
        logging.getLogger(name).setLevel(least)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickLine:
    """One tick in one line. Where it made no plan, what belongs to a plan is None.

    `gap` is (expected - bound) / bound, `solver` how the search ended, `denied` how many moves a
    policy trimmed, put off or refused.
    """

    tick_id: str
    mode: str
    moves: int
    denied: int
    expected_usd: str | None
    do_nothing_usd: str | None
    solver: str | None
    gap: float | None
    seconds: float
    actions: int
    gaps: list[str]
    nodes: int
    usd_per_hour: str


def tick_line(  # noqa: PLR0913 - the facts of a tick, each known to the loop alone
    *,
    tick_id: str,
    mode: Mode,
    gaps: Collection[Gap],
    plan: MovePlan | None,
    actions: int,
    nodes: int,
    usd_per_hour: Decimal,
    seconds: float,
) -> TickLine:
    """The line of a tick; `plan` is the one that it made, None where it only looked."""
    denied = () if plan is None else [v for v in plan.verdicts if v.decision is not Decision.ALLOW]
    gap = None if plan is None else plan_gap(plan)
    return TickLine(
        tick_id=tick_id,
        mode=mode.value,
        moves=0 if plan is None else len(plan.moves),
        denied=len(denied),
        expected_usd=None if plan is None else money_text(plan.expected_usd),
        do_nothing_usd=None if plan is None else money_text(plan.do_nothing_usd),
        solver=None if plan is None else plan.termination,
        gap=None if gap is None else round(gap, 6),
        seconds=round(seconds, 4),
        actions=actions,
        gaps=[f"{each.kind}: {each.subject}" for each in gaps],
        nodes=nodes,
        usd_per_hour=money_text(usd_per_hour),
    )


class Log:
    """Says what the daemon does, with the same names everywhere."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def tick(self, line: TickLine) -> None:
        """One line a tick; one that could not do everything is a warning."""
        say = self._logger.info if line.mode == Mode.FULL else self._logger.warning
        say("tick", **asdict(line))

    def action(self, tick_id: str, action: Action) -> None:
        """One line an action, before it is done."""
        self._logger.info("action", tick_id=tick_id, **_named(action))

    def outcome(self, tick_id: str, outcome: ActionOutcome, seconds: float) -> None:
        """One line an outcome; only one that is done is not a warning."""
        done = outcome.outcome is Outcome.DONE
        say = self._logger.info if done else self._logger.warning
        said: dict[str, Any] = {"outcome": outcome.outcome.value, "seconds": round(seconds, 4)}
        if outcome.detail:
            said["detail"] = outcome.detail
        if outcome.machine is not None:
            said["provider_id"] = outcome.machine.provider_id
        if outcome.retired is not None:
            said["refused"] = dict(outcome.retired.refused)
            said["lost"] = list(outcome.retired.lost)
        say("outcome", tick_id=tick_id, **_named(outcome.action), **said)

    def event(self, name: str, **facts: Any) -> None:
        """Anything else of note: start, stop, reload, lease."""
        self._logger.info(name, **{key: _plain(value) for key, value in facts.items()})

    def trouble(self, name: str, **facts: Any) -> None:
        """Something is wrong, and the daemon goes on."""
        self._logger.warning(name, **{key: _plain(value) for key, value in facts.items()})

    def broken(self, name: str, error: BaseException, **facts: Any) -> None:
        """A bug, or an end; says the error with its story."""
        kept = {key: _plain(value) for key, value in facts.items()}
        self._logger.error(name, exc_info=error, **kept)


def _named(action: Action) -> dict[str, Any]:
    named: dict[str, Any] = {
        "action": action_name(action),
        "node_ids": list(action_nodes(action)),
    }
    if isinstance(action, Launch):
        named["offer"] = str(action.request.keys[0])
    elif hasattr(action, "workers"):
        named["workers"] = len(action.workers)
    return named


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return money_text(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return value


def _first_things_first(_logger: object, _method: str, event: Any) -> Any:
    """The event with when, how grave and what ahead of the rest, for people who read JSON."""
    first = {name: event[name] for name in ("at", "level", "event") if name in event}
    return {**first, **event}


def set_up_logs(
    *,
    output: str,
    clock: Callable[[], datetime],
    level: str = "info",
    secrets: Collection[str] = (),
    stream: TextIO | None = None,
) -> Log:
    """The log of this process; lines of libraries take the same way.

    `secrets` are words that never appear, whatever their name; `stream` is standard error.
    """
    target = sys.stderr if stream is None else stream
    redactor = Redactor(secrets)

    def stamped(_logger: object, _method: str, event: Any) -> Any:
        event["at"] = (
            clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        stamped,
    ]
    last: Any = (
        structlog.processors.JSONRenderer()
        if output == "json"
        else structlog.dev.ConsoleRenderer(
            colors=target.isatty(),
            timestamp_key="at",
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redactor,
            _first_things_first,
            last,
        ],
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    quiet_libraries()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return Log(structlog.stdlib.get_logger("costplan"))
